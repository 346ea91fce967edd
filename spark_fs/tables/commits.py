"""The commits of a table, and the numbers of transactions that are committed with rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from spark_fs.base.times import to_micros

NO_TABLE = -1  # the version of a table that does not exist yet
_ROWLESS_OPERATIONS = ("optimize", "append_features", "note", "VACUUM START", "VACUUM END")


@dataclass(frozen=True)
class Commit:
    """One commit: its number, its instant (UTC), what it did, its batch, and its counts of rows.

    operation: "upsert", "insert", "overwrite", "delete", "append_features", "optimize", or "note"
    for what a run notes without rows; of another writer, Delta's own word for it. inserted,
    updated, deleted: numbers of rows. whole_keys: whether of each primary key of which it deleted a
    row it deleted all.
    """

    version: int
    committed_at: datetime
    operation: str
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    batch_id: str | None = None
    whole_keys: bool = False

    @property
    def id(self) -> int:
        """Its instant in milliseconds since 1970, which is a commit's id in Hopsworks."""
        return to_micros(self.committed_at) // 1_000

    def to_dict(self) -> dict[str, Any]:
        """What Hopsworks says of a commit, under its names."""
        return {
            "committedOn": self.committed_at.strftime("%Y%m%d%H%M%S%f")[:-3],
            "rowsUpdated": self.updated,
            "rowsInserted": self.inserted,
            "rowsDeleted": self.deleted,
        }

    def __getitem__(self, name: str) -> Any:
        return self.to_dict()[name]

    @property
    def changes_rows(self) -> bool:
        """Whether it may have added, changed or removed a row."""
        return self.operation not in _ROWLESS_OPERATIONS


class Transaction(NamedTuple):
    """An id and a number that data is committed with; one not above the last writes nothing."""

    app_id: str
    number: int
