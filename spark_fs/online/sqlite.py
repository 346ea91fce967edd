"""The embedded online store: one SQLite file."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from spark_fs.errors import OnlineStoreError
from spark_fs.online.statements import SYNC_TABLE, Statements
from spark_fs.online.store import Capabilities, OnlineTable, Source

SQL = Statements('"', "?", lambda column: column.storage.column)
_WAIT = 30.0  # seconds that a writer waits for another


class SQLiteStore:
    """Tables in the file at ``path``, made when absent."""

    capabilities = Capabilities("sqlite", max_identifier=128, parallel_writes=False, sized_text=False)

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def __reduce__(self) -> tuple[type["SQLiteStore"], tuple[str]]:
        return SQLiteStore, (self._path,)

    def __repr__(self) -> str:
        return f"SQLiteStore({self._path!r})"

    def ensure_table(self, table: OnlineTable) -> None:
        """Create the table; SQLite's texts have no length."""
        with self._transaction() as connection:
            connection.execute(SQL.create(table))

    def upsert(self, table: OnlineTable, rows: Iterable[Sequence[Any]], over_newer: bool = False) -> None:
        """Write rows in one transaction; one older than the row that is there changes nothing, unless ``over_newer``."""
        others = [SQL.name(c.name) for c in table.columns if c.name not in table.key]
        action = "DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in others) if others else "DO NOTHING"
        if table.event_time and not over_newer:
            time = SQL.name(table.event_time)
            action += f" WHERE excluded.{time} >= {SQL.name(table.name)}.{time}"
        conflict = f" ON CONFLICT ({', '.join(map(SQL.name, table.key))}) {action}"
        with self._transaction() as connection:
            connection.executemany(SQL.insert(table) + conflict, rows)

    def delete(self, table: OnlineTable, rows: Iterable[Sequence[Any]]) -> None:
        """Delete the rows of these keys in one transaction."""
        with self._transaction() as connection:
            connection.executemany(SQL.delete(table), rows)

    def drop(self, table: str) -> None:
        """Remove a table and its synced version."""
        if not Path(self._path).exists():
            return
        with self._transaction() as connection:
            self._ensure_sync_table(connection)
            connection.execute(f"DROP TABLE IF EXISTS {SQL.name(table)}")
            connection.execute(f"DELETE FROM {SYNC_TABLE} WHERE name = ?", (table,))

    def synced_version(self, table: str) -> int | None:
        """The Delta version that the table has been brought to; None before the first sync."""
        with self._transaction() as connection:
            self._ensure_sync_table(connection)
            found = connection.execute(f"SELECT delta_version FROM {SYNC_TABLE} WHERE name = ?", (table,)).fetchone()
        return None if found is None else int(found[0])

    def set_synced_version(self, table: str, version: int) -> None:
        """Remember the Delta version that the table has been brought to."""
        with self._transaction() as connection:
            self._ensure_sync_table(connection)
            connection.execute(f"INSERT OR REPLACE INTO {SYNC_TABLE} VALUES (?, ?)", (table, version))

    def lookup_sql(self, sources: Sequence[Source], keys: int, entries: int) -> str:
        """One statement for all sources and entries."""
        return SQL.lookup(sources, keys, entries)

    def select(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run one statement on this thread's own connection."""
        if not Path(self._path).exists():
            raise OnlineStoreError(f"The online store {self._path} does not exist yet: run sync_online first.")
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        try:
            return list(connection.execute(sql, parameters))
        except sqlite3.Error as error:
            raise _translated(self._path, error) from error

    @staticmethod
    def _ensure_sync_table(connection: sqlite3.Connection) -> None:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {SYNC_TABLE} (name TEXT PRIMARY KEY, delta_version INTEGER NOT NULL)")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_WAIT, isolation_level=None)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA journal_mode = WAL")  # readers go on while a sync writes
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _translated(self._path, error) from error


def _translated(path: str, error: sqlite3.Error) -> OnlineStoreError:
    if "no such table" in str(error):
        return OnlineStoreError(f"The online store {path} lacks a table ({error}): run sync_online for its group first.")
    return OnlineStoreError(f"The online store {path} failed and nothing was written: {error}")
