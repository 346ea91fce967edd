"""Say in words how a plan is run: the spine, each match rule, what is left unread, and which strategy, why."""

from collections.abc import Iterator

from spark_fs.base.times import format_seconds, from_micros
from spark_fs.engine.join.strategy import ExecutionPlan, StagePlan
from spark_fs.engine.scan.pruning import TableScanPlan
from spark_fs.planning import sql_text
from spark_fs.planning.plan import JoinPlan, NodeColumn, PlanNode

_STRATEGY_TEXTS = {
    "columnar": (
        "columnar: the rows of every side are packed into buckets of keys, and Spark moves the"
        " buckets"
    ),
    "broadcast": "broadcast: every task reads the joined groups itself, and nothing is shuffled",
    "sql": "sql: one union and one window of Spark SQL",
}


def describe_plan(plan: JoinPlan, execution: ExecutionPlan) -> str:
    """The plan and the choice, as lines of text."""
    return "\n".join(_format_lines(plan, execution))


def _format_lines(plan: JoinPlan, execution: ExecutionPlan) -> Iterator[str]:
    spine, *others = plan.nodes
    yield f"spine: {_format_node(spine)}, " + (
        f"event time {spine.group.event_time!r}" if spine.group.event_time else "without event time"
    )
    yield from _format_scan(plan, spine, execution.scan_plans[0])
    for node in others:
        yield f"{node.join_type} join: {_format_node(node)}" + (
            f", prefix {node.prefix!r}" if node.prefix else ""
        )
        yield f"  match: {_format_match_rule(plan, node)}"
        yield from _format_scan(plan, node, execution.scan_plans[node.index])
    for condition in plan.having:
        yield (
            "filter on the result:"
            f" {sql_text.format_condition(condition, lambda c: f'{c.group.name}.{c.column}')}"
        )
    for step in execution.stages:
        yield f"strategy for {', '.join(_format_node(node) for node in step.nodes)}"
        yield from _format_strategy(execution, step)
    if not execution.stages:
        yield "strategy: nothing is joined, so Spark reads the group"


def _format_strategy(execution: ExecutionPlan, stage: StagePlan) -> Iterator[str]:
    if execution.uses_sql and stage.strategy != "sql":
        yield f"  {_STRATEGY_TEXTS['sql']}"
        yield "  why: another part of the query needs it"
        return
    yield f"  {_STRATEGY_TEXTS[stage.strategy]}"
    yield f"  why: {stage.reason}"


def _format_node(node: PlanNode) -> str:
    name = "a DataFrame" if node.group.is_dataframe else str(node.group)
    return name if node.as_of is None else f"{name} as of its version {node.as_of}"


def _format_match_rule(plan: JoinPlan, node: PlanNode) -> str:
    pairs = [
        f"{right} = {_format_column(plan, left)}"
        for right, left in zip(node.right_keys, node.left_keys, strict=True)
    ]
    at = f"{plan.spine.name if not plan.spine.is_dataframe else 'spine'}.{plan.spine.event_time}"
    parts = [" and ".join(pairs)]
    if node.match == "point_in_time":
        parts.append(f"the greatest {node.group.event_time} not after {at}")
        if node.group.ttl_seconds is not None:
            parts.append(f"at most {format_seconds(node.group.ttl_seconds)} seconds older")
    if node.match == "latest":
        parts.append(
            f"the greatest {node.group.event_time} of all, since the spine has no event time"
        )
    if plan.as_known:
        parts.append(f"ingested by {at}")
    if node.may_tie:
        parts.append("of several such rows the last ingested")
    return ", ".join(parts)


def _format_column(plan: JoinPlan, node_column: NodeColumn) -> str:
    group = plan.nodes[node_column.node].group
    return f"{'spine' if group.is_dataframe else group.name}.{node_column.column}"


def _format_scan(plan: JoinPlan, node: PlanNode, scan_plan: TableScanPlan) -> Iterator[str]:
    if node.where is not None:
        yield (
            "  filter before the match:"
            f" {sql_text.format_condition(node.where, lambda c: c.column)}"
        )
    columns = plan.list_columns(node)
    yield (
        f"  columns: {len(columns)} of {len(node.group.types)}"
        f" ({', '.join(columns[:8])}{', ...' if len(columns) > 8 else ''})"
    )
    if node.match == "point_in_time" and scan_plan.event_time_bounds != (None, None):
        start, end = (
            None if bound is None else from_micros(bound).isoformat()
            for bound in scan_plan.event_time_bounds
        )
        bounds = [f"from {start}"] * (start is not None) + [f"before {end}"] * (end is not None)
        yield f"  event times: {' and '.join(bounds)}; no other row can match"
    if node.group.source is not None:
        yield "  files: read by Spark, their number and size are not known"
        return
    size = "" if scan_plan.bytes is None else f", about {max(1, scan_plan.bytes >> 10):,} kB"
    how = "" if scan_plan.scan else ", by Spark"
    yield f"  files: {scan_plan.files_after_pruning} of {scan_plan.total_files}{size}{how}"
