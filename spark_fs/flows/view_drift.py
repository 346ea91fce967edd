"""Compare a batch of a feature view with the train split of a training dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError
from spark_fs.flows import batch, drift, training_dataset, training_statistics
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.training_rows import TrainingDataset
from spark_fs.spec.comparison import DriftReport
from spark_fs.spec.feature_view import ViewSpec


def detect_view_drift(
    stores: ProjectStores,
    view: ViewSpec,
    current: Any,
    training_dataset_version: int,
    features: Sequence[str] | None,
    limits: Mapping[str, float],
    engine: str | None = None,
) -> DriftReport:
    """Compare a batch with a train split, feature by feature, eagerly; the report is kept.

    Args:
        stores: Those of the view.
        view: Whose features are compared.
        current: ``(start, end)`` of the batch's event times (UTC), or a frame of its features.
        training_dataset_version: Whose train split is the reference.
        features: Which ones; None: all, and of a frame those that it has.
        limits: The limit of each measure.
        engine: What reads the rows; None: as the settings say.
    """
    engines = stores.engines.with_request(engine)
    dataset = training_dataset.load_dataset(stores, view, training_dataset_version)
    columns = dataset.columns.get_training_columns(dataset.spec.states)
    for name in features or ():
        if name not in columns:
            raise NotFoundError.for_name(
                "Feature of the view", name, columns, "Compare features that a model sees."
            )
    label = "a batch"
    current = drift.read_frame(current, columns)
    if not drift.is_frame(current):
        interval = Interval.from_bounds(*current)
        current = _read_batch(stores, view, training_dataset_version, interval, engine)
        label = f"rows of {interval}"
    names = features
    if names is None:
        available = set(drift.list_columns(current)) - _list_plain_keys(dataset)
        names = [name for name in columns if name in available]
    reference = _get_reference(dataset, names)
    types = {name: columns[name] for name in names}
    sample = drift.profile_frame(engines, current, types, label)
    report = drift.compare_samples(reference, sample, limits)
    return stores.catalog.add_comparison(view, report)


def _list_plain_keys(dataset: TrainingDataset) -> set[str]:
    """The keys and event times that no transformation takes, which drift of themselves."""
    transformations = dataset.view.transformations
    taken = set[str]().union(*(transformation.features for transformation in transformations))
    return set(dataset.columns.plan.identity_names) - taken


def _read_batch(
    stores: ProjectStores, view: ViewSpec, version: int, interval: Interval, engine: str | None
) -> Any:
    """The rows of an interval as a batch has them for a training dataset: here, or a DataFrame*."""
    dataset = stores.catalog.get_training_dataset(view, version)
    is_bounded = interval.start is not None or interval.end is not None
    conditions = (dataset.extra_filter,) if dataset.extra_filter else ()
    request = batch.BatchRequest(interval if is_bounded else None, conditions=conditions)
    return batch.read_batch_rows(stores, view, dataset.states, request, engine)


def _get_reference(dataset: TrainingDataset, features: Sequence[str]) -> drift.DriftSample:
    """The train split's columns, eagerly where their states are not kept yet."""
    states = training_statistics.get_train_states(dataset)
    label = f"training dataset {dataset.spec.version}"
    return drift.DriftSample({name: states[name] for name in features}, label)
