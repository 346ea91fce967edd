"""Bring a table of the embedded store up to its feature group, as ``mysql_sync`` does on a server."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from spark_fs.base import arrow_types, private_files
from spark_fs.errors import ConflictError
from spark_fs.online import text_format
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.sqlite import store as file
from spark_fs.online.sqlite.store import SQL, SQLiteStore
from spark_fs.online.statements import ORIGIN_TABLE, SYNC_STATE_TABLE
from spark_fs.online.store import MergeResult, StagingTables, SyncState, TableOrigin, check_origin
from spark_fs.online.table import OnlineTable

_FETCH_ROWS = 20_000
_LOCK_TIMEOUT = 5.0  # seconds for another sync to end
OnlineColumns = Sequence[OnlineColumn]


class SQLiteWriter:
    """The writing side of a store."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store

    @contextmanager
    def open_session(
        self, table: OnlineTable, origin: TableOrigin
    ) -> Iterator["SQLiteSyncSession"]:
        """Begin a sync; ConflictError while another one of the table runs. The lock is on a file of its own and ends with its process."""
        locked = f"{self.store.path}-sync-{table.name}"
        private_files.make_file(locked)
        with closing(
            sqlite3.connect(
                locked, timeout=_LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
            )
        ) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (
                    sqlite3.SQLITE_BUSY,
                    sqlite3.SQLITE_LOCKED,
                ):
                    raise file.translate_error(self.store.path, error) from error
                raise ConflictError(
                    f"Another sync of {table.name} in the online store {self.store.path} is"
                    " running: nothing was written. Wait until it ends, then sync again."
                ) from None
            session = SQLiteSyncSession(self.store, table, origin)
            try:
                yield session
            finally:
                session.clean_up()

    def load_rows(self, table: OnlineTable, staging: StagingTables, rows: pa.Table) -> None:
        """Add rows to a place."""
        with self.store.transaction() as connection:
            for number, part in enumerate(table.part_columns):
                _insert_rows(connection, staging.rows_table(number), part, rows)

    def load_deleted_keys(self, table: OnlineTable, staging: StagingTables, keys: pa.Table) -> None:
        """Add keys to those that go."""
        with self.store.transaction() as connection:
            _insert_rows(connection, staging.deleted_keys, table.key_columns, keys)

    def compute_checksums(
        self, table: OnlineTable, bucket_count: int, cutoff: datetime | None
    ) -> dict[int, tuple[int, int]]:
        """Of each bucket of keys how many rows it holds and the sum of their checksums; computed in this process, where SQLite is."""
        counts, sums = np.zeros(bucket_count, np.int64), np.zeros(bucket_count, np.uint64)
        for rows in self._read_tables(table, cutoff):
            number = text_format.compute_checksums(rows, table.key_columns) % bucket_count
            np.add.at(counts, number, 1)
            np.add.at(
                sums, number, text_format.compute_checksums(rows, table.columns).astype(np.uint64)
            )
        return {int(b): (int(counts[b]), int(sums[b])) for b in np.flatnonzero(counts)}

    def read_buckets(
        self,
        table: OnlineTable,
        bucket_count: int,
        bucket_numbers: Sequence[int],
        cutoff: datetime | None,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets, decoded."""
        for rows in self._read_tables(table, cutoff):
            kept = rows.filter(
                pa.array(
                    np.isin(
                        text_format.compute_checksums(rows, table.key_columns) % bucket_count,
                        bucket_numbers,
                    )
                )
            )
            yield from zip(*(kept.column(c.name).to_pylist() for c in table.columns), strict=True)

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time in the table."""
        column = table.columns_by_name[table.event_time or ""]
        ((found,),) = self.store.get_connection().execute(
            f"SELECT MAX({SQL.quote_name(column.name)}) FROM {SQL.quote_name(table.name)}"
        )
        return None if found is None else column.storage.decode(found)

    def _read_tables(self, table: OnlineTable, cutoff: datetime | None) -> Iterator[pa.Table]:
        """The rows of all parts, some at a time, decoded, as Arrow; OnlineStoreError where there is no table, or the file fails."""
        file.check_table(self.store, table.name)
        try:
            yield from self._fetch_tables(table, cutoff)
        except sqlite3.Error as error:
            raise file.translate_error(self.store.path, error) from error

    def _fetch_tables(self, table: OnlineTable, cutoff: datetime | None) -> Iterator[pa.Table]:
        joins = "".join(
            f" LEFT JOIN {SQL.quote_name(table.part_name(i))} p{i} ON"
            f" {SQL.same_key(table, f'p{i}', 'p0')}"
            for i in range(1, len(table.part_columns))
        )
        where = "" if cutoff is None else f" WHERE {SQL.within_ttl_condition(table, 'p0')}"
        columns = [
            f"p{table.part_by_column[c.name]}.{SQL.quote_name(c.name)}" for c in table.columns
        ]
        most = table.limits.max_columns
        bounds = () if cutoff is None else table.ttl_bounds(cutoff)
        rest = (
            f"FROM {SQL.quote_name(table.name)} p0{joins}{where} ORDER BY"
            f" {SQL.quote_columns(table.key_columns, 'p0.')}"
        )
        slices = (columns[i : i + most] for i in range(0, len(columns), most))
        cursors = [
            self.store.get_connection().execute(f"SELECT {', '.join(names)} {rest}", bounds)
            for names in slices
        ]
        schema = arrow_types.to_arrow_schema({c.name: c.type for c in table.columns})
        while found := [cursor.fetchmany(_FETCH_ROWS) for cursor in cursors]:
            if not found[0]:
                return
            cells = [column for rows in found for column in zip(*rows, strict=True)]
            decoded = [
                pa.array(
                    [None if v is None else c.storage.decode(v) for v in values],
                    schema.field(c.name).type,
                )
                for c, values in zip(table.columns, cells, strict=True)
            ]
            yield pa.Table.from_arrays(decoded, schema=schema)


class SQLiteSyncSession:
    """One sync, while its lock is held."""

    def __init__(self, store: SQLiteStore, table: OnlineTable, origin: TableOrigin) -> None:
        self._store, self._table, self._origin, self._run_id = store, table, origin, uuid4().hex
        with store.transaction() as connection:
            self.last_sync: SyncState | None = file.read_sync_state(connection, table.name)
            if file.list_columns(connection, table.name):
                check_origin(
                    store.path,
                    table,
                    self.last_sync,
                    file.read_origin(connection, table.name),
                    origin,
                )
            else:
                self.last_sync = None

    def begin_staging(self, full_refresh: bool) -> StagingTables:
        """A new place for the rows of this run, what a killed run left being removed."""
        self.clean_up()
        place, table = (
            StagingTables(
                f"_run_{make_staging_key(self._table)}_{self._run_id[:8]}_", full_refresh
            ),
            self._table,
        )
        with self._store.transaction() as connection:
            for number, part in enumerate(table.part_columns):
                connection.execute(SQL.create_table(place.rows_table(number), part, table, {}))
            if not full_refresh:
                file.add_missing_columns(connection, table)
                connection.execute(
                    SQL.create_table(place.deleted_keys, table.key_columns, table, {})
                )
        return place

    def clean_up(self) -> None:
        """Remove the tables of this table's runs, killed ones among them."""
        prefix = f"_run_{make_staging_key(self._table)}_"
        with self._store.transaction() as connection:
            found = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, ?) = ?",
                (len(prefix), prefix),
            ).fetchall()
            for (name,) in found:
                connection.execute(SQL.drop_tables([name]))

    def swap_tables(self, staging: StagingTables, version: int) -> None:
        """Let the loaded rows be the table."""
        with self._store.transaction() as connection:
            for number in range(len(self._table.part_columns)):
                name = self._table.part_name(number)
                connection.execute(SQL.drop_tables([name]))
                connection.execute(
                    f"ALTER TABLE {SQL.quote_name(staging.rows_table(number))} RENAME TO"
                    f" {SQL.quote_name(name)}"
                )
            self._write_sync_state(connection, version)

    def merge_rows(
        self, staging: StagingTables, version: int, cutoff: datetime | None
    ) -> MergeResult:
        """Delete what is gone, write what was loaded, delete what is past its ttl, and remember the version: one transaction."""
        table = self._table
        with self._store.transaction() as connection:
            deleted = _delete_staged_keys(connection, table, staging)
            skipped = expired = 0
            if table.event_time:
                time = SQL.quote_name(table.event_time)
                skipped = connection.execute(
                    f"SELECT COUNT(*) FROM {SQL.quote_name(staging.rows_table(0))} s JOIN"
                    f" {SQL.quote_name(table.name)} t ON {SQL.same_key(table, 's', 't')} WHERE"
                    f" s.{time} < t.{time}"
                ).fetchone()[0]
            for number, part in enumerate(table.part_columns):
                connection.execute(
                    _build_upsert(table, part, table.part_name(number), staging.rows_table(number))
                )
                if cutoff is not None:
                    target = SQL.quote_name(table.part_name(number))
                    gone = connection.execute(
                        f"DELETE FROM {target} AS t WHERE {SQL.expired_condition(table, 't')}",
                        table.ttl_bounds(cutoff),
                    ).rowcount
                    expired = max(expired, gone)
            self._write_sync_state(connection, version)
        return MergeResult(skipped, deleted, expired)

    def _write_sync_state(self, connection: sqlite3.Connection, version: int) -> None:
        row = (
            self._table.name,
            version,
            self._run_id,
            datetime.now(UTC).replace(tzinfo=None).isoformat(),
        )
        connection.execute(f"INSERT OR REPLACE INTO {SYNC_STATE_TABLE} VALUES (?, ?, ?, ?)", row)
        made_from = (self._table.name, self._origin.table_id, self._origin.location)
        connection.execute(f"INSERT OR REPLACE INTO {ORIGIN_TABLE} VALUES (?, ?, ?)", made_from)


def make_staging_key(table: OnlineTable) -> str:
    """What the names of the tables of a table's runs begin with, between bars that no name of a group has."""
    return f"|{table.name}|"


def _delete_staged_keys(
    connection: sqlite3.Connection, table: OnlineTable, staging: StagingTables
) -> int:
    """Delete every key that goes; those of which another row was loaded do not count."""
    gone, rows = SQL.quote_name(staging.deleted_keys), SQL.quote_name(staging.rows_table(0))
    absent = (
        f"LEFT JOIN {rows} s ON {SQL.same_key(table, 's', 'k')} WHERE"
        f" s.{SQL.quote_name(table.primary_key[0])} IS NULL"
    )
    there = f"{SQL.quote_name(table.name)} t JOIN {gone} k ON {SQL.same_key(table, 't', 'k')}"
    deleted = connection.execute(f"SELECT COUNT(*) FROM {there} {absent}").fetchone()[0]
    for number in range(len(table.part_columns)):
        target = SQL.quote_name(table.part_name(number))
        connection.execute(
            f"DELETE FROM {target} AS t WHERE EXISTS (SELECT 1 FROM {gone} k WHERE"
            f" {SQL.same_key(table, 't', 'k')})"
        )
    return int(deleted)


def _build_upsert(
    table: OnlineTable, columns_to_write: OnlineColumns, target_table: str, staging_table: str
) -> str:
    others = [SQL.quote_name(c.name) for c in columns_to_write if c.name not in table.primary_key]
    action = (
        "DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in others)
        if others
        else "DO NOTHING"
    )
    if table.event_time:
        time = SQL.quote_name(table.event_time)
        action += f" WHERE excluded.{time} >= {SQL.quote_name(target_table)}.{time}"
    columns = SQL.quote_columns(columns_to_write)
    return (
        f"INSERT INTO {SQL.quote_name(target_table)} ({columns}) SELECT {columns} FROM"
        f" {SQL.quote_name(staging_table)} WHERE true ON CONFLICT"
        f" ({SQL.quote_columns(table.key_columns)}) {action}"
    )


def _insert_rows(
    connection: sqlite3.Connection, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    cells = []
    for column in columns:
        encode = column.storage.encode
        cells.append(
            [None if v is None else encode(v) for v in rows.column(column.name).to_pylist()]
        )
    places = ", ".join("?" for _ in columns)
    connection.executemany(
        f"INSERT OR REPLACE INTO {SQL.quote_name(table_name)} ({SQL.quote_columns(columns)}) VALUES"
        f" ({places})",
        zip(*cells, strict=True),
    )
