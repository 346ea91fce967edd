"""Window features hold what was known before an instant, and nothing of the instant itself."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_fs.engine.windows import AGGREGATIONS, Events, rolling
from spark_fs.errors import SchemaError, SettingsError

from conftest import at

WINDOWS = {"4h": timedelta(hours=4), "24h": timedelta(hours=24)}


def windows(
    spark: SparkSession, events: list[tuple[str, str, int | None]], instants: list[tuple[str, str]]
) -> list[dict[str, Any]]:
    """The features at each instant; an event is (key, when it is known, its value)."""
    known = spark.createDataFrame(
        [(k, at(t), v) for k, t, v in events], "k string, known timestamp, delay int"
    )
    asked = spark.createDataFrame([(k, at(t)) for k, t in instants], "k string, t timestamp")
    found = rolling(Events(known, "known", "delay"), asked, at="t", by=["k"], windows=WINDOWS)
    return [row.asDict() for row in found.orderBy("k", "t").collect()]


def test_a_window_begins_at_its_start_and_ends_before_its_instant(spark: SparkSession) -> None:
    events = [
        ("a", "01-02 08:00", 1),
        ("a", "01-02 07:59:59.999999", 10),
        ("a", "01-02 12:00", 100),
        ("a", "01-02 11:59:59.999999", 1000),
    ]
    (row,) = windows(spark, events, [("a", "01-02 12:00")])
    assert (row["delay_count_4h"], row["delay_mean_4h"], row["delay_stddev_4h"]) == (
        2,
        500.5,
        499.5,
    )
    assert (row["delay_count_24h"], row["delay_mean_24h"]) == (3, 1011 / 3)


def test_an_empty_window_counts_zero_and_has_no_mean(spark: SparkSession) -> None:
    (row,) = windows(
        spark, [("b", "01-02 11:00", 5), ("a", "01-02 11:00", None)], [("a", "01-02 12:00")]
    )
    assert [row[f"delay_{moment}_4h"] for moment in ("count", "mean", "stddev")] == [0, None, None]


def test_one_value_deviates_by_nothing(spark: SparkSession) -> None:
    (row,) = windows(spark, [("a", "01-02 11:00", -7)], [("a", "01-02 12:00")])
    assert [row[f"delay_{moment}_4h"] for moment in ("count", "mean", "stddev")] == [1, -7.0, 0.0]


def test_each_instant_gives_one_row_even_twice(spark: SparkSession) -> None:
    found = windows(
        spark,
        [("a", "01-02 11:00", 1)],
        [("a", "01-02 12:00"), ("a", "01-02 12:00"), ("c", "01-02 12:00")],
    )
    assert [(row["k"], row["delay_count_4h"]) for row in found] == [("a", 1), ("a", 1), ("c", 0)]


def test_random_histories_agree_with_numpy(spark: SparkSession) -> None:
    draw = np.random.default_rng(3)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame(
        {
            "k": draw.integers(0, 3, 300),
            "known": start + pd.to_timedelta(draw.integers(0, 3000, 300), "min"),
            "delay": draw.integers(-60, 1300, 300),
        }
    )
    asked = pd.DataFrame(
        {
            "k": draw.integers(0, 3, 200),
            "t": start + pd.to_timedelta(draw.integers(0, 3000, 200), "min"),
        }
    )
    known = Events(spark.createDataFrame(events), "known", "delay")
    found = rolling(
        known, spark.createDataFrame(asked), at="t", by=["k"], windows=WINDOWS
    ).toPandas()
    assert len(found) == 200
    for row in found.itertuples():
        t = row.t.tz_localize("UTC")
        for name, length in WINDOWS.items():
            inside = events[
                (events.k == row.k) & (events.known >= t - length) & (events.known < t)
            ].delay.to_numpy()
            assert getattr(row, f"delay_count_{name}") == len(inside)
            if len(inside):
                assert getattr(row, f"delay_mean_{name}") == inside.mean()
                assert getattr(row, f"delay_stddev_{name}") == pytest.approx(
                    inside.std(), rel=1e-12, abs=1e-9
                )


def test_every_aggregation_agrees_with_numpy(spark: SparkSession) -> None:
    draw = np.random.default_rng(5)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame(
        {
            "k": draw.integers(0, 3, 300),
            "known": start + pd.to_timedelta(draw.integers(0, 15000, 300), "min"),
            "v": draw.normal(0, 9, 300).round(1),
        }
    )
    asked = pd.DataFrame(
        {
            "k": draw.integers(0, 4, 100),
            "t": start + pd.to_timedelta(draw.integers(0, 15000, 100), "min"),
        }
    )
    lengths = {"4h": timedelta(hours=4), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
    found = rolling(
        Events(spark.createDataFrame(events), "known", "v"),
        spark.createDataFrame(asked),
        "t",
        ["k"],
        lengths,
        AGGREGATIONS,
    ).toPandas()
    assert len(found) == 100
    for row in found.itertuples():
        t = row.t.tz_localize("UTC")
        for name, length in lengths.items():
            inside = events[
                (events.k == row.k) & (events.known >= t - length) & (events.known < t)
            ].sort_values(["known", "v"])
            v = inside.v.to_numpy()
            assert (getattr(row, f"v_count_{name}"), getattr(row, f"v_distinct_count_{name}")) == (
                len(v),
                len(set(v)),
            )
            if len(v):
                assert [getattr(row, f"v_{a}_{name}") for a in ("min", "max", "last")] == [
                    v.min(),
                    v.max(),
                    v[-1],
                ]
                assert [
                    getattr(row, f"v_{a}_{name}") for a in ("sum", "mean", "stddev")
                ] == pytest.approx([v.sum(), v.mean(), v.std()], rel=1e-12, abs=1e-9)
            else:
                assert pd.isna(
                    [
                        getattr(row, f"v_{a}_{name}")
                        for a in ("min", "max", "last", "sum", "mean", "stddev")
                    ]
                ).all()


def test_whole_numbers_and_their_lists_give_the_same(spark: SparkSession) -> None:
    events = [
        ("a", "01-02 08:00", 3),
        ("a", "01-02 09:00", 3),
        ("a", "01-02 11:59:59.999999", -5),
        ("a", "01-02 12:00", 100),
    ]
    known = spark.createDataFrame(
        [(k, at(t), v) for k, t, v in events], "k string, known timestamp, delay int"
    )
    asked = spark.createDataFrame([("a", at("01-02 12:00"))], "k string, t timestamp")
    rows = [
        rolling(
            Events(frame, "known", "delay"),
            asked,
            "t",
            ["k"],
            {"4h": timedelta(hours=4)},
            AGGREGATIONS,
        )
        .collect()[0]
        .asDict()
        for frame in (known, known.withColumn("delay", F.col("delay").cast("double")))
    ]
    assert rows[0] == rows[1] | {
        "delay_stddev_4h": pytest.approx(rows[1]["delay_stddev_4h"], rel=1e-12)
    }
    assert [
        rows[0][f"delay_{a}_4h"] for a in ("count", "sum", "min", "max", "last", "distinct_count")
    ] == [3, 1, -5, 3, -5, 2]


def test_texts_have_a_last_and_a_distinct_count(spark: SparkSession) -> None:
    known = spark.createDataFrame(
        [
            ("a", at("01-02 08:00"), "x"),
            ("a", at("01-02 09:00"), "b"),
            ("a", at("01-02 09:30"), "x"),
        ],
        "k string, known timestamp, place string",
    )
    asked = spark.createDataFrame([("a", at("01-02 10:00"))], "k string, t timestamp")
    row = rolling(
        Events(known, "known", "place"),
        asked,
        "t",
        ["k"],
        {"4h": timedelta(hours=4)},
        ["last", "distinct_count", "min"],
    ).collect()[0]
    assert (row["place_last_4h"], row["place_distinct_count_4h"], row["place_min_4h"]) == (
        "x",
        2,
        "b",
    )


def test_what_cannot_be_aggregated_is_refused(spark: SparkSession) -> None:
    events = spark.sql("select 'a' as k, timestamp'2024-01-01' as known, 'x' as place")
    with pytest.raises(
        SchemaError,
        match=(
            "Column 'place' is string, which has no mean: use tinyint, smallint, int, bigint,"
            " float, double, or cast it first"
        ),
    ):
        rolling(Events(events, "known", "place"), events, at="known", by=["k"], windows=WINDOWS)
    with pytest.raises(
        SettingsError, match="Aggregation 'median' is not known: use count, sum, mean"
    ):
        rolling(Events(events, "known", "place"), events, "known", ["k"], WINDOWS, ["median"])
    with pytest.raises(
        SettingsError, match="Window '0h' is 0:00:00 long: give a length above zero"
    ):
        rolling(
            Events(events, "known", "place"), events, "known", ["k"], {"0h": timedelta(0)}, ["last"]
        )
