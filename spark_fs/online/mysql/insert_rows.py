"""Rows of Arrow as INSERT statements, for a server that lets no local file be loaded.

MySQL is such a server, as it ships.

A statement is made by Arrow, without a Python value for each cell, and sent as it is: the driver
formats nothing, so that it does not matter which of the two it is. Spark's workers have the one in
pure Python: they load Arrow before our code, and after that glibc cannot load the C extension any
more (``libstdc++.so.6: cannot allocate memory in static TLS block``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.online import text_format
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.mysql.dialects import PLAIN

_STATEMENT_BYTES = 1 << 20  # bytes of one statement
_ESCAPES = (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0"))  # the backslash first
OnlineColumns = Sequence[OnlineColumn]


def insert_rows(cursor: Any, table_name: str, columns: OnlineColumns, rows: pa.Table) -> None:
    """Write rows into a table, over those that have their key."""
    cursor.execute("SELECT @@max_allowed_packet")
    ((packet,),) = cursor.fetchall()
    table = PLAIN.quote_name(table_name)
    head = f"REPLACE INTO {table} ({PLAIN.quote_columns(columns)}) VALUES ".encode()
    max_bytes = min(_STATEMENT_BYTES, int(packet) // 2)
    for part in text_format.iter_parts(rows):
        for values in _split_values(_format_rows(part, columns), max_bytes):
            cursor.execute(head + values)


def _split_values(values: pa.Array, max_bytes: int) -> Iterator[bytes]:
    """Rows behind commas, so many bytes at a time; one row at least."""
    _, offsets_buffer, text_buffer = values.buffers()
    all_offsets = np.frombuffer(offsets_buffer, np.int64)
    offsets = all_offsets[values.offset : values.offset + len(values) + 1]
    text = memoryview(text_buffer)
    start = 0
    while start < len(values):
        first_beyond = int(np.searchsorted(offsets, offsets[start] + max_bytes, side="right"))
        end = max(start + 1, first_beyond - 1)
        yield bytes(text[offsets[start] : offsets[end] - 1])  # each row ends with a comma
        start = end


def _format_rows(rows: pa.Table, columns: OnlineColumns) -> pa.Array:
    """Each row as ``('1','a',NULL),``.

    Numbers are quoted too: they are read as LOAD DATA reads them, with all their digits.
    """
    cells = [_format_literals(rows.column(column.name), column) for column in columns]
    inner = pc.binary_join_element_wise(
        *cells, _make_string_scalar(","), null_handling="replace", null_replacement="NULL"
    )
    return text_format.combine_chunks(_join_strings("(", inner, "),"))


def _format_literals(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    strings = text_format.format_values(values, column)
    if text_format.is_free_text(column):
        strings = _escape_strings(strings)
    opening = "X'" if column.type == "binary" else "'"
    return _join_strings(opening, strings, "'")


def _join_strings(before: str, strings: pa.ChunkedArray, after: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(
        _make_string_scalar(before), strings, _make_string_scalar(after), _make_string_scalar("")
    )


def _escape_strings(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(values, "[\\\\'\\x00]")).as_py():
        for letter, escape in _ESCAPES:
            values = pc.replace_substring(values, letter, escape)
    return values


def _make_string_scalar(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())
