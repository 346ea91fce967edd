"""Say in words how a plan is run: its match rules, what is not read, and which strategy, why."""

from collections.abc import Iterator, Sequence

from spark_fs.base.times import format_seconds, from_micros
from spark_fs.engine.engines import EngineChoice
from spark_fs.engine.join.strategy import STRATEGIES, ExecutionPlan, StagePlan
from spark_fs.engine.scan.parquet import UNBOUNDED, TimeBounds
from spark_fs.engine.scan.pruning import TableScanPlan
from spark_fs.planning import sql_expressions
from spark_fs.planning.plan import JoinPlan, NodeColumn, PlanNode
from spark_fs.planning.window_plan import WindowPlan

_SHOWN_COLUMNS = 8


def describe_plan(plan: JoinPlan, execution: ExecutionPlan, choice: EngineChoice) -> str:
    """The plan, and how it is run by which engine, as lines of text."""
    execution = execution.adapt_to(choice.engine)
    lines = [*_format_lines(plan, execution), *_format_engine(choice)]
    return "\n".join(lines)


def _format_engine(choice: EngineChoice) -> Iterator[str]:
    place = "threads of this process" if choice.engine == "local" else "workers of Spark"
    yield f"engine: {choice.engine}, in {place}"
    yield f"  why: {choice.reason}"


def _format_lines(plan: JoinPlan, execution: ExecutionPlan) -> Iterator[str]:
    spine, *others = plan.nodes
    event_time = "without event time"
    if spine.group.event_time:
        event_time = f"event time {spine.group.event_time!r}"
    yield f"spine: {_format_node(spine)}, {event_time}"
    yield from _format_scan(plan, spine, execution.scan_plans[0])
    for node in others:
        prefix = f", prefix {node.prefix!r}" if node.prefix else ""
        if node.windows:
            yield f"windows: of {_format_node(node)}{prefix}"
            yield from _format_windows(plan, node, node.windows)
        else:
            yield f"{node.join_type} join: {_format_node(node)}{prefix}"
            yield f"  match: {_format_match_rule(plan, node)}"
        yield from _format_scan(plan, node, execution.scan_plans[node.index])
    for condition in plan.having:
        text = sql_expressions.format_condition(condition, lambda c: f"{c.group.name}.{c.column}")
        yield f"filter on the result: {text}"
    for stage in execution.stages:
        yield f"strategy for {', '.join(map(_format_node, stage.nodes))}"
        yield from _format_strategy(execution, stage)
    if not execution.stages:
        yield "strategy: nothing is joined, so the group is read as it is"


def _format_strategy(execution: ExecutionPlan, stage: StagePlan) -> Iterator[str]:
    strategy = stage.strategy
    reason = stage.reason
    if execution.uses_sql and strategy is not STRATEGIES["sql"]:
        strategy = STRATEGIES["sql"]
        reason = "another part of the query needs it"
    yield f"  {strategy.description}"
    yield f"  why: {reason}"


def _format_node(node: PlanNode) -> str:
    name = "a DataFrame" if node.group.is_dataframe else str(node.group)
    if node.as_of is None:
        return name
    return f"{name} as of its version {node.as_of}"


def _format_match_rule(plan: JoinPlan, node: PlanNode) -> str:
    spine_time = _format_spine_time(plan)
    event_time = node.group.event_time
    parts = [_format_keys(plan, node)]
    if node.match == "point_in_time":
        parts.append(f"the greatest {event_time} not after {spine_time}")
        if node.group.ttl_seconds is not None:
            seconds = format_seconds(node.group.ttl_seconds)
            parts.append(f"at most {seconds} seconds older")
    if node.match == "latest":
        parts.append(f"the greatest {event_time} of all, since the spine has no event time")
    if plan.as_known:
        parts.append(f"ingested by {spine_time}")
    if node.may_tie:
        parts.append("of several such rows the last ingested")
    return ", ".join(parts)


def _format_windows(plan: JoinPlan, node: PlanNode, windows: WindowPlan) -> Iterator[str]:
    """Which rows the windows hold, and which features are made of them."""
    end = "up to and with" if windows.closed == "both" else "before"
    instant = f"{windows.known_at[0]} {end} {_format_spine_time(plan)}"
    yield f"  match: {_format_keys(plan, node)}, every row with {instant}"
    needed = plan.narrow_windows(node, windows)
    reach = "all history"
    if needed.longest_reach is not None:
        reach = f"at most {format_seconds(needed.longest_reach / 1_000_000)} seconds before"
    names = list(needed.schema)
    yield f"  features: {len(names)}, of {reach} ({_format_names(names)})"


def _format_keys(plan: JoinPlan, node: PlanNode) -> str:
    pairs = []
    for right, left in zip(node.right_keys, node.left_keys, strict=True):
        left_column = _format_column(plan, left)
        pairs.append(f"{right} = {left_column}")
    return " and ".join(pairs)


def _format_spine_time(plan: JoinPlan) -> str:
    spine = "spine" if plan.spine.is_dataframe else plan.spine.name
    return f"{spine}.{plan.spine.event_time}"


def _format_column(plan: JoinPlan, node_column: NodeColumn) -> str:
    group = plan.nodes[node_column.node].group
    name = "spine" if group.is_dataframe else group.name
    return f"{name}.{node_column.column}"


def _format_scan(plan: JoinPlan, node: PlanNode, scan_plan: TableScanPlan) -> Iterator[str]:
    if node.where is not None:
        condition = sql_expressions.format_condition(node.where, lambda c: c.column)
        yield f"  filter before the match: {condition}"
    columns = plan.list_columns(node)
    yield f"  columns: {len(columns)} of {len(node.group.types)} ({_format_names(columns)})"
    is_bounded = scan_plan.event_time_bounds != UNBOUNDED
    if node.match in ("point_in_time", "windows") and is_bounded:
        bounds = _format_bounds(scan_plan.event_time_bounds)
        yield f"  event times: {bounds}; no other row can match"
    yield _format_files(scan_plan)


def _format_names(columns: Sequence[str]) -> str:
    names = ", ".join(columns[:_SHOWN_COLUMNS])
    if len(columns) > _SHOWN_COLUMNS:
        names += ", ..."
    return names


def _format_bounds(bounds: TimeBounds) -> str:
    start, end = bounds
    parts = []
    if start is not None:
        parts.append(f"from {from_micros(start).isoformat()}")
    if end is not None:
        parts.append(f"before {from_micros(end).isoformat()}")
    return " and ".join(parts)


def _format_files(scan_plan: TableScanPlan) -> str:
    if scan_plan.scan and scan_plan.scan.is_held:
        return f"  rows: {scan_plan.scan.row_count:,}, in the memory of this process"
    if scan_plan.bytes is None:
        return "  files: read by Spark, their number and size are not known"
    text = f"  files: {scan_plan.files_after_pruning} of {scan_plan.total_files}"
    if scan_plan.bytes is not None:
        kilobytes = max(1, scan_plan.bytes >> 10)
        text += f", about {kilobytes:,} kB"
    if not scan_plan.scan:
        text += ", by Spark"
    return text
