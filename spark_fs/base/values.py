"""What callers give as a value of a feature, brought to the one value of its type that equals it.

Keys of the online store and passed features go through here, from Python and from JSON alike, so
that every store is asked for one and the same value. A time without a zone is UTC, a date its
midnight; numbers are compared by value, so ``1.0`` is a bigint and ``1.5`` is not.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import lru_cache
from struct import pack, unpack
from typing import Any

from spark_fs.base import types
from spark_fs.base.arithmetic import is_nan
from spark_fs.base.python_values import UnfitError, is_number, to_python
from spark_fs.base.times import to_timestamp
from spark_fs.base.types import INTEGER_BITS

Convert = Callable[[Any], Any]
InnerTypes = Sequence[tuple[str, str]]  # the name and the type of each part of a nested type
_MAX_INTEGER_DIGITS = 80  # digits before the point of a decimal that is looked at as an integer


@lru_cache(maxsize=4096)
def get_converter(spark_type: str) -> Convert:
    """The function from a plain value, not null, to the value of the type that equals it.

    The function raises ``UnfitError`` where there is no such value.
    """
    kind = types.get_base_type(spark_type)
    if kind in INTEGER_BITS:
        return _make_integer_converter(INTEGER_BITS[kind])
    if kind == "decimal":
        return _make_decimal_converter(*types.parse_decimal_sizes(spark_type))
    if kind in _NESTED:
        return _NESTED[kind](types.get_inner_types(spark_type))
    return _SCALARS[kind]


def to_canonical(spark_type: str, value: Any) -> Any:
    """The value of the type that equals this one, None for a missing one.

    Args:
        spark_type: a feature type.
        value: of Python, NumPy or pandas.

    Raises:
        UnfitError: no value of the type equals it.
    """
    value = to_python(value)
    return None if value is None else get_converter(spark_type)(value)


@lru_cache(maxsize=4096)
def get_key_converter(spark_type: str) -> Convert:
    """As ``get_converter``, for keys: -0.0 is 0.0, and NaN is not a key since it equals nothing."""
    convert = get_converter(spark_type)
    if spark_type not in types.FLOATS:
        return convert

    def convert_key(value: Any) -> Any:
        number = convert(value)
        if is_nan(number):
            raise UnfitError("a number: NaN equals no key")
        return number + 0.0

    return convert_key


# -- numbers


def _make_integer_converter(bits: int) -> Convert:
    limit = 2 ** (bits - 1)

    def to_integer(value: Any) -> int:
        number = value if type(value) is int else _to_integer(value)
        if not -limit <= number < limit:
            raise UnfitError(f"an integer from {-limit} to {limit - 1}")
        return number

    return to_integer


def _to_integer(value: Any) -> int:
    if is_number(value) and (isinstance(value, int) or _is_integer(value)):
        return int(value)
    raise UnfitError("an integer")


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
        number = float(value)
    except OverflowError:
        raise UnfitError("a number that a double holds") from None
    if isinstance(value, float) or number == value:
        return number
    is_finite = number - number == 0
    example = f", such as {number!r}" if is_finite else ""
    raise UnfitError(f"a number that a double holds{example}")


def _to_single(value: Any) -> float:
    """The nearest single float, as everywhere that a number is written into a column of them."""
    number = _to_double(value)
    try:
        nearest: float = unpack("<f", pack("<f", number))[0]
    except OverflowError:
        raise UnfitError("a number that a float of 32 bits holds") from None
    return nearest


def _make_decimal_converter(precision: int, scale: int) -> Convert:
    context = Context(prec=precision, traps=[InvalidOperation, Inexact])
    step = Decimal((0, (1,), -scale))

    def to_decimal(value: Any) -> Decimal:
        digits = _to_digits(value)
        if digits is None or not digits.is_finite():
            raise UnfitError("a decimal or an integer")
        try:
            decimal = digits.quantize(step, context=context)
        except (InvalidOperation, Inexact):
            raise UnfitError(
                f"a Decimal of at most {precision} digits, {scale} of them behind the point"
            ) from None
        return decimal.copy_abs() if decimal.is_zero() else decimal

    return to_decimal


def _to_digits(value: Any) -> Decimal | None:
    """A number as a decimal; None for any other value.

    A float stands for the digits that it is written with, since JSON and most callers mean these.
    """
    if isinstance(value, float):
        return Decimal(repr(value))
    return Decimal(value) if is_number(value) else None


# -- the other scalars


def _to_date(value: Any) -> date:
    if not isinstance(value, date):
        raise UnfitError("a date")
    if not isinstance(value, datetime):
        return value
    instant = to_timestamp(value)
    if (instant.hour, instant.minute, instant.second, instant.microsecond) != (0, 0, 0, 0):
        raise UnfitError("a date, or its midnight in UTC")
    return instant.date()


def _to_string(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitError("a string")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UnfitError("a string without lone surrogates, which no UTF-8 holds") from None
    return value


def _to_bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise UnfitError("bytes")
    return bytes(value)


def _to_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise UnfitError("True or False")
    return value


# -- lists, structs and maps


def _make_array_converter(inner: InnerTypes) -> Convert:
    ((_, element_type),) = inner

    def to_list(value: Any) -> list[Any]:
        is_array = isinstance(value, Sequence) or getattr(value, "ndim", None)
        if isinstance(value, str | bytes | Mapping) or not is_array:
            raise UnfitError("a list")
        return [to_canonical(element_type, element) for element in value]

    return to_list


def _make_struct_converter(inner: InnerTypes) -> Convert:
    def to_struct(value: Any) -> dict[str, Any]:
        names = [name for name, _ in inner]
        if not isinstance(value, Mapping) or not set(value) <= set(names):
            raise UnfitError(f"a mapping of {', '.join(names)}")
        return {name: to_canonical(type_, value.get(name)) for name, type_ in inner}

    return to_struct


def _make_map_converter(inner: InnerTypes) -> Convert:
    (_, key_type), (_, value_type) = inner

    def to_map(value: Any) -> dict[Any, Any]:
        pairs = list(_list_pairs(value))
        entries = {}
        for key, entry in pairs:
            canonical_key = to_canonical(key_type, key)
            entries[canonical_key] = to_canonical(value_type, entry)
        if len(entries) < len(pairs) or None in entries:
            raise UnfitError("a mapping, each key once and none of them null")
        return entries

    return to_map


def _list_pairs(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, list | tuple) and all(map(_is_pair, value)):
        return [(key, entry) for key, entry in value]
    raise UnfitError("a mapping")


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


_SCALARS: Mapping[str, Convert] = {
    "boolean": _to_boolean,
    "double": _to_double,
    "float": _to_single,
    "timestamp": to_timestamp,
    "date": _to_date,
    "string": _to_string,
    "binary": _to_bytes,
}
_NESTED: Mapping[str, Callable[[InnerTypes], Convert]] = {
    "array": _make_array_converter,
    "struct": _make_struct_converter,
    "map": _make_map_converter,
}
