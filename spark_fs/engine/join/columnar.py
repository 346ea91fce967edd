"""The point-in-time join as a shuffle of Arrow tables.

The runner schedules and moves (Spark spills and retries too); the rows stay columns. A *scatter*
task reads some row groups of a side's Parquet files (or takes other rows), and packs the rows of
each bucket of keys into one value; the runner moves these few large values; a *gather* task has
one bucket of every side and finds the matches (``matching``). Groups that share a key with the
spine share one stage; what a gather gives may go straight into the next scatter, and where the
right sides are small there is no shuffle at all: each task reads them itself.

Columns travel under the names of ``columns``. Functions here run in tasks; only ``ArrowRelation``
belongs to the driver.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.hashing import Hashes
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.broadcast import BroadcastJoin, BroadcastRights
from spark_fs.engine.join.skewed_keys import SkewedKeys
from spark_fs.engine.join.stages import (
    JoinStage,
    StageRule,
    TypedColumn,
    WindowRule,
    build_candidate_rows,
    get_key_columns,
    get_micros,
    join_bucket,
)
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.engine.scan import filters, parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.engine.task_cache import remember_last
from spark_fs.spec.predicates import Condition
from spark_fs.tables import computed_rows
from spark_fs.tables.computed_rows import BatchWriter

BATCH_BYTES = 64 << 20  # bytes of batches that are scattered together
TableReader = computed_rows.TableReader
TableFunction = Callable[[pa.Table], pa.Table]
Scatter = Callable[[pa.Table], shuffle.BucketAssignment]


# -- what a task does with the rows it is given


@dataclass(frozen=True)
class _ScanReader:
    """Takes numbers of shares, and gives their rows, each share whole or so many rows at a time."""

    scan: Scan
    shares: tuple[tuple[int, int, int], ...]
    table_rows: int | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for number in iter_numbers(batches):
            share = self.shares[number]
            if self.table_rows is None:
                yield parquet.read_share(self.scan, *share)
            else:
                yield from parquet.iter_share(self.scan, *share, self.table_rows)


@dataclass(frozen=True)
class _BatchReader:
    """Takes batches, and gives larger tables, in which any column may hold nulls."""

    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        waiting: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            waiting.append(batch)
            size += batch.nbytes
            if size > BATCH_BYTES:
                yield pa.Table.from_batches(waiting).cast(self.schema)
                waiting = []
                size = 0
        if waiting:
            yield pa.Table.from_batches(waiting).cast(self.schema)


@dataclass(frozen=True)
class _MappedReader:
    """Takes rows, and gives what a function makes of each table of them."""

    read_tables: TableReader
    change_table: TableFunction

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for table in self.read_tables(batches):
            yield self.change_table(table)


@dataclass(frozen=True)
class _ShuffleJoin:
    """Takes packed rows, and gives the joined rows of each bucket."""

    schemas: Mapping[int, pa.Schema]
    stage: JoinStage
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for sides in shuffle.unpack_batches(batches, self.schemas, self.in_files):
            left = sides.pop(0)
            yield join_bucket(left, sides, self.stage)


@dataclass(frozen=True)
class SemiJoinFilter:
    """The keys of a small spine: right rows with other keys match nothing, and are not moved."""

    scan: Scan
    keys: tuple[TypedColumn, ...]

    def has_hashes(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """Whether the spine has a key of each of these hashes."""
        return shuffle.contain_hashes(_get_key_hashes(self), hashes)


@remember_last
def _get_key_hashes(semi_join: SemiJoinFilter) -> Hashes:
    """The hashes of the keys, in order; they are remembered for the tasks that come."""
    keys = get_key_columns(parquet.read_all(semi_join.scan), semi_join.keys)
    return np.unique(shuffle.hash_keys(keys))


@dataclass(frozen=True)
class SideScatter:
    """How one side is scattered: by which keys, into which buckets.

    time: the left side's event time. rule: of a right side; None: of the left one. semi_join: the
    keys that are sent at all; None: every one.
    """

    side: int
    keys: tuple[TypedColumn, ...]
    skewed_keys: SkewedKeys
    time: TypedColumn | None
    rule: StageRule | None = None
    semi_join: SemiJoinFilter | None = None

    def __call__(self, table: pa.Table) -> shuffle.BucketAssignment:
        """Where the rows of a table go."""
        keys = get_key_columns(table, self.keys)
        hashes = shuffle.hash_keys(keys)
        if self.semi_join:
            sent = np.flatnonzero(self.semi_join.has_hashes(hashes))
            table = table.take(sent)
            keys = [key.take(pa.array(sent)) for key in keys]
            hashes = hashes[sent]
        buckets = shuffle.assign_buckets(keys, hashes, self.skewed_keys.first_bucket)
        row_indices = None
        if self.skewed_keys.hashes:
            row_indices, buckets = self._assign_skewed(table, hashes, buckets)
        return shuffle.BucketAssignment(self.side, table, row_indices, buckets)

    def _assign_skewed(
        self, table: pa.Table, hashes: Hashes, buckets: shuffle.BucketNumbers
    ) -> tuple[npt.NDArray[np.int64] | None, shuffle.BucketNumbers]:
        """Which rows (None: each, in order) go where, if those of skewed keys go elsewhere."""
        if self.rule is None:
            times = get_micros(table, self.time) if self.time else None
            return None, self.skewed_keys.assign_left(hashes, buckets, times)
        if isinstance(self.rule, WindowRule):
            times = get_micros(table, self.rule.time)
            reach = self.rule.plan.longest_reach
            return self.skewed_keys.assign_events(hashes, buckets, times, reach)
        rows = build_candidate_rows(table, hashes.view(np.int64), self.rule)
        uses_time = self.time is not None and rows.times is not None
        return self.skewed_keys.assign_right(hashes, buckets, rows, uses_time)


@dataclass(frozen=True)
class _ScatterTask:
    """The scatter: takes rows, and gives them packed by bucket."""

    read_tables: TableReader
    names: tuple[str, ...]
    scatter: Scatter
    folder: str | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return shuffle.pack_tables(self._assign_tables(batches), self.folder)

    def _assign_tables(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[shuffle.BucketAssignment]:
        for table in self.read_tables(batches):
            if table.num_rows:
                yield self.scatter(table.select(list(self.names)))


@dataclass(frozen=True)
class Projection:
    """The last step: keep the rows that meet every condition, and give the columns their names.

    names: for each column of the result the one that it travels as. conditions: over travelling
    columns, whose types are given.
    """

    names: tuple[tuple[str, str], ...]
    conditions: tuple[Condition, ...]
    types: tuple[TypedColumn, ...]

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows that stay."""
        types = dict(self.types)
        for condition in self.conditions:
            columns = {name: table.column(name) for name in types}
            table = table.filter(filters.evaluate_condition(condition, columns, types))
        return pa.table({name: table.column(alias) for name, alias in self.names})


# -- the driver's side


@dataclass(frozen=True)
class ArrowRelation:
    """Rows on their way*.

    source: what they come from. read_tables: how workers make tables of it. schema: the tables'
    columns.
    """

    source: TaskRows
    read_tables: TableReader
    schema: pa.Schema

    @classmethod
    def from_scan(cls, runner: Runner, table_scan: Scan, table_rows: int | None = None) -> Self:
        """The rows of a scan*, a task for each 64 MB or so.

        Args:
            runner: Runs the tasks.
            table_scan: What is read.
            table_rows: Rows of a table at most; None: a task has its rows in one.
        """
        shares = tuple(table_scan.list_shares())
        total_bytes = sum(file.bytes for file in table_scan.files)
        tasks_by_size = ceil_divide(total_bytes, parquet.SHARE_BYTES)
        tasks = max(2 * runner.parallelism, tasks_by_size)
        tasks = max(1, min(len(shares), tasks))
        share_numbers = runner.number_tasks(len(shares), tasks)
        reader = _ScanReader(table_scan, shares, table_rows)
        return cls(share_numbers, reader, table_scan.schema)

    @classmethod
    def from_rows(cls, rows: TaskRows, schema: pa.Schema) -> Self:
        """Rows of these columns*, whatever makes them."""
        return cls(rows, _BatchReader(schema), schema)

    def broadcast_join(
        self, stage: JoinStage, scans: Mapping[int, Scan], schema: pa.Schema
    ) -> "ArrowRelation":
        """Joined* with right sides that every process reads, without a shuffle."""
        coded = tuple((node, scan.with_coded_strings()) for node, scan in scans.items())
        rights = BroadcastRights(stage, coded, self.source.runner.shared_threads)
        read_tables = self._with_coded_strings().read_tables
        return ArrowRelation(self.source, BroadcastJoin(read_tables, rights), schema)

    def shuffle_join(
        self,
        stage: JoinStage,
        rights: Mapping[int, "ArrowRelation"],
        skewed_keys: SkewedKeys,
        schema: pa.Schema,
        folder: str | None = None,
        semi_join: SemiJoinFilter | None = None,
    ) -> "ArrowRelation":
        """Joined* with the right sides, by one shuffle.

        Args:
            stage: How the sides match.
            rights: The rows of each joined group, by the index of its node.
            skewed_keys: The keys that get buckets of their own, and how many others there are.
            schema: Of the result.
            folder: One that every worker sees, where the rows lie as long as the result is read, so
                that Spark moves their locations only.
            semi_join: The keys of the right rows that are moved; None: every row is.
        """
        left = SideScatter(0, stage.keys, skewed_keys, stage.time)
        packed = self._with_coded_strings().pack_rows(left, folder)
        schemas = {0: self.schema}
        for rule in stage.rules:
            right = rights[rule.node_index]._with_coded_strings()
            scatter = SideScatter(
                rule.node_index, rule.keys, skewed_keys, stage.time, rule, semi_join
            )
            packed = packed.union(right.pack_rows(scatter, folder))
            schemas[rule.node_index] = right.schema
        buckets = packed.repartition(skewed_keys.bucket_count, "bucket")
        in_files = folder is not None
        return ArrowRelation(buckets, _ShuffleJoin(schemas, stage, in_files), schema)

    def pack_rows(self, scatter: Scatter, folder: str | None) -> TaskRows:
        """The rows packed by bucket*, as ``shuffle.unpack_batches`` takes them.

        Args:
            scatter: Where the rows of a table go.
            folder: As of ``shuffle_join``.
        """
        names = tuple(self.schema.names)
        task = _ScatterTask(self.read_tables, names, scatter, folder)
        return self.source.map_batches(task, shuffle.PACKED_TYPES)

    def _with_coded_strings(self) -> "ArrowRelation":
        """The same rows*, whose strings come as indices where they are read from files."""
        if not isinstance(self.read_tables, _ScanReader):
            return self
        scan = self.read_tables.scan.with_coded_strings()
        return replace(self, read_tables=replace(self.read_tables, scan=scan))

    def select(self, types: Mapping[str, str]) -> TaskRows:
        """The rows* of these columns, whose feature types are given."""
        schema = pa.schema([self.schema.field(name) for name in types])
        return self.source.map_batches(BatchWriter(self.read_tables, schema), types)

    def map_tables(self, change_table: TableFunction, schema: pa.Schema) -> "ArrowRelation":
        """The rows as a function changes each table of them*.

        Args:
            change_table: Takes a table, and gives another.
            schema: Of what it gives.
        """
        return ArrowRelation(self.source, _MappedReader(self.read_tables, change_table), schema)
