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
from spark_fs.online import mysql_known, mysql_tls
from spark_fs.online.layout import Capabilities, OnlineColumn, OnlineTable, rooms
from spark_fs.online.mysql_keys import as_json, bound, json_type, prepared_key, shortened
from spark_fs.online.pool import FAILURES, LOST, Connection, Pool
from spark_fs.online.statements import Statements
from spark_fs.online.store import Found, Lookup, Origin, Source, Synced
from spark_fs.urls import Url

# Of a row 65,535 bytes are declared at most, and of these some 8,000 lie in the page itself; a table takes 1,017 columns.
CAPABILITIES = Capabilities(
    "mysql", max_identifier=64, max_columns=1_000, row_bytes=65_000, page_bytes=7_900, key_bytes=3_072, sized=True
)
_TRUTH = {"1": True, "true": True, "0": False, "false": False}
_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "connect_timeout": int, "read_timeout": int, "pool_size": int, "ssl_ca": str, "ssl_cert": str, "ssl_key": str,
    "ssl_verify_cert": lambda text: _TRUTH[text.lower()], "ssl_verify_identity": lambda text: _TRUTH[text.lower()],
}
_DENIED = (
    errorcode.ER_ACCESS_DENIED_ERROR, errorcode.ER_DBACCESS_DENIED_ERROR, errorcode.ER_TABLEACCESS_DENIED_ERROR,
    errorcode.ER_COLUMNACCESS_DENIED_ERROR, 1698,
)
_MOST_COLUMNS = 4_000  # of one result


def _key_value(collation: str) -> Callable[[str, str], str]:
    """A key value as it is compared with its column: texts in the column's collation, which an entry's have not."""
    return lambda expression, type_: f"{expression} COLLATE {collation}" if type_ == "string" else expression


def _read(expression: str, type_: str) -> str:
    """A column as a prepared statement reads it: texts as their bytes, since the driver's C extension ends a text at its first NUL."""
    return f"CAST({expression} AS BINARY)" if type_ == "string" else expression


_LOG = logging.getLogger(__name__)
ENGINE = " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE {}"
# Binary and without padding: letter case and trailing spaces make different keys.
MARIADB = Statements("`", "?", ENGINE.format("utf8mb4_nopad_bin"), _key_value("utf8mb4_nopad_bin"), read=_read)
MYSQL = Statements("`", "?", ENGINE.format("utf8mb4_0900_bin"), _key_value("utf8mb4_0900_bin"), read=_read)
PLAIN = Statements("`", "%s")


class MySQLStore:
    """Tables in the database of ``mysql://user:password@host:port/database?option=value``.

    Options: connect_timeout and read_timeout in seconds (10 and 5), pool_size (32 connections), ssl_ca, ssl_cert, ssl_key (paths),
    ssl_verify_cert, ssl_verify_identity (true or false). password: where the URL has none.
    """

    capabilities = CAPABILITIES

    def __init__(self, url: str, password: str = "") -> None:
        parts = Url.of(url)
        if parts is None or not parts.host or not parts.database:
            raise SettingsError("online_url must read mysql://user:password@host:port/database; it lacks the host or the database.")
        given = _options(parts.options)
        self._given = (url, password)
        self._size, self._read = given.pop("pool_size", 32), given.pop("read_timeout", 5)
        self.where = f"{parts.host}:{parts.port or 3306}/{parts.database}"
        self.database, self._user = parts.database, parts.user
        self._connect: dict[str, Any] = {
            "host": parts.host, "port": parts.port or 3306, "database": self.database,
            "user": self._user, "password": parts.password or password, "charset": "utf8mb4", "collation": "utf8mb4_bin",
            "sql_mode": "STRICT_ALL_TABLES", "connection_timeout": given.pop("connect_timeout", 10),
        }
        self._tls = mysql_tls.options(given)

    def __reduce__(self) -> tuple[type["MySQLStore"], tuple[str, str]]:
        return MySQLStore, self._given

    def __repr__(self) -> str:
        return f"MySQLStore({self.where!r})"

    # -- serving

    @cached_property
    def _pool(self) -> Pool:
        if not mysql.connector.HAVE_CEXT:
            _LOG.warning(
                "mysql-connector-python runs without its C extension, and look-ups take four times as long: import spark_fs and log in, or "
                "import mysql.connector, before pandas and pyarrow."
            )
        return Pool(lambda: self.connect(read_timeout=self._read, autocommit=True), self._size, self._read, self.where)

    def lookup(self, sources: Sequence[Source], key_types: Sequence[str]) -> Lookup:
        """Prepare a look-up over several groups."""
        columns = sum(1 + len(source.columns) for source in sources)
        if columns > _MOST_COLUMNS:
            raise SettingsError(f"A vector of {columns} columns is more than the {_MOST_COLUMNS} of one statement: split the view.")
        return _Lookup(self, sources, key_types)

    def run(self, ask: Callable[[Connection], tuple[str, Sequence[Any]]]) -> Found:
        """The rows of the statement that is given for a connection of the pool."""
        with self.translated():
            return self._pool.run(ask)

    def check(self) -> None:
        """Ask the server for an answer."""
        self.run(lambda _: ("SELECT 1", ()))

    # -- whole tables

    def add_columns(self, table: OnlineTable, origin: Origin) -> None:
        """Give the table, where there is one of this Delta table, the columns that it lacks; without a lock on its rows where it can be."""
        with self.transaction() as cursor:
            if origin.differs(mysql_known.origin(cursor, table.name)):
                return
            for number, part in enumerate(table.parts):
                add_missing(cursor, table, number, part)

    def drop(self, table: OnlineTable, origin: Origin) -> None:
        """Remove a table and what is known of its syncs, unless it is made from another Delta table."""
        with self.transaction() as cursor:
            mysql_known.ensure(cursor)
            if origin.differs(mysql_known.origin(cursor, table.name)):
                return
            cursor.execute(PLAIN.drop([table.part_name(number) for number in range(len(table.parts))]))
            mysql_known.forget(cursor, table.name)

    def synced(self, table: OnlineTable) -> Synced | None:
        """What the last sync of the table did."""
        with self.transaction() as cursor:
            return mysql_known.synced(cursor, table.name)

    # -- connections

    def connect(self, **options: Any) -> Any:
        """A new connection; where an option of the URL speaks of TLS, no password is sent without it."""
        given = self._connect
        mysql_tls.require(given["host"], given["port"], given["connection_timeout"], self.where, self._tls)
        connection: Any = mysql.connector.connect(**{**given, **self._tls, **options})
        mysql_tls.check(connection, self.where, self._tls)
        return connection

    @contextmanager
    def transaction(self, **options: Any) -> Iterator[Any]:
        """A cursor of a new connection, committed at the end."""
        with self.translated(), closing(self.connect(**options)) as connection, closing(connection.cursor()) as cursor:
            yield cursor
            connection.commit()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours; the driver's own error could hold the connection's options."""
        try:
            yield
        except FAILURES as error:
            raise self._translated(getattr(error, "errno", None), str(getattr(error, "msg", error))) from None

    def _translated(self, code: int | None, text: str) -> OnlineStoreError:
        if code in (errorcode.ER_NO_SUCH_TABLE, errorcode.ER_BAD_FIELD_ERROR):
            lacks = "table" if code == errorcode.ER_NO_SUCH_TABLE else "column"
            return OnlineStoreError(f"The online store {self.where} lacks a {lacks} ({text}): run sync_online for its group first.")
        if code in _DENIED:
            return OnlineRefusedError(
                f"The online store {self.where} refused user {self._user!r} ({code}): correct the user or the password in online_url or "
                "SPARK_FS_ONLINE_PASSWORD, or what the user may do (docs/online.md says what it needs)."
            )
        if self._tls and mysql_tls.refused(text):
            return OnlineRefusedError(
                f"The online store {self.where} failed ({code}) by the TLS that online_url asks for: {text}. No user and no password was "
                "sent to it. Give the authority of its certificate as ssl_ca, and its host by a name that the certificate has; "
                "ssl_verify_identity=false leaves the name unchecked."
            )
        if code in LOST and "uring query" in text:
            return OnlineStoreError(
                f"The online store {self.where} gave no answer ({code}): {text}. It was restarted, or took longer than read_timeout."
            )
        return OnlineStoreError(f"The online store {self.where} failed ({code}): {text}. Check online_url and that the server runs.")


class _Lookup:
    """One prepared statement for one entry, and one for any number of them."""

    def __init__(self, store: MySQLStore, sources: Sequence[Source], key_types: Sequence[str]) -> None:
        self._store, self._sources, self._types = store, tuple(sources), tuple(key_types)

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> Found:
        if not self._sources:
            return []
        if len(entries) > 1:
            return self._store.run(lambda link: self._many_asked(link, entries, now))
        asked = (self._one.sql, self._one.values([bound(value) for value in entries[0]], now))
        return self._store.run(lambda _: asked)

    @cached_property
    def _one(self) -> Any:
        return PREPARED.lookup(self._sources, "(SELECT 1) e", lambda _: "?", "0")

    def _many_asked(self, link: Connection, entries: Sequence[Sequence[Any]], now: datetime) -> tuple[str, Sequence[Any]]:
        asked = self._many_mariadb if link.is_mariadb else self._many_mysql
        keys = [[shortened(value) for value in entry] for entry in entries]
        return asked.sql, [json.dumps(keys, default=as_json, ensure_ascii=False), *asked.values((), now)]

    @cached_property
    def _many_mariadb(self) -> Any:
        return self._many(MARIADB)

    @cached_property
    def _many_mysql(self) -> Any:
        return self._many(MYSQL)

    def _many(self, statements: Statements) -> Any:
        columns = [f"k{i} {json_type(type_)} PATH '$[{i}]'" for i, type_ in enumerate(self._types)]
        table = f"JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY{''.join(', ' + c for c in columns)})) e"

        def value(number: int) -> str:
            return f"UNHEX(e.k{number})" if self._types[number] == "binary" else f"e.k{number}"

        return statements.lookup(self._sources, table, value, "e.n - 1")


PREPARED = Statements("`", "?", key_value=prepared_key, read=_read)


def _options(query: str) -> dict[str, Any]:
    found = {}
    for name, text in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise NotFoundError.named("Option of online_url", name, _OPTIONS, "Leave it out, or correct it.")
        try:
            found[name] = _OPTIONS[name](text)
        except ValueError:
            raise SettingsError(f"Option {name}={text!r} of online_url is not a number: give one, such as {name}=10.") from None
        except KeyError:
            raise SettingsError(f"Option {name}={text!r} of online_url is neither true nor false: give one of these.") from None
    return found


def dialect(cursor: Any) -> Statements:
    """The statements of the server."""
    cursor.execute("SELECT VERSION()")
    ((version,),) = cursor.fetchall()
    return MARIADB if "mariadb" in str(version).lower() else MYSQL


# -- the columns of a table


def found_columns(cursor: Any, name: str) -> dict[str, int | None]:
    """The columns of a table with the room of sized ones (None: none was declared); none where there is no table."""
    cursor.execute(
        "SELECT column_name, data_type, character_maximum_length FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position", (name,),
    )
    return {str(c): int(n) if str(t).lower() in ("varchar", "varbinary") else None for c, t, n in cursor.fetchall()}


def add_missing(cursor: Any, table: OnlineTable, number: int, part: Sequence[OnlineColumn]) -> None:
    """Add the columns that one part of a table lacks; a part that is new has no rows, which stands for nulls."""
    there = found_columns(cursor, table.part_name(number))
    missing = [c for c in part if c.name not in there]
    if not there and number and found_columns(cursor, table.name):
        cursor.execute(dialect(cursor).create(table.part_name(number), part, table, rooms(table, part, {})))
    elif there and missing:
        room = rooms(table, part, {c.name: (there.get(c.name) or 0) - 1 for c in part})
        added = ", ".join(f"ADD COLUMN {PLAIN.definition(c, room.get(c.name), required=False)}" for c in missing)
        cursor.execute(f"ALTER TABLE {PLAIN.name(table.part_name(number))} {added}")
