"""The online store in MySQL or MariaDB, through mysql-connector-python."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar
from uuid import uuid4

import mysql.connector
from mysql.connector import errorcode

from spark_fs.errors import OnlineRefusedError, OnlineStoreError, SettingsError
from spark_fs.online.column_storage import Capabilities
from spark_fs.online.mysql import synced_tables, tls
from spark_fs.online.mysql.column_types import find_storage
from spark_fs.online.mysql.dialects import PLAIN
from spark_fs.online.mysql.lookup import MySQLLookup
from spark_fs.online.mysql.pool import FAILURES, LOST_CODES, BuildQuery, ConnectionPool
from spark_fs.online.mysql.table_columns import add_missing_columns
from spark_fs.online.mysql.url_options import parse_url_options
from spark_fs.online.store import (
    HEARTBEAT,
    LackingTableError,
    LookupRows,
    LookupSource,
    PreparedLookup,
    SyncState,
    TableOrigin,
)
from spark_fs.online.table_layout import OnlineTable
from spark_fs.urls import Url

# Of a row 65,535 bytes are declared at most, and of these some 8,000 lie in the page itself; a
# table takes 1,017 columns.
CAPABILITIES = Capabilities(
    "mysql",
    find_storage,
    max_identifier=64,
    max_columns=1_000,
    row_bytes=65_000,
    page_bytes=7_900,
    key_bytes=3_072,
    declares_lengths=True,
)
_DENIED_CODES = (
    errorcode.ER_ACCESS_DENIED_ERROR,
    errorcode.ER_DBACCESS_DENIED_ERROR,
    errorcode.ER_TABLEACCESS_DENIED_ERROR,
    errorcode.ER_COLUMNACCESS_DENIED_ERROR,
    1698,
)
# Of a server that has as many connections as it takes, or as it takes of this user.
_FULL_CODES = (
    errorcode.ER_CON_COUNT_ERROR,
    errorcode.ER_TOO_MANY_USER_CONNECTIONS,
    errorcode.ER_USER_LIMIT_REACHED,
)
_LACKING_CODES = {errorcode.ER_NO_SUCH_TABLE: "table", errorcode.ER_BAD_FIELD_ERROR: "column"}
# One code stands for a connection that was lost at the log-in and for one lost while a statement
# ran; the driver tells them apart by its text alone.
_LOST_DURING_QUERY = "uring query"
_MAX_RESULT_COLUMNS = 4_000  # of one result
_LOG = logging.getLogger(__name__)


class MySQLStore:
    """Tables in the database of ``mysql://user:password@host:port/database?option=value``.

    Options: connect_timeout and read_timeout in seconds (10 and 5), pool_size (32 connections),
    ssl_ca, ssl_cert, ssl_key (paths), ssl_verify_cert, ssl_verify_identity (true or false).
    password: where the URL has none.
    """

    scheme: ClassVar[str] = "mysql"
    capabilities = CAPABILITIES

    def __init__(self, url: str, password: str = "") -> None:
        parts = Url.from_text(url)
        if parts is None or not parts.host or not parts.database:
            raise SettingsError(
                "online_url must read mysql://user:password@host:port/database; it lacks the host"
                " or the database."
            )
        options = parse_url_options(parts.options)
        self._constructor_arguments = (url, password)
        self._pool_size = options.pop("pool_size", 32)
        self._read_timeout = options.pop("read_timeout", 5)
        port = parts.port or 3306
        self.address = f"{parts.host}:{port}/{parts.database}"
        self.database = parts.database
        self._user = parts.user
        self._connect_options: dict[str, Any] = {
            "host": parts.host,
            "port": port,
            "database": self.database,
            "user": self._user,
            "password": parts.password or password,
            "charset": "utf8mb4",
            "collation": "utf8mb4_bin",
            "sql_mode": "STRICT_ALL_TABLES",
            "connection_timeout": options.pop("connect_timeout", 10),
        }
        self._tls_options = tls.build_tls_options(options)

    @classmethod
    def from_url(cls, url: str, password: str) -> "MySQLStore":
        """The store of a URL; no connection is made yet."""
        return cls(url, password)

    def __reduce__(self) -> tuple[type["MySQLStore"], tuple[str, str]]:
        return MySQLStore, self._constructor_arguments

    def __repr__(self) -> str:
        return f"MySQLStore({self.address!r})"

    # -- serving

    @cached_property
    def _pool(self) -> ConnectionPool:
        if not mysql.connector.HAVE_CEXT:
            _LOG.warning(
                "mysql-connector-python runs without its C extension, and look-ups take four times"
                " as long: import spark_fs and log in, or import mysql.connector, before pandas and"
                " pyarrow."
            )
        return ConnectionPool(
            lambda: self.open_connection(read_timeout=self._read_timeout, autocommit=True),
            self._pool_size,
            self._read_timeout,
            self.address,
        )

    def prepare_lookup(
        self, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> PreparedLookup:
        """Prepare a look-up over several groups."""
        column_count = sum(1 + len(source.columns) for source in sources)
        if column_count > _MAX_RESULT_COLUMNS:
            raise SettingsError(
                f"A vector of {column_count} columns is more than the {_MAX_RESULT_COLUMNS} of one"
                " statement: split the view."
            )
        return MySQLLookup(self.run_query, sources, key_types)

    def run_query(self, build_query: BuildQuery) -> LookupRows:
        """The rows of the statement that is built for a connection of the pool."""
        with self.translate_errors():
            return self._pool.run_query(build_query)

    def check_connection(self) -> None:
        """Ask the server for an answer."""
        self.run_query(lambda _: ("SELECT 1", ()))

    # -- whole tables

    def add_columns(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Give the table, where there is one of this Delta table, the columns that it lacks.

        It is done without a lock on its rows where it can be.
        """
        with self.transaction() as cursor:
            if origin.differs_from(synced_tables.read_origin(cursor, table.name)):
                return
            for number, columns in enumerate(table.part_columns):
                add_missing_columns(cursor, table, number, columns)

    def drop_table(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Remove a table and what is known of its syncs.

        One that is made from another Delta table stays.
        """
        with self.transaction() as cursor:
            synced_tables.ensure_tables(cursor)
            if origin.differs_from(synced_tables.read_origin(cursor, table.name)):
                return
            cursor.execute(PLAIN.drop_tables(table.part_names))
            synced_tables.delete_sync_records(cursor, table.name)

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the last sync of the table did."""
        with self.transaction() as cursor:
            return synced_tables.read_sync_state(cursor, table.name)

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time in the table."""
        column = table.columns_by_name[table.event_time or ""]
        query = f"SELECT MAX({PLAIN.quote_name(column.name)}) FROM {PLAIN.quote_name(table.name)}"
        with self.transaction() as cursor:
            cursor.execute(query)
            ((newest,),) = cursor.fetchall()
        return None if newest is None else column.storage.decode(newest)

    def read_sync_states(self) -> dict[str, SyncState]:
        """What the last sync of each table did, and the heartbeat; changes nothing."""
        with self.translate_errors():
            try:
                rows = self._pool.run_query(lambda _: (synced_tables.ALL_SYNC_STATES, ()))
            except FAILURES as error:
                if getattr(error, "errno", None) != errorcode.ER_NO_SUCH_TABLE:
                    raise
                return {}
        return synced_tables.build_sync_states(rows)

    def write_heartbeat(self) -> None:
        """Note the time."""
        with self.transaction() as cursor:
            state = SyncState(0, uuid4().hex, datetime.now(UTC))
            synced_tables.write_sync_state(cursor, HEARTBEAT, state)

    # -- connections

    def open_connection(self, **options: Any) -> Any:
        """A new connection.

        Where an option of the URL speaks of TLS, no password is sent without it.
        """
        connect_options = self._connect_options
        tls.check_tls_offered(
            connect_options["host"],
            connect_options["port"],
            connect_options["connection_timeout"],
            self.address,
            self._tls_options,
        )
        all_options = {**connect_options, **self._tls_options, **options}
        connection: Any = mysql.connector.connect(**all_options)
        tls.check_tls_used(connection, self.address, self._tls_options)
        return connection

    @contextmanager
    def transaction(self, **options: Any) -> Iterator[Any]:
        """A cursor of a new connection, committed at the end."""
        with (
            self.translate_errors(),
            closing(self.open_connection(**options)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            yield cursor
            connection.commit()

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Turn the driver's errors into ours.

        The driver's own error could hold the connection's options.
        """
        try:
            yield
        except FAILURES as error:
            code = getattr(error, "errno", None)
            message = str(getattr(error, "msg", error))
            raise self._translate_error(code, message) from None

    def _translate_error(self, code: int | None, message: str) -> OnlineStoreError:
        if code in _LACKING_CODES:
            return LackingTableError(
                f"The online store {self.address} lacks a {_LACKING_CODES[code]} ({message}): run"
                " sync_online for its group first."
            )
        if code in _DENIED_CODES:
            return OnlineRefusedError(
                f"The online store {self.address} refused user {self._user!r} ({code}): correct the"
                " user or the password in online_url or SPARK_FS_ONLINE_PASSWORD, or what the user"
                " may do (docs/online.md says what it needs)."
            )
        if self._tls_options and tls.is_tls_error(message):
            return OnlineRefusedError(
                f"The online store {self.address} failed ({code}) by the TLS that online_url asks"
                f" for: {message}. No user and no password was sent to it. Give the authority of"
                " its certificate as ssl_ca, and its host by a name that the certificate has;"
                " ssl_verify_identity=false leaves the name unchecked."
            )
        if code in _FULL_CODES:
            return OnlineStoreError(
                f"The online store {self.address} takes no more connections ({code}): {message}. A"
                f" process opens up to {self._pool_size}: set a lower pool_size in online_url, run"
                " fewer processes, or let the server take more by max_connections and"
                " max_user_connections."
            )
        if code in LOST_CODES and _LOST_DURING_QUERY in message:
            return OnlineStoreError(
                f"The online store {self.address} gave no answer ({code}): {message}. It was"
                " restarted, or took longer than read_timeout."
            )
        return OnlineStoreError(
            f"The online store {self.address} failed ({code}): {message}. Check online_url and that"
            " the server runs."
        )
