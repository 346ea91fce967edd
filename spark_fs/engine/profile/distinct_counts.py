"""Count the values of columns one by one, by tasks.

A task counts the values of a column whose hash is one of a bucket's, and reads the column for it.
So it holds a few million values at most, however many there are, and no rows move.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.hashing import Hashes
from spark_fs.engine.profile.tasks import RowBlocks
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.stats.describe import RowCounts
from spark_fs.stats.sketches.distinct import hash_values
from spark_fs.stats.sketches.quantiles import Integers

_BUCKET_VALUES = 1 << 21  # distinct values that a task counts, about
_COUNTS_TYPES = {"place": "int", "rows": "bigint", "values": "bigint"}


class _Bucket(NamedTuple):
    """The values of a column that a task counts: those with this number, of so many buckets."""

    column: int
    number: int
    buckets: int


def count_values(runner: Runner, blocks: RowBlocks, distinct_counts: Mapping[str, int]) -> TaskRows:
    """The numbers of rows in which values of columns come*: ``collect_counts`` reads them.

    Args:
        runner: runs the tasks.
        blocks: the rows.
        distinct_counts: the columns, and about how many distinct values each has.
    """
    buckets: list[_Bucket] = []
    for column, count in enumerate(distinct_counts.values()):
        bucket_count = max(1, ceil_divide(count, _BUCKET_VALUES))
        buckets += [_Bucket(column, number, bucket_count) for number in range(bucket_count)]
    task = _CountTask(blocks, tuple(distinct_counts), tuple(buckets))
    return runner.number_tasks(len(buckets)).map_batches(task, _COUNTS_TYPES)


def collect_counts(counted: pa.Table, names: Sequence[str]) -> dict[str, RowCounts]:
    """The numbers of rows that rows of ``count_values`` hold, by column."""
    counts: dict[str, Counter[int]] = {name: Counter() for name in names}
    for column, rows, values in zip(*(each.to_pylist() for each in counted.columns), strict=True):
        counts[names[column]][rows] += values
    return dict(counts)


@dataclass(frozen=True)
class _CountTask:
    """Numbers of buckets in, the numbers of rows of their values out."""

    blocks: RowBlocks
    names: tuple[str, ...]
    buckets: tuple[_Bucket, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in iter_numbers(batches):
            bucket = self.buckets[number]
            row_counts = self._count_bucket(bucket)
            rows, values = np.unique(row_counts, return_counts=True)
            columns = {
                "place": pa.array(np.full(len(rows), bucket.column), pa.int32()),
                "rows": pa.array(rows, pa.int64()),
                "values": pa.array(values, pa.int64()),
            }
            yield pa.record_batch(columns)

    def _count_bucket(self, bucket: _Bucket) -> Integers:
        """In how many rows each value of a bucket comes."""
        pending: list[pa.Table] = []
        pending_values = 0
        for counts in self._count_blocks(bucket):
            pending.append(counts)
            pending_values += counts.num_rows
            if pending_values > _BUCKET_VALUES:
                pending = [_merge_counts(pending)]
                pending_values = 0
        if not pending:
            return np.empty(0, np.int64)
        row_counts: Integers = _merge_counts(pending).column("rows").to_numpy()
        return row_counts

    def _count_blocks(self, bucket: _Bucket) -> Iterator[pa.Table]:
        """In each block in how many rows each value of a bucket comes."""
        name = self.names[bucket.column]
        for block in range(self.blocks.count):
            for table in self.blocks.read(block, [name]):
                counts = pc.value_counts(_unify_zeros(table.column(name).drop_null()))
                values = counts.field("values")
                counted = pa.table({"value": values, "rows": counts.field("counts")})
                if bucket.buckets > 1:
                    is_in_bucket = _hash_values(values) % bucket.buckets == bucket.number
                    counted = counted.filter(pa.array(is_in_bucket))
                yield counted


def _unify_zeros(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values with 0.0 for -0.0, which are one value."""
    if pa.types.is_floating(values.type):
        return pc.add(values, pa.scalar(0.0, values.type))
    return values


def _hash_values(values: pa.Array) -> Hashes:
    if pa.types.is_floating(values.type):
        return hash_values(values.cast(pa.float64()).to_numpy())
    if pa.types.is_string(values.type) or pa.types.is_decimal(values.type):
        strings = values.cast(pa.string()).to_numpy(zero_copy_only=False)
        return hash_values(strings.astype(object))
    if pa.types.is_date(values.type):
        values = values.cast(pa.int32())
    return hash_values(values.cast(pa.int64()).to_numpy())


def _merge_counts(tables: Sequence[pa.Table]) -> pa.Table:
    """In how many rows of all tables each value comes."""
    counted = pa.concat_tables(tables)
    summed = counted.group_by("value").aggregate([("rows", "sum")])
    return summed.rename_columns({"value": "value", "rows_sum": "rows"})
