"""What the log of a Delta table says of its commits and files; see ``TableLog``."""

from datetime import datetime
from functools import cached_property

from spark_fs.base.times import Instant
from spark_fs.tables import spark_schema
from spark_fs.tables.commits import Commit
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.delta import history
from spark_fs.tables.delta.log import DeltaLog


class DeltaTableLog:
    """The log of a Delta table, up to a version (None: the newest)."""

    def __init__(self, path: str, version: int | None = None) -> None:
        self.path = path
        self._until_version = version

    @cached_property
    def _log(self) -> DeltaLog:
        return DeltaLog(self.path, self._until_version)

    @property
    def version(self) -> int:
        """The newest version; ``NO_TABLE`` before the first insert."""
        return self._log.version

    @property
    def table_id(self) -> str:
        """The id that the table was given when it was made; empty before the first commit."""
        return history.get_table_id(self._log)

    @property
    def column_types(self) -> dict[str, str]:
        """The name and type of each column, as Spark calls it."""
        return spark_schema.parse_columns(self._log.schema)

    @property
    def partition_columns(self) -> list[str]:
        """The columns by which the table is partitioned."""
        return list(self._log.metadata.get("partitionColumns") or ())

    def exists(self) -> bool:
        """Whether there is a log now; what it says is not looked at."""
        return history.has_log(self.path)

    def get_commit_time(self, version: int) -> datetime:
        """The instant of a commit, in UTC."""
        return self._log.get_commit_time(version)

    def resolve_version(self, when: Instant | int | Commit) -> int:
        """The version that a number, a commit or an instant names; NotFoundError without one."""
        return history.resolve_table_version(self._log, when)

    def list_commits(self, limit: int, until_version: int | None = None) -> list[Commit]:
        """The newest commits, up to a version where one is given, the newest first."""
        return history.list_commits(self._log, limit, until_version)

    def has_commits(self, first_version: int, last_version: int) -> bool:
        """Whether the log still has every commit from the first to the last."""
        return history.has_commits(self._log, first_version, last_version)

    def list_files(self, version: int | None = None) -> list[DataFile]:
        """The data files of a version (None: the newest)."""
        return history.list_data_files(self._log, version)

    def list_added_files(self, first_version: int, last_version: int) -> list[DataFile] | None:
        """The data files that these commits added; None where one changed or deleted a row."""
        return history.list_added_files(self._log, first_version, last_version)

    def would_be_lost(self, version: int, until: datetime) -> bool:
        """Whether a clean-up of what left before an instant would take files of a version."""
        return history.would_be_lost(self._log, version, until)

    def find_transaction_number(self, app_id: str) -> int | None:
        """The last number committed under a transaction id; None when there is none."""
        return self._log.find_transaction_number(app_id)
