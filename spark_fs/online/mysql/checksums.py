"""Read a table of MySQL or MariaDB back, to compare it: checksums that the server computes, and the rows of some buckets."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from spark_fs.base import types
from spark_fs.online.mysql.store import PLAIN, MySQLStore
from spark_fs.online.table import OnlineColumn, OnlineTable

_FETCH_ROWS = 20_000
OnlineColumns = Sequence[OnlineColumn]


def compute_checksums(
    store: MySQLStore, table: OnlineTable, bucket_count: int, cutoff: datetime | None
) -> dict[int, tuple[int, int]]:
    """Of each bucket of keys how many rows it holds and the sum of their checksums."""
    rows, bounds = _join_parts(table, cutoff)
    query = (
        f"SELECT {_build_checksum_expression(table.key_columns)} MOD {bucket_count} AS b, COUNT(*),"
        f" SUM({_build_checksum_expression(table.columns, table)}) FROM {rows} GROUP BY b"
    )
    with store.transaction() as cursor:
        cursor.execute(query, bounds)
        return {int(bucket): (int(count), int(total)) for bucket, count, total in cursor.fetchall()}


def read_buckets(
    store: MySQLStore,
    table: OnlineTable,
    bucket_count: int,
    bucket_numbers: Sequence[int],
    cutoff: datetime | None,
) -> Iterator[tuple[Any, ...]]:
    """The rows of some buckets, decoded."""
    rows, bounds = _join_parts(table, cutoff)
    columns = ", ".join(_read_expression(c, table) for c in table.columns)
    wanted = (
        f"{_build_checksum_expression(table.key_columns)} MOD {bucket_count} IN"
        f" ({', '.join(map(str, bucket_numbers))})"
    )
    decode = [c.storage.decode for c in table.columns]
    with store.transaction() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM {rows} {'AND' if bounds else 'WHERE'} {wanted}", bounds
        )
        while found := cursor.fetchmany(_FETCH_ROWS):
            for row in found:
                yield tuple(None if v is None else of(v) for of, v in zip(decode, row, strict=True))


def read_newest_event_time(store: MySQLStore, table: OnlineTable) -> Any:
    """The greatest event time in the table."""
    column = table.columns_by_name[table.event_time or ""]
    with store.transaction() as cursor:
        cursor.execute(
            f"SELECT MAX({PLAIN.quote_name(column.name)}) FROM {PLAIN.quote_name(table.name)}"
        )
        ((found,),) = cursor.fetchall()
    return None if found is None else column.storage.decode(found)


def _join_parts(table: OnlineTable, cutoff: datetime | None) -> tuple[str, tuple[Any, ...]]:
    """The tables of a group as one, with the parameters of its condition."""
    joins = "".join(
        f" LEFT JOIN {PLAIN.quote_name(table.part_name(i))} p{i} ON"
        f" {PLAIN.same_key(table, f'p{i}', 'p0')}"
        for i in range(1, len(table.part_columns))
    )
    where = "" if cutoff is None else f" WHERE {PLAIN.within_ttl_condition(table, 'p0')}"
    return f"{PLAIN.quote_name(table.name)} p0{joins}{where}", (
        () if cutoff is None else table.ttl_bounds(cutoff)
    )


def _build_column_reference(column: OnlineColumn, table: OnlineTable | None) -> str:
    return f"p{table.part_by_column[column.name] if table else 0}.{PLAIN.quote_name(column.name)}"


def _read_expression(column: OnlineColumn, table: OnlineTable) -> str:
    at = _build_column_reference(column, table)
    return f"{at} + 0e0" if column.type == "float" else at  # else six digits of it are shown


def _build_checksum_expression(columns: OnlineColumns, table: OnlineTable | None = None) -> str:
    """The checksum that ``texts.checksums`` gives for the same values."""
    cells = ", ".join(
        f"COALESCE({_build_string_expression(c, _build_column_reference(c, table))}, '\\\\N')"
        for c in columns
    )
    return f"CRC32(CONCAT_WS('\\t', {cells}))"


def _build_string_expression(column: OnlineColumn, reference: str) -> str:
    kind = types.get_base_type(column.type)
    if kind == "string":
        return f"CONCAT(CHAR_LENGTH({reference}), ':', {reference})"
    if kind in types.NESTED:
        return f"CONCAT(LENGTH({reference}), ':', {reference})"
    if kind == "binary":
        return f"HEX({reference})"
    return f"CONCAT({reference} + 0e0)" if kind in ("float", "double") else f"CONCAT({reference})"
