"""Profile the rows that were written to a group in a window of commits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from spark_fs.base.times import Instant
from spark_fs.engine.engines import Engines
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.errors import NotFoundError
from spark_fs.flows.drift import open_written_rows
from spark_fs.flows.profile_rows import RowSource
from spark_fs.spec.feature_statistics import Statistics, StatisticsConfig
from spark_fs.tables.commits import NO_TABLE, Commit
from spark_fs.tables.table import GroupTable

When = Instant | int | Commit | None


@dataclass(frozen=True)
class WindowProfile:
    """The statistics of some rows and the states that they follow from; None of no rows."""

    statistics: Statistics | None = None
    states: ColumnStates = field(default_factory=dict)


def profile_commits(
    engines: Engines,
    table: GroupTable,
    window: tuple[When, When],
    config: StatisticsConfig,
    features: Sequence[str] | None = None,
) -> WindowProfile:
    """Profile what was written after the first bound, up to the last and with it, eagerly.

    Args:
        engines: What may read the rows.
        table: The group's table.
        window: Instants (UTC), versions or commits; None: before the first commit, and the newest.
        config: What is computed, of which columns.
        features: Of these columns instead; None: of those of the configuration.

    Raises:
        NotFoundError: A version or a column does not exist.
    """
    if table.version == NO_TABLE:
        return WindowProfile()
    start, end = window
    first = NO_TABLE if start is None else _find_version(table, start)
    last = table.version if end is None else _find_version(table, end)
    if last <= first:
        return WindowProfile()
    types = choose_types(table, config, features)
    source = open_written_rows(engines, table, (first, last), types)
    return profile_source(source, config, last)


def profile_version(
    engines: Engines,
    table: GroupTable,
    when: When,
    config: StatisticsConfig,
    features: Sequence[str] | None = None,
) -> WindowProfile:
    """Profile all rows that a group had at an instant (None: now), eagerly; none before the first.

    Args:
        engines: What may read the rows.
        table: The group's table.
        when: An instant (UTC), a version or a commit.
        config: What is computed, of which columns.
        features: Of these columns instead; None: of those of the configuration.

    Raises:
        NotFoundError: A version or a column does not exist.
    """
    if table.version == NO_TABLE:
        return WindowProfile()
    version = table.version if when is None else _find_version(table, when)
    if version == NO_TABLE:
        return WindowProfile()
    types = choose_types(table, config, features)
    return profile_source(RowSource.from_table(engines, table, version, types), config, version)


def choose_types(
    table: GroupTable, config: StatisticsConfig, features: Sequence[str] | None
) -> Mapping[str, str]:
    """The columns that are profiled, with their types."""
    if features:
        config = replace(config, columns=tuple(features))
    return config.select_column_types(table.group.types)


def profile_source(
    source: RowSource, config: StatisticsConfig, commit: int | None = None
) -> WindowProfile:
    """Profile rows, eagerly; none where there are no rows."""
    profile = source.compute_profile(config)
    statistics = Statistics(datetime.now(UTC), commit, tuple(profile.statistics.values()))
    if not statistics.row_count:
        return WindowProfile()
    return WindowProfile(statistics, profile.states)


def _find_version(table: GroupTable, when: Instant | int | Commit) -> int:
    """The version as of an instant, which may lie before the first commit."""
    try:
        return table.resolve_version(when)
    except NotFoundError:
        if isinstance(when, str | date):
            return NO_TABLE
        raise
