"""Bring a table of MySQL or MariaDB up to its feature group: staged by LOAD DATA, merged by one transaction.

Workers load rows into tables of this run's own. The driver holds a lock of the server, on the
connection by which it commits: when that connection is lost, so is the lock, and what it had not
committed. While workers load, a heartbeat keeps it from being lost.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import uuid4

import pyarrow as pa

from spark_fs.errors import ConflictError, OnlineStoreError
from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.mysql import checksums, load, synced_tables
from spark_fs.online.mysql.dialects import PLAIN, get_dialect
from spark_fs.online.mysql.heartbeat import Heartbeat, set_keepalive
from spark_fs.online.mysql.pool import FAILURES
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.table_columns import (
    add_missing_columns,
    read_declared_lengths,
    resize_columns,
)
from spark_fs.online.store import MergeResult, StagingTables, SyncState, TableOrigin, check_origin
from spark_fs.online.table import OnlineTable, choose_column_lengths

_LOCK_TIMEOUT = 5  # seconds for another sync to end
OnlineColumns = Sequence[OnlineColumn]


class MySQLWriter:
    """The writing side of a store; pickles, and connects anew in each worker.

    beat: seconds between two words on the connection of a sync while workers load its rows. silent:
    seconds after which the server takes one that says nothing for lost, and gives its lock away.
    """

    heartbeat_seconds: ClassVar[float] = 15.0
    idle_timeout: ClassVar[int] = 120

    def __init__(self, store: MySQLStore) -> None:
        self.store = store

    @contextmanager
    def open_session(self, table: OnlineTable, origin: TableOrigin) -> Iterator["MySQLSyncSession"]:
        """Begin a sync; ConflictError while another one of the table runs."""
        store, lock = (
            self.store,
            f"spark_fs {load.hash_name(f'{self.store.database}.{table.name}')}",
        )
        # The driver in pure Python shows its socket; the work of this connection is the server's.
        with (
            store.translate_errors(),
            closing(store.open_connection(use_pure=True)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            set_keepalive(connection._socket.sock)
            # A host that is lost holds the lock for so long; one that lives says something while
            # Spark works.
            cursor.execute(
                "SET SESSION wait_timeout = %s, SESSION innodb_lock_wait_timeout = 300",
                (self.idle_timeout,),
            )
            cursor.execute("SELECT GET_LOCK(%s, %s)", (lock, _LOCK_TIMEOUT))
            if cursor.fetchall() != [(1,)]:
                raise _make_conflict_error(cursor, lock, f"{table.name} in {store.address}")
            synced_tables.ensure_tables(cursor)
            session = MySQLSyncSession(
                store,
                table,
                origin,
                connection,
                cursor,
                lock,
                Heartbeat(connection.cmd_ping, self.heartbeat_seconds, FAILURES),
            )
            try:
                yield session
            finally:
                with suppress(*FAILURES):
                    session.close()

    def load_rows(self, table: OnlineTable, staging: StagingTables, rows: pa.Table) -> None:
        """Add rows to a place; OnlineRefusedError for a value that does not fit."""
        load.load_rows(self.store, table, staging, rows)

    def load_deleted_keys(self, table: OnlineTable, staging: StagingTables, keys: pa.Table) -> None:
        """Add keys to those that go."""
        load.load_deleted_keys(self.store, table, staging, keys)

    def compute_checksums(
        self, table: OnlineTable, bucket_count: int, cutoff: datetime | None
    ) -> dict[int, tuple[int, int]]:
        """Of each bucket of keys how many rows it holds and the sum of their checksums."""
        return checksums.compute_checksums(self.store, table, bucket_count, cutoff)

    def read_buckets(
        self,
        table: OnlineTable,
        bucket_count: int,
        bucket_numbers: Sequence[int],
        cutoff: datetime | None,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets, decoded."""
        return checksums.read_buckets(self.store, table, bucket_count, bucket_numbers, cutoff)

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time in the table."""
        return checksums.read_newest_event_time(self.store, table)


class MySQLSyncSession:
    """One sync, on the connection that holds its lock."""

    def __init__(
        self,
        store: MySQLStore,
        table: OnlineTable,
        origin: TableOrigin,
        connection: Any,
        cursor: Any,
        lock_name: str,
        heartbeat: Heartbeat,
    ) -> None:
        self._store, self._table, self._origin, self._lock_name = store, table, origin, lock_name
        self._connection, self._cursor, self._heartbeat = connection, cursor, heartbeat
        self._run_id = uuid4().hex
        self.last_sync: SyncState | None = synced_tables.read_sync_state(cursor, table.name)
        if read_declared_lengths(cursor, table.name):
            check_origin(
                store.address,
                table,
                self.last_sync,
                synced_tables.read_origin(cursor, table.name),
                origin,
            )
        else:
            self.last_sync = None  # somebody dropped the table

    def begin_staging(self, full_refresh: bool) -> StagingTables:
        """A new place for the rows of this run, what a killed run left being removed."""
        self.clean_up()
        place, table = (
            StagingTables(f"{_make_staging_prefix(self._table)}{self._run_id[:8]}_", full_refresh),
            self._table,
        )
        statements = get_dialect(self._cursor)
        for number, part in enumerate(table.part_columns):
            there = (
                read_declared_lengths(self._cursor, table.part_name(number))
                if not full_refresh
                else {}
            )
            room = choose_column_lengths(
                table, part, {name: n - 1 for name, n in there.items() if n}
            )
            room |= {name: None for name, n in there.items() if name in room and n is None}
            self._cursor.execute(
                statements.create_table(place.rows_table(number), part, table, room)
            )
            if table.ttl is not None and table.event_time and full_refresh:
                self._cursor.execute(
                    f"ALTER TABLE {PLAIN.quote_name(place.rows_table(number))} ADD KEY _ttl"
                    f" ({PLAIN.quote_name(table.event_time)})"
                )
            if not full_refresh:
                add_missing_columns(self._cursor, table, number, part)
        if not full_refresh:
            self._cursor.execute(
                statements.create_table(
                    place.deleted_keys,
                    table.key_columns,
                    table,
                    choose_column_lengths(table, table.key_columns, {}),
                )
            )
        self._connection.commit()  # what was looked at is held no longer
        self._heartbeat.start()
        return place

    def close(self) -> None:
        """Undo what was not committed, remove what was loaded, and give the lock back."""
        self._heartbeat.stop()
        self._connection.rollback()
        self.clean_up()
        self._cursor.execute("SELECT RELEASE_LOCK(%s)", (self._lock_name,))
        self._cursor.fetchall()

    def _resume_connection(self) -> None:
        """Take the connection back from the heartbeat; OnlineStoreError where the lock was lost meanwhile."""
        self._heartbeat.stop()
        held = False
        with suppress(*FAILURES):
            held = bool(
                self._fetch_integer(
                    "SELECT COALESCE(IS_USED_LOCK(%s) = CONNECTION_ID(), 0)", self._lock_name
                )
            )
        if not held:
            raise OnlineStoreError(
                f"The sync of {self._table.name} lost its connection to {self._store.address}, and"
                " with it its lock, while rows were loaded: nothing of it is online. Sync again."
            )

    def clean_up(self) -> None:
        """Remove the tables of this table's runs, killed ones among them."""
        self._heartbeat.stop()
        self._cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND"
            " LEFT(table_name, %s) = %s",
            (len(_make_staging_prefix(self._table)), _make_staging_prefix(self._table)),
        )
        if left := [str(name) for (name,) in self._cursor.fetchall()]:
            self._cursor.execute(PLAIN.drop_tables(left))

    def swap_tables(self, staging: StagingTables, version: int) -> None:
        """Let the loaded rows be the table; renaming is one step of the server, and a killed swap is made again by the next sync."""
        self._resume_connection()
        synced_tables.write_origin(
            self._cursor, self._table.name, self._origin
        )  # committed by the renaming
        names = [
            (self._table.part_name(i), staging.rows_table(i), f"{staging.name_prefix}o{i}")
            for i in range(len(self._table.part_columns))
        ]
        there = [name for name, _, _ in names if read_declared_lengths(self._cursor, name)]
        away = [
            f"{PLAIN.quote_name(name)} TO {PLAIN.quote_name(old)}"
            for name, _, old in names
            if name in there
        ]
        into = [f"{PLAIN.quote_name(new)} TO {PLAIN.quote_name(name)}" for name, new, _ in names]
        self._cursor.execute(f"RENAME TABLE {', '.join([*away, *into])}")
        self._commit_version(version)

    def merge_rows(
        self, staging: StagingTables, version: int, cutoff: datetime | None
    ) -> MergeResult:
        """Delete what is gone, write what was loaded, delete what is past its ttl, and remember the version: one transaction."""
        self._resume_connection()
        table, cursor = self._table, self._cursor
        for number, part in enumerate(table.part_columns):
            self._widen_columns(staging.rows_table(number), table.part_name(number), part)
        self._connection.commit()  # what was read so far was another transaction
        self._connection.start_transaction()
        deleted = self._delete_staged_keys(
            PLAIN.quote_name(staging.deleted_keys), PLAIN.quote_name(staging.rows_table(0))
        )
        cursor.execute("SET @older = 0")
        for number, part in enumerate(table.part_columns):
            target = PLAIN.quote_name(table.part_name(number))
            cursor.execute(
                f"INSERT INTO {target} ({PLAIN.quote_columns(part)}) SELECT"
                f" {PLAIN.quote_columns(part, 's.')} FROM"
                f" {PLAIN.quote_name(staging.rows_table(number))} s ON DUPLICATE KEY UPDATE"
                f" {_build_assignments(table, part, target, count_older=number == 0)}"
            )
        skipped = self._fetch_integer("SELECT @older")
        expired = self._delete_expired(cutoff)
        self._commit_version(version)
        return MergeResult(skipped, deleted, expired)

    def _delete_staged_keys(self, keys_table: str, rows_table: str) -> int:
        """Delete every key that goes; those of which another row was loaded do not count."""
        if not self._count_rows(keys_table):
            return 0
        table = self._table
        absent = (
            f"LEFT JOIN {rows_table} s ON {PLAIN.same_key(table, 's', 'k')} WHERE"
            f" s.{PLAIN.quote_name(table.primary_key[0])} IS NULL"
        )
        deleted = self._count_rows(
            f"{PLAIN.quote_name(table.name)} t JOIN {keys_table} k ON"
            f" {PLAIN.same_key(table, 't', 'k')} {absent}"
        )
        for number in range(len(table.part_columns)):
            target = PLAIN.quote_name(table.part_name(number))
            self._cursor.execute(
                f"DELETE t FROM {target} t JOIN {keys_table} k ON {PLAIN.same_key(table, 't', 'k')}"
            )
        return deleted

    def _count_rows(self, from_clause: str) -> int:
        return self._fetch_integer(f"SELECT COUNT(*) FROM {from_clause}")

    def _fetch_integer(self, query: str, *parameters: str) -> int:
        self._cursor.execute(query, parameters)
        ((found,),) = self._cursor.fetchall()
        return int(found)

    def _delete_expired(self, cutoff: datetime | None) -> int:
        counts = [0]
        if cutoff is not None:
            for number in range(len(self._table.part_columns)):
                target = PLAIN.quote_name(self._table.part_name(number))
                self._cursor.execute(
                    f"DELETE t FROM {target} t WHERE {PLAIN.expired_condition(self._table, 't')}",
                    self._table.ttl_bounds(cutoff),
                )
                counts.append(self._cursor.rowcount)
        return max(counts)

    def _widen_columns(self, staging_table: str, target_table: str, columns: OnlineColumns) -> None:
        """Make the table's sized columns as long as those of what was loaded."""
        wanted, there = (
            read_declared_lengths(self._cursor, staging_table),
            read_declared_lengths(self._cursor, target_table),
        )
        found = {
            c.name: wanted[c.name]
            for c in columns
            if c.variable_length and there.get(c.name) is not None
        }
        longer = {
            name: room for name, room in found.items() if room is None or room > (there[name] or 0)
        }
        resize_columns(self._cursor, self._table, target_table, columns, longer)

    def _commit_version(self, version: int) -> None:
        """Commit with the version; when the answer is lost, a new connection tells whether it was done."""
        try:
            synced_tables.write_sync_state(
                self._cursor, self._table.name, SyncState(version, self._run_id, datetime.now(UTC))
            )
            synced_tables.write_origin(self._cursor, self._table.name, self._origin)
            self._connection.commit()
        except FAILURES:
            with suppress(OnlineStoreError):
                done = self._store.read_sync_state(self._table)
                if done and done.run_id == self._run_id:
                    return
            raise


def _build_assignments(
    table: OnlineTable, columns: OnlineColumns, target: str, count_older: bool
) -> str:
    """What a write does to a row that is there: nothing to a newer one. MySQL assigns from left to right, so the time is last.

    counted: whether rows that are older are counted, in the variable of the session; to look for
    them first takes half as long again.
    """
    time = PLAIN.quote_name(table.event_time) if table.event_time else None
    others = [
        PLAIN.quote_name(c.name)
        for c in columns
        if c.name not in table.primary_key and PLAIN.quote_name(c.name) != time
    ]
    if time is None:
        return ", ".join(
            f"{c} = VALUES({c})" for c in others or [PLAIN.quote_name(table.primary_key[0])]
        )
    newer = f"VALUES({time}) >= {target}.{time}"
    left = f"IF(@older := @older + 1, {target}.{time}, NULL)" if count_older else f"{target}.{time}"
    return ", ".join(
        [
            *(f"{c} = IF({newer}, VALUES({c}), {target}.{c})" for c in others),
            f"{time} = IF({newer}, VALUES({time}), {left})",
        ]
    )


# -- names


def _make_staging_prefix(table: OnlineTable) -> str:
    """The beginning of the names of the tables of a table's runs; no group begins so."""
    return f"_run_{load.hash_name(table.name)}_"


def _make_conflict_error(cursor: Any, lock_name: str, table_description: str) -> ConflictError:
    cursor.execute(
        "SELECT ID, USER, HOST FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK(%s)",
        (lock_name,),
    )
    by = "".join(
        f" (connection {number} of {user} from {host})" for number, user, host in cursor.fetchall()
    )
    return ConflictError(
        f"Another sync of {table_description} is running{by}: nothing was written. Wait until it"
        " ends, then sync again."
    )
