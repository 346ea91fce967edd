"""Data files of a table that workers write themselves, from Arrow tables.

Rows that are computed in the workers would pass through the JVM one by one, to be written by
Delta's own writer: of 5,000,000 rows of eleven columns that takes longer than to compute them
(``make bench-windows``). So workers write the Parquet files, and give for each the ``add`` action
by which a commit names it.
"""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from spark_fs.base.file_systems import open_output, resolve_file_system
from spark_fs.tables.computed_rows import TableReader
from spark_fs.tables.delta.file_partitions import (
    PartitionColumn,
    PartitionValues,
    build_folder,
    split_by_partition,
)
from spark_fs.tables.delta.file_summary import FileSummary

ACTION_TYPES = {"action": "string"}
_ROW_GROUP_ROWS = 1 << 20
_WAITING_BYTES = 128 << 20  # bytes of rows that wait until a row group is full


@dataclass(frozen=True)
class FileLayout:
    """How a table's files are made.

    folder: of the table. schema: of a file, without the columns that partition the table.
    partitions: those. ingestion: the name of the column that says when rows were written, and the
    instant in microseconds. indexed_columns: how many columns have bounds.
    """

    folder: str
    schema: pa.Schema
    partitions: tuple[PartitionColumn, ...]
    ingestion: tuple[str, int]
    indexed_columns: int


@dataclass(frozen=True)
class FileWriterTask:
    """Batches in, the ``add`` action of each file out, as JSON.

    A file that is not among them is of a task that failed.
    """

    read_tables: TableReader
    layout: FileLayout

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Write the tables."""
        with _TaskFiles(self.layout) as files:
            for table in self.read_tables(batches):
                files.write_table(table)
            actions = files.finish()
        if actions:
            yield pa.record_batch({"action": pa.array(actions)})


class _TaskFiles:
    """The files that one task writes, one for each partition; gone where it fails."""

    def __init__(self, layout: FileLayout) -> None:
        self._layout = layout
        self._files: dict[PartitionValues, _DataFile] = {}
        self._waiting_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error:
            for file in self._files.values():
                file.discard()

    def write_table(self, table: pa.Table) -> None:
        """Take rows, which may wait for others before they are written."""
        if not table.num_rows:
            return
        name, micros = self._layout.ingestion
        for values, rows in split_by_partition(table, self._layout.partitions):
            if values not in self._files:
                self._files[values] = _DataFile(self._layout, values)
            stamp = pa.scalar(micros, pa.timestamp("us", "UTC"))
            stamped = rows.append_column(name, pa.repeat(stamp, rows.num_rows))
            self._files[values].add_rows(stamped)
        self._waiting_bytes += table.nbytes
        if self._waiting_bytes > _WAITING_BYTES:
            for file in self._files.values():
                file.write_waiting()
            self._waiting_bytes = 0

    def finish(self) -> list[str]:
        """Close the files; the action that adds each."""
        return [file.finish() for file in self._files.values()]


class _DataFile:
    """One Parquet file of a table, opened when its first rows are written."""

    def __init__(self, layout: FileLayout, values: PartitionValues) -> None:
        self._layout = layout
        self._values = values
        folder = build_folder(layout.partitions, values)
        self._place = f"{folder}part-{uuid4()}.snappy.parquet"
        self._system, self._path = resolve_file_system(f"{layout.folder}/{self._place}")
        self._summary = FileSummary(layout.schema, layout.indexed_columns)
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._sink: Any = None
        self._writer: Any = None

    def add_rows(self, rows: pa.Table) -> None:
        """Take rows, as the schema has them."""
        schema = self._layout.schema
        self._waiting.append(rows.select(schema.names).cast(schema))
        self._waiting_rows += rows.num_rows
        if self._waiting_rows >= _ROW_GROUP_ROWS:
            self.write_waiting()

    def write_waiting(self) -> None:
        """Write the rows that were taken, as row groups."""
        if not self._waiting:
            return
        rows = pa.concat_tables(self._waiting)
        self._waiting = []
        self._waiting_rows = 0
        self._summary.add_rows(rows)
        if self._writer is None:
            self._open()
        self._writer.write_table(rows, _ROW_GROUP_ROWS)

    def _open(self) -> None:
        """As Spark's own writer makes Parquet; but numbers with a fraction seldom come twice."""
        schema = self._layout.schema
        whole = [field.name for field in schema if not pa.types.is_floating(field.type)]
        self._sink = open_output(self._system, self._path)
        self._writer = pq.ParquetWriter(
            self._sink,
            schema,
            compression="snappy",
            use_dictionary=whole,
            store_decimal_as_integer=True,
            store_schema=False,
        )

    def finish(self) -> str:
        """Write what waits and close the file; the action that adds it to the table."""
        self.write_waiting()
        self._writer.close()
        self._sink.close()
        names = [column.name for column in self._layout.partitions]
        add = {
            "path": quote(self._place, safe="/="),
            "partitionValues": dict(zip(names, self._values, strict=True)),
            "size": self._system.get_file_info(self._path).size,
            "modificationTime": time.time_ns() // 1_000_000,
            "dataChange": True,
            "stats": self._summary.to_json(),
        }
        return json.dumps({"add": add}, ensure_ascii=False)

    def discard(self) -> None:
        """Delete the file, if it was begun."""
        if self._sink is not None:
            with suppress(OSError, pa.ArrowException):
                self._sink.close()
                self._system.delete_file(self._path)
