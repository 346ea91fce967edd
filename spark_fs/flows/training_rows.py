"""The rows of one training dataset: made as it was declared, and read again as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from spark_fs.base.dataframes import convert_table
from spark_fs.engine.engines import Engines
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.flows import dataset_rows, training_build
from spark_fs.flows.dataset_rows import SplitTables
from spark_fs.flows.jobs import Job
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.spine_rows import SpineRows, build_view_spine
from spark_fs.flows.training_build import JoinInput
from spark_fs.flows.view_columns import ViewColumns, resolve_view_columns
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.predicates import rebind_group
from spark_fs.spec.training_dataset import FilesSpec, TrainingDatasetSpec
from spark_fs.spec.training_request import FrameLayout
from spark_fs.tables.dataset_files import check_not_empty
from spark_fs.tables.kept_rows import load_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class MadeDataset:
    """A training dataset that was made: its job, and its splits where it has no files."""

    dataset: TrainingDataset
    job: Job
    tables: SplitTables | None


@dataclass(frozen=True)
class TrainingDataset:
    """A training dataset and what it is made of.

    engine: which engine was asked for; None: the one that the settings name.
    """

    stores: ProjectStores
    view: ViewSpec
    spec: TrainingDatasetSpec
    spine: SpineRows | None = None
    engine: str | None = None

    @classmethod
    def load(
        cls,
        stores: ProjectStores,
        view: ViewSpec,
        spec: TrainingDatasetSpec,
        engine: str | None = None,
    ) -> TrainingDataset:
        """One that was made before, with the spine that was kept for it."""
        if spec.spine is None:
            return cls(stores, view, spec, engine=engine)
        check_not_empty(
            spec.spine,
            f"the spine of training dataset {spec.version} of {view}. Mount or restore it, or make"
            " a new one.",
        )
        kept_rows = load_rows(spec.spine)
        return cls(stores, view, spec, build_view_spine(stores, view, kept_rows), engine)

    @property
    def engines(self) -> Engines:
        """What may make or read its rows."""
        return self.stores.engines.with_request(self.engine)

    @cached_property
    def columns(self) -> ViewColumns:
        """Its columns."""
        return resolve_view_columns(self.stores.catalog, self.view, self.spine)

    @cached_property
    def transform(self) -> DatasetTransform:
        """How joined rows become its rows."""
        columns = self.columns
        context = self.spec.transformation_context
        transformer = columns.build_training_transformer(self.spec.states, context)
        others = [*self.view.training_helpers, *columns.extra_columns, *columns.identity]
        passthrough = {}
        for name in dict.fromkeys(others):
            if name not in transformer.columns:
                passthrough[name] = columns.plan.schema[name]
        required_labels = tuple(columns.labels) if self.spec.null_labels == "drop" else ()
        return DatasetTransform(
            transformer,
            columns.identity,
            passthrough,
            columns.find_replaced_keys(transformer),
            required_labels,
            self.spec.parts,
            self.spec.random,
        )

    @cached_property
    def join_input(self) -> JoinInput:
        """Where its joined rows come from."""
        frames = {self.spine.spec.ref: self.spine} if self.spine else {}
        return JoinInput(
            self.engines,
            self._build_plan(),
            self.stores.find_table,
            self.spec.group_versions,
            frames,
        )

    def _build_plan(self) -> JoinPlan:
        """The view's plan, with the columns, the filter and the bounds of this dataset."""
        spec = self.spec
        transform = self.transform
        condition = spec.extra_filter
        if condition and self.spine:
            condition = rebind_group(condition, self.view.query.group, self.spine.spec.ref)
        outputs = {
            *transform.transformer.inputs,
            *transform.passthrough,
            *transform.identity,
            *transform.labels,
        }
        plan = self.columns.plan.select_outputs(outputs).with_ttls_as_of(spec.created_at)
        plan = plan.with_filter(condition).with_max_age(spec.max_feature_age)
        return plan.with_splits(spec.splits) if spec.splits else plan

    def prepare(self) -> None:
        """Build its plan and its schema, for their errors to come before anything is written."""
        _ = self.join_input
        _ = self.transform.schema

    # -- eagerly

    def materialize(self) -> MadeDataset:
        """Make it, eagerly: as files where it has some, else in memory.

        The result holds what its transformations learned.
        """
        if self.spec.files:
            job, row_counts, states = training_build.build_files(
                self.join_input, self.transform, self.spec.files
            )
            return MadeDataset(self._with_result(row_counts, states), job, None)
        tables, states = training_build.build_in_memory(self.join_input, self.transform)
        row_counts = {part: table.num_rows for part, table in tables.items()}
        job = Job("training_data", {"rows": sum(row_counts.values())})
        return MadeDataset(self._with_result(row_counts, states), job, tables)

    def _with_result(self, row_counts: Mapping[str, int], states: list[Any]) -> TrainingDataset:
        """The dataset, finished: with how many rows each split has and what was learned."""
        learned = []
        for transformation, state in zip(self.view.transformations, states, strict=True):
            learned.append(
                {
                    "function": transformation.function.name,
                    "features": list(transformation.features),
                    "state": dict(state),
                }
            )
        finished = replace(
            self.spec, rows=dict(row_counts), transformations=tuple(learned), state="finished"
        )
        return replace(self, spec=finished)

    def read_tables(self) -> SplitTables:
        """The rows of each split as they were, eagerly, in canonical order.

        They come from its files, or else are joined again at the versions it was made of.
        """
        if self.spec.files:
            return self._read_files(self.spec.files)
        tables, _ = training_build.build_in_memory(self.join_input, self.transform)
        return tables

    def _read_files(self, files: FilesSpec) -> SplitTables:
        """The rows of its files; NotFoundError where fewer are there than were written."""
        self.check_files(files)
        tables = dataset_rows.read_tables(self.engines, self.transform, files)
        for part, table in tables.items():
            self._check_row_count(files, part, table.num_rows)
        return tables

    def read_spark_frames(self) -> Mapping[str, DataFrame]:
        """The rows of each split of its files as Spark's DataFrames*, in canonical order."""
        files = self.spec.files
        if files is None:
            raise SettingsError(
                f"Training dataset {self.spec.version} of feature view {self.view} was read into"
                " memory as pandas: read it so, or make one with dataframe_type='spark' or as"
                " files."
            )
        self.check_files(files)
        may_repeat = self.spec.spine is not None
        return dataset_rows.read_sorted_frames(self.stores.spark, self.transform, files, may_repeat)

    def _check_row_count(self, files: FilesSpec, part: str, row_count: int) -> None:
        written = self.spec.rows.get(part, row_count)
        if row_count != written:
            raise NotFoundError(
                f"Files of {self._describe()} are not there: {files.location} holds {row_count} of"
                f" the {written} rows of split {part!r}. {self._describe_repair()}"
            )

    def check_files(self, files: FilesSpec) -> None:
        """NotFoundError where a split with rows has no files."""
        description = f"{self._describe()}. {self._describe_repair()}"
        for part in self.transform.parts:
            if self.spec.rows.get(part, 1):
                folder = f"{files.location}/{part}" if files.parts else files.location
                check_not_empty(folder, description)

    def _describe(self) -> str:
        return f"training dataset {self.spec.version} of feature view {self.view}"

    def _describe_repair(self) -> str:
        """What to do about files that are lost."""
        return (
            "Mount or restore it, or make the files again:"
            f" recreate_training_dataset({self.spec.version})."
        )

    # -- X and y

    def arrange_frames(
        self, layout: FrameLayout, tables: SplitTables | None = None
    ) -> tuple[Any, ...]:
        """Every X, then every y, in scikit-learn's order; without labels each y is None.

        Args:
            layout: How they come.
            tables: The rows of each split, where they are here; None: they are read.
        """
        features = self._list_x_columns(layout)
        labels = list(self.columns.labels)
        if layout.dataframe_type == "spark":
            frames = self.read_spark_frames()
            every_x = [frames[part][features] for part in self.spec.parts]
            every_y = [frames[part][labels] if labels else None for part in self.spec.parts]
            return (*every_x, *every_y)
        rows = self.read_tables() if tables is None else tables

        def convert(columns: list[str]) -> list[Any]:
            kind = layout.dataframe_type
            return [convert_table(rows[part].select(columns), kind) for part in self.spec.parts]

        every_y = convert(labels) if labels else [None] * len(self.spec.parts)
        return (*convert(features), *every_y)

    def _list_x_columns(self, layout: FrameLayout) -> list[str]:
        """The identity that was asked for, the features, and the columns that stand behind them."""
        columns = self.columns
        features = list(columns.get_training_columns(self.spec.states))
        requested = columns.list_requested_identity(layout.primary_key, layout.event_time)
        first = [self.transform.replaced.get(name, name) for name in requested]
        last = list(columns.extra_columns)
        if layout.training_helper_columns:
            last += self.view.training_helpers
        others = set(features)
        return [
            *(name for name in first if name not in others),
            *features,
            *(name for name in last if name not in others),
        ]
