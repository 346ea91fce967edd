"""Conditions whose values are of their columns' own types, so that Spark, Arrow and any SQL compare like with like and agree.

A column of whole numbers beside 0.5, one of dates beside a time, one of decimals beside more digits: each is asked for the greatest of its
own values that is not above the one that was given, which says the same of every row.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, NamedTuple

from spark_fs import types
from spark_fs.errors import QueryError
from spark_fs.spec.query import Comparison, Condition
from spark_fs.values import INTEGERS, UnfitError, canonical, is_number, plain, shown

_EXACT = Context(prec=2_000)  # digits of any double, and of any decimal within its bounds
_NUMBERS = (*INTEGERS, "float", "double", "decimal")


class _Floor(NamedTuple):
    """The greatest value of a type that is not above another, None where there is none; exact: whether it is the other."""

    value: Any
    exact: bool


def value_of(column: str, spark_type: str, value: object) -> Any:
    """The plain value that a column of this type is compared with; QueryError for one that is of another kind."""
    if types.base(spark_type) not in types.BY_NAME:
        raise QueryError(f"Column {column!r} is {spark_type}: only whole values can be compared.")
    found = plain(value)
    if found is None:
        raise QueryError(f"Nothing equals null ({shown(value)}): use fg[{column!r}].is_null().")
    if isinstance(found, float) and math.isnan(found):
        raise QueryError(
            f"Nothing equals NaN: use fg[{column!r}].is_null(), or fg[{column!r}] > float('inf'), since NaN is above every number."
        )
    try:
        if isinstance(found, datetime | bytearray | memoryview):
            found = canonical("timestamp" if isinstance(found, datetime) else "binary", found)
        _floor(spark_type, found)
    except UnfitError as error:
        raise QueryError(f"Column {column!r} is {spark_type} and cannot be compared with {shown(value)}: give {error}.") from None
    return found


def exact(condition: Condition, type_of: Callable[[Comparison], str]) -> Condition:
    """The condition that holds for the same rows, with values of the columns' types; QueryError for values of another kind."""
    if isinstance(condition, Comparison):
        return exact_comparison(condition, type_of(condition))
    return replace(condition, parts=tuple(exact(part, type_of) for part in condition.parts))


def exact_comparison(asked: Comparison, spark_type: str) -> Comparison:
    """One comparison, with a value of the column's type."""
    operator, value = asked.operator, asked.value
    if operator in ("is_null", "like"):
        return asked
    if operator == "in":
        return _one_of(asked, spark_type)
    found = _floor(spark_type, value_of(asked.column, spark_type, value))
    if found.value is None:  # it lies below all values of the type
        return _all(asked, spark_type) if operator in ("!=", ">", ">=") else _none(asked, spark_type)
    if found.exact:
        return replace(asked, value=found.value)
    if operator in ("==", "!="):
        return _none(asked, spark_type) if operator == "==" else _all(asked, spark_type)
    return replace(asked, operator="<=" if operator in ("<", "<=") else ">", value=found.value)


def _one_of(asked: Comparison, spark_type: str) -> Comparison:
    """Without the values that no value of the type equals."""
    floors = [_floor(spark_type, value_of(asked.column, spark_type, each)) for each in asked.value]
    found = tuple(floor.value for floor in floors if floor.exact)
    return replace(asked, value=found) if found or not floors else _none(asked, spark_type)


def _all(asked: Comparison, spark_type: str) -> Comparison:
    """What holds for every value, and as any comparison for no null."""
    return replace(asked, operator=">=", value=_least(spark_type))


def _none(asked: Comparison, spark_type: str) -> Comparison:
    """What holds for no value, and as any comparison is unknown for a null."""
    return replace(asked, operator="<", value=_least(spark_type))


def _least(spark_type: str) -> Any:
    kind = types.base(spark_type)
    if kind in INTEGERS:
        return -(2 ** (INTEGERS[kind] - 1))
    if kind == "decimal":
        return _greatest_decimal(spark_type).copy_negate()  # a minus would round it
    return {"date": date.min, "timestamp": datetime.min.replace(tzinfo=UTC)}.get(kind, -math.inf)


def _greatest_decimal(spark_type: str) -> Decimal:
    precision, scale = types.sizes(spark_type)
    return Decimal((0, (9,) * precision, -scale))


# -- the greatest value that is not above another


def _floor(spark_type: str, value: Any) -> _Floor:
    kind = types.base(spark_type)
    if kind in _NUMBERS:
        if not is_number(value) or (isinstance(value, Decimal) and not value.is_finite()) or value != value:
            raise UnfitError("a number")
        if kind in INTEGERS:
            return _floor_integer(INTEGERS[kind], value)
        return _floor_decimal(spark_type, value) if kind == "decimal" else _floor_double(value)
    if kind == "date" and isinstance(value, datetime):
        instant = canonical("timestamp", value)
        return _Floor(instant.date(), instant.time() == datetime.min.time())
    return _Floor(canonical(spark_type, value), True)


def _floor_integer(bits: int, value: Any) -> _Floor:
    most = 2 ** (bits - 1) - 1
    if value > most:
        return _Floor(most, False)
    if value < -most - 1:
        return _Floor(None, False)
    number = math.floor(value)
    return _Floor(number, number == value)


def _floor_decimal(spark_type: str, value: Any) -> _Floor:
    most = _greatest_decimal(spark_type)
    if value > most:
        return _Floor(most, False)
    if value < most.copy_negate():
        return _Floor(None, False)
    _, scale = types.sizes(spark_type)
    number = Decimal(value).quantize(Decimal((0, (1,), -scale)), ROUND_FLOOR, _EXACT)
    if isinstance(value, float) and number != value:
        raise UnfitError(f"a Decimal, such as Decimal('{value!r}'): the float lies beside it")
    return _Floor(number, number == value)


def _floor_double(value: Any) -> _Floor:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if number == value:
        return _Floor(value if isinstance(value, int) and abs(value) <= 2**53 else number, True)  # so that 5 is written as 5
    return _Floor(math.nextafter(number, -math.inf) if number > value else number, False)
