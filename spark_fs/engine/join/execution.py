"""Build the result of a plan as was chosen, as Arrow tables of the tasks."""

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from spark_fs.engine.join import columns
from spark_fs.engine.join.columnar import ArrowRelation, Projection, TableFunction
from spark_fs.engine.join.inputs import JoinInputs
from spark_fs.engine.join.strategy import ArrowStrategy, ExecutionPlan
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan.filters import can_evaluate
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan
from spark_fs.spec.predicates import Comparison, iter_comparisons, map_comparisons

JoinedRows = tuple[ArrowRelation, TableFunction]


def to_arrow_relation(
    runner: Runner,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None = None,
) -> JoinedRows:
    """The joined rows of a plan as tables* of the tasks.

    Args:
        runner: Runs the tasks.
        plan: A bound query.
        sources: Where the rows of each of its nodes come from.
        execution: How it is run.
        folder: One that every task sees, kept until the result was read; None: the runner moves the
            rows themselves.

    Returns:
        The tables, and the function that makes the result of each table.
    """
    execution = execution.adapt_to(runner.name)
    projection = None if execution.uses_sql else _build_projection(plan)
    if projection is not None:
        inputs = JoinInputs(runner, plan, sources, execution.scan_plans, folder)
        return execution.join_stages(inputs), projection
    from spark_fs.engine.join.spark_execution import build_sql_relation

    return build_sql_relation(runner, plan, sources, execution, folder), _keep_table


def _keep_table(table: pa.Table) -> pa.Table:
    return table


def explain_need_of_spark(plan: JoinPlan, execution: ExecutionPlan) -> str | None:
    """Why Spark alone runs a plan as was chosen; None: tasks do, in whatever engine."""
    for stage in execution.stages:
        if not isinstance(stage.strategy, ArrowStrategy):
            return stage.only_spark or f"strategy {stage.strategy.name!r} is Spark's own"
    for node, scan_plan in zip(plan.nodes, execution.scan_plans, strict=True):
        if scan_plan.need_of_spark is not None:
            return scan_plan.need_of_spark
        if scan_plan.scan is None:
            return f"Spark alone reads {'a DataFrame' if node.group.is_dataframe else node.group}"
    if _build_projection(plan) is None:
        return "Spark alone compares what the filter on the result compares"
    return None


def _build_projection(plan: JoinPlan) -> Projection | None:
    """The last step of a plan for tasks; None where only Spark can compare."""

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
