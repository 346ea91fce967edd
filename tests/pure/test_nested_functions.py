"""Users' functions over nested values: the same Python objects in training and for one entry."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from values import same

from spark_fs.api.transformation_lists import to_transformation_specs
from spark_fs.api.transformations import TransformationFunction, udf
from spark_fs.base import arrow_types
from spark_fs.transform.arrays import transform_table
from spark_fs.transform.transformer import Transformer

TYPE = "struct<l:array<bigint>,m:map<string,double>>"
NAN = float("nan")
VALUES = [{"l": [2**53 + 1, None], "m": {"a": NAN, "b": None}}, None, {"l": None, "m": {}}]


@udf(TYPE, mode="pandas")
def returned(column: pd.Series) -> pd.Series:
    assert all(value is None or isinstance(value, dict) for value in column)
    return column


@udf(TYPE, mode="python")
def kept(value: Any) -> Any:
    assert value is None or isinstance(value["m"], dict)
    return value


@udf("array<double>", mode="pandas")
def listed(column: pd.Series) -> pd.Series:
    return pd.Series([None if value is None else [float("nan"), None, 1.5] for value in column])


@pytest.mark.parametrize(
    ("function", "wanted"),
    [(returned, VALUES), (kept, VALUES), (listed, [[NAN, None, 1.5], None, [NAN, None, 1.5]])],
)
def test_a_function_takes_and_gives_nested_values_as_they_are(
    function: TransformationFunction, wanted: list[Any]
) -> None:
    transformer = Transformer(to_transformation_specs([function("x")]), {"x": TYPE})
    table = pa.table({"x": pa.chunked_array([pa.array(VALUES, arrow_types.to_arrow_type(TYPE))])})
    found = transform_table(transformer, table)
    assert same(found.column(0).to_pylist(maps_as_pydicts="strict"), wanted)
    assert same([transformer.make_row_function()([value])[0] for value in VALUES], wanted)
