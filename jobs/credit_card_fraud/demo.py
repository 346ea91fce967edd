"""Run the whole fraud system, step by step, and print what its models find: ``make fraud``."""

import argparse
import json
import sys
from pathlib import Path

from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
import steps

HOME = steps.ROOT / ".fraud"
JOBS = "jobs/credit_card_fraud"


def summary(seconds: float) -> Table:
    """What the two models find, and where to look next."""
    figures = json.loads((HOME / "figures.json").read_text())
    table = Table(
        "What",
        f"Built in {seconds:.0f} s",
        title="The fraud system",
        box=None,
        title_justify="left",
        pad_edge=False,
    )
    rows = {
        "With windows and distances": "cc_fraud",
        "From the transaction alone": "cc_fraud_plain",
    }
    for title, name in rows.items():
        found = figures[name]
        table.add_row(
            title, f"average precision {found['average_precision']:.3f}, AUC {found['auc']:.3f}"
        )
    table.add_row(
        "Trained on, judged on",
        f"{figures['cc_fraud']['train']:,} transactions, {figures['cc_fraud']['test']:,} later"
        " ones",
    )
    table.add_row(
        "Pictures",
        "confusion_matrix.png and precision_recall.png, in the folder that model.download() names",
    )
    table.add_row(
        "Look next",
        (
            "export SPARK_FS_HOME=.fraud\n"
            ".venv/bin/spark-fs show cc_trans_fraud_4h\n"
            ".venv/bin/spark-fs ui"
        ),
    )
    table.add_row(
        "Read next",
        "jobs/credit_card_fraud/features.py (the features), groups.py (groups and views), train.py",
    )
    return table


def steps_of(home: Path, cards: int) -> dict[str, list[str]]:
    """The steps, which leave their source and figures in a store's folder."""
    pipeline = ["--pipeline", "credit_card_fraud"]
    source = ["--out", str(home / "source"), "--cards", str(cards), "--days", "45"]
    train = [
        "python",
        f"{JOBS}/train.py",
        "--split",
        "2024-02-01",
        "--end",
        "2024-02-14",
        "--report",
        str(home / "figures.json"),
        "--view",
    ]
    one = [
        "--card",
        "4000000000000000",
        "--at",
        "2024-02-14T03:00",
        "--amount",
        "99.5",
        "--category",
        "misc_net",
    ]
    one += ["--lat", "26", "--long", "-80"]
    return {
        "Make transactions, cards and profiles": ["python", f"{JOBS}/generate.py", *source],
        "Backfill 44 days": [
            "jobs/backfill.py",
            *pipeline,
            "--start",
            "2024-01-01",
            "--end",
            "2024-02-14",
        ],
        "Three hourly runs": [
            "jobs/incremental.py",
            *pipeline,
            "--until",
            "2024-02-14T03:00",
            "--every",
            "1h",
        ],
        "Train with windows and distances": [*train, "windows"],
        "Train from the transaction alone: the same groups, another view": [*train, "plain"],
        "Predict for the last 24 hours": [f"{JOBS}/predict.py", "--until", "2024-02-14T03:00"],
        "Sync to the online store, as of then": [
            "jobs/sync_online.py",
            "--now",
            "2024-02-14T03:00",
            "--verify",
        ],
        "Answer for one transaction": ["python", f"{JOBS}/answer.py", *one],
    }


def main() -> None:
    """Make the source, build the groups, train two models, predict by batch and for one payment."""
    parser = argparse.ArgumentParser(description="Run the fraud system.")
    parser.add_argument("--cards", type=int, default=500)
    options = parser.parse_args()
    seconds = steps.run(HOME, steps_of(HOME, options.cards), {"FRAUD_SOURCE": str(HOME / "source")})
    steps.console.print(summary(seconds))


if __name__ == "__main__":
    main()
