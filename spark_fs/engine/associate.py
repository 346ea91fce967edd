"""The sums that associations between columns follow from, over rows that lie in files or come as a DataFrame.

A second look at the rows, and not a part of ``profile``'s: there a task has some columns of all rows, here it needs all columns of some.
What the first look learned (means, deviations, categories) makes the sums exact where the values are far from zero.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.engine import scan
from spark_fs.engine.columnar import Stream, Tables
from spark_fs.engine.profile import PLACED_SPARK, large, narrowed, placed
from spark_fs.engine.scan import Scan
from spark_fs.stats.association import Matrix, Sums, added

_SHARE = 1 << 30  # bytes of files for a task: its sums may be as large as the files of a few thousand rows
_PIECE = 16 << 20  # bytes of a task's sums that travel as one value
_CELLS = 1 << 25  # of the matrix, of rows that are looked at together
_FEW = 1 << 12  # rows below which tables are put together; what is read is let go before more is read, since to hold much costs time


def here(each: Scan, matrix: Matrix) -> Sums:
    """The sums of a scan's rows, made in this process."""
    return _summed(scan.tables(narrowed(each, matrix.features)), matrix)


def of_scan(spark: SparkSession, each: Scan, matrix: Matrix) -> DataFrame:
    """The sums of a scan's rows*, by as many tasks as there are cores or as memory wants; ``gathered`` reads them."""
    rows = Stream.scanned(spark, narrowed(each, matrix.features))
    tasks = max(spark.sparkContext.defaultParallelism, sum(file.bytes for file in each.files) // _SHARE)
    return of_stream(replace(rows, source=rows.source.coalesce(tasks)), matrix)


def of_stream(stream: Stream, matrix: Matrix) -> DataFrame:
    """The sums of any rows*; they are added up on the executors, piece by piece."""
    pieces = max(1, -(-sum(map(prod, matrix.shapes)) * 8 // _PIECE))
    made = stream.source.mapInArrow(_Made(stream.tables, matrix, pieces), PLACED_SPARK)
    return made.repartitionById(pieces, "place").mapInArrow(_added, PLACED_SPARK)


def gathered(sums: pa.Table, matrix: Matrix) -> Sums:
    """The sums that rows of ``of_scan`` or ``of_stream`` hold."""
    sizes = list(map(prod, matrix.shapes))
    pieces = [np.frombuffer(each.as_buffer()) for each in sums.sort_by("place").column("data")]
    found = np.concatenate(pieces) if pieces else np.zeros(sum(sizes))
    return [part.reshape(shape) for part, shape in zip(np.split(found, np.cumsum(sizes)[:-1]), matrix.shapes, strict=True)]


def _summed(tables: Iterable[pa.Table], matrix: Matrix) -> Sums:
    found: Sums | None = None
    step = max(1, _CELLS // max(1, matrix.width))
    for table in large(tables, _FEW):
        for start in range(0, table.num_rows, step):
            more = matrix.sums(table.slice(start, step))
            found = more if found is None else added([found, more])
    return found if found is not None else [np.zeros(shape) for shape in matrix.shapes]


@dataclass(frozen=True)
class _Made:
    """Rows in, the sums of a task out, in pieces."""

    tables: Tables
    matrix: Matrix
    pieces: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        flat = np.concatenate([each.ravel() for each in _summed(self.tables(batches), self.matrix)])
        for place, piece in enumerate(np.array_split(flat, self.pieces)):
            yield placed(place, piece.tobytes())


def _added(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pieces of sums in, those of the whole out."""
    found: dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]] = {}
    for batch in batches:
        for place, sums in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
            more = np.frombuffer(sums.as_buffer())
            found[place] = found[place] + more if place in found else more
    for place, summed in found.items():
        yield placed(place, summed.tobytes())
