"""Rows that tasks write into files of their own: as Parquet, to stay, or as Arrow, to be looked at again before they are finished."""

import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem
from pyspark.sql import DataFrame, SparkSession

from spark_fs import arrow
from spark_fs.engine import splits
from spark_fs.engine.columnar import Stream, Tables
from spark_fs.engine.recipe import Recipe
from spark_fs.offline.log import file_system
from spark_fs.offline.places import writing
from spark_fs.spec.datasets import WHOLE

Pieces = Callable[[pa.Table], Iterable[tuple[str, pa.Table]]]
Notice = tuple[Callable[[pa.Table], Any], Callable[[list[Any]], Any]]
PLACES = "path string, part string, rows bigint, notice binary"
_ROWS = 1 << 20  # of a row group, or of a batch in an Arrow file


@dataclass(frozen=True)
class Written:
    """Tables in, their pieces written into a file of the task for each part; the files' paths, parts and rows out.

    A file that is not among those that come out is of a task that failed. notice: what is to be made of each piece on the way, and how such
    are put together; it comes out with the first file of a task.
    """

    tables: Tables
    pieces: Pieces
    folder: str
    kind: Literal["parquet", "arrow"] = "parquet"
    notice: Notice | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write the tables; the files out."""
        rows: dict[str, int] = {}
        paths: dict[str, str] = {}
        noticed: list[Any] = []
        with ExitStack() as stack:
            writers: dict[str, Any] = {}
            for table in self.tables(batches):
                for part, piece in self.pieces(table):
                    if part not in writers:
                        paths[part] = "/".join(filter(None, (self.folder, part, f"{uuid4().hex}.{self.kind}")))
                        writers[part] = stack.enter_context(self._writer(paths[part], piece.schema, stack))
                    writers[part].write_table(piece, _ROWS)
                    rows[part] = rows.get(part, 0) + piece.num_rows
                    noticed = _more(noticed, piece, self.notice)
        if rows:
            counted = pa.array(list(rows.values()), pa.int64())
            notices = pa.array([_packed(noticed[0]) if noticed else None, *[None] * (len(rows) - 1)], pa.binary())
            columns = {"path": pa.array([paths[part] for part in rows]), "part": pa.array(list(rows)), "rows": counted}
            yield pa.record_batch({**columns, "notice": notices})

    def _writer(self, path: str, schema: pa.Schema, stack: ExitStack) -> Any:
        system, name = file_system(path)
        if self.kind == "parquet":
            return pq.ParquetWriter(stack.enter_context(writing(system, name)), schema)
        sink = stack.enter_context(writing(system, name))
        packed = None if isinstance(system, LocalFileSystem) else "lz4"  # which costs more than it saves where the disk is near
        return pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression=packed))


def _more(noticed: list[Any], table: pa.Table, notice: Notice | None) -> list[Any]:
    """What was noticed, with what one more table says, as one value."""
    return [notice[1]([*noticed, notice[0](table)])] if notice else []


def _packed(value: Any) -> bytes:
    return zlib.compress(pickle.dumps(value), 1)  # counts are mostly zeros


def together(packed: Iterable[bytes | None], join: Callable[[list[Any]], Any]) -> Any:
    """What all tasks noticed, as one value; None where none did."""
    found = [pickle.loads(zlib.decompress(each)) for each in packed if each is not None]  # noqa: S301 # what our own tasks made
    return join(found) if found else None


@dataclass(frozen=True)
class Whole:
    """Joined rows in, what stays of them out, as one piece."""

    finish: Callable[[pa.Table], pa.Table]
    recipe: Recipe

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """What stays of a table."""
        kept = self.recipe.hashed(self.finish(table))
        if kept.num_rows:
            yield "", kept


@dataclass(frozen=True)
class AtOnce:
    """Joined rows in, the finished rows of each split out, where nothing has to be known of all rows first."""

    finish: Callable[[pa.Table], pa.Table]
    recipe: Recipe

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The finished rows of a table."""
        return self.recipe.pieces(self.recipe.kept(self.finish(table)))


@dataclass(frozen=True)
class _Opened:
    """Numbers of Arrow files in, their tables out, each row with its place."""

    paths: tuple[str, ...]
    columns: tuple[str, ...] | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from self._tables(number)

    def _tables(self, number: int) -> Iterator[pa.Table]:
        system, name = file_system(self.paths[number])
        first = 0
        with system.open_input_file(name) as file:
            schema = pa.ipc.open_file(file).schema
            held = None if self.columns is None else [i for i, column in enumerate(schema.names) if column in self.columns]
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=held))
            for index in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(index)])
                rows = np.arange(first, first + table.num_rows)
                first += table.num_rows
                yield table.append_column(splits.FILE, pa.array(np.full(len(rows), number))).append_column(splits.ROW, pa.array(rows))


@dataclass(frozen=True)
class Folded:
    """Tables in, what is noticed of them out as one value."""

    tables: Tables
    notice: Notice

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Fold the tables; one value out."""
        found: list[Any] = []
        for table in self.tables(batches):
            found = _more(found, table, self.notice)
        if found:
            yield pa.record_batch({"notice": pa.array([_packed(found[0])], pa.binary())})


@dataclass(frozen=True)
class _Part:
    """Tables in, the finished rows of one split out."""

    tables: Tables
    pieces: Pieces
    part: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for table in self.tables(batches):
            yield from (piece for part, piece in self.pieces(table) if part == self.part)


def finished_frame(source: DataFrame, tables: Tables, pieces: Pieces, types: Mapping[str, str], part: str = WHOLE) -> DataFrame:
    """The finished rows of one split as a DataFrame*."""
    return Stream(source, _Part(tables, pieces, part), arrow.schema_of(types)).frame(types)


@dataclass(frozen=True)
class Waiting:
    """Arrow files of joined rows that stay."""

    spark: SparkSession
    paths: tuple[str, ...]

    def _source(self, coalesce: bool = False) -> DataFrame:
        return self.spark.range(0, len(self.paths), 1, 1 if coalesce else max(1, len(self.paths))).toDF("file")

    def fold(self, make: Callable[[pa.Table], Any], join: Callable[[list[Any]], Any], columns: Iterable[str] | None = None) -> Any:
        """Look at every row, eagerly: what ``make`` makes of each table, put together; None where there are no rows."""
        opened = _Opened(self.paths, None if columns is None else tuple(columns))
        parts = self._source().mapInArrow(Folded(opened, (make, join)), "notice binary").collect()
        return together((part.notice for part in parts), join)

    def written(self, recipe: Recipe, folder: str, coalesce: bool) -> DataFrame:
        """The Parquet files* that tasks write of the finished rows; with coalesce one for each split."""
        return self._source(coalesce).mapInArrow(Written(_Opened(self.paths), recipe.pieces, folder), PLACES)

    def frame(self, recipe: Recipe, part: str, coalesce: bool) -> DataFrame:
        """The finished rows of one split as a DataFrame*."""
        return finished_frame(self._source(coalesce), _Opened(self.paths), recipe.pieces, recipe.schema, part)
