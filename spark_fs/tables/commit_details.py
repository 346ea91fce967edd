"""The commits of a group: a list of them, which answers as Hopsworks' dict too."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, ValuesView
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from spark_fs.base.arguments import make_argument_error
from spark_fs.base.times import EPOCHS_FROM, is_epoch, is_given
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.tables.commits import Commit
from spark_fs.tables.table_log import open_log

if TYPE_CHECKING:
    from spark_fs.base.times import Instant

_ALL = 2**62  # more commits than any table has


class CommitDetails(list[Commit]):
    """Commits, the newest first, which are found by their place, their id or themselves.

    ``details[0]`` is the newest. ``details[commit.id]`` is what Hopsworks says of a commit, and
    ``keys``, ``values``, ``items`` and ``get`` are those of its dict.
    """

    def to_dict(self) -> dict[int, dict[str, Any]]:
        """Return what Hopsworks says of each commit, by its id."""
        return {commit.id: commit.to_dict() for commit in self}

    @overload
    def __getitem__(self, key: SupportsIndex) -> Commit: ...
    @overload
    def __getitem__(self, key: slice) -> list[Commit]: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Commit):
            return key.to_dict()
        if isinstance(key, int) and is_epoch(key):
            details = self.to_dict()
            if key not in details:
                raise NotFoundError(
                    f"No commit has the id {key}: use one of keys(), the milliseconds of each."
                )
            return details[key]
        return super().__getitem__(key)

    def keys(self) -> KeysView[int]:
        """Return the ids: the milliseconds since 1970 of each commit."""
        return self.to_dict().keys()

    def values(self) -> ValuesView[dict[str, Any]]:
        """Return what Hopsworks says of each commit."""
        return self.to_dict().values()

    def items(self) -> ItemsView[int, dict[str, Any]]:
        """Return each id with what Hopsworks says of its commit."""
        return self.to_dict().items()

    def get(self, key: int, default: Any = None) -> Any:
        """Return what Hopsworks says of a commit.

        Args:
            key: Its id.
            default: What is returned where no commit has the id.
        """
        return self.to_dict().get(key, default)


def list_commit_details(path: str, until: Instant | None, limit: int | None) -> CommitDetails:
    """The newest commits of a table.

    Args:
        path: Where the table is.
        until: Up to which instant; None: all. A small number is the limit.
        limit: How many at most; None: all.

    Raises:
        SettingsError: The limit is below 0.
    """
    if isinstance(until, int) and not is_epoch(until):
        if limit is not None:
            raise SettingsError(
                f"wallclock_time={until} is no instant, since numbers below {EPOCHS_FROM:,} are"
                " versions: give a time, or the limit alone."
            )
        limit = until
        until = None
    if limit is not None and limit < 0:
        raise make_argument_error("limit", limit, "a number of commits from 0 up")
    log = open_log(path)
    version = None
    if until is not None and is_given(until):
        if not log.exists():
            return CommitDetails()
        try:
            version = log.resolve_version(until)
        except NotFoundError:  # it lies before the first commit
            return CommitDetails()
    return CommitDetails(log.list_commits(_ALL if limit is None else limit, version))
