"""What callers give as a value of a feature, brought to the one value of its type that equals it.

Keys of the online store and passed features go through here, from Python and from JSON alike, so
that every store is asked for one and the same value. A time without a zone is UTC, a date its
midnight; numbers are compared by value, so ``1.0`` is a bigint and ``1.5`` is none.
"""

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from struct import pack, unpack
from typing import Any

from spark_fs.base import types

Convert = Callable[[Any], Any]
INTEGER_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_PYTHON_TYPES = (int, str, float, bool, bytes, datetime, date, Decimal, list, dict, tuple)
_FINER_UNITS = ("ns]", "ps]", "fs]", "as]")
_SUB_MICROSECOND = re.compile(
    r"[.,]\d{6}\d*[1-9]"
)  # than microseconds, which ``fromisoformat`` cuts without a word
_MAX_INTEGER_DIGITS = 80  # digits before the point of a decimal that is looked at as an integer

_SHORT_REPR = reprlib.Repr()
_SHORT_REPR.maxstring = _SHORT_REPR.maxother = _SHORT_REPR.maxlong = 100


class UnfitError(ValueError):
    """No value of the type equals the one that was given; says which do."""


def to_python(value: Any) -> Any:
    """The Python value of a scalar of NumPy or pandas, None for their missing ones; any other value as it is."""
    if value is None or type(value) in _PYTHON_TYPES:
        return value
    kind = type(value).__name__
    if kind in ("NaTType", "NAType"):
        return None
    if kind == "Timestamp" and not getattr(value, "nanosecond", None):
        return value.to_pydatetime()
    if kind == "datetime64":
        return _from_datetime64(value)
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def _from_datetime64(value: Any) -> Any:
    """A ``numpy.datetime64`` of any unit; as it is where no datetime equals it."""
    if value != value:
        return None
    if value.dtype.name.endswith(_FINER_UNITS):
        micros = value.astype("datetime64[us]")
        value = micros if micros == value else value
    found = value.item()
    return value if isinstance(found, int) else found


@lru_cache(maxsize=4096)
def get_converter(spark_type: str) -> Convert:
    """The function from a plain value, not null, to the value of the type that equals it; it raises ``UnfitError`` where there is none."""
    kind = types.get_base_type(spark_type)
    if kind in INTEGER_BITS:
        return _make_integer_converter(INTEGER_BITS[kind])
    if kind == "decimal":
        return _make_decimal_converter(*types.parse_decimal_sizes(spark_type))
    return _NESTED[kind](types.get_inner_types(spark_type)) if kind in _NESTED else _SCALARS[kind]


def to_canonical(spark_type: str, value: Any) -> Any:
    """The value of the type that equals this one, null for a null; ``UnfitError`` where there is none."""
    value = to_python(value)
    return None if value is None else get_converter(spark_type)(value)


@lru_cache(maxsize=4096)
def get_key_converter(spark_type: str) -> Convert:
    """As ``converter``, for keys: equal keys are one, so there is no -0.0, and NaN is none since it equals nothing."""
    convert = get_converter(spark_type)
    if spark_type not in ("float", "double"):
        return convert

    def convert_key(value: Any) -> Any:
        found = convert(value)
        if found != found:
            raise UnfitError("a number: NaN equals no key")
        return found + 0.0

    return convert_key


def format_value(value: object) -> str:
    """A value in an error: shortened, and said by its type where it cannot be written."""
    try:
        return _SHORT_REPR.repr(value).replace("\n", " ")
    except Exception:  # an integer of thousands of digits, or a class of the caller's
        return f"<{type(value).__name__}>"


# -- from Python


def _make_integer_converter(bits: int) -> Convert:
    most = 2 ** (bits - 1)

    def to_integer(value: Any) -> int:
        number = value if type(value) is int else _to_integer(value)
        if not -most <= number < most:
            raise UnfitError(f"an integer from {-most} to {most - 1}")
        return number

    return to_integer


def _to_integer(value: Any) -> int:
    if is_number(value) and (isinstance(value, int) or _is_integer(value)):
        return int(value)
    raise UnfitError("an integer")


def is_number(value: Any) -> bool:
    """Whether it is a number, which True and False are not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_integer(value: float | Decimal) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return (
        value.is_finite()
        and value.adjusted() < _MAX_INTEGER_DIGITS
        and value == value.to_integral_value()
    )


def _to_double(value: Any) -> float:
    if type(value) is float:
        return value
    if not is_number(value) or (isinstance(value, Decimal) and not value.is_finite()):
        raise UnfitError("a number")
    try:
        found = float(value)
    except OverflowError:
        raise UnfitError("a number that a double holds") from None
    if isinstance(value, float) or found == value:
        return found
    raise UnfitError(
        "a number that a double holds" + ("" if found - found else f", such as {found!r}")
    )


def _to_single(value: Any) -> float:
    """The nearest single float, as everywhere that a number is written into a column of them."""
    found = _to_double(value)
    try:
        nearest: float = unpack("<f", pack("<f", found))[0]
    except OverflowError:
        raise UnfitError("a number that a float of 32 bits holds") from None
    return nearest


def _make_decimal_converter(precision: int, scale: int) -> Convert:
    """A float stands for the digits that it is written with, since JSON and most callers mean these."""
    context = Context(prec=precision, traps=[InvalidOperation, Inexact])
    step = Decimal((0, (1,), -scale))

    def to_decimal(value: Any) -> Decimal:
        digits = (
            Decimal(repr(value))
            if isinstance(value, float)
            else Decimal(value)
            if is_number(value)
            else None
        )
        if digits is None or not digits.is_finite():
            raise UnfitError("a decimal or an integer")
        try:
            found = digits.quantize(step, context=context)
        except (InvalidOperation, Inexact):
            raise UnfitError(
                f"a Decimal of at most {precision} digits, {scale} of them behind the point"
            ) from None
        return found.copy_abs() if found.is_zero() else found

    return to_decimal


def _to_timestamp(value: Any) -> datetime:
    if not isinstance(value, date) or getattr(value, "nanosecond", None):
        raise UnfitError("a datetime, without a zone in UTC, of whole microseconds")
    try:
        return (
            types.as_utc(value)
            if isinstance(value, datetime)
            else datetime(value.year, value.month, value.day, tzinfo=UTC)
        )
    except OverflowError:
        raise UnfitError("an instant of the years 1 to 9999 in UTC") from None


def _to_date(value: Any) -> date:
    if not isinstance(value, date):
        raise UnfitError("a date")
    if not isinstance(value, datetime):
        return value
    instant = _to_timestamp(value)
    if (instant.hour, instant.minute, instant.second, instant.microsecond) != (0, 0, 0, 0):
        raise UnfitError("a date, or its midnight in UTC")
    return instant.date()


def _to_string(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitError("a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnfitError("a text without lone surrogates, which no UTF-8 holds") from None
    return value


def _to_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise UnfitError("bytes")
    return bytes(value)


def _to_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnfitError("True or False")
    return value


def _make_array_converter(inner: Sequence[tuple[str, str]]) -> Convert:
    ((_, type_),) = inner

    def to_list(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | Mapping) or not (
            isinstance(value, Sequence) or getattr(value, "ndim", None)
        ):
            raise UnfitError("a list")
        return [to_canonical(type_, each) for each in value]

    return to_list


def _make_struct_converter(inner: Sequence[tuple[str, str]]) -> Convert:
    def to_struct(value: Any) -> dict[str, Any]:
        names = [name for name, _ in inner]
        if not isinstance(value, Mapping) or not set(value) <= set(names):
            raise UnfitError(f"a mapping of {', '.join(names)}")
        return {name: to_canonical(type_, value.get(name)) for name, type_ in inner}

    return to_struct


def _make_map_converter(inner: Sequence[tuple[str, str]]) -> Convert:
    (_, key_type), (_, type_) = inner

    def to_map(value: Any) -> dict[Any, Any]:
        pairs = list(_list_pairs(value))
        found = {to_canonical(key_type, key): to_canonical(type_, each) for key, each in pairs}
        if len(found) < len(pairs) or None in found:
            raise UnfitError("a mapping, each key once and none of them null")
        return found

    return to_map


def _list_pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, list | tuple) and all(
        isinstance(each, list | tuple) and len(each) == 2 for each in value
    ):
        return [(key, each) for key, each in value]
    raise UnfitError("a mapping")


_SCALARS: Mapping[str, Convert] = {
    "boolean": _to_boolean,
    "double": _to_double,
    "float": _to_single,
    "timestamp": _to_timestamp,
    "date": _to_date,
    "string": _to_string,
    "binary": _to_bytes,
}
_NESTED: Mapping[str, Callable[[Sequence[tuple[str, str]]], Convert]] = {
    "array": _make_array_converter,
    "struct": _make_struct_converter,
    "map": _make_map_converter,
}


def parse_instant(text: str) -> datetime:
    """The instant of an ISO 8601 text, one without a zone in UTC; ValueError for what is none, or is finer than microseconds."""
    if _SUB_MICROSECOND.search(text):
        raise ValueError(f"{text!r} is finer than microseconds")
    try:
        return types.as_utc(datetime.fromisoformat(text))
    except OverflowError:
        raise ValueError(f"{text!r} is not within the years 1 to 9999 in UTC") from None
