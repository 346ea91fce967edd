"""Frames that a caller hands in, as Spark DataFrames with the types of the type table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs import types
from spark_fs.errors import SchemaError


def to_spark(spark: SparkSession, data: Any, declared: Mapping[str, str], numbered: str | None = None) -> DataFrame:
    """A Spark DataFrame of a Spark or pandas DataFrame or an Arrow table; SchemaError for anything else.

    In a pandas frame NaN and NaT stand for null, as pandas means them; in Arrow and Spark NaN stays NaN. Times
    without a zone are UTC. ``declared`` gives the type of columns that hold nothing but nulls. ``numbered``
    names a column to add that numbers the rows of pandas and Arrow, which have an order.
    """
    if isinstance(data, DataFrame):
        return _zoned(data)
    if isinstance(data, pd.DataFrame):
        data = _from_pandas(data)
    if isinstance(data, pa.Table):
        if numbered:
            data = data.append_column(numbered, pa.array(range(len(data)), pa.int64()))
        return spark.createDataFrame(_castable(data, declared))
    raise SchemaError(
        f"A {type(data).__module__}.{type(data).__qualname__} holds no rows: give a Spark or pandas DataFrame or an "
        "Arrow table."
    )


def to_arrow(data: pd.DataFrame | pa.Table, declared: Mapping[str, str]) -> pa.Table:
    """An Arrow table of a pandas frame or of another, with the types that Spark takes; see ``to_spark``."""
    return _castable(_from_pandas(data) if isinstance(data, pd.DataFrame) else data, declared)


def schema_of(frame: DataFrame) -> dict[str, str]:
    """The name and feature type of each column."""
    return {field.name: field.dataType.simpleString() for field in frame.schema.fields}


def _zoned(frame: DataFrame) -> DataFrame:
    """Times without a zone become UTC instants: the session's zone is UTC."""
    naive = [name for name, type_ in schema_of(frame).items() if type_ == "timestamp_ntz"]
    return frame.withColumns({name: F.col(f"`{name}`").cast("timestamp") for name in naive})


def _from_pandas(data: pd.DataFrame) -> pa.Table:
    try:
        return pa.Table.from_pandas(data, preserve_index=False)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:  # whatever a column's values make of it
        raise SchemaError(
            f"The pandas frame holds a column of mixed or unknown types: {error}. Give each column one type."
        ) from None


def _castable(table: pa.Table, declared: Mapping[str, str]) -> pa.Table:
    fields = [pa.field(f.name, _target(f, declared.get(f.name))) for f in table.schema]
    try:
        return table.cast(pa.schema(fields))
    except pa.ArrowInvalid as error:
        raise SchemaError(f"A value does not fit its column: {error}. Times are kept in whole microseconds.") from None


def _target(field: pa.Field, declared: str | None) -> pa.DataType:
    """The Arrow type that a column is cast to, so that Spark takes it with every value."""
    name = str(field.type)
    if pa.types.is_null(field.type):
        if declared is None:
            raise SchemaError(f"Column {field.name!r} holds only nulls, so its type is unknown: give it a type.")
        return _arrow_of(declared)
    if pa.types.is_timestamp(field.type):
        return pa.timestamp("us", tz="UTC")
    if pa.types.is_dictionary(field.type):
        return pa.string() if pa.types.is_string(field.type.value_type) else field.type.value_type
    if name == "uint64":
        return pa.decimal128(20, 0)
    if name in types.ARROW_CASTS:
        return pa.type_for_alias(types.ARROW_CASTS[name])
    if types.from_arrow(name) is None and not pa.types.is_nested(field.type):
        raise SchemaError(f"Column {field.name!r} is of the Arrow type {name}, which has no feature type: cast it first.")
    return field.type


def _arrow_of(feature_type: str) -> pa.DataType:
    row = types.BY_NAME.get(feature_type)
    if feature_type == "timestamp":
        return pa.timestamp("us", tz="UTC")
    if row is None or feature_type == "decimal":
        return pa.null()
    return pa.type_for_alias(row.arrow[0])
