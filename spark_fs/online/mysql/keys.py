"""Key values of MySQL and MariaDB, as they are bound and as the server compares them."""

from datetime import date
from decimal import Decimal
from typing import Any

from spark_fs.base import types
from spark_fs.online.mysql.column_types import find_scalar_storage

# Of a DECIMAL; so many digits behind the point leave room for all that a column has before it.
_DECIMAL_DIGITS = 65
_DECIMAL_SCALE = 27
# One more than a key has at most: a longer value is no key, and is cut to this, since JSON_TABLE
# makes null of what does not fit.
_MAX_CHARACTERS = 769
_MAX_BYTES = 3_073


def cast_prepared_key(expression: str, type_: str) -> str:
    """A key value of a prepared statement as it is compared.

    Digits are a decimal: as a string they would be rounded to doubles.
    """
    if types.get_base_type(type_) != "decimal":
        return expression
    if not find_scalar_storage(type_).column_type.startswith("DECIMAL"):
        return expression
    _, scale = types.parse_decimal_sizes(type_)
    return f"CAST({expression} AS DECIMAL({_DECIMAL_DIGITS},{max(_DECIMAL_SCALE, scale)}))"


def to_bindable_value(value: Any) -> Any:
    """A key value as it is bound.

    The C extension takes half of a double's bits, and two decimals end the process, so both go as
    digits.
    """
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value


def cut_long_value(value: Any) -> Any:
    """A key value as an entry of many holds it."""
    if isinstance(value, str):
        return value[:_MAX_CHARACTERS]
    if isinstance(value, bytes):
        return value[:_MAX_BYTES]
    return value


def get_json_column_type(type_: str) -> str:
    """The column that JSON_TABLE makes of key values of a type."""
    if type_ == "string":
        return f"VARCHAR({_MAX_CHARACTERS}) CHARACTER SET utf8mb4"
    if type_ == "binary":
        return f"VARCHAR({2 * _MAX_BYTES})"
    return find_scalar_storage(type_).column_type


def to_json_value(value: Any) -> Any:
    """A key value that JSON has no word for."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Decimal | date):
        return str(value)
    return value
