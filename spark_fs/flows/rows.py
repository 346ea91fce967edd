"""The rows of a group, wherever they are kept: those of one version, or what changed between two."""

import os
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.engine.asof import epochs
from spark_fs.engine.layout import latest_ingested
from spark_fs.errors import SettingsError
from spark_fs.flows.validate import REASON
from spark_fs.offline import delta, external, history, sources
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.offline.history import NO_TABLE
from spark_fs.spec.definitions import GroupSpec
from spark_fs.types import ddl


def opened(spark: SparkSession, group: GroupSpec, path: str, version: int | None = None, every: bool = False) -> DataFrame:
    """The group's rows* at a version of its table (None: the newest), with the instant of ingestion.

    Before the first insert there are none; a column that came after the version holds nulls. Of rows of one identity it
    is the last ingested, or with ``every`` all of them.
    """
    if group.source:
        found = external.read(spark, group.source, os.environ)
        columns = [F.col(f"`{c}`").cast(ddl(t)).alias(c) for c, t in group.types.items()]
        read = found.select(*columns, F.lit(datetime.min).alias(INGESTED_AT))
        time = group.event_time
        return read.withColumn(time, epochs(F.col(time), group.type_of(time), time)) if time else read
    if not history.exists(path) if version is None else version == NO_TABLE:
        return spark.createDataFrame([], ", ".join(f"`{c}` {ddl(t)}" for c, t in group.types.items()) + f", {INGESTED_AT} timestamp")
    table = _filled(delta.read(spark, path, version), group)
    return latest_ingested(table, group, INGESTED_AT) if group.vouched and not every else table


def quarantined(spark: SparkSession, group: GroupSpec, path: str) -> DataFrame:
    """The rows* that expectations set aside, with the instant of ingestion and the reason."""
    place = delta.quarantine(path)
    if not history.exists(place):
        return opened(spark, group, path).limit(0).withColumn(REASON, F.lit(""))
    return _filled(delta.read(spark, place), group).select(*group.types, INGESTED_AT, REASON)


def with_source_schema(spark: SparkSession, group: GroupSpec) -> GroupSpec:
    """An external group with the schema that its source has now, eagerly; its declared columns must be there."""
    assert group.source
    found = sources.schema_of(external.read(spark, group.source, os.environ))
    return group.with_schema({name: "timestamp" if type_ == "timestamp_ntz" else type_ for name, type_ in found.items()})


def changes(spark: SparkSession, group: GroupSpec, table: history.Table, start: Any, end: Any) -> DataFrame:
    """What the commits after ``start`` did*, up to ``end`` and with it."""
    log = history.look(table)
    path = log.path
    first = NO_TABLE if start is None else history.version_of(log, start)
    last = log.newest if end is None else history.version_of(log, end)
    if first > last:
        raise SettingsError(f"read_changes from {start} to {end}: the end lies before the start; give them the other way round.")
    columns = [*group.types, INGESTED_AT, "_change_type", "_commit_version", "_commit_timestamp"]
    if first == last:  # Delta refuses an empty range of versions
        empty = opened(spark, group, path).limit(0)
        made = {"_change_type": F.lit(""), "_commit_version": F.lit(0).cast("bigint"), "_commit_timestamp": F.current_timestamp()}
        return empty.withColumns(made).select(*columns)
    return _filled(delta.read_changes(spark, path, first + 1, last), group).select(*columns)


def _filled(rows: DataFrame, group: GroupSpec) -> DataFrame:
    absent = {c: F.lit(None).cast(ddl(t)) for c, t in group.types.items() if c not in rows.columns}
    return rows.withColumns(absent) if absent else rows
