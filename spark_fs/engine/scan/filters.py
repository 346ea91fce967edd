"""Evaluate conditions on Arrow columns, and on what a table's log says of a file."""

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.times import parse_instant
from spark_fs.base.types import FLOATS, INTEGERS, get_base_type
from spark_fs.spec.conditions import cast_comparison
from spark_fs.spec.predicates import Comparison, Condition, Logic, fold_condition, iter_comparisons
from spark_fs.tables.data_files import DataFile

_COMPARABLE_TYPES = (
    *INTEGERS,
    *FLOATS,
    "decimal",
    "boolean",
    "string",
    "binary",
    "date",
    "timestamp",
)
_LIKE_WILDCARDS = {"%": ".*", "_": "."}
_PARTITION_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "date": date.fromisoformat,
    "boolean": lambda text: text == "true",
    "decimal": Decimal,
    "timestamp": parse_instant,
    **dict.fromkeys(INTEGERS, int),
    **dict.fromkeys(FLOATS, float),
}


def parse_partition_value(text: str | None, spark_type: str) -> Any:
    """The value of a partition, which the log writes as a string.

    Raises ValueError for what is not written as Spark writes it, such as a year after 9999.
    """
    if text is None:
        return None
    parse = _PARTITION_PARSERS.get(get_base_type(spark_type))
    if parse is None:
        raise ValueError(f"{spark_type} is no type of partitions")
    try:
        return parse(text)
    except ArithmeticError as error:
        raise ValueError(str(error)) from None


def can_evaluate(condition: Condition, types: Mapping[str, str]) -> bool:
    """Whether ``evaluate_condition`` says of each row what Spark would say."""
    for comparison in iter_comparisons(condition):
        if comparison.operator == "is_null":
            continue
        if comparison.operator == "like":
            if to_like_regex(comparison.value) is None:
                return False
        elif get_base_type(types[comparison.column]) not in _COMPARABLE_TYPES:
            return False
    return True


# -- of Arrow columns


def evaluate_condition(
    condition: Condition, columns: Mapping[str, pa.ChunkedArray], types: Mapping[str, str]
) -> pa.ChunkedArray:
    """Whether each row meets the condition, as in SQL null where that is unknown."""

    def evaluate(comparison: Comparison) -> pa.ChunkedArray:
        spark_type = types[comparison.column]
        column = columns[comparison.column]
        return _evaluate_comparison(cast_comparison(comparison, spark_type), column, spark_type)

    return fold_condition(condition, evaluate, _COMBINE_MASKS)


def _evaluate_comparison(
    comparison: Comparison, column: pa.ChunkedArray, spark_type: str
) -> pa.ChunkedArray:
    operator = comparison.operator
    if operator == "is_null":
        return pc.is_null(column)
    if operator == "like":
        return pc.match_substring_regex(column, to_like_regex(comparison.value))
    if spark_type == "float":  # its values are those of the condition as doubles
        column = column.cast(pa.float64())
    if operator == "in":
        return _evaluate_in_list(column, comparison.value)
    value = pa.scalar(comparison.value, column.type)
    mask = _COMPARE[operator](column, value)
    if spark_type in FLOATS and operator in (">", ">="):
        mask = pc.or_kleene(mask, pc.is_nan(column))  # Spark orders NaN after every number
    return mask


def to_like_regex(pattern: str) -> str | None:
    """What LIKE's pattern is as a regular expression; None: Spark refuses the pattern."""
    parts = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped not in ("%", "_", "\\"):
                return None
            parts.append(re.escape(escaped))
        else:
            parts.append(_LIKE_WILDCARDS.get(character) or re.escape(character))
    return f"(?s)\\A{''.join(parts)}\\z"


def _evaluate_in_list(column: pa.ChunkedArray, values: tuple[Any, ...]) -> pa.ChunkedArray:
    if not values:
        return pa.chunked_array([pa.repeat(pa.scalar(False), len(column))])
    masks = [pc.equal(column, pa.scalar(value, column.type)) for value in values]
    return reduce(pc.or_kleene, masks)


_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_COMBINE_MASKS: Mapping[Logic, Callable[[list[Any]], Any]] = {
    "and": lambda parts: reduce(pc.and_kleene, parts),
    "or": lambda parts: reduce(pc.or_kleene, parts),
    "not": lambda parts: pc.invert(parts[0]),
}


# -- of a file, by its partition and by the bounds that the log has of integers and of times


class _Bounds(NamedTuple):
    """The least and the greatest value of a column in a file; None: the log does not say."""

    least: Any
    greatest: Any


def may_match(file: DataFile, condition: Condition, types: Mapping[str, str]) -> bool:
    """Whether a row of a file may meet the condition, by what the log says of the file."""

    def may_match_comparison(comparison: Comparison) -> bool:
        spark_type = types[comparison.column]
        return _may_match_comparison(file, cast_comparison(comparison, spark_type), spark_type)

    return fold_condition(condition, may_match_comparison, _COMBINE_ANSWERS)


def _may_match_comparison(file: DataFile, comparison: Comparison, spark_type: str) -> bool:
    column = comparison.column
    operator = comparison.operator
    if column in file.partition_values and spark_type not in FLOATS:
        try:
            value = parse_partition_value(file.partition_values[column], spark_type)
        except ValueError:
            return True
        if value is None or operator == "is_null":
            return (value is None) == (operator == "is_null")
        bounds = _Bounds(value, value)
    elif spark_type in _BOUND_PARSERS and column not in file.partition_values:
        bounds = _parse_bounds(file, column, spark_type)
    else:
        return True
    if bounds.least is None or bounds.greatest is None or operator not in _MAY_MATCH:
        return True
    return _MAY_MATCH[operator](bounds, comparison.value)


def _parse_bounds(file: DataFile, column: str, spark_type: str) -> _Bounds:
    least = file.min_values.get(column)
    greatest = file.max_values.get(column)
    if least is None or greatest is None:
        return _Bounds(None, None)
    try:
        return _BOUND_PARSERS[spark_type](least, greatest)
    except (ValueError, OverflowError):  # of the years after 9999
        return _Bounds(None, None)


def _parse_timestamp_bounds(least: str, greatest: str) -> _Bounds:
    """The log has whole milliseconds, rounded down."""
    last = parse_instant(greatest) + timedelta(microseconds=999)
    return _Bounds(parse_instant(least), last)


_BOUND_PARSERS: Mapping[str, Callable[[Any, Any], _Bounds]] = {
    "date": lambda least, greatest: _Bounds(
        date.fromisoformat(least), date.fromisoformat(greatest)
    ),
    "timestamp": _parse_timestamp_bounds,
    **dict.fromkeys(INTEGERS, _Bounds),
}


def _may_be_in_list(bounds: _Bounds, values: tuple[Any, ...]) -> bool:
    return any(bounds.least <= value <= bounds.greatest for value in values)


_MAY_MATCH: Mapping[str, Callable[[_Bounds, Any], bool]] = {
    "==": lambda bounds, value: bounds.least <= value <= bounds.greatest,
    "!=": lambda bounds, value: not bounds.least == bounds.greatest == value,
    "<": lambda bounds, value: bounds.least < value,
    "<=": lambda bounds, value: bounds.least <= value,
    ">": lambda bounds, value: bounds.greatest > value,
    ">=": lambda bounds, value: bounds.greatest >= value,
    "in": _may_be_in_list,
}
# Of what may not hold, its negation may hold: parts say nothing about a negation.
_COMBINE_ANSWERS: Mapping[Logic, Callable[[list[bool]], bool]] = {
    "and": all,
    "or": any,
    "not": lambda _: True,
}
