"""Expectations of a group, and what becomes of a batch that does not meet them."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import KeyValueError, SettingsError, ValidationError
from spark_fs.flows import validate

from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
GOOD = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
POSITIVE = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "v", "min_value": 0}}
FILLED = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "v"}}
MEAN = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "v", "min_value": 0}}
MIXED = pd.DataFrame({"k": [5, 5, 6, 7], "at": [*DAY, DAY[0]], "v": [-1.0, None, 5.0, -2.0]})


@pytest.fixture
def clicks(fs: FeatureStore) -> FeatureGroup:
    made = fs.create_feature_group(
        "clicks",
        primary_key=["k"],
        event_time="at",
        expectation_suite={"name": "sane", "expectations": [POSITIVE, FILLED]},
    )
    made.insert(GOOD)
    return made


def test_a_batch_that_meets_them_is_written_with_a_report(clicks: FeatureGroup) -> None:
    report = clicks.get_latest_validation_report()
    assert report is not None
    assert (report.suite, report.success, report.rows, report.ingestion, report.set_aside) == (
        "sane",
        True,
        3,
        "inserted",
        0,
    )
    assert [(r.type, r.success, r.checked, r.failed) for r in report.results] == [
        (POSITIVE["type"], True, 3, 0),
        (FILLED["type"], True, 3, 0),
    ]


def test_strict_refuses_the_whole_batch(clicks: FeatureGroup) -> None:
    with pytest.raises(
        ValidationError,
        match=(
            r"does not meet the expectations of feature group 'clicks' version 1: .*failed for 2 of"
            r" 4 rows, such as -\d.0, -\d.0; .*not_be_null.* failed for 1 of 4 rows, such as None."
            r" Nothing was written"
        ),
    ):
        clicks.insert(MIXED, validation_options={"policy": "STRICT"})
    same_rows(clicks.read("pandas"), GOOD, ["k", "at"])
    assert [r.ingestion for r in clicks.get_validation_history()] == ["inserted", "refused"]


def test_always_writes_and_records(clicks: FeatureGroup) -> None:
    job, report = clicks.insert(MIXED, validation_options={"policy": "ALWAYS"})
    assert (job.summary["inserted"], report and report.success, report and report.ingestion) == (
        4,
        False,
        "inserted",
    )
    assert len(clicks.read("pandas")) == 7


def test_unless_told_otherwise_all_is_written_with_a_warning(clicks: FeatureGroup) -> None:
    with pytest.warns(
        UserWarning,
        match=(
            r"2 of 2 expectations of feature group 'clicks' version 1 failed, and the rows were"
            r" written all the same: .*failed for 2 of 4 rows, such as -\d.0, -\d.0; .*To refuse such"
            r" rows, say validation_options=\{'policy': 'STRICT'\}"
        ),
    ):
        job, report = clicks.insert(MIXED)
    assert report is not None
    assert (job.summary["inserted"], report["success"]) == (4, False)
    assert report.statistics["unsuccessful_expectations"] == 2
    clicks.save_expectation_suite(
        clicks.get_expectation_suite(), validation_ingestion_policy="STRICT"
    )
    with pytest.raises(ValidationError, match=r"Nothing was written"):
        clicks.insert(MIXED)


def test_a_suite_over_pandas_means_the_same_over_spark(clicks: FeatureGroup) -> None:
    """Types by pandas' names, and the columns that the frame has, without hidden ones."""
    types = {"column": "v", "type_list": ["int64", "float64"]}
    suite = {
        "expectation_suite_name": "pandas",
        "expectations": [
            {
                "expectation_type": "expect_column_values_to_be_of_type",
                "kwargs": {"column": "k", "type_": "int64", "result_format": "SUMMARY"},
            },
            {"expectation_type": "expect_column_values_to_be_in_type_list", "kwargs": types},
            {
                "expectation_type": "expect_table_columns_to_match_ordered_list",
                "kwargs": {"column_list": ["k", "at", "v"]},
            },
        ],
    }
    clicks.save_expectation_suite(suite, validation_ingestion_policy="STRICT")
    _, report = clicks.insert(MIXED.fillna(0.0))
    assert report is not None
    assert [each.success for each in report.results] == [True, True, True]


def test_quarantine_writes_the_good_rows_and_sets_the_others_aside(clicks: FeatureGroup) -> None:
    assert clicks.read_quarantine("pandas").empty
    job, report = clicks.insert(MIXED, validation_options={"policy": "QUARANTINE"})
    assert job.summary == {"read": 4, "inserted": 1, "updated": 0, "unchanged": 0, "set_aside": 3}
    assert report is not None
    assert report.set_aside == 3
    same_rows(clicks.read("pandas"), pd.concat([GOOD, MIXED[MIXED.v == 5.0]]), ["k", "at"])
    aside = clicks.read_quarantine("pandas").sort_values(["k", "at"])
    same_rows(aside[["k", "at", "v"]], MIXED[MIXED.v != 5.0], ["k", "at"])
    assert [
        r.startswith(
            (
                "expect_column_values_to_be_between(column='v'",
                "expect_column_values_to_not_be_null(column='v'",
            )
        )
        for r in aside["_reason"]
    ] == [True] * 3
    assert (
        sum(pq.read_metadata(path).num_rows for path in Path(clicks.location).glob("*.parquet"))
        == 4
    )  # no staged row is left behind


@pytest.mark.slow
def test_what_no_row_is_to_blame_for_sets_none_aside(clicks: FeatureGroup) -> None:
    clicks.save_expectation_suite({"name": "mean", "expectations": [MEAN]})
    with pytest.raises(
        ValidationError,
        match=(
            r"expect_column_mean_to_be_between\(column='v', min_value=0.0\) failed, and no row can"
            r" be set aside for it"
        ),
    ):
        clicks.insert(MIXED.assign(v=-1.0), validation_options={"policy": "QUARANTINE"})
    same_rows(clicks.read("pandas"), GOOD, ["k", "at"])


@pytest.mark.slow
def test_keys_are_checked_after_the_quarantine(clicks: FeatureGroup) -> None:
    with pytest.raises(KeyValueError, match=r"several rows of one identity"):
        clicks.insert(
            MIXED.assign(k=5, at=DAY[0], v=[1.0, 2.0, -1.0, -1.0]),
            validation_options={"policy": "QUARANTINE"},
        )
    assert clicks.read_quarantine("pandas").empty
    job, _ = clicks.insert(
        MIXED.assign(k=5, at=DAY[0], v=[-1.0, -2.0, -3.0, 5.0]),
        validation_options={"policy": "QUARANTINE"},
    )
    assert (job.summary["inserted"], job.summary["set_aside"]) == (1, 3)


@pytest.mark.filterwarnings("ignore")  # the library warns its own developers while it is imported
def test_a_suite_of_the_library_is_taken_as_it_is(fs: FeatureStore) -> None:
    import great_expectations as gx

    suite = gx.ExpectationSuite(
        name="gx",
        expectations=[
            gx.expectations.ExpectColumnValuesToBeInSet(column="v", value_set=[1.0, 2.0, 3.0])
        ],
    )
    clicks = fs.create_feature_group(
        "clicks", primary_key=["k"], event_time="at", expectation_suite=suite
    )
    clicks.insert(GOOD)
    with pytest.raises(ValidationError, match=r"such as 9.0"):
        clicks.insert(GOOD.assign(v=[9.0, 1.0, 2.0]), validation_options={"policy": "STRICT"})
    assert fs.get_feature_group("clicks", 1).get_expectation_suite() == {
        "name": "gx",
        "expectations": [
            {
                "type": "expect_column_values_to_be_in_set",
                "kwargs": {"column": "v", "value_set": [1.0, 2.0, 3.0]},
            }
        ],
    }


def test_validation_can_be_left_out_and_done_alone(clicks: FeatureGroup) -> None:
    job, report = clicks.insert(MIXED, validation_options={"run_validation": False})
    assert (job.summary["inserted"], report) == (4, None)
    own = clicks.validate(save_report=True)
    assert (own.success, own.ingestion_result) == (False, "FG_DATA")
    assert clicks.validate(GOOD).success
    assert len(clicks.get_validation_history()) == 2  # of the first insert, and the one kept
    assert clicks.validate(GOOD, {"name": "mean", "expectations": [MEAN]}).success
    assert clicks.validate(GOOD, validation_options={"run_validation": False}) is None
    clicks.delete_expectation_suite()
    with pytest.raises(
        SettingsError, match=r"has no expectation suite: attach one with save_expectation_suite"
    ):
        clicks.validate()


UNKNOWN: list[tuple[object, str]] = [
    (
        {"name": "x"},
        "is not an expectation suite: give a spark_fs or great_expectations ExpectationSuite",
    ),
    (
        {"name": "x", "expectations": ["v > 0"]},
        "'v > 0' is not an expectation: give its 'type' and 'kwargs'",
    ),
]


@pytest.mark.parametrize(("suite", "text"), UNKNOWN, ids=[u[1] for u in UNKNOWN])
def test_what_is_no_suite_is_refused(clicks: FeatureGroup, suite: object, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        clicks.save_expectation_suite(suite)


@pytest.mark.parametrize(
    ("expectation", "text"),
    [
        ({"type": "expect_nothing", "kwargs": {}}, "is not valid"),
        (
            {"type": POSITIVE["type"], "kwargs": {"column": "w", "min_value": 0}},
            'cannot be evaluated: .*"w"',
        ),
    ],
    ids=["unknown", "no such column"],
)
def test_an_expectation_that_cannot_be_run_writes_nothing(
    clicks: FeatureGroup, expectation: dict[str, object], text: str
) -> None:
    clicks.save_expectation_suite({"name": "x", "expectations": [expectation]})
    with pytest.raises(SettingsError, match=text):
        clicks.insert(MIXED)
    same_rows(clicks.read("pandas"), GOOD, ["k", "at"])
    with pytest.raises(
        SettingsError, match=r"policy 'LAX' is not known: use 'STRICT', 'ALWAYS', 'QUARANTINE'"
    ):
        clicks.insert(MIXED, validation_options={"policy": "LAX"})


def test_great_expectations_is_imported_with_a_suite_alone() -> None:
    code = "import sys, spark_fs.flows.insert; print('great_expectations' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "False\n"
    )


# Rows of two kinds, and one of none; which of kind A fail is told in words beside each expectation, by the key.
KINDS = pd.DataFrame(
    {
        "k": [1, 2, 3, 4, 5, 6, 7, 8],
        "kind": ["A", "A", "B", "B", "A", None, "B", "it's"],
        "v": [-1.0, 2.0, -3.0, None, 2.0, -6.0, 2.0, -3.0],
        "w": [0.0, 1.0, 0.0, 1.0, None, 3.0, -4.0, 1.0],
        "s": ["2024-01-01", "x", "y", "2024-02-01", None, "q", "1", "z"],
    }
)
OF_A = [
    {"row_condition": "kind = 'A'", "condition_parser": "pandas"},
    {"row_condition": 'col("kind") == "A"', "condition_parser": "great_expectations"},
    {"row_condition": "kind = 'A'", "condition_parser": "spark"},
    {"row_condition": 'col("kind")=="A"', "condition_parser": "great_expectations__experimental__"},
]
FAILING: list[tuple[str, dict[str, Any], list[int]]] = [
    ("expect_column_values_to_be_between", {"column": "v", "min_value": 0}, [1]),
    ("expect_column_values_to_be_in_set", {"column": "v", "value_set": [-1.0]}, [2, 5]),
    ("expect_column_values_to_not_be_null", {"column": "w"}, [5]),
    ("expect_column_values_to_be_null", {"column": "s"}, [1, 2]),
    ("expect_column_values_to_match_regex", {"column": "s", "regex": "^2"}, [2]),
    (
        "expect_column_values_to_match_strftime_format",
        {"column": "s", "strftime_format": "%Y-%m-%d"},
        [2],
    ),
    (
        "expect_column_values_to_be_unique",
        {"column": "v"},
        [2, 5],
    ),  # 7 has 2.0 too, and is of another kind
    ("expect_column_pair_values_to_be_equal", {"column_A": "w", "column_B": "v"}, [1, 2, 5]),
    (
        "expect_column_pair_values_a_to_be_greater_than_b",
        {"column_A": "w", "column_B": "v", "ignore_row_if": "either_value_is_missing"},
        [2],
    ),
    ("expect_compound_columns_to_be_unique", {"column_list": ["kind", "v"]}, [2, 5]),
    ("expect_select_column_values_to_be_unique_within_record", {"column_list": ["w", "v"]}, []),
    ("expect_multicolumn_sum_to_equal", {"column_list": ["w", "v"], "sum_total": 3}, [1, 5]),
]


def _keys(rows: Any) -> list[int]:
    return sorted(row.k for row in rows.select("k").collect())


@pytest.mark.parametrize(
    "meant",
    [OF_A[0], *(pytest.param(each, marks=pytest.mark.slow) for each in OF_A[1:])],
    ids=["pandas", "great_expectations", "spark", "experimental"],
)
def test_only_rows_that_meet_the_row_condition_and_fail_are_set_aside(
    meant: dict[str, str], spark: SparkSession
) -> None:
    frame = spark.createDataFrame(KINDS)
    for type_, kwargs, wanted in FAILING:
        suite = {"name": "x", "expectations": [{"type": type_, "kwargs": kwargs | meant}]}
        report = validate.validate_frame(frame, suite)
        assert (report.results[0].checked, report.results[0].failed) == (3, len(wanted)), type_
        good, bad = validate.split_valid_rows(frame, report)
        assert (_keys(bad), _keys(good)) == (wanted, sorted({*KINDS.k} - {*wanted})), type_


def test_each_row_has_the_reasons_that_are_its_own(spark: SparkSession) -> None:
    frame, quoted = spark.createDataFrame(KINDS), "kind = 'it\\'s'"
    rules = [
        (FAILING[0][1] | OF_A[0], {1}),
        (FAILING[0][1] | {"row_condition": quoted, "condition_parser": "spark"}, {8}),
        (FAILING[0][1], {1, 3, 6, 8}),
    ]
    rules.append(
        (
            {
                "column": "v",
                "max_value": 0,
                "row_condition": 'col("w") > 0.5',
                "condition_parser": "great_expectations",
            },
            {2},
        )
    )
    suite = {
        "name": "x",
        "expectations": (
            [{"type": FAILING[0][0], "kwargs": kwargs} for kwargs, _ in rules]
            + [{"type": FAILING[6][0], "kwargs": FAILING[6][1] | OF_A[1]}]
        ),
    }
    report = validate.validate_frame(frame, suite)
    assert [r.failed for r in report.results] == [*(len(keys) for _, keys in rules), 2]
    _, bad = validate.split_valid_rows(frame, report)
    told = {row.k: row[validate.REASON_COLUMN].count("expect_") for row in bad.collect()}
    assert told == {1: 2, 8: 2, 3: 1, 6: 1, 2: 2, 5: 1}


@pytest.mark.parametrize(
    ("policy", "kept", "aside"), [("QUARANTINE", 7, [1]), ("ALWAYS", 8, []), ("STRICT", 0, [])]
)
def test_a_row_condition_under_each_policy(
    policy: str, kept: int, aside: list[int], fs: FeatureStore
) -> None:
    suite = {
        "name": "x",
        "expectations": [{"type": FAILING[0][0], "kwargs": FAILING[0][1] | OF_A[0]}],
    }
    group = fs.create_feature_group("kinds", primary_key=["k"], expectation_suite=suite)
    if policy == "STRICT":
        with pytest.raises(ValidationError, match=r"failed for 1 of 3 rows, such as -1\.0"):
            group.insert(KINDS, validation_options={"policy": "STRICT"})
        return
    job, report = group.insert(KINDS, validation_options={"policy": policy})
    assert report is not None
    assert (job.summary["inserted"], job.summary["set_aside"], report.results[0].failed) == (
        kept,
        len(aside),
        1,
    )
    assert _keys(group.read_quarantine("spark")) == aside


BOUNDS: list[tuple[str, dict[str, Any], int]] = [
    ("expect_column_values_to_be_between", {"column": "t", "min_value": "2024-01-03"}, 2),
    (
        "expect_column_values_to_be_between",
        {
            "column": "t",
            "min_value": "2024-01-02T12:00:00",
            "max_value": datetime(2024, 1, 3, tzinfo=UTC),
        },
        2,
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "t", "min_value": datetime(2024, 1, 2, 12)},
        1,
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "t", "min_value": pd.Timestamp("2024-01-02T12:00")},
        1,
    ),
    (
        "expect_column_values_to_be_between",
        {"column": "t", "min_value": np.datetime64("2024-01-02T12:00", "ns")},
        1,
    ),
    ("expect_column_values_to_be_between", {"column": "d", "min_value": date(2024, 1, 3)}, 2),
    ("expect_column_values_to_be_between", {"column": "p", "min_value": Decimal("0.5")}, 1),
    ("expect_column_values_to_be_between", {"column": "k", "min_value": np.int64(2)}, 1),
    (
        "expect_column_values_to_be_in_set",
        {"column": "d", "value_set": (date(2024, 1, 1), date(2024, 1, 2))},
        2,
    ),
    (
        "expect_column_values_to_be_in_set",
        {"column": "t", "value_set": [datetime(2024, 1, 2, 12)]},
        3,
    ),
    (
        "expect_column_values_to_be_in_set",
        {"column": "p", "value_set": [Decimal("0.10"), Decimal("2.00")]},
        2,
    ),
    ("expect_column_max_to_be_between", {"column": "t", "max_value": datetime(2024, 1, 3, 12)}, 0),
    ("expect_column_min_to_be_between", {"column": "v", "min_value": 0.0}, 0),
]


def test_bounds_of_every_type_are_kept_with_their_report(fs: FeatureStore) -> None:
    """As the suite says them, in the group's definition and in every report; those of a second process too."""
    suite = {
        "name": "x",
        "expectations": [{"type": type_, "kwargs": kwargs} for type_, kwargs, _ in BOUNDS],
    }
    group = fs.create_feature_group("bounds", primary_key=["k"], expectation_suite=suite)
    rows = pd.DataFrame(
        {
            "k": [1, 2, 3, 4],
            "t": pd.to_datetime(
                ["2024-01-01", "2024-01-02 12:00", "2024-01-03", "2024-01-05"], format="mixed"
            ),
            "v": [np.nan, 1.0, np.inf, -np.inf],
        }
    )
    rows["d"], rows["p"] = (
        rows.t.dt.date,
        [
            Decimal("0.10"),
            Decimal("2.00"),
            Decimal("2.10"),
            Decimal("3.00"),
        ],
    )
    job, report = group.insert(rows, validation_options={"policy": "ALWAYS"})
    assert job.summary["inserted"] == 4
    assert report is not None
    again = fs.get_feature_group("bounds", 1)
    kept = again.get_latest_validation_report()
    assert kept == report
    assert [r.failed for r in kept.results] == [failed for _, _, failed in BOUNDS]
    assert not kept.results[-2].success
    wanted = [(type_, {n: _plainly(v) for n, v in kwargs.items()}) for type_, kwargs, _ in BOUNDS]
    assert [(r.type, r.kwargs) for r in kept.results] == wanted
    found = again.get_expectation_suite()
    assert found is not None
    assert [(e["type"], e["kwargs"]) for e in found["expectations"]] == wanted
    assert (
        fs.get_or_create_feature_group("bounds", primary_key=["k"], expectation_suite=suite).name
        == "bounds"
    )


def _plainly(value: Any) -> Any:
    """The same in Python's own types."""
    if isinstance(value, np.datetime64):
        return datetime(2024, 1, 2, 12)
    return (
        list(value)
        if isinstance(value, tuple)
        else value.item()
        if isinstance(value, np.integer)
        else value
    )


def test_bounds_mean_utc_in_a_process_of_another_zone() -> None:
    """The library and Spark's Python side read a time without a zone in the process's zone: they get the time that is that instant there."""
    code = """
from datetime import UTC, date, datetime
from spark_fs.flows.validate import _to_local_bound, _to_json_value
noon = datetime(2024, 1, 2, 12)
for name, given in [("min_value", "2024-01-02T12:00:00"), ("max_value", noon), ("value_set", [noon, date(2024, 1, 2)]), ("min_value", noon.replace(tzinfo=UTC)), ("min_value", "2024-01-02"), ("regex", "a:b"), ("min_value", 3)]:
    print(_to_local_bound(name, given))
print(_to_json_value(datetime(2024, 1, 2, 7)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TZ": "America/New_York"},
        capture_output=True,
        text=True,
        check=True,
    )
    there = "2024-01-02 07:00:00"
    listed = "[datetime.datetime(2024, 1, 2, 7, 0), datetime.date(2024, 1, 2)]"
    assert done.stdout.splitlines() == [
        there,
        there,
        listed,
        there,
        "2024-01-02",
        "a:b",
        "3",
        "2024-01-02 12:00:00",
    ]
