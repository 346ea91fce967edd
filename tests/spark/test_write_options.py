"""What a caller may ask of an insert: operation, which of several rows wins, batches that come twice, partitions."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import KeyValueError, NotFoundError, SettingsError

from conftest import first_quick
from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-02-03"], utc=True)
FIRST = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
TWICE = pd.DataFrame(
    {
        "k": [1, 1, 1, 2],
        "at": [DAY[0]] * 3 + [DAY[1]],
        "seq": [2, 3, 1, 1],
        "v": [20.0, 30.0, 10.0, 5.0],
    }
)
Make = Callable[..., FeatureGroup]


@pytest.fixture
def clicks(group: Make) -> FeatureGroup:
    """Three rows of two keys."""
    return group("clicks", FIRST, primary_key=["k"], event_time="at")


def files(group: FeatureGroup) -> set[str]:
    """The data files in the table's folder, named by a commit or not."""
    return {
        name
        for _, _, names in os.walk(group.location)
        for name in names
        if name.endswith(".parquet") and "checkpoint" not in name
    }


# -- which row of an identity wins


@pytest.mark.parametrize(
    ("options", "kept"),
    first_quick(
        [
            ({"keep": "last", "order_by": "seq"}, 30.0),
            ({"keep": "last"}, 10.0),
            ({"keep": "first", "order_by": "seq"}, 10.0),
            ({"keep": "first"}, 20.0),
        ],
        2,
    ),
    ids=str,
)
@pytest.mark.parametrize(
    "form", first_quick([lambda f: f, pa.Table.from_pandas]), ids=["pandas", "Arrow"]
)
def test_keep_says_which_row_of_an_identity_is_written(
    fs: FeatureStore, options: dict[str, Any], kept: float, form: Callable[..., Any]
) -> None:
    clicks = fs.create_feature_group("clicks", primary_key=["k"], event_time="at")
    job, _ = clicks.insert(form(TWICE), write_options=options)
    assert job.summary == {"read": 4, "inserted": 2, "updated": 0, "unchanged": 0, "set_aside": 2}
    assert clicks.read("pandas").set_index("k")["v"].to_dict() == {1: kept, 2: 5.0}


def test_keep_needs_an_order_where_a_frame_has_none(fs: FeatureStore, spark: SparkSession) -> None:
    clicks = fs.create_feature_group("clicks", primary_key=["k"], event_time="at")
    with pytest.raises(
        SettingsError,
        match="keep='last' needs order_by too: the rows of a Spark DataFrame have no order",
    ):
        clicks.insert(spark.createDataFrame(TWICE), write_options={"keep": "last"})
    with pytest.raises(
        NotFoundError, match="Column order_by 'sep' does not exist; did you mean 'seq'"
    ):
        clicks.insert(TWICE, write_options={"keep": "last", "order_by": "sep"})
    clicks.insert(spark.createDataFrame(TWICE), write_options={"keep": "last", "order_by": "seq"})
    assert len(clicks.read("pandas")) == 2


def test_rows_that_are_equal_in_the_order_are_refused(fs: FeatureStore) -> None:
    clicks = fs.create_feature_group("clicks", primary_key=["k"], event_time="at")
    with pytest.raises(
        KeyValueError,
        match=(
            r"several rows of one identity \(k, at\).*They are equal in 'seq' too: order by a"
            r" column in which they differ\. Examples: k=1"
        ),
    ):
        clicks.insert(TWICE.assign(seq=1), write_options={"keep": "last", "order_by": "seq"})
    assert (clicks.schema, files(clicks)) == ({}, set())


UNKNOWN: list[tuple[dict[str, Any], str]] = [
    ({"operation": "append"}, "operation 'append' is not known: use 'upsert' or 'insert'"),
    ({"write_options": {"kep": "last"}}, "write_options 'kep' does not exist; did you mean 'keep'"),
    ({"write_options": {"keep": "newest"}}, "keep 'newest' is not known: use 'first' or 'last'"),
    (
        {"write_options": {"order_by": "v"}},
        "order_by 'v' needs keep='first' or keep='last' beside it",
    ),
    ({"write_options": {"batch_id": 7}}, "batch_id 7 must be a string that is not empty"),
]


@pytest.mark.parametrize(("arguments", "text"), UNKNOWN, ids=str)
def test_options_that_do_not_exist_are_refused(
    clicks: FeatureGroup, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(SettingsError, match=text):
        clicks.insert(FIRST, **arguments)


# -- insert without a look


def test_inserted_without_a_look_the_last_ingested_is_the_row(
    clicks: FeatureGroup, fs: FeatureStore
) -> None:
    again = FIRST.assign(v=[9.0, 8.0, 7.0])
    job, _ = clicks.insert(again, operation="insert")
    assert job.summary == {"read": 3, "inserted": 3, "updated": 0, "unchanged": 0, "set_aside": 0}
    same_rows(clicks.read("pandas"), again, ["k", "at"])
    same_rows(fs.get_feature_group("clicks", 1).read("pandas"), again, ["k", "at"])
    assert [c.operation for c in clicks.commit_details()] == ["insert", "upsert"]


# -- batches that come twice


def test_a_batch_is_written_once(clicks: FeatureGroup) -> None:
    fresh = FIRST.assign(k=[3, 4, 5])
    first, _ = clicks.insert(fresh, write_options={"batch_id": "b-1"})
    second, _ = clicks.insert(fresh.assign(v=0.0), write_options={"batch_id": "b-1"})
    assert (first.summary["inserted"], set(second.summary.values())) == (3, {0})
    updated, _ = clicks.insert(
        fresh.assign(v=-1.0), write_options={"batch_id": "b-2"}
    )  # a merge keeps the promise too
    repeated, _ = clicks.insert(fresh.assign(v=-2.0), write_options={"batch_id": "b-2"})
    assert (updated.summary["updated"], set(repeated.summary.values())) == (3, {0})
    same_rows(clicks.read("pandas"), pd.concat([FIRST, fresh.assign(v=-1.0)]), ["k", "at"])
    assert [(c.operation, c.batch_id) for c in clicks.commit_details()] == [
        ("upsert", "b-2"),
        ("upsert", "b-1"),
        ("upsert", None),
    ]


@pytest.mark.slow
def test_a_batch_without_news_is_remembered_too(clicks: FeatureGroup) -> None:
    clicks.insert(FIRST, write_options={"batch_id": "b"})
    job, _ = clicks.insert(FIRST.assign(v=0.0), write_options={"batch_id": "b"})
    assert set(job.summary.values()) == {0}
    same_rows(clicks.read("pandas"), FIRST, ["k", "at"])


# -- what is left behind


def test_a_refused_batch_leaves_no_file(clicks: FeatureGroup) -> None:
    before = files(clicks)
    with pytest.raises(KeyValueError, match="1 in 'k'"):
        clicks.insert(FIRST.assign(k=pd.array([1, None, 3], dtype="Int64")))
    clicks.insert(FIRST)
    assert files(clicks) == before


def test_rows_among_the_old_ones_are_appended_alone(clicks: FeatureGroup) -> None:
    job, _ = clicks.insert(pd.concat([FIRST, FIRST.assign(k=7)]))
    assert job.summary == {"read": 6, "inserted": 3, "updated": 0, "unchanged": 3, "set_aside": 0}
    same_rows(clicks.read("pandas"), pd.concat([FIRST, FIRST.assign(k=7)]), ["k", "at"])
    assert clicks.commit_details(1)[0].inserted == 3


# -- partitions


@pytest.mark.parametrize(
    ("grain", "folders"),
    first_quick(
        [
            ("day", {"_day=2024-01-01", "_day=2024-01-02", "_day=2024-02-03"}),
            ("month", {"_month=2024-01", "_month=2024-02"}),
            ("year", {"_year=2024"}),
        ]
    ),
)
def test_a_grain_of_the_event_time_partitions_the_table(
    fs: FeatureStore, grain: str, folders: set[str]
) -> None:
    clicks = fs.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", partition_key=[grain]
    )
    clicks.insert(FIRST)
    assert {path.name for path in Path(clicks.location).iterdir() if "=" in path.name} == folders
    job, _ = clicks.insert(FIRST.assign(v=[1.0, 2.0, 4.0]))
    assert (job.summary["updated"], job.summary["unchanged"]) == (1, 2)
    same_rows(clicks.read("pandas"), FIRST.assign(v=[1.0, 2.0, 4.0]), ["k", "at"])
    assert list(clicks.schema) == ["k", "at", "v"]


@pytest.mark.parametrize(
    ("times", "day"),
    [
        (pd.Series([1704067200, 1704067201]), "2024-01-01"),
        (pd.Series([1704067200000, 1704067201000]), "2024-01-01"),
        (pd.to_datetime(["2024-01-01"] * 2).date, "2024-01-01"),
    ],
    ids=["seconds", "milliseconds", "dates"],
)
def test_epochs_and_dates_have_days_too(fs: FeatureStore, times: Any, day: str) -> None:
    clicks = fs.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", partition_key=["day"]
    )
    clicks.insert(pd.DataFrame({"k": [1, 2], "at": times, "v": [1.0, 2.0]}))
    assert [path.name for path in Path(clicks.location).iterdir() if "=" in path.name] == [
        f"_day={day}"
    ]


def test_a_column_of_that_name_is_the_column(fs: FeatureStore) -> None:
    clicks = fs.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", partition_key=["day"]
    )
    clicks.insert(FIRST.assign(day="monday"))
    assert [path.name for path in Path(clicks.location).iterdir() if "=" in path.name] == [
        "day=monday"
    ]


@pytest.mark.slow
def test_a_row_may_move_to_another_partition(fs: FeatureStore) -> None:
    clicks = fs.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", partition_key=["country"]
    )
    clicks.insert(FIRST.assign(country="ch"))
    job, _ = clicks.insert(FIRST.assign(country=["ch", "de", "ch"]))
    assert (job.summary["updated"], job.summary["unchanged"]) == (1, 2)
    same_rows(clicks.read("pandas"), FIRST.assign(country=["ch", "de", "ch"]), ["k", "at"])


@pytest.mark.slow
@pytest.mark.parametrize("key", first_quick(["ü=%41*[x]{y}", "a/b c", "'", " "], ci=2), ids=repr)
def test_keys_that_are_hard_to_name_a_folder_by(fs: FeatureStore, key: str) -> None:
    frame = pd.DataFrame({"k": [key], "v": [1.0]})
    odd = fs.create_feature_group("odd", primary_key=["k"], partition_key=["k"])
    odd.insert(frame)
    odd.insert(frame.assign(v=2.0))
    same_rows(odd.read("pandas"), frame.assign(v=2.0), ["k"])


# -- many writers


@pytest.mark.slow
def test_writers_at_the_same_time_lose_nothing(clicks: FeatureGroup, fs: FeatureStore) -> None:
    def write(worker: int) -> list[dict[str, int]]:
        mine = fs.get_feature_group("clicks", 1)
        return [
            mine.insert(
                pd.DataFrame(
                    {"k": [worker, 99], "at": DAY[0] + pd.Timedelta(hours=i), "v": [1.0, worker]}
                )
            )[0].summary
            for i in range(4)
        ]

    with ThreadPoolExecutor(2) as pool:
        summaries = [summary for done in pool.map(write, [11, 12]) for summary in done]
    rows = clicks.read("pandas")
    assert rows.groupby("k").size().to_dict() == {1: 2, 2: 1, 11: 4, 12: 4, 99: 4}
    assert sum(s["inserted"] for s in summaries) == 12
    assert sum(s["updated"] for s in summaries) == 4


# -- what the log proves

HARD_KEYS: list[Any] = [
    ["a" * 40 + "x", "a" * 40 + "z"],
    ["\U0001f642\ufffd" * 30, "z"],
    ["", "\x00"],
    [-5, 5],
    pd.to_datetime(["1969-12-31 23:59:59.999999", "2024-01-01 00:00:00.000001"]),
    [date(1500, 1, 1), date(2024, 1, 1)],
    [Decimal("-1.50"), Decimal("2.25")],
    [b"\x00", b"\xff" * 50],
    [True, False],
    [1.5, -0.5],
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys", first_quick(HARD_KEYS, ci=4), ids=lambda keys: type(keys[0]).__name__
)
def test_a_known_row_is_found_whatever_its_key(group: Make, keys: Any) -> None:
    frame = pd.DataFrame({"k": keys, "v": [1, 2]})
    known = group("known", frame, primary_key=["k"])
    job, _ = known.insert(frame.head(1).assign(v=9))
    assert (job.summary["inserted"], job.summary["updated"]) == (0, 1)
    job, _ = known.insert(frame)
    assert (job.summary["updated"], job.summary["unchanged"]) == (1, 1)
    assert len(known.read("pandas")) == 2


def test_an_upsert_of_what_is_there_twice_counts_it_once(clicks: FeatureGroup) -> None:
    clicks.insert(FIRST.assign(v=[9.0, 8.0, 7.0]), operation="insert")
    job, _ = clicks.insert(FIRST.assign(v=[9.0, 0.0, 7.0]))
    assert job.summary == {"read": 3, "inserted": 0, "updated": 1, "unchanged": 2, "set_aside": 0}
    same_rows(clicks.read("pandas"), FIRST.assign(v=[9.0, 0.0, 7.0]), ["k", "at"])
