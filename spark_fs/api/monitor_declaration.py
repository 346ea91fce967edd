"""Declare a monitor of a group or a view: its windows, what it compares, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.monitor_arguments import (
    build_distance,
    check_threshold,
    is_number,
    make_window,
)
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec import monitoring as spec_monitoring
from spark_fs.spec.monitoring import (
    FeatureStatisticsConfig,
    JobSchedule,
    MonitoringWindowConfig,
    MonitorSpec,
    StatisticsComparisonConfig,
)

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores


@validate_arguments
class MonitorDeclaration:
    """A monitor of a group or a view as it is declared: its windows, what it compares, and when."""

    def __init__(
        self, stores: Stores, owner: Any, spec: MonitorSpec, number: int | None = None
    ) -> None:
        self._stores = stores
        self._owner = owner
        self._spec = spec
        self._id = number
        self._reference_value: float | None = None
        self.names_features = False

    # -- what it is

    @property
    def id(self) -> int | None:
        """The number; None before it is saved."""
        return self._id

    @property
    def name(self) -> str:
        """The name, one of its kind on its group or view."""
        return self._spec.name

    @property
    def description(self) -> str:
        """What it is for."""
        return self._spec.description

    @description.setter
    def description(self, description: str) -> None:
        self._spec.description = description

    @property
    def feature_store_id(self) -> int:
        """The number of the feature store: there is one."""
        return 1

    @property
    def feature_group_id(self) -> None:
        """None: a group goes by its name and version here."""
        return None

    @property
    def feature_view_name(self) -> str | None:
        """The name of the view; None of a group."""
        return self._owner.name if self._is_of_view else None

    @property
    def feature_view_version(self) -> int | None:
        """The version of the view; None of a group."""
        return self._owner.version if self._is_of_view else None

    @property
    def feature_monitoring_type(self) -> str:
        """Whether statistics are made, or figures or distributions compared."""
        return self._spec.feature_monitoring_type

    @property
    def job_name(self) -> str:
        """The name of its runs."""
        return f"{self._owner.name}_{self._owner.version}_{self.name}_run_feature_monitoring"

    @property
    def job_schedule(self) -> JobSchedule:
        """When it is due."""
        return self._spec.job_schedule

    @property
    def enabled(self) -> bool:
        """Whether it is carried out when it is due."""
        return self._spec.job_schedule.enabled

    @property
    def trigger_type(self) -> str:
        """What makes it run: its schedule."""
        return "CRON"

    @property
    def detection_window_config(self) -> MonitoringWindowConfig | None:
        """Which rows are described."""
        return self._spec.detection_window_config

    @property
    def reference_window_config(self) -> MonitoringWindowConfig | None:
        """Which rows they are compared with."""
        return self._spec.reference_window_config

    @property
    def feature_statistics_configs(self) -> list[FeatureStatisticsConfig]:
        """The features, each with what is compared of it."""
        return self._spec.feature_statistics_configs

    def get_feature_names(self) -> list[str]:
        """Return the names of the features that are monitored; none: all."""
        return self._spec.feature_names

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.feature_monitoring_type})"

    @property
    def _is_of_view(self) -> bool:
        return hasattr(self._owner, "query")

    # -- declare it

    def with_detection_window(
        self,
        time_offset: str | None = None,
        window_length: str | None = None,
        row_percentage: float | None = None,
    ) -> Self:
        """Choose the rows that are described.

        Of a group they are what was written in a window, of a view its rows by event time.

        Args:
            time_offset: How long before now the window begins, such as "1w2d3h"; None: all rows.
            window_length: How long it is; None: up to now.
            row_percentage: Taken for Hopsworks' sake, and named in a warning: all rows are read.
        """
        self._spec.detection_window_config = make_window(time_offset, window_length, row_percentage)
        return self

    def with_reference_window(
        self,
        time_offset: str | None = None,
        window_length: str | None = None,
        row_percentage: float | None = None,
    ) -> Self:
        """Choose the rows that they are compared with.

        Args:
            time_offset: How long before now the window begins; None: all rows.
            window_length: How long it is; None: up to now.
            row_percentage: As in ``with_detection_window``.
        """
        self._set_reference(make_window(time_offset, window_length, row_percentage))
        return self

    def with_reference_training_dataset(self, training_dataset_version: int | None = None) -> Self:
        """Compare with the train split of a training dataset, before transformations.

        Args:
            training_dataset_version: Which one; None: the first.

        Raises:
            SettingsError: The monitor is of a group.
        """
        if not self._is_of_view:
            raise SettingsError(
                f"Monitor {self.name!r} is of a feature group, which has no training datasets:"
                " create it on the feature view, or use with_reference_window()."
            )
        self._set_reference(
            MonitoringWindowConfig(
                spec_monitoring.TRAINING_DATASET,
                training_dataset_version=training_dataset_version or 1,
            )
        )
        return self

    def with_reference_value(self, value: float | None = None) -> Self:
        """Compare figures with one value, in the place of a reference window."""
        self._ensure_detection_window()
        self._reference_value = value
        return self

    def compare_on(
        self,
        metric: str,
        threshold: float | None = None,
        feature_name: str | None = None,
        strict: bool = False,
        relative: bool = False,
        specific_value: float | None = None,
    ) -> Self:
        """Compare a figure of the statistics.

        Args:
            metric: Such as "mean", "max", "completeness" or "num_null_values".
            threshold: At which difference there is a shift.
            feature_name: Of which feature; None: of each that has the figure, or of that which the
                monitor was created for.
            strict: Whether only a difference above the threshold is a shift.
            relative: Whether the difference is a share of the reference.
            specific_value: What it is compared with, in the place of the reference.

        Raises:
            NotFoundError: The figure or the feature does not exist.
            SettingsError: There is no reference, or no threshold.
        """
        self._ensure_detection_window()
        value = self._reference_value if specific_value is None else specific_value
        if self.reference_window_config is None and value is None:
            raise _make_reference_error(self.name)
        comparison = StatisticsComparisonConfig(
            metric=spec_monitoring.check_metric(metric),
            threshold=check_threshold(threshold),
            relative=relative,
            strict=strict,
            specific_value=value,
        )
        self._add_comparisons(comparison, feature_name)
        if self.feature_monitoring_type != spec_monitoring.DISTRIBUTION:
            self._spec.feature_monitoring_type = spec_monitoring.COMPARISON
        return self

    def compare_on_distribution(
        self,
        metric: str = "PSI",
        threshold: float | None = None,
        feature_name: str | None = None,
        strict: bool = False,
        binning_strategy: str | None = None,
        bin_count: int | None = None,
        smoothing_epsilon: float | None = None,
        custom_bin_edges: Sequence[float] | None = None,
    ) -> Self:
        """Compare distributions.

        Args:
            metric: "PSI", "KL_DIVERGENCE", "JS_DIVERGENCE" or "HELLINGER", by bins;
                "WASSERSTEIN" or "KOLMOGOROV_SMIRNOV", by all values.
            threshold: At which distance there is a shift; None: 0.2 for PSI.
            feature_name: As in ``compare_on``, and so is strict.
            strict: Whether only a distance above the threshold is a shift.
            binning_strategy: "EQUI_FREQUENCY" (of numbers, unless said), "EQUI_WIDTH",
                "CUSTOM_EDGES" or "CATEGORICAL".
            bin_count: How many bins; None: 10.
            smoothing_epsilon: What is added to the rows of each bin; None: 1e-6.
            custom_bin_edges: The edges of "CUSTOM_EDGES", in order.

        Raises:
            NotFoundError: The distance, the strategy or the feature does not exist.
            SettingsError: There is no reference window, or no threshold.
        """
        self._ensure_detection_window()
        if self.reference_window_config is None:
            raise _make_reference_error(self.name)
        comparison = build_distance(
            metric,
            threshold,
            strict,
            binning_strategy,
            bin_count,
            smoothing_epsilon,
            custom_bin_edges,
        )
        self._add_comparisons(comparison, feature_name)
        self._spec.feature_monitoring_type = spec_monitoring.DISTRIBUTION
        return self

    def _set_reference(self, window: MonitoringWindowConfig) -> None:
        self._ensure_detection_window()
        self._spec.reference_window_config = window

    def _ensure_detection_window(self) -> None:
        if self.detection_window_config is None:
            self._spec.detection_window_config = MonitoringWindowConfig()

    def _add_comparisons(
        self, comparison: StatisticsComparisonConfig, feature_name: str | None
    ) -> None:
        types = self.list_features()
        numbers_only = spec_monitoring.needs_number(comparison.measure)
        if feature_name is not None:
            names = [feature_name]
        elif self.names_features:
            names = self.get_feature_names()
        else:
            names = [name for name in types if not numbers_only or is_number(types[name])]
        for name in names:
            if name not in types:
                raise NotFoundError.for_name("Feature", name, types, "Monitor one of these.")
            if numbers_only and not is_number(types[name]):
                raise SettingsError(
                    f"{comparison.measure} is of numbers, and feature {name!r} is {types[name]}:"
                    " compare another figure of it, such as approx_num_distinct_values."
                )
            self._spec.add_comparison(name, deepcopy(comparison))

    def list_features(self) -> Mapping[str, str]:
        """Return the columns that can be monitored, with their types."""
        from spark_fs.flows.monitor import list_features

        return list_features(self._stores, self._owner)


def _make_reference_error(name: str) -> SettingsError:
    return SettingsError(
        f"Monitor {name!r} has nothing to compare with: call with_reference_window(...) or"
        " with_reference_training_dataset(...) first, or give specific_value= to compare_on."
    )
