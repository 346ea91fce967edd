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
from spark_fs.online import text_format
from spark_fs.online.mysql import insert_rows
from spark_fs.online.mysql import store as server
from spark_fs.online.mysql.pool import FAILURES
from spark_fs.online.mysql.store import PLAIN, MySQLStore
from spark_fs.online.store import StagingTables
from spark_fs.online.table import (
    OnlineColumn,
    OnlineTable,
    choose_column_lengths,
    compute_max_key_length,
)

_BATCH_BYTES = 32 << 20  # bytes of one LOAD DATA, or of one transaction of INSERTs
_FORBIDDEN_CODES = (
    1148,
    2068,
    3948,
    4166,
)  # the server, or the driver, lets no local file be loaded; the driver in pure Python says -1
OnlineColumns = Sequence[OnlineColumn]


def load_rows(
    store: MySQLStore, table: OnlineTable, staging: StagingTables, rows: pa.Table
) -> None:
    """Add rows to a place; OnlineRefusedError for a value that does not fit."""
    if wrong := text_format.find_not_finite(rows, table.columns):
        raise _make_not_finite_error(table, rows, *wrong)
    with _open_load_cursor(store) as (cursor, folder):
        for number, part in enumerate(table.part_columns):
            _ensure_column_lengths(cursor, table, staging.rows_table(number), part, rows)
            _load_batches(cursor, folder, staging.rows_table(number), part, rows)


def load_deleted_keys(
    store: MySQLStore, table: OnlineTable, staging: StagingTables, keys: pa.Table
) -> None:
    """Add keys to those that go; one that is longer than any key online is not there."""
    for column in (c for c in table.key_columns if c.variable_length):
        keys = keys.filter(
            pc.less_equal(
                _measure_values(keys.column(column.name), column),
                compute_max_key_length(table, column),
            )
        )
    with _open_load_cursor(store) as (cursor, folder):
        _ensure_column_lengths(cursor, table, staging.deleted_keys, table.key_columns, keys)
        _load_batches(cursor, folder, staging.deleted_keys, table.key_columns, keys)


@contextmanager
def _open_load_cursor(store: MySQLStore) -> Iterator[tuple[Any, str]]:
    """A cursor, and the only folder whose files the server may ask for."""
    with (
        tempfile.TemporaryDirectory(prefix="spark_fs-") as folder,
        store.transaction(autocommit=True, allow_local_infile_in_path=folder) as cursor,
    ):
        yield cursor, folder


def _load_batches(
    cursor: Any, folder: str, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    step, by_file = max(1, _BATCH_BYTES * rows.num_rows // max(1, rows.nbytes)), True
    for start in range(0, rows.num_rows, step):
        share = rows.slice(start, step)
        try:
            if by_file:
                load_by_file(cursor, folder, table_name, columns, share)
        except DataError as error:
            raise _make_unfit_error(error.msg) from None
        except FAILURES as error:
            if not _is_file_load_forbidden(error):
                raise
            by_file = False
        if not by_file:
            insert_in_transaction(cursor, table_name, columns, share)


def _is_file_load_forbidden(error: Exception) -> bool:
    code, text = getattr(error, "errno", None), str(getattr(error, "msg", ""))
    return code in _FORBIDDEN_CODES or (code == -1 and "LOCAL INFILE" in text)


def insert_in_transaction(
    cursor: Any, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    """Add rows to a table by INSERT, in one transaction."""
    try:
        cursor.execute(
            "START TRANSACTION"
        )  # what a worker that fails here leaves is swept with the tables of its run
        insert_rows.insert_rows(cursor, table_name, columns, rows)
        cursor.execute("COMMIT")
    except DataError as error:
        raise _make_unfit_error(error.msg) from None


def load_by_file(
    cursor: Any, folder: str, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    """Add rows to a table by LOAD DATA."""
    hexed = [c for c in columns if c.type == "binary"]
    targets = ", ".join(f"@{c.name}" if c in hexed else PLAIN.quote_name(c.name) for c in columns)
    made = (
        f" SET {', '.join(f'{PLAIN.quote_name(c.name)} = UNHEX(@{c.name})' for c in hexed)}"
        if hexed
        else ""
    )
    path = Path(folder, "rows.tsv")
    with path.open("wb") as file:
        file.write(text_format.format_lines(rows, columns))
    cursor.execute(
        f"LOAD DATA LOCAL INFILE {_quote_path(path)} REPLACE INTO TABLE"
        f" {PLAIN.quote_name(table_name)} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED"
        f" BY '\\\\' LINES TERMINATED BY '\\n' ({targets}){made}"
    )
    path.unlink()
    if cursor.warning_count:  # with LOCAL what does not fit is a warning, and cut
        cursor.execute("SHOW WARNINGS")
        raise _make_unfit_error(cursor.fetchall()[0][2])


def _make_unfit_error(reason: object) -> OnlineRefusedError:
    return OnlineRefusedError(
        f"A value does not fit its column online: {reason}. Nothing of this sync is online."
    )


def _quote_path(path: Path) -> str:
    text = path.as_posix().replace("'", "''")
    return f"'{text}'"


def _ensure_column_lengths(
    cursor: Any, table: OnlineTable, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    """Make sized columns longer where these rows need it; OnlineRefusedError where that cannot be."""
    wanted = text_format.measure_lengths(rows, columns)
    if all(length < 1 for length in wanted.values()):
        return
    there = server.read_declared_lengths(cursor, table_name)
    short = {
        n: length
        for n, length in wanted.items()
        if there[n] is not None and length > (there[n] or 0)
    }
    if not short:
        return
    cursor.execute(
        "SELECT GET_LOCK(%s, 300)", (hash_name(table_name),)
    )  # another worker may do the same
    cursor.fetchall()
    try:
        there = server.read_declared_lengths(cursor, table_name)
        room = choose_column_lengths(
            table, columns, {n: max(length, (there[n] or 0) - 1) for n, length in wanted.items()}
        )
        for column in columns:
            if (
                column.name in short
                and (limit := room[column.name]) is not None
                and limit < short[column.name]
            ):
                raise _make_too_long_error(table, column, limit, rows)
        resize_columns(
            cursor,
            table,
            table_name,
            columns,
            {n: room[n] for n in room if there[n] is not None and room[n] != there[n]},
        )
    finally:
        cursor.execute("SELECT RELEASE_LOCK(%s)", (hash_name(table_name),))
        cursor.fetchall()


def resize_columns(
    cursor: Any,
    table: OnlineTable,
    table_name: str,
    columns: OnlineColumns,
    lengths: Mapping[str, int | None],
) -> None:
    """Give sized columns of a table this room."""
    changed = [
        f"MODIFY COLUMN {PLAIN.column_definition(c, lengths[c.name], c.name in table.primary_key)}"
        for c in columns
        if c.name in lengths
    ]
    if changed:
        cursor.execute(f"ALTER TABLE {PLAIN.quote_name(table_name)} {', '.join(changed)}")


def _measure_values(values: pa.ChunkedArray, column: OnlineColumn) -> pa.ChunkedArray:
    return pc.utf8_length(values) if column.type == "string" else pc.binary_length(values)


def _make_too_long_error(
    table: OnlineTable, column: OnlineColumn, limit: int, rows: pa.Table
) -> OnlineRefusedError:
    values = rows.column(column.name)
    size = _measure_values(values, column)
    place = pc.index(pc.fill_null(pc.greater(size, limit), False), True).as_py()
    declared = f"what its online type {column.storage.column_type.lower()}({limit}) holds"
    why = "as long as a key can be online" if column.name in table.primary_key else declared
    return OnlineRefusedError(
        f"Column {column.name!r} of {table.name} holds a value of {size[place].as_py()} characters"
        f" or bytes, and {limit} are {why}: {str(values[place].as_py())[:60]!r}... Nothing of this"
        " sync is online. Shorten it, or declare the column otherwise."
    )


def _make_not_finite_error(
    table: OnlineTable, rows: pa.Table, column_name: str, row_index: int
) -> OnlineRefusedError:
    key = {k: rows.column(k)[row_index].as_py() for k in table.primary_key}
    return OnlineRefusedError(
        f"MySQL cannot hold the value {rows.column(column_name)[row_index].as_py()} of column"
        f" {column_name!r} of {table.name} (key {key}). Nothing of this sync is online. Replace NaN"
        " and infinities by null before they are ingested, or serve this group from SQLite."
    )


def hash_name(name: str) -> str:
    """A short name for a long one."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]
