"""The steps of a sync in SQLite. Every one is part of a transaction, the making of tables too."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from spark_fs.online.sqlite import store as file
from spark_fs.online.sqlite.store import SQL, SQLiteStore
from spark_fs.online.statements import ORIGIN_TABLE
from spark_fs.online.store import StagingTables, SyncState, TableOrigin
from spark_fs.online.sync_session import OnlineColumns, StagedSyncSession
from spark_fs.online.table_layout import OnlineTable


class SQLiteSyncSession(StagedSyncSession):
    """One sync, while its lock is held."""

    def __init__(
        self,
        store: SQLiteStore,
        table: OnlineTable,
        origin: TableOrigin,
        last_sync: SyncState | None,
    ) -> None:
        super().__init__(SQL, table, origin, last_sync)
        self._store = store

    @property
    def staging_prefix(self) -> str:
        """What the names of the tables of a table's runs begin with.

        The bars are in no name of a group.
        """
        return f"_run_|{self._table.name}|_"

    @contextmanager
    def change_tables(self) -> Iterator[sqlite3.Cursor]:
        """A cursor by which tables are made and removed, in a transaction."""
        with self._store.transaction() as connection:
            yield connection.cursor()

    def commit_at_end(self) -> AbstractContextManager[sqlite3.Cursor]:
        """A cursor in a transaction that is committed at the end."""
        return self.change_tables()

    def drop_staging_tables(self, cursor: sqlite3.Cursor) -> None:
        """Remove the tables whose names begin with the staging prefix."""
        prefix = self.staging_prefix
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, ?) = ?",
            (len(prefix), prefix),
        )
        for (name,) in cursor.fetchall():
            cursor.execute(SQL.drop_tables([name]))

    def create_rows_table(
        self,
        cursor: sqlite3.Cursor,
        staging: StagingTables,
        part_number: int,
        columns: OnlineColumns,
    ) -> None:
        """Make the table into which the rows of a part are loaded."""
        name = staging.rows_table(part_number)
        cursor.execute(SQL.create_table(name, columns, self._table, {}))

    def create_keys_table(self, cursor: sqlite3.Cursor, staging: StagingTables) -> None:
        """Make the table into which the keys that go are loaded."""
        columns = self._table.key_columns
        cursor.execute(SQL.create_table(staging.deleted_keys, columns, self._table, {}))

    def add_missing_columns(self, cursor: sqlite3.Cursor) -> None:
        """Give the table the columns and the parts that it lacks."""
        file.add_missing_columns(cursor.connection, self._table)

    def rename_tables(self, cursor: sqlite3.Cursor, staging: StagingTables) -> None:
        """Put the tables of the loaded rows in the place of the table's parts."""
        for number, part_name in enumerate(self._table.part_names):
            loaded = SQL.quote_name(staging.rows_table(number))
            cursor.execute(SQL.drop_tables([part_name]))
            cursor.execute(f"ALTER TABLE {loaded} RENAME TO {SQL.quote_name(part_name)}")

    def prepare_merge(self, staging: StagingTables) -> None:
        """Nothing: SQLite declares no lengths."""

    def write_rows(self, cursor: sqlite3.Cursor, staging: StagingTables) -> int:
        """Write the loaded rows, never over newer ones; how many were older than those online."""
        table = self._table
        skipped = 0
        if table.event_time:
            time = SQL.quote_name(table.event_time)
            skipped = self.fetch_integer(
                cursor,
                f"SELECT COUNT(*) FROM {SQL.quote_name(staging.rows_table(0))} s JOIN"
                f" {SQL.quote_name(table.name)} t ON {SQL.same_key(table, 's', 't')} WHERE"
                f" s.{time} < t.{time}",
            )
        for number, columns in enumerate(table.part_columns):
            part_name = table.part_name(number)
            cursor.execute(_build_upsert(table, columns, part_name, staging.rows_table(number)))
        return skipped

    def delete_keys_statement(self, part_name: str, keys_table: str) -> str:
        """Delete the rows of a part whose key goes."""
        return (
            f"DELETE FROM {SQL.quote_name(part_name)} AS t WHERE EXISTS (SELECT 1 FROM"
            f" {SQL.quote_name(keys_table)} k WHERE {SQL.same_key(self._table, 't', 'k')})"
        )

    def delete_expired_statement(self, part_name: str) -> str:
        """Delete the rows of a part that are past their ttl."""
        condition = SQL.expired_condition(self._table, "t")
        return f"DELETE FROM {SQL.quote_name(part_name)} AS t WHERE {condition}"

    def write_sync_state(self, cursor: sqlite3.Cursor, state: SyncState) -> None:
        """Write what a sync did, over what is there."""
        file.write_sync_state(cursor, self._table.name, state)

    def write_origin(self, cursor: sqlite3.Cursor, origin: TableOrigin) -> None:
        """Write what the table is made from, over what is there."""
        cursor.execute(
            f"INSERT OR REPLACE INTO {ORIGIN_TABLE} VALUES (?, ?, ?)",
            (self._table.name, origin.table_id, origin.location),
        )


def _build_upsert(
    table: OnlineTable, columns: OnlineColumns, target_table: str, staging_table: str
) -> str:
    """Write the rows of one table into another, never over newer ones."""
    assignments = []
    for column in columns:
        if column.name not in table.primary_key:
            name = SQL.quote_name(column.name)
            assignments.append(f"{name} = excluded.{name}")
    action = f"DO UPDATE SET {', '.join(assignments)}" if assignments else "DO NOTHING"
    target = SQL.quote_name(target_table)
    if table.event_time:
        time = SQL.quote_name(table.event_time)
        action += f" WHERE excluded.{time} >= {target}.{time}"
    names = SQL.quote_columns(columns)
    key = SQL.quote_columns(table.key_columns)
    return (
        f"INSERT INTO {target} ({names}) SELECT {names} FROM {SQL.quote_name(staging_table)} WHERE"
        f" true ON CONFLICT ({key}) {action}"
    )
