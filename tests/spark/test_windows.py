"""Window features hold what was known before an instant, and nothing of the instant itself."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_fs.engine.windows import Events, rolling
from spark_fs.errors import SchemaError

from conftest import at

WINDOWS = {"4h": timedelta(hours=4), "24h": timedelta(hours=24)}


def windows(spark: SparkSession, events: list[tuple[str, str, int | None]], instants: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The features at each instant; an event is (key, when it is known, its value)."""
    known = spark.createDataFrame([(k, at(t), v) for k, t, v in events], "k string, known timestamp, delay int")
    asked = spark.createDataFrame([(k, at(t)) for k, t in instants], "k string, t timestamp")
    found = rolling(Events(known, "known", "delay"), asked, at="t", by=["k"], windows=WINDOWS)
    return [row.asDict() for row in found.orderBy("k", "t").collect()]


def test_a_window_begins_at_its_start_and_ends_before_its_instant(spark: SparkSession) -> None:
    events = [("a", "01-02 08:00", 1), ("a", "01-02 07:59:59.999999", 10), ("a", "01-02 12:00", 100), ("a", "01-02 11:59:59.999999", 1000)]
    (row,) = windows(spark, events, [("a", "01-02 12:00")])
    assert (row["delay_count_4h"], row["delay_mean_4h"], row["delay_stddev_4h"]) == (2, 500.5, 499.5)
    assert (row["delay_count_24h"], row["delay_mean_24h"]) == (3, 1011 / 3)


def test_an_empty_window_counts_zero_and_has_no_mean(spark: SparkSession) -> None:
    (row,) = windows(spark, [("b", "01-02 11:00", 5), ("a", "01-02 11:00", None)], [("a", "01-02 12:00")])
    assert [row[f"delay_{moment}_4h"] for moment in ("count", "mean", "stddev")] == [0, None, None]


def test_one_value_deviates_by_nothing(spark: SparkSession) -> None:
    (row,) = windows(spark, [("a", "01-02 11:00", -7)], [("a", "01-02 12:00")])
    assert [row[f"delay_{moment}_4h"] for moment in ("count", "mean", "stddev")] == [1, -7.0, 0.0]


def test_each_instant_gives_one_row_even_twice(spark: SparkSession) -> None:
    found = windows(spark, [("a", "01-02 11:00", 1)], [("a", "01-02 12:00"), ("a", "01-02 12:00"), ("c", "01-02 12:00")])
    assert [(row["k"], row["delay_count_4h"]) for row in found] == [("a", 1), ("a", 1), ("c", 0)]


def test_random_histories_agree_with_numpy(spark: SparkSession) -> None:
    draw = np.random.default_rng(3)
    start = pd.Timestamp("2024-01-01", tz="UTC")
    events = pd.DataFrame({"k": draw.integers(0, 3, 300), "known": start + pd.to_timedelta(draw.integers(0, 3000, 300), "min"),
                           "delay": draw.integers(-60, 1300, 300)})
    asked = pd.DataFrame({"k": draw.integers(0, 3, 200), "t": start + pd.to_timedelta(draw.integers(0, 3000, 200), "min")})
    known = Events(spark.createDataFrame(events), "known", "delay")
    found = rolling(known, spark.createDataFrame(asked), at="t", by=["k"], windows=WINDOWS).toPandas()
    assert len(found) == 200
    for row in found.itertuples():
        t = row.t.tz_localize("UTC")
        for name, length in WINDOWS.items():
            inside = events[(events.k == row.k) & (events.known >= t - length) & (events.known < t)].delay.to_numpy()
            assert getattr(row, f"delay_count_{name}") == len(inside)
            if len(inside):
                assert getattr(row, f"delay_mean_{name}") == inside.mean()
                assert getattr(row, f"delay_stddev_{name}") == pytest.approx(inside.std(), rel=1e-12, abs=1e-9)


def test_fractions_are_refused(spark: SparkSession) -> None:
    events = spark.sql("select 'a' as k, timestamp'2024-01-01' as known, 1.5D as delay")
    with pytest.raises(SchemaError, match="Column 'delay' is double: rolling sums need whole numbers; cast or scale it first"):
        rolling(Events(events, "known", "delay"), events, at="known", by=["k"], windows=WINDOWS)
