"""Read Parquet files with Arrow, wherever they lie."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from spark_fs.base.file_systems import resolve_file_system
from spark_fs.errors import SparkFSError, get_first_line

# Bytes read at a time of a local file: of thousands of columns each is small, and its pages are
# smaller still.
_BUFFER_SIZE = 1 << 20


class FileShare(NamedTuple):
    """Some rows of a file.

    number, of: which share of its row groups, and of how many. max_rows: the file's first so many
    rows instead.
    """

    path: str
    number: int
    of: int
    max_rows: int | None


def read_file(share: FileShare, names: Sequence[str], coded: Sequence[str]) -> pa.Table:
    """Of some columns those that the file has.

    Args:
        share: The rows.
        names: The columns.
        coded: Those of them that come as dictionaries and indices.
    """
    with _open_file(share.path, coded) as file:
        columns = _list_columns(file, names)
        if share.max_rows is None:
            row_groups = _list_row_groups(file, share)
            return file.read_row_groups(row_groups, columns=columns, use_threads=False)
        batches = file.iter_batches(share.max_rows, columns=columns, use_threads=False)
        return pa.Table.from_batches(islice(batches, 1))


def iter_file(share: FileShare, names: Sequence[str], max_rows: int) -> Iterator[pa.Table]:
    """As ``read_file``, so many rows at a time at most: what is not read yet takes no memory.

    Args:
        share: The rows.
        names: The columns.
        max_rows: Rows of a table.
    """
    with _open_file(share.path, ()) as file:
        columns = _list_columns(file, names)
        row_groups = _list_row_groups(file, share)
        batches = file.iter_batches(max_rows, row_groups, columns, use_threads=False)
        for batch in batches:
            yield pa.Table.from_batches([batch])


@contextmanager
def _open_file(path: str, coded: Sequence[str]) -> Iterator[pq.ParquetFile]:
    """A file, some of whose columns come as dictionaries and indices."""
    system, name = resolve_file_system(path)
    buffer_size = _BUFFER_SIZE if isinstance(system, fs.LocalFileSystem) else 0
    try:
        with system.open_input_file(name) as source:
            metadata = pq.read_metadata(source)
            yield pq.ParquetFile(
                source,
                metadata=metadata,
                read_dictionary=_list_existing(coded, metadata),
                coerce_int96_timestamp_unit="us",
                buffer_size=buffer_size,
            )
    except (OSError, pa.ArrowException) as error:
        raise SparkFSError(
            f"The data file {path} cannot be read: {get_first_line(error)} Restore it, or"
            " read an earlier state with as_of."
        ) from error


def _list_columns(file: pq.ParquetFile, names: Sequence[str]) -> list[str]:
    """Those of the columns that a file has."""
    file_columns = set(file.schema_arrow.names)
    return [column for column in names if column in file_columns]


def _list_row_groups(file: pq.ParquetFile, share: FileShare) -> list[int]:
    return list(range(share.number, file.num_row_groups, share.of))


def _list_existing(columns: Sequence[str], metadata: pq.FileMetaData) -> list[str]:
    """Those of the columns that a file has."""
    if not columns:
        return []
    paths = {metadata.schema.column(index).path for index in range(metadata.num_columns)}
    return [column for column in columns if column in paths]


def get_file_size(path: str) -> int:
    """The bytes of a file."""
    system, name = resolve_file_system(path)
    return int(system.get_file_info(name).size)


def count_rows(path: str) -> int:
    """The rows of a file, by its footer."""
    system, name = resolve_file_system(path)
    try:
        with system.open_input_file(name) as source:
            return int(pq.read_metadata(source).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise SparkFSError(f"The file {path} cannot be read: {get_first_line(error)}") from error
