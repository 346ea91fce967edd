"""What the log of a table says, whatever its format, read without Spark and its JVM."""

from datetime import datetime
from typing import Protocol

from spark_fs.base.times import Instant
from spark_fs.tables.commits import Commit
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.formats import find_format


class TableLog(Protocol):
    """The log of a table, looked at once, when first asked; what says "now" looks anew.

    path: where the table is, a folder or URI; there may be none yet.
    """

    path: str

    @property
    def version(self) -> int:
        """The version that was looked at; ``NO_TABLE`` before the first insert."""

    @property
    def table_id(self) -> str:
        """The id that the table was given when it was made, wherever it is moved; empty: none."""

    @property
    def column_types(self) -> dict[str, str]:
        """The name and type of each column, as Spark calls it."""

    @property
    def partition_columns(self) -> list[str]:
        """The columns by which the table is partitioned."""

    def exists(self) -> bool:
        """Whether there is a log now; what it says is not looked at."""

    def get_commit_time(self, version: int) -> datetime:
        """The instant of a commit, in UTC."""

    def resolve_version(self, when: Instant | int | Commit) -> int:
        """The version that a number, a commit or an instant names: the newest at or before it.

        Raises NotFoundError for a version that does not exist, and for an instant before the first.
        """

    def list_commits(self, limit: int, until_version: int | None = None) -> list[Commit]:
        """The newest commits, up to a version where one is given, the newest first."""

    def has_commits(self, first_version: int, last_version: int) -> bool:
        """Whether the log still has every commit from the first to the last."""

    def list_files(self, version: int | None = None) -> list[DataFile]:
        """The data files of a version (None: the one looked at); NotFoundError without it."""

    def list_added_files(self, first_version: int, last_version: int) -> list[DataFile] | None:
        """The data files that these commits added; None where one changed or deleted a row."""

    def would_be_lost(self, version: int, until: datetime) -> bool:
        """Whether a clean-up of what left before an instant would take files of a version."""

    def find_transaction_number(self, app_id: str) -> int | None:
        """The last number committed under a transaction id; None without one."""


def open_log(path: str, version: int | None = None) -> TableLog:
    """The log of a table.

    Args:
        path: Where the table is, a folder or URI.
        version: Up to which it is looked at; None: the newest.
    """
    return find_format(path).open_log(path, version)
