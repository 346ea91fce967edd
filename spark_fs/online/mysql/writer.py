"""The writing side of MySQL and MariaDB.

Rows are staged by LOAD DATA, and merged by one transaction.

Workers load rows into tables of this run's own. The driver holds a lock of the server, on the
connection by which it commits: when that connection is lost, so is the lock, and what it had not
committed. While workers load, a heartbeat keeps it from being lost.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa

from spark_fs.errors import ConflictError
from spark_fs.online.mysql import checksums, load, synced_tables
from spark_fs.online.mysql.heartbeat import Heartbeat, set_keepalive
from spark_fs.online.mysql.pool import FAILURES
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.sync_steps import MySQLSyncSession
from spark_fs.online.mysql.table_columns import read_declared_lengths
from spark_fs.online.store import StagingTables, SyncState, TableOrigin, check_origin
from spark_fs.online.table_layout import OnlineTable

_LOCK_TIMEOUT = 5  # seconds for another sync to end


class MySQLWriter:
    """The writing side of a store; pickles, and connects anew in each worker.

    heartbeat_seconds: between two pings on the connection of a sync while workers load its rows.
    idle_timeout: seconds after which the server takes a silent one for lost, and gives its lock
    away.
    """

    heartbeat_seconds: ClassVar[float] = 15.0
    idle_timeout: ClassVar[int] = 120

    def __init__(self, store: MySQLStore) -> None:
        self.store = store

    @contextmanager
    def open_session(self, table: OnlineTable, origin: TableOrigin) -> Iterator["MySQLSyncSession"]:
        """Begin a sync; ConflictError while another one of the table runs."""
        store = self.store
        lock_name = f"spark_fs {load.hash_name(f'{store.database}.{table.name}')}"
        # The driver in pure Python shows its socket; the work of this connection is the server's.
        with (
            store.translate_errors(),
            closing(store.open_connection(use_pure=True)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            set_keepalive(connection._socket.sock)
            # A host that is lost holds the lock for so long; one that lives pings while Spark
            # works.
            cursor.execute(
                "SET SESSION wait_timeout = %s, SESSION innodb_lock_wait_timeout = 300",
                (self.idle_timeout,),
            )
            cursor.execute("SELECT GET_LOCK(%s, %s)", (lock_name, _LOCK_TIMEOUT))
            if cursor.fetchall() != [(1,)]:
                raise _make_conflict_error(cursor, lock_name, f"{table.name} in {store.address}")
            synced_tables.ensure_tables(cursor)
            last_sync = _read_last_sync(cursor, store, table, origin)
            heartbeat = Heartbeat(connection.cmd_ping, self.heartbeat_seconds, FAILURES)
            session = MySQLSyncSession(
                store, table, origin, last_sync, connection, cursor, lock_name, heartbeat
            )
            try:
                yield session
            finally:
                with suppress(*FAILURES):
                    session.close()

    def load_rows(self, table: OnlineTable, staging: StagingTables, rows: pa.Table) -> None:
        """Add rows to the staging tables; OnlineRefusedError for a value that does not fit."""
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


def _read_last_sync(
    cursor: Any, store: MySQLStore, table: OnlineTable, origin: TableOrigin
) -> SyncState | None:
    """What is remembered of the table.

    OnlineRefusedError where it is not this store's to write.
    """
    if not read_declared_lengths(cursor, table.name):
        return None  # it was never synced, or somebody dropped it
    last_sync = synced_tables.read_sync_state(cursor, table.name)
    recorded = synced_tables.read_origin(cursor, table.name)
    check_origin(store.address, table, last_sync, recorded, origin)
    return last_sync


def _make_conflict_error(cursor: Any, lock_name: str, table_description: str) -> ConflictError:
    cursor.execute(
        "SELECT ID, USER, HOST FROM information_schema.PROCESSLIST WHERE ID = IS_USED_LOCK(%s)",
        (lock_name,),
    )
    holder = "".join(
        f" (connection {number} of {user} from {host})" for number, user, host in cursor.fetchall()
    )
    return ConflictError(
        f"Another sync of {table_description} is running{holder}: nothing was written. Wait until"
        " it ends, then sync again."
    )
