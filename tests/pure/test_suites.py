"""Expectation suites and validation reports, whatever release of Great Expectations they are written for."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.expectation_suite import ExpectationConfiguration, ExpectationSuite
from spark_fs.ge_expectation import GeExpectation
from spark_fs.spec.expectations import ValidationOptions, identify_expectation, parse_suite
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.validation_report import ExpectationResult, ValidationReport, parse_report

TYPE = "expect_column_min_to_be_between"
KWARGS = {"column": "pm25", "min_value": -0.1, "strict_min": True}
PLAIN = {"name": "air", "expectations": [{"type": TYPE, "kwargs": KWARGS}]}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return spark_fs.login({"home": tmp_path}).get_feature_store()


class FromTheLibrary:
    """As Great Expectations 0.18 gives its JSON."""

    def to_json_dict(self) -> dict[str, Any]:
        return {
            "expectation_suite_name": "air",
            "ge_cloud_id": None,
            "expectations": [
                {
                    "expectation_type": TYPE,
                    "kwargs": {**KWARGS, "result_format": "COMPLETE", "auto": False},
                    "meta": {},
                }
            ],
            "data_asset_type": None,
            "meta": {"great_expectations_version": "0.18.12"},
        }


@pytest.mark.parametrize(
    "suite",
    [
        PLAIN,
        FromTheLibrary(),
        {"expectation_suite_name": "air", "expectations": [GeExpectation(TYPE, KWARGS, {})]},
        {
            "expectationSuiteName": "air",
            "expectations": [{"expectationType": TYPE, "kwargs": KWARGS}],
        },
    ],
    ids=["1.x", "0.18", "objects", "hopsworks"],
)
def test_a_suite_is_the_same_in_every_form(suite: Any) -> None:
    assert parse_suite(suite) == PLAIN


def test_a_suite_is_built_as_with_0_18() -> None:
    suite = ExpectationSuite(expectation_suite_name="air")
    suite.add_expectation(ExpectationConfiguration(expectation_type=TYPE, kwargs=KWARGS))
    assert suite == PLAIN  # a mapping too
    assert (suite.name, suite["name"], len(suite.expectations)) == ("air", "air", 1)
    assert suite.expectations[0].expectation_type == suite.expectations[0]["type"] == TYPE
    assert GeExpectation(TYPE, '{"column": "a"}').kwargs == {"column": "a"}
    with pytest.raises(SettingsError, match=r"'column' is not a mapping: give a dict"):
        GeExpectation(TYPE, "column")
    noted = ExpectationSuite("air", [GeExpectation(TYPE, KWARGS, {"why": "sensors"})])
    assert parse_suite(noted)["expectations"][0]["meta"] == {"why": "sensors"}


def test_the_group_keeps_the_suite_and_what_is_changed_of_it(store: FeatureStore) -> None:
    group = store.create_feature_group("air", primary_key=["id"], expectation_suite=PLAIN)
    suite = group.get_expectation_suite()
    assert suite.validation_ingestion_policy == "ALWAYS"
    number = suite.expectations[0].id
    added = suite.add_expectation(
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "id"}}
    )
    again = store.get_feature_group("air", 1).get_expectation_suite()
    assert [each.id for each in again.expectations] == [number, added.id]
    changed = again.get_expectation(number)
    changed.kwargs["min_value"] = 0.0
    assert again.replace_expectation(changed).id != number
    assert group.expectation_suite.expectations[0].kwargs["min_value"] == 0.0
    with pytest.raises(NotFoundError, match=rf"Expectation {number} of suite 'air' does not exist"):
        group.get_expectation_suite().remove_expectation(number)
    group.get_expectation_suite().remove_expectation(added.id)
    again.validation_ingestion_policy = "strict"
    assert group.expectation_suite.validation_ingestion_policy == "STRICT"
    with pytest.raises(SettingsError, match=r"policy 'LAX' is not known: use 'STRICT', 'ALWAYS'"):
        again.validation_ingestion_policy = "LAX"
    with pytest.raises(SettingsError, match=r"has no number: take the expectation"):
        again.replace_expectation(GeExpectation(TYPE, KWARGS))


def test_a_suite_is_attached_with_what_becomes_of_batches(store: FeatureStore) -> None:
    group = store.create_feature_group("air", primary_key=["id"])
    assert group.get_expectation_suite() is None
    saved = group.save_expectation_suite(PLAIN, run_validation=False, overwrite=True)
    assert (saved.run_validation, saved.validation_ingestion_policy) == (False, "ALWAYS")
    group.save_expectation_suite(PLAIN, validation_ingestion_policy="STRICT")
    assert group.expectation_suite.validation_ingestion_policy == "STRICT"
    own = ExpectationSuite("air", PLAIN["expectations"], validation_ingestion_policy="quarantine")
    assert group.save_expectation_suite(own).validation_ingestion_policy == "QUARANTINE"
    group.delete_expectation_suite()
    assert group.expectation_suite is None


def test_declared_again_a_suite_says_nothing_of_what_was_changed_since(store: FeatureStore) -> None:
    def declare(suite: Any) -> spark_fs.FeatureGroup:
        return store.get_or_create_feature_group(
            "air", version=1, primary_key=["id"], expectation_suite=suite
        )

    declare(PLAIN).save_expectation_suite(PLAIN, validation_ingestion_policy="STRICT")
    assert declare(PLAIN).expectation_suite.validation_ingestion_policy == "STRICT"
    assert declare(ExpectationSuite("air", PLAIN["expectations"])).name == "air"


def test_a_suite_of_an_earlier_release_keeps_its_policy() -> None:
    """It has none in it: there STRICT was the default."""
    group = GroupSpec("air", 1, primary_key=("id",), expectation_suite=PLAIN)
    kept = GroupSpec.from_json(group.to_json()).expectation_suite
    assert kept is not None
    options = ValidationOptions.from_argument(None)
    assert options.choose_policy(kept) == "STRICT"
    assert options.choose_policy({**kept, "policy": "ALWAYS"}) == "ALWAYS"
    told = ValidationOptions.from_argument({"policy": "quarantine", "save_report": False})
    assert (told.choose_policy(kept), told.save_report) == ("QUARANTINE", False)


@pytest.mark.parametrize(
    ("said", "option", "is_run"),
    [(None, None, True), (False, None, False), (False, True, True), (None, False, False)],
)
def test_the_call_decides_whether_a_suite_is_run_then_the_suite(
    said: bool | None, option: bool | None, is_run: bool
) -> None:
    suite = PLAIN if said is None else {**PLAIN, "run_validation": said}
    given = {} if option is None else {"run_validation": option}
    options = ValidationOptions.from_argument({**given, "ge_validate_kwargs": {}})
    assert (options.choose_suite(suite) is not None) is is_run


def test_the_number_of_an_expectation_hangs_on_what_it_says_alone() -> None:
    one = {"type": TYPE, "kwargs": {"column": "a", "min_value": 0}}
    same = {"type": TYPE, "kwargs": {"min_value": 0.0, "column": "a"}}  # as the library reads it
    other = {"type": TYPE, "kwargs": {"column": "a", "min_value": 1}}
    assert identify_expectation(one) == identify_expectation(same) != identify_expectation(other)


FAILED = ExpectationResult(TYPE, {"column": "a", "at": date(2024, 1, 2)}, False, 4, 1, (-1.0,))
REPORT = ValidationReport("sane", False, (FAILED, ExpectationResult("b", {}, True, 4)), 4)


def test_a_report_is_read_by_the_names_of_its_json() -> None:
    assert REPORT["success"] is REPORT.to_json_dict()["success"] is False
    assert REPORT.statistics == {
        "evaluated_expectations": 2,
        "successful_expectations": 1,
        "unsuccessful_expectations": 1,
        "success_percent": 50.0,
    }
    first = REPORT["results"][0]
    assert first["expectation_config"]["kwargs"] == {"column": "a", "at": "2024-01-02"}
    assert first["result"]["unexpected_percent"] == 25.0
    assert REPORT.results[0].expectation_config.expectation_type == TYPE
    assert REPORT.results[0].result["partial_unexpected_list"] == [-1.0]
    assert parse_report(REPORT.to_json_dict(), "REJECTED").ingestion_result == "REJECTED"
    kept = ValidationReport.from_json(datetime(2024, 1, 1, tzinfo=UTC), REPORT.to_json(), 7)
    assert (kept, kept.id) == (REPORT, 7)


def test_reports_are_kept_and_found_by_expectation_time_and_fate(store: FeatureStore) -> None:
    group = store.create_feature_group("air", primary_key=["id"], expectation_suite=PLAIN)
    result = ExpectationResult(TYPE, KWARGS, True, 3)
    for fate, success in (("EXPERIMENT", True), ("REJECTED", False)):
        report = {"success": success, "results": [{**result.to_json_dict(), "success": success}]}
        group.save_validation_report(report, ingestion_result=fate)
    number = group.expectation_suite.expectations[0].id
    history = group.get_validation_history(number)
    assert [(each.success, each.ingestion_result) for each in history] == [
        (False, "REJECTED"),
        (True, "EXPERIMENT"),
    ]
    assert len(group.get_validation_history(number, filter_by=["EXPERIMENT"])) == 1
    assert group.get_validation_history(number, end_validation_time="2020-01-01") == []
    assert len(group.get_validation_history(number, start_validation_time=0)) == 2
    assert [each.id for each in group.get_all_validation_reports()] == [2, 1]
    assert group.get_latest_validation_report()["success"] is False
    with pytest.raises(NotFoundError, match=rf"does not exist; the suite has: {number} "):
        group.get_validation_history(1)
    with pytest.raises(SettingsError, match=r"ingestion_result 'LOST' is not known"):
        group.save_validation_report(REPORT, "LOST")
    with pytest.raises(SettingsError, match=r"is not a validation report: give what validate"):
        group.save_validation_report({"success": True})
    with pytest.raises(SettingsError, match=r"lies after end_validation_time"):
        group.get_validation_history(None, "2024-01-02", "2024-01-01")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the library warns its own developers while it is imported
def test_suites_and_reports_become_objects_of_the_library(store: FeatureStore) -> None:
    group = store.create_feature_group("air", primary_key=["id"], expectation_suite=PLAIN)
    suite = group.get_expectation_suite(ge_type=True)
    assert (suite.name, suite.expectations[0].column) == ("air", "pm25")
    assert parse_suite(suite)["expectations"][0]["type"] == TYPE
    assert ExpectationSuite.from_ge_type(suite).expectations[0].kwargs["strict_min"] is True
    group.save_expectation_suite(suite)
    result = ExpectationResult(TYPE, KWARGS, True, 3)
    group.save_validation_report(ValidationReport("air", True, (result,), 3))
    library_report = group.get_latest_validation_report(ge_type=True)
    assert library_report.success
    assert parse_report(library_report, "UNKNOWN").results == (result,)
