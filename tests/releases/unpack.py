"""The store of a release, at another place than where it was made."""

import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

from releases.make import HOME


def unpack(file: Path, home: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        archive.extractall(home)
    for name in ("catalog", "models"):
        moved(home / f"{name}.db", str(home))


def moved(file: Path, home: str) -> None:
    """Let a database name this home in the place of the one that the store was made at."""
    with closing(sqlite3.connect(file)) as database:
        for (table,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall():
            for _, column, type_, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if type_.startswith(("VARCHAR", "TEXT", "JSON")):
                    database.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE {column}"
                        " LIKE ?",
                        (str(HOME), home, f"%{HOME}%"),
                    )
        database.commit()
