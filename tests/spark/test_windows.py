"""Window features hold what was known before an instant, and nothing of the instant itself."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.times import Interval
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.shuffle import hash_keys
from spark_fs.engine.join.skewed_keys import SkewedKeys
from spark_fs.engine.join.stages import get_key_columns
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.engine.spark_runner import SparkRows, SparkRunner, estimate_bytes
from spark_fs.engine.windows import AGGREGATIONS, Events, rolling
from spark_fs.engine.windows.relation import (
    EventSource,
    InstantSource,
    aggregate_at,
    aggregate_events,
    detect_skew,
)
from spark_fs.engine.windows.rows import compute_event_rows, compute_rows_at
from spark_fs.errors import SchemaError, SettingsError
from spark_fs.planning.window_plan import BoundFeature, WindowPlan, find_result_type

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
            " float, double, decimal, or cast it first"
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


HOUR = 3600 * 1_000_000


def bind(features: dict[str, tuple[str, str | None, int | None]], **grid: Any) -> WindowPlan:
    """The plan of features, each as (function, column, hours)."""
    types = {"k": "bigint", "s": "string", "t": "timestamp", "v": "double"}
    bound = []
    for name, (function, column, hours) in features.items():
        type_ = column and types[column]
        result = find_result_type(function, column, type_)
        over = hours and hours * HOUR
        bound.append(BoundFeature(name, function, column, type_, result, over, None, 0, None))
    keys = (("k", "bigint"), ("s", "string"))
    return WindowPlan(tuple(bound), keys, ("t", "timestamp"), tuple(types.items()), **grid)


MEASURES = {
    "n": ("count", None, 5),
    "total": ("sum", "v", 24),
    "spread": ("stddev", "v", 30),
    "newest": ("last", "v", 1),
}


def draw_events(count: int = 3000) -> pa.Table:
    """Events of some keys, of which one has half; some keys and instants are null."""
    draw = np.random.default_rng(8)
    keys = np.where(draw.random(count) < 0.5, 7, draw.integers(0, 40, count))
    micros = draw.integers(0, 10 * 24 * 60, count) * 60_000_000
    times = pa.array(micros, pa.int64(), mask=draw.random(count) < 0.02)
    return pa.table(
        {
            "k": pa.array(keys, pa.int64(), mask=draw.random(count) < 0.02),
            "s": pa.array(np.array(["a", "bc"])[(keys == 3).astype(int)]),
            "t": times.cast(pa.timestamp("us", "UTC")),
            "v": pa.array(draw.normal(0, 1e9, count)),
        }
    )


def scan_of(runner: Runner, events: pa.Table, folder: Path, files: int = 3) -> EventSource:
    """Files of the events, whose scan is a source."""
    written = []
    for number in range(files):
        part = events.take(pa.array(range(number, len(events), files)))
        path = folder / f"{number}.parquet"
        pq.write_table(part, path, row_group_size=500)
        written.append(ScanFile(str(path), path.stat().st_size, len(part), ()))
    types = {"k": "bigint", "s": "string", "t": "timestamp", "v": "double"}
    return EventSource.from_scan(runner, Scan.from_files(written, types))


def exact(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows in one order, doubles by their bits."""
    columns = []
    for column in table.columns:
        values = column.to_pylist()
        if pa.types.is_floating(column.type):
            values = [value if value is None else value.hex() for value in values]
        columns.append(values)
    return sorted(zip(*columns, strict=True), key=repr)


def collect(relation: ArrowRelation, types: dict[str, str]) -> pa.Table:
    return relation.select(types).collect()


@pytest.mark.parametrize("every", [None, 7 * HOUR], ids=["events", "grid"])
@pytest.mark.parametrize("unbounded", [False, True], ids=["bounded", "all history"])
def test_buckets_slices_files_and_frames_give_the_same_bits(
    spark: SparkSession, tmp_path: Path, every: int | None, unbounded: bool
) -> None:
    measures = MEASURES | ({"ever": ("count", "v", None)} if unbounded else {})
    plan = bind(measures, every=every)
    events = draw_events()
    interval = Interval.from_bounds("1970-01-03", "1970-01-09")
    expected = exact(compute_event_rows(events, plan, interval))
    assert len(expected) > 500
    source = scan_of(SparkRunner(spark), events, tmp_path)
    frame = EventSource.from_rows(SparkRows(spark.createDataFrame(events)), plan, events.nbytes)
    local = scan_of(LocalRunner(), events, tmp_path)
    spill = tmp_path / "spill"
    spill.mkdir()
    hot = int(hash_keys(get_key_columns(events.filter(pc.equal(events["k"], 7))[:1], plan.keys))[0])
    cut = SkewedKeys(3, (hot,), ((2 * 24 * HOUR, 3 * 24 * HOUR + 1, 7 * 24 * HOUR),))
    ways: list[tuple[EventSource, SkewedKeys | None, str | None]] = [
        (source, None, None),
        (frame, None, None),
        (source, SkewedKeys(1), None),
        (frame, SkewedKeys(5), str(spill)),
        (local, None, None),
        (local, SkewedKeys(5), None),
    ]
    if not unbounded:
        ways += [(source, cut, str(spill)), (frame, cut, None), (local, cut, None)]
    for each, skewed_keys, folder in ways:
        found = aggregate_events(each, plan, interval, folder, skewed_keys)
        assert exact(collect(found, plan.row_schema)) == expected


def test_given_instants_find_their_events_in_any_slice(spark: SparkSession, tmp_path: Path) -> None:
    plan = bind(MEASURES)
    events = draw_events()
    asked = draw_events(700).select(["k", "s", "t"]).rename_columns(["id", "s", "at"])
    types = {"id": "bigint", "s": "string", "at": "timestamp"}
    keys, time = (("id", "bigint"), ("s", "string")), ("at", "timestamp")
    relation = ArrowRelation.from_rows(
        SparkRows(spark.createDataFrame(asked)), to_arrow_schema(types)
    )
    instants = InstantSource(relation, keys, time, asked.nbytes)
    expected = exact(compute_rows_at(events, asked, plan, keys, time))
    assert len(expected) == 700
    hot = int(hash_keys(get_key_columns(events.filter(pc.equal(events["k"], 7))[:1], plan.keys))[0])
    cut = SkewedKeys(3, (hot,), ((2 * 24 * HOUR, 2 * 24 * HOUR + 5, 7 * 24 * HOUR),))
    source = scan_of(SparkRunner(spark), events, tmp_path)
    for skewed_keys in (None, SkewedKeys(1), cut):
        found = aggregate_at(source, instants, plan, None, skewed_keys)
        assert exact(collect(found, types | plan.schema)) == expected


def test_a_key_with_more_rows_than_a_bucket_is_cut_no_finer_than_its_windows(
    spark: SparkSession, tmp_path: Path
) -> None:
    source = scan_of(SparkRunner(spark), draw_events(), tmp_path)
    source = replace(source, byte_count=1 << 30)
    plan = bind(MEASURES)
    (bounds,) = detect_skew(source, plan, 1 << 30).slice_bounds
    assert len(bounds) > 3
    assert all(after - before >= 30 * HOUR for before, after in pairwise(bounds))
    assert detect_skew(source, bind({"ever": ("count", "v", None)}), 1 << 30).hashes == ()
    found = aggregate_events(source, plan)
    assert exact(collect(found, plan.row_schema)) == exact(compute_event_rows(draw_events(), plan))


def test_a_join_is_taken_for_no_more_bytes_than_it_reads(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = str(tmp_path / "rows")
    spark.range(20_000).selectExpr("id as k", "id * 7 as v").write.parquet(path)
    rows = spark.read.parquet(path)
    joined = rows.join(rows.withColumnRenamed("v", "w"), "k", "full")
    assert 10_000 < estimate_bytes(joined) <= 2 * estimate_bytes(rows)
    few = spark.sql("select * from values (1), (2) as e(k)")
    assert 0 < estimate_bytes(few) < 1000
    unknown = spark.createDataFrame(spark.sparkContext.parallelize([(1,)]), "k int")
    assert estimate_bytes(unknown.join(few, "k"), 12345) == 12345


def test_keys_and_instants_of_unfit_types_are_refused(spark: SparkSession) -> None:
    events = spark.sql("select 1 as k, timestamp'2024-01-01' as t, 1.5D as v, array(1) as l")
    given = Events(events, "t", "v")
    with pytest.raises(SchemaError, match="Key column 'k' is int in the events and string in the"):
        rolling(given, events.withColumn("k", F.lit("1")), "t", ["k"], WINDOWS)
    with pytest.raises(SchemaError, match="Key column 'l' is array<int> in the events"):
        rolling(given, events, "t", ["l"], WINDOWS)
    with pytest.raises(
        SchemaError, match="Column 'v' is double, and an instant is one of timestamp"
    ):
        rolling(given, events, "v", ["k"], WINDOWS)
    with pytest.raises(SettingsError, match=r"No column identifies an entity: give by=\['id'\]"):
        rolling(given, events, "t", [], WINDOWS)


def test_rolling_takes_keys_of_several_types_dates_and_nulls(spark: SparkSession) -> None:
    events = spark.sql(
        "select * from values (1, 'a', date'2024-01-01', 2.5BD), (1, 'a', date'2024-01-02', null),"
        " (1, 'a', date'2024-01-02', 4.25BD), (null, 'a', date'2024-01-02', 9BD),"
        " (1, 'b', null, 7BD) as e(k, s, known, v)"
    )
    asked = spark.sql(
        "select * from values (1L, 'a', timestamp'2024-01-03'), (null, 'a', timestamp'2024-01-03'),"
        " (1L, 'a', null), (1L, 'b', timestamp'2024-01-03') as i(k, s, at)"
    )
    found = rolling(
        Events(events, "known", "v"),
        asked,
        "at",
        ["k", "s"],
        {"2d": timedelta(days=2)},
        AGGREGATIONS,
    )
    assert dict(found.dtypes) == {
        "k": "bigint",
        "s": "string",
        "at": "timestamp",
        "v_count_2d": "bigint",
        "v_sum_2d": "decimal(13,2)",
        "v_mean_2d": "double",
        "v_stddev_2d": "double",
        "v_min_2d": "decimal(3,2)",
        "v_max_2d": "decimal(3,2)",
        "v_last_2d": "decimal(3,2)",
        "v_distinct_count_2d": "bigint",
    }
    rows = {(row["k"], row["s"]): row[3:] for row in found.collect()}
    empty = (0, *[None] * 6, 0)
    assert rows == {
        (1, "a"): (2, Decimal("6.75"), 3.375, 0.875, *map(Decimal, ("2.50", "4.25", "4.25")), 2),
        (None, "a"): empty,
        (1, "b"): empty,
    }
