"""The latest row of each key, as columns: what the online store holds, and what it is compared with.

As in the join, rows stay Arrow tables: each task keeps the latest row of each key of what it reads,
Spark moves these to buckets of keys, and a task has all of a bucket's rows, keeps the latest of
each key, and hands them on in the order of the key. Where it can be, a bucket is a range of keys: a
database that is given its rows in the order of its own pages takes them twice as fast as in the
order of a hash.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from spark_fs.engine.join import shuffle
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.join.stages import TypedColumn, get_key_columns
from spark_fs.engine.scan import parquet

BucketHandler = Callable[[pa.Table], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class LatestOrder:
    """What makes a row the latest of its key: the event time, where there is one, and of equal ones the greatest of these columns."""

    keys: tuple[TypedColumn, ...]
    time: TypedColumn | None
    tie_breakers: tuple[str, ...]

    def keep_latest(self, table: pa.Table) -> pa.Table:
        """The latest row of each key, in the order of the keys."""
        keys = [_rank_values(column) for column in get_key_columns(table, self.keys)]
        times = (
            [parquet.to_event_micros(table.column(self.time[0]), self.time[1]).to_numpy()]
            if self.time
            else []
        )
        ties = [table.column(name).cast(pa.int64()).to_numpy() for name in self.tie_breakers]
        order = np.lexsort((*reversed(ties), *times, *reversed(keys)))
        last = np.ones(len(order), bool)
        if len(order):
            last[:-1] = np.logical_or.reduce([key[order[:-1]] != key[order[1:]] for key in keys])
        return table.take(pa.array(order[last]))


def _rank_values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Numbers in the order of the values."""
    if pa.types.is_integer(column.type):
        whole: npt.NDArray[Any] = column.to_numpy()
        return whole
    encoded = column.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    ranks = np.empty(len(encoded.dictionary), np.int64)
    ranks[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(ranks))
    found: npt.NDArray[Any] = ranks[encoded.indices.to_numpy()]
    return found


@dataclass(frozen=True)
class KeyBuckets:
    """So many buckets of keys: ranges of the first key column behind these bounds, or, where there are none, of a hash of the whole key."""

    count: int
    bounds: tuple[Any, ...] = ()

    @classmethod
    def from_sample(cls, count: int, sample: pa.ChunkedArray) -> "KeyBuckets":
        """Ranges that hold about as many rows of a sample each; of a hash, where the first key column does not tell rows apart enough."""
        values = pc.sort_indices(sample)
        places = [len(sample) * i // count for i in range(1, count)]
        bounds = dict.fromkeys(
            sample[values[place].as_py()].as_py() for place in places if len(sample)
        )
        return cls(count, tuple(bounds)) if len(bounds) == count - 1 else cls(count)

    def assign_rows(self, keys: Sequence[pa.ChunkedArray]) -> npt.NDArray[Any]:
        """The bucket of each row."""
        if not self.bounds:
            return shuffle.assign_buckets(keys, shuffle.hash_keys(keys), self.count)
        if pa.types.is_integer(keys[0].type):
            ranged: npt.NDArray[Any] = np.searchsorted(
                np.array(self.bounds), keys[0].to_numpy(), side="right"
            ).astype(np.int32)
            return ranged
        encoded = keys[0].combine_chunks().dictionary_encode()
        bounds, values = (
            np.array(each, object) for each in (self.bounds, encoded.dictionary.to_pylist())
        )
        found: npt.NDArray[Any] = np.searchsorted(bounds, values, side="right").astype(np.int32)[
            encoded.indices.to_numpy()
        ]
        return found


@dataclass(frozen=True)
class _LatestScatter:
    """Rows in, packed rows out, of each key the latest of a table."""

    read_tables: TableReader
    order: LatestOrder
    buckets: KeyBuckets
    folder: str | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return shuffle.pack_tables(self._assign_tables(batches), self.folder)

    def _assign_tables(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[shuffle.BucketAssignment]:
        for table in self.read_tables(batches):
            if table.num_rows:
                latest = self.order.keep_latest(table)
                yield shuffle.BucketAssignment(
                    0,
                    latest,
                    None,
                    self.buckets.assign_rows(get_key_columns(latest, self.order.keys)),
                )


@dataclass(frozen=True)
class _LatestGather:
    """Packed rows in; what the work makes of the latest rows of each bucket out."""

    schema: pa.Schema
    order: LatestOrder
    handle_bucket: BucketHandler
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for sides in shuffle.unpack_batches(batches, {0: self.schema}, self.in_files):
            yield from self.handle_bucket(self.order.keep_latest(sides[0]))


@dataclass(frozen=True)
class _SingleTaskReduce:
    """Few rows in, in one task; what the work makes of the latest of them out."""

    read_tables: TableReader
    schema: pa.Schema
    order: LatestOrder
    handle_bucket: BucketHandler

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        latest = [
            self.order.keep_latest(table) for table in self.read_tables(batches) if table.num_rows
        ]
        if latest:
            yield from self.handle_bucket(self.order.keep_latest(pa.concat_tables(latest)))


def reduce_to_latest(
    relation: ArrowRelation,
    order: LatestOrder,
    handle_bucket: BucketHandler,
    result_ddl: str,
    buckets: KeyBuckets,
    folder: str | None,
) -> DataFrame:
    """What ``work`` gives* for the latest rows of each bucket of keys; one bucket: in one task, without a shuffle.

    returns: the columns of its batches, as Spark writes them. folder: one that every worker sees,
    kept until the result was read.
    """
    if buckets.count == 1:
        return relation.source.coalesce(1).mapInArrow(
            _SingleTaskReduce(relation.read_tables, relation.schema, order, handle_bucket),
            result_ddl,
        )
    packed = relation.source.mapInArrow(
        _LatestScatter(relation.read_tables, order, buckets, folder), shuffle.PACKED_DDL
    )
    return packed.repartitionById(buckets.count, "bucket").mapInArrow(
        _LatestGather(relation.schema, order, handle_bucket, folder is not None), result_ddl
    )
