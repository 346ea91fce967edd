"""Build the result of a plan as was chosen: a DataFrame, or Arrow tables of the workers."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base import arrow_types
from spark_fs.engine.join import columns, spark_sql
from spark_fs.engine.join.columnar import ArrowRelation, Projection
from spark_fs.engine.join.inputs import JoinInputs, get_travelling_types
from spark_fs.engine.join.strategy import ArrowStrategy, ExecutionPlan
from spark_fs.engine.scan.filters import can_evaluate
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan
from spark_fs.spec.predicates import Comparison, iter_comparisons, map_comparisons


def to_dataframe(
    spark: SparkSession,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None = None,
) -> DataFrame:
    """The result* of a plan.

    Args:
        spark: The session.
        plan: A bound query.
        sources: Where the rows of each of its nodes come from.
        execution: How it is run.
        folder: One that every worker sees, kept until the result was read; None: Spark moves the
            rows themselves.
    """
    if execution.uses_sql or not execution.stages:
        return spark_sql.build_sql_join(
            plan,
            lambda node: sources[node.index].read_frame(),
            lambda node: execution.scan_plans[node.index].event_time_bounds,
        )
    inputs = JoinInputs(spark, plan, sources, execution.scan_plans, folder)
    types = get_travelling_types(plan, len(execution.stages))
    return spark_sql.select_outputs(plan, _join_stages(inputs, execution).to_frame(types))


def to_arrow_relation(
    spark: SparkSession,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None = None,
) -> tuple[ArrowRelation, Callable[[pa.Table], pa.Table]]:
    """The joined rows of a plan as tables* of the workers.

    Args:
        spark: The session.
        plan: A bound query.
        sources: Where the rows of each of its nodes come from.
        execution: How it is run.
        folder: One that every worker sees, kept until the result was read; None: Spark moves the
            rows themselves.

    Returns:
        The tables, and the function that makes the result of each table.
    """
    projection = None if execution.uses_sql else _build_projection(plan)
    if projection is not None:
        inputs = JoinInputs(spark, plan, sources, execution.scan_plans, folder)
        return _join_stages(inputs, execution), projection
    frame = to_dataframe(spark, plan, sources, execution, folder)
    types = dict(plan.schema)
    if plan.splits:
        types[SPLIT_COLUMN] = "string"
    return ArrowRelation.from_frame(frame, arrow_types.to_arrow_schema(types)), _keep_table


def _keep_table(table: pa.Table) -> pa.Table:
    return table


def _build_projection(plan: JoinPlan) -> Projection | None:
    """The last step of a plan for the workers; None where only Spark can compare."""

    def rename_column(comparison: Comparison) -> Comparison:
        return replace(comparison, column=columns.get_alias(plan.find_column(comparison)))

    conditions = []
    compared = []
    for condition in plan.having:
        renamed = map_comparisons(condition, rename_column)
        conditions.append(renamed)
        compared += [comparison.column for comparison in iter_comparisons(renamed)]
    types = columns.get_types(plan, compared)
    if not all(can_evaluate(condition, types) for condition in conditions):
        return None
    names = [(output.name, columns.get_alias(output.source)) for output in plan.outputs]
    if plan.splits:
        names.append((SPLIT_COLUMN, SPLIT_COLUMN))
    return Projection(tuple(names), tuple(conditions), tuple(types.items()))


def _join_stages(inputs: JoinInputs, execution: ExecutionPlan) -> ArrowRelation:
    """The joined rows of a plan* as they travel, before the conditions on the whole."""
    relation = inputs.build_relation(inputs.plan.nodes[0])
    for number, stage in enumerate(execution.stages, 1):
        assert isinstance(stage.strategy, ArrowStrategy)
        relation = stage.strategy.join_stage(relation, inputs, stage.nodes, number)
    return relation
