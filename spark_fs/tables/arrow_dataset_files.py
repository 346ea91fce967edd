"""Training data in files, as Arrow writes and reads them: the same values that Spark would."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import orc

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.file_systems import resolve_file_system
from spark_fs.errors import SparkFSError, get_first_line
from spark_fs.spec.training_dataset import FilesSpec
from spark_fs.tables import csv_rows, json_rows

_TEXT_ROWS = 1 << 16  # rows whose text is made at a time


class TableWriter(Protocol):
    """What writes tables into a file; a context manager, which ends the file."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *error: object) -> None:
        """End the file."""

    def write_table(self, table: pa.Table, row_group_size: int) -> None:
        """Write the rows of a table, in groups of so many where the format has groups."""


class _OrcWriter:
    def __init__(self, sink: Any, _schema: pa.Schema) -> None:
        self._writer = orc.ORCWriter(sink)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._writer.close()

    def write_table(self, table: pa.Table, _row_group_size: int) -> None:
        self._writer.write(table)


class _TextWriter:
    def __init__(self, sink: Any, header: bytes, format_rows: Callable[[pa.Table], bytes]) -> None:
        self._sink = sink
        self._format_rows = format_rows
        self._sink.write(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing: the file is closed by who opened it."""

    def write_table(self, table: pa.Table, _row_group_size: int) -> None:
        for first in range(0, table.num_rows, _TEXT_ROWS):
            self._sink.write(self._format_rows(table.slice(first, _TEXT_ROWS)))


@dataclass(frozen=True)
class ArrowFormat:
    """How a format is written and read without Spark.

    open_writer: makes what writes tables of a schema into an open file. read_file: the rows of an
    open file of so many bytes, with these columns and types. spark_types: a pattern of the types
    that Spark alone writes as it reads them.
    """

    open_writer: Callable[[Any, pa.Schema], TableWriter]
    read_file: Callable[[Any, int, Mapping[str, str]], pa.Table]
    spark_types: str | None = None


def _make_separated_format(separator: str) -> ArrowFormat:
    def open_csv(sink: Any, schema: pa.Schema) -> TableWriter:
        header = csv_rows.format_header(schema, separator)
        return _TextWriter(sink, header, lambda table: csv_rows.format_rows(table, separator))

    def read_csv(source: Any, size: int, types: Mapping[str, str]) -> pa.Table:
        return csv_rows.parse_rows(source, size, types, separator)

    return ArrowFormat(open_csv, read_csv)


def _open_json(sink: Any, _schema: pa.Schema) -> TableWriter:
    return _TextWriter(sink, b"", json_rows.format_rows)


def _read_json(source: Any, _size: int, types: Mapping[str, str]) -> pa.Table:
    return json_rows.parse_rows(source.readall().splitlines(), types)


def _read_orc(source: Any, _size: int, types: Mapping[str, str]) -> pa.Table:
    return orc.ORCFile(source).read(columns=list(types))


# Avro and Delta are Spark's alone; Parquet is read by a scan.
FORMATS: Mapping[str, ArrowFormat] = {
    "csv": _make_separated_format(","),
    "tsv": _make_separated_format("\t"),
    "json": ArrowFormat(_open_json, _read_json),
    # Arrow keeps times of ORC in nanoseconds, which end in 2262, and in another of its types
    "orc": ArrowFormat(_OrcWriter, _read_orc, spark_types="timestamp"),
}


def explain_need_of_spark(files: FilesSpec, types: Mapping[str, str]) -> str | None:
    """Why Spark alone writes and reads such files; None: Arrow does so too.

    Args:
        files: How they are written.
        types: Their columns, and their feature types.
    """
    if files.options:
        return f"write_options {', '.join(map(repr, files.options))} are for Spark's writer"
    if files.format == "parquet":
        return None
    form = FORMATS.get(files.format)
    if form is None:
        return f"Spark alone writes and reads {files.format}"
    for name, type_ in types.items():
        if form.spark_types and re.search(form.spark_types, type_):
            return f"Spark alone writes and reads column {name!r}, {type_}, as {files.format}"
    return None


def open_writer(file_format: str, sink: Any, schema: pa.Schema) -> TableWriter:
    """What writes tables of a schema into an open file."""
    if file_format == "parquet":
        writer: TableWriter = pq.ParquetWriter(sink, schema)
        return writer
    return FORMATS[file_format].open_writer(sink, schema)


def read_file(file_format: str, path: str, types: Mapping[str, str]) -> pa.Table:
    """The rows of a file that is not Parquet, eagerly, with these columns and types.

    SparkFSError for one that cannot be read.
    """
    schema = to_arrow_schema(types)
    system, name = resolve_file_system(path)
    try:
        size = system.get_file_info(name).size
        with system.open_input_file(name) as source:
            table = FORMATS[file_format].read_file(source, size, types)
        return table.select(schema.names).cast(schema)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SparkFSError(
            f"The file {path} of training data cannot be read: {get_first_line(error)} Restore it,"
            " or make the files again with recreate_training_dataset."
        ) from error
