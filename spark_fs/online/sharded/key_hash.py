"""Which shard a key lies on: the CRC-32 of its values' strings, modulo the number of shards.

The string of a value is that of what it equals, not of how it is written: 1, 1.0, True and
Decimal("1.00") are all "1". It stays as it is from release to release, since rows lie where it
says.
"""

import zlib
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from spark_fs.base.times import as_utc, to_micros

SEPARATOR = "\t"  # between the values of a key of several columns


def choose_shard(key: Sequence[Any], shard_count: int) -> int:
    """The shard of a key, from 0.

    Args:
        key: The values of the key's columns in its order, none of them null.
        shard_count: How many shards there are.
    """
    joined = SEPARATOR.join([format_key_value(value) for value in key])
    return zlib.crc32(joined.encode("utf-8", "surrogatepass")) % shard_count


def format_key_value(value: Any) -> str:
    """The string of a value of a key.

    Numbers are digits, without an exponent where they are whole; a time is its microseconds since
    1970 in UTC; a date is as ISO 8601 has it; bytes are in hexadecimal.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(int(value))  # a boolean is 0 or 1
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Decimal):
        return _format_decimal(value)
    if isinstance(value, datetime):
        return str(to_micros(as_utc(value)))
    if isinstance(value, date):
        return value.isoformat()
    return bytes(value).hex()


def _format_decimal(value: Decimal) -> str:
    digits = f"{value:f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits
