"""What a database of MySQL or MariaDB knows of its tables: up to which version each was synced, and of which Delta table."""

from datetime import UTC
from typing import Any

from mysql.connector import ProgrammingError, errorcode

from spark_fs.online.statements import ORIGINS, SYNCED
from spark_fs.online.store import Origin, Synced

_TABLES = (
    f"{SYNCED} (name VARCHAR(80) CHARACTER SET ascii PRIMARY KEY, delta_version BIGINT NOT NULL, "
    "run CHAR(32) CHARACTER SET ascii NOT NULL, synced_at DATETIME(6) NOT NULL) ENGINE=InnoDB",
    f"{ORIGINS} (name VARCHAR(80) CHARACTER SET ascii PRIMARY KEY, id VARCHAR(64) CHARACTER SET ascii NOT NULL, "
    "place VARCHAR(1000) CHARACTER SET utf8mb4 NOT NULL) ENGINE=InnoDB",
)


def ensure(cursor: Any) -> None:
    """Make the tables that hold it."""
    for table in _TABLES:
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table}")


def synced(cursor: Any, name: str) -> Synced | None:
    """What the last sync of a table did."""
    found = _row(cursor, f"SELECT delta_version, run, synced_at FROM {SYNCED} WHERE name = %s", name)
    return Synced(int(found[0]), str(found[1]), found[2].replace(tzinfo=UTC)) if found else None


def origin(cursor: Any, name: str) -> Origin | None:
    """The Delta table that a table is made from; None where that is not known."""
    found = _row(cursor, f"SELECT id, place FROM {ORIGINS} WHERE name = %s", name)
    return Origin(str(found[0]), str(found[1])) if found else None


def remember(cursor: Any, name: str, done: Synced) -> None:
    """Write what a sync did; the caller commits."""
    cursor.execute(f"REPLACE INTO {SYNCED} VALUES (%s, %s, %s, %s)", (name, done.version, done.run, done.at.replace(tzinfo=None)))


def claim(cursor: Any, name: str, made_from: Origin) -> None:
    """Write what a table is made from; the caller commits."""
    cursor.execute(f"REPLACE INTO {ORIGINS} VALUES (%s, %s, %s)", (name, made_from.id, made_from.place[-1_000:]))


def forget(cursor: Any, name: str) -> None:
    """Remove both."""
    for table in (SYNCED, ORIGINS):
        cursor.execute(f"DELETE FROM {table} WHERE name = %s", (name,))


def _row(cursor: Any, query: str, name: str) -> tuple[Any, ...] | None:
    """The one row of a table; None where there is no such table either: whoever only reads may not make one."""
    try:
        cursor.execute(query, (name,))
    except ProgrammingError as error:
        if error.errno != errorcode.ER_NO_SUCH_TABLE:
            raise
        return None
    found = cursor.fetchall()
    return tuple(found[0]) if found else None
