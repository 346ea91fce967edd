"""The online store in MySQL or MariaDB, through mysql-connector-python: connections, look-ups, and what changes a table as a whole."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import mysql.connector
from mysql.connector import errorcode

from spark_fs.errors import NotFoundError, OnlineRefusedError, OnlineStoreError, SettingsError
from spark_fs.online.mysql import synced_tables, tls
from spark_fs.online.mysql.keys import (
    cast_prepared_key,
    cut_long_value,
    get_json_column_type,
    to_bindable_value,
    to_json_value,
)
from spark_fs.online.mysql.pool import FAILURES, LOST_CODES, ConnectionPool, PooledConnection
from spark_fs.online.statements import LookupQuery, SqlDialect
from spark_fs.online.store import LookupRows, LookupSource, PreparedLookup, SyncState, TableOrigin
from spark_fs.online.table import Capabilities, OnlineColumn, OnlineTable, choose_column_lengths
from spark_fs.urls import Url

# Of a row 65,535 bytes are declared at most, and of these some 8,000 lie in the page itself; a
# table takes 1,017 columns.
CAPABILITIES = Capabilities(
    "mysql",
    max_identifier=64,
    max_columns=1_000,
    row_bytes=65_000,
    page_bytes=7_900,
    key_bytes=3_072,
    declares_lengths=True,
)
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_OPTION_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "connect_timeout": int,
    "read_timeout": int,
    "pool_size": int,
    "ssl_ca": str,
    "ssl_cert": str,
    "ssl_key": str,
    "ssl_verify_cert": lambda text: _BOOLEANS[text.lower()],
    "ssl_verify_identity": lambda text: _BOOLEANS[text.lower()],
}
_DENIED_CODES = (
    errorcode.ER_ACCESS_DENIED_ERROR,
    errorcode.ER_DBACCESS_DENIED_ERROR,
    errorcode.ER_TABLEACCESS_DENIED_ERROR,
    errorcode.ER_COLUMNACCESS_DENIED_ERROR,
    1698,
)
_MAX_RESULT_COLUMNS = 4_000  # of one result


def _make_key_expression(collation: str) -> Callable[[str, str], str]:
    """A key value as it is compared with its column: texts in the column's collation, which an entry's have not."""
    return lambda expression, type_: (
        f"{expression} COLLATE {collation}" if type_ == "string" else expression
    )


def _read_string_as_bytes(expression: str, type_: str) -> str:
    """A column as a prepared statement reads it: texts as their bytes, since the driver's C extension ends a text at its first NUL."""
    return f"CAST({expression} AS BINARY)" if type_ == "string" else expression


_LOG = logging.getLogger(__name__)
TABLE_SUFFIX = " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE {}"
# Binary and without padding: letter case and trailing spaces make different keys.
MARIADB = SqlDialect(
    "`",
    "?",
    TABLE_SUFFIX.format("utf8mb4_nopad_bin"),
    _make_key_expression("utf8mb4_nopad_bin"),
    read_expression=_read_string_as_bytes,
)
MYSQL = SqlDialect(
    "`",
    "?",
    TABLE_SUFFIX.format("utf8mb4_0900_bin"),
    _make_key_expression("utf8mb4_0900_bin"),
    read_expression=_read_string_as_bytes,
)
PLAIN = SqlDialect("`", "%s")


class MySQLStore:
    """Tables in the database of ``mysql://user:password@host:port/database?option=value``.

    Options: connect_timeout and read_timeout in seconds (10 and 5), pool_size (32 connections),
    ssl_ca, ssl_cert, ssl_key (paths), ssl_verify_cert, ssl_verify_identity (true or false).
    password: where the URL has none.
    """

    capabilities = CAPABILITIES

    def __init__(self, url: str, password: str = "") -> None:
        parts = Url.from_text(url)
        if parts is None or not parts.host or not parts.database:
            raise SettingsError(
                "online_url must read mysql://user:password@host:port/database; it lacks the host"
                " or the database."
            )
        given = _parse_options(parts.options)
        self._constructor_arguments = (url, password)
        self._pool_size, self._read_timeout = (
            given.pop("pool_size", 32),
            given.pop("read_timeout", 5),
        )
        self.address = f"{parts.host}:{parts.port or 3306}/{parts.database}"
        self.database, self._user = parts.database, parts.user
        self._connect_options: dict[str, Any] = {
            "host": parts.host,
            "port": parts.port or 3306,
            "database": self.database,
            "user": self._user,
            "password": parts.password or password,
            "charset": "utf8mb4",
            "collation": "utf8mb4_bin",
            "sql_mode": "STRICT_ALL_TABLES",
            "connection_timeout": given.pop("connect_timeout", 10),
        }
        self._tls_options = tls.build_tls_options(given)

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
        columns = sum(1 + len(source.columns) for source in sources)
        if columns > _MAX_RESULT_COLUMNS:
            raise SettingsError(
                f"A vector of {columns} columns is more than the {_MAX_RESULT_COLUMNS} of one"
                " statement: split the view."
            )
        return _MySQLLookup(self, sources, key_types)

    def run_query(
        self, build_query: Callable[[PooledConnection], tuple[str, Sequence[Any]]]
    ) -> LookupRows:
        """The rows of the statement that is given for a connection of the pool."""
        with self.translate_errors():
            return self._pool.run_query(build_query)

    def check_connection(self) -> None:
        """Ask the server for an answer."""
        self.run_query(lambda _: ("SELECT 1", ()))

    # -- whole tables

    def add_columns(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Give the table, where there is one of this Delta table, the columns that it lacks; without a lock on its rows where it can be."""
        with self.transaction() as cursor:
            if origin.differs_from(synced_tables.read_origin(cursor, table.name)):
                return
            for number, part in enumerate(table.part_columns):
                add_missing_columns(cursor, table, number, part)

    def drop_table(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Remove a table and what is known of its syncs, unless it is made from another Delta table."""
        with self.transaction() as cursor:
            synced_tables.ensure_tables(cursor)
            if origin.differs_from(synced_tables.read_origin(cursor, table.name)):
                return
            cursor.execute(
                PLAIN.drop_tables(
                    [table.part_name(number) for number in range(len(table.part_columns))]
                )
            )
            synced_tables.delete_sync_records(cursor, table.name)

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the last sync of the table did."""
        with self.transaction() as cursor:
            return synced_tables.read_sync_state(cursor, table.name)

    # -- connections

    def open_connection(self, **options: Any) -> Any:
        """A new connection; where an option of the URL speaks of TLS, no password is sent without it."""
        given = self._connect_options
        tls.check_tls_offered(
            given["host"],
            given["port"],
            given["connection_timeout"],
            self.address,
            self._tls_options,
        )
        connection: Any = mysql.connector.connect(**{**given, **self._tls_options, **options})
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
        """Turn the driver's errors into ours; the driver's own error could hold the connection's options."""
        try:
            yield
        except FAILURES as error:
            raise self._translate_error(
                getattr(error, "errno", None), str(getattr(error, "msg", error))
            ) from None

    def _translate_error(self, code: int | None, message: str) -> OnlineStoreError:
        if code in (errorcode.ER_NO_SUCH_TABLE, errorcode.ER_BAD_FIELD_ERROR):
            lacks = "table" if code == errorcode.ER_NO_SUCH_TABLE else "column"
            return OnlineStoreError(
                f"The online store {self.address} lacks a {lacks} ({message}): run sync_online for"
                " its group first."
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
        if code in LOST_CODES and "uring query" in message:
            return OnlineStoreError(
                f"The online store {self.address} gave no answer ({code}): {message}. It was"
                " restarted, or took longer than read_timeout."
            )
        return OnlineStoreError(
            f"The online store {self.address} failed ({code}): {message}. Check online_url and that"
            " the server runs."
        )


class _MySQLLookup:
    """One prepared statement for one entry, and one for any number of them."""

    def __init__(
        self, store: MySQLStore, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> None:
        self._store, self._sources, self._key_types = store, tuple(sources), tuple(key_types)

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        if not self._sources:
            return []
        if len(entries) > 1:
            return self._store.run_query(lambda link: self._bind_batch(link, entries, now))
        asked = (
            self._single_query.sql,
            self._single_query.bind_values([to_bindable_value(value) for value in entries[0]], now),
        )
        return self._store.run_query(lambda _: asked)

    @cached_property
    def _single_query(self) -> LookupQuery:
        return PREPARED.build_lookup(self._sources, "(SELECT 1) e", lambda _: "?", "0")

    def _bind_batch(
        self, connection: PooledConnection, entries: Sequence[Sequence[Any]], now: datetime
    ) -> tuple[str, Sequence[Any]]:
        asked = self._mariadb_batch_query if connection.is_mariadb else self._mysql_batch_query
        keys = [[cut_long_value(value) for value in entry] for entry in entries]
        return asked.sql, [
            json.dumps(keys, default=to_json_value, ensure_ascii=False),
            *asked.bind_values((), now),
        ]

    @cached_property
    def _mariadb_batch_query(self) -> LookupQuery:
        return self._build_batch_query(MARIADB)

    @cached_property
    def _mysql_batch_query(self) -> LookupQuery:
        return self._build_batch_query(MYSQL)

    def _build_batch_query(self, statements: SqlDialect) -> LookupQuery:
        columns = [
            f"k{i} {get_json_column_type(type_)} PATH '$[{i}]'"
            for i, type_ in enumerate(self._key_types)
        ]
        table = (
            "JSON_TABLE(?, '$[*]' COLUMNS (n FOR"
            f" ORDINALITY{''.join(', ' + c for c in columns)})) e"
        )

        def get_key_expression(key_index: int) -> str:
            return (
                f"UNHEX(e.k{key_index})"
                if self._key_types[key_index] == "binary"
                else f"e.k{key_index}"
            )

        return statements.build_lookup(self._sources, table, get_key_expression, "e.n - 1")


PREPARED = SqlDialect(
    "`", "?", key_expression=cast_prepared_key, read_expression=_read_string_as_bytes
)


def _parse_options(option_string: str) -> dict[str, Any]:
    found = {}
    for name, text in parse_qsl(option_string, keep_blank_values=True):
        if name not in _OPTION_PARSERS:
            raise NotFoundError.for_name(
                "Option of online_url", name, _OPTION_PARSERS, "Leave it out, or correct it."
            )
        try:
            found[name] = _OPTION_PARSERS[name](text)
        except ValueError:
            raise SettingsError(
                f"Option {name}={text!r} of online_url is not a number: give one, such as"
                f" {name}=10."
            ) from None
        except KeyError:
            raise SettingsError(
                f"Option {name}={text!r} of online_url is neither true nor false: give one of"
                " these."
            ) from None
    return found


def get_dialect(cursor: Any) -> SqlDialect:
    """The statements of the server."""
    cursor.execute("SELECT VERSION()")
    ((version,),) = cursor.fetchall()
    return MARIADB if "mariadb" in str(version).lower() else MYSQL


# -- the columns of a table


def read_declared_lengths(cursor: Any, table_name: str) -> dict[str, int | None]:
    """The columns of a table with the room of sized ones (None: none was declared); none where there is no table."""
    cursor.execute(
        "SELECT column_name, data_type, character_maximum_length FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position",
        (table_name,),
    )
    return {
        str(c): int(n) if str(t).lower() in ("varchar", "varbinary") else None
        for c, t, n in cursor.fetchall()
    }


def add_missing_columns(
    cursor: Any, table: OnlineTable, part_number: int, columns: Sequence[OnlineColumn]
) -> None:
    """Add the columns that one part of a table lacks; a part that is new has no rows, which stands for nulls."""
    there = read_declared_lengths(cursor, table.part_name(part_number))
    missing = [c for c in columns if c.name not in there]
    if not there and part_number and read_declared_lengths(cursor, table.name):
        cursor.execute(
            get_dialect(cursor).create_table(
                table.part_name(part_number),
                columns,
                table,
                choose_column_lengths(table, columns, {}),
            )
        )
    elif there and missing:
        room = choose_column_lengths(
            table, columns, {c.name: (there.get(c.name) or 0) - 1 for c in columns}
        )
        added = ", ".join(
            f"ADD COLUMN {PLAIN.column_definition(c, room.get(c.name), required=False)}"
            for c in missing
        )
        cursor.execute(f"ALTER TABLE {PLAIN.quote_name(table.part_name(part_number))} {added}")
