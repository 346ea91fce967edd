"""A monitor that is kept: it is saved, changed and run, and what its runs found is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from spark_fs.api.monitor_arguments import to_instant, warn_of_share
from spark_fs.api.monitor_declaration import MonitorDeclaration
from spark_fs.api.taken import Refused
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.monitoring_result import FeatureMonitoringResult


@validate_arguments
class FeatureMonitoringConfig(MonitorDeclaration):
    """A monitor of a group or a view: its windows, what it compares, and when.

    Its methods change it and return it, as Hopsworks' do; ``save`` keeps it. It is carried out by
    the step ``monitoring`` of a pipeline (``spark-fs run``), by ``jobs/monitor.py --saved``, and by
    ``run_once``.
    """

    # -- keep it

    def save(self) -> Self:
        """Keep the monitor, eagerly, and return it.

        Raises:
            AlreadyExistsError: The group or the view has one of its name.
            SettingsError: It is kept already, or a comparison is missing.
        """
        if self._id is not None:
            raise SettingsError(f"Monitor {self.name!r} is saved already: call update().")
        self._ensure_detection_window()
        self._check_comparisons()
        self._spec.number_parts()
        self._id = self._stores.catalog.add_monitor(self._owner, self._spec)
        return self

    def update(self) -> Self:
        """Keep what was changed of a saved monitor, eagerly, and return it."""
        number = self._require_saved("update()")
        self.job_schedule.check()
        for window in (self.detection_window_config, self.reference_window_config):
            if window is not None:
                window.check()
                warn_of_share(window.row_percentage)
        self._check_comparisons()
        self._spec.number_parts()
        self._stores.catalog.change_monitor(number, self._spec)
        return self

    def delete(self) -> None:
        """Forget the monitor and what its runs found, eagerly."""
        self._stores.catalog.delete_monitor(self._require_saved("delete()"))
        self._id = None

    def enable(self) -> None:
        """Let it be carried out when it is due, eagerly."""
        self._set_enabled(True)

    def disable(self) -> None:
        """Let it not be carried out, eagerly; ``run_once`` still does."""
        self._set_enabled(False)

    def _set_enabled(self, enabled: bool) -> None:
        number = self._require_saved("enable() or disable()")
        self._spec.job_schedule.enabled = enabled
        self._stores.catalog.change_monitor(number, self._spec)

    def _check_comparisons(self) -> None:
        if self.reference_window_config is not None and not any(
            config.statistics_comparison_configs for config in self.feature_statistics_configs
        ):
            raise SettingsError(
                f"Monitor {self.name!r} has a reference, and compares nothing with it: add"
                " compare_on(...) or compare_on_distribution(...)."
            )

    def _require_saved(self, call: str) -> int:
        if self._id is None:
            raise SettingsError(f"Monitor {self.name!r} is not saved: save() it before {call}.")
        return self._id

    # -- run it

    def run_once(self) -> Job:
        """Run it now, eagerly, and return the finished job; what it finds is kept."""
        from spark_fs.catalog.monitors import KeptMonitor
        from spark_fs.flows.jobs import Job
        from spark_fs.flows.monitor import run_monitor

        number = self._require_saved("run_once()")
        owner = self._stores.catalog.reload_owner(self._owner)
        result = run_monitor(self._stores, owner, KeptMonitor(number, self._spec))
        summary = {
            "features": len(result.feature_statistics_results),
            "shifted": len(result.shifted_feature_names),
        }
        return Job(self.job_name, summary)

    run_job = run_once

    get_job = Refused(
        "gives the job of the platform that runs a monitor",
        "run_once() runs it here, and the step 'monitoring' of a pipeline when it is due",
    )

    def get_history(
        self,
        start_time: Instant | int | None = None,
        end_time: Instant | int | None = None,
        with_statistics: bool = True,
    ) -> list[FeatureMonitoringResult]:
        """Return what its runs found, the newest first. Starts no JVM.

        Args:
            start_time: Of runs at this instant (UTC) or later; None: from the first on.
            end_time: Of runs at this instant (UTC) or earlier; None: up to the last.
            with_statistics: Whether with the statistics of both windows.
        """
        number = self._require_saved("get_history()")
        bounds = (to_instant(start_time), to_instant(end_time))
        results = self._stores.catalog.list_monitor_results(number, bounds)
        if with_statistics:
            return results
        return [result.without_statistics() for result in results]
