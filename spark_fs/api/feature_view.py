"""A feature view: a query with labels and transformations, to train and to serve a model with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.batch_scoring import BatchScoringMixin
from spark_fs.api.feature_vectors import FeatureVectorsMixin
from spark_fs.api.inference_helpers import InferenceHelpersMixin
from spark_fs.api.links import Links
from spark_fs.api.monitoring import MonitoringMixin
from spark_fs.api.query import Query
from spark_fs.api.serving_log import ServingLogMixin
from spark_fs.api.taken import Refused
from spark_fs.api.training_datasets import TrainingDatasetsMixin
from spark_fs.api.training_files import TrainingFilesMixin
from spark_fs.api.training_splits import TrainingSplitsMixin
from spark_fs.api.training_upkeep import TrainingUpkeepMixin
from spark_fs.api.vector_transforms import VectorTransformsMixin
from spark_fs.api.view_contents import ViewContentsMixin
from spark_fs.api.view_refusals import FeatureViewRefusals
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError
from spark_fs.spec.comparison import resolve_thresholds
from spark_fs.spec.feature_view import ViewSpec

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.api.model import Model
    from spark_fs.api.stores import Stores
    from spark_fs.spec.comparison import DriftReport
    from spark_fs.spec.feature_statistics import Statistics


@validate_arguments
class FeatureView(
    ViewContentsMixin,
    TrainingSplitsMixin,
    TrainingFilesMixin,
    TrainingDatasetsMixin,
    TrainingUpkeepMixin,
    BatchScoringMixin,
    FeatureVectorsMixin,
    InferenceHelpersMixin,
    VectorTransformsMixin,
    MonitoringMixin,
    ServingLogMixin,
    FeatureViewRefusals,
):
    """What a model is trained on and served with, under one name and version."""

    def __init__(self, stores: Stores, spec: ViewSpec) -> None:
        self._stores = stores
        self._spec = spec

    def _load_spec(self) -> ViewSpec:
        return self._stores.catalog.get_view(self.name, self.version)

    def _update_spec(self, change: Callable[[ViewSpec], ViewSpec]) -> Self:
        """Change the definition as the catalog has it now, not as this object remembers it."""
        self._spec = self._stores.catalog.change_view(self._spec, change)
        return self

    def update(self) -> Self:
        """The view itself: what is set of it is saved when it is set."""
        return self

    @property
    def labels(self) -> list[str]:
        """The columns that a model predicts."""
        return list(self._spec.labels)

    @property
    def training_helper_columns(self) -> list[str]:
        """Columns that training data may end with and no model sees."""
        return list(self._spec.training_helpers)

    @property
    def inference_helper_columns(self) -> list[str]:
        """Columns that batches may end with and no model sees."""
        return list(self._spec.inference_helpers)

    @property
    def query(self) -> Query:
        """The query."""
        return Query(self._stores, self._spec.query)

    def training_columns(self, training_dataset_version: int | None = None) -> dict[str, str]:
        """The columns of X and of a feature vector, in their order, with their types.

        They are those after the transformations.

        Args:
            training_dataset_version: Of which training dataset; one-hot columns follow from what
                was learned of it. None: of the only one, as in ``init_serving``.

        Raises:
            NotFoundError: The version does not exist or is still being made.
            SettingsError: A transformation learned, no version was given, and there is not exactly
                one.
        """
        from spark_fs.flows import view_columns

        columns = self._resolve_columns()
        states = view_columns.find_states(
            self._stores.catalog, self._spec, training_dataset_version, columns
        )
        return columns.get_training_columns(states)

    def check(self) -> None:
        """Raise NotFoundError or QueryError unless the query binds and fits the view.

        It must hold the labels, the helper columns and the transformed features.
        """
        self._resolve_columns().check_view()

    # -- lineage

    def get_parent_feature_groups(self) -> Links[Group]:
        """The groups that the query reads, the leftmost first."""
        refs = dict.fromkeys(self._spec.query.iter_groups())
        stores = self._stores
        return Links(stores.open_group(stores.catalog.get_group(*ref)) for ref in refs)

    def get_models_provenance(self, training_dataset_version: int | None = None) -> Links[Model]:
        """The models that were trained on this view, as ``get_models``.

        Args:
            training_dataset_version: Only those that were trained on this training dataset.
        """
        return Links(self.get_models(training_dataset_version))

    def get_newest_model(self, training_dataset_version: int | None = None) -> Model | None:
        """The model that was trained on this view last; None where none was.

        Args:
            training_dataset_version: Only of those that were trained on this training dataset.
        """
        models = self.get_models(training_dataset_version)
        return max(models, key=_get_creation, default=None)

    def get_models(self, training_dataset_version: int | None = None) -> list[Model]:
        """The models that were trained on this view, by name and version.

        Args:
            training_dataset_version: Only those that were trained on this training dataset.
        """
        from spark_fs.api.model_registry import ModelRegistry

        registry = ModelRegistry(self._stores)
        models = []
        for link in self._stores.catalog.list_models(self._spec):
            if training_dataset_version in (None, link.training_dataset_version):
                models.append(registry.get_model(link.name, link.version))
        return models

    def delete(self, force: bool = False) -> None:
        """Delete the view with its training datasets and their files, eagerly.

        What was logged of it and waits in files is deleted too, since the view alone can read it;
        the feature group of its log stays.

        Args:
            force: Delete it also where models were trained on it; these stay in the registry.

        Raises:
            SettingsError: Models were trained on it, and ``force`` was not given.
        """
        from spark_fs.flows import log_rows, training_dataset

        links = self._stores.catalog.list_models(self._spec)
        if links and not force:
            listed = ", ".join(f"{link.name!r} version {link.version}" for link in links)
            raise SettingsError(
                f"Feature view {self._spec} is what model {listed} was trained on: delete these"
                " first, or say force=True."
            )
        training_dataset.remove_view_rows(self._stores, self._spec)
        self._stores.catalog.delete_view(self._spec)
        log_rows.delete_waiting(self._stores, self._spec)

    # -- statistics and drift

    def get_training_dataset_statistics(
        self,
        training_dataset_version: int,
        before_transformation: bool = False,
        feature_names: Sequence[str] | None = None,
    ) -> Statistics:
        """The statistics of a training dataset, eagerly where they are not made yet.

        They are of what a model sees, after the transformations, and of the labels. They are made
        once, by the ``statistics_config`` that the dataset was created with: at its creation, where
        it was given one, otherwise when they are first asked for, of the same rows, since a
        training dataset never changes.

        Args:
            training_dataset_version: Of which training dataset.
            before_transformation: Whether they are of the train split's rows before the
                transformations; those are made anew each time, and not kept.
            feature_names: Of these columns only; None: of all.

        Returns:
            The statistics of its train split, with those of every split in ``.split_statistics``.

        Raises:
            NotFoundError: The version does not exist, was deleted or is still being made.
        """
        from spark_fs.flows import training_dataset, training_statistics

        if before_transformation:
            from spark_fs.flows.monitor import describe_train_split

            return describe_train_split(
                self._stores, self._spec, training_dataset_version, feature_names
            )
        dataset = training_dataset.load_dataset(self._stores, self._spec, training_dataset_version)
        return training_statistics.get_statistics(dataset, feature_names)

    def kept_statistics(self) -> Sequence[Statistics]:
        """The kept statistics of each split of the newest training dataset that has some.

        None are made. Starts no JVM.
        """
        from spark_fs.flows import training_statistics

        for dataset in reversed(self.get_training_datasets()):
            statistics = training_statistics.load_statistics(self._stores, self._spec, dataset)
            if statistics:
                return statistics.split_statistics
        return ()

    def report(self, version: int | None = None, path: str | Path | None = None) -> Path:
        """Write a page about the view, eagerly: one HTML file that needs nothing else.

        It has its features and labels, training datasets, models, comparisons for drift and
        lineage, with the statistics of each split of a training dataset. Starts no JVM unless these
        statistics are made now.

        Args:
            version: Of which training dataset; None: of the newest, where there is one.
            path: Where the page is written; None: ``<name>_<version>.html`` in the working folder.

        Returns:
            Where the page is.

        Raises:
            NotFoundError: The training dataset does not exist, was deleted or is still being made.
        """
        from spark_fs.report.page import write_page
        from spark_fs.report.view_page import render_view_page

        page_path = Path(path or f"{self._spec.name}_{self._spec.version}.html")
        datasets = self.get_training_datasets()
        if version is None and datasets:
            version = datasets[-1].version
        splits: Sequence[Statistics] = ()
        if version is not None:
            splits = self.get_training_dataset_statistics(version).split_statistics
        current = self._stores.catalog.get_view(self._spec.name, self._spec.version)
        return write_page(page_path, render_view_page(self._stores, current, splits))

    def detect_drift(
        self,
        current: Any,
        training_dataset_version: int,
        features: Sequence[str] | None = None,
        thresholds: Mapping[str, float] | None = None,
        engine: str | None = None,
    ) -> DriftReport:
        """Compare a batch with the train split of a training dataset, eagerly; the report is kept.

        Both sides are what a model sees, after the transformations.

        Args:
            current: ``(start, end)`` for the rows that ``get_batch_data`` gives of start <= event
                time < end (UTC), or a frame of features as it gives them.
            training_dataset_version: Whose train split is the reference.
            features: Which ones; None: all, and of a frame those that it has.
            thresholds: The limit of each measure, as in ``FeatureGroup.detect_drift``.
            engine: What reads the rows: "local", "spark" or "auto"; None: as the settings say.

        Returns:
            The measures of each feature, and which are beyond their limits.

        Raises:
            NotFoundError: The training dataset, a feature or a measure does not exist.
            SettingsError: A side has no rows, or a limit is not a number.
        """
        from spark_fs.flows import view_drift

        limits = resolve_thresholds(thresholds)
        return view_drift.detect_view_drift(
            self._stores, self._spec, current, training_dataset_version, features, limits, engine
        )

    create_model_monitoring = Refused(
        "compares what a deployed model was given with its training data",
        "declare create_feature_monitoring over the view's batches,"
        " with_reference_training_dataset()",
    )

    def get_drift_history(self) -> list[DriftReport]:
        """The comparisons that were made, the oldest first. Starts no JVM."""
        return self._stores.catalog.list_comparisons(self._spec)


def _get_creation(model: Model) -> datetime:
    return model.created_at or datetime.min.replace(tzinfo=UTC)
