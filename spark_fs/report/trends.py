"""What became of a group over time: rows written by each commit, and the share of nulls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_fs.errors import SparkFSError
from spark_fs.report import facts

if TYPE_CHECKING:
    from spark_fs.tables.commits import Commit
    from spark_fs.tables.statistics_files import Figures

_DATE_LENGTH = len("2024-03-01")
_SHOWN_STATISTICS = 20  # of the newest commits
_SHOWN_FIGURES = 10_000  # of all features together


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


class History(NamedTuple):
    """What the statistics of a group said, commit by commit, the oldest first."""

    commits: list[int]
    figures: list[Figures]

    def build_null_trend(self) -> dict[str, Any]:
        """Make the series of the share of nulls among all values."""
        points = []
        for commit, figures in zip(self.commits, self.figures, strict=True):
            values = sum(figures.counts)
            if values:
                share = sum(figures.nulls) / values
                points.append({"name": f"commit {commit}", "value": share})
        title = "Share of nulls among all values, by commit"
        return {"title": title, "limit": None, "points": points, "format": "share"}

    def list_by_feature(self) -> dict[str, dict[str, list[Any]]]:
        """The mean and the share of nulls of each feature, a value for each commit.

        None where a commit has none. There is nothing of a single commit.
        """
        if len(self.commits) < 2:
            return {}
        series: dict[str, dict[str, list[Any]]] = {}
        for number, figures in enumerate(self.figures):
            for feature, count, nulls, mean in zip(*figures, strict=True):
                if feature not in series:
                    unknown = [None] * len(self.commits)
                    series[feature] = {"means": unknown, "nulls": list(unknown)}
                series[feature]["means"][number] = mean
                series[feature]["nulls"][number] = nulls / count if count else None
        return series


def load_history(folder: str, feature_count: int) -> History:
    """Load what is shown over time of the statistics that are kept.

    Args:
        folder: Where the statistics of the group are.
        feature_count: How many features there are: of very many, fewer commits are shown.
    """
    from spark_fs.tables import statistics_files

    shown = min(_SHOWN_STATISTICS, max(2, _SHOWN_FIGURES // max(1, feature_count)))
    history = History([], [])
    for commit in statistics_files.list_commits(folder)[-shown:]:
        try:
            name = statistics_files.format_commit_name(commit)
            figures = statistics_files.load_figures(folder, name)
        except SparkFSError:  # of one commit, and the page is about all
            continue
        if figures:
            history.commits.append(commit)
            history.figures.append(figures)
    return history
