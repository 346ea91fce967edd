"""Run the whole flow by spark-submit, step by step, and print what was built: ``make demo``."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spark_fs.offline.jars import needed_jars

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".demo"
REPORT, LOG = HOME / "figures.json", HOME / "spark.log"
STEPS = {
    "Backfill January to November": ["jobs/backfill.py", "--pipeline", "flights", "--start", "2013-01-01", "--end", "2013-12-01"],
    "Three days of December, one commit each": ["jobs/incremental.py", "--pipeline", "flights", "--until", "2013-12-04"],
    "The same again: nothing to do": ["jobs/incremental.py", "--pipeline", "flights", "--until", "2013-12-04"],
    "Train before November, test after it": [
        "jobs/flights/train.py", "--split", "2013-11-01", "--end", "2013-12-04", "--report", str(REPORT),
    ],
    "Sync to the online store": ["jobs/sync_online.py"],
    "One feature vector, checked against the offline latest": [
        "jobs/flights/serve.py", "--carrier", "UA", "--flight", "1545", "--origin", "EWR",
    ],
}
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


def submit(arguments: list[str]) -> int:
    """Run one job with spark-submit, its output indented as it comes, its log in a file."""
    bin_ = Path(sys.executable).parent
    env = os.environ | {
        "SPARK_CONF_DIR": str(ROOT / "conf" / "local"), "SPARK_FS_HOME": str(HOME), "PYSPARK_PYTHON": sys.executable,
        "PATH": f"{bin_}:{os.environ['PATH']}",
    }
    command = [str(bin_ / "spark-submit"), "--jars", ",".join(map(str, needed_jars())), *arguments]
    with LOG.open("a") as log, subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=log, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            console.print(f"   {line.rstrip()}", markup=False)
    return run.returncode


def summary(seconds: float) -> Table:
    """What was built, and where to look next."""
    figures = json.loads(REPORT.read_text())
    honest, plain, leak = figures["auc"].values()
    sizes = f"{figures['train']:,} rows to train, {figures['test']:,} to test"
    rows = {
        "Feature groups": "flight_delays, weather, planes, carrier_delays (Delta tables with their history)",
        "Feature view": f"late_arrivals, training dataset {figures['training_dataset_version']}: {sizes}",
        "AUC, point-in-time": f"{honest:.3f}: what the model will do in production",
        "AUC, no weather": f"{plain:.3f}: what the weather adds is the difference",
        "AUC, leaking join": f"{leak:.3f}: better on paper only, it looks into the future",
        "Online store": "the latest row of each entity, equal to the offline latest",
        "Look next": "SPARK_FS_HOME=.demo .venv/bin/spark-fs groups | views | show flight_delays",
        "Read next": "jobs/flights/features.py (the features), jobs/flights/groups.py (groups and view)",
    }
    table = Table("What", f"Built in {seconds:.0f} s", title="spark_fs", box=None, title_justify="left", pad_edge=False)
    for row in rows.items():
        table.add_row(*row)
    return table


def main() -> None:
    """Start from an empty store and run every step; a step that fails ends the demo with the end of its log."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    began = time.monotonic()
    for number, (title, arguments) in enumerate(STEPS.items(), start=1):
        console.print(f"[bold]{number}/{len(STEPS)} {title}[/]")
        started = time.monotonic()
        if submit(arguments):
            console.print("".join(LOG.read_text().splitlines(keepends=True)[-30:]), markup=False)
            sys.exit(f"The step failed: {' '.join(arguments)}. The whole log is in {LOG}.")
        console.print(f"   [dim]{time.monotonic() - started:.0f} s[/]")
    console.print(summary(time.monotonic() - began))


if __name__ == "__main__":
    main()
