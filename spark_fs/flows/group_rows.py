"""The rows of a group, wherever they are kept: those of one version, or what changed between two."""

import os
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base.types import to_ddl
from spark_fs.errors import SettingsError
from spark_fs.flows.validate import REASON_COLUMN
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables import external, frames
from spark_fs.tables.delta import commands, history
from spark_fs.tables.delta.commands import INGESTED_AT
from spark_fs.tables.delta.history import NO_TABLE
from spark_fs.tables.delta.layout import keep_latest_ingested
from spark_fs.tables.event_times import check_epochs


def read_group(
    spark: SparkSession,
    group: GroupSpec,
    path: str,
    version: int | None = None,
    with_duplicates: bool = False,
) -> DataFrame:
    """The group's rows* at a version of its table (None: the newest), with the instant of ingestion.

    Before the first insert there are none; a column that came after the version holds nulls. Of
    rows of one identity it is the last ingested, or with ``every`` all of them.
    """
    if group.source:
        found = external.read_source(spark, group.source, os.environ)
        columns = [F.col(f"`{c}`").cast(to_ddl(t)).alias(c) for c, t in group.types.items()]
        read = found.select(*columns, F.lit(datetime.min).alias(INGESTED_AT))
        time = group.event_time
        return (
            read.withColumn(time, check_epochs(F.col(time), group.get_column_type(time), time))
            if time
            else read
        )
    if not history.has_log(path) if version is None else version == NO_TABLE:
        return spark.createDataFrame(
            [],
            ", ".join(f"`{c}` {to_ddl(t)}" for c, t in group.types.items())
            + f", {INGESTED_AT} timestamp",
        )
    table = _with_missing_columns(commands.read_table(spark, path, version), group)
    return (
        keep_latest_ingested(table, group, INGESTED_AT)
        if group.may_have_duplicates and not with_duplicates
        else table
    )


def read_quarantine(spark: SparkSession, group: GroupSpec, path: str) -> DataFrame:
    """The rows* that expectations set aside, with the instant of ingestion and the reason."""
    place = commands.get_quarantine_path(path)
    if not history.has_log(place):
        return read_group(spark, group, path).limit(0).withColumn(REASON_COLUMN, F.lit(""))
    return _with_missing_columns(commands.read_table(spark, place), group).select(
        *group.types, INGESTED_AT, REASON_COLUMN
    )


def with_source_schema(spark: SparkSession, group: GroupSpec) -> GroupSpec:
    """An external group with the schema that its source has now, eagerly; its declared columns must be there."""
    assert group.source
    found = frames.get_feature_types(external.read_source(spark, group.source, os.environ))
    return group.with_schema(
        {name: "timestamp" if type_ == "timestamp_ntz" else type_ for name, type_ in found.items()}
    )


def read_changes(
    spark: SparkSession, group: GroupSpec, table: history.TableRef, start: Any, end: Any
) -> DataFrame:
    """What the commits after ``start`` did*, up to ``end`` and with it."""
    log = history.open_log(table)
    path = log.path
    first = NO_TABLE if start is None else history.resolve_table_version(log, start)
    last = log.version if end is None else history.resolve_table_version(log, end)
    if first > last:
        raise SettingsError(
            f"read_changes from {start} to {end}: the end lies before the start; give them the"
            " other way round."
        )
    columns = [*group.types, INGESTED_AT, "_change_type", "_commit_version", "_commit_timestamp"]
    if first == last:  # Delta refuses an empty range of versions
        empty = read_group(spark, group, path).limit(0)
        made = {
            "_change_type": F.lit(""),
            "_commit_version": F.lit(0).cast("bigint"),
            "_commit_timestamp": F.current_timestamp(),
        }
        return empty.withColumns(made).select(*columns)
    return _with_missing_columns(commands.read_changes(spark, path, first + 1, last), group).select(
        *columns
    )


def _with_missing_columns(rows: DataFrame, group: GroupSpec) -> DataFrame:
    absent = {
        c: F.lit(None).cast(to_ddl(t)) for c, t in group.types.items() if c not in rows.columns
    }
    return rows.withColumns(absent) if absent else rows
