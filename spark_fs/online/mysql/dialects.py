"""The SQL of MySQL and of MariaDB.

Its parameters are as the driver formats them, or as a prepared statement takes them.
"""

from collections.abc import Callable
from typing import Any

from spark_fs.online.mysql.keys import cast_prepared_key
from spark_fs.online.statements import SqlDialect

_TABLE_SUFFIX = " ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE {}"
# Binary and without padding: letter case and trailing spaces make different keys.
_MARIADB_COLLATION = "utf8mb4_nopad_bin"
_MYSQL_COLLATION = "utf8mb4_0900_bin"


def _make_key_expression(collation: str) -> Callable[[str, str], str]:
    """A key value as it is compared with its column.

    Strings are compared in the collation of the column, which an entry's have not.
    """

    def get_key_expression(expression: str, type_: str) -> str:
        return f"{expression} COLLATE {collation}" if type_ == "string" else expression

    return get_key_expression


def _read_string_as_bytes(expression: str, type_: str) -> str:
    """A column as a prepared statement reads it.

    Strings are read as their bytes, since the driver's C extension ends a string at its first NUL.
    """
    return f"CAST({expression} AS BINARY)" if type_ == "string" else expression


MARIADB = SqlDialect(
    "`",
    "?",
    _TABLE_SUFFIX.format(_MARIADB_COLLATION),
    _make_key_expression(_MARIADB_COLLATION),
    read_expression=_read_string_as_bytes,
)
MYSQL = SqlDialect(
    "`",
    "?",
    _TABLE_SUFFIX.format(_MYSQL_COLLATION),
    _make_key_expression(_MYSQL_COLLATION),
    read_expression=_read_string_as_bytes,
)
PREPARED = SqlDialect(
    "`", "?", key_expression=cast_prepared_key, read_expression=_read_string_as_bytes
)
PLAIN = SqlDialect("`", "%s")


def get_dialect(cursor: Any) -> SqlDialect:
    """The dialect of the server."""
    cursor.execute("SELECT VERSION()")
    ((version,),) = cursor.fetchall()
    return MARIADB if "mariadb" in str(version).lower() else MYSQL
