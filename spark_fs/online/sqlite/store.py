"""The embedded online store: one SQLite file."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from spark_fs.base import private_files, types
from spark_fs.base.python_values import UnfitError
from spark_fs.base.values import get_converter
from spark_fs.errors import OnlineStoreError
from spark_fs.online.mysql import forks
from spark_fs.online.statements import ORIGIN_TABLE, SYNC_STATE_TABLE, LookupQuery, SqlDialect
from spark_fs.online.store import LookupRows, LookupSource, PreparedLookup, SyncState, TableOrigin
from spark_fs.online.table import Capabilities, OnlineTable

# SQLite takes 2,000 columns in a table and in a result.
CAPABILITIES = Capabilities("sqlite", max_identifier=128, max_columns=1_900)


def _make_key_expression(expression: str, type_: str) -> str:
    """A key value as it is compared with its column: a decimal in the digits of the column, where another group's has others."""
    if types.get_base_type(type_) != "decimal":
        return expression
    precision, scale = types.parse_decimal_sizes(type_)
    return f"spark_fs_decimal({expression}, {precision}, {scale})"


def _convert_decimal(digits: str | None, precision: int, scale: int) -> str | None:
    """The text of the same decimal in a column of this precision and scale; None where it holds none."""
    try:
        return (
            None
            if digits is None
            else str(get_converter(f"decimal({precision},{scale})")(Decimal(digits)))
        )
    except UnfitError:
        return None


SQL = SqlDialect('"', "?", key_expression=_make_key_expression)
WRITE_TIMEOUT = 60.0  # seconds that a writer waits for another


class SQLiteStore:
    """Tables in the file at ``path``, made when absent."""

    capabilities = CAPABILITIES

    def __init__(self, path: str) -> None:
        self.path = path
        self._local = threading.local()
        forks.register_holder(self)

    def __reduce__(self) -> tuple[type["SQLiteStore"], tuple[str]]:
        return SQLiteStore, (self.path,)

    def __repr__(self) -> str:
        return f"SQLiteStore({self.path!r})"

    # -- serving

    def prepare_lookup(
        self,
        sources: Sequence[LookupSource],
        key_types: Sequence[str],  # noqa: ARG002 # SQLite takes values as they are
    ) -> PreparedLookup:
        """Prepare a look-up over several groups."""
        return _SQLiteLookup(self, sources)

    def get_connection(self) -> sqlite3.Connection:
        """This thread's own connection for reading."""
        if not Path(self.path).exists():
            raise OnlineStoreError(
                f"The online store {self.path} does not exist yet: run sync_online first."
            )
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._open_connection()
        return found

    def reset_connections(self) -> object:
        """Hold no connection, as in a forked process; returns what held them."""
        held, self._local = self._local, threading.local()
        return held

    def check_connection(self) -> None:
        """Ask the file for an answer."""
        try:
            self.get_connection().execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise translate_error(self.path, error) from error

    # -- whole tables

    def add_columns(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Give the table, where there is one of this Delta table, the columns that it lacks."""
        with self.transaction() as connection:
            if not origin.differs_from(read_origin(connection, table.name)):
                add_missing_columns(connection, table)

    def drop_table(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Remove a table and what is known of its syncs, unless it is made from another Delta table."""
        if Path(self.path).exists():
            with self.transaction() as connection:
                if origin.differs_from(read_origin(connection, table.name)):
                    return
                for number in range(len(table.part_columns)):
                    connection.execute(SQL.drop_tables([table.part_name(number)]))
                for known in (SYNC_STATE_TABLE, ORIGIN_TABLE):
                    connection.execute(f"DELETE FROM {known} WHERE name = ?", (table.name,))

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the last sync of the table did."""
        with self.transaction() as connection:
            return read_sync_state(connection, table.name)

    # -- connections

    def _open_connection(self) -> sqlite3.Connection:
        private_files.make_file(self.path)
        connection = sqlite3.connect(self.path, timeout=WRITE_TIMEOUT, isolation_level=None)
        connection.create_function("spark_fs_decimal", 3, _convert_decimal, deterministic=True)
        return connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection within a transaction, committed at the end."""
        try:
            with closing(self._open_connection()) as connection:
                connection.execute("PRAGMA journal_mode = WAL")  # readers go on while a sync writes
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {SYNC_STATE_TABLE} (name TEXT PRIMARY KEY,"
                    " delta_version INTEGER NOT NULL, run TEXT NOT NULL, synced_at TEXT NOT NULL)"
                )
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {ORIGIN_TABLE} (name TEXT PRIMARY KEY, id TEXT NOT"
                    " NULL, place TEXT NOT NULL)"
                )
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate_error(self.path, error) from error


class _SQLiteLookup:
    """One statement for each entry, in one transaction: there is no way to the server to be spared.

    A result of too many columns is asked for in several statements.
    """

    def __init__(self, store: SQLiteStore, sources: Sequence[LookupSource]) -> None:
        self._store = store
        whole = SQL.build_lookup(sources, "(SELECT 1) e", lambda _: "?", "0")
        self._query = whole
        self._statements = _split_columns(whole, store.capabilities.max_columns) if sources else ()

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        connection = self._store.get_connection()
        try:
            connection.execute("BEGIN")  # all entries and all parts of a row as of one instant
            try:
                return [
                    (number, *self._fetch_row(connection, self._query.bind_values(values, now)))
                    for number, values in enumerate(entries)
                ]
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate_error(self._store.path, error) from error

    def _fetch_row(
        self, connection: sqlite3.Connection, parameters: Sequence[Any]
    ) -> Iterator[Any]:
        for statement in self._statements:
            yield from connection.execute(statement, parameters).fetchone()


def _split_columns(query: LookupQuery, max_columns: int) -> tuple[str, ...]:
    """The statement without the entry's number, so many columns at a time."""
    columns = query.columns[1:]
    return tuple(
        f"SELECT {', '.join(columns[i : i + max_columns])}{query.from_clause}"
        for i in range(0, len(columns), max_columns)
    )


def read_sync_state(connection: sqlite3.Connection, table_name: str) -> SyncState | None:
    """What the last sync of a table did."""
    found = connection.execute(
        f"SELECT delta_version, run, synced_at FROM {SYNC_STATE_TABLE} WHERE name = ?",
        (table_name,),
    ).fetchone()
    return (
        SyncState(found[0], found[1], datetime.fromisoformat(found[2]).replace(tzinfo=UTC))
        if found
        else None
    )


def read_origin(connection: sqlite3.Connection, table_name: str) -> TableOrigin | None:
    """The Delta table that a table is made from; None where that is not known."""
    found = connection.execute(
        f"SELECT id, place FROM {ORIGIN_TABLE} WHERE name = ?", (table_name,)
    ).fetchone()
    return TableOrigin(*found) if found else None


def list_columns(connection: sqlite3.Connection, table_name: str) -> list[str]:
    """The columns of a table; none where there is no table."""
    return [
        row[1] for row in connection.execute(f"PRAGMA table_info({SQL.quote_name(table_name)})")
    ]


def check_table(store: SQLiteStore, table_name: str) -> None:
    """OnlineStoreError where there is no table of this name."""
    if not list_columns(store.get_connection(), table_name):
        raise OnlineStoreError(
            f"The online store {store.path} lacks the table {table_name}: run sync_online for its"
            " group first."
        )


def add_missing_columns(connection: sqlite3.Connection, table: OnlineTable) -> None:
    """Add the columns that a table lacks; a part that is new has no rows, which stands for nulls."""
    if not list_columns(connection, table.name):
        return
    for number, part in enumerate(table.part_columns):
        there = list_columns(connection, table.part_name(number))
        if not there:
            connection.execute(SQL.create_table(table.part_name(number), part, table, {}))
        for column in part if there else ():
            if column.name not in there:
                added = SQL.column_definition(column, None, required=False)
                connection.execute(
                    f"ALTER TABLE {SQL.quote_name(table.part_name(number))} ADD COLUMN {added}"
                )


def translate_error(path: str, error: sqlite3.Error) -> OnlineStoreError:
    """SQLite's error as ours."""
    if "no such table" in str(error) or "no such column" in str(error):
        return OnlineStoreError(
            f"The online store {path} lacks a table or a column ({error}): run sync_online for its"
            " group first."
        )
    return OnlineStoreError(f"The online store {path} failed and nothing was written: {error}")
