"""The rows of a group, wherever they are: those of one version, or what changed between two."""

import os
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base.types import to_ddl
from spark_fs.errors import SettingsError
from spark_fs.flows.validate import REASON_COLUMN
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables import external, spark_frames
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.ingestion import INGESTED_AT, keep_latest_ingested
from spark_fs.tables.spark_event_times import check_epochs
from spark_fs.tables.table import GroupTable


def read_group(
    table: GroupTable, version: int | None = None, with_duplicates: bool = False
) -> DataFrame:
    """The group's rows*, with the instant of ingestion, at a version (None: the newest).

    Before the first insert there are none; a column that came after the version holds nulls. Of
    rows of one identity it is the last ingested, or with ``with_duplicates`` all of them. An
    external group has them in its source.
    """
    group = table.group
    if group.source:
        return _read_source(table.spark, group)
    is_absent = not table.exists() if version is None else version == NO_TABLE
    if is_absent:
        columns = [f"`{name}` {to_ddl(type_)}" for name, type_ in group.types.items()]
        schema = ", ".join([*columns, f"{INGESTED_AT} timestamp"])
        return table.spark.createDataFrame([], schema)
    rows = _with_missing_columns(table.read(version), group)
    if group.may_have_duplicates and not with_duplicates:
        return keep_latest_ingested(rows, group, INGESTED_AT)
    return rows


def _read_source(spark: SparkSession, group: GroupSpec) -> DataFrame:
    """The rows* of an external group, with the first of all instants as that of ingestion."""
    assert group.source
    rows = external.read_source(spark, group.source, os.environ)
    columns = []
    for name, type_ in group.types.items():
        columns.append(F.col(f"`{name}`").cast(to_ddl(type_)).alias(name))
    rows = rows.select(*columns, F.lit(datetime.min).alias(INGESTED_AT))
    time = group.event_time
    if not time:
        return rows
    return rows.withColumn(time, check_epochs(F.col(time), group.get_column_type(time), time))


def read_quarantine(table: GroupTable) -> DataFrame:
    """The rows* that expectations set aside, with the instant of ingestion and the reason."""
    quarantine = table.quarantine
    if not quarantine.exists():
        return read_group(table).limit(0).withColumn(REASON_COLUMN, F.lit(""))
    rows = _with_missing_columns(quarantine.read(), table.group)
    return rows.select(*table.group.types, INGESTED_AT, REASON_COLUMN)


def with_source_schema(spark: SparkSession, group: GroupSpec) -> GroupSpec:
    """An external group with the schema that its source has now, eagerly.

    Its declared columns must be there.
    """
    assert group.source
    rows = external.read_source(spark, group.source, os.environ)
    return group.with_schema(spark_frames.get_feature_types(rows))


def read_changes(table: GroupTable, start: Any, end: Any) -> DataFrame:
    """What the commits after ``start`` did*, up to ``end`` and with it."""
    first = NO_TABLE if start is None else table.resolve_version(start)
    last = table.version if end is None else table.resolve_version(end)
    if first > last:
        raise SettingsError(
            f"read_changes from {start} to {end}: the end lies before the start; give them the"
            " other way round."
        )
    types = table.group.types
    columns = [*types, INGESTED_AT, "_change_type", "_commit_version", "_commit_timestamp"]
    if first == last:  # Delta refuses an empty range of versions
        no_changes = {
            "_change_type": F.lit(""),
            "_commit_version": F.lit(0).cast("bigint"),
            "_commit_timestamp": F.current_timestamp(),
        }
        return read_group(table).limit(0).withColumns(no_changes).select(*columns)
    changes = table.read_changes(first + 1, last)
    return _with_missing_columns(changes, table.group).select(*columns)


def _with_missing_columns(rows: DataFrame, group: GroupSpec) -> DataFrame:
    missing = {}
    for name, type_ in group.types.items():
        if name not in rows.columns:
            missing[name] = F.lit(None).cast(to_ddl(type_))
    return rows.withColumns(missing) if missing else rows
