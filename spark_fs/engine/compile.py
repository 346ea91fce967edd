"""Turn a bound plan into a DataFrame.

Every column of every group travels as ``n<place>_<column>``, so that groups which share names, or one group joined
twice, never meet; the plan's outputs give them their names at the end.
"""

from collections.abc import Callable
from functools import reduce
from operator import and_, or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.engine import asof
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.plan import SPLIT, JoinPlan, Node, NodeColumn
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import Comparison, Condition
from spark_fs.times import Interval
from spark_fs.types import to_micros

Reader = Callable[[Node], DataFrame]


def compile_plan(plan: JoinPlan, read: Reader) -> DataFrame:
    """The result of the plan*, over the tables that ``read`` gives, one row per spine row of a left join."""
    frame = _rows(plan, plan.nodes[0], read)
    for node in plan.nodes[1:]:
        frame = _matched(frame, plan, node, read)
    for condition in plan.having:
        frame = frame.filter(expression(condition, lambda c: _at(plan.locate(c))))
    split = [F.col(SPLIT)] if plan.splits else []
    return frame.select(*(_at(output.source).alias(output.name) for output in plan.outputs), *split)


def _rows(plan: JoinPlan, node: Node, read: Reader) -> DataFrame:
    """The node's rows*: its own filter applied, its columns under their travelling names, its time in microseconds."""
    group = node.group
    frame = read(node)
    if node.where is not None:
        frame = frame.filter(expression(node.where, lambda c: F.col(c.column)))
    columns = [F.col(c).alias(_name(NodeColumn(node.index, c))) for c in plan.columns_of(node)]
    if group.event_time:
        instant = asof.micros(F.col(group.event_time), group.type_of(group.event_time))
        columns.append(instant.alias(_time(node.index)))
        if node.match == "spine" and plan.splits:
            held = {name: _within(i, F.col(group.event_time), instant, group) for name, i in plan.splits.items()}
            frame = frame.filter(reduce(or_, held.values()))
            columns.append(F.coalesce(*(F.when(inside, F.lit(name)) for name, inside in held.items())).alias(SPLIT))
    if node.match != "spine":
        columns.append(F.col(INGESTED_AT).alias(_ingested(node.index)))
    return frame.select(*columns)


def _matched(frame: DataFrame, plan: JoinPlan, node: Node, read: Reader) -> DataFrame:
    time = _time(node.index) if node.group.event_time else None
    left = asof.Side(frame, [_name(key) for key in node.left_keys], _time(0))
    right = asof.Side(_rows(plan, node, read), [_name(NodeColumn(node.index, k)) for k in node.right_keys], time)
    if node.match == "point_in_time":
        joined = asof.point_in_time(left, right, _ingested(node.index), node.group.ttl_seconds)
    else:
        joined = asof.by_key(left, right, _ingested(node.index))
    if node.join_type == "inner":  # a match has an instant of ingestion
        joined = joined.filter(F.col(_ingested(node.index)).isNotNull())
    return joined


def _within(interval: Interval, event_time: Column, instant: Column, group: GroupSpec) -> Column:
    """Whether start <= event time < end; on a timestamp it is compared as it is, so that Delta can skip files by it."""
    plain = group.event_time and group.type_of(group.event_time) == "timestamp"
    bounds = [F.lit(True)]
    for when, compare in ((interval.start, Column.__ge__), (interval.end, Column.__lt__)):
        if when is not None:
            bounds.append(compare(event_time, F.lit(when)) if plain else compare(instant, F.lit(to_micros(when))))
    return reduce(and_, bounds)


def expression(condition: Condition, column: Callable[[Comparison], Column]) -> Column:
    """A condition as a Spark expression over the columns that ``column`` finds."""
    if isinstance(condition, Comparison):
        return _COMPARE[condition.operator](column(condition), condition.value)
    parts = [expression(part, column) for part in condition.parts]
    return ~parts[0] if condition.operator == "not" else reduce(and_ if condition.operator == "and" else or_, parts)


_COMPARE: dict[str, Callable[[Column, object], Column]] = {
    "==": lambda c, v: c == F.lit(v),
    "!=": lambda c, v: c != F.lit(v),
    "<": lambda c, v: c < F.lit(v),
    "<=": lambda c, v: c <= F.lit(v),
    ">": lambda c, v: c > F.lit(v),
    ">=": lambda c, v: c >= F.lit(v),
    "in": lambda c, v: c.isin(*v),  # type: ignore[misc] # the api made it a tuple
    "like": lambda c, v: c.like(str(v)),
    "is_null": lambda c, _: c.isNull(),
}


def _name(place: NodeColumn) -> str:
    return f"n{place.node}_{place.column}"


def _at(place: NodeColumn) -> Column:
    return F.col(_name(place))


def _time(node: int) -> str:
    return f"n{node}__time"


def _ingested(node: int) -> str:
    return f"n{node}__ingested"
