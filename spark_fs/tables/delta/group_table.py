"""A feature group's table in the format of Delta Lake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.tables import statistics_files
from spark_fs.tables.commits import Transaction
from spark_fs.tables.data_files import StoredFile
from spark_fs.tables.delta import history
from spark_fs.tables.delta.table_log import DeltaTableLog
from spark_fs.tables.staged_files import StagedFiles
from spark_fs.tables.table_write import TableLayout

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from spark_fs.tables.delta.staging import DeltaTransaction
    from spark_fs.tables.delta.transaction import DeltaLoggedCommit, DeltaTableWrite


class DeltaGroupTable(DeltaTableLog):
    """A feature group's table in the format of Delta Lake; see ``GroupTable``.

    What reads and writes rows by Spark loads it then: who asks for the log has no need of it.
    """

    def __init__(self, group: GroupSpec, path: str, get_spark: Callable[[], SparkSession]) -> None:
        super().__init__(path)
        self.group = group
        self._get_spark = get_spark

    @cached_property
    def spark(self) -> SparkSession:
        """The session that reads and writes, made when it is first needed."""
        return self._get_spark()

    @property
    def quarantine(self) -> DeltaGroupTable:
        """The table of the rows that expectations set aside."""
        path = f"{self.path}_quarantine"
        return DeltaGroupTable(self.group, path, lambda: self.spark)

    @property
    def statistics_folder(self) -> str:
        """Where the statistics of the rows are."""
        return statistics_files.get_statistics_folder(self.path)

    @property
    def tiles_folder(self) -> str:
        """Where tiles of the events are that its rows are window features of."""
        return f"{self.path}_tiles"

    def refresh(self) -> DeltaGroupTable:
        """The same table, whose log is looked at again."""
        return DeltaGroupTable(self.group, self.path, lambda: self.spark)

    def with_group(self, group: GroupSpec) -> DeltaGroupTable:
        """The same table, of the group as it is defined now."""
        return DeltaGroupTable(group, self.path, lambda: self.spark)

    def find_transaction_metadata(self, transaction: Transaction) -> dict[str, Any]:
        """What was noted in the commit of a transaction, by the log of now; empty without one."""
        return history.find_transaction_metadata(self.path, transaction)

    # -- rows out

    def read(self, version: int | None = None) -> DataFrame:
        """The rows* of a version (None: the newest) as they are stored."""
        from spark_fs.tables.delta import commands

        return commands.read_table(self.spark, self.path, version)

    def read_changes(self, first_version: int, last_version: int) -> DataFrame:
        """What the versions first to last did*, both included, in Delta's columns for changes."""
        from spark_fs.tables.delta import commands

        return commands.read_changes(self.spark, self.path, first_version, last_version)

    # -- rows in

    def build_layout(self) -> TableLayout:
        """How the table is made."""
        from spark_fs.tables.delta import layout

        return layout.build_layout(self.group)

    def prepare_rows(self, rows: DataFrame) -> DataFrame:
        """The rows* as the table holds them."""
        from spark_fs.tables.delta import layout

        return layout.prepare_rows(rows, self.group)

    def begin_write(self) -> DeltaTableWrite:
        """A write that stages rows and commits them; a context manager."""
        from spark_fs.tables.delta.transaction import DeltaTableWrite

        return DeltaTableWrite(self.spark, self.path, self.group)

    def may_hold(self, staged: StagedFiles) -> bool:
        """Whether a file of the newest version may hold a row with an identity of staged rows."""
        from spark_fs.tables.delta import layout

        return history.has_file(self._log, layout.build_file_predicate(staged, self.group))

    def build_prune_predicate(self, staged: StagedFiles, column_prefix: str = "") -> Column:
        """A condition that each row of the table with an identity of the staged rows meets."""
        from spark_fs.tables.delta import layout

        return layout.build_prune_predicate(staged, self.group, column_prefix)

    def merge_rows(
        self,
        rows: DataFrame,
        prune_predicate: Column,
        update_predicate: Column,
        transaction: Transaction | None,
        metadata: Mapping[str, Any],
    ) -> tuple[int, int]:
        """Replace rows of the same identity that differ, append the others: one commit, eagerly."""
        from spark_fs.tables.delta import commands

        return commands.merge_rows(
            rows,
            self.path,
            self.group.identity,
            prune_predicate,
            update_predicate,
            transaction,
            metadata,
        )

    def append_rows(
        self, rows: DataFrame, transaction: Transaction | None, metadata: Mapping[str, Any]
    ) -> None:
        """Append rows of the columns that they have, as one commit, eagerly."""
        from spark_fs.tables.delta.transaction import append_once

        append_once(rows, self.path, transaction, metadata)

    def delete_rows(
        self, keys: DataFrame, columns: Sequence[str], prune_predicate: Column | None = None
    ) -> int:
        """Delete the rows of these keys, as one commit, eagerly; returns how many there were."""
        from spark_fs.tables.delta import commands
        from spark_fs.tables.delta.transaction import DeltaTableWrite

        whole_keys = prune_predicate is None and set(columns) == set(self.group.primary_key)

        def delete(now: DeltaTransaction) -> int:
            metadata = now.with_write_id({"operation": "delete", "whole_keys": whole_keys})
            return commands.delete_rows(keys, self.path, columns, prune_predicate, metadata)

        def read_count(logged: DeltaLoggedCommit) -> int:
            return int(logged.metrics["numTargetRowsDeleted"])

        spark = keys.sparkSession
        with (
            self.translate_errors("deletion of rows"),
            DeltaTableWrite(spark, self.path) as write,
        ):
            return write.commit(delete, read_count)

    def note_transaction(self, transaction: Transaction) -> None:
        """Commit the number of a transaction without rows, eagerly."""
        from spark_fs.tables.delta.transaction import DeltaTableWrite

        def note_number(now: DeltaTransaction) -> None:
            if not now.is_committed(transaction):
                now.commit(None, TableLayout(), [transaction], {"operation": "note"})

        with (
            self.translate_errors("note"),
            DeltaTableWrite(self.spark, self.path) as write,
        ):
            write.commit(note_number, lambda _: None)

    # -- the table as a whole

    def add_columns(self, features: Sequence[FeatureSpec]) -> None:
        """Add those columns that are not there, as one commit, eagerly."""
        from spark_fs.tables.delta import commands
        from spark_fs.tables.delta.transaction import DeltaTableWrite

        spark = self.spark

        def add_missing(now: DeltaTransaction) -> None:
            missing = {}
            for feature in features:
                if feature.name not in now.types:
                    missing[feature.name] = feature.type
            if missing:
                metadata = now.with_write_id({"operation": "append_features"})
                commands.add_columns(spark, self.path, missing, metadata)

        with (
            self.translate_errors("change"),
            DeltaTableWrite(spark, self.path) as write,
        ):
            write.commit(add_missing, lambda _: None)

    def optimize(self, cluster_by: Sequence[str]) -> Mapping[str, int]:
        """Compact and cluster the files, eagerly; returns how many were added and removed."""
        from spark_fs.tables.delta import commands
        from spark_fs.tables.delta.transaction import DeltaTableWrite

        spark = self.spark

        def optimize(now: DeltaTransaction) -> Mapping[str, int]:
            metadata = now.with_write_id({"operation": "optimize"})
            return commands.optimize_table(spark, self.path, cluster_by, metadata)

        def read_counts(logged: DeltaLoggedCommit) -> Mapping[str, int]:
            added = int(logged.metrics["numAddedFiles"])
            removed = int(logged.metrics["numRemovedFiles"])
            return {"files_added": added, "files_removed": removed}

        with (
            self.translate_errors("compaction"),
            DeltaTableWrite(spark, self.path) as write,
        ):
            return write.commit(optimize, read_counts)

    def list_stored_files(self) -> list[StoredFile]:
        """The data files in the folder now, of whatever version."""
        return history.list_stored_files(self.path)

    def list_removed_since(self, when: datetime) -> set[str]:
        """The names of the files that left at an instant or after it, by the log of now."""
        return history.list_removed_since(self.path, when)

    def vacuum(
        self, retention_hours: float, candidates: Sequence[StoredFile] | None = None
    ) -> None:
        """Delete the files that no version younger than this needs, eagerly; of these alone."""
        from spark_fs.tables.delta import commands

        commands.vacuum_table(self.spark, self.path, retention_hours, candidates)

    def translate_errors(self, operation: str) -> AbstractContextManager[None]:
        """Turn the errors of Spark and the table into ours, within the context."""
        from spark_fs.tables.delta import commands

        return commands.translate_errors(self.path, operation)

    def remove(self) -> None:
        """Remove the folder with rows, log and history, eagerly."""
        from spark_fs.tables.delta import commands

        has_log = self.exists()
        history.remove_table(self.path)  # with what a killed first insert left in it
        if has_log:
            commands.invalidate_cache(self.spark, self.path)
