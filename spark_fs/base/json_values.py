"""Values of features as JSON, and back: what JSON has no word for is a text, which the type of the feature gives its meaning.

Times are in ISO 8601, decimals digits, bytes hexadecimal; NaN and infinities are words.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from spark_fs.base import types
from spark_fs.base.python_values import format_value
from spark_fs.base.times import parse_instant
from spark_fs.base.types import INTEGER_BITS
from spark_fs.base.values import Convert, to_canonical
from spark_fs.errors import SchemaError

_NON_FINITE = (
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "inf",
    "-inf",
)  # as JSON's writers have them, and Python's
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def from_json(spark_type: str, value: Any) -> Any:
    """The value that ``to_json`` wrote, any other as it is; SchemaError for a text that is none of the type."""
    kind = types.get_base_type(spark_type)
    if kind in types.NESTED:
        return _from_nested_json(kind, types.get_inner_types(spark_type), value)
    if kind not in _PARSERS or not isinstance(value, str):
        return value
    try:
        return _PARSERS[kind](value)
    except (ValueError, ArithmeticError):
        raise SchemaError(
            f"{format_value(value)} is not the text of a {spark_type}: write times in ISO 8601,"
            " decimals as digits, bytes hexadecimal."
        ) from None


def _from_nested_json(kind: str, inner: Sequence[tuple[str, str]], value: Any) -> Any:
    if kind == "array" and isinstance(value, list):
        return [from_json(inner[0][1], each) for each in value]
    if kind == "struct" and isinstance(value, dict):
        known = dict(inner)
        return {
            name: from_json(known[name], each) if name in known else each
            for name, each in value.items()
        }
    if kind == "map" and isinstance(value, dict):
        return {
            _from_json_key(inner[0][1], key): from_json(inner[1][1], each)
            for key, each in value.items()
        }
    return value


def _from_json_key(spark_type: str, text: str) -> Any:
    """A key of a map, which JSON can only hold as a text."""
    if spark_type == "boolean":
        return {"True": True, "true": True, "False": False, "false": False}.get(text, text)
    if spark_type in INTEGER_BITS and re.fullmatch(r"-?\d{1,20}", text, re.ASCII):
        return int(text)
    return from_json(spark_type, text)


def _parse_number(text: str) -> float:
    return float(text if text in _NON_FINITE else _check_digits(text))


def _check_digits(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return text


_PARSERS: Mapping[str, Convert] = {
    "timestamp": parse_instant,
    "date": lambda text: to_canonical("date", parse_instant(text)),
    "decimal": lambda text: Decimal(_check_digits(text)),
    "binary": bytes.fromhex,
    "float": _parse_number,
    "double": _parse_number,
}


def to_json(value: Any) -> Any:
    """A value as JSON: times in ISO 8601, decimals and what is no number as texts, bytes hexadecimal, within lists and mappings too."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(to_json(key)): to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    if isinstance(value, date):
        return value.isoformat()
    return (
        value.hex()
        if isinstance(value, bytes)
        else str(value)
        if isinstance(value, Decimal)
        else value
    )
