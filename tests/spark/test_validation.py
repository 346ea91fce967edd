"""Expectations of a group, and what becomes of a batch that does not meet them."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.project import FeatureStore
from spark_fs.errors import KeyValueError, SettingsError, ValidationError

from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
GOOD = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "v": [1.0, 2.0, 3.0]})
POSITIVE = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "v", "min_value": 0}}
FILLED = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "v"}}
MEAN = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "v", "min_value": 0}}
MIXED = pd.DataFrame({"k": [5, 5, 6, 7], "at": [*DAY, DAY[0]], "v": [-1.0, None, 5.0, -2.0]})


@pytest.fixture
def clicks(fs: FeatureStore) -> FeatureGroup:
    made = fs.create_feature_group("clicks", primary_key=["k"], event_time="at", expectation_suite={"name": "sane", "expectations": [POSITIVE, FILLED]})
    made.insert(GOOD)
    return made


def test_a_batch_that_meets_them_is_written_with_a_report(clicks: FeatureGroup) -> None:
    report = clicks.get_latest_validation_report()
    assert report is not None
    assert (report.suite, report.success, report.rows, report.ingestion, report.set_aside) == ("sane", True, 3, "inserted", 0)
    assert [(r.type, r.success, r.checked, r.failed) for r in report.results] == [(POSITIVE["type"], True, 3, 0), (FILLED["type"], True, 3, 0)]


def test_strict_refuses_the_whole_batch(clicks: FeatureGroup) -> None:
    with pytest.raises(ValidationError, match=r"does not meet the expectations of feature group 'clicks' version 1: .*failed for 2 of 4 rows, such as -\d.0, -\d.0; .*not_be_null.* failed for 1 of 4 rows, such as None. Nothing was written"):
        clicks.insert(MIXED)
    same_rows(clicks.read("pandas"), GOOD, ["k", "at"])
    assert [r.ingestion for r in clicks.get_validation_history()] == ["inserted", "refused"]


def test_always_writes_and_records(clicks: FeatureGroup) -> None:
    job, report = clicks.insert(MIXED, validation_options={"policy": "ALWAYS"})
    assert (job.summary["inserted"], report and report.success, report and report.ingestion) == (4, False, "inserted")
    assert len(clicks.read("pandas")) == 7


def test_quarantine_writes_the_good_rows_and_sets_the_others_aside(clicks: FeatureGroup) -> None:
    assert clicks.read_quarantine("pandas").empty
    job, report = clicks.insert(MIXED, validation_options={"policy": "QUARANTINE"})
    assert job.summary == {"read": 4, "inserted": 1, "updated": 0, "unchanged": 0, "set_aside": 3}
    assert report is not None
    assert report.set_aside == 3
    same_rows(clicks.read("pandas"), pd.concat([GOOD, MIXED[MIXED.v == 5.0]]), ["k", "at"])
    aside = clicks.read_quarantine("pandas").sort_values(["k", "at"])
    same_rows(aside[["k", "at", "v"]], MIXED[MIXED.v != 5.0], ["k", "at"])
    assert [r.startswith(("expect_column_values_to_be_between(column='v'", "expect_column_values_to_not_be_null(column='v'")) for r in aside["_reason"]] == [True] * 3
    assert sum(pq.read_metadata(path).num_rows for path in Path(clicks.location).glob("*.parquet")) == 4  # no staged row is left behind


@pytest.mark.slow
def test_what_no_row_is_to_blame_for_sets_none_aside(clicks: FeatureGroup) -> None:
    clicks.save_expectation_suite({"name": "mean", "expectations": [MEAN]})
    with pytest.raises(ValidationError, match=r"expect_column_mean_to_be_between\(column='v', min_value=0.0\) failed, and no row can be set aside for it"):
        clicks.insert(MIXED.assign(v=-1.0), validation_options={"policy": "QUARANTINE"})
    same_rows(clicks.read("pandas"), GOOD, ["k", "at"])


@pytest.mark.slow
def test_keys_are_checked_after_the_quarantine(clicks: FeatureGroup) -> None:
    with pytest.raises(KeyValueError, match=r"several rows of one identity"):
        clicks.insert(MIXED.assign(k=5, at=DAY[0], v=[1.0, 2.0, -1.0, -1.0]), validation_options={"policy": "QUARANTINE"})
    assert clicks.read_quarantine("pandas").empty
    job, _ = clicks.insert(MIXED.assign(k=5, at=DAY[0], v=[-1.0, -1.0, -1.0, 5.0]), validation_options={"policy": "QUARANTINE"})
    assert (job.summary["inserted"], job.summary["set_aside"]) == (1, 3)


@pytest.mark.filterwarnings("ignore")  # the library warns its own developers while it is imported
def test_a_suite_of_the_library_is_taken_as_it_is(fs: FeatureStore) -> None:
    import great_expectations as gx

    suite = gx.ExpectationSuite(name="gx", expectations=[gx.expectations.ExpectColumnValuesToBeInSet(column="v", value_set=[1.0, 2.0, 3.0])])
    clicks = fs.create_feature_group("clicks", primary_key=["k"], event_time="at", expectation_suite=suite)
    clicks.insert(GOOD)
    with pytest.raises(ValidationError, match=r"such as 9.0"):
        clicks.insert(GOOD.assign(v=[9.0, 1.0, 2.0]))
    assert fs.get_feature_group("clicks", 1).get_expectation_suite() == {"name": "gx", "expectations": [{"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "v", "value_set": [1.0, 2.0, 3.0]}}]}


def test_validation_can_be_left_out_and_done_alone(clicks: FeatureGroup) -> None:
    job, report = clicks.insert(MIXED, validation_options={"run_validation": False})
    assert (job.summary["inserted"], report) == (4, None)
    assert clicks.validate().success is False
    assert clicks.validate(GOOD).success
    clicks.delete_expectation_suite()
    with pytest.raises(SettingsError, match=r"has no expectation suite: attach one with save_expectation_suite"):
        clicks.validate()


UNKNOWN: list[tuple[object, str]] = [
    ({"name": "x"}, "is not an expectation suite: give a great_expectations ExpectationSuite"),
    ({"name": "x", "expectations": ["v > 0"]}, "'v > 0' is not an expectation: give its 'type' and 'kwargs'"),
]


@pytest.mark.parametrize(("suite", "text"), UNKNOWN, ids=[u[1] for u in UNKNOWN])
def test_what_is_no_suite_is_refused(clicks: FeatureGroup, suite: object, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        clicks.save_expectation_suite(suite)


@pytest.mark.parametrize(("expectation", "text"), [({"type": "expect_nothing", "kwargs": {}}, "is not one"), ({"type": POSITIVE["type"], "kwargs": {"column": "w", "min_value": 0}}, 'cannot be evaluated: .*"w"')], ids=["unknown", "no such column"])
def test_an_expectation_that_cannot_be_run_writes_nothing(clicks: FeatureGroup, expectation: dict[str, object], text: str) -> None:
    clicks.save_expectation_suite({"name": "x", "expectations": [expectation]})
    with pytest.raises(SettingsError, match=text):
        clicks.insert(MIXED)
    same_rows(clicks.read("pandas"), GOOD, ["k", "at"])
    with pytest.raises(SettingsError, match=r"policy 'LAX' is not known: use 'STRICT', 'ALWAYS', 'QUARANTINE'"):
        clicks.insert(MIXED, validation_options={"policy": "LAX"})


def test_great_expectations_is_imported_with_a_suite_alone() -> None:
    code = "import sys, spark_fs.flows.ingest; print('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
