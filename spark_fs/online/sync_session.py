"""The algorithm of a sync, the same for every store that keeps tables.

The statements of its dialect are in the store's folder.

Workers load rows into staging tables of this run's own. Then they become the table, or are merged
into it, in one transaction that ends with the version.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from spark_fs.online.column_storage import OnlineColumn
from spark_fs.online.statements import SqlDialect
from spark_fs.online.store import MergeResult, StagingTables, SyncState, TableOrigin
from spark_fs.online.table_layout import OnlineTable

OnlineColumns = Sequence[OnlineColumn]


class StagedSyncSession(ABC):
    """One sync of one table, while its lock is held.

    A subclass has the steps of a dialect; each is given a cursor as of Python's DB-API, within a
    transaction of the algorithm.
    """

    def __init__(
        self,
        dialect: SqlDialect,
        table: OnlineTable,
        origin: TableOrigin,
        last_sync: SyncState | None,
    ) -> None:
        self.last_sync = last_sync
        self._dialect = dialect
        self._table = table
        self._origin = origin
        self._run_id = uuid4().hex

    # -- the algorithm

    def begin_staging(self, full_refresh: bool) -> StagingTables:
        """Make new tables for the rows of this run, and remove what a killed run left."""
        self.clean_up()
        name_prefix = f"{self.staging_prefix}{self._run_id[:8]}_"
        staging = StagingTables(name_prefix, full_refresh)
        with self.change_tables() as cursor:
            for number, columns in enumerate(self._table.part_columns):
                self.create_rows_table(cursor, staging, number, columns)
            if not full_refresh:
                self.add_missing_columns(cursor)
                self.create_keys_table(cursor, staging)
        return staging

    def clean_up(self) -> None:
        """Remove the staging tables of this table's runs, killed ones among them."""
        with self.change_tables() as cursor:
            self.drop_staging_tables(cursor)

    def swap_tables(self, staging: StagingTables, version: int) -> None:
        """Let the loaded rows be the table, and remember the version.

        The origin is written first: a server commits it with the renaming, and where the swap ends
        there, the next sync makes it again.
        """
        with self.commit_at_end() as cursor:
            self.write_origin(cursor, self._origin)
            self.rename_tables(cursor, staging)
            self._remember(cursor, version)

    def merge_rows(
        self, staging: StagingTables, version: int, cutoff: datetime | None
    ) -> MergeResult:
        """Merge the loaded rows into the table, and remember the version: one transaction.

        Keys that are gone are deleted first, rows past their ttl last.
        """
        self.prepare_merge(staging)
        with self.commit_at_end() as cursor:
            deleted = self._delete_staged_keys(cursor, staging)
            skipped = self.write_rows(cursor, staging)
            expired = 0 if cutoff is None else self._delete_expired(cursor, cutoff)
            self._remember(cursor, version)
        return MergeResult(skipped, deleted, expired)

    def _delete_staged_keys(self, cursor: Any, staging: StagingTables) -> int:
        """Delete every key that goes; those of which another row was loaded do not count."""
        keys_table = staging.deleted_keys
        quoted_keys_table = self._dialect.quote_name(keys_table)
        if not self.fetch_integer(cursor, f"SELECT COUNT(*) FROM {quoted_keys_table}"):
            return 0
        count = self._dialect.count_deleted_keys(self._table, keys_table, staging.rows_table(0))
        deleted = self.fetch_integer(cursor, count)
        for part_name in self._table.part_names:
            cursor.execute(self.delete_keys_statement(part_name, keys_table))
        return deleted

    def _delete_expired(self, cursor: Any, cutoff: datetime) -> int:
        """Delete the rows that are past their ttl; every part has one of each."""
        bounds = self._table.ttl_bounds(cutoff)
        counts = [0]
        for part_name in self._table.part_names:
            cursor.execute(self.delete_expired_statement(part_name), bounds)
            counts.append(cursor.rowcount)
        return max(counts)

    def _remember(self, cursor: Any, version: int) -> None:
        """Write what this sync did and what the table is made from."""
        self.write_sync_state(cursor, SyncState(version, self._run_id, datetime.now(UTC)))
        self.write_origin(cursor, self._origin)

    @staticmethod
    def fetch_integer(cursor: Any, query: str, parameters: Sequence[Any] = ()) -> int:
        """The one number that a query gives."""
        cursor.execute(query, parameters)
        ((number,),) = cursor.fetchall()
        return int(number)

    # -- the steps of a dialect

    @property
    @abstractmethod
    def staging_prefix(self) -> str:
        """The beginning of the names of the tables of a table's runs; no group begins so."""

    @abstractmethod
    def change_tables(self) -> AbstractContextManager[Any]:
        """A cursor by which tables are made and removed; they are there at the end."""

    @abstractmethod
    def commit_at_end(self) -> AbstractContextManager[Any]:
        """A cursor in a transaction that is committed at the end."""

    @abstractmethod
    def drop_staging_tables(self, cursor: Any) -> None:
        """Remove the tables whose names begin with the staging prefix."""

    @abstractmethod
    def create_rows_table(
        self, cursor: Any, staging: StagingTables, part_number: int, columns: OnlineColumns
    ) -> None:
        """Make the table into which the rows of a part are loaded."""

    @abstractmethod
    def create_keys_table(self, cursor: Any, staging: StagingTables) -> None:
        """Make the table into which the keys that go are loaded."""

    @abstractmethod
    def add_missing_columns(self, cursor: Any) -> None:
        """Give the table the columns and the parts that it lacks."""

    @abstractmethod
    def rename_tables(self, cursor: Any, staging: StagingTables) -> None:
        """Put the tables of the loaded rows in the place of the table's parts."""

    @abstractmethod
    def prepare_merge(self, staging: StagingTables) -> None:
        """What a merge needs that cannot be part of its transaction."""

    @abstractmethod
    def write_rows(self, cursor: Any, staging: StagingTables) -> int:
        """Write the loaded rows, never over newer ones; how many were older than those online."""

    @abstractmethod
    def delete_keys_statement(self, part_name: str, keys_table: str) -> str:
        """Delete the rows of a part whose key goes."""

    @abstractmethod
    def delete_expired_statement(self, part_name: str) -> str:
        """Delete the rows of a part that are past their ttl.

        Its parameters are the bounds of the table.
        """

    @abstractmethod
    def write_sync_state(self, cursor: Any, state: SyncState) -> None:
        """Write what a sync did, over what is there."""

    @abstractmethod
    def write_origin(self, cursor: Any, origin: TableOrigin) -> None:
        """Write what the table is made from, over what is there."""
