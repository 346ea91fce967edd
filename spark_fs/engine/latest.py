"""The latest row of each key: what the online store holds, and what it is compared with.

As in the join, rows stay Arrow tables: each task keeps the latest row of each key of what it reads,
Spark moves these to buckets of keys, and a task has all of a bucket's rows, keeps the latest of
each key, and hands them on in the order of the key. Where it can be, a bucket is a range of keys: a
database that is given its rows in the order of its own pages takes them twice as fast as in the
order of a hash.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.join.stages import TypedColumn, get_key_columns
from spark_fs.engine.runner import TaskRows

_REDUCED_BYTES = 16 << 20  # bytes of rows that are reduced together
BucketHandler = Callable[[pa.Table], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class LatestOrder:
    """What makes a row the latest of its key.

    time: its event time, where there is one. tie_breakers: of equal ones the greatest of these
    columns, the first before the second.
    """

    keys: tuple[TypedColumn, ...]
    time: TypedColumn | None
    tie_breakers: tuple[str, ...]

    def keep_latest(self, table: pa.Table) -> pa.Table:
        """The latest row of each key, in the order of the keys."""
        keys = [_rank_values(column) for column in get_key_columns(table, self.keys)]
        sort_keys = []
        for name in reversed(self.tie_breakers):
            ranks = table.column(name).cast(pa.int64())
            sort_keys.append(ranks.to_numpy())
        if self.time:
            name, type_ = self.time
            instants = to_event_micros(table.column(name), type_)
            sort_keys.append(instants.to_numpy())
        sort_keys += reversed(keys)
        order = np.lexsort(sort_keys)
        is_last = np.ones(len(order), bool)
        if len(order):
            key_changes = [key[order[:-1]] != key[order[1:]] for key in keys]
            is_last[:-1] = np.logical_or.reduce(key_changes)
        return table.take(pa.array(order[is_last]))


def _rank_values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Numbers in the order of the values."""
    if pa.types.is_integer(column.type):
        integers: npt.NDArray[Any] = column.to_numpy()
        return integers
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    ranks = np.empty(len(encoded.dictionary), np.int64)
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    ranks[order] = np.arange(len(ranks))
    row_ranks: npt.NDArray[Any] = ranks[encoded.indices.to_numpy()]
    return row_ranks


@dataclass(frozen=True)
class KeyBuckets:
    """So many buckets of keys.

    They are ranges of the first key column between these bounds, or, where there are none, of a
    hash of the whole key.
    """

    count: int
    bounds: tuple[Any, ...] = ()

    @classmethod
    def from_sample(cls, count: int, sample: pa.ChunkedArray) -> "KeyBuckets":
        """Ranges that hold about as many rows of a sample each.

        They are of a hash where the first key column does not tell rows apart enough.
        """
        order = pc.sort_indices(sample)
        bounds: dict[Any, None] = {}
        if len(sample):
            for bucket in range(1, count):
                position = len(sample) * bucket // count
                row = order[position].as_py()
                bounds[sample[row].as_py()] = None
        if len(bounds) < count - 1:
            return cls(count)
        return cls(count, tuple(bounds))

    def assign_rows(self, keys: Sequence[pa.ChunkedArray]) -> npt.NDArray[Any]:
        """The bucket of each row."""
        if not self.bounds:
            return shuffle.assign_buckets(keys, shuffle.hash_keys(keys), self.count)
        if pa.types.is_integer(keys[0].type):
            return _find_ranges(np.array(self.bounds), keys[0].to_numpy())
        encoded = keys[0].combine_chunks().dictionary_encode()
        distinct = np.array(encoded.dictionary.to_pylist(), object)
        distinct_buckets = _find_ranges(np.array(self.bounds, object), distinct)
        buckets: npt.NDArray[Any] = distinct_buckets[encoded.indices.to_numpy()]
        return buckets


def _find_ranges(bounds: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """The number of the range between the bounds in which each value lies."""
    return np.searchsorted(bounds, values, side="right").astype(np.int32)


@dataclass(frozen=True)
class _LatestScatter:
    """Takes rows, and gives of each key the latest of a table, packed by bucket."""

    read_tables: TableReader
    order: LatestOrder
    buckets: KeyBuckets
    folder: str | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from shuffle.pack_tables(self._assign_tables(batches), self.folder)
        pa.default_memory_pool().release_unused()  # this worker may gather next

    def _assign_tables(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[shuffle.BucketAssignment]:
        for latest in _reduce_tables(self.read_tables(batches), self.order):
            keys = get_key_columns(latest, self.order.keys)
            buckets = self.buckets.assign_rows(keys)
            yield shuffle.BucketAssignment(0, latest, None, buckets)


def _reduce_tables(tables: Iterable[pa.Table], order: LatestOrder) -> Iterator[pa.Table]:
    """The latest row of each key, of as many rows at a time as have a bounded size.

    What few keys leave of them is held together with the rows that follow.
    """
    held: list[pa.Table] = []
    held_bytes = 0
    for table in tables:
        held.append(table)
        held_bytes += table.nbytes
        if held_bytes < _REDUCED_BYTES:
            continue
        latest = order.keep_latest(pa.concat_tables(held))
        held = [latest]
        held_bytes = latest.nbytes
        if held_bytes > _REDUCED_BYTES // 2:
            yield latest
            held = []
            held_bytes = 0
    if held_bytes:
        yield order.keep_latest(pa.concat_tables(held))


@dataclass(frozen=True)
class _LatestGather:
    """Takes packed rows, and gives what the handler makes of the latest rows of each bucket."""

    schema: pa.Schema
    order: LatestOrder
    handle_bucket: BucketHandler
    in_files: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for sides in shuffle.unpack_batches(batches, {0: self.schema}, self.in_files):
            yield from self.handle_bucket(self.order.keep_latest(sides[0]))


@dataclass(frozen=True)
class _SingleTaskReduce:
    """Takes few rows, in one task, and gives what the handler makes of the latest of them."""

    read_tables: TableReader
    schema: pa.Schema
    order: LatestOrder
    handle_bucket: BucketHandler

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        latest = list(_reduce_tables(self.read_tables(batches), self.order))
        if latest:
            yield from self.handle_bucket(self.order.keep_latest(pa.concat_tables(latest)))


def reduce_to_latest(
    relation: ArrowRelation,
    order: LatestOrder,
    handle_bucket: BucketHandler,
    result_types: Mapping[str, str],
    buckets: KeyBuckets,
    folder: str | None,
) -> TaskRows:
    """What a handler gives* for the latest rows of each bucket of keys.

    Args:
        relation: All rows.
        order: What makes a row the latest of its key.
        handle_bucket: Takes the latest rows of a bucket, in the order of their keys.
        result_types: The columns of its batches, and their feature types.
        buckets: The buckets of keys; one bucket is made in one task, without a shuffle.
        folder: One that every worker sees, kept until the result was read; None: Spark moves the
            rows themselves.
    """
    if buckets.count == 1:
        task = _SingleTaskReduce(relation.read_tables, relation.schema, order, handle_bucket)
        return relation.source.coalesce(1).map_batches(task, result_types)
    scatter = _LatestScatter(relation.read_tables, order, buckets, folder)
    packed = relation.source.map_batches(scatter, shuffle.PACKED_TYPES)
    gather = _LatestGather(relation.schema, order, handle_bucket, folder is not None)
    return packed.repartition(buckets.count, "bucket").map_batches(gather, result_types)
