"""On-demand transformations of a feature group, apart from any store."""

import pandas as pd
import pyarrow as pa
import pytest

from spark_fs.api.transformation_lists import to_on_demand_specs
from spark_fs.builtin_transformations import log_transform, standard_scaler
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.flows.on_demand_frames import compute_frame
from spark_fs.hopsworks_udf import udf
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.transform.on_demand import OnDemandColumns


@udf(float, drop=["quantity"])
def ratio(amount, quantity):
    return amount / quantity


@udf([float, bool], mode="python")
def change(ratio, context):
    return ratio * context.get("rate", 2.0), ratio > 50


def group(*functions) -> GroupSpec:
    return GroupSpec("sales", 1, primary_key=("id",), transformations=to_on_demand_specs(functions))


FRAME = pd.DataFrame({"id": [1, 2], "amount": [100.0, 200.0], "quantity": [1, 5]})


def test_columns_are_computed_named_for_their_function_and_dropped_as_it_says():
    rows, inputs = compute_frame(group(change("ratio"), ratio("amount", "quantity")), FRAME, None)
    assert rows.to_pydict() == {
        "id": [1, 2],
        "amount": [100.0, 200.0],
        "ratio": [100.0, 40.0],
        "change_0": [200.0, 80.0],
        "change_1": [True, False],
    }
    assert inputs == {"amount": "double", "quantity": "bigint"}


def test_a_column_that_is_there_is_computed_anew_and_settings_are_told():
    frame = FRAME.assign(ratio=0.0)
    rows, _ = compute_frame(group(ratio, change), frame, {"rate": 3.0})
    assert rows.column("ratio").to_pylist() == [100.0, 40.0]
    assert rows.column("change_0").to_pylist() == [300.0, 120.0]


def test_a_builtin_that_learns_nothing_is_taken():
    rows, _ = compute_frame(group(log_transform("amount").alias("log_amount")), FRAME, None)
    assert rows.column_names == ["id", "quantity", "log_amount"]
    with pytest.raises(SettingsError, match=r"standard_scaler\(amount\) learns of a train split"):
        group(standard_scaler("amount"))


def test_a_missing_column_is_named():
    with pytest.raises(NotFoundError, match=r"transform=False rows that hold ratio"):
        compute_frame(group(ratio), FRAME.drop(columns="quantity"), None)


def test_a_group_keeps_them_in_a_format_that_older_releases_refuse():
    spec = group(ratio, change)
    data = spec.to_json()
    assert data["format_version"] == 3
    assert GroupSpec.from_json(data) == spec
    assert "transformations" not in GroupSpec("plain", 1, primary_key=("id",)).to_json()


def test_types_are_known_before_any_row():
    columns = OnDemandColumns.bind(
        group(ratio).transformations, {"amount": "int", "quantity": "int"}
    )
    assert columns.list_types({"id": "int", "amount": "int", "quantity": "int"}) == {
        "id": "int",
        "amount": "int",
        "ratio": "double",
    }
    empty = columns.compute_table(
        pa.table({"amount": pa.array([], pa.int32()), "quantity": pa.array([], pa.int32())})
    )
    assert empty.schema.field("ratio").type == pa.float64()
