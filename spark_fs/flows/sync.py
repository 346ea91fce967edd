"""Bring the online table of a feature group up to its Delta table.

What changed since the last synced version is reduced to the latest row per key on the executors and written from
there. A write never replaces a newer row, so the order of arrival does not matter and a killed sync is simply run
again: the synced version moves only after all rows are written.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from spark_fs.engine.asof import micros
from spark_fs.flows.jobs import Job
from spark_fs.offline import delta, history
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.online.store import OnlineStore, OnlineTable, online_table
from spark_fs.spec.definitions import GroupSpec

Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def sync(spark: SparkSession, group: GroupSpec, path: str, store: OnlineStore) -> Job:
    """Write the latest row of each key that changed, eagerly; the summary holds the rows written and the versions."""
    name = online_table(group, store.capabilities, {}).name
    last, now = store.synced_version(name), history.current_version(path)
    if last is not None and last >= now:
        return Job(f"sync {name}", {"written": 0, "from_version": last, "to_version": now})
    changed = delta.read(spark, path, now) if last is None else _written(delta.read_changes(spark, path, last + 1, now))
    rows = latest(changed, group).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        table = online_table(group, store.capabilities, _lengths(rows, group, store))
        store.ensure_table(table)
        written = _write(rows, table, store)
    finally:
        rows.unpersist()
    store.set_synced_version(name, now)
    return Job(f"sync {name}", {"written": written, "from_version": last, "to_version": now})


def _written(changes: DataFrame) -> DataFrame:
    return changes.filter(F.col("_change_type").isin("insert", "update_postimage"))


def latest(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """The row* of each primary key with the greatest event time, of equal ones the last ingested."""
    order = [F.col(INGESTED_AT)]
    if group.event_time:
        order.insert(0, micros(F.col(group.event_time), group.type_of(group.event_time)))
    newest = F.max_by(F.struct(*group.types), F.struct(*order)).alias("__row")
    return rows.groupBy(*group.primary_key).agg(newest).select("__row.*")


def _lengths(rows: DataFrame, group: GroupSpec, store: OnlineStore) -> dict[str, int]:
    texts = [name for name, type_ in group.types.items() if type_ == "string" and store.capabilities.sized_text]
    if not texts:
        return {}
    found = rows.agg(*(F.max(F.char_length(F.col(name))).alias(name) for name in texts)).collect()[0]
    return {name: found[name] or 0 for name in texts}


def _write(rows: DataFrame, table: OnlineTable, store: OnlineStore) -> int:
    parts = rows if store.capabilities.parallel_writes else rows.coalesce(1)
    counted = parts.mapInArrow(_writer(table, store), "written bigint").agg(F.sum("written"))
    return int(counted.collect()[0][0] or 0)


def _writer(table: OnlineTable, store: OnlineStore) -> Batches:
    """What each executor does with its part: decode the columns, encode them for the store, upsert."""

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = []
            for column, values in zip(table.columns, batch.columns, strict=True):
                encode = column.storage.encode
                columns.append([None if v is None else encode(v) for v in values.to_pylist()])
            store.upsert(table, zip(*columns, strict=True))
            yield pa.RecordBatch.from_pydict({"written": [batch.num_rows]})

    return write
