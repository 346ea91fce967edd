"""A condition says of every row what plain Python says, in Arrow, in SQL text, by a file's bounds and after JSON; what cannot be compared is refused."""

import json
import math
import re
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import values
from conditions import GROUP, NOON, OPERATORS, TABLE, TYPES, compared, conditions, holds, numbers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spark_fs.api.feature import Feature, Filter
from spark_fs.base import arrow_types
from spark_fs.base.python_values import format_value
from spark_fs.engine.scan.filters import can_evaluate, evaluate_condition, may_match
from spark_fs.errors import QueryError, SettingsError, SparkFSError
from spark_fs.planning.sql_expressions import cast_compared
from spark_fs.planning.sql_expressions import format_condition as sql_of
from spark_fs.spec.conditions import cast_condition
from spark_fs.spec.predicates import Comparison, Condition, parse_condition
from spark_fs.tables.data_files import DataFile

ROWS = [
    dict(zip(TABLE, row, strict=True))
    for row in zip_longest(*(rows for _, rows, _ in TABLE.values()))
]
WHOLE = values.to_arrow(TYPES, ROWS)


def typed(condition: Condition) -> Condition:
    return cast_condition(condition, lambda comparison: TYPES[comparison.column])


def test_arrow_says_what_python_says() -> None:
    columns = {name: WHOLE.column(name) for name in TYPES}
    for each in conditions():
        assert can_evaluate(typed(each), TYPES)
        assert evaluate_condition(typed(each), columns, TYPES).to_pylist() == [
            holds(each, row) for row in ROWS
        ], each


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from("a%_.\\ü🙂\n*"), max_size=6),
    st.lists(st.none() | st.text(st.sampled_from("a%_.\\ü🙂\n*"), max_size=6), min_size=1),
)
def test_like_is_that_of_duckdb_with_a_backslash_to_escape(
    pattern: str, texts: list[str | None]
) -> None:
    condition = Comparison(GROUP, "word", "like", pattern)
    types = {"word": "string"}
    if re.search(r"(?<!\\)(\\\\)*\\([^%_\\]|$)", pattern):
        assert not can_evaluate(condition, types)  # Spark refuses it
        return
    assert can_evaluate(condition, types)
    word = pa.chunked_array([texts], pa.string())
    with duckdb.connect() as connection:
        connection.register("rows", pa.table({"word": word}))
        connection.execute(r"SELECT word LIKE $p ESCAPE '\' FROM rows", {"p": pattern})
        wanted = connection.fetchall()
    assert evaluate_condition(condition, {"word": word}, types).to_pylist() == [
        answer for (answer,) in wanted
    ]


def test_sql_text_says_what_python_says() -> None:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("rows", WHOLE)
    asked = conditions()
    for start in range(0, len(asked), 100):
        some = asked[start : start + 100]
        texts = [
            sql_of(typed(each), lambda c: cast_compared(f'"{c.column}"', TYPES[c.column]))
            for each in some
        ]
        found = connection.execute(f"SELECT {', '.join(texts)} FROM rows").fetchall()
        for each, text, said in zip(some, texts, zip(*found, strict=True), strict=True):
            assert list(said) == [holds(each, row) for row in ROWS], text


def test_a_condition_is_the_same_after_json() -> None:
    for each in conditions():
        again = parse_condition(json.loads(json.dumps(each.to_json(), allow_nan=False)))
        assert repr(again) == repr(each)


def logged(value: Any) -> Any:
    """A bound as Delta's log has it: times in whole milliseconds, rounded down."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return value.isoformat() if isinstance(value, date) else value


def test_no_file_that_holds_a_row_is_left_out() -> None:
    whole = {
        column: rows
        for column, (type_, rows, _) in TABLE.items()
        if type_ in ("tinyint", "smallint", "int", "bigint", "date", "timestamp")
    }
    for each in conditions():
        if isinstance(each, Comparison) and each.column in whole:
            for value in whole[each.column]:
                if value is not None and holds(each, {each.column: value}):
                    bounds = {each.column: logged(value)}
                    assert may_match(
                        DataFile("f", 1, 1, {}, bounds, bounds, True), typed(each), TYPES
                    ), (each, value)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(
    data=st.data(),
    type_=st.sampled_from(
        ["tinyint", "int", "bigint", "float", "double", "decimal(10,2)", "decimal(38,18)"]
    ),
    operator=st.sampled_from(list(OPERATORS)),
)
def test_numbers_of_any_kind_are_compared_by_value(
    data: st.DataObject, type_: str, operator: Any
) -> None:
    rows, asked = (
        data.draw(st.lists(values.values(type_), min_size=1, max_size=5)),
        data.draw(numbers()),
    )
    column = pa.chunked_array([pa.array(rows, arrow_types.to_arrow_type(type_))])
    try:
        found = cast_condition(Comparison(GROUP, "c", operator, asked), lambda _: type_)
    except QueryError:
        assert type_.startswith("decimal")
        assert isinstance(asked, float)
        return
    wanted = [
        holds(Comparison(GROUP, "c", operator, asked), {"c": value}) for value in column.to_pylist()
    ]
    assert evaluate_condition(found, {"c": column}, {"c": type_}).to_pylist() == wanted
    assert cast_condition(found, lambda _: type_) == found


REFUSED: list[tuple[str, Any, str]] = [
    ("at", pd.NaT, r"Nothing equals null \(NaT\): use fg\['at'\].is_null\(\)"),
    ("at", None, "Nothing equals null"),
    ("at", np.datetime64("NaT"), "Nothing equals null"),
    ("big", pd.NA, "Nothing equals null"),
    ("double", math.nan, "Nothing equals NaN: use .*since NaN is above every number"),
    ("big", np.float32("nan"), "Nothing equals NaN"),
    ("big", "1", "Column 'big' is bigint and cannot be compared with '1': give a number"),
    ("big", True, "give a number"),
    ("double", Decimal("NaN"), "give a number"),
    ("double", Decimal("sNaN"), "give a number"),
    ("big", 1j, "give a number"),
    ("big", [1], "give a number"),
    ("amount", 1.1, r"give a Decimal, such as Decimal\('1.1'\)"),
    ("at", "soon", "give a datetime"),
    ("at", 5, "give a datetime"),
    ("at", pd.Timestamp(1), "of whole microseconds"),
    ("day", "soon", "give a date"),
    (
        "at",
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        "give an instant of the years 1 to 9999 in UTC",
    ),
    ("word", 1, "give a string"),
    ("word", b"a", "give a string"),
    ("word", "\ud800", "give a string without lone surrogates"),
    ("raw", "a", "give bytes"),
    ("flag", 1, "give True or False"),
    ("big", np.array([1, 2]), "give a number"),
    ("big", 10**5000, ""),
]


@pytest.mark.parametrize(
    ("column", "value", "text"), REFUSED, ids=lambda each: format_value(each)[:40]
)
def test_what_cannot_be_compared_is_refused_and_said(column: str, value: Any, text: str) -> None:
    feature = Feature(column, TYPES[column], group=GROUP)
    if not text:
        assert isinstance(feature > value, Filter)  # a number is a number, however long
        return
    for compare in (*OPERATORS.values(), lambda f, v: f.isin([NOON if column == "at" else v, v])):
        with pytest.raises(QueryError, match=text):
            compare(feature, value)


def test_like_compares_texts() -> None:
    assert isinstance(Feature("word", "string", group=GROUP).like("a%"), Filter)
    with pytest.raises(
        QueryError,
        match=r"Column 'big' is bigint, and like\(\) compares strings: use ==, <, > or isin\(\)",
    ):
        Feature("big", "bigint", group=GROUP).like("1%")
    with pytest.raises(SettingsError, match="other=1 is not a string"):
        Feature("word", "string", group=GROUP).like(1)  # type: ignore[arg-type] # that is refused
    with pytest.raises(
        QueryError, match=r"Column 'l' is array<int>: only columns of simple types can be compared"
    ):
        Feature("l", "array<int>", group=GROUP) == [1]  # noqa: B015 # it is refused


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.dates()
    | st.datetimes()
    | st.complex_numbers()
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    column=st.sampled_from(list(TYPES)), value=ANYTHING, operator=st.sampled_from(list(OPERATORS))
)
def test_no_value_ends_in_a_foreign_error(column: str, value: Any, operator: str) -> None:
    try:
        found = compared(column, operator, value)
    except SparkFSError:
        return
    evaluate_condition(typed(found), {column: WHOLE.column(column)}, TYPES)
    assert typed(parse_condition(json.loads(json.dumps(found.to_json())))) == typed(found)
