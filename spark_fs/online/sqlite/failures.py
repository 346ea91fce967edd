"""The errors of SQLite, as ours."""

import sqlite3

from spark_fs.errors import OnlineStoreError
from spark_fs.online.store import LackingTableError


def translate_error(path: str, error: sqlite3.Error) -> OnlineStoreError:
    """SQLite's error as ours; what is absent it tells by its text alone."""
    if "no such table" in str(error) or "no such column" in str(error):
        return LackingTableError(
            f"The online store {path} lacks a table or a column ({error}): run sync_online for its"
            " group first."
        )
    return OnlineStoreError(f"The online store {path} failed and nothing was written: {error}")
