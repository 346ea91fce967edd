"""Rows to predict for, from the offline tables: joined and transformed as in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_fs.base.dataframes import convert_table
from spark_fs.base.times import Interval
from spark_fs.engine.training.in_memory import build_splits
from spark_fs.engine.training.spill import TransformNow, select_split
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.errors import NotFoundError
from spark_fs.flows.project_stores import ProjectStores
from spark_fs.flows.read import resolve_dataframe_type
from spark_fs.flows.spine_rows import SpineRows, build_view_spine
from spark_fs.flows.training_build import ChosenJoin, JoinInput, build_in_memory
from spark_fs.flows.view_columns import States, ViewColumns, resolve_view_columns
from spark_fs.planning.plan import JoinPlan
from spark_fs.planning.sql_text import to_sql
from spark_fs.spec.feature_view import ViewSpec
from spark_fs.spec.logged_parts import BatchMetadata
from spark_fs.spec.predicates import Condition, iter_comparisons, rebind_group
from spark_fs.spec.training_dataset import TRAIN_SPLIT
from spark_fs.transform.transformer import Transformer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class BatchRequest:
    """What a batch is to hold.

    interval: of the spine's event time; None for every row. primary_key, event_time: whether the
    spine's come first. inference_helper_columns: whether these come last. spine_df: a frame
    in the place of the leftmost group. max_feature_age: seconds. conditions: what rows meet beside
    the view's own filters. transformed: whether the view's transformations are applied.
    transformation_context: what is set of them for this time. for_log: whether all is read that
    ``log`` keeps.
    """

    interval: Interval | None = None
    primary_key: bool = False
    event_time: bool = False
    inference_helper_columns: bool = False
    spine_df: Any = None
    max_feature_age: float | None = None
    conditions: tuple[Condition, ...] = ()
    transformed: bool = True
    transformation_context: Mapping[str, Any] | None = None
    for_log: bool = False


@dataclass(frozen=True)
class _PreparedBatch:
    """What is joined for a batch, and how it is finished."""

    view: ViewSpec
    columns: ViewColumns
    join_input: JoinInput
    transform: DatasetTransform

    def list_names(self, request: BatchRequest) -> list[str]:
        """The columns that a request wants of the finished rows."""
        first = self.columns.list_requested_identity(request.primary_key, request.event_time)
        features = self.transform.transformer.columns
        names = [self.transform.replaced.get(name, name) for name in first]
        names = [name for name in names if name not in features]
        names += features
        last = list(self.columns.extra_columns)
        if request.inference_helper_columns:
            last += self.view.inference_helpers
        names += [name for name in dict.fromkeys(last) if name not in names]
        return names


def read_batch(
    stores: ProjectStores,
    view: ViewSpec,
    states: States | None,
    request: BatchRequest,
    dataframe_type: str,
    engine: str | None = None,
) -> Any:
    """The rows to predict for, as Spark's DataFrame* or eagerly as another, in canonical order.

    Args:
        stores: Those of the view.
        view: Whose features are read.
        states: What the transformations learned of a training dataset.
        request: Which rows and columns.
        dataframe_type: One of ``DATAFRAME_TYPES``.
        engine: Which engine reads; None: the one that the settings name.
    """
    dataframe_type = resolve_dataframe_type(dataframe_type)
    prepared = _prepare_batch(stores, view, states, request, engine)
    names = prepared.list_names(request)
    transform = prepared.transform
    if dataframe_type == "spark":
        return _build_batch_frame(prepared.join_input.choose_spark(), transform, names)
    tables, _ = build_in_memory(prepared.join_input, transform)
    return convert_table(tables[transform.parts[0]].select(names), dataframe_type)


def read_logged_batch(
    stores: ProjectStores,
    view: ViewSpec,
    states: States | None,
    request: BatchRequest,
    engine: str | None,
    dataset_version: int | None,
) -> tuple[pa.Table, BatchMetadata]:
    """The rows to predict for, eagerly, and what ``log`` keeps of them, by one join.

    Args:
        stores: Those of the view.
        view: Whose features are read.
        states: What the transformations learned of a training dataset.
        request: Which rows and columns.
        engine: Which engine reads; None: the one that the settings name.
        dataset_version: The training dataset of these states; None: there is none.
    """
    full_request = replace(
        request, primary_key=True, event_time=True, inference_helper_columns=True, for_log=True
    )
    prepared = _prepare_batch(stores, view, states, full_request, engine)
    columns, transform = prepared.columns, prepared.transform
    joined = prepared.join_input.run(ChosenJoin.collect)
    rows = _finish_rows(joined, transform)
    plain = columns.build_plain_transformer()
    plain_rows = _finish_rows(joined, _build_transform(columns, plain, ()))
    spine = columns.plan.spine
    identity = {}
    for column in dict.fromkeys([*spine.primary_key, *filter(None, [spine.event_time])]):
        name = columns.plan.spine_names[column]
        identity[column] = rows[transform.replaced.get(name, name)]
    transformed = None
    if request.transformed:
        transformed = rows.select(transform.transformer.columns)
    metadata = BatchMetadata(
        plain_rows.select(plain.columns),
        transformed,
        rows.select(view.inference_helpers),
        pa.table(identity),
        spine.event_time,
        datetime.now(UTC),
        dataset_version,
    )
    return rows.select(prepared.list_names(request)), metadata


def _finish_rows(joined: pa.Table, transform: DatasetTransform) -> pa.Table:
    tables, _ = build_splits(joined, transform)
    return tables[transform.parts[0]]


def read_batch_rows(
    stores: ProjectStores,
    view: ViewSpec,
    states: States | None,
    request: BatchRequest,
    engine: str | None = None,
) -> pa.Table | DataFrame:
    """The rows to predict for, eagerly as an Arrow table, or as a DataFrame* where Spark reads.

    Args:
        stores: Those of the view.
        view: Whose features are read.
        states: What the transformations learned of a training dataset.
        request: Which rows and columns.
        engine: Which engine reads; None: the one that the settings name.
    """
    prepared = _prepare_batch(stores, view, states, request, engine)
    names = prepared.list_names(request)

    def read(join: ChosenJoin) -> pa.Table | DataFrame:
        if join.runner.name == "spark":
            return _build_batch_frame(join, prepared.transform, names)
        return _finish_rows(join.collect(), prepared.transform).select(names)

    return prepared.join_input.run(read)


def format_batch_query(stores: ProjectStores, view: ViewSpec, request: BatchRequest) -> str:
    """The SQL that the features of a batch stand for, before transformations. Starts no JVM."""
    columns = resolve_view_columns(stores.catalog, view)
    plan = columns.plan.select_outputs(columns.features)
    for condition in request.conditions:
        plan = plan.with_filter(condition)
    if request.interval is not None:
        plan = plan.with_splits({TRAIN_SPLIT: request.interval})
    return to_sql(plan)


def _prepare_batch(
    stores: ProjectStores,
    view: ViewSpec,
    states: States | None,
    request: BatchRequest,
    engine: str | None,
) -> _PreparedBatch:
    """What is joined, and how it is finished."""
    engines = stores.engines.with_request(engine)
    spine = None
    if request.spine_df is not None:
        spine = build_view_spine(stores, view, request.spine_df)
    columns = resolve_view_columns(stores.catalog, view, spine)
    first = columns.list_requested_identity(request.primary_key, request.event_time)
    last = list(columns.extra_columns)
    if request.inference_helper_columns:
        last += view.inference_helpers
    transformer = columns.build_plain_transformer()
    if request.transformed:
        context = request.transformation_context
        transformer = columns.build_inference_transformer(states, context)
    transform = _build_transform(columns, transformer, [*first, *last])
    plan = _build_plan(columns, transform, request)
    for condition in request.conditions:
        if spine:
            condition = _rebind_condition(condition, view, spine)
        plan = plan.with_filter(condition)
    frames = {spine.spec.ref: spine} if spine else {}
    join_input = JoinInput(engines, plan, stores.find_table, {}, frames)
    return _PreparedBatch(view, columns, join_input, transform)


def _rebind_condition(condition: Condition, view: ViewSpec, spine: SpineRows) -> Condition:
    """A condition on the view's query, of a frame in the place of the leftmost group.

    Raises NotFoundError for a column of that group which the frame lacks.
    """
    for comparison in iter_comparisons(condition):
        is_of_spine = comparison.group == view.query.group
        if is_of_spine and comparison.column not in spine.spec.types:
            raise NotFoundError.for_name(
                "Column of the spine",
                comparison.column,
                spine.spec.types,
                "A filter of the batch takes it, or that of its training dataset: add it to the"
                " frame, or leave the latter out by training_filter=False.",
            )
    return rebind_group(condition, view.query.group, spine.spec.ref)


def _build_transform(
    columns: ViewColumns, transformer: Transformer, others: Sequence[str]
) -> DatasetTransform:
    """How joined rows become those of a batch, which also have these columns and the identity."""
    passthrough = {}
    for name in dict.fromkeys([*others, *columns.identity]):
        if name not in transformer.columns:
            passthrough[name] = columns.plan.schema[name]
    replaced = columns.find_replaced_keys(transformer)
    return DatasetTransform(transformer, columns.identity, passthrough, replaced)


def _build_plan(
    columns: ViewColumns, transform: DatasetTransform, request: BatchRequest
) -> JoinPlan:
    """The view's plan, with the columns and the bounds of this batch."""
    outputs = {*transform.transformer.inputs, *transform.passthrough, *transform.identity}
    if request.for_log:
        outputs |= set(columns.features)
    plan = columns.plan.select_outputs(outputs)
    plan = plan.with_max_age(request.max_feature_age)
    if request.interval is None:
        return plan
    return plan.with_splits({TRAIN_SPLIT: request.interval})


def _build_batch_frame(
    join: ChosenJoin, transform: DatasetTransform, names: Sequence[str]
) -> DataFrame:
    """The finished rows as a DataFrame*."""
    from spark_fs.engine.spark_runner import get_frame

    relation, project = join.to_relation()
    finish = TransformNow(project, transform)
    frame = get_frame(select_split(relation, finish, transform.schema))
    return frame.select(*(f"`{name}`" for name in names))
