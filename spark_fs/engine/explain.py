"""Say in words how a plan is run: the spine, each match rule, what is left unread, and which strategy, why."""

from collections.abc import Iterator

from spark_fs import render
from spark_fs.engine.reads import Read
from spark_fs.engine.strategy import Choice, Step
from spark_fs.plan import JoinPlan, Node, NodeColumn
from spark_fs.times import seconds
from spark_fs.types import from_micros

_WAYS = {
    "columnar": "columnar: the rows of every side are packed into buckets of keys, and Spark moves the buckets",
    "broadcast": "broadcast: every task reads the joined groups itself, and nothing is shuffled",
    "sql": "sql: one union and one window of Spark SQL",
}


def explain(plan: JoinPlan, choice: Choice) -> str:
    """The plan and the choice, as lines of text."""
    return "\n".join(_lines(plan, choice))


def _lines(plan: JoinPlan, choice: Choice) -> Iterator[str]:
    spine, *others = plan.nodes
    yield f"spine: {_named(spine)}, " + (f"event time {spine.group.event_time!r}" if spine.group.event_time else "without event time")
    yield from _read(plan, spine, choice.reads[0])
    for node in others:
        yield f"{node.join_type} join: {_named(node)}" + (f", prefix {node.prefix!r}" if node.prefix else "")
        yield f"  match: {_rule(plan, node)}"
        yield from _read(plan, node, choice.reads[node.index])
    for condition in plan.having:
        yield f"filter on the result: {render.condition(condition, lambda c: f'{c.group.name}.{c.column}')}"
    for step in choice.steps:
        yield f"strategy for {', '.join(_named(node) for node in step.nodes)}"
        yield from _way(choice, step)
    if not choice.steps:
        yield "strategy: nothing is joined, so Spark reads the group"


def _way(choice: Choice, step: Step) -> Iterator[str]:
    if choice.by_sql and step.way != "sql":
        yield f"  {_WAYS['sql']}"
        yield "  why: another part of the query needs it"
        return
    yield f"  {_WAYS[step.way]}"
    yield f"  why: {step.why}"


def _named(node: Node) -> str:
    name = "a DataFrame" if node.group.is_frame else str(node.group)
    return name if node.as_of is None else f"{name} as of its version {node.as_of}"


def _rule(plan: JoinPlan, node: Node) -> str:
    pairs = [f"{right} = {_place(plan, left)}" for right, left in zip(node.right_keys, node.left_keys, strict=True)]
    at = f"{plan.spine.name if not plan.spine.is_frame else 'spine'}.{plan.spine.event_time}"
    parts = [" and ".join(pairs)]
    if node.match == "point_in_time":
        parts.append(f"the greatest {node.group.event_time} not after {at}")
        if node.group.ttl_seconds is not None:
            parts.append(f"at most {seconds(node.group.ttl_seconds)} seconds older")
    if node.match == "latest":
        parts.append(f"the greatest {node.group.event_time} of all, since the spine has no event time")
    if plan.as_known:
        parts.append(f"ingested by {at}")
    if node.may_tie:
        parts.append("of several such rows the last ingested")
    return ", ".join(parts)


def _place(plan: JoinPlan, place: NodeColumn) -> str:
    group = plan.nodes[place.node].group
    return f"{'spine' if group.is_frame else group.name}.{place.column}"


def _read(plan: JoinPlan, node: Node, read: Read) -> Iterator[str]:
    if node.where is not None:
        yield f"  filter before the match: {render.condition(node.where, lambda c: c.column)}"
    columns = plan.columns_of(node)
    yield f"  columns: {len(columns)} of {len(node.group.types)} ({', '.join(columns[:8])}{', ...' if len(columns) > 8 else ''})"
    if node.match == "point_in_time" and read.within != (None, None):
        start, end = (None if bound is None else from_micros(bound).isoformat() for bound in read.within)
        bounds = [f"from {start}"] * (start is not None) + [f"before {end}"] * (end is not None)
        yield f"  event times: {' and '.join(bounds)}; no other row can match"
    if node.group.source is not None:
        yield "  files: read by Spark, their number and size are not known"
        return
    size = "" if read.bytes is None else f", about {max(1, read.bytes >> 10):,} kB"
    how = "" if read.scan else ", by Spark"
    yield f"  files: {read.kept} of {read.files}{size}{how}"
