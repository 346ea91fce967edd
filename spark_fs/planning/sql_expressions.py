"""Names, values, instants and conditions as SQL of the standard."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from math import isinf
from typing import Any

from spark_fs.base.times import MILLISECONDS_FROM, as_utc, format_seconds
from spark_fs.spec.predicates import Comparison, Condition, Logic, fold_condition


def cast_compared(column: str, type_: str) -> str:
    """The SQL of a column as it is compared.

    A single float is compared by its exact value, to which some engines would round the other side.
    """
    return f"CAST({column} AS DOUBLE)" if type_ == "float" else column


def format_instant(text: str, type_: str) -> str:
    """The SQL of an event time of this type as a timestamp."""
    if type_ == "timestamp":
        return text
    if type_ == "date":
        return f"CAST({text} AS TIMESTAMP)"
    millis = _format_epoch_millis(text)
    return f"MAKE_TIMESTAMP(({millis}) * 1000)"


def _format_epoch_millis(text: str) -> str:
    """The SQL of an epoch in seconds, from ``MILLISECONDS_FROM`` on in milliseconds, as millis."""
    return f"CASE WHEN ABS({text}) < {MILLISECONDS_FROM} THEN {text} * 1000 ELSE {text} END"


def format_condition(condition: Condition, format_column: Callable[[Comparison], str]) -> str:
    """The SQL of a condition over the columns that ``format_column`` names."""

    def compare(comparison: Comparison) -> str:
        text = _COMPARE[comparison.operator](format_column(comparison), comparison.value)
        return f"({text})"

    return fold_condition(condition, compare, _COMBINE)


def _format_in_list(column: str, values: tuple[Any, ...]) -> str:
    if not values:
        return "FALSE"
    return f"{column} IN ({', '.join(map(format_literal, values))})"


_COMPARE: Mapping[str, Callable[[str, Any], str]] = {
    "==": lambda column, value: f"{column} = {format_literal(value)}",
    "!=": lambda column, value: f"{column} <> {format_literal(value)}",
    "<": lambda column, value: f"{column} < {format_literal(value)}",
    "<=": lambda column, value: f"{column} <= {format_literal(value)}",
    ">": lambda column, value: f"{column} > {format_literal(value)}",
    ">=": lambda column, value: f"{column} >= {format_literal(value)}",
    "in": _format_in_list,
    "like": lambda column, value: f"{column} LIKE {format_literal(value)}",
    "is_null": lambda column, _: f"{column} IS NULL",
}
_COMBINE: Mapping[Logic, Callable[[list[str]], str]] = {
    "and": lambda parts: f"({' AND '.join(parts)})",
    "or": lambda parts: f"({' OR '.join(parts)})",
    "not": lambda parts: f"NOT {parts[0]}",
}


def format_literal(value: Any) -> str:
    """The SQL of a value."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"TIMESTAMP '{as_utc(value).replace(tzinfo=None).isoformat(' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, float) and isinf(value):
        infinity = "Infinity" if value > 0 else "-Infinity"
        return f"CAST('{infinity}' AS DOUBLE)"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """The SQL of a name."""
    return f'"{name}"'


def format_interval(seconds: float) -> str:
    """The SQL of a length of time."""
    digits = format_seconds(seconds).replace(",", "")
    return f"INTERVAL '{digits}' SECOND"
