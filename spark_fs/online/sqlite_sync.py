"""Bring a table of the embedded store up to its feature group, as ``mysql_sync`` does on a server."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa

from spark_fs import arrow, private
from spark_fs.errors import ConflictError
from spark_fs.online import sqlite as file
from spark_fs.online import texts
from spark_fs.online.layout import OnlineColumn, OnlineTable
from spark_fs.online.sqlite import SQL, SQLiteStore
from spark_fs.online.statements import ORIGINS, SYNCED
from spark_fs.online.store import Merged, Origin, Place, Synced, check_origin

_FETCHED = 20_000
_WAIT = 5.0  # seconds for another sync to end
Columns = Sequence[OnlineColumn]


class SQLiteWriter:
    """The writing side of a store."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store

    @contextmanager
    def session(self, table: OnlineTable, origin: Origin) -> Iterator["SQLiteSession"]:
        """Begin a sync; ConflictError while another one of the table runs. The lock is on a file of its own and ends with its process."""
        locked = f"{self.store.path}-sync-{table.name}"
        private.file(locked)
        with closing(sqlite3.connect(locked, timeout=_WAIT, isolation_level=None, check_same_thread=False)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise file.translated(self.store.path, error) from error
                raise ConflictError(
                    f"Another sync of {table.name} in the online store {self.store.path} is running: nothing was written. Wait until it "
                    "ends, then sync again."
                ) from None
            session = SQLiteSession(self.store, table, origin)
            try:
                yield session
            finally:
                session.sweep()

    def load(self, table: OnlineTable, place: Place, rows: pa.Table) -> None:
        """Add rows to a place."""
        with self.store.transaction() as connection:
            for number, part in enumerate(table.parts):
                _insert(connection, place.rows(number), part, rows)

    def load_gone(self, table: OnlineTable, place: Place, keys: pa.Table) -> None:
        """Add keys to those that go."""
        with self.store.transaction() as connection:
            _insert(connection, place.gone, table.keys, keys)

    def checksums(self, table: OnlineTable, buckets: int, cutoff: datetime | None) -> dict[int, tuple[int, int]]:
        """Of each bucket of keys how many rows it holds and the sum of their checksums; computed in this process, where SQLite is."""
        counts, sums = np.zeros(buckets, np.int64), np.zeros(buckets, np.uint64)
        for rows in self._tables(table, cutoff):
            number = texts.checksums(rows, table.keys) % buckets
            np.add.at(counts, number, 1)
            np.add.at(sums, number, texts.checksums(rows, table.columns).astype(np.uint64))
        return {int(b): (int(counts[b]), int(sums[b])) for b in np.flatnonzero(counts)}

    def rows_of(self, table: OnlineTable, buckets: int, chosen: Sequence[int], cutoff: datetime | None) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets, decoded."""
        for rows in self._tables(table, cutoff):
            kept = rows.filter(pa.array(np.isin(texts.checksums(rows, table.keys) % buckets, chosen)))
            yield from zip(*(kept.column(c.name).to_pylist() for c in table.columns), strict=True)

    def newest(self, table: OnlineTable) -> Any:
        """The greatest event time in the table."""
        column = table.by_name[table.event_time or ""]
        ((found,),) = self.store.connection().execute(f"SELECT MAX({SQL.name(column.name)}) FROM {SQL.name(table.name)}")
        return None if found is None else column.storage.decode(found)

    def _tables(self, table: OnlineTable, cutoff: datetime | None) -> Iterator[pa.Table]:
        """The rows of all parts, some at a time, decoded, as Arrow; OnlineStoreError where there is no table, or the file fails."""
        file.check_table(self.store, table.name)
        try:
            yield from self._fetched(table, cutoff)
        except sqlite3.Error as error:
            raise file.translated(self.store.path, error) from error

    def _fetched(self, table: OnlineTable, cutoff: datetime | None) -> Iterator[pa.Table]:
        joins = "".join(
            f" LEFT JOIN {SQL.name(table.part_name(i))} p{i} ON {SQL.same_key(table, f'p{i}', 'p0')}" for i in range(1, len(table.parts))
        )
        where = "" if cutoff is None else f" WHERE {SQL.fresh(table, 'p0')}"
        columns = [f"p{table.part_of[c.name]}.{SQL.name(c.name)}" for c in table.columns]
        most = table.limits.max_columns
        bounds = () if cutoff is None else table.bounds(cutoff)
        rest = f"FROM {SQL.name(table.name)} p0{joins}{where} ORDER BY {SQL.names(table.keys, 'p0.')}"
        slices = (columns[i : i + most] for i in range(0, len(columns), most))
        cursors = [self.store.connection().execute(f"SELECT {', '.join(names)} {rest}", bounds) for names in slices]
        schema = arrow.schema_of({c.name: c.type for c in table.columns})
        while found := [cursor.fetchmany(_FETCHED) for cursor in cursors]:
            if not found[0]:
                return
            cells = [column for rows in found for column in zip(*rows, strict=True)]
            decoded = [
                pa.array([None if v is None else c.storage.decode(v) for v in values], schema.field(c.name).type)
                for c, values in zip(table.columns, cells, strict=True)
            ]
            yield pa.Table.from_arrays(decoded, schema=schema)


class SQLiteSession:
    """One sync, while its lock is held."""

    def __init__(self, store: SQLiteStore, table: OnlineTable, origin: Origin) -> None:
        self._store, self._table, self._origin, self._run = store, table, origin, uuid4().hex
        with store.transaction() as connection:
            self.synced: Synced | None = file.read_synced(connection, table.name)
            if file.found_columns(connection, table.name):
                check_origin(store.path, table, self.synced, file.read_origin(connection, table.name), origin)
            else:
                self.synced = None

    def begin(self, afresh: bool) -> Place:
        """A new place for the rows of this run, what a killed run left being removed."""
        self.sweep()
        place, table = Place(f"_run_{table_key(self._table)}_{self._run[:8]}_", afresh), self._table
        with self._store.transaction() as connection:
            for number, part in enumerate(table.parts):
                connection.execute(SQL.create(place.rows(number), part, table, {}))
            if not afresh:
                file.add_missing(connection, table)
                connection.execute(SQL.create(place.gone, table.keys, table, {}))
        return place

    def sweep(self) -> None:
        """Remove the tables of this table's runs, killed ones among them."""
        prefix = f"_run_{table_key(self._table)}_"
        with self._store.transaction() as connection:
            found = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, ?) = ?", (len(prefix), prefix)
            ).fetchall()
            for (name,) in found:
                connection.execute(SQL.drop([name]))

    def swap(self, place: Place, version: int) -> None:
        """Let the loaded rows be the table."""
        with self._store.transaction() as connection:
            for number in range(len(self._table.parts)):
                name = self._table.part_name(number)
                connection.execute(SQL.drop([name]))
                connection.execute(f"ALTER TABLE {SQL.name(place.rows(number))} RENAME TO {SQL.name(name)}")
            self._remember(connection, version)

    def merge(self, place: Place, version: int, cutoff: datetime | None) -> Merged:
        """Delete what is gone, write what was loaded, delete what is past its ttl, and remember the version: one transaction."""
        table = self._table
        with self._store.transaction() as connection:
            deleted = _delete_gone(connection, table, place)
            skipped = expired = 0
            if table.event_time:
                time = SQL.name(table.event_time)
                skipped = connection.execute(
                    f"SELECT COUNT(*) FROM {SQL.name(place.rows(0))} s JOIN {SQL.name(table.name)} t ON {SQL.same_key(table, 's', 't')} "
                    f"WHERE s.{time} < t.{time}"
                ).fetchone()[0]
            for number, part in enumerate(table.parts):
                connection.execute(_upsert(table, part, table.part_name(number), place.rows(number)))
                if cutoff is not None:
                    target = SQL.name(table.part_name(number))
                    gone = connection.execute(f"DELETE FROM {target} AS t WHERE {SQL.expired(table, 't')}", table.bounds(cutoff)).rowcount
                    expired = max(expired, gone)
            self._remember(connection, version)
        return Merged(skipped, deleted, expired)

    def _remember(self, connection: sqlite3.Connection, version: int) -> None:
        row = (self._table.name, version, self._run, datetime.now(UTC).replace(tzinfo=None).isoformat())
        connection.execute(f"INSERT OR REPLACE INTO {SYNCED} VALUES (?, ?, ?, ?)", row)
        made_from = (self._table.name, self._origin.id, self._origin.place)
        connection.execute(f"INSERT OR REPLACE INTO {ORIGINS} VALUES (?, ?, ?)", made_from)


def table_key(table: OnlineTable) -> str:
    """What the names of the tables of a table's runs begin with, between bars that no name of a group has."""
    return f"|{table.name}|"


def _delete_gone(connection: sqlite3.Connection, table: OnlineTable, place: Place) -> int:
    """Delete every key that goes; those of which another row was loaded do not count."""
    gone, rows = SQL.name(place.gone), SQL.name(place.rows(0))
    absent = f"LEFT JOIN {rows} s ON {SQL.same_key(table, 's', 'k')} WHERE s.{SQL.name(table.key[0])} IS NULL"
    there = f"{SQL.name(table.name)} t JOIN {gone} k ON {SQL.same_key(table, 't', 'k')}"
    deleted = connection.execute(f"SELECT COUNT(*) FROM {there} {absent}").fetchone()[0]
    for number in range(len(table.parts)):
        target = SQL.name(table.part_name(number))
        connection.execute(f"DELETE FROM {target} AS t WHERE EXISTS (SELECT 1 FROM {gone} k WHERE {SQL.same_key(table, 't', 'k')})")
    return int(deleted)


def _upsert(table: OnlineTable, part: Columns, target: str, loaded: str) -> str:
    others = [SQL.name(c.name) for c in part if c.name not in table.key]
    action = "DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in others) if others else "DO NOTHING"
    if table.event_time:
        time = SQL.name(table.event_time)
        action += f" WHERE excluded.{time} >= {SQL.name(target)}.{time}"
    columns = SQL.names(part)
    return (
        f"INSERT INTO {SQL.name(target)} ({columns}) SELECT {columns} FROM {SQL.name(loaded)} WHERE true "
        f"ON CONFLICT ({SQL.names(table.keys)}) {action}"
    )


def _insert(connection: sqlite3.Connection, name: str, columns: Columns, rows: pa.Table) -> None:
    cells = []
    for column in columns:
        encode = column.storage.encode
        cells.append([None if v is None else encode(v) for v in rows.column(column.name).to_pylist()])
    places = ", ".join("?" for _ in columns)
    connection.executemany(f"INSERT OR REPLACE INTO {SQL.name(name)} ({SQL.names(columns)}) VALUES ({places})", zip(*cells, strict=True))
