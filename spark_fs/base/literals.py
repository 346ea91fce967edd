"""Values of conditions and categories as JSON that keeps their types.

What JSON has no word for is tagged, so that it comes back as it was.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, NamedTuple


class _Codec(NamedTuple):
    """How values that JSON has no word for are written under a tag, and read again."""

    tag: str
    accepts: Callable[[Any], bool]
    write: Callable[[Any], str]
    read: Callable[[str], Any]


def to_literal(value: object) -> object:
    """A value as JSON, from which ``from_literal`` restores it; a list comes back as a tuple."""
    if isinstance(value, list | tuple):
        return list(map(to_literal, value))
    for codec in _CODECS:
        if codec.accepts(value):
            return {codec.tag: codec.write(value)}
    return value


def from_literal(value: object) -> object:
    """The value that ``to_literal`` wrote."""
    if isinstance(value, dict):
        ((tag, text),) = value.items()
        return next(codec.read(text) for codec in _CODECS if codec.tag == tag)
    return tuple(map(from_literal, value)) if isinstance(value, list) else value


def _is_long_integer(value: Any) -> bool:
    return isinstance(value, int) and not -(2**63) <= value < 2**64


def _is_non_finite(value: Any) -> bool:
    return isinstance(value, float) and not isfinite(value)


def _from_hexadecimal(text: str) -> int:
    return int(text, 16)


# The first that accepts a value writes it: a datetime is a date too.
_CODECS = (
    _Codec(
        "$timestamp",
        lambda value: isinstance(value, datetime),
        datetime.isoformat,
        datetime.fromisoformat,
    ),
    _Codec("$date", lambda value: isinstance(value, date), date.isoformat, date.fromisoformat),
    _Codec("$decimal", lambda value: isinstance(value, Decimal), str, Decimal),
    _Codec("$double", _is_non_finite, repr, float),
    _Codec("$integer", _is_long_integer, hex, _from_hexadecimal),
    _Codec("$binary", lambda value: isinstance(value, bytes), bytes.hex, bytes.fromhex),
)
