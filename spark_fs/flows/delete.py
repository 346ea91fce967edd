"""Delete rows of a feature group, as one commit or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_fs.base import types
from spark_fs.errors import KeyValueError, NotFoundError, SchemaError
from spark_fs.flows.jobs import Job
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables import spark_frames
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.table import GroupTable


def delete_records(table: GroupTable, data: Any) -> Job:
    """Delete the rows of the frame's keys, eagerly.

    Where the frame has event times, those of its keys and event times.
    """
    group = table.group
    if table.version == NO_TABLE:
        raise NotFoundError(
            f"Feature group {group} has no rows to delete yet: insert its first rows."
        )
    frame = spark_frames.to_spark(table.spark, data, group.types)
    frame_types = spark_frames.get_feature_types(frame)
    columns = list(group.identity if group.event_time in frame_types else group.primary_key)
    _check_key_columns(frame_types, columns, group)
    casts = [F.col(column).cast(group.get_column_type(column)) for column in columns]
    keys = frame.select(*casts).distinct()
    key_count = _count_keys(keys, columns, table)
    deleted = table.delete_rows(keys, columns) if key_count else 0
    return Job(f"delete {group.name}_{group.version}", {"read": key_count, "deleted": deleted})


def _check_key_columns(
    frame_types: Mapping[str, str], columns: Sequence[str], group: GroupSpec
) -> None:
    """SchemaError for a key column that is missing or of another type."""
    missing = []
    differing = []
    for column in columns:
        type_ = group.get_column_type(column)
        if column not in frame_types:
            missing.append(f"key column {column!r} ({type_}) is missing")
        elif not types.can_widen(frame_types[column], type_):
            differing.append(f"column {column!r} is {frame_types[column]}, the group has {type_}")
    if differences := missing + differing:
        raise SchemaError(
            f"The frame does not fit feature group {group}: {'; '.join(differences)}. Nothing was"
            " deleted."
        )


def _count_keys(keys: DataFrame, columns: Sequence[str], table: GroupTable) -> int:
    """How many keys there are, eagerly; KeyValueError where a part of one is null."""
    null_counts = [F.count_if(F.col(column).isNull()) for column in columns]
    with table.translate_errors("deletion of rows"):
        key_count, *nulls = keys.agg(F.count("*"), *null_counts).collect()[0]
    if any(nulls):
        pairs = zip(columns, nulls, strict=True)
        listed = ", ".join(f"{count} in {column!r}" for column, count in pairs if count)
        raise KeyValueError(
            f"A null key or event time names no row of feature group {table.group}: the frame has"
            f" {listed}. Nothing was deleted."
        )
    return int(key_count)
