"""The online store in MySQL or MariaDB, through mysql-connector-python."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

import mysql.connector
from mysql.connector import errorcode

from spark_fs.errors import OnlineStoreError, SettingsError
from spark_fs.online.statements import SYNC_TABLE, Statements
from spark_fs.online.store import Capabilities, OnlineColumn, OnlineTable, Source

BATCH = 2_000  # rows of one INSERT
LONGEST_VARCHAR = 4_000  # characters; longer texts are TEXT


def _column_type(column: OnlineColumn) -> str:
    if column.storage.column != "VARCHAR":
        return column.storage.column
    room = _room(column.length)
    return f"VARCHAR({room})" if room <= LONGEST_VARCHAR else "LONGTEXT"


def _room(length: int) -> int:
    """The next hundred above a length."""
    return (length // 100 + 1) * 100


SQL = Statements("`", "%s", _column_type)


class MySQLStore:
    """Tables in the database of ``mysql://user:password@host:port/database``."""

    capabilities = Capabilities("mysql", max_identifier=64, parallel_writes=True, sized_text=True)

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname or not parts.path.strip("/"):
            raise SettingsError("online_url must read mysql://user:password@host:port/database; it lacks the host or the database.")
        self._url = url
        self._where = f"{parts.hostname}:{parts.port or 3306}{parts.path}"
        self._options: dict[str, Any] = {
            "host": parts.hostname, "port": parts.port or 3306, "database": unquote(parts.path.strip("/")),
            "user": unquote(parts.username or ""), "password": unquote(parts.password or ""),
            "charset": "utf8mb4", "collation": "utf8mb4_bin", "sql_mode": "STRICT_ALL_TABLES", "connection_timeout": 10,
        }
        self._local = threading.local()

    def __reduce__(self) -> tuple[type["MySQLStore"], tuple[str]]:
        return MySQLStore, (self._url,)

    def __repr__(self) -> str:
        return f"MySQLStore({self._where!r})"

    def ensure_table(self, table: OnlineTable) -> None:
        """Create the table, or widen the texts of the one that is there."""
        with self._cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            ((version,),) = cursor.fetchall()
            # Binary and without padding: letter case and trailing spaces make different keys.
            collation = "utf8mb4_nopad_bin" if "mariadb" in str(version).lower() else "utf8mb4_0900_bin"
            cursor.execute(f"{SQL.create(table)} CHARACTER SET utf8mb4 COLLATE {collation}")
            cursor.execute(
                "SELECT column_name, character_maximum_length FROM information_schema.columns "
                "WHERE table_schema = DATABASE() AND table_name = %s", (table.name,),
            )
            room = dict(cursor.fetchall())
            for column in table.columns:
                if column.storage.column == "VARCHAR" and column.length > room[column.name]:
                    required = " NOT NULL" if column.name in table.key else ""
                    change = f"MODIFY {SQL.name(column.name)} {_column_type(column)}{required}"
                    cursor.execute(f"ALTER TABLE {SQL.name(table.name)} {change}")

    def upsert(self, table: OnlineTable, rows: Iterable[Sequence[Any]], over_newer: bool = False) -> None:
        """Write rows in one transaction; one older than the row that is there changes nothing, unless ``over_newer``."""
        self._many(f"{SQL.insert(table)} ON DUPLICATE KEY UPDATE {_assignments(table, over_newer)}", rows)

    def delete(self, table: OnlineTable, rows: Iterable[Sequence[Any]]) -> None:
        """Delete the rows of these keys in one transaction."""
        self._many(SQL.delete(table), rows)

    def drop(self, table: str) -> None:
        """Remove a table and its synced version."""
        with self._cursor() as cursor:
            self._ensure_sync_table(cursor)
            cursor.execute(f"DROP TABLE IF EXISTS {SQL.name(table)}")
            cursor.execute(f"DELETE FROM {SYNC_TABLE} WHERE name = %s", (table,))

    def _many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        left = iter(rows)
        with self._cursor() as cursor:
            while batch := list(islice(left, BATCH)):
                cursor.executemany(statement, batch)

    def synced_version(self, table: str) -> int | None:
        """The Delta version that the table has been brought to; None before the first sync."""
        with self._cursor() as cursor:
            self._ensure_sync_table(cursor)
            cursor.execute(f"SELECT delta_version FROM {SYNC_TABLE} WHERE name = %s", (table,))
            found = cursor.fetchall()
        return int(found[0][0]) if found else None

    def set_synced_version(self, table: str, version: int) -> None:
        """Remember the Delta version that the table has been brought to."""
        with self._cursor() as cursor:
            self._ensure_sync_table(cursor)
            cursor.execute(f"REPLACE INTO {SYNC_TABLE} VALUES (%s, %s)", (table, version))

    def lookup_sql(self, sources: Sequence[Source], keys: int, entries: int) -> str:
        """One statement for all sources and entries."""
        return SQL.lookup(sources, keys, entries)

    def select(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Run one statement on this thread's own connection, once more on a new one when the server has dropped it."""
        try:
            try:
                return self._run(sql, parameters)
            except (mysql.connector.OperationalError, mysql.connector.InterfaceError):
                self._local.connection = None
                return self._run(sql, parameters)
        except mysql.connector.Error as error:
            raise self._translated(error) from None

    def _run(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = mysql.connector.connect(**self._options, autocommit=True)
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql, parameters)
            return list(cursor.fetchall())

    @staticmethod
    def _ensure_sync_table(cursor: Any) -> None:
        cursor.execute(
            f"CREATE TABLE IF NOT EXISTS {SYNC_TABLE} (name VARCHAR(80) PRIMARY KEY, delta_version BIGINT NOT NULL)"
        )

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        try:
            with closing(mysql.connector.connect(**self._options)) as connection, closing(connection.cursor()) as cursor:
                yield cursor
                connection.commit()
        except mysql.connector.Error as error:
            raise self._translated(error) from None  # the driver's own error could hold the connection's options

    def _translated(self, error: mysql.connector.Error) -> OnlineStoreError:
        if error.errno == errorcode.ER_NO_SUCH_TABLE:
            return OnlineStoreError(f"The online store {self._where} lacks a table ({error.msg}): run sync_online for its group first.")
        return OnlineStoreError(
            f"The online store {self._where} failed ({error.errno}): {error.msg}. Check online_url and that the server runs."
        )


def _assignments(table: OnlineTable, over_newer: bool) -> str:
    """What an upsert does to a row that is there. The event time comes last: MySQL assigns from left to right."""
    time = SQL.name(table.event_time) if table.event_time and not over_newer else None
    others = [SQL.name(c.name) for c in table.columns if c.name not in table.key and SQL.name(c.name) != time]
    if time is None:
        return ", ".join(f"{c} = VALUES({c})" for c in others) or "{0} = {0}".format(SQL.name(table.key[0]))
    newer = [f"{c} = IF(VALUES({time}) >= {time}, VALUES({c}), {c})" for c in others]
    return ", ".join([*newer, f"{time} = GREATEST({time}, VALUES({time}))"])
