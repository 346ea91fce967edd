"""The rows of a group of window features in its table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pyspark.sql import DataFrame

from spark_fs.flows.event_source import Rows
from spark_fs.flows.jobs import Job
from spark_fs.flows.replace_rows import RowScope, replace_rows
from spark_fs.tables.commits import Transaction
from spark_fs.tables.table import GroupTable


class RowInserter(Protocol):
    """Upserts rows with the number of a transaction, and with those of others where it can."""

    def __call__(
        self, df: Rows | DataFrame, transaction: Transaction | None, noted: Sequence[Transaction]
    ) -> Job:
        """The job of the rows."""


@dataclass(frozen=True)
class TableRows:
    """The rows of a group's table; see ``window_build.WindowRows``.

    open_table: takes a new look at the table. insert: upserts rows into it.
    """

    open_table: Callable[[], GroupTable]
    insert: RowInserter

    def find_number(self, id_: str) -> int | None:
        """The last number that was committed under an id; None before the first."""
        return self.open_table().find_transaction_number(id_)

    def replace_rows(
        self,
        rows: Rows,
        scope: RowScope,
        transaction: Transaction | None,
        noted: Sequence[Transaction],
    ) -> Job:
        """Let the group have these rows in a scope, and no others, eagerly.

        Args:
            rows: All rows of the scope.
            scope: Which of the group's rows are replaced.
            transaction: Its number is committed with the rows.
            noted: Their numbers are committed with the rows or after them.
        """
        insert = partial(self.insert, transaction=transaction, noted=noted)
        job = replace_rows(self.open_table(), rows, scope, insert)
        for each in noted:
            number = self.find_number(each.app_id)
            if number is None or number < each.number:
                self.open_table().note_transaction(each)
        return job
