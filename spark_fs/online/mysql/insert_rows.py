"""Rows of Arrow as INSERT statements, for a server that lets no local file be loaded, as MySQL ships.

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

from spark_fs.base import types
from spark_fs.online import text_format
from spark_fs.online.mysql.store import PLAIN
from spark_fs.online.table import OnlineColumn

_STATEMENT_BYTES = 1 << 20  # bytes of one statement
_ESCAPES = (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0"))  # the backslash first
OnlineColumns = Sequence[OnlineColumn]


def insert_rows(cursor: Any, table_name: str, columns: OnlineColumns, rows: pa.Table) -> None:
    """Write rows into a table, over those that have their key."""
    cursor.execute("SELECT @@max_allowed_packet")
    ((packet,),) = cursor.fetchall()
    head = f"REPLACE INTO {PLAIN.quote_name(table_name)} ({PLAIN.quote_columns(columns)}) VALUES ".encode()
    for values in _split_values(
        _format_rows(rows, columns), min(_STATEMENT_BYTES, int(packet) // 2)
    ):
        cursor.execute(head + values)


def _split_values(values: pa.Array, max_bytes: int) -> Iterator[bytes]:
    """Rows behind commas, so many bytes at a time; one row at least."""
    offsets = np.frombuffer(values.buffers()[1], np.int64)[
        values.offset : values.offset + len(values) + 1
    ]
    text = memoryview(values.buffers()[2])
    start = 0
    while start < len(values):
        end = max(
            start + 1, int(np.searchsorted(offsets, offsets[start] + max_bytes, side="right")) - 1
        )
        yield bytes(text[offsets[start] : offsets[end] - 1])  # each row ends with a comma
        start = end


def _format_rows(rows: pa.Table, columns: OnlineColumns) -> pa.Array:
    """Each row as ``('1','a',NULL),``. Numbers are quoted too: they are read as LOAD DATA reads them, with all their digits."""
    cells = [_format_literals(rows.column(c.name), c) for c in columns]
    inner = pc.binary_join_element_wise(
        *cells, _make_string_scalar(","), null_handling="replace", null_replacement="NULL"
    )
    found = pc.binary_join_element_wise(
        _make_string_scalar("("), inner, _make_string_scalar("),"), _make_string_scalar("")
    )
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _format_literals(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    found = text_format.format_values(values, column)
    if column.type == "string" or types.get_base_type(column.type) in types.NESTED:
        found = _escape_strings(found)
    return pc.binary_join_element_wise(
        _make_string_scalar("X'" if column.type == "binary" else "'"),
        found,
        _make_string_scalar("'"),
        _make_string_scalar(""),
    )


def _escape_strings(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(values, "[\\\\'\\x00]")).as_py():
        for letter, instead in _ESCAPES:
            values = pc.replace_substring(values, letter, instead)
    return values


def _make_string_scalar(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())
