"""On-demand features of requests: computed of what is passed, else as they are stored. No JVM."""

from dataclasses import replace

import pandas as pd
import pytest

import spark_fs
from spark_fs.errors import KeyValueError, NotFoundError, SchemaError

from serving import put, store


@spark_fs.udf(float, drop=["quantity"])
def ratio(amount, quantity):
    return amount / quantity


@spark_fs.udf(float, mode="python")
def doubled(ratio, context):
    return None if ratio is None else ratio * context.get("by", 2.0)


TYPES = {"id": "bigint", "amount": "double", "ratio": "double", "doubled": "double"}
ROWS = [{"id": 1, "amount": 10.0, "ratio": 5.0, "doubled": 10.0}]


@pytest.fixture(scope="module")
def fs(tmp_path_factory):
    return store(tmp_path_factory.mktemp("on_demand"))


@pytest.fixture(scope="module")
def sales(fs):
    functions = [ratio, doubled]
    group = put(fs, "sales", TYPES, ROWS, ["id"], transformation_functions=functions)
    # as the first insert does
    return group._update_spec(lambda spec: replace(spec, on_demand_inputs={"quantity": "bigint"}))


@pytest.fixture(scope="module")
def view(fs, sales):
    view = fs.create_feature_view("sales", sales.select(["amount", "ratio", "doubled"]))
    view.init_serving()
    return view


def test_nothing_passed_gives_what_is_stored(view):
    assert view.get_feature_vector({"id": 1}) == [10.0, 5.0, 10.0]
    assert view.get_feature_vector({"id": 1}, request_parameters={"other": 1}) == [10.0, 5.0, 10.0]


def test_what_is_passed_is_computed_with_what_is_stored(view):
    passed = {"quantity": 4}
    assert view.get_feature_vector({"id": 1}, request_parameters=passed) == [10.0, 2.5, 5.0]
    assert view.get_feature_vector({"id": 1}, passed_features=passed) == [10.0, 2.5, 5.0]
    stored = view.get_feature_vector({"id": 1}, request_parameters=passed, on_demand_features=False)
    assert stored == [10.0, 5.0, 10.0]


def test_an_entry_without_a_row_needs_all_of_it_passed(view):
    passed = {"amount": 8.0, "quantity": 2}
    assert view.get_feature_vector({"id": 9}, request_parameters=passed) == [8.0, 4.0, 8.0]
    with pytest.raises(NotFoundError, match=r"has no online row for \{'id': 9\}"):
        view.get_feature_vector({"id": 9}, request_parameters={"quantity": 2})
    found = view.get_feature_vectors(
        [{"id": 1}, {"id": 9}], request_parameters=[{}, passed], return_type="list"
    )
    assert found == [[10.0, 5.0, 10.0], [8.0, 4.0, 8.0]]


def test_a_feature_that_is_passed_itself_is_taken_and_computed_of(view):
    found = view.get_feature_vector({"id": 1}, passed_features={"ratio": 7.0, "quantity": 2})
    assert found == [10.0, 7.0, 14.0]


def test_settings_reach_the_functions(view):
    found = view.get_feature_vector(
        {"id": 1}, request_parameters={"quantity": 5}, transformation_context={"by": 3.0}
    )
    assert found == [10.0, 2.0, 6.0]


def test_what_cannot_be_computed_is_said(fs, sales, view):
    narrow = fs.create_feature_view("narrow", sales.select(["ratio"]))
    with pytest.raises(KeyValueError, match=r"'amount' was not passed: add it to request_param"):
        narrow.get_feature_vector({"id": 1}, request_parameters={"quantity": 2})
    with pytest.raises(SchemaError, match=r"'quantity' is 'x', but its type is bigint"):
        view.get_feature_vector({"id": 1}, request_parameters={"quantity": "x"})


def test_vectors_that_a_caller_has_get_their_on_demand_features(view):
    stored = view.get_feature_vector({"id": 1}, transform=False, on_demand_features=False)
    assert view.compute_on_demand_features(stored, {"quantity": 4}) == [10.0, 2.5, 5.0]
    both = view.compute_on_demand_features([stored, stored], [{"quantity": 4}, {}])
    assert both == [[10.0, 2.5, 5.0], stored]
    row = {"amount": 8.0, "ratio": 0.0, "doubled": 0.0}
    frame = view.execute_odts(pd.DataFrame([row]), request_parameters={"quantity": 2})
    assert frame.to_dict("list") == {"amount": [8.0], "ratio": [4.0], "doubled": [8.0]}


def test_a_function_of_a_feature_that_is_not_selected_needs_nothing(fs, sales):
    view = fs.create_feature_view("amounts", sales.select(["amount"]))
    assert view.get_feature_vector({"id": 1}, request_parameters={"quantity": 2}) == [10.0]


def test_a_prefix_may_stand_before_what_is_passed(fs, sales):
    spine = put(fs, "spine", {"id": "bigint", "n": "bigint"}, [{"id": 1, "n": 3}], ["id"])
    query = spine.select(["n"]).join(sales.select(["amount", "ratio"]), prefix="s_")
    view = fs.create_feature_view("prefixed", query)
    for name in ("quantity", "s_quantity"):
        found = view.get_feature_vector({"id": 1}, request_parameters={name: 4})
        assert found == [3, 10.0, 2.5]
