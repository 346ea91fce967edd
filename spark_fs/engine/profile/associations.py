"""The sums that associations between columns follow from, over rows in blocks or of a DataFrame.

A second look at the rows, and not a part of ``column_states``'s: there a task has some columns of
all rows, here it needs all columns of some. What the first look learned (means, deviations,
categories) makes the sums exact where the values are far from zero.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.profile.tasks import (
    BlockResult,
    RowBlocks,
    coalesce_tables,
    cut_runs,
    merge_results,
)
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.stats.association import DesignMatrix, Sums, merge_sums
from spark_fs.stats.sketches.quantiles import Doubles

# bytes of files for a task: its sums may be as large as the files of a few thousand rows
_TASK_BYTES = 1 << 30
_PIECE_BYTES = 16 << 20  # bytes of a task's sums that travel as one value
_DOUBLE_BYTES = 8
_MATRIX_CELLS = 1 << 25  # of the matrix, of rows that are looked at together
# rows below which tables are put together; what is read is let go before more is read, since to
# hold much costs time
BLOCK_ROWS = 1 << 12
_PIECE_TYPES = {"place": "int", "first": "int", "size": "int", "data": "binary"}


def sum_blocks(runner: Runner, blocks: RowBlocks, matrix: DesignMatrix) -> TaskRows:
    """The sums of rows in blocks*, by as many tasks as there are cores or as memory wants.

    ``collect_sums`` reads them.
    """
    wanted_tasks = max(runner.parallelism, blocks.bytes // _TASK_BYTES)
    runs = tuple(cut_runs(blocks.count, wanted_tasks))
    piece_count = _count_pieces(matrix)
    task = _BlocksSumTask(blocks, runs, matrix, piece_count)
    sums = runner.number_tasks(len(runs)).map_batches(task, _PIECE_TYPES)
    return _merge_tasks(sums, piece_count)


def sum_relation(relation: ArrowRelation, matrix: DesignMatrix) -> TaskRows:
    """The sums of any rows*; they depend in their last bits on how the rows are cut into parts."""
    piece_count = _count_pieces(matrix)
    task = _RelationSumTask(relation.read_tables, matrix, piece_count)
    return _merge_tasks(relation.source.map_batches(task, _PIECE_TYPES), piece_count)


def _count_pieces(matrix: DesignMatrix) -> int:
    sum_bytes = sum(map(prod, matrix.sum_shapes)) * _DOUBLE_BYTES
    return max(1, ceil_divide(sum_bytes, _PIECE_BYTES))


def _merge_tasks(sums: TaskRows, piece_count: int) -> TaskRows:
    """The sums of all tasks together*, piece by piece."""
    return sums.repartition(piece_count, "place").map_batches(_merge_pieces, _PIECE_TYPES)


def collect_sums(sums: pa.Table, matrix: DesignMatrix) -> Sums:
    """The sums that rows of ``sum_blocks`` or ``sum_relation`` hold."""
    pieces = [np.frombuffer(data.as_buffer()) for data in sums.sort_by("place").column("data")]
    if not pieces:
        return _make_zero_sums(matrix)
    flat = np.concatenate(pieces)
    shapes = matrix.sum_shapes
    ends = np.cumsum(list(map(prod, shapes)))
    parts = np.split(flat, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _make_zero_sums(matrix: DesignMatrix) -> Sums:
    return [np.zeros(shape) for shape in matrix.sum_shapes]


def _sum_tables(tables: Iterable[pa.Table], matrix: DesignMatrix) -> Sums:
    sums: Sums | None = None
    step = max(1, _MATRIX_CELLS // max(1, matrix.width))
    for table in coalesce_tables(tables, BLOCK_ROWS):
        for start in range(0, table.num_rows, step):
            more = matrix.compute_sums(table.slice(start, step))
            sums = more if sums is None else merge_sums([sums, more])
    return _make_zero_sums(matrix) if sums is None else sums


@dataclass(frozen=True)
class _BlocksSumTask:
    """Numbers of runs of blocks in, their sums out, in pieces."""

    blocks: RowBlocks
    runs: tuple[range, ...]
    matrix: DesignMatrix
    piece_count: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in iter_numbers(batches):
            run = self.runs[number]
            if run:
                sums = merge_results(self._sum_each(run), _merge_two)
                yield from _cut_into_pieces(sums, self.piece_count)

    def _sum_each(self, run: range) -> Iterator[BlockResult[Sums]]:
        for number in run:
            tables = self.blocks.read(number, self.matrix.features)
            yield BlockResult(number, 1, _sum_tables(tables, self.matrix))


@dataclass(frozen=True)
class _RelationSumTask:
    """Rows in, the sums of a task out, in pieces."""

    read_tables: TableReader
    matrix: DesignMatrix
    piece_count: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = _sum_tables(self.read_tables(batches), self.matrix)
        yield from _cut_into_pieces(BlockResult(0, 1, sums), self.piece_count)


def _merge_two(left: Sums, right: Sums) -> Sums:
    return merge_sums([left, right])


def _cut_into_pieces(sums: BlockResult[Sums], piece_count: int) -> Iterator[pa.RecordBatch]:
    flat = np.concatenate([part.ravel() for part in sums.value])
    for number, piece in enumerate(np.array_split(flat, piece_count)):
        yield _to_piece_batch(number, BlockResult(sums.first, sums.size, piece))


def _merge_pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pieces of sums in, those of all tasks together out."""
    results: dict[int, list[BlockResult[Doubles]]] = {}
    for batch in batches:
        numbers, firsts, sizes = (batch.column(i).to_pylist() for i in range(3))
        for number, first, size, data in zip(numbers, firsts, sizes, batch.column(3), strict=True):
            piece = np.frombuffer(data.as_buffer())
            results.setdefault(number, []).append(BlockResult(first, size, piece))
    for number, pieces in results.items():
        pieces.sort(key=lambda piece: piece.first)
        yield _to_piece_batch(number, merge_results(pieces, np.add))


def _to_piece_batch(number: int, piece: BlockResult[Doubles]) -> pa.RecordBatch:
    columns = {
        "place": pa.array([number], pa.int32()),
        "first": pa.array([piece.first], pa.int32()),
        "size": pa.array([piece.size], pa.int32()),
        "data": pa.array([piece.value.tobytes()], pa.binary()),
    }
    return pa.record_batch(columns)
