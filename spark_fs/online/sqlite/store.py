"""The embedded online store: one SQLite file."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from spark_fs.base import private_files, types
from spark_fs.base.python_values import UnfitError
from spark_fs.base.values import get_converter
from spark_fs.errors import OnlineStoreError
from spark_fs.online import forks
from spark_fs.online.column_storage import Capabilities
from spark_fs.online.sqlite.column_types import find_storage
from spark_fs.online.sqlite.failures import translate_error
from spark_fs.online.sqlite.lookup import SQLiteLookup
from spark_fs.online.statements import ORIGIN_TABLE, SYNC_STATE_TABLE, SqlDialect
from spark_fs.online.store import (
    HEARTBEAT,
    LookupSource,
    PreparedLookup,
    SyncState,
    TableOrigin,
)
from spark_fs.online.table_layout import OnlineTable

# SQLite takes 2,000 columns in a table and in a result.
CAPABILITIES = Capabilities("sqlite", find_storage, max_identifier=128, max_columns=1_900)
# Of the file that a thread keeps at most: with SQLite's 2 MiB a look-up of 1,000 keys with live
# windows of 25 KB took a tenth longer, and one of a hundred of them a fifth.
READ_CACHE_KIB = 32_768
WRITE_TIMEOUT = 60.0  # seconds that a writer waits for another


def _make_key_expression(expression: str, type_: str) -> str:
    """A key value as it is compared with its column.

    A decimal takes the digits of the column, where another group's has others.
    """
    if types.get_base_type(type_) != "decimal":
        return expression
    precision, scale = types.parse_decimal_sizes(type_)
    return f"spark_fs_decimal({expression}, {precision}, {scale})"


def _convert_decimal(digits: str | None, precision: int, scale: int) -> str | None:
    """The digits of the same decimal in a column of this precision and scale.

    None where it holds no such decimal.
    """
    if digits is None:
        return None
    try:
        return str(get_converter(f"decimal({precision},{scale})")(Decimal(digits)))
    except UnfitError:
        return None


SQL = SqlDialect('"', "?", key_expression=_make_key_expression)


class SQLiteStore:
    """Tables in the file at ``path``, made when absent."""

    scheme: ClassVar[str] = "sqlite"
    capabilities = CAPABILITIES

    def __init__(self, path: str) -> None:
        self.path = path
        self._local = threading.local()
        forks.register_holder(self)

    @classmethod
    def from_url(cls, url: str, password: str) -> "SQLiteStore":  # noqa: ARG003 # a file has none
        """The store of ``sqlite:///path``; no connection is made yet."""
        _, _, path = url.partition("://")
        return cls(path.removeprefix("/"))

    def __reduce__(self) -> tuple[type["SQLiteStore"], tuple[str]]:
        return SQLiteStore, (self.path,)

    def __repr__(self) -> str:
        return f"SQLiteStore({self.path!r})"

    @property
    def address(self) -> str:
        """The path."""
        return self.path

    # -- serving

    def prepare_lookup(
        self, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> PreparedLookup:
        """Prepare a look-up over several groups."""
        query = SQL.build_single_lookup(sources)
        return SQLiteLookup(self, query, len(key_types))

    def get_connection(self) -> sqlite3.Connection:
        """This thread's own connection for reading."""
        if not Path(self.path).exists():
            raise OnlineStoreError(
                f"The online store {self.path} does not exist yet: run sync_online first."
            )
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._open_connection()
            with self.translate_errors():
                connection.execute(f"PRAGMA cache_size = -{READ_CACHE_KIB}")
            self._local.connection = connection
        return connection

    def reset_connections(self) -> object:
        """Hold no connection, as in a forked process; returns what held them."""
        parents_connections = self._local
        self._local = threading.local()
        return parents_connections

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
        """Remove a table and what is known of its syncs.

        One that is made from another Delta table stays.
        """
        if not Path(self.path).exists():
            return
        with self.transaction() as connection:
            if origin.differs_from(read_origin(connection, table.name)):
                return
            for name in table.part_names:
                connection.execute(SQL.drop_tables([name]))
            for records in (SYNC_STATE_TABLE, ORIGIN_TABLE):
                connection.execute(f"DELETE FROM {records} WHERE name = ?", (table.name,))

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the last sync of the table did."""
        if not Path(self.path).exists():
            return None
        with self.transaction() as connection:
            return read_sync_state(connection, table.name)

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time in the table."""
        column = table.columns_by_name[table.event_time or ""]
        query = f"SELECT MAX({SQL.quote_name(column.name)}) FROM {SQL.quote_name(table.name)}"
        try:
            ((newest,),) = self.get_connection().execute(query)
        except sqlite3.Error as error:
            raise translate_error(self.path, error) from error
        return None if newest is None else column.storage.decode(newest)

    def read_sync_states(self) -> dict[str, SyncState]:
        """What the last sync of each table did, and the heartbeat; changes nothing."""
        with self.translate_errors():
            connection = self.get_connection()
            if not list_columns(connection, SYNC_STATE_TABLE):
                return {}
            query = f"SELECT name, delta_version, run, synced_at FROM {SYNC_STATE_TABLE}"
            return {name: _build_sync_state(*row) for name, *row in connection.execute(query)}

    def write_heartbeat(self) -> None:
        """Note the time."""
        with self.transaction() as connection:
            write_sync_state(connection, HEARTBEAT, SyncState(0, uuid4().hex, datetime.now(UTC)))

    # -- connections

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise translate_error(self.path, error) from error

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


# -- what a transaction reads and changes


def read_sync_state(connection: sqlite3.Connection, table_name: str) -> SyncState | None:
    """What the last sync of a table did."""
    row = connection.execute(
        f"SELECT delta_version, run, synced_at FROM {SYNC_STATE_TABLE} WHERE name = ?",
        (table_name,),
    ).fetchone()
    return _build_sync_state(*row) if row else None


def _build_sync_state(version: int, run_id: str, synced_at: str) -> SyncState:
    return SyncState(version, run_id, datetime.fromisoformat(synced_at).replace(tzinfo=UTC))


def write_sync_state(
    connection: sqlite3.Connection | sqlite3.Cursor, name: str, state: SyncState
) -> None:
    """Write what a sync did, over what is there.

    Args:
        connection: In a transaction.
        name: Of the table.
        state: What it did.
    """
    synced_at = state.synced_at.replace(tzinfo=None).isoformat()
    connection.execute(
        f"INSERT OR REPLACE INTO {SYNC_STATE_TABLE} VALUES (?, ?, ?, ?)",
        (name, state.version, state.run_id, synced_at),
    )


def read_origin(connection: sqlite3.Connection, table_name: str) -> TableOrigin | None:
    """The Delta table that a table is made from; None where that is not known."""
    query = f"SELECT id, place FROM {ORIGIN_TABLE} WHERE name = ?"
    row = connection.execute(query, (table_name,)).fetchone()
    return TableOrigin(*row) if row else None


def list_columns(connection: sqlite3.Connection, table_name: str) -> list[str]:
    """The columns of a table; none where there is no table."""
    rows = connection.execute(f"PRAGMA table_info({SQL.quote_name(table_name)})")
    return [name for _, name, *_ in rows]


def check_table(store: SQLiteStore, table_name: str) -> None:
    """OnlineStoreError where there is no table of this name."""
    if not list_columns(store.get_connection(), table_name):
        raise OnlineStoreError(
            f"The online store {store.path} lacks the table {table_name}: run sync_online for its"
            " group first."
        )


def add_missing_columns(connection: sqlite3.Connection, table: OnlineTable) -> None:
    """Add the columns that a table lacks.

    A part that is new has no rows, which stands for nulls.
    """
    if not list_columns(connection, table.name):
        return
    for name, columns in zip(table.part_names, table.part_columns, strict=True):
        present_columns = list_columns(connection, name)
        if not present_columns:
            connection.execute(SQL.create_table(name, columns, table, {}))
            continue
        for column in columns:
            if column.name not in present_columns:
                definition = SQL.column_definition(column, None, required=False)
                connection.execute(f"ALTER TABLE {SQL.quote_name(name)} ADD COLUMN {definition}")
