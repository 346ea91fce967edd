"""Which rows of a batch are one row, and what of them no group takes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_fs import Feature
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import (
    InvalidNameError,
    KeyValueError,
    SchemaError,
    SettingsError,
    SparkFSError,
)

Make = Callable[..., FeatureGroup]
AT = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = pa.table(
    {
        "k": [1, 1, 2, 2, 2],
        "at": pa.array([AT] * 5, pa.timestamp("us", "UTC")),
        "v": [float("nan"), float("nan"), None, None, None],
        "l": [[1, None], [1, None], [], [], []],
        "m": pa.array(
            [[("a", AT), ("b", None)], [("b", None), ("a", AT)], None, None, None],
            pa.map_(pa.string(), pa.timestamp("us", "UTC")),
        ),
    }
)


def summary(group: FeatureGroup, frame: Any, **options: Any) -> dict[str, int]:
    return group.insert(frame, write_options=options)[0].summary


@pytest.mark.slow
def test_rows_that_are_equal_in_every_column_are_one_row(
    fs: FeatureStore, spark: SparkSession
) -> None:
    for number, frame in enumerate((ROWS, spark.createDataFrame(ROWS))):
        once = fs.create_feature_group(f"once_{number}", primary_key=["k"], event_time="at")
        assert summary(once, frame) == {
            "read": 5,
            "inserted": 2,
            "updated": 0,
            "unchanged": 3,
            "set_aside": 0,
        }
        assert sorted(once.read("pandas")["k"]) == [1, 2]
    later = {"read": 5, "inserted": 0, "updated": 0, "unchanged": 5, "set_aside": 0}
    assert summary(once, ROWS) == summary(once, ROWS, keep="last", order_by="at") == later
    assert summary(once, ROWS, keep="last") == {
        "read": 5,
        "inserted": 0,
        "updated": 0,
        "unchanged": 2,
        "set_aside": 3,
    }
    assert once.insert(ROWS, operation="insert")[0].summary == {
        "read": 5,
        "inserted": 2,
        "updated": 0,
        "unchanged": 3,
        "set_aside": 0,
    }


@pytest.mark.slow
def test_rows_of_one_identity_that_differ_are_refused_with_what_to_do(group: Make) -> None:
    first = pd.DataFrame({"count": [1, 1, 1, 2], "v": [1, 1, 2, 3], "updated": [1, 1, 1, 1]})
    made = group("counted", first.tail(1), primary_key=["count"])
    with pytest.raises(
        KeyValueError,
        match=(
            r"several rows of one identity \(count\), which differ otherwise, .* Decide with"
            r" write_options=.* Examples: count=1$"
        ),
    ):
        made.insert(first)
    with pytest.raises(
        KeyValueError,
        match=(
            r"They are equal in 'updated' too: order by a column in which they differ\. Examples:"
            r" count=1$"
        ),
    ):
        made.insert(first, write_options={"keep": "last", "order_by": "updated"})
    assert summary(made, first, keep="first") == {
        "read": 4,
        "inserted": 1,
        "updated": 0,
        "unchanged": 1,
        "set_aside": 2,
    }
    assert dict(made.read("pandas")[["count", "v"]].to_numpy().tolist()) == {1: 1, 2: 3}


def test_names_of_our_own_columns_are_refused(group: Make, spark: SparkSession) -> None:
    frame = pd.DataFrame({"k": [1, 2], "v": [1, 2]})
    made = group("named", frame, primary_key=["k"])
    for name in ("__order", "__rank", "__row", "_ingested_at"):
        for given in (frame.assign(**{name: 1}), spark.createDataFrame(frame.assign(**{name: 1}))):
            for options in ({}, {"keep": "last", "order_by": "v"}, {"keep": "last"}):
                with pytest.raises((SchemaError, InvalidNameError), match=name):
                    made.insert(given, write_options=options)
    with pytest.raises(SettingsError, match="needs order_by too"):
        made.insert(spark.createDataFrame(frame), write_options={"keep": "last"})


@pytest.mark.slow
def test_null_keys_are_counted_before_rows_of_one_identity_are_one(group: Make) -> None:
    frame = pd.DataFrame({"k": pd.array([1, None, None, None, 1], "Int64"), "v": [1, 1, 1, 2, 2]})
    made = group("nulls", frame.head(1), primary_key=["k"])
    for options in ({"keep": "last"}, {"keep": "first", "order_by": "v"}, {}):
        with pytest.raises(KeyValueError, match="the frame has 3 in 'k'"):
            made.insert(frame, write_options=options)


TWICE = [("a", 1), ("b", 2), ("a", 3)]
MAPS: list[tuple[pa.Array, str]] = [
    (
        pa.array([TWICE], pa.map_(pa.string(), pa.int64())),
        "the key 'a' twice, in the row k=1: a map has one value for each key. Nothing was written",
    ),
    (pa.array([[TWICE]], pa.list_(pa.map_(pa.string(), pa.int64()))), "the key 'a' twice"),
    (
        pa.array(
            [{"m": [(1, "x"), (1, None)]}], pa.struct([("m", pa.map_(pa.int64(), pa.string()))])
        ),
        "the key '1' twice",
    ),
    (
        pa.array([[("x", TWICE)]], pa.map_(pa.string(), pa.map_(pa.string(), pa.int64()))),
        "the key 'a' twice",
    ),
]


@pytest.mark.slow
def test_a_map_with_a_key_twice_is_refused_with_the_key(
    fs: FeatureStore, spark: SparkSession
) -> None:
    for number, (column, text) in enumerate(MAPS):
        table = pa.table({"k": [1], "m": column})
        made = fs.create_feature_group(f"maps_{number}", primary_key=["k"])
        for frame in (table, spark.createDataFrame(table)) if number < 2 else (table,):
            with pytest.raises(KeyValueError, match=f"Column 'm' holds a map with {text}"):
                made.insert(frame)
        assert made.commit_details() == []
    declared = fs.create_feature_group(
        "declared",
        primary_key=["k"],
        features=[Feature("k", "bigint"), Feature("m", "map<string,bigint>")],
    )
    with pytest.raises(KeyValueError, match="the key 'a' twice, in the row k=1"):
        declared.insert(pd.DataFrame({"k": [1], "m": [TWICE]}))
    declared.insert(
        pd.DataFrame({"k": [1, 2, 3], "m": [{"a": 1, "b": None}, [("a", 2**53 + 1)], None]})
    )
    assert declared.read("pandas").sort_values("k")["m"].tolist() == [
        {"a": 1, "b": None},
        {"a": 2**53 + 1},
        None,
    ]


@pytest.mark.slow
def test_a_map_that_differs_by_a_microsecond_or_a_null_is_a_change(fs: FeatureStore) -> None:
    type_ = pa.map_(pa.string(), pa.timestamp("us", "UTC"))
    made = fs.create_feature_group("changed", primary_key=["k"])
    tables = [
        pa.table({"k": [1], "m": pa.array([[("a", value), ("b", AT)]], type_)})
        for value in (AT, AT + timedelta(microseconds=1), None)
    ]
    assert [summary(made, table)["updated"] for table in tables] == [0, 1, 1]
    again = pa.table({"k": [1], "m": pa.array([[("b", AT), ("a", None)]], type_)})
    assert summary(made, again)["unchanged"] == 1  # the order of a map's entries says nothing
    assert made.read("pandas")["m"].tolist() == [{"a": None, "b": AT}]


EPOCHS = [
    (1_704_067_200_000_000, "looks like microseconds: divide it by 1,000,"),
    (1_704_067_200_000_000_000, "looks like nanoseconds: divide it by 1,000,000,"),
    (-1_704_067_200_000_000, "microseconds"),
    (253_402_300_800_000, "microseconds"),
    (-62_135_596_801, "not an epoch in seconds or milliseconds"),
]


@pytest.mark.slow
def test_an_epoch_in_another_unit_is_refused_with_the_likely_one(
    group: Make, fs: FeatureStore, spark: SparkSession
) -> None:
    good = pd.DataFrame(
        {
            "k": [1, 2, 3],
            "at": [1_704_067_200, 1_704_067_200_000, -62_135_596_800],
            "v": [1.0, 2.0, 3.0],
        }
    )
    made = group("epochs", good, primary_key=["k"], event_time="at")
    for value, text in EPOCHS:
        with pytest.raises(
            KeyValueError, match=f"cannot take the event time {value} in 'at': .*{text}"
        ):
            made.insert(good.assign(at=[1_704_067_200, value, 1_704_067_200]))
    assert len(made.read("pandas")) == 3
    parted = fs.create_feature_group(
        "parted", primary_key=["k"], event_time="at", partition_key=["at"]
    )
    with pytest.raises(KeyValueError, match="looks like nanoseconds"):
        parted.insert(good.assign(at=1_704_067_200_000_000_000))
    bad = good.assign(at=1_704_067_200_000_000)
    for frame in (bad, spark.createDataFrame(bad)):
        with pytest.raises(
            SparkFSError,
            match=(
                "Event time 'at' holds 1704067200000000, which is not an epoch in seconds or"
                " milliseconds: divide microseconds by 1,000"
            ),
        ):
            fs.create_spine(
                frame[["k", "at"]], primary_key=["k"], event_time="at"
            ).select_all().join(made.select(["v"])).read("pandas")
    with pytest.raises(SparkFSError, match=r"is not a time|takes"):
        made.as_of(1_704_067_200_000_000.5)


@pytest.mark.slow
def test_a_text_that_a_partition_would_lose_is_refused(
    fs: FeatureStore, spark: SparkSession
) -> None:
    rows = pa.table({"k": [1, 2, 3], "part": ["a", None, " "]})
    made = fs.create_feature_group("parts", primary_key=["k"], partition_key=["part"])
    for text in ("", "__HIVE_DEFAULT_PARTITION__"):
        bad = pa.table({"k": [1, 2], "part": ["a", text]})
        for frame in (bad, spark.createDataFrame(bad)):
            with pytest.raises(
                SparkFSError,
                match=(
                    f"column 'part', which partitions the table, holds the string '{text}',"
                    " which Delta reads as null"
                ),
            ):
                made.insert(frame)
    made.insert(rows)
    assert (
        dict(made.read("pandas").to_numpy().tolist())
        == dict(made.head(5).to_numpy().tolist())
        == {
            1: "a",
            2: None,
            3: " ",
        }
    )
    with pytest.raises(
        SchemaError, match="partitioned by 'part' of the type binary, which can name no folder"
    ):
        fs.create_feature_group("bytes", primary_key=["k"], partition_key=["part"]).insert(
            pa.table({"k": [1], "part": [b"\xff"]})
        )


@pytest.mark.slow
def test_every_letter_may_name_a_field(fs: FeatureStore) -> None:
    frame = pd.DataFrame({"k": [1, 2], "d": [{"größe": 1, "1": [{"名": AT}]}, None]})
    made = fs.create_feature_group("letters", primary_key=["k"])
    made.insert(frame)
    assert made.schema["d"] == "struct<größe:bigint,1:array<struct<名:timestamp>>>"
    assert (
        made.select_all()
        .join(made.select(["d"]), prefix="other_")
        .read("pandas")
        .sort_values("k")["other_d"]
        .tolist()
        == frame["d"].tolist()
    )
    assert summary(made, frame)["unchanged"] == 2


@pytest.mark.slow
def test_statistics_count_a_duplicate_whoever_reads_the_rows(fs: FeatureStore) -> None:
    frame = pd.DataFrame({"k": [1, 2], "part": [0.5, 1.5], "v": [1.0, 2.0]})
    found = []
    for name, partition in (
        ("scanned", []),
        ("opened", ["part"]),
    ):  # a partition of doubles is read by Spark alone
        made = fs.create_feature_group(name, primary_key=["k"], partition_key=partition)
        for _ in range(2):
            made.insert(frame, operation="insert")
        statistics = made.compute_statistics().feature_descriptive_statistics
        found.append({each.feature_name: (each.count, each.sum) for each in statistics})
    assert found[0] == found[1]
    assert found[0]["v"] == (4, 6.0)


@pytest.mark.slow
def test_a_decimal_key_is_one_by_value(group: Make) -> None:
    made = group("priced", pd.DataFrame({"k": [Decimal("1.10")], "v": [1]}), primary_key=["k"])
    assert summary(
        made,
        pd.DataFrame(
            {"k": [Decimal("1.1"), Decimal("1.100").quantize(Decimal("1.1"))], "v": [1, 1]}
        ),
    ) == {
        "read": 2,
        "inserted": 0,
        "updated": 0,
        "unchanged": 2,
        "set_aside": 0,
    }


@pytest.mark.slow
def test_a_ttl_ends_to_the_microsecond(
    group: Make, fs: FeatureStore, capsys: pytest.CaptureFixture[str]
) -> None:
    held = pd.DataFrame({"k": [1], "at": [AT], "v": [1.0]})
    aged = group("aged", held, primary_key=["k"], event_time="at", ttl=1.5)
    ages = [
        timedelta(seconds=1.5),
        timedelta(seconds=1.5, microseconds=1),
        timedelta(seconds=2),
        timedelta(microseconds=250_000),
        timedelta(microseconds=250_001),
    ]
    asked = group(
        "asked",
        pd.DataFrame({"k": 1, "t": [AT + age for age in ages]}),
        primary_key=["k"],
        event_time="t",
    )
    query = asked.select_all().join(aged.select(["v"]))
    known = [True, False, False, True, True]
    for strategy in ("columnar", "broadcast", "sql"):
        found = query.read("pandas", strategy=strategy)
        assert (
            found.set_index("t").loc[[AT + age for age in ages], "v"].notna().tolist() == known
        ), strategy
    query.explain()
    assert "at most 1.5 seconds older" in capsys.readouterr().out
    assert "INTERVAL '1.5' SECOND" in query.to_string()
    view = fs.create_feature_view("ages", query)
    batch = view.get_batch_data(primary_key=True, event_time=True, max_feature_age=0.25).set_index(
        "t"
    )
    assert batch.loc[[AT + age for age in ages], "v"].notna().tolist() == [
        False,
        False,
        False,
        True,
        False,
    ]
    found = view.training_data(max_feature_age=timedelta(milliseconds=250))[0]
    assert int(found["v"].notna().sum()) == 1
