"""On-demand columns of a feature group, computed at its inserts of frames of either kind."""

import pandas as pd
import pytest

import spark_fs
from spark_fs.errors import NotFoundError


@spark_fs.udf(float, drop=["quantity"])
def ratio(amount, quantity):
    return amount / quantity


FRAME = pd.DataFrame({"id": [1, 2], "amount": [100.0, 200.0], "quantity": [1, 5]})


def read(group):
    return group.read("pandas").sort_values("id").to_dict("list")


def test_frames_of_pandas_and_of_spark_are_computed_alike(fs, spark):
    group = fs.create_feature_group("od", primary_key=["id"], transformation_functions=[ratio])
    group.insert(FRAME)
    assert list(group.schema) == ["id", "amount", "ratio"]
    expected = {"id": [1, 2], "amount": [100.0, 200.0], "ratio": [100.0, 40.0]}
    assert read(group) == expected
    assert fs.get_feature_group("od", 1).spec.on_demand_inputs["quantity"] == "bigint"
    summary = group.insert(spark.createDataFrame(FRAME))[0].summary
    assert summary["unchanged"] == 2
    later = pd.DataFrame({"id": [3], "amount": [9.0], "ratio": [1.5]})
    group.insert(later, transform=False)
    assert read(group)["ratio"] == [100.0, 40.0, 1.5]
    with pytest.raises(NotFoundError, match=r"'quantity' does not exist"):
        group.insert(later)
    again = fs.get_feature_group("od", 1)
    assert [function.name for function in again.transformation_functions] == ["ratio"]
    view = fs.create_feature_view("od", again.select(["ratio"]))
    assert sorted(view.training_data()[0]["ratio"]) == [1.5, 40.0, 100.0]
