"""Read a table of MySQL or MariaDB back, to compare it.

There are checksums that the server computes, and the rows of some buckets.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from spark_fs.base import types
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.mysql.dialects import PLAIN
from spark_fs.online.mysql.negative_zero import STAND_INS
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.table_layout import OnlineTable

_FETCH_ROWS = 20_000
OnlineColumns = Sequence[OnlineColumn]


def compute_checksums(
    store: MySQLStore, table: OnlineTable, bucket_count: int, cutoff: datetime | None
) -> dict[int, tuple[int, int]]:
    """Of each bucket of keys how many rows it holds and the sum of their checksums.

    Args:
        store: The store.
        table: The table.
        bucket_count: How many buckets the keys are dealt to.
        cutoff: The event time (UTC) before which rows are left out. None: no row is.

    Returns:
        By bucket the number of its rows and the sum of their checksums, for those that have rows.
    """
    rows, bounds = _select_from_parts(table, cutoff)
    bucket = _build_checksum_expression(table, table.key_columns)
    checksum = _build_checksum_expression(table, table.columns)
    query = (
        f"SELECT {bucket} MOD {bucket_count} AS b, COUNT(*), SUM({checksum}) FROM {rows} GROUP BY b"
    )
    with store.transaction() as cursor:
        cursor.execute(query, bounds)
        return {
            int(number): (int(row_count), int(total))
            for number, row_count, total in cursor.fetchall()
        }


def read_buckets(
    store: MySQLStore,
    table: OnlineTable,
    bucket_count: int,
    bucket_numbers: Sequence[int],
    cutoff: datetime | None,
) -> Iterator[tuple[Any, ...]]:
    """The rows of some buckets, decoded.

    Args:
        store: The store.
        table: The table.
        bucket_count: How many buckets the keys are dealt to.
        bucket_numbers: The buckets to read.
        cutoff: The event time (UTC) before which rows are left out. None: no row is.

    Yields:
        The values of each row, in the order of the table's columns.
    """
    rows, bounds = _select_from_parts(table, cutoff)
    columns = ", ".join(_build_read_expression(table, column) for column in table.columns)
    bucket = _build_checksum_expression(table, table.key_columns)
    numbers = ", ".join(map(str, bucket_numbers))
    keyword = "AND" if bounds else "WHERE"
    decoders = [column.storage.decode for column in table.columns]
    with store.transaction() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM {rows} {keyword} {bucket} MOD {bucket_count} IN ({numbers})",
            bounds,
        )
        while batch := cursor.fetchmany(_FETCH_ROWS):
            for row in batch:
                yield tuple(
                    None if value is None else decode(value)
                    for decode, value in zip(decoders, row, strict=True)
                )


def _select_from_parts(table: OnlineTable, cutoff: datetime | None) -> tuple[str, tuple[Any, ...]]:
    """The tables of a group as one, and the parameters of the condition.

    Rows past the ttl are left out.
    """
    rows = PLAIN.join_parts(table)
    if cutoff is None:
        return rows, ()
    return f"{rows} WHERE {PLAIN.within_ttl_condition(table, 'p0')}", table.ttl_bounds(cutoff)


def _build_reference(table: OnlineTable, column: OnlineColumn) -> str:
    return f"p{table.part_by_column[column.name]}.{PLAIN.quote_name(column.name)}"


def _build_read_expression(table: OnlineTable, column: OnlineColumn) -> str:
    reference = _build_reference(table, column)
    if column.type == "float":
        return f"{reference} * 1e0"  # else six digits of it are shown
    return reference


def _build_checksum_expression(table: OnlineTable, columns: OnlineColumns) -> str:
    """The checksum that ``text_format.compute_checksums`` gives for the same values."""
    cells = []
    for column in columns:
        string = _build_string_expression(column, _build_reference(table, column))
        cells.append(f"COALESCE({string}, '\\\\N')")
    return f"CRC32(CONCAT_WS('\\t', {', '.join(cells)}))"


def _build_string_expression(column: OnlineColumn, reference: str) -> str:
    kind = types.get_base_type(column.type)
    if kind == "string":
        return f"CONCAT(CHAR_LENGTH({reference}), ':', {reference})"
    if kind in types.NESTED:
        return f"CONCAT(LENGTH({reference}), ':', {reference})"
    if kind == "binary":
        return f"HEX({reference})"
    if kind in STAND_INS and column.is_key:
        return f"CONCAT({reference} + 0e0)"
    if kind in STAND_INS:  # a product keeps the sign of zero
        return f"IF({reference} = {STAND_INS[kind]!r}, '-0', CONCAT({reference} * 1e0))"
    return f"CONCAT({reference})"
