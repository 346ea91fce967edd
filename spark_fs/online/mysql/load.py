"""Load rows into tables of MySQL or MariaDB from a worker.

It is done by LOAD DATA, or by INSERT where the server forbids that.
"""

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
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.mysql import insert_rows, negative_zero_rows
from spark_fs.online.mysql.dialects import MARIADB, PLAIN, get_dialect
from spark_fs.online.mysql.pool import FAILURES
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.table_columns import read_declared_lengths, resize_columns
from spark_fs.online.store import StagingTables
from spark_fs.online.table_layout import OnlineTable, choose_column_lengths, compute_max_key_length

_BATCH_BYTES = 32 << 20  # bytes of one LOAD DATA, or of one transaction of INSERTs
# The server, or the driver, lets no local file be loaded; the driver in pure Python says -1.
_FORBIDDEN_CODES = (1148, 2068, 3948, 4166)
_PURE_DRIVER_CODE = -1
OnlineColumns = Sequence[OnlineColumn]


def load_rows(
    store: MySQLStore, table: OnlineTable, staging: StagingTables, rows: pa.Table
) -> None:
    """Add rows to the staging tables; OnlineRefusedError for a value that does not fit."""
    not_finite = text_format.find_not_finite(rows, table.columns)
    if not_finite is not None:
        column_name, row_index = not_finite
        raise _make_not_finite_error(table, rows, column_name, row_index)
    stand_in = negative_zero_rows.find_stand_in(rows, table.columns)
    if stand_in is not None:
        raise _make_stand_in_error(table, rows, *stand_in)
    with _open_load_cursor(store) as (cursor, folder):
        if get_dialect(cursor) is MARIADB:
            rows = negative_zero_rows.replace_negative_zeros(rows, table.columns)
        for number, columns in enumerate(table.part_columns):
            table_name = staging.rows_table(number)
            _ensure_column_lengths(cursor, table, table_name, columns, rows)
            _load_batches(cursor, folder, table_name, columns, rows)


def load_deleted_keys(
    store: MySQLStore, table: OnlineTable, staging: StagingTables, keys: pa.Table
) -> None:
    """Add keys to those that go; one that is longer than any key online is not there."""
    for column in table.key_columns:
        if column.variable_length:
            lengths = text_format.measure_values(keys.column(column.name), column)
            keys = keys.filter(pc.less_equal(lengths, compute_max_key_length(table, column)))
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
    batch_rows = max(1, _BATCH_BYTES * rows.num_rows // max(1, rows.nbytes))
    by_file = True
    for start in range(0, rows.num_rows, batch_rows):
        batch = rows.slice(start, batch_rows)
        try:
            if by_file:
                load_by_file(cursor, folder, table_name, columns, batch)
        except DataError as error:
            raise _make_unfit_error(error.msg) from None
        except FAILURES as error:
            if not _is_file_load_forbidden(error):
                raise
            by_file = False
        if not by_file:
            insert_in_transaction(cursor, table_name, columns, batch)


def _is_file_load_forbidden(error: Exception) -> bool:
    code = getattr(error, "errno", None)
    if code == _PURE_DRIVER_CODE:
        return "LOCAL INFILE" in str(getattr(error, "msg", ""))
    return code in _FORBIDDEN_CODES


def insert_in_transaction(
    cursor: Any, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    """Add rows to a table by INSERT, in one transaction.

    What a worker that fails here leaves is removed with the tables of its run.
    """
    try:
        cursor.execute("START TRANSACTION")
        insert_rows.insert_rows(cursor, table_name, columns, rows)
        cursor.execute("COMMIT")
    except DataError as error:
        raise _make_unfit_error(error.msg) from None


def load_by_file(
    cursor: Any, folder: str, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    """Add rows to a table by LOAD DATA.

    Args:
        cursor: Of a connection that may load files of the folder.
        folder: Where the file is written; it is removed.
        table_name: The table.
        columns: Its columns, in the order of the file.
        rows: The rows, which replace those of their key.

    Raises:
        OnlineRefusedError: A value does not fit its column.
    """
    targets = []
    assignments = []
    for column in columns:
        name = PLAIN.quote_name(column.name)
        if column.type == "binary":  # bytes are written in hexadecimal
            targets.append(f"@{column.name}")
            assignments.append(f"{name} = UNHEX(@{column.name})")
        else:
            targets.append(name)
    set_clause = f" SET {', '.join(assignments)}" if assignments else ""
    path = Path(folder, "rows.tsv")
    with path.open("wb") as file:
        for part in text_format.iter_parts(rows):
            file.write(text_format.format_lines(part, columns))
    cursor.execute(
        f"LOAD DATA LOCAL INFILE {_quote_path(path)} REPLACE INTO TABLE"
        f" {PLAIN.quote_name(table_name)} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED"
        f" BY '\\\\' LINES TERMINATED BY '\\n' ({', '.join(targets)}){set_clause}"
    )
    path.unlink()
    if cursor.warning_count:  # with LOCAL what does not fit is a warning, and cut
        cursor.execute("SHOW WARNINGS")
        _, _, warning = cursor.fetchall()[0]
        raise _make_unfit_error(warning)


def _quote_path(path: Path) -> str:
    quoted = path.as_posix().replace("'", "''")
    return f"'{quoted}'"


# -- the lengths of columns


def _ensure_column_lengths(
    cursor: Any, table: OnlineTable, table_name: str, columns: OnlineColumns, rows: pa.Table
) -> None:
    """Make columns longer where these rows need it; OnlineRefusedError where that cannot be."""
    longest_values = text_format.measure_lengths(rows, columns)
    if all(length < 1 for length in longest_values.values()):
        return
    too_long = _find_too_long(longest_values, read_declared_lengths(cursor, table_name))
    if not too_long:
        return
    lock_name = hash_name(table_name)
    cursor.execute("SELECT GET_LOCK(%s, 300)", (lock_name,))  # another worker may do the same
    cursor.fetchall()
    try:
        current = read_declared_lengths(cursor, table_name)
        at_least = {
            name: max(length, (current[name] or 0) - 1) for name, length in longest_values.items()
        }
        chosen = choose_column_lengths(table, columns, at_least)
        _check_lengths(table, columns, too_long, chosen, rows)
        changed = {
            name: length
            for name, length in chosen.items()
            if current[name] is not None and length != current[name]
        }
        resize_columns(cursor, table, table_name, columns, changed)
    finally:
        cursor.execute("SELECT RELEASE_LOCK(%s)", (lock_name,))
        cursor.fetchall()


def _find_too_long(
    longest_values: Mapping[str, int], declared: Mapping[str, int | None]
) -> dict[str, int]:
    """The longest values that their columns do not hold; one of no declared length holds any."""
    too_long = {}
    for name, length in longest_values.items():
        limit = declared[name]
        if limit is not None and length > limit:
            too_long[name] = length
    return too_long


def _check_lengths(
    table: OnlineTable,
    columns: OnlineColumns,
    longest_values: Mapping[str, int],
    lengths: Mapping[str, int | None],
    rows: pa.Table,
) -> None:
    for column in columns:
        if column.name in longest_values:
            limit = lengths[column.name]
            if limit is not None and limit < longest_values[column.name]:
                raise _make_too_long_error(table, column, limit, rows)


# -- errors


def _make_unfit_error(reason: object) -> OnlineRefusedError:
    return OnlineRefusedError(
        f"A value does not fit its column online: {reason}. Nothing of this sync is online."
    )


def _make_too_long_error(
    table: OnlineTable, column: OnlineColumn, limit: int, rows: pa.Table
) -> OnlineRefusedError:
    values = rows.column(column.name)
    lengths = text_format.measure_values(values, column)
    is_too_long = pc.fill_null(pc.greater(lengths, limit), False)
    row_index = pc.index(is_too_long, True).as_py()
    beginning = str(values[row_index].as_py())[:60]
    if column.name in table.primary_key:
        reason = "as long as a key can be online"
    else:
        reason = f"what its online type {column.storage.column_type.lower()}({limit}) holds"
    return OnlineRefusedError(
        f"Column {column.name!r} of {table.name} holds a value of {lengths[row_index].as_py()}"
        f" characters or bytes, and {limit} are {reason}: {beginning!r}... Nothing of this sync is"
        " online. Shorten it, or declare the column otherwise."
    )


def _make_not_finite_error(
    table: OnlineTable, rows: pa.Table, column_name: str, row_index: int
) -> OnlineRefusedError:
    key = {name: rows.column(name)[row_index].as_py() for name in table.primary_key}
    value = rows.column(column_name)[row_index].as_py()
    return OnlineRefusedError(
        f"MySQL cannot hold the value {value} of column {column_name!r} of {table.name} (key"
        f" {key}). Nothing of this sync is online. Replace NaN and infinities by null before they"
        " are ingested, or serve this group from SQLite."
    )


def _make_stand_in_error(
    table: OnlineTable, rows: pa.Table, column_name: str, row_index: int
) -> OnlineRefusedError:
    key = {name: rows.column(name)[row_index].as_py() for name in table.primary_key}
    value = rows.column(column_name)[row_index].as_py()
    return OnlineRefusedError(
        f"Column {column_name!r} of {table.name} holds {value} (key {key}), by which -0.0 is held"
        " in MariaDB: it would come back as -0.0. Nothing of this sync is online. Replace it by"
        " -0.0 before it is ingested, or serve this group from SQLite."
    )


def hash_name(name: str) -> str:
    """A short name for a long one."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]
