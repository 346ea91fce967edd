"""The writing side of each online store; it loads Arrow, which a serving process does without."""

from collections.abc import Callable, Mapping
from typing import Any

from spark_fs.online.mysql import MySQLStore
from spark_fs.online.mysql_sync import MySQLWriter
from spark_fs.online.sqlite import SQLiteStore
from spark_fs.online.sqlite_sync import SQLiteWriter
from spark_fs.online.store import OnlineStore, OnlineWriter

_WRITER_CLASSES: Mapping[type, Callable[[Any], OnlineWriter]] = {MySQLStore: MySQLWriter, SQLiteStore: SQLiteWriter}


def make_writer(store: OnlineStore) -> OnlineWriter:
    """The writer of a store."""
    return _WRITER_CLASSES[type(store)](store)
