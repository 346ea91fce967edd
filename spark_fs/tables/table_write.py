"""One write to a group's table, whatever its format: rows are staged, then one commit names them.

Flows know writes by these interfaces; those of Delta are in ``delta/transaction.py`` and
``delta/staging.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from spark_fs.tables.commits import Transaction
from spark_fs.tables.computed_rows import ComputedRows
from spark_fs.tables.staged_files import StagedFiles

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

T = TypeVar("T")


@dataclass(frozen=True)
class TableLayout:
    """How a table is made: its partition columns, and how many columns have bounds per file."""

    partition_by: tuple[str, ...] = ()
    indexed_columns: int = 32


class LoggedCommit(Protocol):
    """A commit as the log has it."""

    @property
    def version(self) -> int:
        """Its number."""

    def count_rows(self) -> tuple[int, int]:
        """How many rows it inserted, and how many it updated."""


class TableTransaction(Protocol):
    """One transaction on a table, which may not exist yet.

    It sees the newest commit when it begins.
    """

    @property
    def is_new(self) -> bool:
        """Whether there is no table yet."""

    @property
    def types(self) -> dict[str, str]:
        """The type of each column of the table that is there."""

    def is_committed(self, transaction: Transaction | None) -> bool:
        """Whether the transaction has been committed before.

        If another commits it from now on, this one conflicts.
        """

    def with_write_id(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """What its commit is to note: this, and what tells it from all others in the log."""

    def create_table(self, frame: DataFrame, layout: TableLayout) -> None:
        """Let the commit make the table, with the frame's schema; a second call changes nothing."""

    def mark_whole_table_read(self) -> None:
        """Let the commit fail when any other adds rows from now on."""

    def remove_existing_files(self) -> None:
        """Let the commit take out every file that the table has.

        It fails when any other adds rows from now on.
        """

    def commit(
        self,
        staged: StagedFiles | None,
        layout: TableLayout,
        transactions: Sequence[Transaction],
        metadata: Mapping[str, Any],
    ) -> None:
        """Commit files and numbers of transactions, eagerly; may raise a conflict.

        Args:
            staged: The files; None: none.
            layout: How the table is made.
            transactions: The numbers.
            metadata: What the commit notes.
        """


class TableWrite(Protocol):
    """A write to a table, a context manager.

    When it ends, the files that it staged and that no commit names are deleted. is_committed:
    whether its commit is known to be in the log, by its answer or by a look.
    """

    is_committed: bool

    def __enter__(self) -> Self:
        """The write."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Delete what was staged and not committed."""

    @property
    def table_transaction(self) -> TableTransaction:
        """The transaction of the attempt that is under way."""

    @property
    def committed_version(self) -> int | None:
        """The version that the commit made; None where there is none."""

    def stage_rows(self, frame: DataFrame) -> StagedFiles:
        """Write a frame's rows, eagerly, as files that nobody reads before a commit names them."""

    def stage_computed_rows(
        self, rows: ComputedRows, ingested_micros: int, schema: StructType
    ) -> StagedFiles | None:
        """Let the workers that compute rows write them, eagerly, as files that nobody reads yet.

        Args:
            rows: The rows.
            ingested_micros: When they were ingested, in microseconds.
            schema: Of the files and the partitions, as the table's rows have it.

        Returns:
            The files; None where workers cannot write those of this table.
        """

    def keep_files(self, staged: StagedFiles) -> None:
        """Leave files alone that are part of the table now."""

    def commit(
        self, commit: Callable[[TableTransaction], T], recover: Callable[[LoggedCommit], T]
    ) -> T:
        """Commit, eagerly, and again where another writer was faster.

        Args:
            commit: Commits on a transaction, whose id it notes in the commit.
            recover: Gives its result by the log, for a commit that is there although no answer said
                so.

        Returns:
            What ``commit`` gives.

        Raises:
            ConflictError: Others were faster, each time.
            UnknownOutcomeError: Not even the log can tell whether it was committed.
        """
