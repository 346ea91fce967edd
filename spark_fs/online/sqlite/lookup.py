"""A look-up in SQLite."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from spark_fs.online.sqlite.failures import translate_error
from spark_fs.online.statements import LookupQuery
from spark_fs.online.store import LookupRows, look_up_nothing

if TYPE_CHECKING:
    from spark_fs.online.sqlite.store import SQLiteStore


class SQLiteLookup:
    """One statement for each entry, in one transaction: there is no way to the server to be spared.

    A result of too many columns is asked for in several statements.

    Args:
        store: Where rows are.
        query: The look-up of one entry.
        key_count: How many values an entry's key has.
    """

    def __init__(self, store: "SQLiteStore", query: LookupQuery, key_count: int) -> None:
        self._store = store
        self._key_count = key_count
        self._query = query
        self._statements = _split_columns(query, store.capabilities.max_columns)

    def warm_up(self) -> None:
        """Open the file and read its schema."""
        look_up_nothing(self, self._key_count)

    def with_max_age(self, seconds: float) -> "SQLiteLookup":  # noqa: ARG002 # none is old
        """The same: it reads what syncs write to."""
        return self

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The rows of entries."""
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
    statements = []
    for start in range(0, len(columns), max_columns):
        batch = ", ".join(columns[start : start + max_columns])
        statements.append(f"SELECT {batch}{query.from_clause}")
    return tuple(statements)
