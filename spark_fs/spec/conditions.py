"""Conditions whose values are of their columns' own types, so that Spark, Arrow and SQL agree.

A column of integers beside 0.5, one of dates beside a time, one of decimals beside more
digits: each is asked for the greatest of its own values that is not above the one that was given,
which says the same of every row.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, NamedTuple

from spark_fs.base import types
from spark_fs.base.arithmetic import is_nan
from spark_fs.base.python_values import UnfitError, format_value, is_number, to_python
from spark_fs.base.times import parse_time
from spark_fs.base.types import INTEGER_BITS, NUMERIC
from spark_fs.base.values import to_canonical
from spark_fs.errors import QueryError
from spark_fs.spec.predicates import Comparison, Condition, Operator, map_comparisons

_EXACT_CONTEXT = Context(prec=2_000)  # digits of any double, and of any decimal within its bounds


class _Floor(NamedTuple):
    """The greatest value of a type that is not above another, None where there is none.

    exact: whether it is the other.
    """

    value: Any
    exact: bool


def to_comparable(column: str, spark_type: str, value: object) -> Any:
    """The plain value that a column is compared with.

    A timestamp is compared with a time in any form, a date with one too but an epoch.

    Args:
        column: Its name.
        spark_type: Its feature type.
        value: What was given to compare it with.

    Raises:
        QueryError: The value is of another kind, or the type cannot be compared.
    """
    if types.get_base_type(spark_type) not in types.TYPES_BY_NAME:
        raise QueryError(
            f"Column {column!r} is {spark_type}: only columns of simple types can be compared."
        )
    plain = to_python(value)
    if plain is None:
        raise QueryError(
            f"Nothing equals null ({format_value(value)}): use fg[{column!r}].is_null()."
        )
    if isinstance(plain, float) and math.isnan(plain):
        raise QueryError(
            f"Nothing equals NaN: use fg[{column!r}].is_null(), or fg[{column!r}] > float('inf'),"
            " since NaN is above every number."
        )
    try:
        if _is_time(spark_type, plain):
            plain = _parse_time(plain)
        if isinstance(plain, datetime):
            plain = to_canonical("timestamp", plain)
        elif isinstance(plain, bytearray | memoryview):
            plain = to_canonical("binary", plain)
        _find_floor(spark_type, plain)  # UnfitError if it is of another kind
    except UnfitError as error:
        raise QueryError(
            f"Column {column!r} is {spark_type} and cannot be compared with {format_value(value)}:"
            f" give {error}."
        ) from None
    return plain


def check_like(column: str, spark_type: str) -> None:
    """QueryError for a column whose values are no strings."""
    if spark_type != "string":
        raise QueryError(
            f"Column {column!r} is {spark_type}, and like() compares strings: use ==, <, > or"
            " isin()."
        )


def _is_time(spark_type: str, value: Any) -> bool:
    """Whether a value that is no datetime is one in another form."""
    if spark_type == "timestamp":
        return isinstance(value, str | int)
    return spark_type == "date" and isinstance(value, str)


def _parse_time(value: Any) -> datetime:
    try:
        return parse_time(value)
    except ValueError:
        raise UnfitError("a datetime, a date or a string such as '2024-01-31 12:00:00'") from None


def cast_condition(condition: Condition, get_type: Callable[[Comparison], str]) -> Condition:
    """The condition that holds for the same rows, with values of the columns' types.

    Args:
        condition: With any values.
        get_type: Gives the feature type of the column that a comparison speaks of.

    Raises:
        QueryError: A value is of another kind than its column.
    """
    return map_comparisons(
        condition, lambda comparison: cast_comparison(comparison, get_type(comparison))
    )


def cast_comparison(comparison: Comparison, spark_type: str) -> Comparison:
    """One comparison, with a value of the column's type."""
    operator = comparison.operator
    if operator == "like":
        check_like(comparison.column, spark_type)
        return comparison
    if operator == "is_null":
        return comparison
    if operator == "in":
        return _cast_in_list(comparison, spark_type)
    value = to_comparable(comparison.column, spark_type, comparison.value)
    floor = _find_floor(spark_type, value)
    if floor.value is None:  # it lies below all values of the type
        if operator in ("!=", ">", ">="):
            return _make_always_true(comparison, spark_type)
        return _make_always_false(comparison, spark_type)
    if floor.exact:
        return replace(comparison, value=floor.value)
    if operator == "==":
        return _make_always_false(comparison, spark_type)
    if operator == "!=":
        return _make_always_true(comparison, spark_type)
    return replace(comparison, operator=_INEXACT_OPERATORS[operator], value=floor.value)


# How a column's value compares with the greatest one that is not above the value that was given.
_INEXACT_OPERATORS: Mapping[Operator, Operator] = {"<": "<=", "<=": "<=", ">": ">", ">=": ">"}


def _cast_in_list(comparison: Comparison, spark_type: str) -> Comparison:
    """Without the values that no value of the type equals."""
    equal_values = []
    for value in comparison.value:
        floor = _find_floor(spark_type, to_comparable(comparison.column, spark_type, value))
        if floor.exact:
            equal_values.append(floor.value)
    if comparison.value and not equal_values:
        return _make_always_false(comparison, spark_type)
    return replace(comparison, value=tuple(equal_values))


def _make_always_true(comparison: Comparison, spark_type: str) -> Comparison:
    """What holds for every value, and as any comparison for no null."""
    return replace(comparison, operator=">=", value=_get_min_value(spark_type))


def _make_always_false(comparison: Comparison, spark_type: str) -> Comparison:
    """What holds for no value, and as any comparison is unknown for a null."""
    return replace(comparison, operator="<", value=_get_min_value(spark_type))


def _get_min_value(spark_type: str) -> Any:
    kind = types.get_base_type(spark_type)
    if kind in INTEGER_BITS:
        return -(2 ** (INTEGER_BITS[kind] - 1))
    if kind == "decimal":
        return _get_max_decimal(spark_type).copy_negate()  # a minus would round it
    if kind == "date":
        return date.min
    if kind == "timestamp":
        return datetime.min.replace(tzinfo=UTC)
    return -math.inf


def _get_max_decimal(spark_type: str) -> Decimal:
    precision, scale = types.parse_decimal_sizes(spark_type)
    return Decimal((0, (9,) * precision, -scale))


# -- the greatest value that is not above another


def _find_floor(spark_type: str, value: Any) -> _Floor:
    kind = types.get_base_type(spark_type)
    if kind in NUMERIC:
        _check_number(value)
        if kind in INTEGER_BITS:
            return _find_integer_floor(INTEGER_BITS[kind], value)
        if kind == "decimal":
            return _find_decimal_floor(spark_type, value)
        return _find_double_floor(value)
    if kind == "date" and isinstance(value, datetime):
        instant = to_canonical("timestamp", value)
        return _Floor(instant.date(), instant.time() == datetime.min.time())
    return _Floor(to_canonical(spark_type, value), True)


def _check_number(value: Any) -> None:
    is_infinite_decimal = isinstance(value, Decimal) and not value.is_finite()
    if not is_number(value) or is_infinite_decimal or is_nan(value):
        raise UnfitError("a number")


def _find_integer_floor(bits: int, value: Any) -> _Floor:
    greatest = 2 ** (bits - 1) - 1
    if value > greatest:
        return _Floor(greatest, False)
    if value < -greatest - 1:
        return _Floor(None, False)
    number = math.floor(value)
    return _Floor(number, number == value)


def _find_decimal_floor(spark_type: str, value: Any) -> _Floor:
    greatest = _get_max_decimal(spark_type)
    if value > greatest:
        return _Floor(greatest, False)
    if value < greatest.copy_negate():
        return _Floor(None, False)
    _, scale = types.parse_decimal_sizes(spark_type)
    step = Decimal((0, (1,), -scale))
    number = Decimal(value).quantize(step, ROUND_FLOOR, _EXACT_CONTEXT)
    if isinstance(value, float) and number != value:
        raise UnfitError(f"a Decimal, such as Decimal('{value!r}'): the float is not exactly that")
    return _Floor(number, number == value)


def _find_double_floor(value: Any) -> _Floor:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if number == value:
        if isinstance(value, int) and abs(value) <= 2**53:
            return _Floor(value, True)  # so that 5 is written as 5
        return _Floor(number, True)
    if number > value:
        number = math.nextafter(number, -math.inf)
    return _Floor(number, False)
