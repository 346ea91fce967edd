"""Key values of MySQL and MariaDB, as the driver's C extension can bind them and as the server compares them."""

from datetime import date
from decimal import Decimal
from typing import Any

from spark_fs.base import types

_DECIMAL_DIGITS, _DECIMAL_SCALE = (
    65,
    27,
)  # of a DECIMAL; so many behind the point leave room for all that a column has before it


def cast_prepared_key(expression: str, type_: str) -> str:
    """A key value of a prepared statement as it is compared: digits as a decimal, since as a text they would be rounded to doubles."""
    if types.get_base_type(type_) != "decimal" or not types.find_storage(
        type_, "mysql"
    ).column_type.startswith("DECIMAL"):
        return expression
    return (
        f"CAST({expression} AS"
        f" DECIMAL({_DECIMAL_DIGITS},{max(_DECIMAL_SCALE, types.parse_decimal_sizes(type_)[1])}))"
    )


# One more than a key has at most: a longer value is no key, and is cut to this, since JSON_TABLE
# makes null of what does not fit.
_MAX_CHARACTERS, _MAX_BYTES = 769, 3_073


def to_bindable_value(value: Any) -> Any:
    """A key value as it is bound: the C extension takes half of a double's bits, and two decimals end the process, so both go as digits."""
    return (
        repr(value)
        if isinstance(value, float)
        else f"{value:f}"
        if isinstance(value, Decimal)
        else value
    )


def cut_long_value(value: Any) -> Any:
    """A key value as an entry of many holds it."""
    return (
        value[: _MAX_CHARACTERS if isinstance(value, str) else _MAX_BYTES]
        if isinstance(value, str | bytes)
        else value
    )


def get_json_column_type(type_: str) -> str:
    """The column that JSON_TABLE makes of key values of a type."""
    if type_ == "string":
        return f"VARCHAR({_MAX_CHARACTERS}) CHARACTER SET utf8mb4"
    return (
        f"VARCHAR({2 * _MAX_BYTES})"
        if type_ == "binary"
        else types.find_storage(type_, "mysql").column_type
    )


def to_json_value(value: Any) -> Any:
    """A key value that JSON has no word for."""
    return (
        value.hex()
        if isinstance(value, bytes)
        else str(value)
        if isinstance(value, Decimal | date)
        else value
    )
