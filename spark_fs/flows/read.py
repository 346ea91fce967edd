"""Read the rows of a query, of the newest or of fixed versions, by whichever engine suits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.dataframes import check_dataframe_type, convert_table
from spark_fs.engine.engines import EngineChoice, Engines, has_callers_session
from spark_fs.engine.join.execution import explain_need_of_spark, to_arrow_relation
from spark_fs.engine.join.explain import describe_plan
from spark_fs.engine.join.strategy import ExecutionPlan, choose_strategy
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan.pruning import NodeSource, estimate_run_bytes
from spark_fs.engine.training.row_order import sort_rows
from spark_fs.errors import SettingsError
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.tables.external_files import SourceFiles, find_group_files
from spark_fs.tables.table_log import open_log

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from spark_fs.flows.spine_rows import SpineRows

Frames = Mapping[GroupRef, "SpineRows"]
TableLocator = Callable[[GroupSpec], str]


def read_query(
    engines: Engines,
    plan: JoinPlan,
    locate_table: TableLocator,
    dataframe_type: str,
    versions: Mapping[GroupRef, int] | None = None,
    strategy: str | None = None,
    frames: Frames | None = None,
) -> Any:
    """The rows of the plan, as Spark's DataFrame* or eagerly as another frame, in their order.

    Args:
        engines: What may read.
        plan: What is read.
        locate_table: Where the table of a group is.
        dataframe_type: One of ``DATAFRAME_TYPES``; "default" is "spark" where the caller has a
            session, else "pandas".
        versions: The Delta version of each group; None, or a group that is left out: the newest.
            An ``as_of`` of the plan comes first.
        strategy: How groups are joined; None: the one that suits each.
        frames: The rows of groups that are not read from their tables, as of a spine.
    """
    dataframe_type = resolve_dataframe_type(dataframe_type)
    sources = list_sources(engines.get_spark, plan, locate_table, versions or {}, frames or {})
    if dataframe_type == "spark":
        execution = choose_strategy(plan, sources, strategy)
        runner = engines.get_runner("spark")
        from spark_fs.engine.join.spark_execution import to_dataframe

        frame = to_dataframe(runner, plan, sources, execution)
        return frame.drop(SPLIT_COLUMN) if plan.splits else frame
    ordered = plan.with_identity()
    execution = choose_strategy(ordered, sources, strategy)
    choice = choose_engine(engines, ordered, execution)

    def collect(runner: Runner) -> pa.Table:
        return collect_rows(runner, ordered, sources, execution)

    table = engines.run(choice, collect)
    table = sort_rows(table, ordered.ordered_names)
    return convert_table(table.select(list(plan.schema)), dataframe_type)


def resolve_dataframe_type(dataframe_type: str) -> str:
    """The type of frame that is meant by "default", or the one that is given.

    SettingsError for what is none.
    """
    check_dataframe_type(dataframe_type)
    if dataframe_type != "default":
        return dataframe_type
    return "spark" if has_callers_session() else "pandas"


def choose_engine(
    engines: Engines,
    plan: JoinPlan,
    execution: ExecutionPlan,
    other_need: str | None = None,
) -> EngineChoice:
    """Which engine runs a plan that is not asked for as Spark's DataFrame.

    other_need: why Spark alone can do what is to be done with the rows; None: either engine can.
    """
    need_of_spark = other_need or explain_need_of_spark(plan, execution)
    return engines.choose(need_of_spark, estimate_run_bytes(plan, execution.scan_plans))


def collect_rows(
    runner: Runner, plan: JoinPlan, sources: Sequence[NodeSource], execution: ExecutionPlan
) -> pa.Table:
    """The rows of a plan, eagerly, in no order, with the split of each where it has splits."""
    types = dict(plan.schema)
    if plan.splits:
        types[SPLIT_COLUMN] = "string"
    with runner.translate_errors(), runner.open_shared_folder() as folder:
        relation, finish = to_arrow_relation(runner, plan, sources, execution, folder)
        finished = relation.map_tables(finish, to_arrow_schema(types))
        return finished.select(types).collect()


def explain_plan(
    engines: Engines,
    plan: JoinPlan,
    locate_table: TableLocator,
    strategy: str | None,
    frames: Frames,
) -> str:
    """How the plan would be run now, in words; no Spark is needed."""
    sources = list_sources(engines.get_spark, plan, locate_table, {}, frames)
    execution = choose_strategy(plan, sources, strategy)
    choice = choose_engine(engines, plan, execution)
    return describe_plan(plan, execution, choice)


def list_sources(
    get_spark: Callable[[], SparkSession],
    plan: JoinPlan,
    locate_table: TableLocator,
    versions: Mapping[GroupRef, int],
    frames: Frames,
) -> list[NodeSource]:
    """Where the rows of each node are; no session is made before one is read."""

    def make_source(node: PlanNode) -> NodeSource:
        if node.group.is_dataframe or node.group.ref in frames:
            return _find_frame(node.group, frames).to_source(get_spark)
        path = locate_table(node.group)
        version = node.as_of
        if version is None:
            version = versions.get(node.group.ref)
        if node.group.source:
            found = find_group_files(node.group)
        else:
            found = SourceFiles(open_log(path, version).list_files())
        with_duplicates = plan.as_known and node.match != "spine"

        def read_frame() -> DataFrame:
            from spark_fs.flows import group_rows
            from spark_fs.tables.table import open_table

            table = open_table(node.group, path, get_spark)
            return group_rows.read_group(table, version, with_duplicates)

        return NodeSource(read_frame, found.files, found.need_of_spark)

    return [make_source(node) for node in plan.nodes]


def _find_frame(group: GroupSpec, frames: Frames) -> SpineRows:
    if group.ref in frames:
        return frames[group.ref]
    columns = ", ".join(group.types)
    raise SettingsError(
        f"The query begins with spine group {group.ref}, whose rows are kept nowhere: give a frame"
        f" of its columns ({columns}), as spine= of training data and batches."
    )


def get_current_versions(plan: JoinPlan, locate_table: TableLocator) -> dict[GroupRef, int]:
    """The newest Delta version of each group of the plan that has no ``as_of``.

    External groups have no versions.
    """
    versions = {}
    for node in plan.nodes:
        if node.as_of is None and not node.group.source:
            path = locate_table(node.group)
            versions[node.group.ref] = open_log(path).version
    return versions
