"""Read a group's rows from its Parquet files with Arrow, in a worker: no row of Spark's is made of them.

The driver lists the files from the table's log, without those that cannot matter, and says what is
wanted of them; a worker reads its share. Where Arrow and Spark could differ (decimals in a
condition, say), ``scannable`` says no.
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

from spark_fs.base import arrow_types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.times import DAY_MICROS, MILLISECONDS_FROM
from spark_fs.base.types import INTEGERS, get_base_type
from spark_fs.errors import SparkFSError, get_first_line
from spark_fs.spec.conditions import cast_comparison
from spark_fs.spec.query import Comparison, Condition, iter_comparisons
from spark_fs.tables.delta.history import DataFile
from spark_fs.tables.delta.log import resolve_file_system

_SAMPLE_ROWS = 1 << 16  # rows of a file
_BUFFER_SIZE = (
    1 << 20
    # bytes read at a time of a local file: of thousands of columns each is small, and its pages are
    # smaller still
)
SHARE_BYTES = 64 << 20  # bytes of one file for one task
_COMPARABLE_TYPES = (
    *INTEGERS,
    "float",
    "double",
    "decimal",
    "boolean",
    "string",
    "binary",
    "date",
    "timestamp",
)
_PARTITION_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "date": date.fromisoformat,
    "boolean": lambda text: text == "true",
    **dict.fromkeys(INTEGERS, int),
}
TimeBounds = tuple[
    int | None, int | None
]  # microseconds, from the first up to and without the second; None: no bound


class ScanFile(NamedTuple):
    """A file to read: where, how large, and the values of its partition as texts."""

    path: str
    bytes: int
    row_count: int
    partition_values: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Scan:
    """What is read of a table's files; two are equal when they give the same rows.

    columns: for each column of the result its name in the table. stored: the Arrow types of the
    table's columns that matter; types: their feature types. where: only the rows that meet it.
    known: only the rows in which none of these columns of the table is null. time: the event time.
    within: only event times in these bounds. splits: only event times in one of these bounds, whose
    name is added as the column ``split``.
    """

    files: tuple[ScanFile, ...]
    columns: tuple[tuple[str, str], ...]
    file_schema: pa.Schema
    types: tuple[tuple[str, str], ...]
    where: Condition | None = None
    not_null: tuple[str, ...] = ()
    event_time: str | None = None
    event_time_bounds: TimeBounds = (None, None)
    splits: tuple[tuple[str, TimeBounds], ...] = ()
    split_column: str = ""

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
        fields = [self.file_schema.field(column).with_name(name) for name, column in self.columns]
        return pa.schema(
            [*fields, *([pa.field(self.split_column, pa.string())] if self.splits else [])]
        )

    @property
    def row_count(self) -> int:
        """How many rows the files hold, by the log."""
        return sum(file.row_count for file in self.files)

    def list_shares(self, parts: int = 1) -> list[tuple[int, int, int]]:
        """The tasks of reading it, or one of so many parts of its columns: the number of a file, which share of it, of how many."""
        counted = [
            (i, ceil_divide(file.bytes, parts * SHARE_BYTES)) for i, file in enumerate(self.files)
        ]
        return [
            (i, share, max(1, shares)) for i, shares in counted for share in range(max(1, shares))
        ]


def to_scan_files(files: Iterable[DataFile]) -> tuple[ScanFile, ...]:
    """The files as a scan reads them."""
    return tuple(
        ScanFile(f.path, f.bytes, f.row_count or 0, tuple(f.partition_values.items()))
        for f in files
    )


def is_scannable(
    files: Sequence[DataFile],
    types: Mapping[str, str],
    partition_columns: Sequence[str],
    where: Condition | None,
) -> bool:
    """Whether a scan gives exactly the rows and values that Spark would give."""
    return (
        all(file.readable_as_is and file.row_count is not None for file in files)
        and all(
            types[column] in _PARTITION_PARSERS for column in partition_columns if column in types
        )
        and (where is None or can_evaluate(where, types))
    )


def can_evaluate(condition: Condition, types: Mapping[str, str]) -> bool:
    """Whether ``mask`` says of each row what Spark would say."""
    return all(
        c.operator != "like" and get_base_type(types[c.column]) in _COMPARABLE_TYPES
        for c in iter_comparisons(condition)
    )


def may_match(file: DataFile, condition: Condition, types: Mapping[str, str]) -> bool:
    """Whether a row of a file may meet the condition, by its partition and by the bounds that the log has of whole numbers."""
    if isinstance(condition, Comparison):
        return _may_match_comparison(
            file, cast_comparison(condition, types[condition.column]), types[condition.column]
        )
    parts = [may_match(file, part, types) for part in condition.parts]
    return all(parts) if condition.operator == "and" else condition.operator == "not" or any(parts)


def _may_match_comparison(file: DataFile, comparison: Comparison, spark_type: str) -> bool:
    column, operator, value = comparison.column, comparison.operator, comparison.value
    if column in file.partition_values and spark_type in _PARTITION_PARSERS:
        text = file.partition_values[column]
        if text is None or operator == "is_null":
            return (text is None) == (operator == "is_null")
        least = greatest = _PARTITION_PARSERS[spark_type](text)
    elif spark_type in INTEGERS and column not in file.partition_values:
        least, greatest = file.min_values.get(column), file.max_values.get(column)
    else:
        return True
    if least is None or greatest is None or operator in ("is_null", "like"):
        return True
    if operator == "in":
        return any(least <= each <= greatest for each in value)
    bounds: Mapping[str, bool] = {
        "==": least <= value <= greatest,
        "!=": not least == greatest == value,
        "<": least < value,
        "<=": least <= value,
        ">": greatest > value,
        ">=": greatest >= value,
    }
    return bounds[operator]


def read_share(
    scan: Scan,
    file_index: int,
    share_index: int = 0,
    share_count: int = 1,
    max_rows: int | None = None,
) -> pa.Table:
    """A share of the rows of one file, or of its first so many rows."""
    types = dict(scan.types)
    columns = _read_columns(
        scan.files[file_index], scan.file_schema, types, share_index, share_count, max_rows
    )
    kept = [pc.is_valid(columns[name]) for name in scan.not_null if columns[name].null_count]
    if scan.where is not None:
        kept.append(evaluate_condition(scan.where, columns, types))
    result = {name: columns[column] for name, column in scan.columns}
    if scan.event_time and (scan.splits or scan.event_time_bounds != (None, None)):
        instant = to_event_micros(columns[scan.event_time], types[scan.event_time])
        kept += _build_bound_masks(instant, scan.event_time_bounds)
        if scan.splits:
            result[scan.split_column] = _assign_splits(instant, scan.splits)
            kept.append(pc.is_valid(result[scan.split_column]))
    table = pa.table(result)
    return table.filter(reduce(pc.and_kleene, kept)) if kept else table


def iter_tables(scan: Scan) -> Iterator[pa.Table]:
    """The rows, share by share."""
    return (read_share(scan, *share) for share in scan.list_shares())


def _assign_splits(
    instant: pa.ChunkedArray, splits: tuple[tuple[str, TimeBounds], ...]
) -> pa.ChunkedArray:
    known, none = pc.is_valid(instant), pa.scalar(None, pa.string())
    return pc.coalesce(
        *(
            pc.if_else(reduce(pc.and_, _build_bound_masks(instant, bounds), known), name, none)
            for name, bounds in splits
        )
    )


def _build_bound_masks(instant: Any, bounds: TimeBounds) -> list[Any]:
    start, end = bounds
    return [
        compare(instant, bound)
        for compare, bound in ((pc.greater_equal, start), (pc.less, end))
        if bound is not None
    ]


def read_sample(scan: Scan, names: Sequence[str], max_files: int) -> pa.Table:
    """Some columns of the first rows of some files, spread evenly, whatever rows are wanted of them."""
    few = replace(
        scan,
        columns=tuple((name, column) for name, column in scan.columns if name in names),
        splits=(),
        where=None,
    )
    few = replace(
        few,
        file_schema=pa.schema(
            [
                scan.file_schema.field(name)
                for name in {column for _, column in few.columns} | set(scan.not_null)
            ]
        ),
    )
    step = max(1, len(scan.files) // max_files)
    return pa.concat_tables(
        read_share(few, number, max_rows=_SAMPLE_ROWS)
        for number in range(0, len(scan.files), step)[:max_files]
    )


@lru_cache(maxsize=4)
def read_all(scan: Scan) -> pa.Table:
    """All rows; a worker remembers those of the last scans."""
    found = [read_share(scan, number) for number in range(len(scan.files))]
    return pa.concat_tables(found).combine_chunks() if found else scan.schema.empty_table()


def to_event_micros(column: pa.ChunkedArray, spark_type: str) -> pa.ChunkedArray:
    """An event time as microseconds since the epoch: a timestamp, a date (its midnight, UTC), or epoch seconds or milliseconds."""
    if spark_type == "timestamp":
        return column.cast(pa.int64())
    if spark_type == "date":
        return pc.multiply(column.cast(pa.int32()).cast(pa.int64()), DAY_MICROS)
    number = column.cast(pa.int64())
    return pc.multiply_checked(
        number, pc.if_else(pc.less(pc.abs(number), MILLISECONDS_FROM), 1_000_000, 1_000)
    )


def evaluate_condition(
    condition: Condition, columns: Mapping[str, pa.ChunkedArray], types: Mapping[str, str]
) -> pa.ChunkedArray:
    """Whether each row meets the condition, as in SQL null where that is unknown."""
    if isinstance(condition, Comparison):
        type_ = types[condition.column]
        return _evaluate_comparison(
            cast_comparison(condition, type_), columns[condition.column], type_
        )
    parts = [evaluate_condition(part, columns, types) for part in condition.parts]
    if condition.operator == "not":
        return pc.invert(parts[0])
    return reduce(pc.and_kleene if condition.operator == "and" else pc.or_kleene, parts)


def _evaluate_comparison(
    comparison: Comparison, column: pa.ChunkedArray, spark_type: str
) -> pa.ChunkedArray:
    operator, value = comparison.operator, comparison.value
    if operator == "is_null":
        return pc.is_null(column)
    if spark_type == "float":  # its values are those of the condition as doubles
        column = column.cast(pa.float64())
    if operator == "in":
        equal = [pc.equal(column, pa.scalar(each, column.type)) for each in value]
        return (
            reduce(pc.or_kleene, equal)
            if equal
            else pa.chunked_array([pa.repeat(pa.scalar(False), len(column))])
        )
    found = _OPERATORS[operator](column, pa.scalar(value, column.type))
    if spark_type in ("float", "double") and operator in (
        ">",
        ">=",
    ):  # Spark orders NaN after every number
        found = pc.or_kleene(found, pc.is_nan(column))
    return found


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def _read_columns(
    scan_file: ScanFile,
    file_schema: pa.Schema,
    types: Mapping[str, str],
    share_index: int,
    share_count: int,
    max_rows: int | None,
) -> dict[str, pa.ChunkedArray]:
    """The stored columns of a share of a file's row groups, or of its first rows.

    Also the columns of its partition, and those that the file does not have yet.
    """
    system, path = resolve_file_system(scan_file.path)
    try:
        with system.open_input_file(path) as source:
            buffered = _BUFFER_SIZE if isinstance(system, fs.LocalFileSystem) else 0
            file = pq.ParquetFile(source, coerce_int96_timestamp_unit="us", buffer_size=buffered)
            held = set(file.schema_arrow.names)
            there = [name for name in file_schema.names if name in held]
            if max_rows is None:
                table = file.read_row_groups(
                    list(range(share_index, file.num_row_groups, share_count)),
                    columns=there,
                    use_threads=False,
                )
            else:
                table = pa.Table.from_batches(
                    islice(file.iter_batches(max_rows, columns=there, use_threads=False), 1)
                )
    except (OSError, pa.ArrowException) as error:
        raise SparkFSError(
            f"The data file {scan_file.path} cannot be read: {get_first_line(error)} Restore it, or"
            " read an earlier state with as_of."
        ) from error
    found = {}
    for field in file_schema:
        if field.name in there:
            column = table.column(field.name)
            found[field.name] = column if column.type == field.type else column.cast(field.type)
            continue
        text = dict(scan_file.partition_values).get(field.name)
        value = pa.scalar(
            None if text is None else _PARTITION_PARSERS[types[field.name]](text), field.type
        )
        found[field.name] = pa.chunked_array([pa.repeat(value, table.num_rows)])
    return found


def get_file_size(path: str) -> int:
    """The bytes of a file."""
    system, name = resolve_file_system(path)
    return int(system.get_file_info(name).size)
