"""Choose how a plan is run, from what the tables' logs say, and build it so.

There are three ways, and they give the same rows: ``columnar``, the shuffle of Arrow tables;
``broadcast``, the same without a shuffle, where each task reads the right sides itself; and
``sql``, plain Spark SQL, the reference. A choice costs no Spark action.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base import arrow_types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join import skew, spark_sql
from spark_fs.engine.join.columnar import ArrowRelation, Projection, SemiJoinFilter
from spark_fs.engine.join.shuffle import get_key_kind, hash_keys
from spark_fs.engine.join.skew import KeySample, SkewedKeys
from spark_fs.engine.join.stages import (
    JoinStage,
    MatchRule,
    TypedColumn,
    get_key_columns,
    get_micros,
)
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import can_evaluate
from spark_fs.engine.scan.pruning import NodeSource, TableScanPlan, plan_scans
from spark_fs.errors import SettingsError
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan, NodeColumn, PlanNode
from spark_fs.spec.query import Comparison, Condition, iter_comparisons

Strategy = Literal["columnar", "broadcast", "sql"]
BROADCAST_BYTES = 32 << 20  # bytes of right sides that each task reads itself
BUCKET_BYTES = 64 << 20  # bytes of all sides in one bucket
SAMPLING_MIN_BYTES = (
    4 * BUCKET_BYTES
)  # bytes of all sides, from which on some rows are looked at for keys that hold too many
UNKNOWN_BYTES = 1 << 30  # bytes of a side of which nobody knows
SEMI_JOIN_MAX_SHARE = (
    0.5  # of the joined rows have a key of the spine, at most, for it to pay to look for it in each
)
SAMPLED_FILES = 4  # of each side


@dataclass(frozen=True)
class StagePlan:
    """One pass over the groups that share a key, how, and why so."""

    nodes: tuple[PlanNode, ...]
    strategy: Strategy
    reason: str


@dataclass(frozen=True)
class ExecutionPlan:
    """How a plan is run."""

    scan_plans: tuple[TableScanPlan, ...]
    stages: tuple[StagePlan, ...]

    @property
    def uses_sql(self) -> bool:
        """Whether plain Spark SQL runs the whole of it."""
        return any(step.strategy == "sql" for step in self.stages)


def choose_strategy(
    plan: JoinPlan, sources: Sequence[NodeSource], requested: str | None = None
) -> ExecutionPlan:
    """The strategy of a plan; SettingsError when the one that was asked for is unknown or cannot run it."""
    if requested is not None and requested not in get_args(Strategy):
        raise SettingsError(
            f"strategy {requested!r} is not known: use {', '.join(map(repr, get_args(Strategy)))},"
            " or leave it out."
        )
    reads = plan_scans(plan, sources)
    return ExecutionPlan(
        reads, tuple(_choose_for_stage(plan, nodes, reads, requested) for nodes in plan.join_stages)
    )


def _count_buckets(
    spark: SparkSession, sources: Sequence[NodeSource], execution: ExecutionPlan
) -> int:
    """How many buckets of keys a shuffle has: of bounded size, and enough for every core."""
    known = [
        _estimate_bytes(source.read_frame()) if read.bytes is None else read.bytes
        for source, read in zip(sources, execution.scan_plans, strict=True)
    ]
    cores = spark.sparkContext.defaultParallelism
    rounds = max(ceil_divide(sum(known), BUCKET_BYTES * cores), 2)
    return min(rounds * cores, 1 << 15)


def _detect_skew(
    stage: JoinStage, execution: ExecutionPlan, bucket_count: int
) -> tuple[SkewedKeys, SemiJoinFilter | None]:
    """By a look at some of many rows: the keys that need buckets of their own, and those of the spine where few rows have them."""
    if sum(read.bytes or 0 for read in execution.scan_plans) < SAMPLING_MIN_BYTES:
        return SkewedKeys(bucket_count), None
    rights = [
        _sample_keys(execution.scan_plans[rule.node_index], rule.keys, rule.time)
        for rule in stage.rules
    ]
    spine, left = execution.scan_plans[0], None
    only = None
    if all(
        name.startswith("n0_") for name, _ in stage.keys
    ):  # else the left side's keys come of what was joined before
        left = _sample_keys(spine, stage.keys, stage.time)
        if left and spine.scan and (spine.bytes or 0) <= BROADCAST_BYTES:
            only = SemiJoinFilter(spine.scan, stage.keys)
            seen = np.concatenate(
                [only.has_hashes(side.hashes) for side in rights if side] or [np.ones(1, bool)]
            )
            only = only if seen.mean() < SEMI_JOIN_MAX_SHARE else None
    return skew.detect_skewed_keys(filter(None, [left, *rights]), bucket_count, BUCKET_BYTES), only


def _sample_keys(
    scan_plan: TableScanPlan, keys: tuple[TypedColumn, ...], time: TypedColumn | None
) -> KeySample | None:
    """Some rows of one side; None for one that no worker reads."""
    if scan_plan.scan is None or not scan_plan.scan.row_count or not scan_plan.bytes:
        return None
    table = parquet.read_sample(
        scan_plan.scan, [name for name, _ in (*keys, *([time] if time else []))], SAMPLED_FILES
    )
    if not table.num_rows:
        return None
    hashes = hash_keys(get_key_columns(table, keys))
    return KeySample(
        hashes, get_micros(table, time) if time else None, scan_plan.bytes / table.num_rows
    )


def _estimate_bytes(frame: DataFrame) -> int:
    """The bytes of a frame as Spark puts them; where it has no idea, as of a database's query, it says the greatest number there is."""
    statistics: Any = frame._jdf.queryExecution().optimizedPlan().stats()
    size = int(str(statistics.sizeInBytes()))
    return size if size < 1 << 50 else UNKNOWN_BYTES


def to_dataframe(
    spark: SparkSession,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None = None,
) -> DataFrame:
    """The result* of a plan, run as was chosen; ``folder``, where there is one, is kept until the result was read."""
    if execution.uses_sql or not execution.stages:
        return spark_sql.build_sql_join(
            plan,
            lambda node: sources[node.index].read_frame(),
            lambda node: execution.scan_plans[node.index].event_time_bounds,
        )
    return spark_sql.select_outputs(
        plan,
        _join_stages(spark, plan, sources, execution, folder).to_frame(
            _get_column_types(plan, _list_needed_columns(plan, len(execution.stages)))
        ),
    )


def to_arrow_relation(
    spark: SparkSession,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None = None,
) -> tuple[ArrowRelation, Callable[[pa.Table], pa.Table]]:
    """The joined rows of a plan as tables* of the workers, and the function that makes the result of each table."""
    finish = None if execution.uses_sql else _build_projection(plan)
    if finish is not None:
        return _join_stages(spark, plan, sources, execution, folder), finish
    split = {SPLIT_COLUMN: "string"} if plan.splits else {}
    return (
        ArrowRelation.from_frame(
            to_dataframe(spark, plan, sources, execution, folder),
            arrow_types.to_arrow_schema(plan.schema | split),
        ),
        _keep_table,
    )


def _keep_table(table: pa.Table) -> pa.Table:
    return table


def _build_projection(plan: JoinPlan) -> Projection | None:
    """The last step of a plan for the workers; None where only Spark can compare."""

    def rename_columns(condition: Condition) -> Condition:
        if isinstance(condition, Comparison):
            return replace(condition, column=spark_sql.get_alias(plan.find_column(condition)))
        return replace(condition, parts=tuple(map(rename_columns, condition.parts)))

    conditions = tuple(map(rename_columns, plan.having))
    types = _get_column_types(
        plan, [c.column for condition in conditions for c in iter_comparisons(condition)]
    )
    if not all(can_evaluate(condition, types) for condition in conditions):
        return None
    names = [(output.name, spark_sql.get_alias(output.source)) for output in plan.outputs] + (
        [(SPLIT_COLUMN, SPLIT_COLUMN)] if plan.splits else []
    )
    return Projection(tuple(names), conditions, tuple(types.items()))


def _join_stages(
    spark: SparkSession,
    plan: JoinPlan,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
    folder: str | None,
) -> ArrowRelation:
    """The joined rows of a plan* by the columnar ways, before the conditions on the whole, as they travel."""
    found = _build_relation(spark, plan, plan.nodes[0], sources, execution)
    for number, step in enumerate(execution.stages, 1):
        one = _build_stage(plan, step.nodes, number)
        schema = arrow_types.to_arrow_schema(
            _get_column_types(plan, _list_needed_columns(plan, number))
        )
        if step.strategy == "broadcast":
            scans = {node.index: execution.scan_plans[node.index].scan for node in step.nodes}
            found = found.broadcast_join(
                one, {place: each for place, each in scans.items() if each}, schema
            )
        else:
            rights = {
                node.index: _build_relation(spark, plan, node, sources, execution)
                for node in step.nodes
            }
            hot_keys, only = _detect_skew(one, execution, _count_buckets(spark, sources, execution))
            found = found.shuffle_join(one, rights, hot_keys, schema, folder, only)
    return found


# -- the passes


def _choose_for_stage(
    plan: JoinPlan,
    nodes: tuple[PlanNode, ...],
    scan_plans: Sequence[TableScanPlan],
    requested: str | None,
) -> StagePlan:
    impossible = _why_not_columnar(plan, nodes)
    if requested == "sql" or impossible:
        if requested not in (None, "sql"):
            raise SettingsError(
                f"strategy {requested!r} cannot run this query: {impossible}. Leave strategy out,"
                " or say 'sql'."
            )
        return StagePlan(nodes, "sql", impossible or "it was asked for")
    scans = all(scan_plans[node.index].scan for node in nodes)
    sizes = [scan_plans[node.index].bytes for node in nodes]
    size = None if None in sizes else sum(filter(None, sizes))
    if requested == "broadcast" and not scans:
        raise SettingsError(
            "strategy 'broadcast' needs right sides that lie in files of their own: leave strategy"
            " out, or say 'columnar'."
        )
    if requested == "broadcast" or (
        requested is None and scans and size is not None and size <= BROADCAST_BYTES
    ):
        return StagePlan(
            nodes,
            "broadcast",
            (
                "it was asked for"
                if requested
                else f"the joined rows are few, {_format_megabytes(size)}"
            ),
        )
    if requested:
        return StagePlan(nodes, "columnar", "it was asked for")
    many = f"the joined rows are many, {_format_megabytes(size)}"
    return StagePlan(
        nodes,
        "columnar",
        many if scans else "the workers cannot read all of the joined groups themselves",
    )


def _format_megabytes(size: int | None) -> str:
    return (
        "of unknown size"
        if size is None
        else f"about {size >> 20:,} MB"
        if size >> 20
        else "less than 1 MB"
    )


def _why_not_columnar(plan: JoinPlan, nodes: tuple[PlanNode, ...]) -> str | None:
    for node in nodes:
        for left, right in zip(node.left_keys, node.right_keys, strict=True):
            types = (
                plan.nodes[left.node].group.get_column_type(left.column),
                node.group.get_column_type(right),
            )
            if get_key_kind(types[0]) is None or get_key_kind(types[0]) != get_key_kind(types[1]):
                return (
                    f"key {right!r} of {node.group} is {types[1]} and is compared with {types[0]},"
                    " which only Spark does"
                )
    return None


def _build_stage(plan: JoinPlan, nodes: tuple[PlanNode, ...], stage_number: int) -> JoinStage:
    needed = _list_needed_columns(plan, stage_number)
    keys = tuple(
        (spark_sql.get_alias(key), plan.nodes[key.node].group.get_column_type(key.column))
        for key in nodes[0].left_keys
    )
    kept = tuple(n for n in needed if not _is_of_nodes(n, nodes))
    return JoinStage(
        keys,
        _get_event_time(plan.nodes[0]),
        tuple(_build_match_rule(plan, node, needed) for node in nodes),
        kept,
    )


def _is_of_nodes(name: str, nodes: tuple[PlanNode, ...]) -> bool:
    return any(name.startswith(f"n{node.index}_") for node in nodes)


def _get_event_time(node: PlanNode) -> tuple[str, str] | None:
    time = node.group.event_time
    return (
        (spark_sql.get_alias(NodeColumn(node.index, time)), node.group.get_column_type(time))
        if time
        else None
    )


def _build_match_rule(plan: JoinPlan, node: PlanNode, needed: Sequence[str]) -> MatchRule:
    keys = tuple(
        (spark_sql.get_alias(NodeColumn(node.index, c)), node.group.get_column_type(c))
        for c in node.right_keys
    )
    ties = (
        (
            spark_sql.get_ingested_alias(node),
            *(spark_sql.get_alias(NodeColumn(node.index, c)) for c in node.tie_breakers),
        )
        if node.may_tie
        else ()
    )
    known = (spark_sql.get_ingested_alias(node), "timestamp") if plan.as_known else None
    carried = tuple(n for n in needed if _is_of_nodes(n, (node,)))
    return MatchRule(
        node.index,
        keys,
        _get_event_time(node),
        ties,
        known,
        node.group.ttl_micros,
        node.join_type == "inner",
        carried,
    )


def _list_needed_columns(plan: JoinPlan, stage_count: int) -> tuple[str, ...]:
    """What travels on after so many passes: what the result needs, and the keys and time of the passes to come."""
    later = {
        key for nodes in plan.join_stages[stage_count:] for node in nodes for key in node.left_keys
    }
    if plan.join_stages[stage_count:] and plan.spine.event_time:
        later.add(NodeColumn(0, plan.spine.event_time))
    joined = {0, *(node.index for nodes in plan.join_stages[:stage_count] for node in nodes)}
    places = sorted(
        (place for place in plan.required_columns | later if place.node in joined),
        key=lambda p: (p.node, p.column),
    )
    return (*map(spark_sql.get_alias, places), *([SPLIT_COLUMN] if plan.splits else []))


def _get_column_types(plan: JoinPlan, names: Sequence[str]) -> dict[str, str]:
    types = {
        spark_sql.get_alias(NodeColumn(n.index, c)): t
        for n in plan.nodes
        for c, t in n.group.types.items()
    }
    types |= {spark_sql.get_ingested_alias(node): "timestamp" for node in plan.nodes} | {
        SPLIT_COLUMN: "string"
    }
    return {name: types[name] for name in names}


def _build_relation(
    spark: SparkSession,
    plan: JoinPlan,
    node: PlanNode,
    sources: Sequence[NodeSource],
    execution: ExecutionPlan,
) -> ArrowRelation:
    read = execution.scan_plans[node.index]
    if read.scan:
        return ArrowRelation.from_scan(spark, read.scan)
    frame = spark_sql.select_node_rows(plan, node, sources[node.index].read_frame())
    names = [c for c in frame.columns if c != spark_sql.get_time_alias(node.index)]
    if node.match != "spine":
        times = [node.group.event_time] if node.group.event_time else []
        frame = frame.dropna(
            subset=[
                spark_sql.get_alias(NodeColumn(node.index, c)) for c in (*node.right_keys, *times)
            ]
        )
    return ArrowRelation.from_frame(
        frame.select(*names), arrow_types.to_arrow_schema(_get_column_types(plan, names))
    )
