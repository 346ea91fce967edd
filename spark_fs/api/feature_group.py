"""A feature group: a versioned Delta table with event-time history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.stores import opens
from spark_fs.api.written_group import WrittenGroup
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.comparison import DriftReport
    from spark_fs.spec.expectations import ValidationReport
    from spark_fs.spec.feature_statistics import Statistics, StatisticsConfig
    from spark_fs.spec.verification import Verification
    from spark_fs.tables.commits import Commit


@opens("feature group")
@validate_arguments
class FeatureGroup(WrittenGroup):
    """A group whose rows are a Delta table with event-time history."""

    @property
    def online_enabled(self) -> bool:
        """Whether ``sync_online`` pushes the latest rows to the online store."""
        return self._spec.online_enabled

    # -- validation

    def save_expectation_suite(self, expectation_suite: Any) -> None:
        """Attach a suite, eagerly, in the place of the one before: every insert is validated by it.

        It is a Great Expectations ``ExpectationSuite``, or a dict with its name and expectations
        (type and kwargs). Raises SettingsError for what is not one.
        """
        from spark_fs.spec.expectations import parse_suite

        suite = parse_suite(expectation_suite)
        self._update_spec(lambda spec: replace(spec, expectation_suite=suite))

    def get_expectation_suite(self) -> dict[str, Any] | None:
        """Return the suite, as its name and expectations; None where none is attached."""
        suite = self._reload_spec().expectation_suite
        return None if suite is None else dict(suite)

    def delete_expectation_suite(self) -> None:
        """Detach the suite, eagerly; its reports stay."""
        self._update_spec(lambda spec: replace(spec, expectation_suite=None))

    def validate(self, df: Any = None) -> ValidationReport:
        """Validate rows by the suite, eagerly; nothing is written, and the report is kept.

        ``df`` is a frame as ``insert`` takes it; None: the group's own rows. Raises
        SettingsError where no suite is attached.
        """
        from spark_fs.flows import validate
        from spark_fs.tables import spark_frames

        suite = self._reload_spec().expectation_suite
        if suite is None:
            raise SettingsError(
                f"Feature group {self._spec} has no expectation suite: attach one with"
                " save_expectation_suite."
            )
        stores = self._stores
        rows = (
            self.read("spark")
            if df is None
            else spark_frames.to_spark(stores.spark, df, self.spec.types)
        )
        return stores.catalog.add_validation(self._spec.ref, validate.validate_frame(rows, suite))

    def get_validation_history(self) -> list[ValidationReport]:
        """Return the reports on every batch, the oldest first. Starts no JVM.

        Each says what became of the batch.
        """
        return self._stores.catalog.list_validations(self._spec.ref)

    def get_latest_validation_report(self) -> ValidationReport | None:
        """Return the newest report; None before the first. Starts no JVM."""
        return self._stores.catalog.get_latest_validation(self._spec.ref)

    # -- its end

    def delete(self, force: bool = False, delete_feature_views: bool = False) -> None:
        """Delete the group, eagerly: rows, history, online table and definition.

        Args:
            force: Whether to delete it all the same where one of the errors below would be raised.
            delete_feature_views: Whether the feature views that read it are deleted first.

        Raises:
            SettingsError: Feature views read it.
            NotFoundError: Its table is lost.
        """
        from spark_fs.flows import maintain
        from spark_fs.tables.table import open_table

        stores = self._stores
        if delete_feature_views:
            self._delete_views(force)
        if not force:
            self._check_unused()
            stores.find_table(self._spec)  # a lost one may be on a disk that is not mounted
        table = open_table(self._spec, self.location, lambda: stores.spark)
        maintain.delete_group(table, stores)
        stores.catalog.delete_group(self._spec.ref)

    # -- statistics

    @property
    def statistics_config(self) -> StatisticsConfig:
        """Which statistics are made: whether on each insert (``enabled``), and of which columns."""
        return self._load_spec().parsed_statistics_config

    def update_statistics_config(self, statistics_config: Any) -> Self:
        """Choose other statistics, eagerly, and return the group; those that are kept stay.

        They are made from the next insert or ``compute_statistics`` on. ``statistics_config`` is
        True, False, or a mapping of ``enabled``, ``histograms``, ``correlations``,
        ``exact_uniqueness`` and ``columns``. Raises NotFoundError for an unknown field or column,
        SettingsError for an invalid value.
        """
        from spark_fs.spec.feature_statistics import StatisticsConfig

        config = StatisticsConfig.from_argument(statistics_config).to_json()
        return self._update_spec(lambda spec: replace(spec, statistics_config=config))

    @property
    def statistics_are_current(self) -> bool:
        """Whether the newest commit that changed rows, if any, has statistics. Starts no JVM."""
        from spark_fs.flows.group_statistics import has_current_statistics

        return has_current_statistics(self._stores.open_table(self._spec))

    def compute_statistics(self, engine: str | None = None) -> Statistics:
        """Make the statistics of the newest commit from all its rows, eagerly, and keep them.

        They stand in the place of those that it has.

        Args:
            engine: What reads the rows: "local", "spark" or "auto"; None: as the settings say.

        Raises:
            SettingsError: Before the first insert, or the local engine cannot read the rows.
        """
        from spark_fs.flows import statistics as flows_statistics

        group = self._load_spec()
        config = group.parsed_statistics_config
        table = self._stores.open_table(group)
        engines = self._stores.engines.with_request(engine)
        statistics = flows_statistics.compute_group_statistics(engines, table, config, rescan=True)
        if statistics is None:
            raise SettingsError(
                f"Feature group {group} has no rows yet: insert its first rows, then make their"
                " statistics."
            )
        return statistics

    def get_statistics(
        self,
        as_of: Instant | int | Commit | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> Statistics | None:
        """Return the newest statistics. Starts no JVM.

        Their ``.commit`` says of which commit they are: an insert that changes rows of a table of
        more than 32 MB makes none.

        Args:
            as_of: Those that were the newest as of an instant (UTC), a version or a commit; None:
                as of now.
            feature_names: Of these features only; None: of all.

        Returns:
            The statistics; None where none were made up to then.

        Raises:
            NotFoundError: A version that does not exist, or an instant before the first commit.
        """
        from spark_fs.flows.group_statistics import load_statistics_as_of

        table = self._stores.open_table(self._spec)
        return load_statistics_as_of(table, as_of, feature_names)

    def _update_statistics(self) -> None:
        """Bring the statistics up to what was just inserted; whatever fails, the rows are in."""
        from spark_fs.flows.group_statistics import try_update_statistics

        reason = try_update_statistics(self._stores.engines, self._spec, self._stores.open_table)
        if reason is not None:
            warn_user(
                f"The rows are in feature group {self._spec}, and its statistics could not be made:"
                f" {reason} Then run compute_statistics()."
            )

    def report(self, path: str | Path | None = None) -> Path:
        """Write a page about the group, eagerly, and return where; starts no JVM.

        It is one HTML file that needs nothing else: schema, statistics with histograms and
        correlations, some rows, commits, validation reports, comparisons for drift, lineage.
        ``path`` None: ``<name>_<version>.html`` in the working folder. Raises SettingsError where
        it cannot be written.
        """
        from spark_fs.report.group_page import render_group_page
        from spark_fs.report.page import write_page

        target = Path(path or f"{self.name}_{self.version}.html")
        return write_page(target, render_group_page(self._stores, self._load_spec()))

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

    # -- online

    def sync_online(
        self,
        now: Instant | None = None,
        full: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Job:
        """Bring the online table up to this group, eagerly: what changed since the last sync.

        The first sync brings all of it. When a sync fails, what is served is as it was.

        Args:
            now: The instant (UTC) by which rows are past the group's ttl; None: that of the call.
            full: Whether to load the whole table anew beside the one that is served, and put it in
                its place.
            progress: Called with the numbers of Spark's tasks done and known so far.

        Returns:
            The job. Its summary counts rows written, deleted, skipped (older than what is online)
            and expired (past their ttl), with the Delta versions and the lag: the age in seconds of
            the newest commit when it was online.

        Raises:
            SettingsError: The group is not online_enabled.
            NotFoundError: The group has no rows yet, its table is lost, or, unless full, it is
                older than what is online.
            ConflictError: Another sync of it runs.
            OnlineRefusedError: A value does not fit.
            OnlineStoreError: The database fails.
        """
        from spark_fs.api.online_sync import check_served, sync_group

        group = check_served(self._stores, self._load_spec())
        return sync_group(self._stores, group, now, full, progress)

    def verify_online(
        self, now: Instant | None = None, limit: int = 1_000, synced: bool = False
    ) -> Verification:
        """Compare the online table with the offline latest, eagerly.

        Checksums of buckets are compared first, then the rows of those that differ.

        Args:
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.
            limit: How many differing keys to report at most.
            synced: Whether to compare with the version that the last sync brought online, not with
                the newest.

        Returns:
            What differs; ``.ok`` where online equals offline.

        Raises:
            SettingsError: The group is not online_enabled, or limit is below 1.
            NotFoundError: The group has no rows yet, or its table is lost.
            OnlineStoreError: The database fails.
        """
        from spark_fs.api.online_sync import check_served, verify_group

        group = check_served(self._stores, self._load_spec())
        return verify_group(self._stores, group, now, limit, synced)
