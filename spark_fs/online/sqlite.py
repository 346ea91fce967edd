"""The embedded online store: one SQLite file."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from spark_fs import private, types
from spark_fs.errors import OnlineStoreError
from spark_fs.online import forks
from spark_fs.online.layout import Capabilities, OnlineTable
from spark_fs.online.statements import ORIGINS, SYNCED, Question, Statements
from spark_fs.online.store import Found, Lookup, Origin, Source, Synced
from spark_fs.values import UnfitError, converter

# SQLite takes 2,000 columns in a table and in a result.
CAPABILITIES = Capabilities("sqlite", max_identifier=128, max_columns=1_900)


def _key_value(expression: str, type_: str) -> str:
    """A key value as it is compared with its column: a decimal in the digits of the column, where another group's has others."""
    if types.base(type_) != "decimal":
        return expression
    precision, scale = types.sizes(type_)
    return f"spark_fs_decimal({expression}, {precision}, {scale})"


def _decimal(text: str | None, precision: int, scale: int) -> str | None:
    """The text of the same decimal in a column of this precision and scale; None where it holds none."""
    try:
        return None if text is None else str(converter(f"decimal({precision},{scale})")(Decimal(text)))
    except UnfitError:
        return None


SQL = Statements('"', "?", key_value=_key_value)
WAIT = 60.0  # seconds that a writer waits for another


class SQLiteStore:
    """Tables in the file at ``path``, made when absent."""

    capabilities = CAPABILITIES

    def __init__(self, path: str) -> None:
        self.path = path
        self._local = threading.local()
        forks.watch(self)

    def __reduce__(self) -> tuple[type["SQLiteStore"], tuple[str]]:
        return SQLiteStore, (self.path,)

    def __repr__(self) -> str:
        return f"SQLiteStore({self.path!r})"

    # -- serving

    def lookup(self, sources: Sequence[Source], key_types: Sequence[str]) -> Lookup:  # noqa: ARG002 # SQLite takes values as they are
        """Prepare a look-up over several groups."""
        return _Lookup(self, sources)

    def connection(self) -> sqlite3.Connection:
        """This thread's own connection for reading."""
        if not Path(self.path).exists():
            raise OnlineStoreError(f"The online store {self.path} does not exist yet: run sync_online first.")
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connect()
        return found

    def begin_anew(self) -> object:
        """Hold no connection, as in a forked process; returns what held them."""
        held, self._local = self._local, threading.local()
        return held

    def check(self) -> None:
        """Ask the file for an answer."""
        try:
            self.connection().execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise translated(self.path, error) from error

    # -- whole tables

    def add_columns(self, table: OnlineTable, origin: Origin) -> None:
        """Give the table, where there is one of this Delta table, the columns that it lacks."""
        with self.transaction() as connection:
            if not origin.differs(read_origin(connection, table.name)):
                add_missing(connection, table)

    def drop(self, table: OnlineTable, origin: Origin) -> None:
        """Remove a table and what is known of its syncs, unless it is made from another Delta table."""
        if Path(self.path).exists():
            with self.transaction() as connection:
                if origin.differs(read_origin(connection, table.name)):
                    return
                for number in range(len(table.parts)):
                    connection.execute(SQL.drop([table.part_name(number)]))
                for known in (SYNCED, ORIGINS):
                    connection.execute(f"DELETE FROM {known} WHERE name = ?", (table.name,))

    def synced(self, table: OnlineTable) -> Synced | None:
        """What the last sync of the table did."""
        with self.transaction() as connection:
            return read_synced(connection, table.name)

    # -- connections

    def _connect(self) -> sqlite3.Connection:
        private.file(self.path)
        connection = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
        connection.create_function("spark_fs_decimal", 3, _decimal, deterministic=True)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection within a transaction, committed at the end."""
        try:
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA journal_mode = WAL")  # readers go on while a sync writes
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {SYNCED} (name TEXT PRIMARY KEY, delta_version INTEGER NOT NULL, run TEXT NOT NULL, "
                    "synced_at TEXT NOT NULL)"
                )
                connection.execute(f"CREATE TABLE IF NOT EXISTS {ORIGINS} (name TEXT PRIMARY KEY, id TEXT NOT NULL, place TEXT NOT NULL)")
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translated(self.path, error) from error


class _Lookup:
    """One statement for each entry, in one transaction: there is no way to the server to be spared.

    A result of too many columns is asked for in several statements.
    """

    def __init__(self, store: SQLiteStore, sources: Sequence[Source]) -> None:
        self._store = store
        whole = SQL.lookup(sources, "(SELECT 1) e", lambda _: "?", "0")
        self._whole = whole
        self._statements = _sliced(whole, store.capabilities.max_columns) if sources else ()

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> Found:
        connection = self._store.connection()
        try:
            connection.execute("BEGIN")  # all entries and all parts of a row as of one instant
            try:
                return [(number, *self._row(connection, self._whole.values(values, now))) for number, values in enumerate(entries)]
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translated(self._store.path, error) from error

    def _row(self, connection: sqlite3.Connection, asked: Sequence[Any]) -> Iterator[Any]:
        for statement in self._statements:
            yield from connection.execute(statement, asked).fetchone()


def _sliced(whole: Question, most: int) -> tuple[str, ...]:
    """The statement without the entry's number, so many columns at a time."""
    columns = whole.columns[1:]
    return tuple(f"SELECT {', '.join(columns[i : i + most])}{whole.rest}" for i in range(0, len(columns), most))


def read_synced(connection: sqlite3.Connection, name: str) -> Synced | None:
    """What the last sync of a table did."""
    found = connection.execute(f"SELECT delta_version, run, synced_at FROM {SYNCED} WHERE name = ?", (name,)).fetchone()
    return Synced(found[0], found[1], datetime.fromisoformat(found[2]).replace(tzinfo=UTC)) if found else None


def read_origin(connection: sqlite3.Connection, name: str) -> Origin | None:
    """The Delta table that a table is made from; None where that is not known."""
    found = connection.execute(f"SELECT id, place FROM {ORIGINS} WHERE name = ?", (name,)).fetchone()
    return Origin(*found) if found else None


def found_columns(connection: sqlite3.Connection, name: str) -> list[str]:
    """The columns of a table; none where there is no table."""
    return [row[1] for row in connection.execute(f"PRAGMA table_info({SQL.name(name)})")]


def check_table(store: SQLiteStore, name: str) -> None:
    """OnlineStoreError where there is no table of this name."""
    if not found_columns(store.connection(), name):
        raise OnlineStoreError(f"The online store {store.path} lacks the table {name}: run sync_online for its group first.")


def add_missing(connection: sqlite3.Connection, table: OnlineTable) -> None:
    """Add the columns that a table lacks; a part that is new has no rows, which stands for nulls."""
    if not found_columns(connection, table.name):
        return
    for number, part in enumerate(table.parts):
        there = found_columns(connection, table.part_name(number))
        if not there:
            connection.execute(SQL.create(table.part_name(number), part, table, {}))
        for column in part if there else ():
            if column.name not in there:
                added = SQL.definition(column, None, required=False)
                connection.execute(f"ALTER TABLE {SQL.name(table.part_name(number))} ADD COLUMN {added}")


def translated(path: str, error: sqlite3.Error) -> OnlineStoreError:
    """SQLite's error as ours."""
    if "no such table" in str(error) or "no such column" in str(error):
        return OnlineStoreError(f"The online store {path} lacks a table or a column ({error}): run sync_online for its group first.")
    return OnlineStoreError(f"The online store {path} failed and nothing was written: {error}")
