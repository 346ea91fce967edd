"""Read a group's rows from its Parquet files with Arrow, in a worker: no row of Spark's is made of them.

The driver lists the files from the table's log, without those that cannot matter, and says what is wanted of them; a
worker reads its share. Where Arrow and Spark could differ (decimals in a condition, say), ``scannable`` says no.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache, reduce
from itertools import islice
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from spark_fs import arrow
from spark_fs.errors import SparkFSError, first_line
from spark_fs.offline.history import FileFacts
from spark_fs.offline.log import file_system
from spark_fs.spec.conditions import exact_comparison
from spark_fs.spec.query import Comparison, Condition, comparisons
from spark_fs.types import MILLISECONDS_FROM, base

_SAMPLE = 1 << 16  # rows of a file
_BUFFER = 1 << 20  # bytes read at a time of a local file: of thousands of columns each is small, and its pages are smaller still
SHARE = 64 << 20  # bytes of one file for one task
_DAY = 86_400_000_000
_WHOLE = ("tinyint", "smallint", "int", "bigint")
_COMPARED = (*_WHOLE, "float", "double", "decimal", "boolean", "string", "binary", "date", "timestamp")
_FROM_TEXT: Mapping[str, Callable[[str], Any]] = {
    "string": str, "date": date.fromisoformat, "boolean": lambda text: text == "true", **dict.fromkeys(_WHOLE, int),
}
Bounds = tuple[int | None, int | None]  # microseconds, from the first up to and without the second; None: no bound


class File(NamedTuple):
    """A file to read: where, how large, and the values of its partition as texts."""

    path: str
    bytes: int
    rows: int
    partition: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Scan:
    """What is read of a table's files; two are equal when they give the same rows.

    columns: for each column of the result its name in the table. stored: the Arrow types of the table's columns that matter; types: their
    feature types. where: only the rows that meet it. known: only the rows in which none of these columns of the table is null. time:
    the event time. within: only event times in these bounds. splits: only event times in one of these bounds, whose name is added
    as the column ``split``.
    """

    files: tuple[File, ...]
    columns: tuple[tuple[str, str], ...]
    stored: pa.Schema
    types: tuple[tuple[str, str], ...]
    where: Condition | None = None
    known: tuple[str, ...] = ()
    time: str | None = None
    within: Bounds = (None, None)
    splits: tuple[tuple[str, Bounds], ...] = ()
    split: str = ""

    @classmethod
    def of(cls, files: Iterable[File], types: Mapping[str, str]) -> Self:
        """Of every row of the files, these columns under their own names."""
        return cls(tuple(files), tuple((name, name) for name in types), arrow.schema_of(types), tuple(types.items()))

    @property
    def schema(self) -> pa.Schema:
        """The columns of the result."""
        fields = [self.stored.field(column).with_name(name) for name, column in self.columns]
        return pa.schema([*fields, *([pa.field(self.split, pa.string())] if self.splits else [])])

    @property
    def rows(self) -> int:
        """How many rows the files hold, by the log."""
        return sum(file.rows for file in self.files)

    def shares(self, parts: int = 1) -> list[tuple[int, int, int]]:
        """The tasks of reading it, or one of so many parts of its columns: the number of a file, which share of it, of how many."""
        counted = [(i, -(-file.bytes // (parts * SHARE))) for i, file in enumerate(self.files)]
        return [(i, share, max(1, shares)) for i, shares in counted for share in range(max(1, shares))]


def listed(files: Iterable[FileFacts]) -> tuple[File, ...]:
    """The files as a scan reads them."""
    return tuple(File(f.path, f.bytes, f.rows or 0, tuple(f.partition.items())) for f in files)


def scannable(files: Sequence[FileFacts], types: Mapping[str, str], partitioned: Sequence[str], where: Condition | None) -> bool:
    """Whether a scan gives exactly the rows and values that Spark would give."""
    return (
        all(file.plain and file.rows is not None for file in files)
        and all(types[column] in _FROM_TEXT for column in partitioned if column in types)
        and (where is None or maskable(where, types))
    )


def maskable(condition: Condition, types: Mapping[str, str]) -> bool:
    """Whether ``mask`` says of each row what Spark would say."""
    return all(c.operator != "like" and base(types[c.column]) in _COMPARED for c in comparisons(condition))


def may_meet(file: FileFacts, condition: Condition, types: Mapping[str, str]) -> bool:
    """Whether a row of a file may meet the condition, by its partition and by the bounds that the log has of whole numbers."""
    if isinstance(condition, Comparison):
        return _may_equal(file, exact_comparison(condition, types[condition.column]), types[condition.column])
    parts = [may_meet(file, part, types) for part in condition.parts]
    return all(parts) if condition.operator == "and" else condition.operator == "not" or any(parts)


def _may_equal(file: FileFacts, comparison: Comparison, spark_type: str) -> bool:
    column, operator, value = comparison.column, comparison.operator, comparison.value
    if column in file.partition and spark_type in _FROM_TEXT:
        text = file.partition[column]
        if text is None or operator == "is_null":
            return (text is None) == (operator == "is_null")
        least = greatest = _FROM_TEXT[spark_type](text)
    elif spark_type in _WHOLE and column not in file.partition:
        least, greatest = file.least.get(column), file.greatest.get(column)
    else:
        return True
    if least is None or greatest is None or operator in ("is_null", "like"):
        return True
    if operator == "in":
        return any(least <= each <= greatest for each in value)
    bounds: Mapping[str, bool] = {
        "==": least <= value <= greatest, "!=": not least == greatest == value, "<": least < value, "<=": least <= value,
        ">": greatest > value, ">=": greatest >= value,
    }
    return bounds[operator]


def read(scan: Scan, file: int, share: int = 0, shares: int = 1, first: int | None = None) -> pa.Table:
    """A share of the rows of one file, or of its first so many rows."""
    types = dict(scan.types)
    columns = _stored(scan.files[file], scan.stored, types, share, shares, first)
    kept = [pc.is_valid(columns[name]) for name in scan.known if columns[name].null_count]
    if scan.where is not None:
        kept.append(mask(scan.where, columns, types))
    result = {name: columns[column] for name, column in scan.columns}
    if scan.time and (scan.splits or scan.within != (None, None)):
        instant = instants(columns[scan.time], types[scan.time])
        kept += _inside(instant, scan.within)
        if scan.splits:
            result[scan.split] = _split_of(instant, scan.splits)
            kept.append(pc.is_valid(result[scan.split]))
    table = pa.table(result)
    return table.filter(reduce(pc.and_kleene, kept)) if kept else table


def tables(scan: Scan) -> Iterator[pa.Table]:
    """The rows, share by share."""
    return (read(scan, *share) for share in scan.shares())


def _split_of(instant: pa.ChunkedArray, splits: tuple[tuple[str, Bounds], ...]) -> pa.ChunkedArray:
    known, none = pc.is_valid(instant), pa.scalar(None, pa.string())
    return pc.coalesce(*(pc.if_else(reduce(pc.and_, _inside(instant, bounds), known), name, none) for name, bounds in splits))


def _inside(instant: Any, bounds: Bounds) -> list[Any]:
    start, end = bounds
    return [compare(instant, bound) for compare, bound in ((pc.greater_equal, start), (pc.less, end)) if bound is not None]


def sampled(scan: Scan, names: Sequence[str], files: int) -> pa.Table:
    """Some columns of the first rows of some files, spread evenly, whatever rows are wanted of them."""
    few = replace(scan, columns=tuple((name, column) for name, column in scan.columns if name in names), splits=(), where=None)
    few = replace(few, stored=pa.schema([scan.stored.field(name) for name in {column for _, column in few.columns} | set(scan.known)]))
    step = max(1, len(scan.files) // files)
    return pa.concat_tables(read(few, number, first=_SAMPLE) for number in range(0, len(scan.files), step)[:files])


@lru_cache(maxsize=4)
def whole(scan: Scan) -> pa.Table:
    """All rows; a worker remembers those of the last scans."""
    found = [read(scan, number) for number in range(len(scan.files))]
    return pa.concat_tables(found).combine_chunks() if found else scan.schema.empty_table()


def instants(column: pa.ChunkedArray, spark_type: str) -> pa.ChunkedArray:
    """An event time as microseconds since the epoch: a timestamp, a date (its midnight, UTC), or epoch seconds or milliseconds."""
    if spark_type == "timestamp":
        return column.cast(pa.int64())
    if spark_type == "date":
        return pc.multiply(column.cast(pa.int32()).cast(pa.int64()), _DAY)
    number = column.cast(pa.int64())
    return pc.multiply_checked(number, pc.if_else(pc.less(pc.abs(number), MILLISECONDS_FROM), 1_000_000, 1_000))


def mask(condition: Condition, columns: Mapping[str, pa.ChunkedArray], types: Mapping[str, str]) -> pa.ChunkedArray:
    """Whether each row meets the condition, as in SQL null where that is unknown."""
    if isinstance(condition, Comparison):
        type_ = types[condition.column]
        return _compared(exact_comparison(condition, type_), columns[condition.column], type_)
    parts = [mask(part, columns, types) for part in condition.parts]
    if condition.operator == "not":
        return pc.invert(parts[0])
    return reduce(pc.and_kleene if condition.operator == "and" else pc.or_kleene, parts)


def _compared(comparison: Comparison, column: pa.ChunkedArray, spark_type: str) -> pa.ChunkedArray:
    operator, value = comparison.operator, comparison.value
    if operator == "is_null":
        return pc.is_null(column)
    if spark_type == "float":  # its values are those of the condition as doubles
        column = column.cast(pa.float64())
    if operator == "in":
        equal = [pc.equal(column, pa.scalar(each, column.type)) for each in value]
        return reduce(pc.or_kleene, equal) if equal else pa.chunked_array([pa.repeat(pa.scalar(False), len(column))])
    found = _OPERATORS[operator](column, pa.scalar(value, column.type))
    if spark_type in ("float", "double") and operator in (">", ">="):  # Spark orders NaN after every number
        found = pc.or_kleene(found, pc.is_nan(column))
    return found


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": pc.equal, "!=": pc.not_equal, "<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal,
}


def _stored(
    wanted: File, stored: pa.Schema, types: Mapping[str, str], share: int, shares: int, first: int | None
) -> dict[str, pa.ChunkedArray]:
    """The stored columns of a share of a file's row groups, or of its first rows.

    Also the columns of its partition, and those that the file does not have yet.
    """
    system, path = file_system(wanted.path)
    try:
        with system.open_input_file(path) as source:
            buffered = _BUFFER if isinstance(system, fs.LocalFileSystem) else 0
            file = pq.ParquetFile(source, coerce_int96_timestamp_unit="us", buffer_size=buffered)
            held = set(file.schema_arrow.names)
            there = [name for name in stored.names if name in held]
            if first is None:
                table = file.read_row_groups(list(range(share, file.num_row_groups, shares)), columns=there, use_threads=False)
            else:
                table = pa.Table.from_batches(islice(file.iter_batches(first, columns=there, use_threads=False), 1))
    except (OSError, pa.ArrowException) as error:
        raise SparkFSError(
            f"The data file {wanted.path} cannot be read: {first_line(error)} Restore it, or read an earlier state with as_of."
        ) from error
    found = {}
    for field in stored:
        if field.name in there:
            column = table.column(field.name)
            found[field.name] = column if column.type == field.type else column.cast(field.type)
            continue
        text = dict(wanted.partition).get(field.name)
        value = pa.scalar(None if text is None else _FROM_TEXT[types[field.name]](text), field.type)
        found[field.name] = pa.chunked_array([pa.repeat(value, table.num_rows)])
    return found


def size_of(path: str) -> int:
    """The bytes of a file."""
    system, name = file_system(path)
    return int(system.get_file_info(name).size)
