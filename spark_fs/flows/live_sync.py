"""Bring online what the windows of a group need, so that they are finished when they are read.

The events of the group's source are read whole, those of each entity are packed into one value,
and the table of these is put in the place of the one that is served. So late, corrected and deleted
events are taken in like any other.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from spark_fs.base.times import to_micros
from spark_fs.engine.join import inputs, shuffle
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.skewed_keys import SkewedKeys
from spark_fs.engine.windows.live_rows import make_live_rows
from spark_fs.engine.windows.live_thinning import Thinning
from spark_fs.engine.windows.relation import EventSource
from spark_fs.engine.windows.scatter import EVENTS, EventScatter
from spark_fs.flows.event_source import AggregationSource
from spark_fs.flows.latest_rows import make_counts_batch
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.sync import make_origin
from spark_fs.online.live.byte_layout import build_live_table
from spark_fs.online.registry import make_writer
from spark_fs.online.store import OnlineWriter, StagingTables
from spark_fs.online.table_layout import OnlineTable
from spark_fs.spec.feature_group import GroupSpec

_COUNTS = {"entities": "bigint", "bytes": "bigint"}


def sync_live_windows(
    stores: ProjectStores, group: GroupSpec, now: datetime | None = None
) -> dict[str, int]:
    """Bring online what a group's windows need, eagerly.

    Args:
        stores: Where its source is, and where it is brought online.
        group: The group, whose windows ``is_live`` says can be.
        now: The instant from which on windows will be asked for; None: that of the call.

    Returns:
        How many entities there are ("entities"), and the bytes of what they need ("bytes").

    Raises:
        ConflictError: Another sync of it runs.
        OnlineStoreError: It could not be loaded; what is online is as it was.
    """
    assert group.aggregation
    online_writer = make_writer(stores.online)
    table = build_live_table(group, stores.online.capabilities)
    origin = make_origin(stores.find_table(group))
    with online_writer.open_session(table, origin) as session:
        # looked at under the lock, so that no sync that ends before this one knew more
        source = AggregationSource.open(stores, group.aggregation)
        thinning = Thinning(source.windows, to_micros(now or datetime.now(UTC)))
        staging = session.begin_staging(full_refresh=True)
        loader = _EntityLoader(online_writer, table, staging, thinning)
        counts = _load_events(source.read_history(), loader)
        session.swap_tables(staging, source.versions.get(group.aggregation.source.group, 0))
    return counts


@dataclass(frozen=True)
class _EntityLoader:
    """Packs the events of some entities, and loads what became of them."""

    online_writer: OnlineWriter
    table: OnlineTable
    staging: StagingTables
    thinning: Thinning

    def __call__(self, events: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = make_live_rows(events, self.thinning)
        if rows.num_rows:
            self.online_writer.load_rows(self.table, self.staging, rows)
        yield from make_counts_batch(entities=rows.num_rows, bytes=rows.nbytes)


@dataclass(frozen=True)
class _LoadTask:
    """Takes packed events, and loads those of each bucket of entities."""

    loader: _EntityLoader
    schema: pa.Schema
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sides = {EVENTS: self.schema}
        for tables in shuffle.unpack_batches(batches, sides, self.in_files):
            yield from self.loader(tables[EVENTS])


def _load_events(events: pa.Table | EventSource, loader: _EntityLoader) -> dict[str, int]:
    """Load the entities of events, here where these are few, else in workers."""
    if isinstance(events, pa.Table):
        counts = pa.Table.from_batches(loader(events))
    else:
        counts = _load_by_workers(events, loader)
    summary = {}
    for name in _COUNTS:
        summary[name] = sum(counts.column(name).to_pylist())
    return summary


def _load_by_workers(events: EventSource, loader: _EntityLoader) -> pa.Table:
    runner = events.runner
    plan = loader.thinning.plan
    schema = pa.schema([events.relation.schema.field(name) for name, _ in plan.types])
    relation = ArrowRelation(events.relation.source, events.relation.read_tables, schema)
    bucket_count = inputs.choose_bucket_count(runner, events.byte_count)
    with runner.open_shared_folder() as folder, runner.translate_errors():
        scatter = EventScatter(plan, SkewedKeys(bucket_count))
        buckets = relation.pack_rows(scatter, folder).repartition(bucket_count, "bucket")
        task = _LoadTask(loader, schema, folder is not None)
        return buckets.map_batches(task, _COUNTS).collect()
