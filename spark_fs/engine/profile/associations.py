"""The sums that associations between columns follow from, over rows that lie in files or come as a DataFrame.

A second look at the rows, and not a part of ``profile``'s: there a task has some columns of all
rows, here it needs all columns of some. What the first look learned (means, deviations, categories)
makes the sums exact where the values are far from zero.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.profile.column_states import DATA_DDL, coalesce_tables, narrow_scan, to_batch
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.stats.association import DesignMatrix, Sums, merge_sums

_TASK_BYTES = (
    1 << 30
)  # bytes of files for a task: its sums may be as large as the files of a few thousand rows
_PIECE_BYTES = 16 << 20  # bytes of a task's sums that travel as one value
_MATRIX_CELLS = 1 << 25  # of the matrix, of rows that are looked at together
_MIN_ROWS = (
    1 << 12
    # rows below which tables are put together; what is read is let go before more is read, since to
    # hold much costs time
)


def sum_locally(table_scan: Scan, matrix: DesignMatrix) -> Sums:
    """The sums of a scan's rows, made in this process."""
    return _sum_tables(parquet.iter_tables(narrow_scan(table_scan, matrix.features)), matrix)


def sum_scan(spark: SparkSession, table_scan: Scan, matrix: DesignMatrix) -> DataFrame:
    """The sums of a scan's rows*, by as many tasks as there are cores or as memory wants; ``gathered`` reads them."""
    rows = ArrowRelation.from_scan(spark, narrow_scan(table_scan, matrix.features))
    tasks = max(
        spark.sparkContext.defaultParallelism,
        sum(file.bytes for file in table_scan.files) // _TASK_BYTES,
    )
    return sum_relation(replace(rows, source=rows.source.coalesce(tasks)), matrix)


def sum_relation(relation: ArrowRelation, matrix: DesignMatrix) -> DataFrame:
    """The sums of any rows*; they are added up on the executors, piece by piece."""
    pieces = max(1, ceil_divide(sum(map(prod, matrix.sum_shapes)) * 8, _PIECE_BYTES))
    made = relation.source.mapInArrow(_SumTask(relation.read_tables, matrix, pieces), DATA_DDL)
    return made.repartitionById(pieces, "place").mapInArrow(_merge_pieces, DATA_DDL)


def collect_sums(sums: pa.Table, matrix: DesignMatrix) -> Sums:
    """The sums that rows of ``of_scan`` or ``of_stream`` hold."""
    sizes = list(map(prod, matrix.sum_shapes))
    pieces = [np.frombuffer(each.as_buffer()) for each in sums.sort_by("place").column("data")]
    found = np.concatenate(pieces) if pieces else np.zeros(sum(sizes))
    return [
        part.reshape(shape)
        for part, shape in zip(
            np.split(found, np.cumsum(sizes)[:-1]), matrix.sum_shapes, strict=True
        )
    ]


def _sum_tables(tables: Iterable[pa.Table], matrix: DesignMatrix) -> Sums:
    found: Sums | None = None
    step = max(1, _MATRIX_CELLS // max(1, matrix.width))
    for table in coalesce_tables(tables, _MIN_ROWS):
        for start in range(0, table.num_rows, step):
            more = matrix.compute_sums(table.slice(start, step))
            found = more if found is None else merge_sums([found, more])
    return found if found is not None else [np.zeros(shape) for shape in matrix.sum_shapes]


@dataclass(frozen=True)
class _SumTask:
    """Rows in, the sums of a task out, in pieces."""

    read_tables: TableReader
    matrix: DesignMatrix
    piece_count: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        flat = np.concatenate(
            [each.ravel() for each in _sum_tables(self.read_tables(batches), self.matrix)]
        )
        for place, piece in enumerate(np.array_split(flat, self.piece_count)):
            yield to_batch(place, piece.tobytes())


def _merge_pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pieces of sums in, those of the whole out."""
    found: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    for batch in batches:
        for place, sums in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            more = np.frombuffer(sums.as_buffer())
            found[place] = found[place] + more if place in found else more
    for place, summed in found.items():
        yield to_batch(place, summed.tobytes())
