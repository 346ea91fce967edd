"""Columns of Arrow as the strings that a database reads and prints.

They are made without a Python value for each cell.

A string is what MySQL and MariaDB print of the value, so that the same string serves to load a row
and to compare checksums of it.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import types
from spark_fs.online.column_storage import OnlineColumn

NULL = "\\N"
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0"))  # the backslash first
_PART_BYTES = 4 << 20  # bytes of rows whose strings are made at once
# Between these a number is written as digits and a point, in Arrow and on the server alike.
_PLAIN_MIN = 1e-4
_PLAIN_MAX = 1e10


def format_values(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    """The string of each value, null where it is null."""
    format_column = _FORMATTERS.get(types.get_base_type(column.type), _format_plain)
    return format_column(values, column).cast(pa.large_string())


def is_free_text(column: OnlineColumn) -> bool:
    """Whether the strings of a column may hold any character."""
    return column.type == "string" or types.get_base_type(column.type) in types.NESTED


def escape_values(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings as LOAD DATA takes them, between tabs."""
    if pc.any(pc.match_substring_regex(values, "[\\\\\t\n\\x00]")).as_py():
        for letter, escape in _ESCAPES:
            values = pc.replace_substring(values, letter, escape)
    return values


def iter_parts(table: pa.Table) -> Iterator[pa.Table]:
    """The rows, so many at a time that their strings take little memory."""
    part_rows = max(1, _PART_BYTES * table.num_rows // max(1, table.nbytes))
    for start in range(0, table.num_rows, part_rows):
        yield table.slice(start, part_rows)


def format_lines(table: pa.Table, columns: Sequence[OnlineColumn]) -> pa.Buffer:
    """The rows as a file for LOAD DATA.

    Fields are parted by tabs, rows end with line feeds, and a backslash stands before what would
    part them.
    """
    cells = [_format_cell(table.column(column.name), column).combine_chunks() for column in columns]
    nothing = pa.array([""], pa.large_string())[0]
    lines = _join_cells([_join_cells(cells, "\t"), nothing], "\n")
    _, offsets_buffer, text_buffer = lines.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)
    start = int(offsets[lines.offset])
    end = int(offsets[lines.offset + len(lines)])
    data: pa.Buffer = text_buffer.slice(start, end - start)
    return data


def _join_cells(cells: Sequence[Any], separator: str) -> pa.Array:
    """The strings of each row as one, a null as ``NULL``."""
    mark = pa.scalar(separator, pa.large_string())
    joined = pc.binary_join_element_wise(
        *cells, mark, null_handling="replace", null_replacement=NULL
    )
    return combine_chunks(joined)


def combine_chunks(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values as one array."""
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _format_cell(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    strings = format_values(values, column)
    return escape_values(strings) if is_free_text(column) else strings


def compute_checksums(table: pa.Table, columns: Sequence[OnlineColumn]) -> npt.NDArray[np.uint32]:
    """The CRC-32 of each row's values, as ``mysql.checksums`` has the server compute it."""
    cells: list[Any] = []
    for column in columns:
        values = table.column(column.name)
        if column.is_key and column.type in ("float", "double"):
            values = pc.add(values, 0)  # as a key -0.0 is equal to 0.0
        strings = format_values(values, column)
        if is_free_text(column):
            strings = _prefix_lengths(strings, column)
        cells.append(strings.combine_chunks())
    rows = _join_cells(cells, "\t")
    row_bytes = rows.cast(pa.large_binary()).to_numpy(zero_copy_only=False)
    return np.fromiter(map(zlib.crc32, row_bytes), np.uint32, len(rows))


def _prefix_lengths(strings: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    """Each string behind its length and a colon.

    A string's is counted in characters, a nested value's in bytes.
    """
    if column.type == "string":
        lengths = pc.utf8_length(strings)
    else:
        lengths = pc.binary_length(strings.cast(pa.large_binary()))
    colon = pa.scalar(":", pa.large_string())
    return pc.binary_join_element_wise(lengths.cast(pa.large_string()), strings, colon)


def measure_values(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    """The length of each value of a column of variable length.

    Strings are counted in characters, others in bytes.
    """
    return pc.utf8_length(values) if column.type == "string" else pc.binary_length(values)


def measure_lengths(table: pa.Table, columns: Sequence[OnlineColumn]) -> dict[str, int]:
    """The length of the longest value of each column of variable length."""
    longest_values = {}
    for column in columns:
        if column.variable_length:
            lengths = measure_values(table.column(column.name), column)
            longest_values[column.name] = pc.max(lengths).as_py() or 0
    return longest_values


def find_not_finite(table: pa.Table, columns: Sequence[OnlineColumn]) -> tuple[str, int] | None:
    """A column that holds NaN or an infinity, and the first row that does."""
    for column in columns:
        if column.type in ("float", "double"):
            finite = pc.fill_null(pc.is_finite(table.column(column.name)), True)
            row_index = pc.index(pc.invert(finite), True).as_py()
            if row_index >= 0:
                return column.name, row_index
    return None


# -- the strings of types


def _format_plain(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    return values.cast(pa.string())


def _format_boolean(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    return values.cast(pa.int8()).cast(pa.string())


def _format_timestamp(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    instants = values.cast(pa.timestamp("us", "UTC"))
    return instants.cast(pa.timestamp("us")).cast(pa.string())


def _format_binary(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    return _format_one_by_one(values, lambda value: value.hex().upper())


def _format_nested(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    return _format_one_by_one(values, lambda value: column.storage.encode(value).decode())


def _format_decimal(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    strings = values.cast(pa.string())
    if pc.any(pc.match_substring(strings, "E")).as_py():
        return _format_one_by_one(values, lambda value: f"{value:f}")
    return strings


def _format_double(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    numbers = values.cast(pa.float64())
    magnitudes = pc.abs(numbers)
    in_range = pc.and_(pc.greater_equal(magnitudes, _PLAIN_MIN), pc.less(magnitudes, _PLAIN_MAX))
    is_plain = pc.or_(in_range, pc.equal(magnitudes, 0.0))
    needs_exponent = pc.fill_null(pc.invert(is_plain), False).combine_chunks()
    strings = numbers.cast(pa.string())
    if not pc.any(needs_exponent).as_py():
        return strings
    other_numbers = numbers.filter(needs_exponent).to_pylist()
    other_strings = pa.array([format_number(number) for number in other_numbers], pa.string())
    combined = strings.combine_chunks()
    return pa.chunked_array([pc.replace_with_mask(combined, needs_exponent, other_strings)])


def _format_one_by_one(
    values: pa.ChunkedArray, format_value: Callable[[Any], str]
) -> pa.ChunkedArray:
    """What has to be written value by value."""
    chunks = []
    for chunk in values.chunks:
        cells = chunk.to_pylist()
        chunks.append([None if cell is None else format_value(cell) for cell in cells])
    return pa.chunked_array(chunks, pa.string())


def format_number(value: float) -> str:
    """A number as MySQL and MariaDB print it.

    It is the shortest digits that give it back, with an exponent outside of 1e-15 to 1e15.
    """
    sign, digits, exponent = _split_number(value)
    point = len(digits) + exponent  # the value is 0.digits times ten to this
    if not digits:
        return f"{sign}0"
    if not -14 <= point <= 15:
        return f"{sign}{_insert_point(digits, 1)}e{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return sign + _insert_point(digits, point)


def _insert_point(digits: str, point: int) -> str:
    """The digits with a point behind so many of them, where others follow."""
    whole = digits[:point].ljust(point, "0")
    fraction = digits[point:]
    return f"{whole}.{fraction}" if fraction else whole


def _split_number(value: float) -> tuple[str, str, int]:
    """The sign, the digits, and the power of ten of the last of them.

    There are no zeros at either end.
    """
    sign = "-" if str(value).startswith("-") else ""
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    all_digits = (whole + fraction).lstrip("0")
    digits = all_digits.rstrip("0")
    trailing_zeros = len(all_digits) - len(digits)
    return sign, digits, int(power or 0) - len(fraction) + trailing_zeros


_FORMATTERS: Mapping[str, Callable[[pa.ChunkedArray, OnlineColumn], pa.ChunkedArray]] = {
    "boolean": _format_boolean,
    "timestamp": _format_timestamp,
    "binary": _format_binary,
    "decimal": _format_decimal,
    "double": _format_double,
    "float": _format_double,
    **dict.fromkeys(types.NESTED, _format_nested),
}
