"""The steps of a demonstration, run one after another.

Each is a job for spark-submit, or with "python" before it a plain program.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from spark_fs import resolve_jars

ROOT = Path(__file__).parents[1]
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def run(
    home: Path, steps: Mapping[str, Sequence[str]], more: Mapping[str, str] | None = None
) -> float:
    """Start from an empty store in ``home`` and run every step; returns the seconds that they took.

    more: environment variables beside those of the store. A step that fails ends the process with
    the end of its log.
    """
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    began, log = time.monotonic(), home / "spark.log"
    for number, (title, arguments) in enumerate(steps.items(), start=1):
        console.print(f"[bold]{number}/{len(steps)} {title}[/]")
        started = time.monotonic()
        if _submit(arguments, home, log, more or {}):
            console.print("".join(log.read_text().splitlines(keepends=True)[-30:]), markup=False)
            sys.exit(f"The step failed: {' '.join(arguments)}. The whole log is in {log}.")
        console.print(f"   [dim]{time.monotonic() - started:.0f} s[/]")
    return time.monotonic() - began


def _submit(arguments: Sequence[str], home: Path, log: Path, more: Mapping[str, str]) -> int:
    """Run one step, its output indented as it comes, its log in a file."""
    bin_ = Path(sys.executable).parent
    env = os.environ | {
        "SPARK_CONF_DIR": str(ROOT / "conf" / "local"),
        "SPARK_FS_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{bin_}:{os.environ['PATH']}",
        **more,
    }
    submit = [str(bin_ / "spark-submit"), "--jars", ",".join(map(str, resolve_jars()))]
    command = (
        [sys.executable, *arguments[1:]] if arguments[0] == "python" else [*submit, *arguments]
    )
    with (
        log.open("a") as errors,
        subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            console.print(f"   {line.rstrip()}", markup=False)
    return process.returncode
