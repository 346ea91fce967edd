"""The steps of a demonstration, run one after another.

Each is a job, or with "python" before it a plain program. Jobs that follow one another run in one
Spark session, by one spark-submit.
"""

import itertools
import json
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
JOBS = "jobs/in_one_session.py"
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
    began = time.monotonic()
    numbered: list[tuple[str, list[str]]] = []
    for number, (title, step) in enumerate(steps.items(), start=1):
        numbered.append((f"{number}/{len(steps)} {title}", list(step)))
    for is_program, part in itertools.groupby(numbered, lambda step: step[1][0] == "python"):
        jobs = list(part)
        if not is_program:
            _run_process([*_submit(), JOBS], jobs, home, more or {})
            continue
        for title, (_, *arguments) in jobs:
            _run_process([sys.executable, JOBS], [(title, arguments)], home, more or {})
    return time.monotonic() - began


def _submit() -> list[str]:
    program = Path(sys.executable).parent / "spark-submit"
    return [str(program), "--jars", ",".join(map(str, resolve_jars()))]


def _run_process(
    command: Sequence[str],
    jobs: Sequence[tuple[str, Sequence[str]]],
    home: Path,
    more: Mapping[str, str],
) -> None:
    """Run jobs in one process, their output indented as it comes, their log in a file."""
    todo, log = home / "steps.json", home / "spark.log"
    todo.write_text(json.dumps(jobs))
    env = os.environ | {
        "SPARK_CONF_DIR": str(ROOT / "conf" / "local"),
        "SPARK_FS_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **more,
    }
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [*command, str(todo)],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            _show(line.rstrip())
    if process.returncode:
        console.print("".join(log.read_text().splitlines(keepends=True)[-30:]), markup=False)
        sys.exit(f"The step failed. The whole log is in {log}.")


def _show(line: str) -> None:
    if line.startswith("== "):
        console.print(line.removeprefix("== "), markup=False, style="bold")
    elif line.startswith("-- "):
        console.print(f"   {line.removeprefix('-- ')}", markup=False, style="dim")
    else:
        console.print(f"   {line}", markup=False)
