"""Keep the statistics of a group up to its table, and read them."""

from collections.abc import Callable, Iterator, Sequence

from spark_fs.base.times import Instant
from spark_fs.engine.engines import Engines
from spark_fs.errors import SparkFSError
from spark_fs.flows import statistics
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_statistics import Statistics
from spark_fs.tables import statistics_files
from spark_fs.tables.commits import NO_TABLE, Commit
from spark_fs.tables.table import GroupTable


def try_update_statistics(
    engines: Engines, group: GroupSpec, open_table: Callable[[GroupSpec], GroupTable]
) -> str | None:
    """Bring the statistics of a group up to its newest commit, eagerly, where it wants them.

    Args:
        engines: What may read its rows.
        group: The group.
        open_table: Opens its table.

    Returns:
        Why it failed, in words; None where it did not.
    """
    config = group.parsed_statistics_config
    if not config.enabled:
        return None
    try:
        statistics.compute_group_statistics(engines, open_table(group), config)
    except SparkFSError as error:
        return str(error)
    except Exception as error:  # of whatever kind: an error would say that nothing was inserted
        return f"{type(error).__name__}: {error}."
    return None


def has_current_statistics(table: GroupTable) -> bool:
    """Whether the newest commit that changed rows, if any, has statistics. Starts no JVM."""
    profiled = statistics_files.list_commits(table.statistics_folder)
    newest = max(profiled, default=NO_TABLE)
    commits_since = table.list_commits(max(0, table.version - newest))
    return not any(commit.changes_rows for commit in commits_since)


def load_statistics_as_of(
    table: GroupTable, when: Instant | int | Commit | None, features: Sequence[str] | None
) -> Statistics | None:
    """Load the newest statistics of a table as of an instant, a version or a commit.

    Args:
        table: The group's table.
        when: An instant (UTC), a version or a commit; None: now.
        features: Of these features only; None: of all.

    Returns:
        The statistics; None where none were made up to then. Starts no JVM.

    Raises:
        NotFoundError: A version that does not exist, or an instant before the first commit.
    """
    version = None if when is None else table.resolve_version(when)
    return statistics.load_commit_statistics(table.statistics_folder, version, features)


def iter_statistics(
    table: GroupTable, when: Instant | int | Commit | None, features: Sequence[str] | None
) -> Iterator[Statistics]:
    """Load the statistics of every commit that has some, up to an instant, the newest first.

    Args:
        table: The group's table.
        when: An instant (UTC), a version or a commit; None: now.
        features: Of these features only; None: of all.

    Yields:
        The statistics of a commit. Starts no JVM.

    Raises:
        NotFoundError: A version that does not exist, or an instant before the first commit.
    """
    last = None if when is None else table.resolve_version(when)
    for commit in reversed(statistics_files.list_commits(table.statistics_folder)):
        if last is None or commit <= last:
            name = statistics_files.format_commit_name(commit)
            kept = statistics_files.load_statistics(table.statistics_folder, name, features)
            if kept is not None:
                yield kept
