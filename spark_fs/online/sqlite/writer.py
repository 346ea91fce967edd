"""The writing side of the embedded store: its lock, loading, and reading back."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from spark_fs.base import arrow_types, private_files
from spark_fs.errors import ConflictError
from spark_fs.online import text_format
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.sqlite import store as file
from spark_fs.online.sqlite.failures import translate_error
from spark_fs.online.sqlite.store import SQL, SQLiteStore
from spark_fs.online.sqlite.sync_steps import SQLiteSyncSession
from spark_fs.online.store import StagingTables, SyncState, TableOrigin, check_origin
from spark_fs.online.sync_session import OnlineColumns
from spark_fs.online.table_layout import OnlineTable

_FETCH_ROWS = 20_000
_INSERTED_ROWS = 20_000  # rows that are Python's at once
_LOCK_TIMEOUT = 5.0  # seconds for another sync to end
_PRIMARY_CODE = 0xFF  # the bits of an extended error code that say what kind it is


class SQLiteWriter:
    """The writing side of a store."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store

    @contextmanager
    def open_session(
        self, table: OnlineTable, origin: TableOrigin
    ) -> Iterator["SQLiteSyncSession"]:
        """Begin a sync; ConflictError while another one of the table runs.

        The lock is on a file of its own and ends with its process.
        """
        with self._lock_table(table):
            last_sync = self._read_last_sync(table, origin)
            session = SQLiteSyncSession(self.store, table, origin, last_sync)
            try:
                yield session
            finally:
                session.clean_up()

    @contextmanager
    def _lock_table(self, table: OnlineTable) -> Iterator[None]:
        path = f"{self.store.path}-sync-{table.name}"
        private_files.make_file(path)
        lock = sqlite3.connect(
            path, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
        )
        with closing(lock):
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                code = error.sqlite_errorcode & _PRIMARY_CODE
                if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise translate_error(self.store.path, error) from error
                raise ConflictError(
                    f"Another sync of {table.name} in the online store {self.store.path} is"
                    " running: nothing was written. Wait until it ends, then sync again."
                ) from None
            yield

    def _read_last_sync(self, table: OnlineTable, origin: TableOrigin) -> SyncState | None:
        """What is remembered of the table.

        OnlineRefusedError where it is not this store's to write.
        """
        with self.store.transaction() as connection:
            if not file.list_columns(connection, table.name):
                return None  # it was never synced, or somebody dropped it
            last_sync = file.read_sync_state(connection, table.name)
            recorded = file.read_origin(connection, table.name)
            check_origin(self.store.path, table, last_sync, recorded, origin)
            return last_sync

    def load_rows(self, table: OnlineTable, staging: StagingTables, rows: pa.Table) -> None:
        """Add rows to the staging tables."""
        with self.store.transaction() as connection:
            for number, columns in enumerate(table.part_columns):
                _insert_rows(connection, staging.rows_table(number), columns, rows)

    def load_deleted_keys(self, table: OnlineTable, staging: StagingTables, keys: pa.Table) -> None:
        """Add keys to those that go."""
        with self.store.transaction() as connection:
            _insert_rows(connection, staging.deleted_keys, table.key_columns, keys)

    def compute_checksums(
        self, table: OnlineTable, bucket_count: int, cutoff: datetime | None
    ) -> dict[int, tuple[int, int]]:
        """Of each bucket of keys how many rows it holds and the sum of their checksums.

        They are computed in this process, where SQLite is.
        """
        counts = np.zeros(bucket_count, np.int64)
        sums = np.zeros(bucket_count, np.uint64)
        for rows in self._read_rows(table, cutoff):
            buckets = text_format.compute_checksums(rows, table.key_columns) % bucket_count
            checksums = text_format.compute_checksums(rows, table.columns).astype(np.uint64)
            np.add.at(counts, buckets, 1)
            np.add.at(sums, buckets, checksums)
        return {
            int(bucket): (int(counts[bucket]), int(sums[bucket]))
            for bucket in np.flatnonzero(counts)
        }

    def read_buckets(
        self,
        table: OnlineTable,
        bucket_count: int,
        bucket_numbers: Sequence[int],
        cutoff: datetime | None,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets, decoded."""
        for rows in self._read_rows(table, cutoff):
            buckets = text_format.compute_checksums(rows, table.key_columns) % bucket_count
            wanted_rows = rows.filter(pa.array(np.isin(buckets, bucket_numbers)))
            cells = [wanted_rows.column(column.name).to_pylist() for column in table.columns]
            yield from zip(*cells, strict=True)

    def _read_rows(self, table: OnlineTable, cutoff: datetime | None) -> Iterator[pa.Table]:
        """The rows of all parts, some at a time, decoded, as Arrow.

        OnlineStoreError where there is no table, or the file fails.
        """
        file.check_table(self.store, table.name)
        try:
            yield from self._fetch_rows(table, cutoff)
        except sqlite3.Error as error:
            raise translate_error(self.store.path, error) from error

    def _fetch_rows(self, table: OnlineTable, cutoff: datetime | None) -> Iterator[pa.Table]:
        """A table of more columns than a result takes is read by several cursors at once."""
        connection = self.store.get_connection()
        cursors = [
            connection.execute(statement, () if cutoff is None else table.ttl_bounds(cutoff))
            for statement in _build_selects(table, cutoff)
        ]
        schema = arrow_types.to_arrow_schema({c.name: c.type for c in table.columns})
        while True:
            batches = [cursor.fetchmany(_FETCH_ROWS) for cursor in cursors]
            if not batches or not batches[0]:
                return
            cells = [values for rows in batches for values in zip(*rows, strict=True)]
            arrays = []
            for column, values in zip(table.columns, cells, strict=True):
                decode = column.storage.decode
                decoded = [None if value is None else decode(value) for value in values]
                arrays.append(pa.array(decoded, schema.field(column.name).type))
            yield pa.Table.from_arrays(arrays, schema=schema)


def _build_selects(table: OnlineTable, cutoff: datetime | None) -> list[str]:
    """The statements that read all columns in the order of the key, so many columns in each."""
    columns = [
        f"p{table.part_by_column[column.name]}.{SQL.quote_name(column.name)}"
        for column in table.columns
    ]
    from_clause = SQL.join_parts(table)
    if cutoff is not None:
        from_clause += f" WHERE {SQL.within_ttl_condition(table, 'p0')}"
    order = SQL.quote_columns(table.key_columns, "p0.")
    max_columns = table.limits.max_columns
    return [
        f"SELECT {', '.join(columns[start : start + max_columns])} FROM {from_clause}"
        f" ORDER BY {order}"
        for start in range(0, len(columns), max_columns)
    ]


def _insert_rows(
    connection: sqlite3.Connection, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    """Write rows into a table, over those that have their key."""
    placeholders = ", ".join("?" for _ in columns)
    statement = (
        f"INSERT OR REPLACE INTO {SQL.quote_name(table_name)} ({SQL.quote_columns(columns)}) VALUES"
        f" ({placeholders})"
    )
    for start in range(0, rows.num_rows, _INSERTED_ROWS):
        batch = rows.slice(start, _INSERTED_ROWS)
        cells = [_encode_values(batch, column) for column in columns]
        connection.executemany(statement, zip(*cells, strict=True))


def _encode_values(rows: pa.Table, column: OnlineColumn) -> list[Any]:
    """The values of a column as the store holds them."""
    encode = column.storage.encode
    values = rows.column(column.name).to_pylist()
    return [None if value is None else encode(value) for value in values]
