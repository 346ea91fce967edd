"""The sums that associations between columns follow from, over rows in files or of a DataFrame.

A second look at the rows, and not a part of ``column_states``'s: there a task has some columns of
all rows, here it needs all columns of some. What the first look learned (means, deviations,
categories) makes the sums exact where the values are far from zero.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.profile.tasks import DATA_TYPES, coalesce_tables, narrow_scan, to_batch
from spark_fs.engine.runner import Runner, TaskRows
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.stats.association import DesignMatrix, Sums, merge_sums
from spark_fs.stats.sketches.quantiles import Doubles

# bytes of files for a task: its sums may be as large as the files of a few thousand rows
_TASK_BYTES = 1 << 30
_PIECE_BYTES = 16 << 20  # bytes of a task's sums that travel as one value
_DOUBLE_BYTES = 8
_MATRIX_CELLS = 1 << 25  # of the matrix, of rows that are looked at together
# rows below which tables are put together; what is read is let go before more is read, since to
# hold much costs time
_MIN_ROWS = 1 << 12


def sum_locally(table_scan: Scan, matrix: DesignMatrix) -> Sums:
    """The sums of a scan's rows, made in this process."""
    return _sum_tables(parquet.iter_tables(narrow_scan(table_scan, matrix.features)), matrix)


def sum_scan(runner: Runner, table_scan: Scan, matrix: DesignMatrix) -> TaskRows:
    """The sums of a scan's rows*, by as many tasks as there are cores or as memory wants.

    ``collect_sums`` reads them.
    """
    relation = ArrowRelation.from_scan(runner, narrow_scan(table_scan, matrix.features))
    file_bytes = sum(file.bytes for file in table_scan.files)
    tasks = max(runner.parallelism, file_bytes // _TASK_BYTES)
    return sum_relation(replace(relation, source=relation.source.coalesce(tasks)), matrix)


def sum_relation(relation: ArrowRelation, matrix: DesignMatrix) -> TaskRows:
    """The sums of any rows*; they are added up on the executors, piece by piece."""
    sum_bytes = sum(map(prod, matrix.sum_shapes)) * _DOUBLE_BYTES
    pieces = max(1, ceil_divide(sum_bytes, _PIECE_BYTES))
    task = _SumTask(relation.read_tables, matrix, pieces)
    partial_sums = relation.source.map_batches(task, DATA_TYPES)
    return partial_sums.repartition(pieces, "place").map_batches(_merge_pieces, DATA_TYPES)


def collect_sums(sums: pa.Table, matrix: DesignMatrix) -> Sums:
    """The sums that rows of ``sum_scan`` or ``sum_relation`` hold."""
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
    for table in coalesce_tables(tables, _MIN_ROWS):
        for start in range(0, table.num_rows, step):
            more = matrix.compute_sums(table.slice(start, step))
            sums = more if sums is None else merge_sums([sums, more])
    return _make_zero_sums(matrix) if sums is None else sums


@dataclass(frozen=True)
class _SumTask:
    """Rows in, the sums of a task out, in pieces."""

    read_tables: TableReader
    matrix: DesignMatrix
    piece_count: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        sums = _sum_tables(self.read_tables(batches), self.matrix)
        flat = np.concatenate([part.ravel() for part in sums])
        for number, piece in enumerate(np.array_split(flat, self.piece_count)):
            yield to_batch(number, piece.tobytes())


def _merge_pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pieces of sums in, those of all tasks together out."""
    totals: dict[int, Doubles] = {}
    for batch in batches:
        for number, data in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            piece = np.frombuffer(data.as_buffer())
            totals[number] = totals[number] + piece if number in totals else piece
    for number, total in totals.items():
        yield to_batch(number, total.tobytes())
