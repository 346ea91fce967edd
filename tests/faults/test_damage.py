"""Files that are cut, changed or gone: each is named, and no call gives fewer rows in silence."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import SparkFSError
from spark_fs.tables.delta import commands

COMMITS = 12
DAYS = pd.date_range("2024-01-01", periods=COMMITS, tz="UTC")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    """A store of two groups, one of twelve commits and a checkpoint, and a view of both."""
    home = tmp_path_factory.mktemp("whole")
    fs = spark_fs.login({"home": home}).get_feature_store()
    cards = fs.create_feature_group(
        "cards", primary_key=["k"], event_time="t", online_enabled=True, statistics_config=False
    )
    for day, at in enumerate(DAYS):
        cards.insert(
            pd.DataFrame({"k": [1, 2, 3], "t": [at] * 3, "v": [float(day), 2.0, 3.0]}),
            operation="insert" if day else "upsert",
        )
    payments = fs.create_feature_group(
        "payments", primary_key=["id"], event_time="t", statistics_config=False
    )
    payments.insert(
        pd.DataFrame({"id": range(6), "k": [1, 2, 3] * 2, "t": [DAYS[10]] * 6, "y": [0, 1] * 3})
    )
    fs.create_feature_view(
        "view", payments.select(["y"]).join(cards.select(["v"]), on=["k"]), labels=["y"]
    )
    cards.sync_online()
    return home


ONE = pd.DataFrame({"k": [1], "t": DAYS[2:3], "v": [9.0]})
ACTIONS: dict[str, Callable[[FeatureGroup, FeatureView], Any]] = {
    "read": lambda group, _: group.read("pandas"),
    "training data in memory": lambda _, view: view.training_data(),
    "training data as files": lambda _, view: view.create_training_data(),
    "batch": lambda _, view: view.get_batch_data(),
    "statistics": lambda group, _: group.compute_statistics(),
    "drift": lambda group, _: group.detect_drift((DAYS[0], DAYS[6]), (DAYS[6], DAYS[11]), ["v"]),
    "sync": lambda group, _: group.sync_online(full=True),
    "verify": lambda group, _: group.verify_online(),
    "upsert": lambda group, _: group.insert(ONE),
    "delete": lambda group, _: group.delete_records(pd.DataFrame({"k": [1]})),
    "head": lambda group, _: group.head(100),
    "optimize": lambda group, _: group.optimize(),
}


def data(path: Path) -> Path:
    """The file of the first commit, which only the upsert has no need of."""
    added = next(
        line for line in log(path, 0).read_text().splitlines() if line.startswith('{"add"')
    )
    return path / added.split('"path":"')[1].split('"')[0]


def log(path: Path, commit: int) -> Path:
    return path / "_delta_log" / f"{commit:020d}.json"


def cut(file: Path) -> None:
    held = file.read_bytes()
    file.write_bytes(held[: len(held) // 2])


def without_checkpoints(path: Path) -> None:
    for file in (path / "_delta_log").glob("*checkpoint*"):
        file.unlink()


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a data file cut": (lambda path: cut(data(path)), r"part-00000-.*parquet"),
    "a data file gone": (lambda path: data(path).unlink(), r"part-00000-.*parquet"),
    "a data file of something else": (
        lambda path: data(path).write_bytes(b"x" * 1_000),
        r"part-00000-.*parquet",
    ),
    "the last commit no JSON": (
        lambda path: log(path, 11).write_text("{not json"),
        "log of the table .* is damaged: commit 11",
    ),
    "the last commit cut": (
        lambda path: cut(log(path, 11)),
        "log of the table .* is damaged: commit 11",
    ),
    "the last commit empty": (
        lambda path: log(path, 11).write_text(""),
        "log of the table .* is damaged: commit 0*11.json holds no actions",
    ),
    "the last commit gone": (
        lambda path: log(path, 11).unlink(),
        "log of the table .* is damaged: commit 11 is missing, and its checksum is there",
    ),
    "a commit gone": (
        lambda path: (without_checkpoints(path), log(path, 5).unlink()),
        r"commit 5 is missing|Versions \(0, 1, 2, 3, 4, 6, .*\) are not contiguous",
    ),
    "the checkpoint cut": (
        lambda path: [cut(f) for f in (path / "_delta_log").glob("*.checkpoint*.parquet")],
        "is damaged: checkpoint .*parquet cannot be read",
    ),
}


PAIRS = [
    pytest.param(damage, action, marks=[pytest.mark.long] if (i + j) % 3 else [])
    for i, damage in enumerate(DAMAGES)
    for j, action in enumerate(ACTIONS)
]


@pytest.mark.parametrize(("damage", "action"), PAIRS)
def test_damage_is_found_and_named(
    damage: str, action: str, whole: Path, tmp_path: Path, spark: SparkSession
) -> None:
    home = tmp_path / "store"
    shutil.copytree(whole, home)
    fs, path = spark_fs.login({"home": home}).get_feature_store(), home / "warehouse" / "cards_1"
    do, named = DAMAGES[damage]
    for checksum in path.rglob(
        ".*.crc"
    ):  # Hadoop's own, which would find it first where it is kept
        checksum.unlink()
    do(path)
    commands.invalidate_cache(spark, str(path))
    group, view = fs.get_feature_group("cards", 1), fs.get_feature_view("view", 1)
    if action == "upsert" and "data file" in damage:  # it needs the file of its own day alone
        assert ACTIONS[action](group, view)[0].summary["updated"] == 1
        return
    with pytest.raises(SparkFSError, match=named):
        ACTIONS[action](group, view)


def test_what_was_served_is_served_on(whole: Path, tmp_path: Path, spark: SparkSession) -> None:
    home = tmp_path / "store"
    shutil.copytree(whole, home)
    fs, path = spark_fs.login({"home": home}).get_feature_store(), home / "warehouse" / "cards_1"
    served = fs.create_feature_view("served", fs.get_feature_group("cards", 1).select(["v"]))
    assert served.get_feature_vector({"k": 1}) == [11.0]
    log(path, 11).write_text("{not json")
    with pytest.raises(SparkFSError, match="commit 11"):
        fs.get_feature_group("cards", 1).sync_online()
    assert served.get_feature_vector({"k": 1}) == [11.0]
