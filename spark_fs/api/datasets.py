"""One training dataset of a view: made, read again, made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from spark_fs.api.columns import ViewColumns
from spark_fs.api.query import Query
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.training_dataset import TrainingDatasetSpec

if TYPE_CHECKING:
    from spark_fs.api.spine import Spine
    from spark_fs.api.stores import Stores
    from spark_fs.engine.training.transform_rows import DatasetTransform
    from spark_fs.flows.jobs import Job
    from spark_fs.flows.training_dataset import JoinInput
    from spark_fs.planning.plan import JoinPlan
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.feature_statistics import Statistics
    from spark_fs.spec.feature_view import ViewSpec
    from spark_fs.spec.training_dataset import FilesSpec

T = TypeVar("T")


def resolve_view_columns(stores: Stores, view: ViewSpec, spine: Spine | None = None) -> ViewColumns:
    """The columns of a view, or of it with a DataFrame in the place of its leftmost group.

    Raises NotFoundError for a column that the view takes from the leftmost group and that the frame
    lacks; a label may be absent.
    """
    if spine is None:
        return ViewColumns(view, Query(stores, view.query).plan().with_identity())
    asked = view.query.with_spine(spine.spec.ref, tuple(spine.spec.types))
    plan = Query(stores, asked, spine).plan().with_identity()
    own = ViewColumns(view, Query(stores, view.query).plan().with_identity())
    for name in (*own.features, *view.training_helpers, *view.inference_helpers):
        if name not in plan.schema:
            raise NotFoundError.for_name(
                "Column of spine_df",
                name,
                spine.spec.types,
                "The view takes it from its leftmost group: add it to the frame.",
            )
    return ViewColumns(
        view,
        plan,
        tuple(
            name
            for name in spine.spec.types
            if name not in own.plan.schema and name not in spine.spec.identity
        ),
    )


def make_view_spine(stores: Stores, view: ViewSpec, frame: Any) -> Spine:
    """A DataFrame in the place of the view's leftmost group, with those of its keys that it has."""
    from spark_fs.api.spine import Spine
    from spark_fs.tables import frames as tables_frames

    plan = Query(stores, view.query).plan()
    found = tables_frames.to_spark(stores.spark, frame, {})
    joined = [key.column for node in plan.nodes for key in node.left_keys if key.node == 0]
    wanted = dict.fromkeys([*plan.spine.primary_key, *joined])
    held = [name for name in wanted if name in found.columns and name != plan.spine.event_time]
    for name in joined:
        if name not in found.columns:
            raise NotFoundError.for_name(
                "Key column of spine_df",
                name,
                found.columns,
                "The view joins a group by it: add it to the frame.",
            )
    if not held:
        raise NotFoundError.for_name(
            "Key column of spine_df",
            next(iter(wanted)),
            found.columns,
            "Add the keys of the view's leftmost group.",
        )
    return Spine(stores, found, held, plan.spine.event_time)


def get_statistics_folder(stores: Stores, view: ViewSpec) -> str:
    """Where the statistics of a view's training datasets are."""
    return f"{stores.settings.warehouse.rstrip('/')}/training_datasets/{view.name}_{view.version}/statistics"


def remove_statistics(stores: Stores, view: ViewSpec) -> None:
    """Remove the statistics of all training datasets of a view, eagerly."""
    from spark_fs.tables import statistics_files

    statistics_files.remove_statistics(get_statistics_folder(stores, view))


def list_external_groups(plan: JoinPlan) -> list[GroupSpec]:
    """The external groups that a plan reads, whose rows have no versions."""
    return [node.group for node in plan.nodes if node.group.source and not node.group.is_dataframe]


@dataclass(frozen=True)
class TrainingDataset:
    """A training dataset and what it is made of."""

    stores: Stores
    view: ViewSpec
    spec: TrainingDatasetSpec
    spine: Spine | None = None

    @classmethod
    def load(cls, stores: Stores, view: ViewSpec, spec: TrainingDatasetSpec) -> TrainingDataset:
        """One that was made before, with the spine that was kept for it."""
        if spec.spine is None:
            return cls(stores, view, spec)
        from spark_fs.flows import training_dataset
        from spark_fs.tables.dataset_files import check_not_empty

        check_not_empty(
            spec.spine,
            f"the spine of training dataset {spec.version} of {view}. Mount or restore it, or make"
            " a new one.",
        )
        return cls(
            stores,
            view,
            spec,
            make_view_spine(stores, view, training_dataset.load_spine(stores.spark, spec.spine)),
        )

    @cached_property
    def columns(self) -> ViewColumns:
        """Its columns."""
        return resolve_view_columns(self.stores, self.view, self.spine)

    @cached_property
    def transform(self) -> DatasetTransform:
        """How joined rows become its rows."""
        from spark_fs.engine.training.transform_rows import DatasetTransform

        columns, spec = self.columns, self.spec
        transformer = columns.build_training_transformer(spec.states)
        stay = [*self.view.training_helpers, *columns.extra_columns, *columns.identity]
        also = {
            name: columns.plan.schema[name]
            for name in dict.fromkeys(stay)
            if name not in transformer.columns
        }
        dropped = tuple(columns.labels) if spec.null_labels == "drop" else ()
        return DatasetTransform(
            transformer, columns.identity, also, dropped, spec.parts, spec.random
        )

    @cached_property
    def join_input(self) -> JoinInput:
        """Where its joined rows come from."""
        from spark_fs.flows.training_dataset import JoinInput
        from spark_fs.spec.query import rebind_group

        plan, spec, recipe = self.columns.plan, self.spec, self.transform
        more = spec.extra_filter
        if more and self.spine:
            more = rebind_group(more, self.view.query.group, self.spine.spec.ref)
        plan = (
            plan.select_outputs({*recipe.transformer.inputs, *recipe.passthrough, *recipe.labels})
            .with_filter(more)
            .with_max_age(spec.max_feature_age)
        )
        frames = {self.spine.spec.ref: self.spine.frame} if self.spine else {}
        return JoinInput(
            self.stores.spark,
            plan.with_splits(spec.splits) if spec.splits else plan,
            self.stores.find_table,
            spec.group_versions,
            frames,
        )

    # -- eagerly

    def materialize(self) -> tuple[TrainingDataset, Job, Mapping[str, Any] | None]:
        """Make it, eagerly: as files where it has some, else in memory; returns it with what it learned, the job, and pandas frames."""
        from spark_fs.base.pandas_frames import to_pandas
        from spark_fs.flows import training_dataset
        from spark_fs.flows.jobs import Job

        rows, recipe, spec = self.join_input, self.transform, self.spec
        if spec.files:
            job, held, states = training_dataset.build_files(rows, recipe, spec.files)
            return self._mark_finished(held, states), job, None
        tables, states = training_dataset.build_in_memory(rows, recipe)
        held = {part: table.num_rows for part, table in tables.items()}
        frames = {part: to_pandas(table) for part, table in tables.items()}
        return (
            self._mark_finished(held, states),
            Job("training_data", {"rows": sum(held.values())}),
            frames,
        )

    def _mark_finished(self, rows: Mapping[str, int], states: list[Any]) -> TrainingDataset:
        done = [
            {"function": each.function.name, "features": list(each.features), "state": dict(state)}
            for each, state in zip(self.view.transformations, states, strict=True)
        ]
        return replace(
            self,
            spec=replace(self.spec, rows=dict(rows), transformations=tuple(done), state="finished"),
        )

    def read_frames(self, dataframe_type: str) -> Mapping[str, Any]:
        """The rows of each split as they were: from its files, else joined again, eagerly, at the versions it was made of."""
        from spark_fs.base.pandas_frames import to_pandas
        from spark_fs.flows import training_dataset

        if self.spec.files:
            return self._read_files(self.spec.files, dataframe_type)
        if dataframe_type == "spark":
            raise SettingsError(
                f"Training dataset {self.spec.version} of feature view {self.view} was read into"
                " memory as pandas: read it so, or make one with dataframe_type='spark' or as"
                " files."
            )
        return {
            part: to_pandas(table)
            for part, table in training_dataset.build_in_memory(self.join_input, self.transform)[
                0
            ].items()
        }

    def _read_files(self, files: FilesSpec, dataframe_type: str) -> Mapping[str, Any]:
        """The rows of its files; NotFoundError where files are not there, or, of pandas, fewer rows than were written."""
        from spark_fs.flows import training_dataset

        name, again = self._check_files(files)
        found = training_dataset.read_splits(
            self.stores.spark, self.transform, files, dataframe_type, self.spec.spine is not None
        )
        for part, frame in found.items() if dataframe_type == "pandas" else ():
            if len(frame) != self.spec.rows.get(part, len(frame)):
                held = f"{len(frame)} of the {self.spec.rows[part]} rows of split {part!r}"
                raise NotFoundError(
                    f"Files of {name} are not there: {files.location} holds {held}. {again}"
                )
        return found

    def _check_files(self, files: FilesSpec) -> tuple[str, str]:
        """NotFoundError where a split with rows has no files; returns the dataset's name, and what to do about files that are lost."""
        from spark_fs.tables.dataset_files import check_not_empty

        name = f"training dataset {self.spec.version} of feature view {self.view}"
        again = (
            "Mount or restore it, or make the files again:"
            f" recreate_training_dataset({self.spec.version})."
        )
        for part in self.transform.parts:
            if self.spec.rows.get(part, 1):
                check_not_empty(
                    f"{files.location}/{part}" if files.parts else files.location,
                    f"{name}. {again}",
                )
        return name, again

    # -- statistics

    @property
    def _statistics_folder(self) -> str:
        return f"{get_statistics_folder(self.stores, self.view)}/{self.spec.version}"

    def read_statistics(self, feature_names: Sequence[str] | None = None) -> Statistics | None:
        """Those of its train split, with those of every split beside them; None where they are not there."""
        from spark_fs.flows import statistics

        return statistics.load_split_statistics(
            self._statistics_folder, self.spec.parts, feature_names
        )

    def get_statistics(self, feature_names: Sequence[str] | None = None) -> Statistics:
        """The same; made, eagerly, when they are not there."""
        return self._read_or_profile(lambda: self.read_statistics(feature_names))

    def get_train_states(self) -> Mapping[str, Any]:
        """The states of its train split's columns, which drift is measured from; made, eagerly, when they are not there."""
        from spark_fs.flows import statistics

        return self._read_or_profile(
            lambda: statistics.load_split_states(self._statistics_folder, self.spec.parts[0])
        )

    def _read_or_profile(self, read: Callable[[], T | None]) -> T:
        found = read()
        if found is None:
            self._write_statistics()
            found = read()
        assert found is not None
        return found

    def _write_statistics(self) -> None:
        from spark_fs.flows import statistics, training_dataset
        from spark_fs.spec.feature_statistics import StatisticsConfig

        schema = {
            name: type_
            for name, type_ in self.transform.schema.items()
            if name in self.transform.transformer.columns
        }
        if self.spec.files:
            self._check_files(self.spec.files)
            found: Mapping[str, Any] = training_dataset.read_split_frames(
                self.stores.spark, self.transform, self.spec.files
            )
        else:
            found = training_dataset.build_in_memory(self.join_input, self.transform)[0]
        config = StatisticsConfig.from_argument(self.spec.statistics_config)
        statistics.save_split_statistics(
            self._statistics_folder, found, schema, config, lambda: self.stores.spark
        )

    def split_x_y(
        self, frame: Any, primary_key: bool, event_time: bool, training_helper_columns: bool
    ) -> tuple[Any, Any]:
        """The features and the labels of a split's rows."""
        columns, spine = self.columns, self.columns.plan.spine
        x = list(columns.get_training_columns(self.spec.states))
        asked = [
            *(spine.primary_key if primary_key else ()),
            *((spine.event_time,) if event_time and spine.event_time else ()),
        ]
        behind = [
            *columns.extra_columns,
            *(self.view.training_helpers if training_helper_columns else ()),
        ]
        wanted = [
            *(name for name in asked if name not in x),
            *x,
            *(name for name in behind if name not in x),
        ]
        return frame[wanted], frame[list(columns.labels)]
