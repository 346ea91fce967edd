"""The column types of SQLite: one row for each feature type."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from math import copysign

from spark_fs.base import times, types
from spark_fs.base.arithmetic import is_nan
from spark_fs.online import nested_json
from spark_fs.online.column_storage import ColumnStorage, get_type_row


def _encode_real(value: float) -> float | str:
    """A number, or a string for what SQLite would change.

    It turns a bare NaN into null and drops the sign of zero; it leaves a string that it cannot read
    as a number.
    """
    if is_nan(value):
        return "NaN"
    if value == 0 and copysign(1, value) < 0:
        return "-0_0"
    return value


def _encode_instant(value: datetime) -> int:
    return times.to_micros(times.as_utc(value))


_INTEGER = ColumnStorage("INTEGER")
_REAL = ColumnStorage("REAL", _encode_real, float)
_STORAGE_BY_TYPE: Mapping[str, ColumnStorage] = {
    "boolean": ColumnStorage("INTEGER", int, bool),
    "tinyint": _INTEGER,
    "smallint": _INTEGER,
    "int": _INTEGER,
    "bigint": _INTEGER,
    "float": _REAL,
    "double": _REAL,
    "decimal": ColumnStorage("TEXT", str, Decimal),
    "timestamp": ColumnStorage("INTEGER", _encode_instant, times.from_micros),
    "date": ColumnStorage("TEXT", date.isoformat, date.fromisoformat),
    "string": ColumnStorage("TEXT"),
    "binary": ColumnStorage("BLOB", bytes, bytes),
}


def find_storage(spark_type: str) -> ColumnStorage:
    """How SQLite holds a type; SchemaError where it cannot."""
    if types.get_base_type(spark_type) in types.NESTED:
        encode, decode = nested_json.build_codec(spark_type)
        return ColumnStorage("BLOB", encode, decode)
    return get_type_row(spark_type, _STORAGE_BY_TYPE, "sqlite")
