"""Rows of an aggregation on Spark: events are scattered by key, and each bucket makes its rows.

As in the join, Spark moves a few large values, and the rows stay Arrow tables. Few events go
through one task, without a shuffle.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.times import Interval
from spark_fs.engine.join import inputs, shuffle
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.join.sampling import SAMPLING_MIN_BYTES
from spark_fs.engine.join.shuffle import hash_keys
from spark_fs.engine.join.skewed_keys import KeySample, SkewedKeys, detect_skewed_keys
from spark_fs.engine.join.stages import TypedColumn, get_key_columns, get_micros
from spark_fs.engine.runner import Runner, TaskRows
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan, TimeBounds
from spark_fs.engine.windows.rows import compute_rows_at, iter_event_rows, to_bounds
from spark_fs.engine.windows.scatter import (
    EVENTS,
    INSTANTS,
    EventScatter,
    InstantScatter,
)
from spark_fs.planning.window_plan import WindowPlan

SINGLE_TASK_BYTES = 8 << 20  # bytes of events; up to here one task is faster than a shuffle
_SAMPLED_FILES = 8


# -- what a worker does with the rows it is given


@dataclass(frozen=True)
class _EventRowTask:
    """Takes packed events, and gives the rows of each bucket."""

    schema: pa.Schema
    plan: WindowPlan
    skewed_keys: SkewedKeys
    bounds: TimeBounds
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        sides = {EVENTS: self.schema}
        for bucket, tables in shuffle.unpack_buckets(batches, sides, self.in_files):
            bounds = _intersect(self.bounds, self.skewed_keys.get_slice_bounds(bucket))
            yield from iter_event_rows(tables[EVENTS], self.plan, bounds)


@dataclass(frozen=True)
class _RowsAtTask:
    """Takes packed events and instants, and gives the rows of each bucket."""

    event_schema: pa.Schema
    instant_schema: pa.Schema
    plan: WindowPlan
    keys: tuple[TypedColumn, ...]
    at: TypedColumn
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        sides = {EVENTS: self.event_schema, INSTANTS: self.instant_schema}
        for tables in shuffle.unpack_batches(batches, sides, self.in_files):
            instants = tables[INSTANTS]
            if instants.num_rows:
                yield compute_rows_at(tables[EVENTS], instants, self.plan, self.keys, self.at)


@dataclass(frozen=True)
class _SingleTask:
    """Takes few events, in one task, and gives all rows."""

    read_tables: TableReader
    schema: pa.Schema
    plan: WindowPlan
    bounds: TimeBounds

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        tables = []
        for table in self.read_tables(batches):
            tables.append(table.select(self.schema.names))
        if tables:
            yield from iter_event_rows(pa.concat_tables(tables), self.plan, self.bounds)


def _intersect(left: TimeBounds, right: TimeBounds) -> TimeBounds:
    """The instants that are within both."""
    starts = [bounds[0] for bounds in (left, right) if bounds[0] is not None]
    ends = [bounds[1] for bounds in (left, right) if bounds[1] is not None]
    return max(starts, default=None), min(ends, default=None)


# -- the driver's side


@dataclass(frozen=True)
class EventSource:
    """Events on their way*.

    relation: their rows. byte_count: how many bytes these are, as far as is known. scan: the files
    that they are read from; None where workers do not read them.
    """

    relation: ArrowRelation
    byte_count: int
    scan: Scan | None = None

    @classmethod
    def from_scan(cls, runner: Runner, scan: Scan, byte_count: int | None = None) -> Self:
        """The events in files*.

        Args:
            runner: Runs the tasks.
            scan: What is read; it gives the columns of the plan under their own names.
            byte_count: Of the columns that are read; None: of the files.
        """
        if byte_count is None:
            byte_count = sum(file.bytes for file in scan.files)
        return cls(ArrowRelation.from_scan(runner, scan), byte_count, scan)

    @classmethod
    def from_rows(cls, rows: TaskRows, plan: WindowPlan, byte_count: int) -> Self:
        """The events of rows* that have the columns of a plan, and no others.

        Args:
            rows: The events.
            plan: The aggregation.
            byte_count: How many bytes they are, about.
        """
        schema = arrow_types.to_arrow_schema(dict(plan.types))
        return cls(ArrowRelation.from_rows(rows, schema), byte_count)

    @property
    def runner(self) -> Runner:
        """What runs the tasks."""
        return self.relation.source.runner

    def is_small(self) -> bool:
        """Whether one task reads and aggregates them sooner than several with a shuffle."""
        return self.byte_count <= SINGLE_TASK_BYTES


@dataclass(frozen=True)
class InstantSource:
    """Given instants on their way*.

    relation: their rows. keys: the columns that identify an entity. at: the column of the instant.
    byte_count: how many bytes these are, as far as is known.
    """

    relation: ArrowRelation
    keys: tuple[TypedColumn, ...]
    at: TypedColumn
    byte_count: int


def aggregate_events(
    source: EventSource,
    plan: WindowPlan,
    interval: Interval | None = None,
    folder: str | None = None,
    skewed_keys: SkewedKeys | None = None,
) -> ArrowRelation:
    """The rows of an aggregation*: at each event of an entity, or on its grid.

    Args:
        source: The events; those before the interval count in its rows' windows.
        plan: The aggregation.
        interval: Which rows are wanted; None: all of them.
        folder: One that every worker sees, kept until the result was read; None: Spark moves the
            rows themselves.
        skewed_keys: The keys that are cut into slices of time, and how many buckets the others
            have; None: as a look at some rows of the files suggests. A small source, of which no
            key is cut, is not shuffled.

    Returns:
        The columns of ``plan.row_schema``.
    """
    relation = _select_columns(source.relation, dict(plan.types))
    schema = arrow_types.to_arrow_schema(plan.row_schema)
    bounds = to_bounds(interval or Interval())
    if skewed_keys is None and source.is_small():
        single_task = _SingleTask(relation.read_tables, relation.schema, plan, bounds)
        return ArrowRelation(relation.source.coalesce(1), single_task, schema)
    skewed_keys = skewed_keys or detect_skew(source, plan, source.byte_count)
    packed = relation.pack_rows(EventScatter(plan, skewed_keys, bounds), folder)
    buckets = packed.repartition(skewed_keys.bucket_count, "bucket")
    task = _EventRowTask(relation.schema, plan, skewed_keys, bounds, folder is not None)
    return ArrowRelation(buckets, task, schema)


def aggregate_at(
    source: EventSource,
    instants: InstantSource,
    plan: WindowPlan,
    folder: str | None = None,
    skewed_keys: SkewedKeys | None = None,
) -> ArrowRelation:
    """The features of an aggregation at given instants*.

    Args:
        source: The events.
        instants: Where windows end.
        plan: The aggregation.
        folder: One that every worker sees, kept until the result was read; None: Spark moves the
            rows themselves.
        skewed_keys: The keys that are cut into slices of time, and how many buckets the others
            have; None: as a look at some rows of the files suggests.

    Returns:
        The columns of the instants, and those of the features.
    """
    total_bytes = source.byte_count + instants.byte_count
    skewed_keys = skewed_keys or detect_skew(source, plan, total_bytes)
    events = _select_columns(source.relation, dict(plan.types))
    packed_events = events.pack_rows(EventScatter(plan, skewed_keys), folder)
    instant_scatter = InstantScatter(instants.keys, instants.at, skewed_keys)
    packed_instants = instants.relation.pack_rows(instant_scatter, folder)
    packed = packed_events.union(packed_instants)
    buckets = packed.repartition(skewed_keys.bucket_count, "bucket")
    task = _RowsAtTask(
        events.schema,
        instants.relation.schema,
        plan,
        instants.keys,
        instants.at,
        folder is not None,
    )
    feature_schema = arrow_types.to_arrow_schema(plan.schema)
    schema = pa.schema([*instants.relation.schema, *feature_schema])
    return ArrowRelation(buckets, task, schema)


def detect_skew(source: EventSource, plan: WindowPlan, total_bytes: int) -> SkewedKeys:
    """How many buckets there are, and the keys that need several.

    Of files some rows are read; of a DataFrame none, since that would run it, and no key is cut.
    Nor is one where a window reaches back over all history.

    Args:
        source: The events.
        plan: The aggregation.
        total_bytes: Of all that is moved.
    """
    bucket_count = inputs.choose_bucket_count(source.runner, total_bytes)
    reach = plan.longest_reach
    scan = source.scan
    if reach is None or scan is None or source.byte_count < SAMPLING_MIN_BYTES:
        return SkewedKeys(bucket_count)
    names = [*dict(plan.keys), plan.known_at[0]]
    table = parquet.read_sample(scan, names, _SAMPLED_FILES).drop_null()
    if not table.num_rows:
        return SkewedKeys(bucket_count)
    hashes = hash_keys(get_key_columns(table, plan.keys))
    micros = get_micros(table, plan.known_at)
    sample = KeySample(hashes, micros, source.byte_count / table.num_rows)
    skewed_keys = detect_skewed_keys([sample], bucket_count, inputs.BUCKET_BYTES)
    return skewed_keys.with_reach(reach)


def _select_columns(relation: ArrowRelation, names: Iterable[str]) -> ArrowRelation:
    """The same rows of some columns*."""
    schema = pa.schema([relation.schema.field(name) for name in names])
    return ArrowRelation(relation.source, relation.read_tables, schema)
