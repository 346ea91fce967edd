"""The writing side of each online store; it loads Arrow, which a serving process does without."""

from collections.abc import Callable, Mapping
from typing import Any

from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.writer import MySQLWriter
from spark_fs.online.sqlite.store import SQLiteStore
from spark_fs.online.sqlite.writer import SQLiteWriter
from spark_fs.online.store import OnlineStore, OnlineWriter

_WRITER_CLASSES: Mapping[type, Callable[[Any], OnlineWriter]] = {
    MySQLStore: MySQLWriter,
    SQLiteStore: SQLiteWriter,
}


def make_writer(store: OnlineStore) -> OnlineWriter:
    """The writer of a store."""
    return _WRITER_CLASSES[type(store)](store)
