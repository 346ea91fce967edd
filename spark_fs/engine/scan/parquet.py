"""Read a group's rows from its Parquet files with Arrow, in a worker: Spark makes no rows of them.

The driver lists the files from the table's log, without those that cannot matter, and says what is
wanted of them; a worker reads its share. Where Arrow and Spark could differ (decimals in a
condition, say), ``is_scannable`` says no.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import arrow_types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.scan.filters import (
    can_evaluate,
    evaluate_condition,
    parse_partition_value,
)
from spark_fs.engine.scan.parquet_files import FileShare, iter_file, read_file
from spark_fs.engine.task_cache import remember_last
from spark_fs.errors import SchemaError, get_first_line
from spark_fs.spec.predicates import Condition, iter_comparisons
from spark_fs.tables.data_files import DataFile, HeldTable

_CODED_STRING = pa.dictionary(pa.int32(), pa.string())
_SAMPLE_ROWS = 1 << 16  # rows of a file
SHARE_BYTES = 64 << 20  # bytes of one file for one task
_HELD_SHARE_BYTES = 4 << 20  # of a table in memory, which is larger than it were in a file
# Microseconds, from the first up to and without the second; None: no bound.
TimeBounds = tuple[int | None, int | None]
UNBOUNDED: TimeBounds = (None, None)


class ScanFile(NamedTuple):
    """A file to read: where, how large, and the values of its partition as strings.

    held: the rows, where they are in memory and there is no file.
    """

    path: str
    bytes: int
    row_count: int
    partition_values: tuple[tuple[str, str | None], ...]
    held: HeldTable | None = None


@dataclass(frozen=True)
class Scan:
    """What is read of a table's files; two are equal when they give the same rows.

    columns: for each column of the result its name in the table. file_schema: the Arrow types of
    the table's columns that matter; types: their feature types. where: only the rows that meet it.
    not_null: only the rows in which none of these columns of the table is null. event_time_bounds:
    only event times in these bounds. splits: only event times in one of these bounds, whose name is
    added as the column ``split_column``. is_coded: whether strings come as dictionaries and
    indices, as they lie in the files; not those of the condition.
    """

    files: tuple[ScanFile, ...]
    columns: tuple[tuple[str, str], ...]
    file_schema: pa.Schema
    types: tuple[tuple[str, str], ...]
    where: Condition | None = None
    not_null: tuple[str, ...] = ()
    event_time: str | None = None
    event_time_bounds: TimeBounds = UNBOUNDED
    splits: tuple[tuple[str, TimeBounds], ...] = ()
    split_column: str = ""
    is_coded: bool = False

    @classmethod
    def from_files(cls, files: Iterable[ScanFile], types: Mapping[str, str]) -> Self:
        """Of every row of the files, these columns under their own names."""
        return cls(
            tuple(files),
            tuple((name, name) for name in types),
            arrow_types.to_arrow_schema(types),
            tuple(types.items()),
        )

    @property
    def schema(self) -> pa.Schema:
        """The columns of the result."""
        fields = []
        for name, column in self.columns:
            fields.append(self.file_schema.field(column).with_name(name))
        if self.splits:
            fields.append(pa.field(self.split_column, pa.string()))
        return pa.schema(fields)

    @property
    def is_held(self) -> bool:
        """Whether rows of it are in the memory of this process, and in no file."""
        return any(file.held is not None for file in self.files)

    @property
    def row_count(self) -> int:
        """How many rows the files hold, by the log."""
        return sum(file.row_count for file in self.files)

    def with_coded_strings(self) -> Self:
        """A copy whose strings come as dictionaries and indices."""
        return replace(self, is_coded=True)

    @property
    def coded_columns(self) -> list[str]:
        """The columns of the table that come as dictionaries and indices."""
        if not self.is_coded:
            return []
        compared = set()
        if self.where is not None:
            compared = {comparison.column for comparison in iter_comparisons(self.where)}
        strings = {name for name, type_ in self.types if type_ == "string"}
        return [name for name in self.file_schema.names if name in strings - compared]

    def list_shares(self, parts: int = 1) -> list[tuple[int, int, int]]:
        """The tasks of reading it, or one of so many parts of its columns.

        Returns:
            For each task the number of a file, which share of it, and of how many.
        """
        shares = []
        for file_index, file in enumerate(self.files):
            share_bytes = SHARE_BYTES if file.held is None else _HELD_SHARE_BYTES
            share_count = ceil_divide(file.bytes, parts * share_bytes)
            share_count = max(1, share_count)
            for share_index in range(share_count):
                shares.append((file_index, share_index, share_count))
        return shares


def to_scan_files(files: Iterable[DataFile]) -> tuple[ScanFile, ...]:
    """The files as a scan reads them."""
    scan_files = []
    for file in files:
        partition_values = tuple(file.partition_values.items())
        row_count = file.row_count or 0
        scan_files.append(ScanFile(file.path, file.bytes, row_count, partition_values, file.held))
    return tuple(scan_files)


def is_scannable(
    files: Sequence[DataFile],
    types: Mapping[str, str],
    partition_columns: Sequence[str],
    where: Condition | None,
) -> bool:
    """Whether a scan gives exactly the rows and values that Spark would give."""
    for file in files:
        if not file.readable_as_is or file.row_count is None:
            return False
        if not _has_plain_partition(file, types, partition_columns):
            return False
    return where is None or can_evaluate(where, types)


def _has_plain_partition(
    file: DataFile, types: Mapping[str, str], partition_columns: Sequence[str]
) -> bool:
    """Whether the values of a file's partition can be told from what the log writes."""
    for column in partition_columns:
        if column in types:
            try:
                parse_partition_value(file.partition_values.get(column), types[column])
            except ValueError:
                return False
    return True


def read_share(
    scan: Scan,
    file_index: int,
    share_index: int = 0,
    share_count: int = 1,
    max_rows: int | None = None,
) -> pa.Table:
    """The rows of a share of one file.

    Args:
        scan: What is read.
        file_index: Which of its files.
        share_index: Which share of the file.
        share_count: How many shares the file has.
        max_rows: Read the file's first so many rows instead.
    """
    columns = _read_columns(scan, file_index, share_index, share_count, max_rows)
    return select_rows(scan, columns)


def iter_share(
    scan: Scan, file_index: int, share_index: int, share_count: int, max_rows: int
) -> Iterator[pa.Table]:
    """As ``read_share``, of so many rows of the file at a time.

    Args:
        scan: What is read; its strings come as they are.
        file_index: Which of its files, which lies in a folder.
        share_index: Which share of the file.
        share_count: How many shares the file has.
        max_rows: Rows of a table, at most.
    """
    scan_file = scan.files[file_index]
    share = FileShare(scan_file.path, share_index, share_count, None)
    for table in iter_file(share, scan.file_schema.names, max_rows):
        yield select_rows(scan, _convert_columns(scan, scan_file, table))


def select_rows(scan: Scan, columns: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """What a scan gives of rows that were read.

    Args:
        scan: What is wanted of them.
        columns: Those of the table that matter, under its names.
    """
    types = dict(scan.types)
    masks = []
    for name in scan.not_null:
        if columns[name].null_count:
            masks.append(pc.is_valid(columns[name]))
    if scan.where is not None:
        masks.append(evaluate_condition(scan.where, columns, types))
    result = {name: columns[column] for name, column in scan.columns}
    if scan.event_time and (scan.splits or scan.event_time_bounds != UNBOUNDED):
        instant = to_event_micros(columns[scan.event_time], types[scan.event_time])
        masks += _build_bound_masks(instant, scan.event_time_bounds)
        if scan.splits:
            splits = _assign_splits(instant, scan.splits)
            result[scan.split_column] = splits
            masks.append(pc.is_valid(splits))
    table = pa.table(result)
    if not masks:
        return table
    return table.filter(reduce(pc.and_kleene, masks))


def iter_tables(scan: Scan) -> Iterator[pa.Table]:
    """The rows, share by share."""
    return (read_share(scan, *share) for share in scan.list_shares())


def _assign_splits(
    instant: pa.ChunkedArray, splits: tuple[tuple[str, TimeBounds], ...]
) -> pa.ChunkedArray:
    """The name of the split of each instant, null where there is none."""
    is_known = pc.is_valid(instant)
    null = pa.scalar(None, pa.string())
    names = []
    for name, bounds in splits:
        is_within = reduce(pc.and_, _build_bound_masks(instant, bounds), is_known)
        names.append(pc.if_else(is_within, name, null))
    return pc.coalesce(*names)


def _build_bound_masks(instant: pa.ChunkedArray, bounds: TimeBounds) -> list[pa.ChunkedArray]:
    start, end = bounds
    masks = []
    if start is not None:
        masks.append(pc.greater_equal(instant, start))
    if end is not None:
        masks.append(pc.less(instant, end))
    return masks


def read_sample(scan: Scan, names: Sequence[str], max_files: int) -> pa.Table:
    """Some columns of the first rows of some files, spread evenly.

    The scan's condition and splits do not narrow them.

    Args:
        scan: What would be read.
        names: The columns, as the scan calls them.
        max_files: Of how many files at most.
    """
    sample = _select_columns(replace(scan, splits=(), where=None), names)
    step = max(1, len(scan.files) // max_files)
    tables = []
    for file_index in range(0, len(scan.files), step)[:max_files]:
        tables.append(read_share(sample, file_index, max_rows=_SAMPLE_ROWS))
    return pa.concat_tables(tables)


def _select_columns(scan: Scan, names: Sequence[str]) -> Scan:
    """A copy that reads no other columns than these and those that must not be null."""
    columns = tuple((name, column) for name, column in scan.columns if name in names)
    read_columns = {column for _, column in columns} | set(scan.not_null)
    file_schema = pa.schema([scan.file_schema.field(column) for column in read_columns])
    return replace(scan, columns=columns, file_schema=file_schema)


@remember_last
def read_all(scan: Scan) -> pa.Table:
    """All rows; they are remembered for the tasks that come."""
    tables = [read_share(scan, file_index) for file_index in range(len(scan.files))]
    if not tables:
        return scan.schema.empty_table()
    return pa.concat_tables(tables).combine_chunks()


def _read_columns(
    scan: Scan, file_index: int, share_index: int, share_count: int, max_rows: int | None
) -> dict[str, pa.ChunkedArray]:
    """The table's columns that matter, of a share of a file's row groups, or of its first rows.

    Those of its partition are among them, and those that the file does not have yet.
    """
    scan_file = scan.files[file_index]
    if scan_file.held:
        table = _slice_table(scan_file.held.table, share_index, share_count, max_rows)
    else:
        share = FileShare(scan_file.path, share_index, share_count, max_rows)
        table = read_file(share, scan.file_schema.names, scan.coded_columns)
    return _convert_columns(scan, scan_file, table)


def _convert_columns(
    scan: Scan, scan_file: ScanFile, table: pa.Table
) -> dict[str, pa.ChunkedArray]:
    """The columns of the table that matter, of rows that were read of a file."""
    file_columns = set(table.column_names)
    partition_values = dict(scan_file.partition_values)
    types = dict(scan.types)
    accepted_types = dict.fromkeys(scan.coded_columns, _CODED_STRING)
    columns = {}
    for field in scan.file_schema:
        if field.name in file_columns:
            column = table.column(field.name)
            if column.type != accepted_types.get(field.name, field.type):
                column = _cast_column(column, field, scan_file.path)
            columns[field.name] = column
            continue
        value = parse_partition_value(partition_values.get(field.name), types[field.name])
        columns[field.name] = _repeat_value(pa.scalar(value, field.type), table.num_rows)
    for name in scan.coded_columns:
        columns[name] = columns[name].dictionary_encode()
    return columns


def _cast_column(column: pa.ChunkedArray, field: pa.Field, path: str) -> pa.ChunkedArray:
    """A column of a file in the type that the table has; SchemaError where values would change."""
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid as error:
        raise SchemaError(
            f"Column {field.name!r} of {path} does not fit {field.type} ({get_first_line(error)})."
            " Times are kept to the microsecond: round those of the file first."
        ) from None


def _slice_table(
    table: pa.Table, share_index: int, share_count: int, max_rows: int | None
) -> pa.Table:
    """A share of a table's rows, or its first ones."""
    if max_rows is not None:
        return table.slice(0, max_rows)
    first = table.num_rows * share_index // share_count
    end = table.num_rows * (share_index + 1) // share_count
    return table.slice(first, end - first)


def _repeat_value(value: pa.Scalar, count: int) -> pa.ChunkedArray:
    return pa.chunked_array([pa.repeat(value, count)])
