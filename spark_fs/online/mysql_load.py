"""Load rows into tables of MySQL or MariaDB from a worker: by LOAD DATA, or by INSERT where the server forbids it."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from mysql.connector import DataError

from spark_fs.errors import OnlineRefusedError
from spark_fs.online import mysql as server
from spark_fs.online import mysql_insert, texts
from spark_fs.online.layout import OnlineColumn, OnlineTable, longest_key, rooms
from spark_fs.online.mysql import PLAIN, MySQLStore
from spark_fs.online.pool import FAILURES
from spark_fs.online.store import Place

_SHARE = 32 << 20  # bytes of one LOAD DATA, or of one transaction of INSERTs
_FORBIDDEN = (1148, 2068, 3948, 4166)  # the server, or the driver, lets no local file be loaded; the driver in pure Python says -1
Columns = Sequence[OnlineColumn]


def load(store: MySQLStore, table: OnlineTable, place: Place, rows: pa.Table) -> None:
    """Add rows to a place; OnlineRefusedError for a value that does not fit."""
    if wrong := texts.not_finite(rows, table.columns):
        raise _infinite(table, rows, *wrong)
    with _loading(store) as (cursor, folder):
        for number, part in enumerate(table.parts):
            _make_room(cursor, table, place.rows(number), part, rows)
            _load(cursor, folder, place.rows(number), part, rows)


def load_gone(store: MySQLStore, table: OnlineTable, place: Place, keys: pa.Table) -> None:
    """Add keys to those that go; one that is longer than any key online is not there."""
    for column in (c for c in table.keys if c.sized):
        keys = keys.filter(pc.less_equal(_size(keys.column(column.name), column), longest_key(table, column)))
    with _loading(store) as (cursor, folder):
        _make_room(cursor, table, place.gone, table.keys, keys)
        _load(cursor, folder, place.gone, table.keys, keys)


@contextmanager
def _loading(store: MySQLStore) -> Iterator[tuple[Any, str]]:
    """A cursor, and the only folder whose files the server may ask for."""
    with (
        tempfile.TemporaryDirectory(prefix="spark_fs-") as folder,
        store.transaction(autocommit=True, allow_local_infile_in_path=folder) as cursor,
    ):
        yield cursor, folder


def _load(cursor: Any, folder: str, name: str, columns: Columns, rows: pa.Table) -> None:
    step, by_file = max(1, _SHARE * rows.num_rows // max(1, rows.nbytes)), True
    for start in range(0, rows.num_rows, step):
        share = rows.slice(start, step)
        try:
            if by_file:
                load_file(cursor, folder, name, columns, share)
        except DataError as error:
            raise _does_not_fit(error.msg) from None
        except FAILURES as error:
            if not _forbids_files(error):
                raise
            by_file = False
        if not by_file:
            insert(cursor, name, columns, share)


def _forbids_files(error: Exception) -> bool:
    code, text = getattr(error, "errno", None), str(getattr(error, "msg", ""))
    return code in _FORBIDDEN or (code == -1 and "LOCAL INFILE" in text)


def insert(cursor: Any, name: str, columns: Columns, rows: pa.Table) -> None:
    """Add rows to a table by INSERT, in one transaction."""
    try:
        cursor.execute("START TRANSACTION")  # what a worker that fails here leaves is swept with the tables of its run
        mysql_insert.insert(cursor, name, columns, rows)
        cursor.execute("COMMIT")
    except DataError as error:
        raise _does_not_fit(error.msg) from None


def load_file(cursor: Any, folder: str, name: str, columns: Columns, rows: pa.Table) -> None:
    """Add rows to a table by LOAD DATA."""
    hexed = [c for c in columns if c.type == "binary"]
    targets = ", ".join(f"@{c.name}" if c in hexed else PLAIN.name(c.name) for c in columns)
    made = f" SET {', '.join(f'{PLAIN.name(c.name)} = UNHEX(@{c.name})' for c in hexed)}" if hexed else ""
    path = Path(folder, "rows.tsv")
    with path.open("wb") as file:
        file.write(texts.lines(rows, columns))
    cursor.execute(
        f"LOAD DATA LOCAL INFILE {_quoted(path)} REPLACE INTO TABLE {PLAIN.name(name)} CHARACTER SET utf8mb4 "
        f"FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({targets}){made}"
    )
    path.unlink()
    if cursor.warning_count:  # with LOCAL what does not fit is a warning, and cut
        cursor.execute("SHOW WARNINGS")
        raise _does_not_fit(cursor.fetchall()[0][2])


def _does_not_fit(why: object) -> OnlineRefusedError:
    return OnlineRefusedError(f"A value does not fit its column online: {why}. Nothing of this sync is online.")


def _quoted(path: Path) -> str:
    text = path.as_posix().replace("'", "''")
    return f"'{text}'"


def _make_room(cursor: Any, table: OnlineTable, name: str, part: Columns, rows: pa.Table) -> None:
    """Make sized columns longer where these rows need it; OnlineRefusedError where that cannot be."""
    wanted = texts.lengths(rows, part)
    if all(length < 1 for length in wanted.values()):
        return
    there = server.found_columns(cursor, name)
    short = {n: length for n, length in wanted.items() if there[n] is not None and length > (there[n] or 0)}
    if not short:
        return
    cursor.execute("SELECT GET_LOCK(%s, 300)", (digest(name),))  # another worker may do the same
    cursor.fetchall()
    try:
        there = server.found_columns(cursor, name)
        room = rooms(table, part, {n: max(length, (there[n] or 0) - 1) for n, length in wanted.items()})
        for column in part:
            if column.name in short and (limit := room[column.name]) is not None and limit < short[column.name]:
                raise _too_long(table, column, limit, rows)
        resize(cursor, table, name, part, {n: room[n] for n in room if there[n] is not None and room[n] != there[n]})
    finally:
        cursor.execute("SELECT RELEASE_LOCK(%s)", (digest(name),))
        cursor.fetchall()


def resize(cursor: Any, table: OnlineTable, name: str, part: Columns, room: Mapping[str, int | None]) -> None:
    """Give sized columns of a table this room."""
    changed = [f"MODIFY COLUMN {PLAIN.definition(c, room[c.name], c.name in table.key)}" for c in part if c.name in room]
    if changed:
        cursor.execute(f"ALTER TABLE {PLAIN.name(name)} {', '.join(changed)}")


def _size(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    return pc.utf8_length(values) if column.type == "string" else pc.binary_length(values)


def _too_long(table: OnlineTable, column: OnlineColumn, limit: int, rows: pa.Table) -> OnlineRefusedError:
    values = rows.column(column.name)
    size = _size(values, column)
    place = pc.index(pc.fill_null(pc.greater(size, limit), False), True).as_py()
    declared = f"what its online type {column.storage.column.lower()}({limit}) holds"
    why = "as long as a key can be online" if column.name in table.key else declared
    return OnlineRefusedError(
        f"Column {column.name!r} of {table.name} holds a value of {size[place].as_py()} characters or bytes, and {limit} are {why}: "
        f"{str(values[place].as_py())[:60]!r}... Nothing of this sync is online. Shorten it, or declare the column otherwise."
    )


def _infinite(table: OnlineTable, rows: pa.Table, name: str, place: int) -> OnlineRefusedError:
    key = {k: rows.column(k)[place].as_py() for k in table.key}
    return OnlineRefusedError(
        f"MySQL cannot hold the value {rows.column(name)[place].as_py()} of column {name!r} of {table.name} (key {key}). Nothing of this "
        "sync is online. Replace NaN and infinities by null before they are ingested, or serve this group from SQLite."
    )


def digest(text: str) -> str:
    """A short name for a long one."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
