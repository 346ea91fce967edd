"""Columns of Arrow as the texts that a database reads and prints, made without a Python value for each cell.

A text is what the server prints of the value, so that the same text serves to load a row and to
compare checksums of it.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import types
from spark_fs.online.table import OnlineColumn

NULL = "\\N"
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0"))  # the backslash first
_PLAIN_MIN, _PLAIN_MAX = (
    1e-4,
    1e10,
)  # numbers whose text is digits and a point, in Arrow and on the server alike


def format_values(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    """The text of each value, null where it is null."""
    return _FORMATTERS.get(types.get_base_type(column.type), _format_plain)(values, column).cast(
        pa.large_string()
    )


def escape_values(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts as LOAD DATA takes them, between tabs."""
    if pc.any(pc.match_substring_regex(values, "[\\\\\t\n\\x00]")).as_py():
        for letter, instead in _ESCAPES:
            values = pc.replace_substring(values, letter, instead)
    return values


def format_lines(table: pa.Table, columns: Sequence[OnlineColumn]) -> pa.Buffer:
    """The rows as a file for LOAD DATA: fields behind tabs, rows behind line feeds, backslashes before what would part them."""
    cells = [_format_cell(table.column(c.name), c).combine_chunks() for c in columns]
    whole = _join_cells([_join_cells(cells, "\t"), pa.array([""], pa.large_string())[0]], "\n")
    offsets = np.frombuffer(whole.buffers()[1], np.int64)[
        whole.offset : whole.offset + len(whole) + 1
    ]
    data: pa.Buffer = whole.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    return data


def _join_cells(cells: Sequence[Any], separator: str) -> pa.Array:
    """The texts of each row as one, a null as ``NULL``."""
    mark = pa.scalar(separator, pa.large_string())
    found = pc.binary_join_element_wise(
        *cells, mark, null_handling="replace", null_replacement=NULL
    )
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _format_cell(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    found = format_values(values, column)
    return (
        escape_values(found)
        if column.type == "string" or types.get_base_type(column.type) in types.NESTED
        else found
    )


def compute_checksums(table: pa.Table, columns: Sequence[OnlineColumn]) -> npt.NDArray[np.uint32]:
    """The CRC-32 of each row's values, as ``Statements`` would have the server compute it."""
    cells: list[Any] = []
    for column in columns:
        values = table.column(column.name)
        found = format_values(
            pc.add(values, 0) if column.type in ("float", "double") else values, column
        )  # -0.0 is equal to 0.0
        if column.type == "string" or types.get_base_type(column.type) in types.NESTED:
            size = (
                pc.utf8_length(found)
                if column.type == "string"
                else pc.binary_length(found.cast(pa.large_binary()))
            )
            found = pc.binary_join_element_wise(
                size.cast(pa.large_string()), found, pa.scalar(":", pa.large_string())
            )
        cells.append(found.combine_chunks())
    rows = _join_cells(cells, "\t")
    return np.fromiter(
        map(zlib.crc32, rows.cast(pa.large_binary()).to_numpy(zero_copy_only=False)),
        np.uint32,
        len(rows),
    )


def measure_lengths(table: pa.Table, columns: Sequence[OnlineColumn]) -> dict[str, int]:
    """The length of the longest value of each sized column: characters of texts, else bytes."""
    found = {}
    for column in columns:
        if column.variable_length:
            values = table.column(column.name)
            size = pc.utf8_length(values) if column.type == "string" else pc.binary_length(values)
            found[column.name] = pc.max(size).as_py() or 0
    return found


def find_not_finite(table: pa.Table, columns: Sequence[OnlineColumn]) -> tuple[str, int] | None:
    """A column that holds NaN or an infinity, and the first row that does."""
    for column in columns:
        if column.type in ("float", "double"):
            wrong = pc.invert(pc.fill_null(pc.is_finite(table.column(column.name)), True))
            if (place := pc.index(wrong, True).as_py()) >= 0:
                return column.name, place
    return None


# -- the texts of types


def _format_plain(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    return values.cast(pa.string())


def _format_boolean(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    return values.cast(pa.int8()).cast(pa.string())


def _format_timestamp(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    return values.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")).cast(pa.string())


def _format_binary(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    return _format_one_by_one(values, lambda v: v.hex().upper())


def _format_nested(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    return _format_one_by_one(values, lambda v: column.storage.encode(v).decode())


def _format_decimal(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    found = values.cast(pa.string())
    if pc.any(pc.match_substring(found, "E")).as_py():
        return _format_one_by_one(values, lambda v: f"{v:f}")
    return found


def _format_double(values: pa.ChunkedArray, _: OnlineColumn) -> pa.ChunkedArray:
    numbers = values.cast(pa.float64())
    size = pc.abs(numbers)
    usual = pc.and_(pc.greater_equal(size, _PLAIN_MIN), pc.less(size, _PLAIN_MAX))
    odd = pc.fill_null(pc.invert(pc.or_(usual, pc.equal(size, 0.0))), False).combine_chunks()
    found = numbers.cast(pa.string())
    if not pc.any(odd).as_py():
        return found
    written = pa.array([format_number(v) for v in numbers.filter(odd).to_pylist()], pa.string())
    return pa.chunked_array([pc.replace_with_mask(found.combine_chunks(), odd, written)])


def _format_one_by_one(
    values: pa.ChunkedArray, format_value: Callable[[Any], str]
) -> pa.ChunkedArray:
    """What has to be written value by value."""
    return pa.chunked_array(
        [
            [None if v is None else format_value(v) for v in chunk.to_pylist()]
            for chunk in values.chunks
        ],
        pa.string(),
    )


def format_number(value: float) -> str:
    """A number as MySQL and MariaDB print it: the shortest digits that give it back, with an exponent outside of 1e-15 to 1e15."""
    sign, digits, exponent = _split_number(value)
    point = len(digits) + exponent  # the value is 0.digits times ten to this
    if not digits:
        return f"{sign}0"
    if -14 <= point <= 15:
        if point <= 0:
            return f"{sign}0.{'0' * -point}{digits}"
        whole = digits[:point].ljust(point, "0")
        return f"{sign}{whole}" + (f".{digits[point:]}" if len(digits) > point else "")
    return f"{sign}{digits[0]}" + (f".{digits[1:]}" if len(digits) > 1 else "") + f"e{point - 1}"


def _split_number(value: float) -> tuple[str, str, int]:
    """The sign, the digits without zeros at either end, and the power of ten of the last of them."""
    text = repr(abs(value))
    mantissa, _, power = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    exponent = int(power or 0) - len(fraction)
    digits = (whole + fraction).lstrip("0")
    kept = digits.rstrip("0")
    return "-" if str(value).startswith("-") else "", kept, exponent + len(digits) - len(kept)


_FORMATTERS: Mapping[str, Callable[[pa.ChunkedArray, OnlineColumn], pa.ChunkedArray]] = {
    "boolean": _format_boolean,
    "timestamp": _format_timestamp,
    "binary": _format_binary,
    "decimal": _format_decimal,
    "double": _format_double,
    "float": _format_double,
    **dict.fromkeys(types.NESTED, _format_nested),
}
