"""A feature view: a query, its labels and transformations, from which training data, batches and feature vectors are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from spark_fs.api.catalog_object import CatalogObject
from spark_fs.api.columns import ViewColumns
from spark_fs.api.datasets import remove_statistics, resolve_view_columns
from spark_fs.api.monitored import ViewDriftMixin
from spark_fs.api.query import Query
from spark_fs.api.remade import remove_dataset_files
from spark_fs.api.stores import opens
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError
from spark_fs.spec.feature_view import ViewSpec

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.api.model import Model
    from spark_fs.api.stores import Stores
    from spark_fs.spec.training_dataset import TrainingDatasetSpec


@opens("feature view")
@validate_arguments
class FeatureView(CatalogObject[ViewSpec], ViewDriftMixin):
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

    @property
    def schema(self) -> dict[str, str]:
        """The type of each feature, before transformations; labels, helper columns, keys and times are not in it."""
        return self._resolve_columns().features

    def training_columns(self, training_dataset_version: int | None = None) -> dict[str, str]:
        """The columns of X and of a feature vector, in their order, with their types, after the transformations.

        training_dataset_version: of which training dataset; one-hot columns follow from what was
        learned of it. None: where one was learned of, as in ``init_serving``.
        """
        return self._resolve_columns().get_training_columns(
            self._find_states(training_dataset_version)
        )

    def check(self) -> None:
        """Raise NotFoundError or QueryError unless the query binds and holds labels, helper columns and transformed features."""
        self._resolve_columns().check_view()

    def _resolve_columns(self) -> ViewColumns:
        return resolve_view_columns(self._stores, self._spec)

    # -- lineage

    def get_parent_feature_groups(self) -> list[Group]:
        """The groups that the query reads, the leftmost first."""
        refs = dict.fromkeys(self._spec.query.iter_groups())
        return [self._stores.open_group(self._stores.catalog.get_group(*ref)) for ref in refs]

    def get_models(self, training_dataset_version: int | None = None) -> list[Model]:
        """The models that were trained on this view, or on one of its training datasets, by name and version."""
        from spark_fs.api.models import ModelRegistry

        registry = ModelRegistry(self._stores)
        links = self._stores.catalog.list_models(self._spec)
        asked = [
            link
            for link in links
            if training_dataset_version in (None, link.training_dataset_version)
        ]
        return [registry.get_model(link.name, link.version) for link in asked]

    def delete(self, force: bool = False) -> None:
        """Delete the view, eagerly; with ``force`` its training datasets and their files too, while its models stay in the registry.

        Raises SettingsError while training datasets or models depend on it, unless forced.
        """
        datasets = [
            dataset
            for dataset in self._stores.catalog.list_training_datasets(self._spec, strict=True)
            if dataset.state != "deleted"
        ]
        uses = [f"training dataset {dataset.version}" for dataset in datasets]
        uses += [
            f"model {link.name!r} version {link.version}"
            for link in self._stores.catalog.list_models(self._spec)
        ]
        if uses and not force:
            raise SettingsError(
                f"Feature view {self._spec} is what {', '.join(uses)} depends on: delete these"
                " first, or say force=True."
            )
        for dataset in self._stores.catalog.list_training_datasets(self._spec, strict=True):
            self._remove_stored_rows(dataset)
        remove_statistics(self._stores, self._spec)
        self._stores.catalog.delete_view(self._spec)

    def _remove_stored_rows(self, dataset: TrainingDatasetSpec) -> None:
        """Remove the files of a training dataset, and the spine that was kept for it."""
        from spark_fs.flows import training_dataset

        if dataset.state != "deleted":
            remove_dataset_files(self._stores, self._spec, dataset)
        if dataset.spine:
            training_dataset.remove_files(dataset.spine)
