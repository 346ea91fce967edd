"""Frames that a caller hands in, as Spark DataFrames with the types of the type table."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_fs.base import types
from spark_fs.errors import InvalidNameError, SchemaError
from spark_fs.tables.arrow_frames import check_fields, normalize_column_names, to_arrow


def to_spark(
    spark: SparkSession,
    data: Any,
    declared_types: Mapping[str, str],
    row_number_column: str | None = None,
) -> DataFrame:
    """A Spark DataFrame of another one*, or eagerly of whatever ``arrow_frames.to_arrow`` takes.

    SchemaError for anything else. ``declared_types`` gives the type of columns that hold nothing
    but nulls, and says which dicts are maps. ``row_number_column`` names a column to add that
    numbers the rows, which have an order in all but Spark's frames.
    """
    if isinstance(data, DataFrame):
        return _check_frame(convert_types(_normalize_names(data)))
    table = to_arrow(data, declared_types)
    if row_number_column:
        if row_number_column in table.column_names:
            raise InvalidNameError.for_name("Column", row_number_column)
        numbers = pa.array(range(len(table)), pa.int64())
        table = table.append_column(row_number_column, numbers)
    return _check_frame(spark.createDataFrame(table))


def _normalize_names(frame: DataFrame) -> DataFrame:
    """The frame* with names in lower snake case."""
    names = normalize_column_names(frame.columns)
    return frame if names == frame.columns else frame.toDF(*names)


def get_feature_types(frame: DataFrame) -> dict[str, str]:
    """The name and feature type of each column."""
    return {field.name: field.dataType.simpleString() for field in frame.schema.fields}


def _check_frame(frame: DataFrame) -> DataFrame:
    """The frame, unless a column has a type that is not a feature type.

    One of nothing but nulls may stand for a column that is known.
    """
    for field in frame.schema.fields:
        if not isinstance(field.dataType, T.NullType):
            _check_type(f"Column {field.name!r}", field.dataType)
    return frame


def _check_type(location: str, type_: T.DataType) -> None:
    """SchemaError, saying where, for a Spark type that is not a feature type.

    Also for a field whose name no table keeps.
    """
    if isinstance(type_, T.ArrayType):
        _check_type(f"{location} within its lists", type_.elementType)
    elif isinstance(type_, T.MapType):
        _check_type(f"{location} in the keys of its maps", type_.keyType)
        _check_type(f"{location} in its maps", type_.valueType)
    elif isinstance(type_, T.StructType):
        check_fields(location, type_.names)
        for field in type_.fields:
            _check_type(f"{location} in its field {field.name!r}", field.dataType)
    elif types.get_base_type(type_.simpleString()) not in types.TYPES_BY_NAME:
        raise SchemaError(
            f"{location} is of the Spark type {type_.simpleString()}, which has no feature type:"
            " cast it first."
        )


def convert_types(frame: DataFrame) -> DataFrame:
    """The frame* with UTC instants for times without a zone, and strings without a collation.

    The session's zone is UTC.
    """
    converted = {}
    for field in frame.schema.fields:
        type_ = _convert_type(field.dataType)
        if type_ != field.dataType:
            converted[field.name] = F.col(f"`{field.name}`").cast(type_)
    return frame.withColumns(converted)


def _convert_type(type_: T.DataType) -> T.DataType:
    if isinstance(type_, T.TimestampNTZType):
        return T.TimestampType()
    if isinstance(type_, T.StringType):
        return T.StringType()
    if isinstance(type_, T.ArrayType):
        return T.ArrayType(_convert_type(type_.elementType), type_.containsNull)
    if isinstance(type_, T.MapType):
        key_type = _convert_type(type_.keyType)
        return T.MapType(key_type, _convert_type(type_.valueType), type_.valueContainsNull)
    if isinstance(type_, T.StructType):
        fields = []
        for field in type_.fields:
            field_type = _convert_type(field.dataType)
            fields.append(T.StructField(field.name, field_type, field.nullable, field.metadata))
        return T.StructType(fields)
    return type_
