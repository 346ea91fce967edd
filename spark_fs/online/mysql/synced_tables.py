"""What a database of MySQL or MariaDB knows of the syncs of its tables.

It is the version that each was synced to, and its Delta table.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from mysql.connector import ProgrammingError, errorcode

from spark_fs.online.statements import ORIGIN_TABLE, SYNC_STATE_TABLE
from spark_fs.online.store import SyncState, TableOrigin

ALL_SYNC_STATES = f"SELECT name, delta_version, run, synced_at FROM {SYNC_STATE_TABLE}"
_TABLE_DEFINITIONS = (
    (
        f"{SYNC_STATE_TABLE} (name VARCHAR(80) CHARACTER SET ascii PRIMARY KEY, delta_version"
        " BIGINT NOT NULL, run CHAR(32) CHARACTER SET ascii NOT NULL, synced_at DATETIME(6) NOT"
        " NULL) ENGINE=InnoDB"
    ),
    (
        f"{ORIGIN_TABLE} (name VARCHAR(80) CHARACTER SET ascii PRIMARY KEY, id VARCHAR(64)"
        " CHARACTER SET ascii NOT NULL, place VARCHAR(1000) CHARACTER SET utf8mb4 NOT NULL)"
        " ENGINE=InnoDB"
    ),
)


def ensure_tables(cursor: Any) -> None:
    """Make the tables that hold it."""
    for table in _TABLE_DEFINITIONS:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table}")


def read_sync_state(cursor: Any, table_name: str) -> SyncState | None:
    """What the last sync of a table did."""
    query = f"SELECT delta_version, run, synced_at FROM {SYNC_STATE_TABLE} WHERE name = %s"
    row = _fetch_row(cursor, query, table_name)
    if row is None:
        return None
    return _build_sync_state(*row)


def build_sync_states(rows: Iterable[tuple[Any, ...]]) -> dict[str, SyncState]:
    """What the last sync of each table did, from the rows of ``ALL_SYNC_STATES``."""
    return {_to_text(name): _build_sync_state(*state) for name, *state in rows}


def _build_sync_state(version: int, run_id: Any, synced_at: datetime) -> SyncState:
    return SyncState(int(version), _to_text(run_id), synced_at.replace(tzinfo=UTC))


def _to_text(value: Any) -> str:
    """A string that may come as its bytes."""
    return value if isinstance(value, str) else bytes(value).decode()


def read_origin(cursor: Any, table_name: str) -> TableOrigin | None:
    """The Delta table that a table is made from; None where that is not known."""
    row = _fetch_row(cursor, f"SELECT id, place FROM {ORIGIN_TABLE} WHERE name = %s", table_name)
    if row is None:
        return None
    table_id, location = row
    return TableOrigin(str(table_id), str(location))


def write_sync_state(cursor: Any, table_name: str, state: SyncState) -> None:
    """Write what a sync did; the caller commits."""
    synced_at = state.synced_at.replace(tzinfo=None)
    cursor.execute(
        f"REPLACE INTO {SYNC_STATE_TABLE} VALUES (%s, %s, %s, %s)",
        (table_name, state.version, state.run_id, synced_at),
    )


def write_origin(cursor: Any, table_name: str, table_origin: TableOrigin) -> None:
    """Write what a table is made from; the caller commits."""
    cursor.execute(
        f"REPLACE INTO {ORIGIN_TABLE} VALUES (%s, %s, %s)",
        (table_name, table_origin.table_id, table_origin.location[-1_000:]),
    )


def delete_sync_records(cursor: Any, table_name: str) -> None:
    """Remove both."""
    for table in (SYNC_STATE_TABLE, ORIGIN_TABLE):
        cursor.execute(f"DELETE FROM {table} WHERE name = %s", (table_name,))


def _fetch_row(cursor: Any, query: str, table_name: str) -> tuple[Any, ...] | None:
    """The one row of a table; None where there is none.

    There may be no such table: whoever only reads may not make one.
    """
    try:
        cursor.execute(query, (table_name,))
    except ProgrammingError as error:
        if error.errno != errorcode.ER_NO_SUCH_TABLE:
            raise
        return None
    rows = cursor.fetchall()
    return tuple(rows[0]) if rows else None
