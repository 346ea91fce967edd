"""Make a store as the release that is checked out leaves it, for ``test_releases.py`` to open ever after.

    git worktree add ../release v0.1.0
    PYTHONPATH=../release python tests/releases/make.py store tests/releases/0.1.0.zip
    PYTHONPATH=../release python tests/releases/make.py code tests/releases/code/0.1.0.zip

The store has one of everything that outlives a process: tables with statistics, what is online, a model, training datasets, a run. Its home
is HOME, which the test replaces by where it puts the store. The code is what a process needs that looks at a catalog and changes it.
"""

import importlib.util
import json
import shutil
import sqlite3
import sys
import tempfile
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

HOME = Path("/srv/spark_fs_release")
DAY = pd.Timestamp("2024-01-01", tz="UTC")
CARDS = pd.DataFrame(
    {
        "card": ["a", "b", "c", "a", "b"],
        "known_at": [DAY, DAY, DAY, DAY + pd.Timedelta(days=10), DAY + pd.Timedelta(days=20)],
        "limit_": [100, 200, 300, 150, 250],
        "kind": ["gold", "blue", "ö\N{PILE OF POO}", "gold", "grey"],
    }
)
PAYMENTS = pd.DataFrame(
    {
        "id": range(40),
        "card": [("a", "b", "c", "d")[n % 4] for n in range(40)],
        "paid_at": [DAY + pd.Timedelta(days=n, hours=1) for n in range(40)],
        "amount": [n * 1.25 - 7 for n in range(40)],
        "note": [None if n % 5 == 0 else f"note {n}" for n in range(40)],
        "fraud": [int(n % 7 == 3) for n in range(40)],
    }
)
CHANGED = PAYMENTS[PAYMENTS.id.isin([3, 4])].assign(amount=[1000.0, -1000.0])
DELETED = PAYMENTS[PAYMENTS.id == 39][["id"]]
SUITE = {
    "name": "sane",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amount"}}
    ],
}

# Where releases have the class of a run, and how it is called there, the newest first.
RUNS = {"spark_fs.spec.pipeline_run": "PipelineRun", "spark_fs.spec.runs": "Run"}


def code(target: str) -> None:
    """Put the release's own modules into a zip, as far as its catalog needs them."""
    from spark_fs.catalog import migrations, store  # noqa: PLC0415 # of the release

    root = Path(store.__file__).parents[2]
    loaded = {
        Path(str(module.__file__))
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "spark_fs"
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(loaded | set(Path(migrations.__file__).parent.rglob("*.py"))):
            archive.write(file, file.relative_to(root))


def store(target: str) -> None:
    """Fill a store and put it into a zip."""
    import spark_fs  # noqa: PLC0415 # of the release

    shutil.rmtree(HOME, ignore_errors=True)
    project = spark_fs.login({"home": HOME})
    fs = project.get_feature_store()
    made = fill(fs, project.get_model_registry())
    fs._stores.spark.stop()
    (HOME / "made.json").write_text(json.dumps(made))
    for name in ("catalog", "online", "models"):
        with closing(sqlite3.connect(HOME / f"{name}.db", isolation_level=None)) as database:
            database.execute("VACUUM INTO ?", (f"{HOME}/whole.db",))
        for file in HOME.glob(f"{name}.db*"):
            file.unlink()
        (HOME / "whole.db").rename(HOME / f"{name}.db")
    shutil.rmtree(HOME / "model_cache", ignore_errors=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(HOME.rglob("*")):
            if file.is_file() and not file.name.endswith(".crc"):
                archive.write(file, file.relative_to(HOME))
    shutil.rmtree(HOME)


def fill(fs: Any, registry: Any) -> dict[str, Any]:
    """One of everything; returns what the release said of it."""
    from spark_fs import Feature, udf  # noqa: PLC0415 # of the release

    cards = fs.create_feature_group(
        "cards",
        primary_key=["card"],
        event_time="known_at",
        online_enabled=True,
        description="What cards may",
    )
    cards.insert(CARDS)
    cards.sync_online()
    payments = fs.create_feature_group(
        "payments",
        primary_key=["id"],
        event_time="paid_at",
        partition_key=["month"],
        statistics_config={"correlations": True},
        expectation_suite=SUITE,
        ttl=timedelta(days=400),
        parents=[cards],
    )
    payments.insert(PAYMENTS)
    payments.insert(CHANGED)
    payments.delete_records(DELETED)
    payments.append_features([Feature("channel", "string", "where from")])
    payments.add_tag("owner", {"team": "risk", "since": 2024})
    payments.detect_drift(
        (DAY + pd.Timedelta(days=20), DAY + pd.Timedelta(days=40)),
        (DAY, DAY + pd.Timedelta(days=20)),
    )
    columns = [
        Feature("card", "string"),
        Feature("known_at", "timestamp"),
        Feature("limit_", "bigint"),
        Feature("kind", "string"),
    ]
    place = str(HOME / "warehouse" / "cards_1")
    fs.create_external_feature_group(
        "rates", primary_key=["card"], event_time="known_at", path=place, features=columns
    )

    @udf(float)
    def doubled(amount):  # type: ignore[no-untyped-def] # its source is kept
        return amount * 2.0

    fs.create_transformation_function(doubled, version=1)
    query = payments.select(["amount", "fraud"]).join(cards.select(["limit_", "kind"]), on=["card"])
    scaler, encoder = (
        fs.get_transformation_function(name) for name in ("standard_scaler", "label_encoder")
    )
    view = fs.create_feature_view(
        "fraud",
        query,
        labels=["fraud"],
        transformation_functions={"amount": scaler, "kind": encoder},
    )
    x_train, x_test, y_train, y_test = view.train_test_split(test_ratio=0.25, seed=7)
    view.create_training_data(description="whole", statistics_config={"correlations": True})
    served = fs.create_feature_view("served", cards.select_all())
    fs.create_feature_view(
        "doubled",
        payments.select(["amount"]),
        transformation_functions=[fs.get_transformation_function("doubled")("amount")],
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "weights.json").write_text('{"w": 1.5}')
        registry.python.create_model(
            "fraud", metrics={"auc": 0.75}, feature_view=view, training_dataset_version=1
        ).save(folder)
    runs = _run(fs._stores.catalog)
    frames = {"x_train": x_train, "x_test": x_test, "y_train": y_train, "y_test": y_test}
    return {
        "split": {
            name: json.loads(frame.to_json(orient="split", date_format="iso"))
            for name, frame in frames.items()
        },
        "runs": runs,
        "vector": served.get_feature_vector({"card": "b"}),
        "means": {
            part.split: part["amount"].mean
            for part in view.get_training_dataset_statistics(1).split_statistics
        },
    }


def _run(catalog: Any) -> list[Any]:
    """Keep a run; returns its state and counts, none in a release that had no runs."""
    there = [place for place in RUNS if importlib.util.find_spec(place)]
    if not there:
        return []
    runs = importlib.import_module(there[0])
    run_class = getattr(runs, RUNS[there[0]])
    at = datetime(2024, 1, 5, 3, tzinfo=UTC)
    step = runs.StepRecord(
        "backfill", "finished", at, 1.5, {"inserted": 4}, ("payments_1: 4 inserted",)
    )
    catalog.save_run(
        run_class(
            "0123456789abcdef0123456789abcdef",
            "nightly",
            at,
            at,
            at + timedelta(minutes=2),
            "finished",
            (step,),
        )
    )
    return [["finished", {"inserted": 4}]]


if __name__ == "__main__":
    {"code": code, "store": store}[sys.argv[1]](sys.argv[2])
