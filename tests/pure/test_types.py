"""The type table, row by row, and what follows from it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_fs.base import types
from spark_fs.base.literals import from_literal, to_literal
from spark_fs.errors import OnlineStoreError, SchemaError
from spark_fs.online.mysql import column_types as mysql_types
from spark_fs.online.mysql.negative_zero import STAND_INS
from spark_fs.online.sqlite import column_types as sqlite_types

DESIGNED = [  # Arrow type, feature type, MySQL column, SQLite column
    (pa.bool_(), "boolean", "TINYINT(1)", "INTEGER"),
    (pa.int8(), "tinyint", "TINYINT", "INTEGER"),
    (pa.int16(), "smallint", "SMALLINT", "INTEGER"),
    (pa.uint8(), "smallint", "SMALLINT", "INTEGER"),
    (pa.int32(), "int", "INT", "INTEGER"),
    (pa.uint16(), "int", "INT", "INTEGER"),
    (pa.int64(), "bigint", "BIGINT", "INTEGER"),
    (pa.uint32(), "bigint", "BIGINT", "INTEGER"),
    (pa.uint64(), "decimal", "DECIMAL(20,0)", "TEXT"),
    (pa.float32(), "float", "FLOAT", "REAL"),
    (pa.float64(), "double", "DOUBLE", "REAL"),
    (pa.decimal128(10, 2), "decimal", "DECIMAL(20,0)", "TEXT"),
    (pa.timestamp("us", "UTC"), "timestamp", "DATETIME(6)", "INTEGER"),
    (pa.timestamp("ns"), "timestamp", "DATETIME(6)", "INTEGER"),
    (pa.date32(), "date", "DATE", "TEXT"),
    (pa.string(), "string", "VARCHAR", "TEXT"),
    (pa.binary(), "binary", "VARBINARY", "BLOB"),
]


@pytest.mark.parametrize(("arrow", "feature", "mysql", "sqlite"), DESIGNED, ids=lambda v: str(v))
def test_each_type_has_its_place_in_each_store(
    arrow: pa.DataType, feature: str, mysql: str, sqlite: str
) -> None:
    full = "decimal(20,0)" if feature == "decimal" else feature
    assert types.from_arrow(str(arrow)) == feature
    assert mysql_types.find_storage(full).column_type == mysql
    assert sqlite_types.find_storage(full).column_type == sqlite


def test_a_type_without_a_row_is_refused() -> None:
    with pytest.raises(
        SchemaError,
        match=r"Type interval cannot be served online from sqlite: use one of boolean, ",
    ):
        sqlite_types.find_storage("interval")


def test_a_nested_type_is_held_as_bytes() -> None:
    assert mysql_types.find_storage("array<int>").column_type == "LONGBLOB"
    assert sqlite_types.find_storage("array<int>").column_type == "BLOB"


@pytest.mark.parametrize(
    ("found", "wanted", "safe"),
    [
        ("int", "bigint", True),
        ("bigint", "int", False),
        ("int", "double", True),
        ("bigint", "double", False),
        ("float", "double", True),
        ("double", "float", False),
        ("int", "string", False),
        ("void", "string", True),
        ("decimal(10,2)", "decimal(12,3)", True),
        ("decimal(10,2)", "decimal(10,3)", False),
        ("array<int>", "array<int>", True),
        ("array<int>", "array<bigint>", False),
    ],
)
def test_only_what_keeps_every_value_widens(found: str, wanted: str, safe: bool) -> None:
    assert types.can_widen(found, wanted) is safe


VALUES = {
    "boolean": st.booleans(),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "decimal(38,10)": st.decimals(-(10**20), 10**20, places=10),
    "timestamp": st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    "date": st.dates(date(1000, 1, 1)),
    "string": st.text(),
    "binary": st.binary(),
}


@pytest.mark.parametrize("type_", VALUES)
@given(data=st.data())
def test_a_value_decodes_as_it_was_encoded(type_: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[type_])
    for store in (sqlite_types, mysql_types):
        storage = store.find_storage(type_)
        if store is mysql_types and value in (float("inf"), float("-inf"), *STAND_INS.values()):
            continue
        assert storage.decode(storage.encode(value)) == value


def test_sqlite_keeps_not_a_number() -> None:
    storage = sqlite_types.find_storage("double")
    found = storage.decode(storage.encode(float("nan")))
    assert found != found


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_mysql_refuses_what_it_cannot_hold(value: float) -> None:
    with pytest.raises(
        OnlineStoreError,
        match=f"MySQL cannot hold the value {value}: replace NaN and infinities by null",
    ):
        mysql_types.find_storage("double").encode(value)


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        "a",
        True,
        None,
        datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=1),
        date(2024, 1, 1),
        Decimal("1.10"),
        ("a", date(2024, 1, 1)),
    ],
    ids=repr,
)
def test_a_literal_survives_json(value: object) -> None:
    assert from_literal(to_literal(value)) == value
