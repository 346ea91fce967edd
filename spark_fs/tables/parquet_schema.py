"""The feature types of a Parquet file, as Spark would infer them, from its footer alone.

Spark reads the schema that it wrote into the footer, and of others' files the types of Parquet.
Arrow restores what Arrow wrote there: durations, widths, zones. So the types of Parquet are looked
at here, and where the two could differ ``UnlikeSparkError`` is raised, for Spark to read the file.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spark_fs.base.arrow_types import is_any_list
from spark_fs.tables import spark_schema

_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
_SPARK_VERSION = b"org.apache.spark.version"
# Calendars: what Spark wrote before 3.1, or said that it wrote so, it reads with other days.
_OLD_CALENDARS = (b"org.apache.spark.legacyDateTime", b"org.apache.spark.legacyINT96")
_FIRST_VERSION = (3, 1)
_CODECS = {"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4"}
_LIST_ITEM = frozenset({"element", "item"})
_TIME_UNITS = {"milliseconds": "", "microseconds": "", "nanoseconds": "_ns"}
_ANY_TIME = re.compile(r"\btimestamp(_ntz)?(_ns)?\b(?!:)")  # no field of a struct has its name
# By the physical type of columns that say no more, and by the logical type of others.
_PHYSICAL_TYPES = {
    "BOOLEAN": "boolean",
    "INT32": "int",
    "INT64": "bigint",
    "INT96": "timestamp",
    "FLOAT": "float",
    "DOUBLE": "double",
    "BYTE_ARRAY": "binary",
}
_LOGICAL_TYPES = {"STRING": "string", "ENUM": "string", "DATE": "date"}
_INTEGERS = {
    (8, True): "tinyint",
    (16, True): "smallint",
    (32, True): "int",
    (64, True): "bigint",
    (8, False): "smallint",
    (16, False): "int",
    (32, False): "bigint",
    (64, False): "decimal(20,0)",
}


class UnlikeSparkError(Exception):
    """Why Arrow might not read what Spark would, in words that end a sentence."""


def infer_types(file: pq.FileMetaData) -> dict[str, str]:
    """The name and type of each column of a file.

    ``timestamp_ntz`` are times without a zone, ``timestamp_ns`` and ``timestamp_ntz_ns`` times in
    nanoseconds, of which ``to_utc_types`` makes instants.

    Raises UnlikeSparkError where Arrow and Spark could differ in a name, a type or a value.
    """
    _check_file(file)
    arrow_schema = file.schema.to_arrow_schema()
    leaves = (file.schema.column(index) for index in range(file.num_columns))
    types = {}
    for field in arrow_schema:
        if not re.fullmatch(r"[^.`]+", field.name):
            raise UnlikeSparkError(f"of the column name {field.name!r}")
        types[field.name] = _infer_type(field.type, leaves, ((field.name,),))
    if len({name.lower() for name in types}) < len(arrow_schema):
        raise UnlikeSparkError("two columns differ by upper and lower case alone")
    _compare_with_spark_schema(file.metadata or {}, types)
    return types


def to_utc_types(types: Mapping[str, str]) -> dict[str, str]:
    """The types with an instant for every time: those without a zone are of UTC."""
    return {name: _ANY_TIME.sub("timestamp", type_) for name, type_ in types.items()}


def _check_file(file: pq.FileMetaData) -> None:
    notes = file.metadata or {}
    version = re.match(rb"(\d+)\.(\d+)", notes.get(_SPARK_VERSION, b""))
    is_old = version is not None and (int(version[1]), int(version[2])) < _FIRST_VERSION
    if is_old or any(note in notes for note in _OLD_CALENDARS):
        raise UnlikeSparkError("an old Spark wrote it, with the days of another calendar")
    for number in range(file.num_row_groups):
        row_group = file.row_group(number)
        for index in range(row_group.num_columns):
            codec = row_group.column(index).compression
            if codec not in _CODECS:
                raise UnlikeSparkError(f"it is compressed by {codec}")


def _infer_type(
    type_: pa.DataType,
    leaves: Iterator[pq.ColumnSchema],
    path: tuple[frozenset[str] | tuple[str, ...], ...],
) -> str:
    """The type of a column, whose leaves come next, in their order.

    path: the names that each step to it may have in the file.
    """
    if pa.types.is_struct(type_):
        fields = []
        for field in type_:
            if not re.fullmatch(r"\w+", field.name):
                raise UnlikeSparkError(f"of the field name {field.name!r}")
            fields.append(f"{field.name}:{_infer_type(field.type, leaves, (*path, (field.name,)))}")
        return f"struct<{','.join(fields)}>"
    if pa.types.is_map(type_):
        entries = (*path, ("key_value",))
        key = _infer_type(type_.key_type, leaves, (*entries, ("key",)))
        return f"map<{key},{_infer_type(type_.item_type, leaves, (*entries, ('value',)))}>"
    if is_any_list(type_):
        return f"array<{_infer_type(type_.value_type, leaves, (*path, ('list',), _LIST_ITEM))}>"
    leaf = next(leaves)
    names = leaf.path.split(".")
    if len(names) != len(path) or not all(map(_is_in, names, path)):
        raise UnlikeSparkError(f"its column {leaf.path} is nested in a way of its own")
    return _infer_leaf_type(leaf)


def _is_in(name: str, names: frozenset[str] | tuple[str, ...]) -> bool:
    return name in names


def _infer_leaf_type(leaf: pq.ColumnSchema) -> str:
    logical = leaf.logical_type.type
    details: dict[str, Any] = json.loads(leaf.logical_type.to_json())
    type_ = None
    if logical == "NONE":
        type_ = _PHYSICAL_TYPES.get(leaf.physical_type)
    elif logical == "INT":
        type_ = _INTEGERS.get((details["bitWidth"], details["isSigned"]))
    elif logical == "DECIMAL" and leaf.precision <= 38:
        type_ = f"decimal({leaf.precision},{leaf.scale})"
    elif logical == "TIMESTAMP" and details["timeUnit"] in _TIME_UNITS:
        type_ = "timestamp" if details["isAdjustedToUTC"] else "timestamp_ntz"
        type_ += _TIME_UNITS[details["timeUnit"]]
    else:
        type_ = _LOGICAL_TYPES.get(logical)
    if type_ is None:
        kind = leaf.physical_type if logical == "NONE" else str(leaf.logical_type)
        raise UnlikeSparkError(f"its column {leaf.path} is of the Parquet type {kind}")
    return type_


def _compare_with_spark_schema(notes: dict[bytes, bytes], types: dict[str, str]) -> None:
    """UnlikeSparkError where the schema that Spark wrote says more than the types of Parquet."""
    text = notes.get(_SPARK_SCHEMA)
    if text is None:
        return
    written = spark_schema.parse_columns(json.loads(text))
    if list(written.items()) != list(types.items()) or b"__COLLATIONS" in text:
        raise UnlikeSparkError("the schema that Spark wrote into it says more than its types")
