"""A group with statistics: which are made, those of its commits, and how far rows have drifted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.monitoring import MonitoringMixin
from spark_fs.api.validated_group import ValidatedGroup
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.base.times import Instant
    from spark_fs.spec.comparison import DriftReport
    from spark_fs.spec.feature_statistics import Statistics, StatisticsConfig
    from spark_fs.tables.commits import Commit


@validate_arguments
class ProfiledGroup(ValidatedGroup, MonitoringMixin):
    """A group whose rows are described by statistics, commit by commit."""

    # what was set, or may be changed in place, and is not saved yet
    _edited_config: StatisticsConfig | None = None
    _kept_config: StatisticsConfig | None = None

    # -- statistics

    @property
    def statistics_config(self) -> StatisticsConfig:
        """Which statistics are made: whether on each insert (``enabled``), and of which columns.

        What is set or changed here is saved by ``update_statistics_config()``.
        """
        kept = self._load_spec().parsed_statistics_config
        if self._edited_config is None or self._edited_config == self._kept_config:
            self._kept_config = kept
            self._edited_config = replace(kept)
        return self._edited_config

    @statistics_config.setter
    def statistics_config(self, statistics_config: Any) -> None:
        from spark_fs.spec.feature_statistics import StatisticsConfig

        self._kept_config = self._load_spec().parsed_statistics_config
        self._edited_config = replace(StatisticsConfig.from_argument(statistics_config))

    def update_statistics_config(self, statistics_config: Any = None) -> Self:
        """Choose other statistics, eagerly, and return the group; those that are kept stay.

        They are made from the next insert or ``compute_statistics`` on.

        Args:
            statistics_config: True, False, or a mapping of ``enabled``, ``correlations``,
                ``histograms``, ``exact_uniqueness`` and ``columns``; None: what was set or changed
                in ``statistics_config``.

        Raises:
            NotFoundError: An unknown field or column.
            SettingsError: An invalid value.
        """
        from spark_fs.spec.feature_statistics import StatisticsConfig

        if statistics_config is None:
            statistics_config = self.statistics_config
        config = StatisticsConfig.from_argument(statistics_config).to_json()
        self._edited_config = None
        return self._update_spec(lambda spec: replace(spec, statistics_config=config))

    @property
    def statistics_are_current(self) -> bool:
        """Whether the newest commit that changed rows, if any, has statistics. Starts no JVM."""
        from spark_fs.flows.group_statistics import has_current_statistics

        return has_current_statistics(self._stores.open_table(self._spec))

    @property
    def statistics(self) -> Statistics | None:
        """The newest statistics; None where none were made. Starts no JVM."""
        return self.get_statistics()

    def compute_statistics(
        self,
        wallclock_time: Instant | int | Commit | None = None,
        *,
        engine: str | None = None,
    ) -> Statistics:
        """Make the statistics of a commit from all its rows, eagerly, and keep them.

        They stand in the place of those that it has.

        Args:
            wallclock_time: Of the commit that was the newest as of an instant (UTC), a version or
                a commit; None: of the newest.
            engine: What reads the rows: "local", "spark" or "auto"; None: as the settings say.

        Returns:
            The statistics.

        Raises:
            SettingsError: Before the first insert, or the local engine cannot read the rows.
            NotFoundError: A version that does not exist, or an instant before the first commit.
        """
        from spark_fs.flows import statistics as flows_statistics

        group = self._load_spec()
        config = group.parsed_statistics_config
        table = self._stores.open_table(group)
        version = None if wallclock_time is None else table.resolve_version(wallclock_time)
        engines = self._stores.engines.with_request(engine)
        statistics = flows_statistics.compute_group_statistics(
            engines, table, config, rescan=True, version=version
        )
        if statistics is None:
            raise SettingsError(
                f"Feature group {group} has no rows yet: insert its first rows, then make their"
                " statistics."
            )
        return statistics

    def get_statistics(
        self,
        computation_time: Instant | int | Commit | None = None,
        feature_names: Sequence[str] | None = None,
        *,
        as_of: Instant | int | Commit | None = None,
    ) -> Statistics | None:
        """Return the newest statistics. Starts no JVM.

        Their ``.commit`` says of which commit they are: an insert that changes rows of a table of
        more than 32 MB makes none.

        Args:
            computation_time: Those of the newest commit as of an instant (UTC), a version or a
                commit; None: as of now.
            feature_names: Of these features only; None: of all.
            as_of: The same as computation_time.

        Returns:
            The statistics; None where none were made up to then.

        Raises:
            NotFoundError: A version that does not exist, or an instant before the first commit.
        """
        from spark_fs.flows.group_statistics import load_statistics_as_of

        table = self._stores.open_table(self._spec)
        when = computation_time if as_of is None else as_of
        return load_statistics_as_of(table, when, _to_names(feature_names))

    def get_all_statistics(
        self,
        computation_time: Instant | int | Commit | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> list[Statistics]:
        """Return the statistics of every commit that has some, the newest first. Starts no JVM.

        Args:
            computation_time: Up to the commit that was the newest as of an instant (UTC), a version
                or a commit; None: of all.
            feature_names: Of these features only; None: of all.
        """
        from spark_fs.flows.group_statistics import iter_statistics

        table = self._stores.open_table(self._spec)
        return list(iter_statistics(table, computation_time, _to_names(feature_names)))

    def get_statistics_by_commit_window(
        self,
        from_commit_time: Instant | int | Commit | None = None,
        to_commit_time: Instant | int | Commit | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> Statistics | None:
        """Make the statistics of the rows that were written in a window of commits, eagerly.

        Args:
            from_commit_time: An instant (UTC), a version or a commit, excluded; None: from the
                first on.
            to_commit_time: An instant (UTC), a version or a commit, included; None: the newest.
            feature_names: Of these features only; None: of all.

        Returns:
            The statistics, which are not kept; None where nothing was written then.

        Raises:
            NotFoundError: A version or a feature that does not exist.
        """
        from spark_fs.flows.window_statistics import profile_commits

        group = self._load_spec()
        return profile_commits(
            self._stores.engines,
            self._stores.open_table(group),
            (from_commit_time, to_commit_time),
            group.parsed_statistics_config,
            _to_names(feature_names),
        ).statistics

    def _update_statistics(self) -> None:
        """Bring the statistics up to what was just inserted; whatever fails, the rows are in."""
        from spark_fs.flows.group_statistics import try_update_statistics

        reason = try_update_statistics(self._stores.engines, self._spec, self._stores.open_table)
        if reason is not None:
            warn_user(
                f"The rows are in feature group {self._spec}, and its statistics could not be made:"
                f" {reason} Then run compute_statistics()."
            )

    # -- drift

    def detect_drift(
        self,
        current: Any,
        reference: Any,
        features: Sequence[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
        engine: str | None = None,
    ) -> DriftReport:
        """Compare rows with reference rows, feature by feature, eagerly; the report is kept.

        PSI of few rows is mostly noise: of n and m rows its mean is about 9 (1/n + 1/m) where
        nothing drifts.

        Args:
            current: ``(start, end)`` as times, for the rows of start <= event time < end (UTC);
                ``(first, last)`` as numbers of commits, for what was written after the first, up to
                the last; or a frame as ``insert`` takes it.
            reference: The rows to compare them with, likewise.
            features: Which columns; None: all but the key and the event time, and of a frame those
                that it has.
            thresholds: The limit of each measure, as in ``{"psi": 0.2, "null_share": 0.05}``, which
                are the default. The measures are those of
                ``spark_fs.stats.distances.measure_drift``.
            engine: What reads the rows: "local", "spark" or "auto"; None: as the settings say.

        Returns:
            The report.

        Raises:
            SettingsError: A side without rows.
            NotFoundError: A column, measure or commit that does not exist.
        """
        from spark_fs.flows.group_drift import compare_group_rows
        from spark_fs.spec.comparison import resolve_thresholds

        limits = resolve_thresholds(thresholds)
        group = self._load_spec()
        table = self._stores.open_table(group)
        engines = self._stores.engines.with_request(engine)
        report = compare_group_rows(engines, table, current, reference, features, limits)
        return self._stores.catalog.add_comparison(group, report)

    def get_drift_history(self) -> list[DriftReport]:
        """Return the comparisons that were made, the oldest first. Starts no JVM."""
        return self._stores.catalog.list_comparisons(self._load_spec())


def _to_names(names: Sequence[str] | None) -> Sequence[str] | None:
    """The names of features, of which one may come alone."""
    return [names] if isinstance(names, str) else names
