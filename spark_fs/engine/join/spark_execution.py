"""Build the result of a plan as a DataFrame of Spark, by tasks or by Spark SQL."""

from collections.abc import Sequence

from pyspark.sql import DataFrame

from spark_fs.base import arrow_types
from spark_fs.engine.join import spark_sql
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.inputs import JoinInputs, get_travelling_types
from spark_fs.engine.join.strategy import ExecutionPlan
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.engine.spark_runner import SparkRows, get_frame
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan


def to_dataframe(
    runner: Runner,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None = None,
) -> DataFrame:
    """The result* of a plan.

    Args:
        runner: Runs the tasks; it is Spark's.
        plan: A bound query.
        sources: Where the rows of each of its nodes come from.
        execution: How it is run.
        folder: One that every task sees, kept until the result was read; None: Spark moves the rows
            themselves.
    """
    if execution.uses_sql or not execution.stages:
        return spark_sql.build_sql_join(
            plan,
            lambda node: sources[node.index].read_frame(),
            lambda node: execution.scan_plans[node.index].event_time_bounds,
        )
    inputs = JoinInputs(runner, plan, sources, execution.scan_plans, folder)
    types = get_travelling_types(plan, len(execution.stages))
    joined = execution.join_stages(inputs).select(types)
    return spark_sql.select_outputs(plan, get_frame(joined))


def build_sql_relation(
    runner: Runner,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None,
) -> ArrowRelation:
    """The result* of a plan that Spark alone can finish, as tables of the tasks."""
    frame = to_dataframe(runner, plan, sources, execution, folder)
    types = dict(plan.schema)
    if plan.splits:
        types[SPLIT_COLUMN] = "string"
    return ArrowRelation.from_rows(SparkRows(frame), arrow_types.to_arrow_schema(types))
