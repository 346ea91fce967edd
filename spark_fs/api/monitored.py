"""Drift: a feature group or a feature view compared with what it was, and the statistics of training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_fs.api.datasets import TrainingDataset
from spark_fs.api.profiled import ProfiledGroup
from spark_fs.api.scoring import ScoringMixin
from spark_fs.api.training_data import TrainingDataMixin
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError
from spark_fs.spec.comparison import DriftReport, resolve_thresholds

if TYPE_CHECKING:
    from spark_fs.spec.feature_statistics import Statistics


@validate_arguments
class MonitoredGroup(ProfiledGroup):
    """The methods of a feature group that compare its rows."""

    def detect_drift(
        self,
        current: Any,
        reference: Any,
        features: Sequence[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> DriftReport:
        """Compare rows with reference rows, feature by feature, eagerly; the report is kept.

        current, reference: ``(start, end)`` as times, for the rows of start <= event time < end
        (UTC); ``(first, last)`` as numbers of commits, for what was written after the first, up to
        the last; or a Spark or pandas DataFrame or an Arrow table. features: which columns; None:
        all but the key and the event time, and of a frame those that it has. thresholds: the limit
        of each measure, as in ``{"psi": 0.2, "null_share": 0.05}``, which are the default. The
        measures are those of ``spark_fs.stats.distances.measure_drift``. PSI of few rows is mostly
        noise: of n and m rows its mean is about 9 (1/n + 1/m) where nothing drifts. Raises
        SettingsError for a side without rows, NotFoundError for a column, measure or commit that is
        not there.
        """
        from spark_fs.flows import drift

        limits, group = resolve_thresholds(thresholds), self._load_spec()
        named = (
            [name for name in group.types if name not in group.identity]
            if features is None
            else list(features)
        )
        types = {name: group.get_column_type(name) for name in named}
        for given in (current, reference):
            if drift.is_frame(given) and features is None:
                types = {
                    name: type_
                    for name, type_ in types.items()
                    if name in drift.list_columns(given)
                }
        sides = [
            drift.resolve_sample(
                lambda: self._stores.spark, group, self._stores.find_table(group), given, types
            )
            for given in (reference, current)
        ]
        return self._stores.catalog.add_comparison(
            group, drift.compare_samples(sides[0], sides[1], limits)
        )

    def get_drift_history(self) -> list[DriftReport]:
        """The comparisons that were made, the oldest first. Starts no JVM."""
        return self._stores.catalog.list_comparisons(self._load_spec())


@validate_arguments
class ViewDriftMixin(TrainingDataMixin, ScoringMixin):
    """The methods of a feature view that profile training data, and compare batches with it."""

    # -- statistics of training data

    def get_training_dataset_statistics(
        self, training_dataset_version: int, feature_names: Sequence[str] | None = None
    ) -> Statistics:
        """The statistics of a training dataset: of its train split, with those of every split in ``.split_statistics``.

        They are of what a model sees, after the transformations, and of the labels. Made once, by
        the ``statistics_config`` that the dataset was created with: at its creation, where it was
        given one, otherwise eagerly when they are first asked for, of the same rows, since a
        training dataset never changes. feature_names: of these only. Raises NotFoundError for a
        version that does not exist.
        """
        return self._load_dataset(training_dataset_version).get_statistics(feature_names)

    def kept_statistics(self) -> Sequence[Statistics]:
        """The statistics of each split of the newest training dataset that has some, as they are kept; none are made. Starts no JVM."""
        made = (
            TrainingDataset(self._stores, self._spec, spec)
            for spec in reversed(self.get_training_datasets())
        )
        return next(
            (found.split_statistics for each in made if (found := each.read_statistics())), ()
        )

    def _load_dataset(self, version: int) -> TrainingDataset:
        return TrainingDataset.load(self._stores, self._spec, self._find_dataset(version))

    def report(self, version: int | None = None, path: str | Path | None = None) -> Path:
        """Write a page about the view, eagerly: one HTML file that needs nothing else; returns where.

        Its features and labels, training datasets, models, comparisons for drift and lineage, with
        the statistics of each split of a training dataset. version: which training dataset; None:
        the newest, where there is one. path: None: ``<name>_<version>.html`` in the working folder.
        Starts no JVM unless these statistics are made now.
        """
        from spark_fs.api.pages import render_view_page, write_page

        place = Path(path or f"{self._spec.name}_{self._spec.version}.html")
        made = self.get_training_datasets()
        number = version if version is not None else made[-1].version if made else None
        splits = (
            () if number is None else self.get_training_dataset_statistics(number).split_statistics
        )
        return write_page(
            place,
            render_view_page(
                self._stores,
                self._stores.catalog.get_view(self._spec.name, self._spec.version),
                splits,
            ),
        )

    # -- drift

    def detect_drift(
        self,
        current: Any,
        training_dataset_version: int,
        features: Sequence[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> DriftReport:
        """Compare a batch with the train split of a training dataset, feature by feature, eagerly; the report is kept.

        current: ``(start, end)`` for the rows that ``get_batch_data`` gives of start <= event time
        < end (UTC), or a frame of features as it gives them. Both sides are what a model sees,
        after the transformations. The others are as in ``FeatureGroup.detect_drift``. Raises
        NotFoundError for a training dataset or a column that is not there.
        """
        from spark_fs.flows import drift

        limits = resolve_thresholds(thresholds)
        dataset = self._load_dataset(training_dataset_version)
        columns = {**dataset.columns.get_training_columns(dataset.spec.states)}
        for name in features or ():
            if name not in columns:
                raise NotFoundError.for_name(
                    "Feature of the view", name, columns, "Compare features that a model sees."
                )
        words = "a batch"
        if not drift.is_frame(current):
            interval = Interval.from_bounds(*current)
            fresh = copy(self)
            fresh.init_batch_scoring(training_dataset_version)
            current, words = (
                fresh.get_batch_data(interval.start, interval.end, dataframe_type="spark"),
                f"rows of {interval}",
            )
        asked = (
            features
            if features is not None
            else [name for name in columns if name in drift.list_columns(current)]
        )
        states, types = dataset.get_train_states(), {name: columns[name] for name in asked}
        reference = drift.DriftSample(
            {name: states[name] for name in asked}, f"training dataset {training_dataset_version}"
        )
        found = drift.compare_samples(
            reference,
            drift.profile_frame(lambda: self._stores.spark, current, types, words),
            limits,
        )
        return self._stores.catalog.add_comparison(self._spec, found)

    def get_drift_history(self) -> list[DriftReport]:
        """The comparisons that were made, the oldest first. Starts no JVM."""
        return self._stores.catalog.list_comparisons(self._spec)
