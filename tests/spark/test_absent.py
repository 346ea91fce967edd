"""A table, or the whole warehouse, that is not there: nothing reads as empty, nothing is begun anew, and once it is back all is as before."""

import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import NotFoundError, SparkFSError
from spark_fs.report.store_pages import render_home_page
from spark_fs.tables.delta import commands

DAY = pd.Timestamp("2024-01-01", tz="UTC")
FRAME = pd.DataFrame({"k": [1, 2], "t": DAY, "v": [1.0, 2.0]})
LATER = datetime(2024, 1, 3, tzinfo=UTC)


def fill(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    """Two groups, of which one is online and built by a pipeline, a view of both, and training data in memory."""
    one = fs.create_feature_group("one", primary_key=["k"], event_time="t", online_enabled=True)
    one.backfill(
        lambda spark, start, end: spark.createDataFrame(FRAME), DAY, DAY + timedelta(days=1)
    )
    spine = group(
        "spine",
        FRAME[["k"]].assign(t=DAY + timedelta(hours=1), y=1.0),
        primary_key=["k"],
        event_time="t",
        statistics_config=False,
    )
    view = fs.create_feature_view(
        "view", spine.select(["y"]).join(one.select(["v"]), on=["k"]), labels=["y"]
    )
    view.training_data()
    one.sync_online()


ACTIONS: dict[str, Callable[[FeatureGroup, FeatureView, FeatureStore], Any]] = {
    "read": lambda g, v, fs: g.read("pandas"),
    "read as Spark's": lambda g, v, fs: g.read(),
    "head": lambda g, v, fs: g.head(5),
    "show": lambda g, v, fs: g.select_all().show(5),
    "a filter": lambda g, v, fs: g.select_all().filter(g["v"] > 0).read("pandas"),
    "a join": (
        lambda g, v, fs: (
            fs.get_feature_group("spine", 1)
            .select_all()
            .join(g.select(["v"]), on=["k"])
            .read("pandas")
        )
    ),
    "explain": lambda g, v, fs: g.select_all().explain(),
    "as of a version": lambda g, v, fs: g.as_of(0).read("pandas"),
    "as of an instant": lambda g, v, fs: g.as_of(datetime.now(UTC)),
    "changes": lambda g, v, fs: g.read_changes(dataframe_type="pandas"),
    "commits": lambda g, v, fs: g.commit_details(),
    "training data": lambda g, v, fs: v.training_data(),
    "training data as files": lambda g, v, fs: v.create_training_data(),
    "training data of then": lambda g, v, fs: v.get_training_data(1),
    "training data again": lambda g, v, fs: v.recreate_training_dataset(1),
    "a batch": lambda g, v, fs: v.get_batch_data(),
    "statistics": lambda g, v, fs: g.compute_statistics(),
    "statistics of then": lambda g, v, fs: g.get_statistics(),
    "whether statistics are current": lambda g, v, fs: g.statistics_are_current,
    "drift": lambda g, v, fs: g.detect_drift((DAY, LATER), (DAY, LATER), ["v"]),
    "upsert": lambda g, v, fs: g.insert(FRAME),
    "insert": lambda g, v, fs: g.insert(FRAME, operation="insert"),
    "backfill": lambda g, v, fs: g.backfill(
        lambda spark, start, end: spark.createDataFrame(FRAME), DAY, LATER
    ),
    "an incremental run": lambda g, v, fs: g.run_incremental(
        lambda spark, start, end: spark.createDataFrame(FRAME), LATER
    ),
    "the watermark": lambda g, v, fs: g.watermark,
    "delete": lambda g, v, fs: g.delete_records(FRAME[["k"]]),
    "more columns": lambda g, v, fs: g.append_features(spark_fs.Feature("w", "double")),
    "optimize": lambda g, v, fs: g.optimize(),
    "vacuum": lambda g, v, fs: g.vacuum(),
    "sync": lambda g, v, fs: g.sync_online(),
    "sync of all": lambda g, v, fs: fs.sync_online(),
    "a whole sync": lambda g, v, fs: g.sync_online(full=True),
    "verify": lambda g, v, fs: g.verify_online(),
    "verify of all": lambda g, v, fs: fs.verify_online(),
    "the quarantine": lambda g, v, fs: g.read_quarantine(),
    "a report": lambda g, v, fs: g.report(),
}


def emptied(warehouse: Path) -> None:
    for file in (warehouse / "one_1" / "_delta_log").iterdir():
        if file.is_file():
            file.unlink()


LOSSES: dict[str, Callable[[Path], Any]] = {
    "the warehouse": lambda warehouse: warehouse.rename(warehouse.with_name("elsewhere")),
    "the table": lambda warehouse: (warehouse / "one_1").rename(warehouse.with_name("elsewhere")),
    "the log": lambda warehouse: shutil.rmtree(warehouse / "one_1" / "_delta_log"),
    "the commits": emptied,
}


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_reads_as_empty_and_nothing_is_begun_anew(
    loss: str, fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    group, view, warehouse = (
        fs.get_feature_group("one", 1),
        fs.get_feature_view("view", 1),
        tmp_path / "warehouse",
    )
    LOSSES[loss](warehouse)
    for name, act in ACTIONS.items():
        group = fs.get_feature_group("one", 1)
        with pytest.raises(
            NotFoundError,
            match=(
                rf"{tmp_path}/warehouse/(one|spine)_1.*Mount the folder, restore it from a backup"
            ),
        ) as raised:
            act(group, view, fs)
        assert "setting warehouse" in str(raised.value), name
    assert not [each for each in warehouse.glob("one_1/_delta_log/*") if each.is_file()]
    if loss == "the warehouse":
        assert not warehouse.exists(), "it would hide what is mounted there later"
        warehouse.with_name("elsewhere").rename(warehouse)
        assert group.insert(FRAME.assign(v=3.0))[0].summary["updated"] == 2
        assert sorted(view.get_training_data(1)[0]["v"]) == [1.0, 2.0]
        assert group.sync_online().summary["written"] == 2


@pytest.mark.slow
def test_a_table_that_is_put_back_from_an_older_backup_is_not_taken_for_the_newer(
    fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    group, view, place = (
        fs.get_feature_group("one", 1),
        fs.get_feature_view("view", 1),
        tmp_path / "warehouse" / "one_1",
    )
    shutil.copytree(place, tmp_path / "backup")
    group.insert(FRAME.assign(k=[3, 4]))
    group.sync_online()
    view.training_data()
    shutil.rmtree(place)
    (tmp_path / "backup").rename(place)
    commands.invalidate_cache(spark, str(place))
    with pytest.raises(
        NotFoundError,
        match=(
            rf"Version 1 of the table at {place} is online, and its log ends with version 0.* with"
            r" full=True"
        ),
    ):
        group.sync_online()
    with pytest.raises(
        NotFoundError,
        match=rf"Version 1 of the table at {place} is wanted, and its log ends with version 0",
    ):
        view.get_training_data(2)
    assert len(view.get_training_data(1)[0]) == 2
    assert group.sync_online(full=True).summary["written"] == 2
    assert group.verify_online().ok


def test_what_was_served_is_served_on_and_pages_name_what_is_lost(
    fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    served = fs.create_feature_view("served", fs.get_feature_group("one", 1).select(["v"]))
    (tmp_path / "warehouse" / "one_1").rename(tmp_path / "elsewhere")
    assert served.get_feature_vector({"k": 1}) == [1.0]
    assert f"{tmp_path}/warehouse/one_1 holds no Delta log" in render_home_page(fs._stores, "/")


def test_a_group_that_is_given_up_can_be_begun_anew(
    fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    two = fs.create_feature_group("two", 1, primary_key=["k"], event_time="t", online_enabled=True)
    two.insert(FRAME)
    two.sync_online()
    shutil.rmtree(tmp_path / "warehouse")
    with pytest.raises(NotFoundError, match=r"two_1 holds no Delta log.*delete\(force=True\)"):
        two.delete()
    two.delete(force=True)
    again = fs.create_feature_group(
        "two", 1, primary_key=["k"], event_time="t", online_enabled=True
    )
    assert again.insert(FRAME[:1])[0].summary["inserted"] == 1
    assert again.sync_online().summary["written"] == 1
    assert again.verify_online().ok, "what was online of the other is gone"
    with pytest.raises(NotFoundError, match=r"Version 0 of the table|spine_1 holds no Delta log"):
        fs.get_feature_view("view", 1).get_training_data(1)


def test_a_group_whose_log_is_damaged_can_be_deleted(
    fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    (tmp_path / "warehouse" / "one_1" / "_delta_log" / f"{0:020d}.json").write_text("no JSON")
    fs.get_feature_group("one", 1).delete(force=True)
    assert not (tmp_path / "warehouse" / "one_1").exists()
    assert [group.name for group in fs.get_feature_groups()] == ["spine"]


@pytest.mark.slow
def test_a_group_that_never_had_a_row_is_empty(fs: FeatureStore, spark: SparkSession) -> None:
    """One that declares its columns, and one whose first insert was killed after its schema was kept."""
    declared = fs.create_feature_group(
        "declared",
        primary_key=["k"],
        event_time="t",
        online_enabled=True,
        features=[
            spark_fs.Feature("k", "bigint"),
            spark_fs.Feature("t", "timestamp"),
            spark_fs.Feature("v", "double"),
        ],
    )
    killed = fs.create_feature_group("killed", primary_key=["k"], event_time="t")
    fs._stores.catalog.change_group(killed.spec.ref, lambda spec: spec.with_schema(declared.schema))
    for group in (declared, killed):
        assert group.read("pandas").empty
        assert group.head(3).empty
        assert group.commit_details() == []
        assert group.watermark is None
        assert group.insert(FRAME)[0].summary["inserted"] == 2
        assert len(group.read("pandas")) == 2


def unmarked(home: Path, name: str) -> None:
    """The group as the migration of a store that kept no such note leaves it."""
    with sqlite3.connect(home / "catalog.db") as database:
        database.execute("UPDATE feature_groups SET has_table = 0 WHERE name = ?", [name])


def test_a_store_of_an_earlier_version_knows_its_rows_by_what_was_made_of_them(
    fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    for name in ("one", "spine"):
        unmarked(tmp_path, name)
    store = spark_fs.login({"home": tmp_path}).get_feature_store()
    (tmp_path / "warehouse" / "one_1").rename(tmp_path / "elsewhere")
    with pytest.raises(
        NotFoundError,
        match="training dataset 1 of feature view 'view' version 1 read version 0 of it",
    ):
        store.get_feature_group("one", 1).read("pandas")
    store.get_feature_view("view", 1).delete(force=True)
    with pytest.raises(NotFoundError, match="statistics of its commit 0 are kept beside it"):
        store.get_feature_group("one", 1).read("pandas")
    shutil.rmtree(tmp_path / "warehouse" / "one_1_statistics")
    with pytest.raises(NotFoundError, match="version 0 of it is online"):
        store.sync_online()
    (tmp_path / "elsewhere").rename(tmp_path / "warehouse" / "one_1")
    assert len(store.get_feature_group("one", 1).head(5)) == 2, "which notes that there is a table"
    (tmp_path / "warehouse" / "one_1").rename(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError, match="its first rows were committed"):
        store.get_feature_group("one", 1).read("pandas")


@pytest.mark.slow
def test_training_data_whose_files_are_not_there_is_not_less(
    fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    view, spine = fs.get_feature_view("view", 1), FRAME[["k", "t"]].assign(y=1.0)
    number, _ = view.create_training_data(spine_df=spine, coalesce=True)
    split, _ = view.create_train_test_split(test_ratio=0.5, seed=1)
    places = {
        each.version: Path(each.files.location)
        for each in view.get_training_datasets()
        if each.files
    }
    wanted = view.get_training_data(number)[0]
    assert len(wanted) == 2
    (places[split] / "test").rename(tmp_path / "elsewhere")
    with pytest.raises(
        NotFoundError,
        match=(
            rf"no files in {places[split]}/test, the folder of training dataset {split} .* Mount or"
            r" restore it"
        ),
    ):
        view.get_train_test_split(split)
    (tmp_path / "elsewhere").rename(places[split] / "test")
    assert len(view.get_train_test_split(split)) == 4
    file = next(places[number].glob("*.parquet"))
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
    pq.write_table(pq.read_table(file).slice(0, 1), file)
    with pytest.raises(
        NotFoundError,
        match=(
            rf"{places[number]} holds 1 of the 2 rows of split"
            rf" 'train'.*recreate_training_dataset\({number}\)"
        ),
    ):
        view.get_training_data(number)
    shutil.rmtree(places[number])
    for kind in ("pandas", "spark"):
        with pytest.raises(NotFoundError, match=rf"no files in {places[number]}"):
            view.get_training_data(number, dataframe_type=kind)
    view.recreate_training_dataset(number)
    pd.testing.assert_frame_equal(view.get_training_data(number)[0], wanted)
    shutil.rmtree(f"{places[number]}-spine")
    with pytest.raises(
        NotFoundError,
        match=(
            rf"no files in {places[number]}-spine, the folder of the spine of training dataset"
            rf" {number}"
        ),
    ):
        view.get_training_data(number)


def test_an_external_source_that_is_not_there_is_named(
    fs: FeatureStore, tmp_path: Path, spark: SparkSession
) -> None:
    for kind in ("parquet", "delta"):
        place = tmp_path / kind
        spark.createDataFrame(FRAME).write.format(kind).save(str(place))
        group = fs.create_external_feature_group(
            f"outside_{kind}", data_format=kind, path=str(place), primary_key=["k"], event_time="t"
        )
        assert len(group.read("pandas")) == 2
        shutil.rmtree(place)
        with pytest.raises(SparkFSError, match=rf"{place}"):
            group.read("pandas")
