"""What became of a group over time: rows written by each commit, and the share of nulls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.errors import SparkFSError
from spark_fs.report import facts

if TYPE_CHECKING:
    from spark_fs.tables.commits import Commit

_DATE_LENGTH = len("2024-03-01")
_SHOWN_STATISTICS = 20  # of the newest commits


def build_row_trend(commits: Sequence[Commit]) -> dict[str, Any]:
    """Make the series of rows that commits wrote or deleted, the oldest first."""
    points = []
    for commit in reversed(commits):
        changed = (commit.inserted or 0) + (commit.updated or 0) + (commit.deleted or 0)
        time = facts.format_time(commit.committed_at)
        name = f"commit {commit.version}, {time}"
        points.append({"name": name, "at": time[:_DATE_LENGTH], "value": changed})
    title = "Rows that each commit inserted, updated or deleted"
    return {"title": title, "limit": None, "points": points}


def build_null_trend(folder: str) -> dict[str, Any]:
    """Make the series of the share of nulls among all values, by the statistics that are kept.

    Args:
        folder: Where the statistics of the group are.
    """
    from spark_fs.tables import statistics_files

    points = []
    for commit in statistics_files.list_commits(folder)[-_SHOWN_STATISTICS:]:
        name = statistics_files.format_commit_name(commit)
        try:
            share = statistics_files.load_null_share(folder, name)
        except SparkFSError:  # of one commit, and the page is about all
            continue
        if share is not None:
            points.append({"name": f"commit {commit}", "value": share})
    title = "Share of nulls among all values, by commit"
    return {"title": title, "limit": None, "points": points, "format": "share"}
