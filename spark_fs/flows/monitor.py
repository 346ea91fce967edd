"""Run a monitor: describe the rows of its windows, compare them, and keep what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from spark_fs.base.times import Interval
from spark_fs.catalog.monitors import KeptMonitor, Owner
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.flows import batch, training_build, view_columns, window_statistics
from spark_fs.flows.profile_rows import RowSource
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.training_dataset import find_dataset
from spark_fs.flows.training_rows import TrainingDataset
from spark_fs.flows.window_statistics import WindowProfile
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_statistics import FeatureStatistics, Statistics, StatisticsConfig
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.monitoring import (
    TRAINING_DATASET,
    MonitoringWindowConfig,
    MonitorSpec,
    StatisticsComparisonConfig,
)
from spark_fs.spec.monitoring_result import (
    FeatureMonitoringResult,
    FeatureStatisticsResult,
    StatisticsComparisonResult,
)
from spark_fs.spec.training_dataset import TRAIN_SPLIT
from spark_fs.stats.binned_distances import Binning, measure_distance
from spark_fs.stats.column_values import get_column_kind
from spark_fs.tables.table import open_table

_CONFIG = StatisticsConfig(histograms=False)
_MAX_WITH_PERCENTILES = 200  # features; those of more would make a row of the catalog too long


def run_monitor(
    stores: ProjectStores, owner: Owner, monitor: KeptMonitor, now: datetime | None = None
) -> FeatureMonitoringResult:
    """Run a monitor of a group or a view, eagerly; what it finds is kept.

    Args:
        stores: Those of the owner.
        owner: The group or the view.
        monitor: The monitor.
        now: Where its windows end (UTC); None: at the instant of the call.

    Returns:
        What was found.

    Raises:
        NotFoundError: A feature or a training dataset does not exist.
        SettingsError: A window is of a time that the owner does not have.
    """
    until = now or datetime.now(UTC)
    rows = _GroupRows(stores, owner) if isinstance(owner, GroupSpec) else _ViewRows(stores, owner)
    spec = monitor.spec
    features = spec.feature_names
    detection_window = spec.detection_window_config or MonitoringWindowConfig()
    detected = rows.profile(detection_window, until, features)
    reference = None
    if spec.reference_window_config is not None:
        reference = rows.profile(spec.reference_window_config, until, features)
    result = FeatureMonitoringResult(
        spec.name,
        until.isoformat(),
        tuple(_compare_features(spec, detected, reference)),
        empty_detection_window=detected.statistics is None,
        empty_reference_window=None if reference is None else reference.statistics is None,
    )
    return stores.catalog.add_monitor_result(monitor.id, result)


def list_due_monitors(stores: ProjectStores, owner: Owner, now: datetime) -> list[KeptMonitor]:
    """The monitors of a group or a view of which an instant has come since their last run."""
    catalog = stores.catalog
    return [
        monitor
        for monitor in catalog.list_monitors(owner)
        if monitor.spec.job_schedule.is_due(catalog.find_last_monitored(monitor.id), now)
    ]


def list_features(stores: ProjectStores, owner: Owner) -> Mapping[str, str]:
    """The columns of a group or a view that can be monitored, with their types."""
    if isinstance(owner, GroupSpec):
        types: Mapping[str, str] = stores.catalog.get_group(owner.name, owner.version).types
    else:
        types = _describe_batch(stores, owner)
    return {name: type_ for name, type_ in types.items() if get_column_kind(type_) != "nested"}


def describe_train_split(
    stores: ProjectStores, view: ViewSpec, version: int, features: Sequence[str] | None
) -> Statistics:
    """The statistics of a train split before transformations, eagerly; they are not kept."""
    window = MonitoringWindowConfig(TRAINING_DATASET, training_dataset_version=version)
    profile = _ViewRows(stores, view).profile(window, datetime.now(UTC), features or ())
    statistics = profile.statistics or Statistics(datetime.now(UTC), None)
    return replace(statistics, commit=None, split=TRAIN_SPLIT)


# -- rows


class _GroupRows:
    """The rows of a group, by the commits that wrote them."""

    def __init__(self, stores: ProjectStores, group: GroupSpec) -> None:
        self.engines = stores.engines
        self.table = open_table(group, stores.find_table(group), lambda: stores.spark)

    def profile(
        self, window: MonitoringWindowConfig, now: datetime, features: Sequence[str]
    ) -> WindowProfile:
        """The profile of what was written in a window, or of all that was there at its end."""
        start, end = window.find_bounds(now)
        names = list(features) or None
        if start is None:
            return window_statistics.profile_version(self.engines, self.table, end, _CONFIG, names)
        bounds = (start, end)
        return window_statistics.profile_commits(self.engines, self.table, bounds, _CONFIG, names)


class _ViewRows:
    """The rows of a view by their event time, and those of its training datasets.

    They are as they are before transformations.
    """

    def __init__(self, stores: ProjectStores, view: ViewSpec) -> None:
        self.stores = stores
        self.view = view

    def profile(
        self, window: MonitoringWindowConfig, now: datetime, features: Sequence[str]
    ) -> WindowProfile:
        """The profile of a batch of a window, or of the train split of a training dataset."""
        if window.window_config_type == TRAINING_DATASET:
            rows: Any = self._read_train_split(window.training_dataset_version or 1)
        else:
            rows = self._read_batch(window, now)
        types = _select_types(_list_types(rows, self.stores, self.view), features)
        if isinstance(rows, pa.Table):
            source = RowSource(self.stores.engines, types, table=rows.select(list(types)))
        else:
            frame = rows.select(*(f"`{name}`" for name in types))
            source = RowSource(self.stores.engines, types, get_frame=lambda: frame)
        return window_statistics.profile_source(source, _CONFIG)

    def _read_batch(self, window: MonitoringWindowConfig, now: datetime) -> Any:
        start, end = window.find_bounds(now)
        request = batch.BatchRequest(None if start is None else Interval(start, end))
        return batch.read_batch_rows(self.stores, _drop_roles(self.view), None, request)

    def _read_train_split(self, version: int) -> pa.Table:
        """Its rows, joined again at the versions that it was made of."""
        view = replace(self.view, transformations=())
        spec = find_dataset(self.stores, self.view, version)
        dataset = TrainingDataset.load(
            self.stores, view, replace(spec, files=None, transformations=())
        )
        tables, _ = training_build.build_in_memory(dataset.join_input, dataset.transform)
        return tables[spec.parts[0]]


def _drop_roles(view: ViewSpec) -> ViewSpec:
    """The view with every column of its query as a feature, and no transformation."""
    return replace(view, transformations=(), labels=(), training_helpers=(), inference_helpers=())


def _describe_batch(stores: ProjectStores, view: ViewSpec) -> Mapping[str, str]:
    columns = view_columns.resolve_view_columns(stores.catalog, _drop_roles(view))
    return columns.get_training_columns(None)


def _list_types(rows: Any, stores: ProjectStores, view: ViewSpec) -> Mapping[str, str]:
    """The features that rows have, with their types."""
    names = rows.column_names if isinstance(rows, pa.Table) else rows.columns
    return {name: type_ for name, type_ in list_features(stores, view).items() if name in names}


def _select_types(types: Mapping[str, str], features: Sequence[str]) -> Mapping[str, str]:
    for name in features:
        if name not in types:
            raise NotFoundError.for_name("Feature", name, types, "Monitor one of these.")
    return {name: types[name] for name in features or types}


# -- what is compared


def _compare_features(
    spec: MonitorSpec, detected: WindowProfile, reference: WindowProfile | None
) -> Iterator[FeatureStatisticsResult]:
    figures = _index_statistics(detected)
    reference_figures = _index_statistics(reference)
    comparisons = {
        config.feature_name: config.statistics_comparison_configs
        for config in spec.feature_statistics_configs
    }
    for name in comparisons or figures:
        results = []
        for comparison in comparisons.get(name, ()):
            if comparison.distribution_metric is not None:
                difference = _measure_distance(comparison, name, detected, reference)
            else:
                difference = _compare_figures(
                    comparison, figures.get(name), reference_figures.get(name)
                )
            results.append(
                StatisticsComparisonResult(
                    comparison.id,
                    comparison.measure,
                    difference,
                    comparison.is_shift(difference),
                    comparison.threshold,
                )
            )
        yield FeatureStatisticsResult(
            name, figures.get(name), reference_figures.get(name), tuple(results)
        )


def _index_statistics(profile: WindowProfile | None) -> dict[str, FeatureStatistics]:
    if profile is None or profile.statistics is None:
        return {}
    features = profile.statistics.feature_descriptive_statistics
    if len(features) > _MAX_WITH_PERCENTILES:
        features = [replace(feature, percentiles=None) for feature in features]
    return {feature.feature_name: feature for feature in features}


def _compare_figures(
    comparison: StatisticsComparisonConfig,
    detected: FeatureStatistics | None,
    reference: FeatureStatistics | None,
) -> float | None:
    """The difference of a figure; of rows that are not there only their number is known."""
    metric = comparison.measure
    if metric == "COUNT":
        counts = [0 if side is None else side.count for side in (detected, reference)]
        return comparison.compute_difference(*counts)
    values = [None if side is None else side.get_value(metric) for side in (detected, reference)]
    for value in values:
        if isinstance(value, str | bool) or hasattr(value, "isoformat"):
            raise SettingsError(
                f"{metric} of the monitored feature is {value!r}, which is not a number: compare a"
                " figure of numbers, or count distinct values."
            )
    return comparison.compute_difference(*values)


def _measure_distance(
    comparison: StatisticsComparisonConfig,
    name: str,
    detected: WindowProfile,
    reference: WindowProfile | None,
) -> float | None:
    states = [{} if side is None else side.states for side in (detected, reference)]
    if any(name not in side for side in states):
        return None
    detected_state, reference_state = states[0][name], states[1][name]
    kind = get_column_kind(reference_state.type)
    default = "CATEGORICAL" if kind == "category" else "EQUI_FREQUENCY"
    binning = Binning(
        comparison.binning_strategy or default,
        comparison.bin_count,
        comparison.smoothing_epsilon,
        comparison.custom_bin_edges or (),
    )
    return measure_distance(comparison.measure, detected_state, reference_state, binning)
