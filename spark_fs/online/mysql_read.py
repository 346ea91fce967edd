"""Read a table of MySQL or MariaDB back, to compare it: checksums that the server computes, and the rows of some buckets."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from spark_fs import types
from spark_fs.online.layout import OnlineColumn, OnlineTable
from spark_fs.online.mysql import PLAIN, MySQLStore

_FETCHED = 20_000
Columns = Sequence[OnlineColumn]


def checksums(store: MySQLStore, table: OnlineTable, buckets: int, cutoff: datetime | None) -> dict[int, tuple[int, int]]:
    """Of each bucket of keys how many rows it holds and the sum of their checksums."""
    rows, bounds = _joined(table, cutoff)
    query = f"SELECT {_crc(table.keys)} MOD {buckets} AS b, COUNT(*), SUM({_crc(table.columns, table)}) FROM {rows} GROUP BY b"
    with store.transaction() as cursor:
        cursor.execute(query, bounds)
        return {int(bucket): (int(count), int(total)) for bucket, count, total in cursor.fetchall()}


def rows_of(
    store: MySQLStore, table: OnlineTable, buckets: int, chosen: Sequence[int], cutoff: datetime | None
) -> Iterator[tuple[Any, ...]]:
    """The rows of some buckets, decoded."""
    rows, bounds = _joined(table, cutoff)
    columns = ", ".join(_read(c, table) for c in table.columns)
    wanted = f"{_crc(table.keys)} MOD {buckets} IN ({', '.join(map(str, chosen))})"
    decode = [c.storage.decode for c in table.columns]
    with store.transaction() as cursor:
        cursor.execute(f"SELECT {columns} FROM {rows} {'AND' if bounds else 'WHERE'} {wanted}", bounds)
        while found := cursor.fetchmany(_FETCHED):
            for row in found:
                yield tuple(None if v is None else of(v) for of, v in zip(decode, row, strict=True))


def newest(store: MySQLStore, table: OnlineTable) -> Any:
    """The greatest event time in the table."""
    column = table.by_name[table.event_time or ""]
    with store.transaction() as cursor:
        cursor.execute(f"SELECT MAX({PLAIN.name(column.name)}) FROM {PLAIN.name(table.name)}")
        ((found,),) = cursor.fetchall()
    return None if found is None else column.storage.decode(found)


def _joined(table: OnlineTable, cutoff: datetime | None) -> tuple[str, tuple[Any, ...]]:
    """The tables of a group as one, with the parameters of its condition."""
    joins = "".join(
        f" LEFT JOIN {PLAIN.name(table.part_name(i))} p{i} ON {PLAIN.same_key(table, f'p{i}', 'p0')}" for i in range(1, len(table.parts))
    )
    where = "" if cutoff is None else f" WHERE {PLAIN.fresh(table, 'p0')}"
    return f"{PLAIN.name(table.name)} p0{joins}{where}", () if cutoff is None else table.bounds(cutoff)


def _at(column: OnlineColumn, table: OnlineTable | None) -> str:
    return f"p{table.part_of[column.name] if table else 0}.{PLAIN.name(column.name)}"


def _read(column: OnlineColumn, table: OnlineTable) -> str:
    at = _at(column, table)
    return f"{at} + 0e0" if column.type == "float" else at  # else six digits of it are shown


def _crc(columns: Columns, table: OnlineTable | None = None) -> str:
    """The checksum that ``texts.checksums`` gives for the same values."""
    cells = ", ".join(f"COALESCE({_text(c, _at(c, table))}, '\\\\N')" for c in columns)
    return f"CRC32(CONCAT_WS('\\t', {cells}))"


def _text(column: OnlineColumn, at: str) -> str:
    kind = types.base(column.type)
    if kind == "string":
        return f"CONCAT(CHAR_LENGTH({at}), ':', {at})"
    if kind in types.NESTED:
        return f"CONCAT(LENGTH({at}), ':', {at})"
    if kind == "binary":
        return f"HEX({at})"
    return f"CONCAT({at} + 0e0)" if kind in ("float", "double") else f"CONCAT({at})"
