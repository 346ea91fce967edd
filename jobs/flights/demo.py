"""Run the whole flow by spark-submit, step by step, and print what was built: ``make demo``."""

import json
import sys
from pathlib import Path

from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
import steps

HOME = steps.ROOT / ".demo"


def steps_of(home: Path) -> dict[str, list[str]]:
    """The steps, which leave their figures in a store's folder."""
    report = str(home / "figures.json")
    return {
        "Backfill January to November": [
            "jobs/backfill.py",
            "--pipeline",
            "flights",
            "--start",
            "2013-01-01",
            "--end",
            "2013-12-01",
        ],
        "Three days of December, one commit each": [
            "jobs/incremental.py",
            "--pipeline",
            "flights",
            "--until",
            "2013-12-04",
        ],
        "The same again: nothing to do": [
            "jobs/incremental.py",
            "--pipeline",
            "flights",
            "--until",
            "2013-12-04",
        ],
        "Train before November, test after it": [
            "jobs/flights/train.py",
            "--split",
            "2013-11-01",
            "--end",
            "2013-12-04",
            "--report",
            report,
        ],
        "Sync to the online store, and compare": ["jobs/sync_online.py", "--verify"],
        "One feature vector, checked against the offline latest": [
            "jobs/flights/serve.py",
            "--carrier",
            "UA",
            "--flight",
            "1545",
            "--origin",
            "EWR",
        ],
    }


def summary(seconds: float) -> Table:
    """What was built, and where to look next."""
    figures = json.loads((HOME / "figures.json").read_text())
    honest, plain, leak = figures["auc"].values()
    sizes = f"{figures['train']:,} rows to train, {figures['test']:,} to test"
    rows = {
        "Feature groups": (
            "flight_delays, weather, planes, carrier_delays (Delta tables with their history)"
        ),
        "Feature view": (
            f"late_arrivals, training dataset {figures['training_dataset_version']}: {sizes}"
        ),
        "AUC, point-in-time": f"{honest:.3f}: what the model will do in production",
        "AUC, no weather": f"{plain:.3f}: what the weather adds is the difference",
        "AUC, leaking join": f"{leak:.3f}: better on paper only, it looks into the future",
        "Online store": "the latest row of each entity, equal to the offline latest",
        "Look next": (
            "export SPARK_FS_HOME=.demo\n"
            ".venv/bin/spark-fs show flight_delays\n"
            ".venv/bin/spark-fs ui"
        ),
        "Read next": (
            "jobs/flights/features.py (the features), jobs/flights/groups.py (groups and view)"
        ),
    }
    table = Table(
        "What",
        f"Built in {seconds:.0f} s",
        title="spark_fs",
        box=None,
        title_justify="left",
        pad_edge=False,
    )
    for row in rows.items():
        table.add_row(*row)
    return table


def main() -> None:
    """Start from an empty store, run every step, and say what was built."""
    steps.console.print(summary(steps.run(HOME, steps_of(HOME))))


if __name__ == "__main__":
    main()
