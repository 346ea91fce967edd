"""Rows of Arrow as INSERT statements, for a server that lets no local file be loaded, as MySQL ships.

A statement is made by Arrow, without a Python value for each cell, and sent as it is: the driver formats nothing, so that it does not
matter which of the two it is. Spark's workers have the one in pure Python: they load Arrow before our code, and after that glibc cannot
load the C extension any more (``libstdc++.so.6: cannot allocate memory in static TLS block``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs import types
from spark_fs.online import texts
from spark_fs.online.layout import OnlineColumn
from spark_fs.online.mysql import PLAIN

_STATEMENT = 1 << 20  # bytes of one statement
_ESCAPED = (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0"))  # the backslash first
Columns = Sequence[OnlineColumn]


def insert(cursor: Any, name: str, columns: Columns, rows: pa.Table) -> None:
    """Write rows into a table, over those that have their key."""
    cursor.execute("SELECT @@max_allowed_packet")
    ((packet,),) = cursor.fetchall()
    head = f"REPLACE INTO {PLAIN.name(name)} ({PLAIN.names(columns)}) VALUES ".encode()
    for values in _shares(_values(rows, columns), min(_STATEMENT, int(packet) // 2)):
        cursor.execute(head + values)


def _shares(rows: pa.Array, size: int) -> Iterator[bytes]:
    """Rows behind commas, so many bytes at a time; one row at least."""
    offsets = np.frombuffer(rows.buffers()[1], np.int64)[rows.offset : rows.offset + len(rows) + 1]
    text = memoryview(rows.buffers()[2])
    start = 0
    while start < len(rows):
        end = max(start + 1, int(np.searchsorted(offsets, offsets[start] + size, side="right")) - 1)
        yield bytes(text[offsets[start] : offsets[end] - 1])  # each row ends with a comma
        start = end


def _values(rows: pa.Table, columns: Columns) -> pa.Array:
    """Each row as ``('1','a',NULL),``. Numbers are quoted too: they are read as LOAD DATA reads them, with all their digits."""
    cells = [_literal(rows.column(c.name), c) for c in columns]
    inner = pc.binary_join_element_wise(*cells, _text(","), null_handling="replace", null_replacement="NULL")
    found = pc.binary_join_element_wise(_text("("), inner, _text("),"), _text(""))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _literal(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    found = texts.texts(values, column)
    if column.type == "string" or types.base(column.type) in types.NESTED:
        found = _escaped(found)
    return pc.binary_join_element_wise(_text("X'" if column.type == "binary" else "'"), found, _text("'"), _text(""))


def _escaped(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pc.any(pc.match_substring_regex(values, "[\\\\'\\x00]")).as_py():
        for letter, instead in _ESCAPED:
            values = pc.replace_substring(values, letter, instead)
    return values


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())
