"""The column types of MySQL and MariaDB: one row for each feature type."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from spark_fs.base import times, types
from spark_fs.base.arithmetic import is_nan
from spark_fs.errors import OnlineStoreError
from spark_fs.online import nested_json
from spark_fs.online.column_storage import ColumnStorage, get_type_row
from spark_fs.online.mysql.negative_zero import decode_double, decode_float

_MAX_SCALE = 30  # of a DECIMAL of MySQL; MariaDB's has 38


def _check_finite(value: float) -> float:
    if is_nan(value) or value in (float("inf"), float("-inf")):
        raise OnlineStoreError(
            f"MySQL cannot hold the value {value}: replace NaN and infinities by null before they"
            " are ingested, or serve this group from SQLite."
        )
    return value


def _decode_string(value: Any) -> str:
    """A string that may come as its bytes."""
    return value if isinstance(value, str) else bytes(value).decode()


def _encode_instant(value: datetime) -> datetime:
    return times.as_utc(value).replace(tzinfo=None)


def _decode_instant(value: datetime) -> datetime:
    return value.replace(tzinfo=UTC)


def _encode_digits(value: Decimal) -> str:
    return f"{value:f}"


def _decode_digits(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(_decode_string(value))


_STORAGE_BY_TYPE: Mapping[str, ColumnStorage] = {
    "boolean": ColumnStorage("TINYINT(1)", int, bool, byte_width=1),
    "tinyint": ColumnStorage("TINYINT", byte_width=1),
    "smallint": ColumnStorage("SMALLINT", byte_width=2),
    "int": ColumnStorage("INT", byte_width=4),
    "bigint": ColumnStorage("BIGINT", byte_width=8),
    "float": ColumnStorage("FLOAT", _check_finite, decode_float, byte_width=4),
    "double": ColumnStorage("DOUBLE", _check_finite, decode_double, byte_width=8),
    "decimal": ColumnStorage("DECIMAL", byte_width=20),
    "timestamp": ColumnStorage("DATETIME(6)", _encode_instant, _decode_instant, byte_width=8),
    "date": ColumnStorage("DATE", byte_width=3),
    "string": ColumnStorage(
        "VARCHAR", decode=_decode_string, long_type="LONGTEXT", unit_bytes=4, off_page=True
    ),
    "binary": ColumnStorage("VARBINARY", bytes, bytes, long_type="LONGBLOB", off_page=True),
}
_LONG_DECIMAL = ColumnStorage(
    "CHAR(42) CHARACTER SET ascii", _encode_digits, _decode_digits, byte_width=42
)


def find_storage(spark_type: str) -> ColumnStorage:
    """How MySQL and MariaDB hold a type; SchemaError where they cannot."""
    if types.get_base_type(spark_type) in types.NESTED:
        encode, decode = nested_json.build_codec(spark_type)
        return ColumnStorage("LONGBLOB", encode, decode, off_page=True)
    return find_scalar_storage(spark_type)


def find_scalar_storage(spark_type: str) -> ColumnStorage:
    """How MySQL and MariaDB hold a type that is not nested; SchemaError for any other."""
    storage = get_type_row(spark_type, _STORAGE_BY_TYPE, "mysql")
    if types.get_base_type(spark_type) != "decimal":
        return storage
    precision, scale = types.parse_decimal_sizes(spark_type)
    if scale > _MAX_SCALE:
        return _LONG_DECIMAL
    return ColumnStorage(f"DECIMAL({precision},{scale})", byte_width=storage.byte_width)
