"""The point-in-time join as a shuffle of Arrow tables: Spark schedules, moves, spills and retries; the rows stay columns.

A *scatter* task reads some row groups of a side's Parquet files (or takes a DataFrame's rows), and packs the rows of each bucket of keys
into one value; Spark moves these few large values; a *gather* task has one bucket of every side and finds the matches
(``matching``). Groups that share a key with the spine share one pass; what a gather gives may go straight into the next scatter, and where
the right sides are small there is no shuffle at all: each task reads them itself.

Columns travel as ``n<place>_<column>``. Functions here run in the workers; only ``Stream`` belongs to the driver.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.engine import scan, shuffle
from spark_fs.engine.hot import Hot
from spark_fs.engine.passes import Pass, Rule, Typed, candidates, joined, keys_of, micros
from spark_fs.engine.scan import Scan
from spark_fs.spec.query import Condition
from spark_fs.types import ddl

BATCH = 64 << 20  # bytes of a DataFrame's rows that are scattered together
Tables = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.Table]]


# -- what a worker does with the rows it is given


@dataclass(frozen=True)
class _Scanned:
    """Numbers of shares in, their rows out."""

    scan: Scan
    shares: tuple[tuple[int, int, int], ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield scan.read(self.scan, *self.shares[number])


@dataclass(frozen=True)
class _Rows:
    """A DataFrame's batches in, larger tables out, in which any column may hold nulls."""

    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        waiting: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            waiting.append(batch)
            size += batch.nbytes
            if size > BATCH:
                yield pa.Table.from_batches(waiting).cast(self.schema)
                waiting, size = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting).cast(self.schema)


@dataclass(frozen=True)
class _Gathered:
    """Packed rows in, of each bucket the joined rows out."""

    schemas: Mapping[int, pa.Schema]
    one: Pass
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for sides in shuffle.unpack(batches, self.schemas, self.in_files):
            left = sides.pop(0)
            yield joined(left, sides, self.one)


@dataclass(frozen=True)
class _Beside:
    """Tables in, joined out with small right sides, which each worker reads once."""

    before: Tables
    scans: Mapping[int, Scan]
    one: Pass

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        rights = {place: scan.whole(each) for place, each in self.scans.items()}
        for table in self.before(batches):
            yield joined(table, rights, self.one)


@dataclass(frozen=True)
class Only:
    """The keys of a small spine: right rows with other keys match nothing, and stay where they are."""

    scan: Scan
    keys: tuple[Typed, ...]

    def has(self, hashes: shuffle.Hashes) -> npt.NDArray[np.bool_]:
        """Whether the spine has a key of each of these hashes."""
        held = _held(self)
        if not len(held):
            return np.zeros(len(hashes), bool)
        found: npt.NDArray[np.bool_] = held[np.minimum(np.searchsorted(held, hashes), len(held) - 1)] == hashes
        return found


@lru_cache(maxsize=4)
def _held(only: Only) -> shuffle.Hashes:
    """The hashes of the keys, in order; a worker reads them once."""
    return np.unique(shuffle.hashes_of(keys_of(scan.whole(only.scan), only.keys)))


@dataclass(frozen=True)
class Scatter:
    """How one side is scattered: by which keys, into which buckets.

    rule: of a right side; None: of the left one. only: the keys that are sent at all; None: every one.
    """

    side: int
    keys: tuple[Typed, ...]
    hot: Hot
    time: Typed | None
    rule: Rule | None = None
    only: Only | None = None

    def __call__(self, table: pa.Table) -> shuffle.Sent:
        """Where the rows of a table go."""
        keys = keys_of(table, self.keys)
        hashes = shuffle.hashes_of(keys)
        if self.only:
            sent = np.flatnonzero(self.only.has(hashes))
            table, keys, hashes = table.take(sent), [key.take(pa.array(sent)) for key in keys], hashes[sent]
        buckets = shuffle.buckets_of(keys, hashes, self.hot.first)
        if not self.hot.hashes:
            return shuffle.Sent(self.side, table, None, buckets)
        if self.rule is None:
            times = micros(table, self.time) if self.time else None
            return shuffle.Sent(self.side, table, None, self.hot.of_left(hashes, buckets, times))
        rows = candidates(table, hashes.view(np.int64), self.rule)
        timed = self.time is not None and rows.times is not None
        return shuffle.Sent(self.side, table, *self.hot.of_right(hashes, buckets, rows, timed))


@dataclass(frozen=True)
class _Packed:
    """Rows in, packed rows out: the scatter."""

    tables: Tables
    names: tuple[str, ...]
    scatter: Scatter
    folder: str | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tables = (table.select(list(self.names)) for table in self.tables(batches) if table.num_rows)
        return shuffle.pack(map(self.scatter, tables), self.folder)


@dataclass(frozen=True)
class _Batches:
    """Tables in, their batches out, with the columns and types that Spark waits for."""

    tables: Tables
    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in self.tables(batches):
            yield from table.select(self.schema.names).cast(self.schema).to_batches()


@dataclass(frozen=True)
class Finish:
    """The last step: keep the rows that meet every condition, and give the columns their names.

    names: for each column of the result the one that it travels as. where: conditions over travelling columns, whose types are given.
    """

    names: tuple[tuple[str, str], ...]
    where: tuple[Condition, ...]
    types: tuple[Typed, ...]

    def __call__(self, table: pa.Table) -> pa.Table:
        """The rows that stay."""
        for condition in self.where:
            table = table.filter(scan.mask(condition, {name: table.column(name) for name, _ in self.types}, dict(self.types)))
        return pa.table({name: table.column(travelling) for name, travelling in self.names})



# -- the driver's side


@dataclass(frozen=True)
class Stream:
    """Rows on their way*: what they come from, how workers make tables of it, and the tables' columns."""

    source: DataFrame
    tables: Tables
    schema: pa.Schema

    @classmethod
    def scanned(cls, spark: SparkSession, each: Scan) -> Self:
        """The rows of a scan*, a task for each 64 MB or so."""
        shares = tuple(each.shares())
        tasks = min(len(shares), max(2 * spark.sparkContext.defaultParallelism, -(-sum(f.bytes for f in each.files) // scan.SHARE)))
        return cls(spark.range(0, len(shares), 1, max(1, tasks)).toDF("share"), _Scanned(each, shares), each.schema)

    @classmethod
    def of(cls, frame: DataFrame, schema: pa.Schema) -> Self:
        """The rows of a DataFrame*."""
        return cls(frame, _Rows(schema), schema)

    def beside(self, one: Pass, scans: Mapping[int, Scan], schema: pa.Schema) -> "Stream":
        """Joined* with small right sides, without a shuffle."""
        return Stream(self.source, _Beside(self.tables, scans, one), schema)

    def gathered(
        self, one: Pass, rights: Mapping[int, "Stream"], hot: Hot, schema: pa.Schema, folder: str | None = None,
        only: Only | None = None,
    ) -> "Stream":
        """Joined* with the right sides, by one shuffle of all of them, or of those rows whose keys the spine has.

        folder: one that every worker sees, where the rows lie as long as the result is read, so that Spark moves their places only.
        """
        sides = [(self, Scatter(0, one.keys, hot, one.time))]
        sides += [(rights[rule.place], Scatter(rule.place, rule.keys, hot, one.time, rule, only)) for rule in one.rules]
        packed = [
            stream.source.mapInArrow(_Packed(stream.tables, tuple(stream.schema.names), scatter, folder), shuffle.PACKED_SPARK)
            for stream, scatter in sides
        ]
        schemas = {scatter.side: stream.schema for stream, scatter in sides}
        together = reduce(DataFrame.unionAll, packed).repartitionById(hot.buckets, "bucket")
        return Stream(together, _Gathered(schemas, one, folder is not None), schema)

    def frame(self, types: Mapping[str, str]) -> DataFrame:
        """As a DataFrame* of these columns and feature types."""
        schema = pa.schema([self.schema.field(name) for name in types])
        return self.source.mapInArrow(_Batches(self.tables, schema), ", ".join(f"`{name}` {ddl(type_)}" for name, type_ in types.items()))
