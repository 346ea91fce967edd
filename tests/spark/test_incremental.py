"""Backfill and incremental runs: one commit each, safe to repeat, and the same table either way."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.project import FeatureStore
from spark_fs.errors import SettingsError

from conftest import at
from oracles import same_rows


@pytest.fixture
def hours(fs: FeatureStore) -> FeatureGroup:
    return fs.create_feature_group("hours", primary_key=["k"], event_time="t")


def build(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """One row an hour."""
    count = int((end - start) / timedelta(hours=1))
    return spark.range(count).select(
        F.lit(1).alias("k"), (F.lit(start) + F.make_interval(hours=F.col("id").cast("int"))).alias("t"), F.hour(F.lit(start)).alias("n")
    )


def test_each_interval_is_one_commit_that_carries_the_watermark(hours: FeatureGroup) -> None:
    assert hours.watermark is None
    hours.backfill(build, "2024-01-01", "2024-01-03")
    assert hours.watermark == at("01-03")
    jobs = hours.run_incremental(build, "2024-01-05 23:00")
    assert [job.summary["inserted"] for job in jobs] == [24, 24]
    assert hours.watermark == at("01-05")
    assert [c.inserted for c in hours.commit_details()] == [24, 24, 48]


def test_a_second_run_does_nothing(hours: FeatureGroup) -> None:
    hours.backfill(build, "2024-01-01", "2024-01-02")
    hours.run_incremental(build, "2024-01-03")
    before = hours.commit_details()
    assert hours.run_incremental(build, "2024-01-03") == []
    assert hours.backfill(build, "2024-01-01", "2024-01-02").summary["unchanged"] == 24
    assert hours.commit_details() == before
    assert hours.watermark == at("01-03")


def test_backfill_and_increments_make_the_same_table(hours: FeatureGroup, fs: FeatureStore) -> None:
    hours.backfill(build, "2024-01-01", "2024-01-02")
    hours.run_incremental(build, "2024-01-04")
    times = pd.date_range("2024-01-01", "2024-01-04", freq="h", inclusive="left", tz=UTC)
    same_rows(hours.read("pandas"), pd.DataFrame({"k": 1, "t": times, "n": 0}), ["t"])


def test_a_run_that_fails_leaves_rows_and_watermark_as_they_were(hours: FeatureGroup) -> None:
    hours.backfill(build, "2024-01-01", "2024-01-02")

    def fails_on_the_second_day(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
        if start == at("01-03"):
            raise ConnectionError("the source is gone")
        return build(spark, start, end)

    with pytest.raises(ConnectionError, match="the source is gone"):
        hours.run_incremental(fails_on_the_second_day, "2024-01-04")
    assert hours.watermark == at("01-03")
    assert len(hours.run_incremental(build, "2024-01-04")) == 1
    assert hours.read().count() == 72


def test_an_interval_without_rows_moves_the_watermark_on(hours: FeatureGroup) -> None:
    hours.backfill(build, "2024-01-01", "2024-01-02")
    (job,) = hours.run_incremental(lambda spark, start, end: build(spark, start, start), "2024-01-03")
    assert job.summary["read"] == 0
    assert hours.watermark == at("01-03")


def test_the_watermark_outlives_the_log_files_before_a_checkpoint(hours: FeatureGroup) -> None:
    hours.backfill(build, "2024-01-01", "2024-01-02")
    hours.insert(pd.DataFrame({"k": [2], "t": pd.to_datetime(["2023-01-01"], utc=True), "n": [1]}).astype({"n": "int32", "k": "int32"}))
    DeltaTable(hours.location).create_checkpoint()
    Path(hours.location, "_delta_log", f"{0:020}.json").unlink()
    assert hours.watermark == at("01-02")


def test_there_must_be_a_start(hours: FeatureGroup) -> None:
    with pytest.raises(SettingsError, match=r"Feature group 'hours' version 1 has no watermark yet: run backfill\(build, start, end\) first"):
        hours.run_incremental(build, "2024-01-05")
    hours.backfill(build, "2024-01-01", "2024-01-02")
    with pytest.raises(SettingsError, match="every=0:00:00 is not a length of time: give one above zero"):
        hours.run_incremental(build, "2024-01-05", every=timedelta(0))


def test_a_group_without_event_time_is_built_once_per_run(fs: FeatureStore) -> None:
    names = fs.create_feature_group("names", primary_key=["k"])

    def all_names(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
        return spark.createDataFrame([(1, end.isoformat())], "k int, seen string")

    names.backfill(all_names, "2024-01-01", "2024-01-02")
    assert len(names.run_incremental(all_names, "2024-01-09")) == 1
    assert names.read("pandas")["seen"].tolist() == ["2024-01-09T00:00:00+00:00"]
    assert names.run_incremental(all_names, "2024-01-09") == []
