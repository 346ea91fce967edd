"""The steps of a sync in MySQL and MariaDB, on the connection that holds its lock."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from spark_fs.errors import OnlineStoreError
from spark_fs.online.mysql import load, synced_tables
from spark_fs.online.mysql.dialects import PLAIN, get_dialect
from spark_fs.online.mysql.heartbeat import Heartbeat
from spark_fs.online.mysql.pool import FAILURES
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.table_columns import (
    add_missing_columns,
    read_declared_lengths,
    resize_columns,
)
from spark_fs.online.store import StagingTables, SyncState, TableOrigin
from spark_fs.online.sync_session import OnlineColumns, StagedSyncSession
from spark_fs.online.table_layout import OnlineTable, choose_column_lengths


class MySQLSyncSession(StagedSyncSession):
    """One sync, on the connection that holds its lock."""

    def __init__(
        self,
        store: MySQLStore,
        table: OnlineTable,
        origin: TableOrigin,
        last_sync: SyncState | None,
        connection: Any,
        cursor: Any,
        lock_name: str,
        heartbeat: Heartbeat,
    ) -> None:
        super().__init__(PLAIN, table, origin, last_sync)
        self._store = store
        self._connection = connection
        self._cursor = cursor
        self._lock_name = lock_name
        self._heartbeat = heartbeat

    def begin_staging(self, full_refresh: bool) -> StagingTables:
        """Make new tables for the rows of this run.

        The connection is kept alive while workers load them.
        """
        staging = super().begin_staging(full_refresh)
        self._heartbeat.start()
        return staging

    def close(self) -> None:
        """Undo what was not committed, remove what was loaded, and give the lock back."""
        self._heartbeat.stop()
        self._connection.rollback()
        self.clean_up()
        self._cursor.execute("SELECT RELEASE_LOCK(%s)", (self._lock_name,))
        self._cursor.fetchall()

    # -- transactions

    @contextmanager
    def change_tables(self) -> Iterator[Any]:
        """A cursor by which tables are made and removed; what was looked at is held no longer."""
        self._heartbeat.stop()
        yield self._cursor
        self._connection.commit()

    @contextmanager
    def commit_at_end(self) -> Iterator[Any]:
        """A cursor in a transaction that is committed at the end.

        When the answer to that is lost, a new connection tells whether it was done.
        """
        self._resume_connection()
        self._connection.commit()  # what was read so far was another transaction
        self._connection.start_transaction()
        yield self._cursor
        try:
            self._connection.commit()
        except FAILURES:
            with suppress(OnlineStoreError):
                state = self._store.read_sync_state(self._table)
                if state is not None and state.run_id == self._run_id:
                    return
            raise

    def _resume_connection(self) -> None:
        """Take the connection back from the heartbeat; OnlineStoreError where the lock was lost."""
        self._heartbeat.stop()
        holds_lock = False
        with suppress(*FAILURES):
            query = "SELECT COALESCE(IS_USED_LOCK(%s) = CONNECTION_ID(), 0)"
            holds_lock = bool(self.fetch_integer(self._cursor, query, (self._lock_name,)))
        if not holds_lock:
            raise OnlineStoreError(
                f"The sync of {self._table.name} lost its connection to {self._store.address}, and"
                " with it its lock, while rows were loaded: nothing of it is online. Sync again."
            )

    # -- staging tables

    @property
    def staging_prefix(self) -> str:
        """The beginning of the names of the tables of a table's runs; no group begins so."""
        return f"_run_{load.hash_name(self._table.name)}_"

    def drop_staging_tables(self, cursor: Any) -> None:
        """Remove the tables whose names begin with the staging prefix."""
        prefix = self.staging_prefix
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND"
            " LEFT(table_name, %s) = %s",
            (len(prefix), prefix),
        )
        names = [str(name) for (name,) in cursor.fetchall()]
        if names:
            cursor.execute(PLAIN.drop_tables(names))

    def create_rows_table(
        self, cursor: Any, staging: StagingTables, part_number: int, columns: OnlineColumns
    ) -> None:
        """Make the table into which the rows of a part are loaded.

        Its columns are as long as those of the part.
        """
        table = self._table
        name = staging.rows_table(part_number)
        if staging.full_refresh:
            lengths = choose_column_lengths(table, columns, {})
        else:
            declared = read_declared_lengths(cursor, table.part_name(part_number))
            lengths = _choose_lengths_like(table, columns, declared)
        cursor.execute(get_dialect(cursor).create_table(name, columns, table, lengths))
        if staging.full_refresh and table.ttl is not None and table.event_time:
            cursor.execute(
                f"ALTER TABLE {PLAIN.quote_name(name)} ADD KEY _ttl"
                f" ({PLAIN.quote_name(table.event_time)})"
            )

    def create_keys_table(self, cursor: Any, staging: StagingTables) -> None:
        """Make the table into which the keys that go are loaded."""
        table = self._table
        lengths = choose_column_lengths(table, table.key_columns, {})
        dialect = get_dialect(cursor)
        cursor.execute(
            dialect.create_table(staging.deleted_keys, table.key_columns, table, lengths)
        )

    def add_missing_columns(self, cursor: Any) -> None:
        """Give the table the columns and the parts that it lacks."""
        for number, columns in enumerate(self._table.part_columns):
            add_missing_columns(cursor, self._table, number, columns)

    # -- swap and merge

    def rename_tables(self, cursor: Any, staging: StagingTables) -> None:
        """Put the tables of the loaded rows in the place of the table's parts.

        Renaming is one step of the server. It commits.
        """
        old_names = []
        new_names = []
        for number, part_name in enumerate(self._table.part_names):
            name = PLAIN.quote_name(part_name)
            if read_declared_lengths(cursor, part_name):
                away = PLAIN.quote_name(f"{staging.name_prefix}o{number}")
                old_names.append(f"{name} TO {away}")
            loaded = PLAIN.quote_name(staging.rows_table(number))
            new_names.append(f"{loaded} TO {name}")
        cursor.execute(f"RENAME TABLE {', '.join([*old_names, *new_names])}")

    def prepare_merge(self, staging: StagingTables) -> None:
        """Make the table's columns as long as those of what was loaded; that commits."""
        self._resume_connection()
        table = self._table
        for number, columns in enumerate(table.part_columns):
            part_name = table.part_name(number)
            loaded = read_declared_lengths(self._cursor, staging.rows_table(number))
            current = read_declared_lengths(self._cursor, part_name)
            longer = _find_longer(columns, loaded, current)
            resize_columns(self._cursor, table, part_name, columns, longer)

    def write_rows(self, cursor: Any, staging: StagingTables) -> int:
        """Write the loaded rows, never over newer ones; how many were older than those online.

        They are counted in a variable of the session: to look for them first takes half as long
        again.
        """
        table = self._table
        cursor.execute("SET @older = 0")
        for number, columns in enumerate(table.part_columns):
            target = PLAIN.quote_name(table.part_name(number))
            loaded = PLAIN.quote_name(staging.rows_table(number))
            assignments = _build_assignments(table, columns, target, count_older=number == 0)
            cursor.execute(
                f"INSERT INTO {target} ({PLAIN.quote_columns(columns)}) SELECT"
                f" {PLAIN.quote_columns(columns, 's.')} FROM {loaded} s ON DUPLICATE KEY UPDATE"
                f" {assignments}"
            )
        return self.fetch_integer(cursor, "SELECT @older")

    def delete_keys_statement(self, part_name: str, keys_table: str) -> str:
        """Delete the rows of a part whose key goes."""
        return (
            f"DELETE t FROM {PLAIN.quote_name(part_name)} t JOIN {PLAIN.quote_name(keys_table)} k"
            f" ON {PLAIN.same_key(self._table, 't', 'k')}"
        )

    def delete_expired_statement(self, part_name: str) -> str:
        """Delete the rows of a part that are past their ttl."""
        condition = PLAIN.expired_condition(self._table, "t")
        return f"DELETE t FROM {PLAIN.quote_name(part_name)} t WHERE {condition}"

    def write_sync_state(self, cursor: Any, state: SyncState) -> None:
        """Write what a sync did, over what is there."""
        synced_tables.write_sync_state(cursor, self._table.name, state)

    def write_origin(self, cursor: Any, origin: TableOrigin) -> None:
        """Write what the table is made from, over what is there."""
        synced_tables.write_origin(cursor, self._table.name, origin)


def _choose_lengths_like(
    table: OnlineTable, columns: OnlineColumns, declared: dict[str, int | None]
) -> dict[str, int | None]:
    """The lengths of columns for values as long as those that a table's columns hold.

    Long types stay so.
    """
    longest_values = {name: length - 1 for name, length in declared.items() if length}
    lengths = choose_column_lengths(table, columns, longest_values)
    for name in lengths:
        if name in declared and declared[name] is None:
            lengths[name] = None
    return lengths


def _find_longer(
    columns: OnlineColumns, loaded: dict[str, int | None], current: dict[str, int | None]
) -> dict[str, int | None]:
    """The lengths of loaded columns that are above those of the table's (None: a long type)."""
    longer: dict[str, int | None] = {}
    for column in columns:
        current_length = current.get(column.name)
        if not column.variable_length or current_length is None:
            continue
        length = loaded[column.name]
        if length is None or length > current_length:
            longer[column.name] = length
    return longer


def _build_assignments(
    table: OnlineTable, columns: OnlineColumns, target: str, count_older: bool
) -> str:
    """What a write does to a row that is there: nothing to a newer one.

    MySQL assigns from left to right, so the time is last. Where they are to be counted, rows that
    are older add to the variable of the session.
    """
    others = [
        PLAIN.quote_name(column.name)
        for column in columns
        if column.name not in (*table.primary_key, table.event_time)
    ]
    if table.event_time is None:
        names = others or [PLAIN.quote_name(table.primary_key[0])]
        return ", ".join(f"{name} = VALUES({name})" for name in names)
    time = PLAIN.quote_name(table.event_time)
    is_newer = f"VALUES({time}) >= {target}.{time}"
    assignments = [f"{name} = IF({is_newer}, VALUES({name}), {target}.{name})" for name in others]
    older_time = f"{target}.{time}"
    if count_older:
        older_time = f"IF(@older := @older + 1, {target}.{time}, NULL)"
    assignments.append(f"{time} = IF({is_newer}, VALUES({time}), {older_time})")
    return ", ".join(assignments)
