"""Rows in: what an insert writes, counts and refuses."""

import decimal
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import (
    InvalidNameError,
    KeyValueError,
    NotFoundError,
    SchemaError,
    SparkFSError,
)

from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
Make = Callable[..., FeatureGroup]


@pytest.fixture
def clicks(group: Make) -> FeatureGroup:
    """Three rows of two keys."""
    return group("clicks", FIRST, primary_key=["k"], event_time="at")


def versions(group: FeatureGroup) -> list[int]:
    return [commit.version for commit in group.commit_details()]


def test_rows_are_inserted_updated_or_left_as_they_are(clicks: FeatureGroup) -> None:
    second = pd.DataFrame({"k": [1, 2, 3], "at": [DAY[0], DAY[2], DAY[0]], "v": [1.0, 9.0, 5.0]})
    job, report = clicks.insert(second)
    assert job.summary == {"read": 3, "inserted": 1, "updated": 1, "unchanged": 1, "set_aside": 0}
    assert report is None
    wanted = pd.concat([FIRST, second]).drop_duplicates(["k", "at"], keep="last")
    same_rows(clicks.read("pandas"), wanted, ["k", "at"])


def test_the_same_frame_again_writes_nothing(clicks: FeatureGroup) -> None:
    before = versions(clicks)
    job, _ = clicks.insert(FIRST)
    assert job.summary == {"read": 3, "inserted": 0, "updated": 0, "unchanged": 3, "set_aside": 0}
    assert versions(clicks) == before


@pytest.mark.slow
def test_a_null_that_stays_null_is_no_change_and_one_that_goes_is(group: Make) -> None:
    nulls = group("nulls", FIRST.assign(v=[None, 2.0, 3.0]), primary_key=["k"], event_time="at")
    job, _ = nulls.insert(FIRST.assign(v=[None, None, 3.0]))
    assert job.summary == {"read": 3, "inserted": 0, "updated": 1, "unchanged": 2, "set_aside": 0}


def test_a_late_row_lands_in_history(clicks: FeatureGroup) -> None:
    job, _ = clicks.insert(
        pd.DataFrame({"k": [1], "at": pd.to_datetime(["2023-12-01"], utc=True), "v": [0.0]})
    )
    assert job.summary["inserted"] == 1
    assert len(clicks.read("pandas")) == 4


@pytest.mark.slow
def test_a_group_without_event_time_holds_one_row_per_key(group: Make) -> None:
    users = group("users", pd.DataFrame({"k": [1, 2], "v": ["a", "b"]}), primary_key=["k"])
    job, _ = users.insert(pd.DataFrame({"k": [2, 3], "v": ["B", "c"]}))
    assert (job.summary["inserted"], job.summary["updated"]) == (1, 1)
    same_rows(users.read("pandas"), pd.DataFrame({"k": [1, 2, 3], "v": ["a", "B", "c"]}), ["k"])


def test_commits_tell_what_was_done(clicks: FeatureGroup) -> None:
    clicks.insert(pd.DataFrame({"k": [1, 9], "at": [DAY[0], DAY[0]], "v": [7.0, 7.0]}))
    newest, first = clicks.commit_details()
    assert (newest.version, newest.operation, newest.inserted, newest.updated) == (
        1,
        "upsert",
        1,
        1,
    )
    assert (first.version, first.operation, first.inserted, first.updated) == (0, "upsert", 3, 0)
    assert (datetime.now(UTC) - newest.committed_at).total_seconds() < 600
    assert [c.version for c in clicks.commit_details(limit=1)] == [1]


@pytest.mark.slow
def test_partitions_are_folders(group: Make, spark: SparkSession) -> None:
    parts = group(
        "parts",
        FIRST.assign(day=[1, 2, 3]),
        primary_key=["k"],
        event_time="at",
        partition_key=["day"],
    )
    parts.insert(FIRST.assign(day=[1, 2, 3], v=[5.0, 2.0, 3.0]))
    same_rows(parts.read("pandas"), FIRST.assign(day=[1, 2, 3], v=[5.0, 2.0, 3.0]), ["k", "at"])
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{parts.location}`").collect()[0]
    assert detail["partitionColumns"] == ["day"]


TYPED = pa.table(
    {
        "k": pa.array([1, 2], pa.uint8()),
        "flag": pa.array([True, None]),
        "i8": pa.array([-128, None], pa.int8()),
        "i64": pa.array([2**63 - 1, None], pa.int64()),
        "u64": pa.array([2**64 - 1, None], pa.uint64()),
        "f32": pa.array([0.1, None], pa.float32()),
        "f64": pa.array([float("nan"), None], pa.float64()),
        "amount": pa.array([decimal.Decimal("12345678.90"), None], pa.decimal128(10, 2)),
        "at": pa.array([datetime(2024, 1, 1, 12, 0, 0, 1), None], pa.timestamp("us")),
        "day": pa.array([date(1969, 12, 31), None]),
        "text": pa.array(["naïve 🙂", None]),
        "kind": pa.array(["a", None]).dictionary_encode(),
        "raw": pa.array([b"\x00\xff", None]),
        "tags": pa.array([["a", None], None], pa.list_(pa.string())),
        "pair": pa.array(
            [{"x": 1, "y": "b"}, None], pa.struct([("x", pa.int32()), ("y", pa.string())])
        ),
    }
)


def test_every_type_comes_back_as_it_went_in(fs: FeatureStore) -> None:
    typed = fs.create_feature_group("typed", primary_key=["k"])
    typed.insert(TYPED)
    assert typed.schema == {
        "k": "smallint",
        "flag": "boolean",
        "i8": "tinyint",
        "i64": "bigint",
        "u64": "decimal(20,0)",
        "f32": "float",
        "f64": "double",
        "amount": "decimal(10,2)",
        "at": "timestamp",
        "day": "date",
        "text": "string",
        "kind": "string",
        "raw": "binary",
        "tags": "array<string>",
        "pair": "struct<x:int,y:string>",
    }
    full, empty = (row.asDict(recursive=True) for row in typed.read().orderBy("k").collect())
    wanted: dict[str, Any] = TYPED.slice(0, 1).to_pylist()[0] | {"f32": float(np.float32(0.1))}
    assert np.isnan(full.pop("f64"))
    assert np.isnan(wanted.pop("f64"))
    assert full == wanted
    assert {value for name, value in empty.items() if name != "k"} == {None}


@pytest.mark.slow
def test_spark_pandas_and_arrow_frames_make_the_same_group(
    fs: FeatureStore, spark: SparkSession
) -> None:
    frame = pd.DataFrame(
        {
            "k": [1, 2],
            "at": pd.to_datetime(["2024-01-01 05:00", "2024-07-01 00:00"]),
            "v": [1.5, None],
            "s": ["a", None],
        }
    )
    frames = {"p": frame, "a": pa.Table.from_pandas(frame), "s": spark.createDataFrame(frame)}
    read = {}
    for name, each in frames.items():
        made = fs.create_feature_group(name, primary_key=["k"], event_time="at")
        made.insert(each)
        read[name] = made.read("pandas")
        assert made.schema == {"k": "bigint", "at": "timestamp", "v": "double", "s": "string"}
        assert list(read[name].sort_values("k")["at"]) == [
            pd.Timestamp("2024-01-01 05:00", tz="UTC"),
            pd.Timestamp("2024-07-01", tz="UTC"),
        ]
    same_rows(read["a"], read["p"], ["k"])
    same_rows(read["s"], read["p"], ["k"])


def test_a_narrower_type_is_widened(clicks: FeatureGroup) -> None:
    clicks.insert(
        pd.DataFrame({"k": np.array([7], "int16"), "at": DAY[:1], "v": np.array([0.5], "float32")})
    )
    assert clicks.schema == {"k": "bigint", "at": "timestamp", "v": "double"}
    assert 7 in set(clicks.read("pandas")["k"])


# -- what is refused, and that nothing is written then

REFUSED: list[tuple[str, pd.DataFrame, type[SparkFSError], str]] = [
    (
        "missing column",
        FIRST.drop(columns="v"),
        SchemaError,
        (
            r"does not fit feature group 'clicks' version 1: column 'v' \(double\) is missing."
            r" Nothing was written. Correct the frame, add new columns with append_features first,"
            r" or create a new version"
        ),
    ),
    ("more columns", FIRST.assign(w=1), SchemaError, r"column 'w' \(bigint\) is not in the group"),
    (
        "other type",
        FIRST.assign(v=["a", "b", "c"]),
        SchemaError,
        "column 'v' is string, the group has double",
    ),
    (
        "every difference",
        FIRST.assign(v=["a", "b", "c"], w=1).drop(columns="k"),
        SchemaError,
        (
            r"column 'k' \(bigint\) is missing; column 'w' \(bigint\) is not in the group; column"
            r" 'v' is string, the group has double"
        ),
    ),
    (
        "null key",
        FIRST.assign(k=[1, None, None]).astype({"k": "Int64"}),
        KeyValueError,
        (
            r"cannot take null keys or event times: the frame has 2 in 'k'. Nothing was written. .*"
            r" Examples: k=None, at=datetime"
        ),
    ),
    (
        "null event time",
        FIRST.assign(at=[DAY[0], None, DAY[2]]),
        KeyValueError,
        "the frame has 1 in 'at'",
    ),
    (
        "one identity twice",
        FIRST.assign(k=1, at=DAY[0]),
        KeyValueError,
        (
            r"several rows of one identity \(k, at\), .* Nothing was written. .* Examples: k=1,"
            r" at=datetime"
        ),
    ),
    (
        "mixed types",
        FIRST.assign(v=[1, "a", b"b"]),
        SchemaError,
        "The frame holds a column of mixed or unknown types",
    ),
]


@pytest.mark.parametrize(
    ("frame", "error", "text"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_frame_that_does_not_fit_is_refused_whole(
    clicks: FeatureGroup, frame: pd.DataFrame, error: type[SparkFSError], text: str
) -> None:
    before = versions(clicks)
    with pytest.raises(error, match=text):
        clicks.insert(frame)
    assert versions(clicks) == before
    same_rows(clicks.read("pandas"), FIRST, ["k", "at"])


FIRST_REFUSED: list[tuple[str, object, type[SparkFSError], str]] = [
    (
        "no key column",
        FIRST.drop(columns="k"),
        NotFoundError,
        "The primary key column of feature group 'new' version 1 'k' does not exist",
    ),
    (
        "no event time",
        FIRST.drop(columns="at"),
        NotFoundError,
        "The event time column .* 'at' does not exist",
    ),
    (
        "event time is no time",
        FIRST.assign(at=["a", "b", "c"]),
        SchemaError,
        "Event time 'at' of feature group 'new' version 1 is string: it must be one of",
    ),
    (
        "bad column name",
        FIRST.rename(columns={"v": "my-value"}),
        InvalidNameError,
        "'my-value' is not a valid name",
    ),
    (
        "duplicates in the first batch",
        FIRST.assign(k=1, at=DAY[0]),
        KeyValueError,
        "several rows of one identity",
    ),
    (
        "only nulls",
        FIRST.assign(v=None),
        SchemaError,
        "Column 'v' holds only nulls, so its type is unknown: give it a type",
    ),
    (
        "no frame",
        [1, 2],
        SchemaError,
        "Row 0 of the list is a int, not a dict of the values by their columns' names: give a Spark",
    ),
]


@pytest.mark.parametrize(
    ("frame", "error", "text"), [r[1:] for r in FIRST_REFUSED], ids=[r[0] for r in FIRST_REFUSED]
)
def test_a_first_frame_that_is_refused_leaves_no_table(
    fs: FeatureStore, frame: object, error: type[SparkFSError], text: str
) -> None:
    new = fs.create_feature_group("new", primary_key=["k"], event_time="at")
    with pytest.raises(error, match=text):
        new.insert(frame)
    assert new.commit_details() == []
    assert fs.get_feature_group("new", 1).schema == {}


def test_a_frame_that_fails_while_it_is_read_writes_nothing(
    clicks: FeatureGroup, spark: SparkSession
) -> None:
    before = versions(clicks)
    broken = spark.createDataFrame(FIRST).selectExpr(
        "k", "at", "cast(raise_error('the source is gone') as double) as v"
    )
    with pytest.raises(
        SparkFSError,
        match=(
            r"Nothing was inserted into feature group 'clicks' version 1: reading or writing the"
            r" frame failed: .*the source is gone"
        ),
    ):
        clicks.insert(broken)
    assert versions(clicks) == before


def test_an_empty_frame_writes_nothing(clicks: FeatureGroup, fs: FeatureStore) -> None:
    before = versions(clicks)
    job, _ = clicks.insert(FIRST.head(0))
    assert (set(job.summary.values()), versions(clicks)) == ({0}, before)
    new = fs.create_feature_group("new", primary_key=["k"], event_time="at")
    new.insert(FIRST.head(0))
    assert (new.schema, len(new.read("pandas"))) == (clicks.schema, 0)


def test_infinities_and_nan_are_values(fs: FeatureStore) -> None:
    frame = pa.table({"k": [1, 2, 3, 4], "v": [float("nan"), float("inf"), float("-inf"), None]})
    odd = fs.create_feature_group("odd", primary_key=["k"])
    odd.insert(frame)
    assert odd.insert(frame)[0].summary["unchanged"] == 4
    assert [str(row["v"]) for row in odd.read().orderBy("k").collect()] == [
        "nan",
        "inf",
        "-inf",
        "None",
    ]


def test_a_first_decimal_leaves_room_for_larger_ones_and_not_for_finer_ones(group: Make) -> None:
    priced = group(
        "priced", pd.DataFrame({"k": [1], "v": [decimal.Decimal("1.10")]}), primary_key=["k"]
    )
    priced.insert(
        pd.DataFrame(
            {
                "k": [2, 3, 4],
                "v": [
                    decimal.Decimal(text)
                    for text in ("1.5", "22.20", "123456789012345678901234567890.12")
                ],
            }
        )
    )
    with pytest.raises(
        SchemaError, match=r"column 'v' is decimal\(4,3\), the group has decimal\(38,2\)"
    ):
        priced.insert(pd.DataFrame({"k": [5], "v": [decimal.Decimal("1.234")]}))
    assert list(map(str, priced.read("pandas").sort_values("k")["v"])) == [
        "1.10",
        "1.50",
        "22.20",
        "123456789012345678901234567890.12",
    ]


def test_a_damaged_log_is_named(clicks: FeatureGroup) -> None:
    log = Path(clicks.location, "_delta_log", f"{0:020}.json")
    whole = log.read_text()
    log.write_text(whole[: len(whole) // 2])
    with pytest.raises(
        SparkFSError,
        match=(
            r"The log of the table at .* is damaged: commit 0, .*00000.json, cannot be read: .*"
            r" Restore its _delta_log from a backup"
        ),
    ):
        clicks.commit_details()
    log.unlink()
    (log.parent / f"{5:020}.json").write_text(whole)
    with pytest.raises(
        SparkFSError,
        match="Nothing was inserted into feature group 'clicks' version 1: reading or writing",
    ):
        clicks.insert(FIRST.assign(v=0.0))


@pytest.mark.slow
def test_infinities_are_rows_like_others(fs: FeatureStore) -> None:
    group = fs.create_feature_group("infinite", primary_key=["k"])
    values = [0.5, float("inf"), float("-inf"), 1.5]
    for first in (
        0,
        4,
    ):  # in several files, some with an infinity among their bounds and some without
        frame = fs._stores.spark.createDataFrame(
            [(first + i, v) for i, v in enumerate(values)], "k long, v double"
        ).repartition(4)
        group.insert(frame)
    assert sorted(group.read("pandas")["v"]) == sorted(values * 2)


@pytest.mark.parametrize("kind", ["polars", "a LazyFrame", "a list of dicts", "an Arrow reader"])
def test_frames_of_other_kinds_are_inserted_and_deleted_as_pandas_is(
    fs: FeatureStore, kind: str
) -> None:
    rows = [
        {"k": 1, "at": datetime(2024, 1, 1, tzinfo=UTC), "v": 1.5, "name": "a", "tags": ["x"]},
        {"k": 2, "at": datetime(2024, 1, 2, tzinfo=UTC), "v": None, "name": None, "tags": []},
        {"k": 2, "at": datetime(2024, 1, 2, tzinfo=UTC), "v": 2.5, "name": "z", "tags": None},
    ]
    table = pa.Table.from_pylist(rows)
    kinds: dict[str, Callable[[pa.Table], Any]] = {
        "polars": pl.from_arrow,
        "a LazyFrame": lambda table: pl.from_arrow(table).lazy(),
        "a list of dicts": lambda table: table.to_pylist(),
        "an Arrow reader": lambda table: table.to_reader(),
    }
    group = fs.create_feature_group("kinds", primary_key=["k"], event_time="at")
    job, _ = group.insert(kinds[kind](table), write_options={"keep": "last"})
    assert job.summary["inserted"] == 2
    assert group.schema == {
        "k": "bigint",
        "at": "timestamp",
        "v": "double",
        "name": "string",
        "tags": "array<string>",
    }
    assert group.read("arrow", engine="local").to_pylist() == [rows[0], rows[2]]
    group.delete_records(kinds[kind](table.select(["k"]).slice(0, 1)))
    assert group.read("polars", engine="local").to_dicts() == [rows[2]]
