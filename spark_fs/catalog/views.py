"""Load and save feature views, what is made of them, and transformation functions."""

from collections.abc import Callable
from datetime import UTC
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, delete, insert, select
from sqlalchemy.exc import IntegrityError

from spark_fs.catalog.database import Database, get_utc_now
from spark_fs.catalog.tables import FEATURE_VIEWS, MODELS, TRAINING_DATASETS, TRANSFORMATIONS
from spark_fs.errors import NotFoundError
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.query import GroupRef
from spark_fs.spec.record_format import iter_readable
from spark_fs.spec.training_dataset import TrainingDatasetSpec
from spark_fs.spec.transformation import FunctionSpec


class ModelLink(NamedTuple):
    """A model version and the training dataset it was trained on; None: the view alone is known."""

    name: str
    version: int
    training_dataset_version: int | None


class ViewCatalog(Database):
    """The part of the catalog that speaks of feature views."""

    def add_view(self, view: ViewSpec) -> None:
        """Save a new view; AlreadyExistsError when its name and version are taken."""
        self._insert_definition(
            FEATURE_VIEWS, f"Feature view {view}", view, "use get_feature_view, or "
        )

    def get_view(self, name: str, version: int | None = None) -> ViewSpec:
        """One view; None asks for version 1, with a warning where there are others."""
        return ViewSpec.from_json(
            self._get_definition(FEATURE_VIEWS, "Feature view", name, version)
        )

    def list_views(self) -> list[ViewSpec]:
        """Every view, by name and version; one that only a newer release can read is left out, with a warning."""
        return list(iter_readable(ViewSpec.from_json, self._list_definitions(FEATURE_VIEWS)))

    def list_views_of_group(self, ref: GroupRef, strict: bool = False) -> list[ViewSpec]:
        """The views whose query reads a group, by name and version.

        every: something is removed unless one of them needs it, so that UpgradeError is raised
        where a view cannot be read.
        """
        views = (
            map(ViewSpec.from_json, self._list_definitions(FEATURE_VIEWS))
            if strict
            else self.list_views()
        )
        return [view for view in views if ref in view.query.iter_groups()]

    def next_view_version(self, name: str) -> int:
        """One above the highest version of the view, 1 for a new name."""
        return self._next_version(FEATURE_VIEWS, name)

    def change_view(self, view: ViewSpec, change: Callable[[ViewSpec], ViewSpec]) -> ViewSpec:
        """Change what the catalog has of a view, and return it; made again where another process was faster, so that no change is lost."""
        return self._change_named_definition(
            FEATURE_VIEWS,
            "Feature view",
            GroupRef(view.name, view.version),
            ViewSpec.from_json,
            change,
        )

    def delete_view(self, view: ViewSpec) -> None:
        """Forget a view, its training datasets, and which models were trained on it."""
        table = FEATURE_VIEWS.c
        self.delete_comparisons(view)
        with self._begin_transaction() as connection:
            connection.execute(
                delete(FEATURE_VIEWS).where(table.name == view.name, table.version == view.version)
            )
            for about in (TRAINING_DATASETS, MODELS):
                connection.execute(delete(about).where(*_make_view_filter(about, view)))

    # -- training datasets

    def reserve_training_dataset(
        self, view: ViewSpec, make: Callable[[int], TrainingDatasetSpec]
    ) -> TrainingDatasetSpec:
        """Save a training dataset that is about to be made, under the next free version."""
        table = TRAINING_DATASETS.c
        while True:
            with self._begin_transaction() as connection:
                taken = connection.scalars(
                    select(table.version).where(*_make_view_filter(TRAINING_DATASETS, view))
                ).all()
            dataset = make(max(taken, default=0) + 1)
            row = {"view_name": view.name, "view_version": view.version, "version": dataset.version}
            try:
                with self._begin_transaction() as connection:
                    connection.execute(
                        insert(TRAINING_DATASETS).values(
                            **row, definition=dataset.to_json(), created_at=get_utc_now()
                        )
                    )
                return dataset
            except IntegrityError:  # another process took the version in between
                continue

    def change_training_dataset(
        self,
        view: ViewSpec,
        version: int,
        change: Callable[[TrainingDatasetSpec], TrainingDatasetSpec],
    ) -> TrainingDatasetSpec:
        """Change what the catalog has of a training dataset, as ``change_group`` does of a group; NotFoundError where it was forgotten."""
        same = (*_make_view_filter(TRAINING_DATASETS, view), TRAINING_DATASETS.c.version == version)
        changed = self._change_definition(TRAINING_DATASETS, same, _to_dataset, change)
        if changed is None:
            raise NotFoundError(
                f"Training dataset {version} of feature view {view} was deleted at this moment."
                " Make it again."
            )
        return changed

    def delete_training_dataset(self, view: ViewSpec, version: int) -> None:
        """Forget a training dataset that was never made."""
        with self._begin_transaction() as connection:
            connection.execute(
                delete(TRAINING_DATASETS).where(
                    *_make_view_filter(TRAINING_DATASETS, view),
                    TRAINING_DATASETS.c.version == version,
                )
            )

    def list_training_datasets(
        self, view: ViewSpec, strict: bool = False
    ) -> list[TrainingDatasetSpec]:
        """The training datasets of the view, the oldest first, whatever became of them; every: as in ``views_of``."""
        query = (
            select(TRAINING_DATASETS)
            .where(*_make_view_filter(TRAINING_DATASETS, view))
            .order_by(TRAINING_DATASETS.c.version)
        )
        with self._begin_transaction() as connection:
            rows = connection.execute(query).all()
        return list(map(_to_dataset, rows) if strict else iter_readable(_to_dataset, rows))

    def get_training_dataset(self, view: ViewSpec, version: int) -> TrainingDatasetSpec:
        """One training dataset, whatever became of it; NotFoundError with the versions that there are."""
        query = select(TRAINING_DATASETS).where(
            *_make_view_filter(TRAINING_DATASETS, view), TRAINING_DATASETS.c.version == version
        )
        with self._begin_transaction() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            there = [
                dataset.version
                for dataset in self.list_training_datasets(view)
                if dataset.state == "finished"
            ]
            raise NotFoundError.for_version(
                "Training dataset of feature view", view.name, version, there
            )
        return _to_dataset(row)

    def find_pinned_versions(self, ref: GroupRef) -> dict[str, int]:
        """The Delta versions of a group that are read for as long as their reader is there, by the reader's name.

        These are the ``as_of`` of feature views, and what training datasets in memory are read from
        again. What is kept as files needs no version; what is being made needs one for less than
        the least retention of a clean-up, and what was killed none.
        """
        pinned: dict[str, int] = {}
        for view in self.list_views_of_group(ref, strict=True):
            kept = [
                query.as_of
                for query in view.query.iter_queries()
                if query.group == ref and query.as_of is not None
            ]
            pinned |= {f"feature view {view}": min(kept)} if kept else {}
            for dataset in self.list_training_datasets(view, strict=True):
                if (
                    ref in dataset.group_versions
                    and dataset.files is None
                    and dataset.state == "finished"
                ):
                    pinned[f"training dataset {dataset.version} of feature view {view}"] = min(
                        [*kept, dataset.group_versions[ref]]
                    )
        return pinned

    # -- models

    def add_model(
        self, name: str, version: int, view: ViewSpec, training_dataset_version: int | None
    ) -> None:
        """Remember on what a model was trained, in the place of what was remembered of one that the registry has no more."""
        row = {
            "name": name,
            "version": version,
            "view_name": view.name,
            "view_version": view.version,
        }
        with self._begin_transaction() as connection:
            connection.execute(
                delete(MODELS).where(MODELS.c.name == name, MODELS.c.version == version)
            )
            connection.execute(
                insert(MODELS).values(**row, training_dataset_version=training_dataset_version)
            )

    def delete_model(self, name: str, version: int) -> None:
        """Forget on what a model was trained."""
        with self._begin_transaction() as connection:
            connection.execute(
                delete(MODELS).where(MODELS.c.name == name, MODELS.c.version == version)
            )

    def list_models(self, view: ViewSpec) -> list[ModelLink]:
        """The models that were trained on a view, by name and version."""
        table = MODELS.c
        wanted = (table.name, table.version, table.training_dataset_version)
        query = (
            select(*wanted)
            .where(*_make_view_filter(MODELS, view))
            .order_by(table.name, table.version)
        )
        with self._begin_transaction() as connection:
            return [ModelLink(*row) for row in connection.execute(query)]

    # -- transformation functions

    def add_function(self, function: FunctionSpec) -> None:
        """Save a new function; AlreadyExistsError when its name and version are taken."""
        self._insert_definition(
            TRANSFORMATIONS, f"Transformation {function} version {function.version}", function
        )

    def get_function(self, name: str, version: int | None = None) -> FunctionSpec:
        """One function; None asks for version 1, with a warning where there are others."""
        return FunctionSpec.from_json(
            self._get_definition(TRANSFORMATIONS, "Transformation", name, version)
        )

    def list_functions(self) -> list[FunctionSpec]:
        """Every function, by name and version; one that only a newer release can read is left out, with a warning."""
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


def _make_view_filter(table: Table, view: ViewSpec) -> list[ColumnElement[bool]]:
    return [table.c.view_name == view.name, table.c.view_version == view.version]
