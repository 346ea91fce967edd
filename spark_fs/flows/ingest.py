"""Insert a frame into a feature group: check it whole, then write it as one commit, or not at all."""

from collections.abc import Callable
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from spark_fs import types
from spark_fs.errors import KeyValueError, NotFoundError, SchemaError, SparkFSError
from spark_fs.flows.jobs import Job
from spark_fs.offline import delta, sources
from spark_fs.offline.delta import INGESTED_AT, Bounds, Transaction
from spark_fs.spec.definitions import GroupSpec, check_name

EXAMPLES = 5
_CHANGE = "__change"


def insert(
    spark: SparkSession,
    group: GroupSpec,
    path: str,
    data: Any,
    save_schema: Callable[[GroupSpec], None],
    transaction: Transaction | None = None,
) -> tuple[GroupSpec, Job]:
    """Upsert the frame into the group's table, eagerly; returns the group with its schema, and the job.

    A row of the frame replaces the row of the same identity, adds a new one, or, where the table holds the same
    values already, writes nothing. ``save_schema`` keeps the schema of a first frame before its rows are written,
    so a killed first insert leaves a group without rows and never rows without a schema.
    """
    frame = sources.to_spark(spark, data, group.types)
    checked = group if group.features else _with_first_schema(group, frame)
    rows = conformed(frame, checked)
    try:
        rows.persist(StorageLevel.MEMORY_AND_DISK)  # which plans it already, and may fail
        found = _checked_rows(rows, checked)
        if not group.features:
            save_schema(checked)
        summary = _write(rows, found, checked, path, transaction)
    except PySparkException as error:
        raise SparkFSError(
            f"Nothing was inserted into feature group {group}: reading the frame failed: {_reason(error)}"
        ) from error
    finally:
        rows.unpersist()
    return checked, Job(f"insert {group.name}_{group.version}", summary)


def _with_first_schema(group: GroupSpec, frame: DataFrame) -> GroupSpec:
    """The group with the frame's schema; its declared columns must be there and its event time be a time."""
    found = sources.schema_of(frame)
    for column in found:
        check_name(f"Column of feature group {group}:", column)
    times = (group.event_time,) if group.event_time else ()
    for kind, columns in (("primary key", group.primary_key), ("partition key", group.partition_key), ("event time", times)):
        for column in columns:
            if column not in found:
                raise NotFoundError.named(f"The {kind} column of feature group {group}", column, found, "Add it to the frame.")
    checked = group.with_schema(found)
    if group.event_time and checked.type_of(group.event_time) not in types.EVENT_TIME_TYPES:
        raise SchemaError(
            f"Event time {group.event_time!r} of feature group {group} is {found[group.event_time]}: it must be one of "
            f"{', '.join(types.EVENT_TIME_TYPES)}."
        )
    return checked


def conformed(frame: DataFrame, group: GroupSpec) -> DataFrame:
    """The frame* with the group's columns, in its order and types; SchemaError lists every difference."""
    found, wanted = sources.schema_of(frame), group.types
    wrong = [f"column {name!r} ({type_}) is missing" for name, type_ in wanted.items() if name not in found]
    wrong += [f"column {name!r} ({type_}) is not in the group" for name, type_ in found.items() if name not in wanted]
    wrong += [
        f"column {name!r} is {found[name]}, the group has {type_}"
        for name, type_ in wanted.items()
        if name in found and not types.widens(found[name], type_)
    ]
    if wrong:
        raise SchemaError(
            f"The frame does not fit feature group {group}: {'; '.join(wrong)}. Nothing was written. "
            "Correct the frame, or create a new version of the group for the new schema."
        )
    return frame.select(*(F.col(name).cast(type_) for name, type_ in wanted.items()))


def _checked_rows(rows: DataFrame, group: GroupSpec) -> Row:
    """Count the rows, eagerly and in one job; KeyValueError when a key is null or an identity comes twice."""
    identities = rows.groupBy(*group.identity).agg(F.count("*").alias("__rows"))
    nulls = {c: F.sum(F.when(F.col(c).isNull(), F.col("__rows")).otherwise(0)).alias(c) for c in group.identity}
    bounds = [f(group.event_time).alias(n) for f, n in ((F.min, "__low"), (F.max, "__high"))] if group.event_time else []
    read, most = F.sum("__rows").alias("__read"), F.max("__rows").alias("__most")
    found = identities.agg(F.coalesce(read, F.lit(0)).alias("__read"), most, *nulls.values(), *bounds).collect()[0]
    absent = [c for c in nulls if found[c]]
    if absent:
        counts = ", ".join(f"{found[c]} in {c!r}" for c in absent)
        examples = _examples(rows.filter(F.col(absent[0]).isNull()), group)
        raise KeyValueError(
            f"Feature group {group} cannot take null keys or event times: the frame has {counts}. Nothing was written. "
            f"Drop or fill these rows first. Examples: {examples}"
        )
    if (found["__most"] or 0) > 1:
        examples = _examples(identities.filter("__rows > 1"), group)
        raise KeyValueError(
            f"The frame holds several rows of one identity ({', '.join(group.identity)}), and feature group {group} keeps "
            f"one. Nothing was written. Decide which row to keep first. Examples: {examples}"
        )
    return found


def _examples(rows: DataFrame, group: GroupSpec) -> str:
    shown = rows.select(*group.identity).limit(EXAMPLES).collect()
    return "; ".join(", ".join(f"{c}={row[c]!r}" for c in group.identity) for row in shown)


def _write(rows: DataFrame, found: Row, group: GroupSpec, path: str, transaction: Transaction | None) -> dict[str, int]:
    spark = rows.sparkSession
    read = found["__read"]
    stamped = rows.withColumn(INGESTED_AT, F.current_timestamp())
    if not delta.exists(spark, path):
        if read or transaction:
            delta.append(_laid_out(stamped, group), path, group.partition_key, transaction)
        return _summary(read, inserted=read)
    bounds = Bounds(group.event_time, found["__low"], found["__high"]) if group.event_time else None
    changes = _changes(rows, delta.read(spark, path), group, bounds).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        counts = {row[_CHANGE]: row["count"] for row in changes.groupBy(_CHANGE).count().collect()}
        fresh, changed = counts.get("inserted", 0), counts.get("updated", 0)
        needed = changes.filter(F.col(_CHANGE) != "unchanged").drop(_CHANGE).withColumn(INGESTED_AT, F.current_timestamp())
        if changed:
            delta.merge(needed, path, group.identity, bounds, transaction)
        elif fresh or transaction:
            delta.append(_laid_out(needed, group), path, group.partition_key, transaction)
    finally:
        changes.unpersist()
    return _summary(read, inserted=fresh, updated=changed)


def _changes(rows: DataFrame, table: DataFrame, group: GroupSpec, bounds: Bounds | None) -> DataFrame:
    """The rows*, each marked inserted, updated or unchanged by what the table holds of its identity."""
    if bounds and bounds.low is not None:
        table = table.filter(F.col(bounds.column).between(bounds.low, bounds.high))
    others = [c for c in group.types if c not in group.identity]
    held = table.select(*group.identity, F.struct(F.lit(1), *others).alias("__held"))
    same: Column = F.col("__held").eqNullSafe(F.struct(F.lit(1), *(rows[c] for c in others)))
    change = F.when(F.col("__held").isNull(), "inserted").when(same, "unchanged").otherwise("updated")
    return rows.join(held, on=list(group.identity), how="left").select(*(rows[c] for c in group.types), change.alias(_CHANGE))


def _laid_out(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """One file per partition, not one per task and partition."""
    return rows.repartition(*group.partition_key) if group.partition_key else rows.coalesce(_files(rows))


def _files(rows: DataFrame) -> int:
    return int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)


def _summary(read: int, inserted: int, updated: int = 0) -> dict[str, int]:
    return {
        "read": read, "inserted": inserted, "updated": updated,
        "unchanged": read - inserted - updated, "set_aside": 0,
    }


def _reason(error: PySparkException) -> str:
    return str(error).splitlines()[0]
