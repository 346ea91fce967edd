"""Frames of every kind on their way in: pandas, polars, Arrow and lists of dicts become one Arrow table of the same values."""

import datetime as dt
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import values as strategies
from hypothesis import HealthCheck, Phase, given, settings
from values import same

from spark_fs.errors import InvalidNameError, SchemaError
from spark_fs.tables.arrow_frames import is_frame, to_arrow

NOON = datetime(2024, 1, 2, 12, 30)
MANY_TYPES = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking takes minutes
)


def read_rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as dicts of Python values, in which maps are dicts."""
    return table.to_pylist(maps_as_pydicts="strict")


def are_same(table: pa.Table, rows: list[dict[str, Any]]) -> bool:
    """Whether the table holds these rows, value by value."""
    return all(same(row, wanted) for row, wanted in zip(read_rows(table), rows, strict=True))


# -- one frame, many kinds

ROWS = [
    {"k": 1, "name": "a", "x": 0.5, "at": NOON, "day": date(2024, 1, 1), "tags": ["p", None]},
    {"k": 2, "name": None, "x": None, "at": None, "day": None, "tags": None},
]
SCHEMA = pa.schema(
    [
        ("k", pa.int64()),
        ("name", pa.string()),
        ("x", pa.float64()),
        ("at", pa.timestamp("us")),
        ("day", pa.date32()),
        ("tags", pa.list_(pa.string())),
    ]
)
TABLE = pa.Table.from_pylist(ROWS, SCHEMA)
KINDS: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pd.DataFrame(ROWS),
    "pandas backed by Arrow": lambda: TABLE.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda: pl.from_arrow(TABLE),
    "a polars LazyFrame": lambda: pl.from_arrow(TABLE).lazy(),
    "an Arrow table": lambda: TABLE,
    "an Arrow batch": lambda: TABLE.to_batches()[0],
    "an Arrow reader": TABLE.to_reader,
    "a list of dicts": lambda: ROWS,
    "a tuple of dicts": lambda: tuple(ROWS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_of_any_kind_is_the_same_rows(kind: str) -> None:
    assert is_frame(KINDS[kind]())
    table = to_arrow(KINDS[kind](), {})
    assert table.schema == SCHEMA.set(3, pa.field("at", pa.timestamp("us", "UTC")))
    assert are_same(table, [{**ROWS[0], "at": NOON.replace(tzinfo=UTC)}, ROWS[1]])


def test_whatever_gives_an_arrow_stream_is_a_frame() -> None:
    duckdb = pytest.importorskip("duckdb")
    table = to_arrow(duckdb.sql("SELECT 1::BIGINT AS k, 'a' AS name"), {})
    assert read_rows(table) == [{"k": 1, "name": "a"}]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"k": 1}, "builtins.dict"),
        ("k", "builtins.str"),
        (None, "builtins.NoneType"),
        (pl.Series([1]), "polars.series.series.Series"),
        (pa.chunked_array([[1]]), "pyarrow.lib.ChunkedArray"),
    ],
)
def test_what_holds_no_rows_is_refused(data: Any, kind: str) -> None:
    with pytest.raises(
        SchemaError,
        match=rf"^A {kind} holds no rows: give a Spark, pandas or polars DataFrame, an Arrow table,"
        " or a list of dicts",
    ):
        to_arrow(data, {})


# -- polars


@MANY_TYPES
@given(strategies.tables(more=3))
def test_a_polars_frame_is_the_table_that_it_was_made_of(
    drawn: tuple[dict[str, str], list[dict[str, Any]]],
) -> None:
    columns, rows = drawn
    given_table = strategies.to_arrow(columns, rows)
    table = to_arrow(pl.from_arrow(given_table), columns)
    assert table.schema == given_table.schema
    assert are_same(table, rows)


POLARS: list[tuple[pl.Series, str, list[Any]]] = [
    (pl.Series(["a", None], dtype=pl.Categorical), "string", ["a", None]),
    (pl.Series(["b", None], dtype=pl.Enum(["a", "b"])), "string", ["b", None]),
    (pl.Series([["a"]], dtype=pl.List(pl.Categorical)), "list<item: string>", [["a"]]),
    (pl.Series([2**64 - 1], dtype=pl.UInt64), "decimal128(20, 0)", [Decimal(2**64 - 1)]),
    (pl.Series([255], dtype=pl.UInt8), "int16", [255]),
    (pl.Series([0.5, math.nan, None]), "double", [0.5, math.nan, None]),
    (pl.Series([Decimal("1.10")], dtype=pl.Decimal(12, 4)), "decimal128(12, 4)", [Decimal("1.1")]),
    (pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)), "list<item: int8>", [[1, 2]]),
    (
        pl.Series([NOON], dtype=pl.Datetime("ms")),
        "timestamp[us, tz=UTC]",
        [NOON.replace(tzinfo=UTC)],
    ),
    (
        pl.Series([NOON]).dt.replace_time_zone("America/New_York"),
        "timestamp[us, tz=UTC]",
        [NOON.replace(hour=17, tzinfo=UTC)],
    ),
    (
        pl.Series([{"a": "x", "b": [b"y"]}, None]),
        "struct<a: string, b: list<item: binary>>",
        [{"a": "x", "b": [b"y"]}, None],
    ),
    (pl.Series([], dtype=pl.Int32), "int32", []),
]


@pytest.mark.parametrize(
    ("column", "type_", "wanted"), POLARS, ids=[str(each[0].dtype) for each in POLARS]
)
def test_polars_types_become_those_of_the_table(
    column: pl.Series, type_: str, wanted: list[Any]
) -> None:
    found = to_arrow(pl.DataFrame({"c": column}), {}).column("c")
    assert str(found.type) == type_
    assert same(found.to_pylist(), wanted)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pl.Series([object()], dtype=pl.Object), "Column 'c' is of the polars type Object"),
        (
            pl.Series([1], dtype=pl.Int128),
            "the polars type Int128, which has no feature type: cast",
        ),
        (pl.Series([[1]], dtype=pl.List(pl.UInt128)), "Column 'c' is of the polars type UInt128"),
        (
            pl.Series([{"a": 1}], dtype=pl.Struct({"a": pl.Int128})),
            "Column 'c' is of the polars type Int128",
        ),
        (
            pl.Series([{"a": 1}], dtype=pl.Map(pl.String, pl.Int128)),
            "Column 'c' is of the polars type Int128",
        ),
        (pl.Series([dt.time(1)]), r"Column 'c' is of the Arrow type time64\[ns\]"),
        (pl.Series([dt.timedelta(1)]), r"Arrow type duration\[us\]"),
        (pl.Series([1]).cast(pl.Datetime("ns")), "Times are kept in whole microseconds"),
        (pl.Series([None]), "Column 'c' holds only nulls"),
    ],
)
def test_polars_types_without_a_feature_type_are_refused(column: pl.Series, text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        to_arrow(pl.DataFrame({"c": column}), {})


# -- lists of dicts


@MANY_TYPES
@given(strategies.tables(more=3))
def test_a_list_of_dicts_is_the_table_that_it_was_made_of(
    drawn: tuple[dict[str, str], list[dict[str, Any]]],
) -> None:
    columns, rows = drawn
    table = to_arrow(rows, columns)
    assert table.schema == strategies.to_arrow(columns, rows).schema
    assert are_same(table, rows)


def test_a_key_that_a_row_lacks_is_null_and_columns_keep_their_order() -> None:
    table = to_arrow([{"b": 1}, {"a": "x"}, {}], {})
    assert table.column_names == ["b", "a"]
    assert read_rows(table) == [
        {"b": 1, "a": None},
        {"b": None, "a": "x"},
        {"b": None, "a": None},
    ]


def test_nan_in_a_list_of_dicts_is_a_number() -> None:
    table = to_arrow([{"x": math.nan}, {"x": None}, {"x": pd.NA}, {"x": 1}], {})
    assert same(table.column("x").to_pylist(), [math.nan, None, None, 1.0])


def test_a_list_without_rows_has_the_columns_of_its_group() -> None:
    table = to_arrow([], {"k": "bigint", "m": "map<string,double>"})
    assert table.schema == pa.schema([("k", pa.int64()), ("m", pa.map_(pa.string(), pa.float64()))])
    assert len(table) == 0


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([{"a": 1}, {"a": "x"}], r"column 'a' holds int \(1\) and str \('x'\)"),
        ([{"a": date(2024, 1, 1)}, {"a": NOON}], r"column 'a' holds date \(.*\) and datetime"),
        ([{"a": [1, "x"]}], r"column 'a' within its lists holds int"),
        ([{"a": None}, {}], "Column 'a' holds only nulls"),
        ([{"a": 1}, ["x"]], "Row 1 of the list is a list, not a dict of the values"),
        ([1, 2], "Row 0 of the list is a int, not a dict"),
        ([{1: "x"}], "A row of the list has the key 1, and a column's name is a string"),
        ([], "The list holds no row that names a column"),
        ([{}], "The list holds no row that names a column"),
    ],
)
def test_rows_that_are_no_table_are_refused(rows: list[Any], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        to_arrow(rows, {})


def test_a_column_name_of_half_a_character_is_refused_in_rows() -> None:
    with pytest.raises(InvalidNameError, match=r"Column 'a\\ud800' is not a valid name"):
        to_arrow([{"a\ud800": 1}], {})


@pytest.mark.parametrize("value", [("2024-01-01", "2024-02-01"), (1, 2), [], {}, "x", None])
def test_bounds_are_no_frame(value: Any) -> None:
    assert not is_frame(value)
