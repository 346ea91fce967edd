"""Values of features as JSON, and back.

What JSON has no word for is a string, which the type of the feature gives its meaning: times are in
ISO 8601, decimals digits, bytes hexadecimal; NaN and infinities are words.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Any

from spark_fs.base import types
from spark_fs.base.arithmetic import is_nan
from spark_fs.base.python_values import format_value
from spark_fs.base.times import parse_instant
from spark_fs.base.types import INTEGER_BITS
from spark_fs.base.values import Convert, to_canonical
from spark_fs.errors import SchemaError

# As JSON's writers have them, and as Python has them.
_NON_FINITE = ("NaN", "Infinity", "-Infinity", "nan", "inf", "-inf")
_BOOLEANS = {"True": True, "true": True, "False": False, "false": False}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)


def from_json(spark_type: str, value: Any) -> Any:
    """The value that ``to_json`` wrote; any other value as it is.

    Args:
        spark_type: the feature type of the value.
        value: what JSON holds.

    Raises:
        SchemaError: it is a string, and does not spell a value of the type.
    """
    kind = types.get_base_type(spark_type)
    if kind in types.NESTED:
        return _from_nested_json(kind, types.get_inner_types(spark_type), value)
    if kind not in _PARSERS or not isinstance(value, str):
        return value
    try:
        return _PARSERS[kind](value)
    except (ValueError, ArithmeticError):
        raise SchemaError(
            f"{format_value(value)} does not spell a {spark_type}: write times in ISO 8601,"
            " decimals as digits, bytes hexadecimal."
        ) from None


def _from_nested_json(kind: str, inner: Sequence[tuple[str, str]], value: Any) -> Any:
    if kind == "array" and isinstance(value, list):
        element_type = inner[0][1]
        return [from_json(element_type, element) for element in value]
    if kind == "struct" and isinstance(value, dict):
        field_types = dict(inner)
        return {
            name: from_json(field_types[name], field) if name in field_types else field
            for name, field in value.items()
        }
    if kind == "map" and isinstance(value, dict):
        (_, key_type), (_, value_type) = inner
        return {
            _from_json_key(key_type, key): from_json(value_type, entry)
            for key, entry in value.items()
        }
    return value


def _from_json_key(spark_type: str, text: str) -> Any:
    """A key of a map, which JSON can only hold as a string."""
    if spark_type == "boolean":
        return _BOOLEANS.get(text, text)
    if spark_type in INTEGER_BITS and re.fullmatch(r"-?\d{1,20}", text, re.ASCII):
        return int(text)
    return from_json(spark_type, text)


def _parse_number(text: str) -> float:
    if text not in _NON_FINITE:
        _check_digits(text)
    return float(text)


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
    """A value as JSON, within lists and mappings too.

    Times are in ISO 8601, decimals and what is not a number are strings, bytes are hexadecimal.
    """
    if isinstance(value, float):
        return value if isfinite(value) else _to_word(value)
    if isinstance(value, dict):
        return {str(to_json(key)): to_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(element) for element in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, Decimal) else value


def _to_word(number: float) -> str:
    if is_nan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"
