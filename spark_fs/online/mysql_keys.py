"""Key values of MySQL and MariaDB, as the driver's C extension can bind them and as the server compares them."""

from datetime import date
from decimal import Decimal
from typing import Any

from spark_fs import types

_DIGITS, _BEHIND = 65, 27  # of a DECIMAL; so many behind the point leave room for all that a column has before it


def prepared_key(expression: str, type_: str) -> str:
    """A key value of a prepared statement as it is compared: digits as a decimal, since as a text they would be rounded to doubles."""
    if types.base(type_) != "decimal" or not types.storage(type_, "mysql").column.startswith("DECIMAL"):
        return expression
    return f"CAST({expression} AS DECIMAL({_DIGITS},{max(_BEHIND, types.sizes(type_)[1])}))"


# One more than a key has at most: a longer value is no key, and is cut to this, since JSON_TABLE makes null of what does not fit.
_LETTERS, _BYTES = 769, 3_073


def bound(value: Any) -> Any:
    """A key value as it is bound: the C extension takes half of a double's bits, and two decimals end the process, so both go as digits."""
    return repr(value) if isinstance(value, float) else f"{value:f}" if isinstance(value, Decimal) else value


def shortened(value: Any) -> Any:
    """A key value as an entry of many holds it."""
    return value[: _LETTERS if isinstance(value, str) else _BYTES] if isinstance(value, str | bytes) else value


def json_type(type_: str) -> str:
    """The column that JSON_TABLE makes of key values of a type."""
    if type_ == "string":
        return f"VARCHAR({_LETTERS}) CHARACTER SET utf8mb4"
    return f"VARCHAR({2 * _BYTES})" if type_ == "binary" else types.storage(type_, "mysql").column


def as_json(value: Any) -> Any:
    """A key value that JSON has no word for."""
    return value.hex() if isinstance(value, bytes) else str(value) if isinstance(value, Decimal | date) else value
