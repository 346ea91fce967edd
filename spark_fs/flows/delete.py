"""Delete rows of a feature group, as one commit or not at all."""

from collections.abc import Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base import types
from spark_fs.errors import KeyValueError, NotFoundError, SchemaError
from spark_fs.flows.jobs import Job
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables import frames
from spark_fs.tables.delta import commands, history
from spark_fs.tables.delta.history import NO_TABLE
from spark_fs.tables.delta.transaction import TableWrite


def delete_records(spark: SparkSession, group: GroupSpec, path: str, data: Any) -> Job:
    """Delete the rows of the frame's keys, or of its keys and event times where it has these, eagerly."""
    if history.get_current_version(path) == NO_TABLE:
        raise NotFoundError(
            f"Feature group {group} has no rows to delete yet: insert its first rows."
        )
    frame = frames.to_spark(spark, data, group.types)
    found = frames.get_feature_types(frame)
    columns = list(group.identity if group.event_time in found else group.primary_key)
    wrong = [
        f"key column {c!r} ({group.get_column_type(c)}) is missing"
        for c in columns
        if c not in found
    ]
    wrong += [
        f"column {c!r} is {found[c]}, the group has {group.get_column_type(c)}"
        for c in columns
        if c in found and not types.can_widen(found[c], group.get_column_type(c))
    ]
    if wrong:
        raise SchemaError(
            f"The frame does not fit feature group {group}: {'; '.join(wrong)}. Nothing was"
            " deleted."
        )
    keys = frame.select(*(F.col(c).cast(group.get_column_type(c)) for c in columns)).distinct()
    with commands.translate_errors(path, "deletion of rows"):
        counts = keys.agg(
            F.count("*"), *(F.count_if(F.col(c).isNull()) for c in columns)
        ).collect()[0]
    if any(counts[1:]):
        listed = ", ".join(f"{n} in {c!r}" for c, n in zip(columns, counts[1:], strict=True) if n)
        raise KeyValueError(
            f"A null key or event time names no row of feature group {group}: the frame has"
            f" {listed}. Nothing was deleted."
        )
    deleted = _delete_rows(keys, path, columns) if counts[0] else 0
    return Job(f"delete {group.name}_{group.version}", {"read": counts[0], "deleted": deleted})


def _delete_rows(keys: DataFrame, path: str, columns: Sequence[str]) -> int:
    """Delete the rows of these keys; returns how many there were."""
    with (
        commands.translate_errors(path, "deletion of rows"),
        TableWrite(keys.sparkSession, path) as write,
    ):
        return write.commit(
            lambda now: commands.delete_rows(
                keys, path, columns, now.with_write_id({"operation": "delete"})
            ),
            lambda landed: int(landed.metrics["numTargetRowsDeleted"]),
        )
