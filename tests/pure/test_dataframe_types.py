"""Rows on their way out, as pandas, polars, Arrow or NumPy: by one rule for each type, beside plain Python values."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import values as strategies
from hypothesis import HealthCheck, Phase, given, settings
from values import same

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.dataframes import convert_table

MANY_TYPES = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes
)
Drawn = tuple[dict[str, str], list[dict[str, Any]]]

# -- pandas: the dtype of each type; without nulls, and with one
DTYPES = [
    ("boolean", "bool", "object"),
    ("tinyint", "int8", "float64"),
    ("smallint", "int16", "float64"),
    ("int", "int32", "float64"),
    ("bigint", "int64", "Int64"),
    ("float", "float32", "float32"),
    ("double", "float64", "float64"),
    ("decimal(20,0)", "object", "object"),
    ("timestamp", "datetime64[ns, UTC]", "datetime64[ns, UTC]"),
    ("date", "object", "object"),
    ("string", "object", "object"),
    ("binary", "object", "object"),
    ("array<bigint>", "object", "object"),
    ("struct<a:bigint>", "object", "object"),
    ("map<string,double>", "object", "object"),
]
# where a null of pandas is NaN, NaT or NA; elsewhere it is None
MISSING = {"tinyint", "smallint", "int", "bigint", "float", "double", "timestamp"}


@pytest.mark.parametrize(("type_", "dtype", "dtype_with_nulls"), DTYPES)
def test_a_pandas_column_has_the_dtype_of_its_type(
    type_: str, dtype: str, dtype_with_nulls: str
) -> None:
    schema = to_arrow_schema({"c": type_})
    assert str(convert_table(schema.empty_table(), "pandas")["c"].dtype) == dtype
    nulls = convert_table(pa.table({"c": pa.nulls(2, schema.field("c").type)}), "pandas")
    assert str(nulls["c"].dtype) == dtype_with_nulls
    assert nulls["c"].isna().all()


@MANY_TYPES
@given(strategies.tables(more=3))
def test_pandas_holds_every_value(drawn: Drawn) -> None:
    columns, rows = drawn
    frame = convert_table(strategies.to_arrow(columns, rows), "pandas")
    assert list(frame.columns) == list(columns)
    for name, type_ in columns.items():
        for found, row in zip(frame[name].tolist(), rows, strict=True):
            assert _is_pandas_value(found, row[name], type_), (type_, found, row[name])


def _is_pandas_value(found: Any, wanted: Any, type_: str) -> bool:
    if wanted is None and type_ in MISSING:
        return bool(pd.isna(found))
    if type_ in ("tinyint", "smallint", "int"):
        return float(found) == float(wanted)
    return same(found, wanted)


def test_times_past_those_of_nanoseconds_make_a_frame_of_microseconds() -> None:
    table = pa.table(
        {
            "far": pa.array([datetime(9999, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)]),
            "near": pa.array([datetime(2024, 1, 1, tzinfo=UTC), None]),
        }
    )
    frame = convert_table(table, "pandas")
    assert str(frame["far"].dtype) == "datetime64[us, UTC]"
    assert frame["far"].tolist() == table.column("far").to_pylist()
    assert str(convert_table(table.select(["near"]), "pandas")["near"].dtype) == (
        "datetime64[ns, UTC]"
    )


# -- polars and Arrow: the same types with nulls and without, with rows and without


@MANY_TYPES
@given(strategies.tables(more=3))
def test_polars_and_arrow_hold_every_value(drawn: Drawn) -> None:
    columns, rows = drawn
    table = strategies.to_arrow(columns, rows)
    kept = convert_table(table, "arrow")
    assert kept.schema == to_arrow_schema(columns)
    frame = convert_table(table, "polars")
    assert frame.schema == convert_table(table.slice(0, 0), "polars").schema
    found = [kept.to_pylist(maps_as_pydicts="strict"), frame.to_dicts()]
    for found_rows in found:
        assert all(same(one, row) for one, row in zip(found_rows, rows, strict=True))


POLARS = {
    "boolean": pl.Boolean(),
    "tinyint": pl.Int8(),
    "bigint": pl.Int64(),
    "float": pl.Float32(),
    "decimal(12,4)": pl.Decimal(12, 4),
    "timestamp": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "string": pl.String(),
    "binary": pl.Binary(),
    "array<double>": pl.List(pl.Float64()),
    "struct<a:bigint>": pl.Struct({"a": pl.Int64()}),
    "map<string,double>": pl.Map(pl.String(), pl.Float64()),
}


@pytest.mark.parametrize("type_", POLARS)
def test_a_polars_column_has_the_dtype_of_its_type(type_: str) -> None:
    frame = convert_table(to_arrow_schema({"c": type_}).empty_table(), "polars")
    assert frame.schema == pl.Schema({"c": POLARS[type_]})


def test_polars_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    with pytest.raises(Exception, match=r"pip install 'spark_fs\[polars\]'"):
        convert_table(pa.table({"a": [1]}), "polars")


# -- NumPy

NUMPY: list[tuple[dict[str, str], list[tuple[Any, ...]], str, list[list[Any]]]] = [
    ({"a": "boolean"}, [(True,), (False,)], "bool", [[True], [False]]),
    ({"a": "int", "b": "boolean"}, [(7, True)], "int64", [[7, 1]]),
    ({"a": "bigint"}, [(2**63 - 1,)], "int64", [[2**63 - 1]]),
    ({"a": "bigint", "b": "double"}, [(1, 0.5), (None, None)], "float64", [[1, 0.5], [None] * 2]),
    ({"a": "bigint"}, [(2**53,), (None,)], "float64", [[2.0**53], [None]]),
    ({"a": "bigint"}, [(2**53 + 1,), (None,)], "object", [[2**53 + 1], [None]]),
    ({"a": "boolean"}, [(True,), (None,)], "float64", [[1.0], [None]]),
    ({"a": "float"}, [(0.5,)], "float64", [[0.5]]),
    ({"a": "string", "b": "int"}, [("x", None)], "object", [["x", None]]),
    ({"a": "array<int>"}, [([1, 2],), ([3, 4],)], "object", [[[1, 2]], [[3, 4]]]),
    ({"a": "decimal(4,1)"}, [(Decimal("1.5"),)], "object", [[Decimal("1.5")]]),
    (
        {"a": "timestamp", "b": "date"},
        [(datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1))],
        "object",
        [[datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1)]],
    ),
    ({"a": "int"}, [], "int64", []),
]


@pytest.mark.parametrize(("columns", "rows", "dtype", "wanted"), NUMPY)
def test_an_array_is_of_the_first_dtype_that_holds_every_value(
    columns: dict[str, str], rows: list[tuple[Any, ...]], dtype: str, wanted: list[list[Any]]
) -> None:
    table = strategies.to_arrow(columns, [dict(zip(columns, row, strict=True)) for row in rows])
    array = convert_table(table, "numpy")
    assert array.shape == (len(rows), len(columns))
    assert array.dtype == np.dtype(dtype)
    found = array.tolist()
    if dtype == "float64":
        found = [[None if math.isnan(value) else value for value in row] for row in found]
    assert found == wanted


# -- what an engine calls a type does not matter


@pytest.mark.parametrize("dataframe_type", ["arrow", "polars", "pandas"])
def test_a_frame_does_not_tell_which_reader_gave_its_rows(dataframe_type: str) -> None:
    element = pa.field("element", pa.large_string(), nullable=False)
    other = pa.table(
        {
            "s": pa.array(["a", None], pa.large_string()),
            "v": pa.array(["a", None], pa.string_view()),
            "c": pa.array(["a", None]).dictionary_encode(),
            "x": pa.array([b"a", None], pa.large_binary()),
            "t": pa.array([0, None], pa.timestamp("ms", "Etc/UTC")),
            "l": pa.array([["a"], None], pa.large_list(element)),
            "m": pa.array([[("a", ["b"])], None], pa.map_(pa.string(), pa.large_list(element))),
        },
    )
    types = ["string", "string", "string", "binary", "timestamp"]
    types += ["array<string>", "map<string,array<string>>"]
    columns = dict(zip(other.column_names, types, strict=True))
    plain = strategies.to_arrow(columns, other.to_pylist(maps_as_pydicts="strict"))
    found = convert_table(other, dataframe_type)
    wanted = convert_table(plain, dataframe_type)
    if dataframe_type == "pandas":
        pd.testing.assert_frame_equal(found, wanted)
    else:
        assert found.schema == wanted.schema
        assert found.equals(wanted)
