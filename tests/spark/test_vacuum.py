"""Clean-ups beside what reads and writes: a case for each row of the table in docs/scale.md."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows.existing_rows import ExistingRows
from spark_fs.flows.training_rows import TrainingDataset
from spark_fs.spec.training_dataset import TrainingDatasetSpec
from spark_fs.tables.delta import commands

from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
OLD = (
    r"Nothing was removed from feature group 'clicks' version 1: older versions are still read by "
)


def fill(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    made = group("clicks", FIRST, primary_key=["k"], event_time="at")
    fs.create_feature_view("v", made.select(["v"]), labels=["v"])


@pytest.fixture
def clicks(fs: FeatureStore) -> FeatureGroup:
    return fs.get_feature_group("clicks", 1)


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    return fs.get_feature_view("v", 1)


def rewritten(clicks: FeatureGroup, spark: SparkSession) -> None:
    """Every row changes, and ten days pass: the files of version 0 have long left."""
    clicks.insert(FIRST.assign(v=-FIRST["v"]))
    aged(clicks, spark)


def aged(
    clicks: FeatureGroup, spark: SparkSession, days: float = 10, commits: bool = False
) -> None:
    """Let files and tombstones be older than they are; the instants of the commits stay, unless they are to be older too."""
    place, past = Path(clicks.location), time.time() - days * 86_400
    for file in place.rglob("*.parquet"):
        os.utime(file, (past, past))
    for commit in (place / "_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in commit.read_text().strip().split("\n")]
        for action in actions:
            if "remove" in action:
                action["remove"]["deletionTimestamp"] -= int(days * 86_400_000)
            for name in (
                ("timestamp", "inCommitTimestamp") if commits and "commitInfo" in action else ()
            ):
                action["commitInfo"][name] -= int(days * 86_400_000)
        commit.write_text("\n".join(map(json.dumps, actions)) + "\n")
        commit.with_name(f".{commit.name}.crc").unlink(missing_ok=True)
    for checksum in (place / "_delta_log").glob("*.crc"):  # which has the instant, too
        checksum.unlink()
    commands.invalidate_cache(spark, clicks.location)


def later(line: str, days: int) -> str:
    """A line of the log with its tombstone so many days later."""
    action = json.loads(line)
    action["remove"]["deletionTimestamp"] += days * 86_400_000
    return json.dumps(action)


def zoned(rows: Any) -> pd.DataFrame:
    """The rows of a Spark frame, whose times are UTC."""
    found: pd.DataFrame = rows.toPandas()
    return found.assign(at=found["at"].dt.tz_localize("UTC"))


def removed(clicks: FeatureGroup, *arguments: Any) -> int:
    return int(clicks.vacuum(*arguments).summary["files_removed"])


@pytest.mark.slow
def test_training_data_in_memory_keeps_its_versions_until_it_is_deleted(
    clicks: FeatureGroup, view: FeatureView, spark: SparkSession
) -> None:
    view.training_data()
    before = view.get_training_data(1)
    rewritten(clicks, spark)
    with pytest.raises(
        SettingsError,
        match=OLD
        + r"training dataset 1 of feature view 'v' version 1 \(version 0\). Delete these, keep more"
        r" hours, or say force=True",
    ):
        clicks.vacuum(24)
    pd.testing.assert_frame_equal(view.get_training_data(1)[1], before[1])
    assert removed(clicks, 24 * 30) == 0  # of what is older than that nothing has left
    view.delete_training_dataset(1)
    assert removed(clicks, 24) > 0


@pytest.mark.slow
def test_training_data_in_files_needs_no_version_but_to_be_made_again(
    clicks: FeatureGroup, view: FeatureView, spark: SparkSession
) -> None:
    version, _ = view.create_training_data()
    before = view.get_training_data(version)
    rewritten(clicks, spark)
    assert removed(clicks, 24) > 0
    pd.testing.assert_frame_equal(view.get_training_data(version)[1], before[1])
    with pytest.raises(SparkFSError, match=r"clicks_1"):
        view.recreate_training_dataset(version)
    pd.testing.assert_frame_equal(
        view.get_training_data(version)[1], before[1]
    )  # what could not be made again is still there


@pytest.mark.slow
def test_training_data_that_was_killed_keeps_nothing(
    clicks: FeatureGroup, view: FeatureView, spark: SparkSession
) -> None:
    made = TrainingDatasetSpec(0, view._spec.query, group_versions={clicks._spec.ref: 0})
    view._stores.catalog.reserve_training_dataset(view._spec, lambda number: made)
    rewritten(clicks, spark)
    assert removed(clicks, 24) > 0


@pytest.mark.slow
def test_training_data_that_is_being_made_has_a_day(
    clicks: FeatureGroup, view: FeatureView, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved, aged_once = TrainingDataset.materialize, []

    def beside(self: TrainingDataset) -> Any:
        """Once the versions are noted, the rows change, and all is cleaned up."""
        aged_once.append(clicks.insert(FIRST.assign(v=9.0)))
        clicks.vacuum(24)
        return reserved(self)

    aged(clicks, spark)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingDataset, "materialize", beside)
        _, y = view.training_data()
    assert aged_once
    assert sorted(y["v"]) == sorted(FIRST["v"])


@pytest.mark.slow
def test_a_view_with_as_of_keeps_its_version(
    clicks: FeatureGroup, fs: FeatureStore, spark: SparkSession
) -> None:
    fs.create_feature_view("old", clicks.select(["v"]).as_of(0))
    rewritten(clicks, spark)
    with pytest.raises(SettingsError, match=OLD + r"feature view 'old' version 1 \(version 0\)"):
        clicks.vacuum(24)
    same_rows(clicks.as_of(0).read("pandas"), FIRST, ["k", "at"])


@pytest.mark.slow
def test_hours_are_those_that_were_asked_for(clicks: FeatureGroup, spark: SparkSession) -> None:
    rewritten(
        clicks, spark
    )  # ten days ago; and Delta itself knows of a file that left for seven days
    aged(clicks, spark, 40, commits=True)
    for action in (
        (commit := Path(clicks.location, "_delta_log", f"{1:020d}.json")).read_text().split("\n")
    ):
        if '"remove"' in action:
            commit.write_text(commit.read_text().replace(action, later(action, 40)))
    commands.invalidate_cache(spark, clicks.location)
    unnamed = Path(clicks.location, "part-of-an-insert-that-was-killed.parquet")
    unnamed.write_bytes(next(Path(clicks.location).glob("*.parquet")).read_bytes())
    os.utime(unnamed, (0, 0))
    assert removed(clicks, 24 * 30) >= 1
    assert not unnamed.exists()
    same_rows(
        clicks.as_of(0).read("pandas"), FIRST, ["k", "at"]
    )  # what left ten days ago is there for thirty
    same_rows(
        zoned(clicks.as_of(0).read("spark")), FIRST, ["k", "at"]
    )  # by Spark too, though the commit is of forty days ago
    assert removed(clicks, 24 * 5) > 0
    same_rows(clicks.read("pandas"), FIRST.assign(v=-FIRST["v"]), ["k", "at"])


@pytest.mark.slow
def test_a_version_that_nothing_reads_goes(clicks: FeatureGroup, spark: SparkSession) -> None:
    rewritten(clicks, spark)
    assert removed(clicks, 24) > 0
    same_rows(clicks.read("pandas"), FIRST.assign(v=-FIRST["v"]), ["k", "at"])
    with pytest.raises(SparkFSError, match=r"clicks_1"):
        clicks.as_of(0).read("pandas")


@pytest.mark.slow
def test_an_insert_that_goes_on_loses_no_file(
    clicks: FeatureGroup, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = FIRST.assign(k=[7, 8, 9])

    def inserted(*vacuum: Any) -> None:
        """Insert, with a clean-up between the files and the commit that names them."""
        overlap = ExistingRows.count_overlap

        def beside(self: ExistingRows, staged: Any) -> Any:
            clicks.vacuum(*vacuum)
            return overlap(self, staged)

        with monkeypatch.context() as patch:
            patch.setattr(ExistingRows, "count_overlap", beside)
            clicks.insert(more)

    with pytest.raises(
        SparkFSError,
        match=(
            r"was to be committed and is gone: a vacuum was forced meanwhile. Nothing was written."
            r" Insert the frame again"
        ),
    ):
        inserted(0, True)
    same_rows(clicks.read("pandas"), FIRST, ["k", "at"])
    inserted(24)
    same_rows(clicks.read("pandas"), pd.concat([FIRST, more]), ["k", "at"])


@pytest.mark.slow
def test_a_reader_that_goes_on_has_a_day(clicks: FeatureGroup, spark: SparkSession) -> None:
    aged(clicks, spark)  # old files, that are part of the table until now
    reader = clicks.as_of(0).read("spark")  # the newest version now
    clicks.insert(FIRST.assign(v=-FIRST["v"]))
    assert removed(clicks, 24) == 0
    same_rows(zoned(reader), FIRST, ["k", "at"])
