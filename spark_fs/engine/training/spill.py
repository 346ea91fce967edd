"""Rows that tasks write into files of their own.

In a format of training data, to stay, or as Arrow, to be looked at again before they are finished.
"""

import pickle
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
from pyarrow.fs import LocalFileSystem

from spark_fs.base import arrow_types
from spark_fs.base.file_systems import open_output, resolve_file_system
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.engine.training import splits
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.spec.training_dataset import TRAIN_SPLIT
from spark_fs.tables import arrow_dataset_files

TableSplitter = Callable[[pa.Table], Iterable[tuple[str, pa.Table]]]
Aggregate = tuple[Callable[[pa.Table], Any], Callable[[list[Any]], Any]]
WRITTEN_FILES_TYPES = {"path": "string", "part": "string", "rows": "bigint", "notice": "binary"}
_ROW_GROUP_ROWS = 1 << 20  # of a row group, or of a batch in an Arrow file
_NO_SCHEMA = pa.schema([])  # of rows whose columns the files tell


@dataclass(frozen=True)
class FileWriter:
    """Tables in, their pieces written into a file of the task for each part; the files out.

    They come out with their paths, parts and rows. A file that is not among them is of a task that
    failed.

    Attributes:
        read_tables: what reads the tables.
        split_table: what makes pieces of a table, each with its part.
        folder: where the files go, in a folder for each part that has a name.
        file_format: of the files.
        aggregate: what is to be computed of each piece on the way, and how the results are
            combined; the result comes out with the first file of a task.
    """

    read_tables: TableReader
    split_table: TableSplitter
    folder: str
    file_format: str = "parquet"
    aggregate: Aggregate | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write the tables; the files out."""
        rows: dict[str, int] = {}
        paths: dict[str, str] = {}
        aggregated: list[Any] = []
        with ExitStack() as stack:
            writers: dict[str, Any] = {}
            for table in self.read_tables(batches):
                for part, piece in self.split_table(table):
                    if part not in writers:
                        paths[part] = self._choose_path(part)
                        writer = self._open_writer(paths[part], piece.schema, stack)
                        writers[part] = stack.enter_context(writer)
                    writers[part].write_table(piece, _ROW_GROUP_ROWS)
                    rows[part] = rows.get(part, 0) + piece.num_rows
                    aggregated = _update_aggregate(aggregated, piece, self.aggregate)
        if rows:
            yield _list_written_files(rows, paths, aggregated)

    def _choose_path(self, part: str) -> str:
        name = f"{uuid4().hex}.{self.file_format}"
        return "/".join(folder for folder in (self.folder, part, name) if folder)

    def _open_writer(self, path: str, schema: pa.Schema, stack: ExitStack) -> Any:
        system, name = resolve_file_system(path)
        sink = stack.enter_context(open_output(system, name))
        if self.file_format != "arrow":
            return arrow_dataset_files.open_writer(self.file_format, sink, schema)
        # compression costs more than it saves where the disk is near
        compression = None if isinstance(system, LocalFileSystem) else "lz4"
        options = pa.ipc.IpcWriteOptions(compression=compression)
        return pa.ipc.new_file(sink, schema, options=options)


def _list_written_files(
    rows: Mapping[str, int], paths: Mapping[str, str], aggregated: Sequence[Any]
) -> pa.RecordBatch:
    """The files of a task, a row for each part."""
    notices: list[bytes | None] = [None] * len(rows)
    if aggregated:
        notices[0] = _pack_value(aggregated[0])
    return pa.record_batch(
        {
            "path": pa.array([paths[part] for part in rows]),
            "part": pa.array(list(rows)),
            "rows": pa.array(list(rows.values()), pa.int64()),
            "notice": pa.array(notices, pa.binary()),
        }
    )


def _update_aggregate(values: list[Any], table: pa.Table, aggregate: Aggregate | None) -> list[Any]:
    """What was computed so far combined with that of one more table, as a list of one value."""
    if aggregate is None:
        return []
    compute, combine = aggregate
    return [combine([*values, compute(table)])]


def _pack_value(value: Any) -> bytes:
    return zlib.compress(pickle.dumps(value), 1)  # counts are mostly zeros


def combine_partials(packed: Iterable[bytes | None], combine: Callable[[list[Any]], Any]) -> Any:
    """What all tasks computed, as one value; None where none did."""
    values = []
    for data in packed:
        if data is not None:
            values.append(pickle.loads(zlib.decompress(data)))  # noqa: S301 # what our own tasks made
    if not values:
        return None
    return combine(values)


@dataclass(frozen=True)
class SpillFirst:
    """Joined rows in, what stays of them out, as one piece."""

    project: Callable[[pa.Table], pa.Table]
    transform: DatasetTransform

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """What stays of a table."""
        rows = self.transform.with_hashes(self.project(table))
        if rows.num_rows:
            yield "", rows


@dataclass(frozen=True)
class TransformNow:
    """Joined rows in, the finished rows of each split out.

    For where nothing has to be known of all rows first.
    """

    project: Callable[[pa.Table], pa.Table]
    transform: DatasetTransform

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The finished rows of a table."""
        rows = self.transform.drop_null_labels(self.project(table))
        return self.transform.split_and_transform(rows)


@dataclass(frozen=True)
class _ArrowFileReader:
    """Numbers of Arrow files in, their tables out, each row with its place."""

    paths: tuple[str, ...]
    columns: tuple[str, ...] | None = None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for number in iter_numbers(batches):
            yield from self._read_file(number)

    def _read_file(self, number: int) -> Iterator[pa.Table]:
        system, name = resolve_file_system(self.paths[number])
        first_row = 0
        with system.open_input_file(name) as file:
            schema = pa.ipc.open_file(file).schema
            options = pa.ipc.IpcReadOptions(included_fields=self._find_fields(schema))
            reader = pa.ipc.open_file(file, options=options)
            for i in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(i)])
                rows = np.arange(first_row, first_row + table.num_rows)
                files = np.full(len(rows), number)
                first_row += table.num_rows
                table = table.append_column(splits.FILE_COLUMN, pa.array(files))
                yield table.append_column(splits.ROW_COLUMN, pa.array(rows))

    def _find_fields(self, schema: pa.Schema) -> list[int] | None:
        """The places of the columns that are read; None: all of them."""
        if self.columns is None:
            return None
        return [i for i, column in enumerate(schema.names) if column in self.columns]


@dataclass(frozen=True)
class PartialAggregate:
    """Tables in, what is computed of them out as one value."""

    read_tables: TableReader
    aggregate: Aggregate

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Aggregate the tables; one value out."""
        aggregated: list[Any] = []
        for table in self.read_tables(batches):
            aggregated = _update_aggregate(aggregated, table, self.aggregate)
        if aggregated:
            yield pa.record_batch({"notice": pa.array([_pack_value(aggregated[0])], pa.binary())})


@dataclass(frozen=True)
class _SplitReader:
    """Tables in, the finished rows of one split out."""

    read_tables: TableReader
    split_table: TableSplitter
    part: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for table in self.read_tables(batches):
            for part, piece in self.split_table(table):
                if part == self.part:
                    yield piece


def select_split(
    relation: ArrowRelation,
    split_table: TableSplitter,
    types: Mapping[str, str],
    part: str = TRAIN_SPLIT,
) -> TaskRows:
    """The finished rows* of one split.

    Args:
        relation: the rows that are split.
        split_table: what makes finished rows of a table, each with their split.
        types: the columns of the finished rows, with their types.
        part: the split.
    """
    reader = _SplitReader(relation.read_tables, split_table, part)
    schema = arrow_types.to_arrow_schema(types)
    return ArrowRelation(relation.source, reader, schema).select(types)


class WrittenFile(NamedTuple):
    """A file that a task wrote, or a split where nobody names its files.

    notice: what was aggregated on the way, packed.
    """

    path: str
    part: str
    rows: int
    notice: bytes | None = None


def write_files(
    relation: ArrowRelation,
    split_table: TableSplitter,
    folder: str,
    file_format: str = "parquet",
    aggregate: Aggregate | None = None,
) -> list[WrittenFile]:
    """Write rows by the tasks that have them, eagerly.

    Args:
        relation: the rows.
        split_table: what makes pieces of a table, each with its part.
        folder: where the files go, in a folder for each part that has a name.
        file_format: of the files.
        aggregate: what is to be computed of each piece on the way, and how the results are
            combined.
    """
    writer = FileWriter(relation.read_tables, split_table, folder, file_format, aggregate)
    written = relation.source.map_batches(writer, WRITTEN_FILES_TYPES).collect()
    return [WrittenFile(**file) for file in written.to_pylist()]


@dataclass(frozen=True)
class SpilledRows:
    """Arrow files of joined rows that stay."""

    runner: Runner
    paths: tuple[str, ...]

    def _number_files(self, coalesce: bool = False) -> TaskRows:
        return self.runner.number_tasks(len(self.paths), 1 if coalesce else None)

    def aggregate_rows(
        self,
        make: Callable[[pa.Table], Any],
        combine: Callable[[list[Any]], Any],
        columns: Iterable[str] | None = None,
    ) -> Any:
        """Look at every row, eagerly.

        Args:
            make: what is computed of each table.
            combine: how what was computed of some tables is combined.
            columns: the columns of the tables; None: all of them.

        Returns:
            What was computed of all rows; None where there are no rows.
        """
        reader = _ArrowFileReader(self.paths, None if columns is None else tuple(columns))
        task = PartialAggregate(reader, (make, combine))
        partials = self._number_files().map_batches(task, {"notice": "binary"}).collect()
        return combine_partials(partials.column("notice").to_pylist(), combine)

    def write_files(
        self, transform: DatasetTransform, folder: str, coalesce: bool, file_format: str
    ) -> list[WrittenFile]:
        """Write the finished rows into files, eagerly; with coalesce one a split."""
        rows = ArrowRelation(self._number_files(coalesce), _ArrowFileReader(self.paths), _NO_SCHEMA)
        return write_files(rows, transform.split_and_transform, folder, file_format)

    def select_split(self, transform: DatasetTransform, part: str, coalesce: bool) -> TaskRows:
        """The finished rows* of one split."""
        rows = ArrowRelation(self._number_files(coalesce), _ArrowFileReader(self.paths), _NO_SCHEMA)
        return select_split(rows, transform.split_and_transform, transform.schema, part)
