"""What revisions do, where it is not done yet.

A MySQL server keeps each step of an upgrade that was ended, and knows no IF NOT EXISTS.
"""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import Column, inspect


def add_index(name: str, table: str, columns: Sequence[str], unique: bool = False) -> None:
    """Make an index unless it is there."""
    if name not in _list_indexes(table):
        op.create_index(name, table, list(columns), unique=unique)


def drop_index(name: str, table: str) -> None:
    """Remove an index if it is there."""
    if name in _list_indexes(table):
        op.drop_index(name, table)


def add_column(table: str, column: Column) -> None:  # type: ignore[type-arg] # of any type
    """Add a column unless it is there."""
    existing = inspect(op.get_bind()).get_columns(table)
    if column.name not in [details["name"] for details in existing]:
        op.add_column(table, column)


def on_server() -> bool:
    """Whether the database is a server's.

    A file of SQLite's has one type for every string.
    """
    return op.get_bind().dialect.name != "sqlite"


def _list_indexes(table: str) -> list[str | None]:
    return [index["name"] for index in inspect(op.get_bind()).get_indexes(table)]
