"""Backfill and incremental runs: one commit each, safe to repeat, and the same table either way."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.engine.windows import AGGREGATIONS, Events, rolling
from spark_fs.errors import SettingsError
from spark_fs.flows.backfill import Builder

from conftest import at
from oracles import same_rows


@pytest.fixture
def hours(fs: FeatureStore) -> FeatureGroup:
    return fs.create_feature_group("hours", primary_key=["k"], event_time="t")


def build(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """One row an hour."""
    count = int((end - start) / timedelta(hours=1))
    return spark.range(count).select(
        F.lit(1).alias("k"),
        (F.lit(start) + F.make_interval(hours=F.col("id").cast("int"))).alias("t"),
        F.hour(F.lit(start)).alias("n"),
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
    (job,) = hours.run_incremental(
        lambda spark, start, end: build(spark, start, start), "2024-01-03"
    )
    assert job.summary["read"] == 0
    assert hours.watermark == at("01-03")


def test_the_watermark_outlives_the_log_files_before_a_checkpoint(hours: FeatureGroup) -> None:
    hours.backfill(build, "2024-01-01", "2024-01-02")
    hours.insert(
        pd.DataFrame({"k": [2], "t": pd.to_datetime(["2023-01-01"], utc=True), "n": [1]}).astype(
            {"n": "int32", "k": "int32"}
        )
    )
    DeltaTable(hours.location).create_checkpoint()
    Path(hours.location, "_delta_log", f"{0:020}.json").unlink()
    assert hours.watermark == at("01-02")


def test_there_must_be_a_start(hours: FeatureGroup) -> None:
    with pytest.raises(
        SettingsError,
        match=(
            r"Feature group 'hours' version 1 has no watermark yet: run backfill\(build, start,"
            r" end\) first"
        ),
    ):
        hours.run_incremental(build, "2024-01-05")
    hours.backfill(build, "2024-01-01", "2024-01-02")
    with pytest.raises(
        SettingsError, match="every=0:00:00 is not a length of time: give one above zero"
    ):
        hours.run_incremental(build, "2024-01-05", every=timedelta(0))


@pytest.mark.slow
def test_a_group_without_event_time_is_built_once_per_run(fs: FeatureStore) -> None:
    names = fs.create_feature_group("names", primary_key=["k"])

    def all_names(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
        return spark.createDataFrame([(1, end.isoformat())], "k int, seen string")

    names.backfill(all_names, "2024-01-01", "2024-01-02")
    assert len(names.run_incremental(all_names, "2024-01-09")) == 1
    assert names.read("pandas")["seen"].tolist() == ["2024-01-09T00:00:00+00:00"]
    assert names.run_incremental(all_names, "2024-01-09") == []


# -- chunks


def test_a_backfill_in_chunks_is_one_commit_each_and_the_same_table(
    hours: FeatureGroup, fs: FeatureStore
) -> None:
    seen: list[dict[str, int]] = []
    job = hours.backfill(
        build,
        "2024-01-01",
        "2024-01-03 12:00",
        every=timedelta(days=1),
        progress=lambda j: seen.append(j.summary),
    )
    assert [s["inserted"] for s in seen] == [24, 24, 12]
    assert (job.summary["inserted"], job.summary["chunks"]) == (60, 3)
    assert [c.inserted for c in hours.commit_details()] == [12, 24, 24]
    assert hours.watermark == at("01-03 12:00")


@pytest.mark.slow
def test_a_killed_backfill_goes_on_behind_its_last_chunk(hours: FeatureGroup) -> None:
    built: list[datetime] = []

    def dies_once(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
        built.append(start)
        if len(built) == 3:
            raise ConnectionError("the source is gone")
        return build(spark, start, end)

    whole = ("2024-01-01", "2024-01-05", timedelta(days=1))
    with pytest.raises(ConnectionError, match="the source is gone"):
        hours.backfill(dies_once, *whole)
    hours.backfill(dies_once, *whole)
    assert built == [at("01-01"), at("01-02"), at("01-03"), at("01-03"), at("01-04")]
    assert hours.read().count() == 96
    built.clear()
    hours.backfill(
        dies_once, "2024-01-01", "2024-01-03", timedelta(days=1)
    )  # a finished one is built anew
    assert built == [at("01-01"), at("01-02")]


# -- lateness

ARRIVED = [  # key, event time, the instant from which the source has it, value
    ("a", "01-01 10:00", "01-01", 5),
    ("a", "01-01 23:00", "01-01", 7),
    ("b", "01-02 01:00", "01-02", 1),
    ("a", "01-01 22:30", "01-02 06:00", 100),  # seven and a half hours late
    ("b", "01-02 03:00", "01-02", 2),
    ("a", "01-02 02:00", "01-02", 3),
    ("a", "01-03 04:00", "01-03", 4),
    ("b", "01-02 23:59", "01-03 01:00", 50),
]


def windows_of(now: list[datetime]) -> Builder:
    """Window features of what the source has at the time of the run: one function for both ways."""

    def build_windows(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
        rows = [(k, at(t), float(v)) for k, t, arrived, v in ARRIVED if at(arrived) <= now[0]]
        events = Events(spark.createDataFrame(rows, "k string, t timestamp, v double"), "t", "v")
        lengths = {"4h": timedelta(hours=4), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
        instants = spark.range(0, 96, 4).select(
            F.explode(F.array(F.lit("a"), F.lit("b"))).alias("k"),
            (F.lit(at("01-01")) + F.make_interval(hours=F.col("id").cast("int"))).alias("at"),
        )
        asked = instants.filter((F.col("at") >= F.lit(start)) & (F.col("at") < F.lit(end)))
        return rolling(events, asked, "at", ["k"], lengths, AGGREGATIONS)

    return build_windows


@pytest.mark.slow
@pytest.mark.parametrize(
    "ends",
    [
        ["01-02", "01-03", "01-04"],
        ["01-02", "01-02 12:00", "01-04"],
        ["01-01 08:00", "01-02", "01-02 08:00", "01-03 16:00", "01-04"],
    ],
    ids=str,
)
def test_backfill_equals_any_sequence_of_incremental_runs(
    fs: FeatureStore, ends: list[str]
) -> None:
    now = [at("01-05")]
    whole = fs.create_feature_group("whole", primary_key=["k"], event_time="at")
    whole.backfill(windows_of(now), at("01-01"), at("01-04"), every=timedelta(hours=30))
    steps = fs.create_feature_group("steps", primary_key=["k"], event_time="at")
    now[0] = at(ends[0])
    steps.backfill(windows_of(now), at("01-01"), at(ends[0]))
    for before, end in pairwise(ends):
        now[0] = at(end)
        steps.run_incremental(
            windows_of(now), at(end), every=at(end) - at(before), lateness=timedelta(hours=36)
        )
    same_rows(steps.read("pandas"), whole.read("pandas"), ["k", "at"])
    assert steps.watermark == whole.watermark == at("01-04")
    assert steps.read("pandas")["v_max_24h"].max() == 100


@pytest.mark.slow
def test_lateness_never_reaches_before_the_backfill(hours: FeatureGroup) -> None:
    hours.backfill(build, "2024-01-02", "2024-01-03")
    hours.run_incremental(build, "2024-01-04", lateness=timedelta(days=30))
    assert hours.read("pandas")["t"].min() == at("01-02")
    with pytest.raises(SettingsError, match="lateness=-1 day, 0:00:00 is not a length of time"):
        hours.run_incremental(build, "2024-01-05", lateness=timedelta(days=-1))
