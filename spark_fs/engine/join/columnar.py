"""The point-in-time join as a shuffle of Arrow tables: Spark schedules, moves, spills and retries; the rows stay columns.

A *scatter* task reads some row groups of a side's Parquet files (or takes a DataFrame's rows), and
packs the rows of each bucket of keys into one value; Spark moves these few large values; a *gather*
task has one bucket of every side and finds the matches (``matching``). Groups that share a key with
the spine share one pass; what a gather gives may go straight into the next scatter, and where the
right sides are small there is no shuffle at all: each task reads them itself.

Columns travel as ``n<place>_<column>``. Functions here run in the workers; only ``Stream`` belongs
to the driver.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.types import to_ddl
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.skew import SkewedKeys
from spark_fs.engine.join.stages import (
    JoinStage,
    MatchRule,
    TypedColumn,
    build_candidate_rows,
    get_key_columns,
    get_micros,
    join_bucket,
)
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.query import Condition

BATCH_BYTES = 64 << 20  # bytes of a DataFrame's rows that are scattered together
TableReader = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.Table]]


# -- what a worker does with the rows it is given


@dataclass(frozen=True)
class _ScanReader:
    """Numbers of shares in, their rows out."""

    scan: Scan
    shares: tuple[tuple[int, int, int], ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield parquet.read_share(self.scan, *self.shares[number])


@dataclass(frozen=True)
class _FrameReader:
    """A DataFrame's batches in, larger tables out, in which any column may hold nulls."""

    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        waiting: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            waiting.append(batch)
            size += batch.nbytes
            if size > BATCH_BYTES:
                yield pa.Table.from_batches(waiting).cast(self.schema)
                waiting, size = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting).cast(self.schema)


@dataclass(frozen=True)
class _ShuffleJoin:
    """Packed rows in, of each bucket the joined rows out."""

    schemas: Mapping[int, pa.Schema]
    stage: JoinStage
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for sides in shuffle.unpack_batches(batches, self.schemas, self.in_files):
            left = sides.pop(0)
            yield join_bucket(left, sides, self.stage)


@dataclass(frozen=True)
class _BroadcastJoin:
    """Tables in, joined out with small right sides, which each worker reads once."""

    read_tables: TableReader
    scans: Mapping[int, Scan]
    stage: JoinStage

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        rights = {place: parquet.read_all(each) for place, each in self.scans.items()}
        for table in self.read_tables(batches):
            yield join_bucket(table, rights, self.stage)


@dataclass(frozen=True)
class SemiJoinFilter:
    """The keys of a small spine: right rows with other keys match nothing, and stay where they are."""

    scan: Scan
    keys: tuple[TypedColumn, ...]

    def has_hashes(self, hashes: shuffle.Hashes) -> npt.NDArray[np.bool_]:
        """Whether the spine has a key of each of these hashes."""
        held = _get_key_hashes(self)
        if not len(held):
            return np.zeros(len(hashes), bool)
        found: npt.NDArray[np.bool_] = (
            held[np.minimum(np.searchsorted(held, hashes), len(held) - 1)] == hashes
        )
        return found


@lru_cache(maxsize=4)
def _get_key_hashes(semi_join: SemiJoinFilter) -> shuffle.Hashes:
    """The hashes of the keys, in order; a worker reads them once."""
    return np.unique(
        shuffle.hash_keys(get_key_columns(parquet.read_all(semi_join.scan), semi_join.keys))
    )


@dataclass(frozen=True)
class SideScatter:
    """How one side is scattered: by which keys, into which buckets.

    rule: of a right side; None: of the left one. only: the keys that are sent at all; None: every
    one.
    """

    side: int
    keys: tuple[TypedColumn, ...]
    skewed_keys: SkewedKeys
    time: TypedColumn | None
    rule: MatchRule | None = None
    semi_join: SemiJoinFilter | None = None

    def __call__(self, table: pa.Table) -> shuffle.BucketAssignment:
        """Where the rows of a table go."""
        keys = get_key_columns(table, self.keys)
        hashes = shuffle.hash_keys(keys)
        if self.semi_join:
            sent = np.flatnonzero(self.semi_join.has_hashes(hashes))
            table, keys, hashes = (
                table.take(sent),
                [key.take(pa.array(sent)) for key in keys],
                hashes[sent],
            )
        buckets = shuffle.assign_buckets(keys, hashes, self.skewed_keys.first_bucket)
        if not self.skewed_keys.hashes:
            return shuffle.BucketAssignment(self.side, table, None, buckets)
        if self.rule is None:
            times = get_micros(table, self.time) if self.time else None
            return shuffle.BucketAssignment(
                self.side, table, None, self.skewed_keys.assign_left(hashes, buckets, times)
            )
        rows = build_candidate_rows(table, hashes.view(np.int64), self.rule)
        timed = self.time is not None and rows.times is not None
        return shuffle.BucketAssignment(
            self.side, table, *self.skewed_keys.assign_right(hashes, buckets, rows, timed)
        )


@dataclass(frozen=True)
class _ScatterTask:
    """Rows in, packed rows out: the scatter."""

    read_tables: TableReader
    names: tuple[str, ...]
    scatter: SideScatter
    folder: str | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tables = (
            table.select(list(self.names)) for table in self.read_tables(batches) if table.num_rows
        )
        return shuffle.pack_tables(map(self.scatter, tables), self.folder)


@dataclass(frozen=True)
class _BatchWriter:
    """Tables in, their batches out, with the columns and types that Spark waits for."""

    read_tables: TableReader
    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in self.read_tables(batches):
            yield from table.select(self.schema.names).cast(self.schema).to_batches()


@dataclass(frozen=True)
class Projection:
    """The last step: keep the rows that meet every condition, and give the columns their names.

    names: for each column of the result the one that it travels as. where: conditions over
    travelling columns, whose types are given.
    """

    names: tuple[tuple[str, str], ...]
    conditions: tuple[Condition, ...]
    types: tuple[TypedColumn, ...]

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows that stay."""
        for condition in self.conditions:
            table = table.filter(
                parquet.evaluate_condition(
                    condition,
                    {name: table.column(name) for name, _ in self.types},
                    dict(self.types),
                )
            )
        return pa.table({name: table.column(travelling) for name, travelling in self.names})


# -- the driver's side


@dataclass(frozen=True)
class ArrowRelation:
    """Rows on their way*: what they come from, how workers make tables of it, and the tables' columns."""

    source: DataFrame
    read_tables: TableReader
    schema: pa.Schema

    @classmethod
    def from_scan(cls, spark: SparkSession, table_scan: Scan) -> Self:
        """The rows of a scan*, a task for each 64 MB or so."""
        shares = tuple(table_scan.list_shares())
        tasks = min(
            len(shares),
            max(
                2 * spark.sparkContext.defaultParallelism,
                -(-sum(f.bytes for f in table_scan.files) // parquet.SHARE_BYTES),
            ),
        )
        return cls(
            spark.range(0, len(shares), 1, max(1, tasks)).toDF("share"),
            _ScanReader(table_scan, shares),
            table_scan.schema,
        )

    @classmethod
    def from_frame(cls, frame: DataFrame, schema: pa.Schema) -> Self:
        """The rows of a DataFrame*."""
        return cls(frame, _FrameReader(schema), schema)

    def broadcast_join(
        self, stage: JoinStage, scans: Mapping[int, Scan], schema: pa.Schema
    ) -> "ArrowRelation":
        """Joined* with small right sides, without a shuffle."""
        return ArrowRelation(self.source, _BroadcastJoin(self.read_tables, scans, stage), schema)

    def shuffle_join(
        self,
        stage: JoinStage,
        rights: Mapping[int, "ArrowRelation"],
        skewed_keys: SkewedKeys,
        schema: pa.Schema,
        folder: str | None = None,
        semi_join: SemiJoinFilter | None = None,
    ) -> "ArrowRelation":
        """Joined* with the right sides, by one shuffle of all of them, or of those rows whose keys the spine has.

        folder: one that every worker sees, where the rows lie as long as the result is read, so
        that Spark moves their places only.
        """
        sides = [(self, SideScatter(0, stage.keys, skewed_keys, stage.time))]
        sides += [
            (
                rights[rule.node_index],
                SideScatter(rule.node_index, rule.keys, skewed_keys, stage.time, rule, semi_join),
            )
            for rule in stage.rules
        ]
        packed = [
            stream.source.mapInArrow(
                _ScatterTask(stream.read_tables, tuple(stream.schema.names), scatter, folder),
                shuffle.PACKED_DDL,
            )
            for stream, scatter in sides
        ]
        schemas = {scatter.side: stream.schema for stream, scatter in sides}
        together = reduce(DataFrame.unionAll, packed).repartitionById(
            skewed_keys.bucket_count, "bucket"
        )
        return ArrowRelation(together, _ShuffleJoin(schemas, stage, folder is not None), schema)

    def to_frame(self, types: Mapping[str, str]) -> DataFrame:
        """As a DataFrame* of these columns and feature types."""
        schema = pa.schema([self.schema.field(name) for name in types])
        return self.source.mapInArrow(
            _BatchWriter(self.read_tables, schema),
            ", ".join(f"`{name}` {to_ddl(type_)}" for name, type_ in types.items()),
        )
