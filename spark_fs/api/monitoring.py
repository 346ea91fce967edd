"""What groups and views offer of monitoring: monitors are declared, and their runs read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature_monitoring import FeatureMonitoringConfig
from spark_fs.api.monitor_arguments import to_instant
from spark_fs.api.taken import Refused
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.monitoring import (
    DEFAULT_CRON,
    FeatureStatisticsConfig,
    JobSchedule,
    MonitorSpec,
)

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.spec.monitoring_result import FeatureMonitoringResult


_ALERTS = (
    "name a webhook under alerts: in the file of a pipeline with the step monitoring; spark-fs run"
    " and jobs/monitor.py end with exit code 4 then, too"
)


@validate_arguments
class MonitoringMixin:
    """Monitors of what a group or a view holds."""

    if TYPE_CHECKING:
        _stores: Stores

        def _load_spec(self) -> Any: ...

    def create_scheduled_statistics(
        self,
        name: str,
        feature_names: Sequence[str] | None = None,
        description: str | None = None,
        start_date_time: Instant | int | None = None,
        end_date_time: Instant | int | None = None,
        cron_expression: str = DEFAULT_CRON,
    ) -> FeatureMonitoringConfig:
        """Declare statistics that are made by a schedule; ``save()`` keeps the declaration.

        Args:
            name: The name, in lower snake case.
            feature_names: Of which features; None: of all.
            description: What it is for.
            start_date_time: From when on it is due (UTC); None: from now on.
            end_date_time: Until when; None: without end.
            cron_expression: When it is due, as Quartz writes it (UTC): second, minute, hour, day of
                the month, month, day of the week.

        Raises:
            NotFoundError: A feature does not exist.
            SettingsError: The expression is not valid.
        """
        schedule = _make_schedule(cron_expression, start_date_time, end_date_time)
        spec = MonitorSpec(name, description or "", job_schedule=schedule)
        config = FeatureMonitoringConfig(self._stores, self._load_spec(), spec)
        if feature_names:
            types = config.list_features()
            names = [feature_names] if isinstance(feature_names, str) else feature_names
            for feature in names:
                if feature not in types:
                    raise NotFoundError.for_name("Feature", feature, types, "Monitor one of these.")
                spec.feature_statistics_configs.append(FeatureStatisticsConfig(feature))
            config.names_features = True
        return config

    def create_feature_monitoring(
        self,
        name: str,
        description: str | None = None,
        start_date_time: Instant | int | None = None,
        end_date_time: Instant | int | None = None,
        cron_expression: str = DEFAULT_CRON,
        *,
        feature_name: str | None = None,
    ) -> FeatureMonitoringConfig:
        """Declare a comparison that is made by a schedule; ``save()`` keeps the declaration.

        ``config.with_detection_window(...).with_reference_window(...).compare_on(...).save()``.

        Args:
            name: The name, in lower snake case.
            description: What it is for.
            start_date_time: From when on it is due (UTC); None: from now on.
            end_date_time: Until when; None: without end.
            cron_expression: As in ``create_scheduled_statistics``.
            feature_name: The feature that is compared; None: as ``compare_on`` says.
        """
        names = None if feature_name is None else [feature_name]
        return self.create_scheduled_statistics(
            name, names, description, start_date_time, end_date_time, cron_expression
        )

    def create_statistics_monitoring(
        self,
        name: str,
        feature_name: str | None = None,
        description: str | None = None,
        start_date_time: Instant | int | None = None,
        end_date_time: Instant | int | None = None,
        cron_expression: str = DEFAULT_CRON,
    ) -> FeatureMonitoringConfig:
        """Declare scheduled statistics, under the name that earlier releases of Hopsworks have.

        Args:
            name: The name.
            feature_name: Of which feature; None: of all.
            description: What it is for.
            start_date_time: From when on it is due (UTC); None: from now on.
            end_date_time: Until when; None: without end.
            cron_expression: As in ``create_scheduled_statistics``.
        """
        names = None if feature_name is None else [feature_name]
        return self.create_scheduled_statistics(
            name, names, description, start_date_time, end_date_time, cron_expression
        )

    def get_feature_monitoring_configs(
        self,
        name: str | None = None,
        feature_name: str | None = None,
        config_id: int | None = None,
    ) -> FeatureMonitoringConfig | list[FeatureMonitoringConfig] | None:
        """Return the monitors. Starts no JVM.

        Args:
            name: The one of this name; None where there is none.
            feature_name: Those of this feature.
            config_id: The one of this number; None where there is none.

        Raises:
            SettingsError: More than one argument is given.
        """
        given = [each for each in (name, feature_name, config_id) if each is not None]
        if len(given) > 1:
            raise SettingsError("Give one of name, feature_name and config_id, not several.")
        owner = self._load_spec()
        configs = [
            FeatureMonitoringConfig(self._stores, owner, monitor.spec, monitor.id)
            for monitor in self._stores.catalog.list_monitors(owner)
        ]
        if feature_name is not None:
            return [each for each in configs if feature_name in each.get_feature_names()]
        if given:
            found = (each for each in configs if given[0] in (each.name, each.id))
            return next(found, None)
        return configs

    def get_feature_monitoring_history(
        self,
        config_name: str | None = None,
        config_id: int | None = None,
        start_time: Instant | int | None = None,
        end_time: Instant | int | None = None,
        with_statistics: bool = True,
    ) -> list[FeatureMonitoringResult]:
        """Return what the runs of a monitor found, the newest first. Starts no JVM.

        Args:
            config_name: The monitor by its name, or
            config_id: by its number.
            start_time: Of runs at this instant (UTC) or later; None: from the first on.
            end_time: Of runs at this instant (UTC) or earlier; None: up to the last.
            with_statistics: Whether with the statistics of both windows.

        Returns:
            The results; none where there is no such monitor.

        Raises:
            SettingsError: Neither or both of the first two are given.
        """
        if (config_name is None) == (config_id is None):
            raise SettingsError("Give one of config_name and config_id: which monitor it is of.")
        config = self.get_feature_monitoring_configs(config_name, config_id=config_id)
        if not isinstance(config, FeatureMonitoringConfig):
            return []
        return config.get_history(start_time, end_time, with_statistics)

    def run_due_monitors(self, now: Instant | None = None) -> list[FeatureMonitoringResult]:
        """Run the monitors of which an instant has come since their last run, eagerly.

        Args:
            now: The instant (UTC) at which their windows end; None: that of the call.

        Returns:
            What they found, which is kept.
        """
        from spark_fs.flows.monitor import list_due_monitors, run_monitor

        owner = self._load_spec()
        instant = to_instant(now) or datetime.now(UTC)
        due = list_due_monitors(self._stores, owner, instant)
        return [run_monitor(self._stores, owner, monitor, instant) for monitor in due]

    create_alert = Refused("sends a message when a monitor finds something", _ALERTS)
    get_alerts = Refused("lists who is told when a monitor finds something", _ALERTS)
    get_alert = Refused("says who is told when a monitor finds something", _ALERTS)


def _make_schedule(
    cron_expression: str, start: Instant | int | None, end: Instant | int | None
) -> JobSchedule:
    first = to_instant(start) or datetime.now(UTC)
    last = to_instant(end)
    return JobSchedule(
        cron_expression, first.isoformat(), None if last is None else last.isoformat()
    )
