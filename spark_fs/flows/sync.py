"""Bring the online table of a feature group up to its Delta table.

What changed since the last synced version is reduced to the latest row per key on the executors and written from
there. A write never replaces a newer row, so the order of arrival does not matter and a killed sync is simply run
again: the synced version moves only after all rows are written. Where rows were deleted, the latest row of their keys is
sought in the whole table, and what is left of them replaces whatever is online.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from spark_fs.engine.asof import micros
from spark_fs.flows import rows
from spark_fs.flows.jobs import Job
from spark_fs.offline import delta, history
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.online.store import OnlineStore, OnlineTable, online_table
from spark_fs.spec.definitions import GroupSpec

Write = Callable[[Iterable[Sequence[Any]]], None]
Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def sync(spark: SparkSession, group: GroupSpec, path: str, store: OnlineStore) -> Job:
    """Write the latest row of each key that changed, eagerly; the summary holds the rows written and the versions."""
    name = online_table(group, store.capabilities, {}).name
    last, now = store.synced_version(name), history.current_version(path)
    if last is not None and last >= now:
        return Job(f"sync {name}", {"written": 0, "deleted": 0, "from_version": last, "to_version": now})
    changes = delta.read(spark, path, now) if last is None else delta.read_changes(spark, path, last + 1, now)
    gone = None if last is None else changes.filter(F.col("_change_type") == "delete").select(*group.primary_key).distinct()
    if gone is not None:
        changes = changes.filter(F.col("_change_type").isin("insert", "update_postimage"))
    written, deleted = _push(latest(changes, group), group, store), 0
    if gone is not None and not gone.isEmpty():
        left = latest(rows.opened(spark, group, path, now).join(gone, on=list(group.primary_key), how="left_semi"), group)
        deleted = _drop(gone.join(left, on=list(group.primary_key), how="left_anti"), group, store)
        written += _push(left, group, store, over_newer=True)
    store.set_synced_version(name, now)
    return Job(f"sync {name}", {"written": written, "deleted": deleted, "from_version": last, "to_version": now})


def _push(frame: DataFrame, group: GroupSpec, store: OnlineStore, over_newer: bool = False) -> int:
    """Write rows to the group's online table, made or widened first; returns how many."""
    kept = frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        table = online_table(group, store.capabilities, _lengths(kept, group, store))
        store.ensure_table(table)
        return _write(kept, table, partial(store.upsert, table, over_newer=over_newer), store)
    finally:
        kept.unpersist()


def _drop(keys: DataFrame, group: GroupSpec, store: OnlineStore) -> int:
    """Delete the rows of these keys online; returns how many keys."""
    whole = online_table(group, store.capabilities, {})
    table = replace(whole, columns=tuple(c for c in whole.columns if c.name in whole.key))
    ordered = keys.select(*(c.name for c in table.columns))
    return _write(ordered, table, partial(store.delete, table), store)


def latest(frame: DataFrame, group: GroupSpec) -> DataFrame:
    """The row* of each primary key with the greatest event time, of equal ones the last ingested."""
    order = [F.col(INGESTED_AT)]
    if group.event_time:
        order.insert(0, micros(F.col(group.event_time), group.type_of(group.event_time)))
    newest = F.max_by(F.struct(*group.types), F.struct(*order)).alias("__row")
    return frame.groupBy(*group.primary_key).agg(newest).select("__row.*")


def _lengths(frame: DataFrame, group: GroupSpec, store: OnlineStore) -> dict[str, int]:
    texts = [name for name, type_ in group.types.items() if type_ == "string" and store.capabilities.sized_text]
    if not texts:
        return {}
    found = frame.agg(*(F.max(F.char_length(F.col(name))).alias(name) for name in texts)).collect()[0]
    return {name: found[name] or 0 for name in texts}


def _write(frame: DataFrame, table: OnlineTable, write: Write, store: OnlineStore) -> int:
    parts = frame if store.capabilities.parallel_writes else frame.coalesce(1)
    counted = parts.mapInArrow(_writer(table, write), "written bigint").agg(F.sum("written"))
    return int(counted.collect()[0][0] or 0)


def _writer(table: OnlineTable, write: Write) -> Batches:
    """What each executor does with its part: decode the columns, encode them for the store, write."""

    def write_all(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = []
            for column, values in zip(table.columns, batch.columns, strict=True):
                encode = column.storage.encode
                columns.append([None if v is None else encode(v) for v in values.to_pylist()])
            write(zip(*columns, strict=True))
            yield pa.RecordBatch.from_pydict({"written": [batch.num_rows]})

    return write_all
