"""A feature group's table: its rows, what its log says, and what can be done to it.

Flows know tables by this interface. Delta Lake is the one format that there is; another one is a
class of these methods in a folder beside ``delta``, and a row in ``formats.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Self

from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.tables.commits import Transaction
from spark_fs.tables.data_files import StoredFile
from spark_fs.tables.formats import find_format
from spark_fs.tables.staged_files import StagedFiles
from spark_fs.tables.table_log import TableLog
from spark_fs.tables.table_write import TableLayout, TableWrite

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession


class GroupTable(TableLog, Protocol):
    """The table of a feature group, for one operation: its log is looked at once, when first asked.

    What says "now" looks anew. A session is made when rows are first read or written. group: the
    definition. path: a folder or URI; there may be no table yet.
    """

    group: GroupSpec

    @property
    def spark(self) -> SparkSession:
        """The session that reads and writes, made when it is first needed."""

    @property
    def quarantine(self) -> Self:
        """The table of the rows that expectations set aside."""

    @property
    def statistics_folder(self) -> str:
        """Where the statistics of the rows are."""

    @property
    def tiles_folder(self) -> str:
        """Where tiles of the events are that its rows are window features of."""

    def refresh(self) -> Self:
        """The same table, whose log is looked at again."""

    def with_group(self, group: GroupSpec) -> Self:
        """The same table, of the group as it is defined now."""

    def find_transaction_metadata(self, transaction: Transaction) -> dict[str, Any]:
        """What was noted in the commit of a transaction, by the log of now; empty without one."""

    # -- rows out

    def read(self, version: int | None = None) -> DataFrame:
        """The rows* of a version (None: the newest) as they are stored, with their ingestion."""

    def read_changes(self, first_version: int, last_version: int) -> DataFrame:
        """What the versions first to last did*, both included.

        The rows have ``_change_type``, ``_commit_version`` and ``_commit_timestamp``.
        """

    # -- rows in

    def build_layout(self) -> TableLayout:
        """How the table is made.

        SchemaError where a partition column is of a type that the format cannot partition by.
        """

    def prepare_rows(self, rows: DataFrame) -> DataFrame:
        """The rows* as the table holds them, with the columns that it adds."""

    def begin_write(self) -> TableWrite:
        """A write that stages rows and commits them; a context manager."""

    def may_hold(self, staged: StagedFiles) -> bool:
        """Whether the newest version may hold a row with an identity of the staged rows.

        That is told by what the log says of the files.
        """

    def build_prune_predicate(self, staged: StagedFiles, column_prefix: str = "") -> Column:
        """A condition that each row of the table with an identity of the staged rows meets.

        Args:
            staged: The staged rows.
            column_prefix: What the names of columns begin with.
        """

    def merge_rows(
        self,
        rows: DataFrame,
        prune_predicate: Column,
        update_predicate: Column,
        transaction: Transaction | None,
        metadata: Mapping[str, Any],
    ) -> tuple[int, int]:
        """Replace the rows of the same identity that differ, append the others, eagerly.

        It is one commit, to be made within ``TableWrite.commit``. ``rows`` must be the same each
        time they are read.

        Args:
            rows: The rows, ``s`` in the predicates.
            prune_predicate: Holds for every row ``t`` of the table that may be replaced.
            update_predicate: Holds for those of them that are.
            transaction: Its number is committed with the rows.
            metadata: What the commit notes.

        Returns:
            How many rows were inserted, and how many updated.
        """

    def append_rows(
        self, rows: DataFrame, transaction: Transaction | None, metadata: Mapping[str, Any]
    ) -> None:
        """Append rows to a table of their own columns, made when absent, as one commit, eagerly.

        Raises ConflictError and UnknownOutcomeError.
        """

    def delete_rows(
        self, keys: DataFrame, columns: Sequence[str], prune_predicate: Column | None = None
    ) -> int:
        """Delete the rows of these keys, as one commit, eagerly; returns how many there were.

        Args:
            keys: The keys.
            columns: Their columns.
            prune_predicate: Holds for every row ``t`` of the table that may be deleted.
        """

    def note_transaction(self, transaction: Transaction) -> None:
        """Commit the number of a transaction without rows, eagerly."""

    # -- the table as a whole

    def add_columns(self, features: Sequence[FeatureSpec]) -> None:
        """Add those columns that are not there, as one commit, eagerly."""

    def optimize(self, cluster_by: Sequence[str]) -> Mapping[str, int]:
        """Compact and cluster the files, eagerly; returns how many were added and removed."""

    def list_stored_files(self) -> list[StoredFile]:
        """The data files in the folder now, of whatever version."""

    def list_removed_since(self, when: datetime) -> set[str]:
        """The names of the files that left at an instant or after it, by the log of now."""

    def vacuum(
        self, retention_hours: float, candidates: Sequence[StoredFile] | None = None
    ) -> None:
        """Delete the files that no version younger than this needs, eagerly.

        Of the candidates alone, where they are given.
        """

    def translate_errors(self, operation: str) -> AbstractContextManager[None]:
        """Turn the errors of Spark and the table into ours, within the context.

        ConflictError where another writer was faster, else SparkFSError, which names the operation.
        """

    def remove(self) -> None:
        """Remove the folder with rows, log and history, eagerly."""


def open_table(group: GroupSpec, path: str, get_spark: Callable[[], SparkSession]) -> GroupTable:
    """A feature group's table.

    Args:
        group: The feature group.
        path: Where its table is, a folder or URI; there may be none yet.
        get_spark: Gives the session; called when rows are first read or written by it.
    """
    return find_format(path).open_table(group, path, get_spark)
