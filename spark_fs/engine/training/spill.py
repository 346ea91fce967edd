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

from spark_fs.base import arrow_types
from spark_fs.base.file_systems import open_output
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.training import splits
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.spec.training_dataset import TRAIN_SPLIT
from spark_fs.tables.delta.log import resolve_file_system

TableSplitter = Callable[[pa.Table], Iterable[tuple[str, pa.Table]]]
Aggregate = tuple[Callable[[pa.Table], Any], Callable[[list[Any]], Any]]
WRITTEN_FILES_DDL = "path string, part string, rows bigint, notice binary"
_ROW_GROUP_ROWS = 1 << 20  # of a row group, or of a batch in an Arrow file


@dataclass(frozen=True)
class FileWriter:
    """Tables in, their pieces written into a file of the task for each part; the files' paths, parts and rows out.

    A file that is not among those that come out is of a task that failed. notice: what is to be
    made of each piece on the way, and how such are put together; it comes out with the first file
    of a task.
    """

    read_tables: TableReader
    split_table: TableSplitter
    folder: str
    file_format: Literal["parquet", "arrow"] = "parquet"
    aggregate: Aggregate | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write the tables; the files out."""
        rows: dict[str, int] = {}
        paths: dict[str, str] = {}
        noticed: list[Any] = []
        with ExitStack() as stack:
            writers: dict[str, Any] = {}
            for table in self.read_tables(batches):
                for part, piece in self.split_table(table):
                    if part not in writers:
                        paths[part] = "/".join(
                            filter(None, (self.folder, part, f"{uuid4().hex}.{self.file_format}"))
                        )
                        writers[part] = stack.enter_context(
                            self._open_writer(paths[part], piece.schema, stack)
                        )
                    writers[part].write_table(piece, _ROW_GROUP_ROWS)
                    rows[part] = rows.get(part, 0) + piece.num_rows
                    noticed = _update_aggregate(noticed, piece, self.aggregate)
        if rows:
            counted = pa.array(list(rows.values()), pa.int64())
            notices = pa.array(
                [_pack_value(noticed[0]) if noticed else None, *[None] * (len(rows) - 1)],
                pa.binary(),
            )
            columns = {
                "path": pa.array([paths[part] for part in rows]),
                "part": pa.array(list(rows)),
                "rows": counted,
            }
            yield pa.record_batch({**columns, "notice": notices})

    def _open_writer(self, path: str, schema: pa.Schema, stack: ExitStack) -> Any:
        system, name = resolve_file_system(path)
        if self.file_format == "parquet":
            return pq.ParquetWriter(stack.enter_context(open_output(system, name)), schema)
        sink = stack.enter_context(open_output(system, name))
        packed = (
            None if isinstance(system, LocalFileSystem) else "lz4"
        )  # which costs more than it saves where the disk is near
        return pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression=packed))


def _update_aggregate(values: list[Any], table: pa.Table, aggregate: Aggregate | None) -> list[Any]:
    """What was noticed, with what one more table says, as one value."""
    return [aggregate[1]([*values, aggregate[0](table)])] if aggregate else []


def _pack_value(value: Any) -> bytes:
    return zlib.compress(pickle.dumps(value), 1)  # counts are mostly zeros


def combine_partials(packed: Iterable[bytes | None], combine: Callable[[list[Any]], Any]) -> Any:
    """What all tasks noticed, as one value; None where none did."""
    found = [pickle.loads(zlib.decompress(each)) for each in packed if each is not None]  # noqa: S301 # what our own tasks made
    return combine(found) if found else None


@dataclass(frozen=True)
class SpillFirst:
    """Joined rows in, what stays of them out, as one piece."""

    project: Callable[[pa.Table], pa.Table]
    transform: DatasetTransform

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """What stays of a table."""
        kept = self.transform.with_hashes(self.project(table))
        if kept.num_rows:
            yield "", kept


@dataclass(frozen=True)
class TransformNow:
    """Joined rows in, the finished rows of each split out, where nothing has to be known of all rows first."""

    project: Callable[[pa.Table], pa.Table]
    transform: DatasetTransform

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The finished rows of a table."""
        return self.transform.split_and_transform(
            self.transform.drop_null_labels(self.project(table))
        )


@dataclass(frozen=True)
class _ArrowFileReader:
    """Numbers of Arrow files in, their tables out, each row with its place."""

    paths: tuple[str, ...]
    columns: tuple[str, ...] | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield from self._read_file(number)

    def _read_file(self, number: int) -> Iterator[pa.Table]:
        system, name = resolve_file_system(self.paths[number])
        first = 0
        with system.open_input_file(name) as file:
            schema = pa.ipc.open_file(file).schema
            held = (
                None
                if self.columns is None
                else [i for i, column in enumerate(schema.names) if column in self.columns]
            )
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=held))
            for index in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(index)])
                rows = np.arange(first, first + table.num_rows)
                first += table.num_rows
                yield table.append_column(
                    splits.FILE_COLUMN, pa.array(np.full(len(rows), number))
                ).append_column(splits.ROW_COLUMN, pa.array(rows))


@dataclass(frozen=True)
class PartialAggregate:
    """Tables in, what is noticed of them out as one value."""

    read_tables: TableReader
    aggregate: Aggregate

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Fold the tables; one value out."""
        found: list[Any] = []
        for table in self.read_tables(batches):
            found = _update_aggregate(found, table, self.aggregate)
        if found:
            yield pa.record_batch({"notice": pa.array([_pack_value(found[0])], pa.binary())})


@dataclass(frozen=True)
class _SplitReader:
    """Tables in, the finished rows of one split out."""

    read_tables: TableReader
    split_table: TableSplitter
    part: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for table in self.read_tables(batches):
            yield from (piece for part, piece in self.split_table(table) if part == self.part)


def build_split_frame(
    source: DataFrame,
    read_tables: TableReader,
    split_table: TableSplitter,
    types: Mapping[str, str],
    part: str = TRAIN_SPLIT,
) -> DataFrame:
    """The finished rows of one split as a DataFrame*."""
    return ArrowRelation(
        source, _SplitReader(read_tables, split_table, part), arrow_types.to_arrow_schema(types)
    ).to_frame(types)


@dataclass(frozen=True)
class SpilledRows:
    """Arrow files of joined rows that stay."""

    spark: SparkSession
    paths: tuple[str, ...]

    def _build_file_range(self, coalesce: bool = False) -> DataFrame:
        return self.spark.range(
            0, len(self.paths), 1, 1 if coalesce else max(1, len(self.paths))
        ).toDF("file")

    def aggregate_rows(
        self,
        make: Callable[[pa.Table], Any],
        combine: Callable[[list[Any]], Any],
        columns: Iterable[str] | None = None,
    ) -> Any:
        """Look at every row, eagerly: what ``make`` makes of each table, put together; None where there are no rows."""
        opened = _ArrowFileReader(self.paths, None if columns is None else tuple(columns))
        parts = (
            self._build_file_range()
            .mapInArrow(PartialAggregate(opened, (make, combine)), "notice binary")
            .collect()
        )
        return combine_partials((part.notice for part in parts), combine)

    def build_write(self, transform: DatasetTransform, folder: str, coalesce: bool) -> DataFrame:
        """The Parquet files* that tasks write of the finished rows; with coalesce one for each split."""
        return self._build_file_range(coalesce).mapInArrow(
            FileWriter(_ArrowFileReader(self.paths), transform.split_and_transform, folder),
            WRITTEN_FILES_DDL,
        )

    def to_frame(self, transform: DatasetTransform, part: str, coalesce: bool) -> DataFrame:
        """The finished rows of one split as a DataFrame*."""
        return build_split_frame(
            self._build_file_range(coalesce),
            _ArrowFileReader(self.paths),
            transform.split_and_transform,
            transform.schema,
            part,
        )
