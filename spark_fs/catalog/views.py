"""Load and save feature views, what is made of them, and transformation functions."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Delete, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from spark_fs.catalog.database import Database, get_utc_now
from spark_fs.catalog.tables import FEATURE_VIEWS, MODELS, TRAINING_DATASETS, TRANSFORMATIONS
from spark_fs.errors import NotFoundError
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.record_format import iter_readable
from spark_fs.spec.training_dataset import TrainingDatasetSpec
from spark_fs.spec.transformation import FunctionSpec

_GREATEST_VERSION = (1 << 31) - 1  # that a column of the catalog holds


class ModelLink(NamedTuple):
    """A model version and the training dataset it was trained on.

    training_dataset_version: None where the view alone is known.
    """

    name: str
    version: int
    training_dataset_version: int | None


class ViewCatalog(Database):
    """The part of the catalog that keeps feature views."""

    def add_view(self, view: ViewSpec) -> None:
        """Save a new view; AlreadyExistsError when its name and version are taken."""
        remedy = "use get_feature_view, or "
        self._insert_definition(FEATURE_VIEWS, f"Feature view {view}", view, remedy)

    def get_view(self, name: str, version: int | None = None) -> ViewSpec:
        """One view; None asks for version 1, with a warning where there are others."""
        definition = self._get_definition(FEATURE_VIEWS, "Feature view", name, version)
        return ViewSpec.from_json(definition)

    def list_views(self) -> list[ViewSpec]:
        """Every view, by name and version.

        One that only a newer release can read is left out, with a warning.
        """
        return list(iter_readable(ViewSpec.from_json, self._list_definitions(FEATURE_VIEWS)))

    def list_views_of_group(self, ref: GroupRef, strict: bool = False) -> list[ViewSpec]:
        """The views whose query reads a group, by name and version.

        Args:
            ref: the group.
            strict: something is removed unless one of the views needs it, so that UpgradeError is
                raised where a view cannot be read.
        """
        if strict:
            views = [ViewSpec.from_json(data) for data in self._list_definitions(FEATURE_VIEWS)]
        else:
            views = self.list_views()
        return [view for view in views if ref in view.query.iter_groups()]

    def list_view_versions(self, name: str) -> list[int]:
        """The versions of the views of a name, the lowest first."""
        return self._list_versions(FEATURE_VIEWS, name)

    def next_view_version(self, name: str) -> int:
        """One above the highest version of the view, 1 for a new name."""
        return self._next_version(FEATURE_VIEWS, name)

    def change_view(self, view: ViewSpec, change: Callable[[ViewSpec], ViewSpec]) -> ViewSpec:
        """Change what the catalog has of a view, as ``change_group`` does of a group."""
        ref = GroupRef(view.name, view.version)
        return self._change_named_definition(
            FEATURE_VIEWS, "Feature view", ref, ViewSpec.from_json, change
        )

    def delete_view(self, view: ViewSpec) -> None:
        """Forget a view, its training datasets, and which models were trained on it."""
        table = FEATURE_VIEWS.c
        self.delete_comparisons(view)
        with self._begin_transaction() as connection:
            connection.execute(
                delete(FEATURE_VIEWS).where(table.name == view.name, table.version == view.version)
            )
            for dependents in (TRAINING_DATASETS, MODELS):
                own_rows = _make_view_filter(dependents, view)
                connection.execute(delete(dependents).where(*own_rows))

    # -- training datasets

    def reserve_training_dataset(
        self, view: ViewSpec, make: Callable[[int], TrainingDatasetSpec]
    ) -> TrainingDatasetSpec:
        """Save a training dataset that is about to be made, under the next free version.

        Args:
            view: the view that it is of.
            make: gives the training dataset of a version; it may be called several times.
        """
        own_rows = _make_view_filter(TRAINING_DATASETS, view)
        while True:
            with self._begin_transaction() as connection:
                query = select(TRAINING_DATASETS.c.version).where(*own_rows)
                taken = connection.scalars(query).all()
            dataset = make(max(taken, default=0) + 1)
            try:
                with self._begin_transaction() as connection:
                    row = {
                        "view_name": view.name,
                        "view_version": view.version,
                        "version": dataset.version,
                        "definition": dataset.to_json(),
                        "created_at": get_utc_now(),
                    }
                    connection.execute(insert(TRAINING_DATASETS).values(**row))
                return dataset
            except IntegrityError:  # another process took the version in between
                continue

    def change_training_dataset(
        self,
        view: ViewSpec,
        version: int,
        change: Callable[[TrainingDatasetSpec], TrainingDatasetSpec],
    ) -> TrainingDatasetSpec:
        """Change what the catalog has of a training dataset, as ``change_group`` does of a group.

        Args:
            view: the view that it is of.
            version: of the training dataset.
            change: gives it as it is to be from it as it is; it may be called several times.

        Raises:
            NotFoundError: it was forgotten.
        """
        own_row = _make_dataset_filter(view, version)
        changed = self._change_definition(TRAINING_DATASETS, own_row, _to_dataset, change)
        if changed is None:
            raise NotFoundError(
                f"Training dataset {version} of feature view {view} was deleted at this moment."
                " Make it again."
            )
        return changed

    def delete_training_dataset(self, view: ViewSpec, version: int) -> None:
        """Forget a training dataset that was never made."""
        own_row = _make_dataset_filter(view, version)
        with self._begin_transaction() as connection:
            connection.execute(delete(TRAINING_DATASETS).where(*own_row))

    def list_training_datasets(
        self, view: ViewSpec, strict: bool = False
    ) -> list[TrainingDatasetSpec]:
        """The training datasets of the view, the oldest first, whatever became of them.

        Args:
            view: the view that they are of.
            strict: as in ``list_views_of_group``.
        """
        query = (
            select(TRAINING_DATASETS)
            .where(*_make_view_filter(TRAINING_DATASETS, view))
            .order_by(TRAINING_DATASETS.c.version)
        )
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()
        if strict:
            return [_to_dataset(row) for row in rows]
        return list(iter_readable(_to_dataset, rows))

    def list_finished_training_datasets(self, view: ViewSpec) -> list[TrainingDatasetSpec]:
        """The training datasets of a view that can be read, the oldest first."""
        datasets = self.list_training_datasets(view)
        return [dataset for dataset in datasets if dataset.state == "finished"]

    def list_training_datasets_since(
        self, since: datetime
    ) -> Iterator[tuple[GroupRef, TrainingDatasetSpec]]:
        """The training datasets of all views that were begun since an instant.

        Each comes with the name and version of its view.
        """
        table = TRAINING_DATASETS.c
        query = (
            select(TRAINING_DATASETS)
            .where(table.created_at >= since.astimezone(UTC).replace(tzinfo=None))
            .order_by(table.view_name, table.view_version, table.version)
        )
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()
        for row in rows:
            for dataset in iter_readable(_to_dataset, [row]):
                yield GroupRef(row.view_name, row.view_version), dataset

    def get_training_dataset(self, view: ViewSpec, version: int) -> TrainingDatasetSpec:
        """One training dataset, whatever became of it; NotFoundError with the existing versions."""
        query = select(TRAINING_DATASETS).where(*_make_dataset_filter(view, version))
        row = None
        if version <= _GREATEST_VERSION:
            with self._begin_transaction() as connection:
                row = connection.execute(query).one_or_none()
        if row is None:
            finished = self.list_finished_training_datasets(view)
            existing = [dataset.version for dataset in finished]
            raise NotFoundError.for_version(
                "Training dataset of feature view", view.name, version, existing
            )
        return _to_dataset(row)

    def find_pinned_versions(self, ref: GroupRef) -> dict[str, int]:
        """The Delta versions of a group that are kept for their readers, by the reader's name.

        These are the ``as_of`` of feature views, and what training datasets in memory are read from
        again. What is kept as files needs no version; what is being made needs one for less than
        the least retention of a clean-up, and what was killed none.
        """
        pinned: dict[str, int] = {}
        for view in self.list_views_of_group(ref, strict=True):
            view_versions = [
                query.as_of
                for query in view.query.iter_queries()
                if query.group == ref and query.as_of is not None
            ]
            if view_versions:
                pinned[f"feature view {view}"] = min(view_versions)
            for dataset in self.list_training_datasets(view, strict=True):
                is_in_memory = dataset.files is None and dataset.state == "finished"
                if is_in_memory and ref in dataset.group_versions:
                    reader = f"training dataset {dataset.version} of feature view {view}"
                    pinned[reader] = min([*view_versions, dataset.group_versions[ref]])
        return pinned

    # -- models

    def add_model(
        self, name: str, version: int, view: ViewSpec, training_dataset_version: int | None
    ) -> None:
        """Remember on what a model was trained.

        It takes the place of one of this name and version that the registry has no more.

        Args:
            name: of the model.
            version: of the model.
            view: the view that it was trained on.
            training_dataset_version: None where the view alone is known.
        """
        row = {
            "name": name,
            "version": version,
            "view_name": view.name,
            "view_version": view.version,
            "training_dataset_version": training_dataset_version,
        }
        with self._begin_transaction() as connection:
            connection.execute(_delete_model(name, version))
            connection.execute(insert(MODELS).values(**row))

    def delete_model(self, name: str, version: int) -> None:
        """Forget on what a model was trained."""
        with self._begin_transaction() as connection:
            connection.execute(_delete_model(name, version))

    def list_models(self, view: ViewSpec) -> list[ModelLink]:
        """The models that were trained on a view, by name and version."""
        table = MODELS.c
        query = (
            select(table.name, table.version, table.training_dataset_version)
            .where(*_make_view_filter(MODELS, view))
            .order_by(table.name, table.version)
        )
        with self._begin_transaction() as connection:
            return [ModelLink(*row) for row in connection.execute(query)]

    # -- transformation functions

    def add_function(self, function: FunctionSpec) -> None:
        """Save a new function; AlreadyExistsError when its name and version are taken."""
        subject = f"Transformation {function} version {function.version}"
        self._insert_definition(TRANSFORMATIONS, subject, function)

    def get_function(self, name: str, version: int | None = None) -> FunctionSpec:
        """One function; None asks for version 1, with a warning where there are others."""
        definition = self._get_definition(TRANSFORMATIONS, "Transformation", name, version)
        return FunctionSpec.from_json(definition)

    def delete_function(self, function: FunctionSpec) -> None:
        """Forget a function; NotFoundError when it does not exist."""
        self.get_function(function.name, function.version)
        table = TRANSFORMATIONS.c
        own_row = (table.name == function.name, table.version == function.version)
        with self._begin_transaction() as connection:
            connection.execute(delete(TRANSFORMATIONS).where(*own_row))

    def list_functions(self) -> list[FunctionSpec]:
        """Every function, by name and version.

        One that only a newer release can read is left out, with a warning.
        """
        return list(iter_readable(FunctionSpec.from_json, self._list_definitions(TRANSFORMATIONS)))

    def list_function_names(self) -> set[str]:
        """The names of the functions."""
        return self._list_names(TRANSFORMATIONS)

    def next_function_version(self, name: str) -> int:
        """One above the highest version of the function, 1 for a new name."""
        return self._next_version(TRANSFORMATIONS, name)


def _to_dataset(row: Any) -> TrainingDatasetSpec:
    return TrainingDatasetSpec.from_json(
        row.version, row.created_at.replace(tzinfo=UTC), row.definition
    )


def _delete_model(name: str, version: int) -> Delete:
    return delete(MODELS).where(MODELS.c.name == name, MODELS.c.version == version)


def _make_dataset_filter(view: ViewSpec, version: int) -> list[ColumnElement[bool]]:
    own_version = TRAINING_DATASETS.c.version == version
    return [*_make_view_filter(TRAINING_DATASETS, view), own_version]


def _make_view_filter(table: Table, view: ViewSpec) -> list[ColumnElement[bool]]:
    return [table.c.view_name == view.name, table.c.view_version == view.version]
