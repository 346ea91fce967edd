"""Each difference that docs/coming_from.md tells has a test that holds our column of it."""

import re
from pathlib import Path

import pytest
from releases.unpack import unpack

import spark_fs

from conftest import ROOT

PAGE = ROOT / "docs" / "coming_from.md"

# The beginning of a row's first cell, and the test of our side.
TESTS = {
    "`read()` gives a pandas frame": "tests/spark/test_default_frames.py::test_a_session_that_a_write_started_is_not_the_callers",
    "one group without event time": "tests/spark/test_point_in_time.py::test_a_group_without_event_time_leaves_the_others_point_in_time",
    "ties duplicate the labels": "tests/spark/test_point_in_time.py::test_a_spine_keeps_every_row_whatever_is_joined",
    "`ttl` expires rows": "tests/spark/test_point_in_time.py::test_each_group_has_its_own_ttl_and_its_end_is_part_of_it",
    "a late batch overwrites": "tests/online/test_sync.py::test_a_late_row_never_displaces_a_newer_one",
    "an insert into an `online_enabled`": "tests/online/test_sync.py::test_the_latest_row_of_each_key_is_online",
    "a random split in memory": "tests/spark/test_training.py::test_a_seed_that_was_not_given_is_recorded",
    "recreated training data": "tests/spark/test_training.py::test_a_dataset_made_again_lies_where_it_lay",
    "two rows of one key": "tests/spark/test_identities.py::test_rows_of_one_identity_that_differ_are_refused_with_what_to_do",
    "`fs.sql(query)`": "tests/spark/test_sql.py::test_what_is_no_select_is_refused",
    "vectors of unknown keys": "tests/online/test_vectors.py::test_as_many_vectors_as_entries_in_their_order",
    "a transformed column is named": "tests/pure/test_transformations.py::test_outputs_have_their_places_and_names",
    "a function of `@udf` in mode": "tests/pure/test_user_transformations.py::test_a_function_is_tried_as_hopsworks_documents_it",
    "a function of one feature": "tests/pure/test_user_transformations.py::test_drop_names_one_argument_and_stands_second",
    "a parameter of a function": "tests/pure/test_transformations.py::test_a_parameter_with_a_default_is_no_feature",
    "a feature that other": "tests/pure/test_user_transformations.py::test_an_output_can_be_taken_by_the_name_that_hopsworks_gives_it",
    "a `transformation_context`": "tests/pure/test_local_chains.py::test_what_is_set_for_training_is_kept_and_can_be_set_for_a_batch",
    "`winsorize` reads": "tests/pure/test_builtin_transformations.py::test_winsorize_clips_to_percentiles",
    "on-demand features are computed": "tests/online/test_on_demand_features.py::test_nothing_passed_gives_what_is_stored",
    "encoders of categories": "tests/pure/test_transformations.py::test_what_cannot_be_attached",
    "a scaler or imputer": "tests/pure/test_transformations.py::test_a_feature_without_values_teaches_nothing",
    "`create_transformation_function(f)": "tests/pure/test_saved_transformations.py::test_every_function_is_listed_and_a_saved_one_can_be_deleted",
    "`query.filter(...)`, `join`": "tests/house/test_coming_from.py::test_a_query_is_a_value",
    "`select_except` of a name": "tests/pure/test_query_api.py::test_columns_are_selected_by_name_as_features_or_one_alone",
    "a filter on a timestamp": "tests/pure/test_query_api.py::test_a_filter_is_exact_to_the_microsecond",
    "of a name that several groups": "tests/pure/test_query_api.py::test_a_name_that_is_taken_gets_its_group_before_it",
    "a right or outer join": "tests/pure/test_outer_joins.py::test_each_kind_of_join_gives_its_rows",
    "`query.limit(n)`": "tests/pure/test_query_api.py::test_a_limit_bounds_the_rows_of_the_result",
    "`fg.commit_details()`": "tests/pure/test_query_api.py::test_commits_are_a_list_and_hopsworks_dict",
    "an integer as a time": "tests/pure/test_times.py::test_what_is_no_time_is_refused_with_its_value",
    "`fg.read_changes(start, end)`": "tests/spark/test_history.py::test_as_of_the_start_and_the_changes_make_the_end",
    "`query.read(online=True)`": "tests/pure/test_query_api.py::test_online_rows_are_filtered_and_joined_by_key",
    "`get_or_create_feature_group` returns": "tests/pure/test_group_declarations.py::test_each_difference_is_listed_in_plain_words",
    "`create_feature_group` keeps nothing": "tests/pure/test_group_declarations.py::test_a_name_and_a_version_alone_are_a_get",
    "a group without primary key": "tests/pure/test_group_declarations.py::test_an_event_time_is_left_out_of_the_primary_key",
    "`primary_key` that names": "tests/pure/test_group_declarations.py::test_an_event_time_is_left_out_of_the_primary_key",
    "`insert(wait=False)`": "tests/pure/test_group_declarations.py::test_a_call_that_is_not_offered_says_what_is",
    "`embedding_index`, `find_neighbors`": "tests/pure/test_group_declarations.py::test_what_cannot_be_is_refused",
    "`primary_key=True`, `event_time=True`": (
        "tests/pure/test_selected_columns.py"
        "::test_the_spines_own_key_and_time_come_beside_those_of_a_joined_group"
    ),
    "a joined group's key and time": (
        "tests/pure/test_plan.py::test_a_key_or_time_that_the_left_side_has_does_not_come_twice"
    ),
    "a vector's keys are": (
        "tests/pure/test_selected_columns.py"
        "::test_a_key_of_a_group_that_is_not_online_is_that_of_the_entry"
    ),
    "`get_feature_vectors`, `get_batch_data` without": (
        "tests/online/test_agreement.py"
        "::test_which_training_dataset_must_be_said_where_there_are_several"
    ),
    "frames of training data and batches": "tests/pure/test_hopsworks_views.py::test_train_ends_where_test_begins",
    "`fv.schema` also lists": "tests/pure/test_hopsworks_views.py::test_features_are_all_that_the_query_selects",
    "an unknown name in `passed_features`": (
        "tests/pure/test_hopsworks_views.py::test_request_parameters_of_no_feature_are_of_no_account"
    ),
    "`fv.purge_training_data` of": "tests/pure/test_hopsworks_views.py::test_purged_data_can_be_made_again",
    "helper columns that are asked for": "tests/online/test_agreement.py::test_helpers_come_beside_and_never_in_a_vector",
    "`lookback=` bounds": "tests/pure/test_hopsworks_views.py::test_what_cannot_mean_the_same_is_refused",
    "`storage_connector=` or": "tests/pure/test_hopsworks_views.py::test_what_cannot_mean_the_same_is_refused",
    "`fv.log` writes to": "tests/spark/test_moved_log.py::test_what_was_served_is_moved_once_and_read",
    "`fv.read_log` leaves out": "tests/spark/test_moved_log.py::test_what_was_served_is_moved_once_and_read",
    "`get_batch_data(logging_data=True)`": "tests/pure/test_hopsworks_views.py::test_a_frame_that_carries_nothing_is_refused",
    "`fv.create_feature_logger`": "tests/pure/test_hopsworks_views.py::test_what_there_is_not_is_refused_with_what_there_is",
    "`get_or_create_feature_view` returns": (
        "tests/pure/test_hopsworks_views.py::test_what_exists_is_got_and_what_differs_is_said_in_words"
    ),
    "`login(host, port,": "tests/pure/test_project_files.py::test_arguments_for_a_server_are_named_in_a_warning",
    "`get_feature_group`, `get_feature_view`": "tests/pure/test_models.py::test_what_cannot_be_saved",
    "`RestAPIError`,": "tests/pure/test_hopsworks_modules.py::test_what_catches_an_error_of_hopsworks_catches_ours",
    "deployments, Kafka": "tests/pure/test_project_files.py::test_what_a_cluster_alone_has_says_what_to_use",
    "`model.save` moves": "tests/pure/test_models.py::test_a_model_of_a_view_knows_what_it_was_trained_on",
    "files of a project": "tests/pure/test_project_files.py::test_a_file_goes_up_and_comes_down",
    "storage connectors of": "tests/pure/test_storage_connectors.py::test_no_secret_is_kept",
    "`ExpectationConfiguration`, `ExpectationSuite`": (
        "tests/pure/test_suites.py::test_a_suite_is_built_as_with_0_18"
    ),
    "the id of an expectation": (
        "tests/pure/test_suites.py::test_the_number_of_an_expectation_hangs_on_what_it_says_alone"
    ),
    "a monitor runs as a job": (
        "tests/pure/test_monitoring.py::test_a_monitor_is_declared_and_kept_with_hopsworks_names"
    ),
    "the window of a view's monitor": (
        "tests/pure/test_monitored_rows.py"
        "::test_a_view_is_compared_with_its_training_data_before_transformations"
    ),
    "`create_alert` sends": "tests/pure/test_monitoring.py::test_what_cannot_be_monitored_says_why",
}


def read_rows() -> list[str]:
    """The first cells of the table."""
    table = PAGE.read_text().split("### What differs")[1].split("\n###")[0]
    rows = re.findall(r"^\| (.*?) \| .* \|$", table, re.MULTILINE)
    return rows[1:] if rows[0] == "in Hopsworks" else rows


@pytest.mark.parametrize("row", read_rows())
def test_a_difference_is_held_by_a_test(row: str) -> None:
    named = [test for beginning, test in TESTS.items() if row.startswith(beginning)]
    assert len(named) == 1, f"name the test of our side of {row!r} in TESTS"
    path, _, name = named[0].partition("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text()


def test_each_test_is_of_a_row() -> None:
    rows = read_rows()
    assert not [b for b in TESTS if not any(row.startswith(b) for row in rows)]


def test_a_query_is_a_value(tmp_path: Path) -> None:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    payments = fs.get_feature_group("payments", 1)
    query = payments.select_all()
    narrowed = query.filter(payments["amount"] > 1000)
    assert (len(query.read("pandas")), len(narrowed.read("pandas"))) == (39, 0)
