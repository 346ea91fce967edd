"""Run the whole flow, what writes by spark-submit, and print what was built: ``make demo``."""

import json
import sys
from pathlib import Path

from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
import steps

HOME = steps.ROOT / ".demo"


def steps_of(home: Path) -> dict[str, list[str]]:
    """The steps, which leave their figures and a page in a store's folder."""
    pipeline = ["--pipeline", "flights"]
    days = ["jobs/incremental.py", *pipeline, "--until", "2013-12-04", "--brief"]
    train = ["python", "jobs/flights/train.py", "--split", "2013-11-01", "--end", "2013-12-04"]
    year = ["--start", "2013-01-01", "--end", "2013-12-01"]
    flight = ["--carrier", "UA", "--flight", "1545", "--origin", "EWR"]
    return {
        "Backfill January to November": ["jobs/backfill.py", *pipeline, *year],
        "Three days of December, one commit each": days,
        "The same again: nothing to do": days,
        "Sync to the online store, and compare": ["jobs/sync_online.py", "--verify"],
        "Train before November, test after it": [
            *train,
            "--report",
            str(home / "figures.json"),
            "--page",
            str(home / "late_arrivals.html"),
        ],
        "One feature vector, checked against the offline latest": [
            "python",
            "jobs/flights/serve.py",
            *flight,
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
            ".venv/bin/spark-fs ui    # the store in a browser"
        ),
        "A page": ".demo/late_arrivals.html: the view, its features and training data; open it",
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
