"""Turn a bound plan into a DataFrame by Spark SQL alone, and the parts of it that every strategy shares.

Every column of every group travels as ``n<place>_<column>``, so that groups which share names, or
one group joined twice, never meet; the plan's outputs give them their names at the end.
"""

from collections.abc import Callable
from datetime import date, datetime
from functools import reduce
from math import isinf
from operator import and_, or_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base.times import EPOCH, Interval, from_micros, to_micros
from spark_fs.engine.join import asof
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan, NodeColumn, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import Comparison, Condition
from spark_fs.tables.delta.commands import INGESTED_AT
from spark_fs.tables.event_times import convert_to_micros

NodeReader = Callable[[PlanNode], DataFrame]


def build_sql_join(
    plan: JoinPlan, read_node: NodeReader, get_bounds: Callable[[PlanNode], TimeBounds]
) -> DataFrame:
    """The result of the plan*, over the tables that ``read`` gives; ``within`` bounds the event times that can match at all."""
    frame = select_node_rows(plan, plan.nodes[0], read_node(plan.nodes[0]))
    for nodes in plan.join_stages:
        sides = [
            _build_right_side(
                plan, node, _filter_event_times(read_node(node), node, get_bounds(node))
            )
            for node in nodes
        ]
        left = asof.JoinSide(
            frame,
            [get_alias(key) for key in nodes[0].left_keys],
            get_time_alias(0) if plan.spine.event_time else None,
        )
        timed = [side for side in sides if left.time and (side.time or side.known_from)]
        frame = asof.join_point_in_time(left, timed) if timed else frame
        for side in sides:
            if not (left.time and (side.time or side.known_from)):
                frame = asof.join_latest_by_key(asof.JoinSide(frame, left.keys), side)
        for node in nodes:
            if node.join_type == "inner":  # a match has an instant of ingestion
                frame = frame.filter(F.col(get_ingested_alias(node)).isNotNull())
    return select_outputs(plan, frame)


def select_outputs(plan: JoinPlan, frame: DataFrame) -> DataFrame:
    """The result* of a plan from its joined rows: the conditions on the whole, and the names that users gave."""
    for condition in plan.having:
        frame = frame.filter(
            to_spark_condition(condition, lambda c: F.col(get_alias(plan.find_column(c))))
        )
    split = [F.col(SPLIT_COLUMN)] if plan.splits else []
    return frame.select(
        *(F.col(get_alias(output.source)).alias(output.name) for output in plan.outputs), *split
    )


def select_node_rows(plan: JoinPlan, node: PlanNode, frame: DataFrame) -> DataFrame:
    """The node's rows*: its own filter applied, its columns under their travelling names, its time in microseconds beside them."""
    group = node.group
    if node.where is not None:
        frame = frame.filter(to_spark_condition(node.where, lambda c: F.col(c.column)))
    columns = [
        F.col(c).alias(get_alias(NodeColumn(node.index, c))) for c in plan.list_columns(node)
    ]
    if group.event_time:
        instant = convert_to_micros(
            F.col(group.event_time), group.get_column_type(group.event_time)
        )
        columns.append(instant.alias(get_time_alias(node.index)))
        if node.match == "spine" and plan.splits:
            held = {
                name_: _is_within(i, F.col(group.event_time), instant, group)
                for name_, i in plan.splits.items()
            }
            frame = frame.filter(reduce(or_, held.values()))
            columns.append(
                F.coalesce(*(F.when(inside, F.lit(name_)) for name_, inside in held.items())).alias(
                    SPLIT_COLUMN
                )
            )
    if node.match != "spine":
        columns.append(F.col(INGESTED_AT).alias(get_ingested_alias(node)))
    return frame.select(*columns)


def _build_right_side(plan: JoinPlan, node: PlanNode, frame: DataFrame) -> asof.JoinSide:
    right = select_node_rows(plan, node, frame)
    known = None
    if plan.as_known:
        known = f"n{node.index}__known"
        right = right.withColumn(known, F.unix_micros(get_ingested_alias(node)))
    ties = (
        [
            get_ingested_alias(node),
            *(get_alias(NodeColumn(node.index, c)) for c in node.tie_breakers),
        ]
        if node.may_tie
        else []
    )
    keys = [get_alias(NodeColumn(node.index, key)) for key in node.right_keys]
    return asof.JoinSide(
        right,
        keys,
        get_time_alias(node.index) if node.group.event_time else None,
        ties,
        known,
        node.group.ttl_micros,
    )


def _filter_event_times(frame: DataFrame, node: PlanNode, bounds: TimeBounds) -> DataFrame:
    """Without the rows* whose event time cannot match; on a timestamp it is compared as it is, so that Delta can skip files by it."""
    event_time = node.group.event_time
    if event_time is None or node.group.get_column_type(event_time) != "timestamp":
        return frame
    start, end = bounds
    if start is not None:
        frame = frame.filter(F.col(event_time) >= _to_literal(from_micros(start)))
    return frame if end is None else frame.filter(F.col(event_time) < _to_literal(from_micros(end)))


def _is_within(interval: Interval, event_time: Column, instant: Column, group: GroupSpec) -> Column:
    """Whether start <= event time < end; on a timestamp it is compared as it is, so that Delta can skip files by it."""
    plain = group.event_time and group.get_column_type(group.event_time) == "timestamp"
    bounds = [F.lit(True)]
    for when, compare in ((interval.start, Column.__ge__), (interval.end, Column.__lt__)):
        if when is not None:
            bounds.append(
                compare(event_time, _to_literal(when))
                if plain
                else compare(instant, F.lit(to_micros(when)))
            )
    return reduce(and_, bounds)


def to_spark_condition(condition: Condition, find_column: Callable[[Comparison], Column]) -> Column:
    """A condition as a Spark expression over the columns that ``column`` finds."""
    if isinstance(condition, Comparison):
        return _COMPARE[condition.operator](find_column(condition), condition.value)
    parts = [to_spark_condition(part, find_column) for part in condition.parts]
    return (
        ~parts[0]
        if condition.operator == "not"
        else reduce(and_ if condition.operator == "and" else or_, parts)
    )


def _to_literal(value: Any) -> Column:
    """A value as Spark's literal: PySpark takes no infinity, and loses days of times before 1582 in the Julian calendar."""
    if isinstance(value, datetime):
        return F.timestamp_micros(F.lit(to_micros(value)))
    if isinstance(value, date):
        return F.date_from_unix_date(F.lit((value - EPOCH.date()).days))
    if isinstance(value, float) and isinf(value):
        return F.lit("Infinity" if value > 0 else "-Infinity").cast("double")
    return F.lit(value)


_COMPARE: dict[str, Callable[[Column, Any], Column]] = {
    "==": lambda c, v: c == _to_literal(v),
    "!=": lambda c, v: c != _to_literal(v),
    "<": lambda c, v: c < _to_literal(v),
    "<=": lambda c, v: c <= _to_literal(v),
    ">": lambda c, v: c > _to_literal(v),
    ">=": lambda c, v: c >= _to_literal(v),
    "in": lambda c, v: c.isin(*map(_to_literal, v)) if v else F.lit(False),
    "like": lambda c, v: c.like(str(v)),
    "is_null": lambda c, _: c.isNull(),
}


def get_alias(node_column: NodeColumn) -> str:
    """Under which name a column travels."""
    return f"n{node_column.node}_{node_column.column}"


def get_time_alias(node_index: int) -> str:
    """The event time of a node in microseconds."""
    return f"n{node_index}__time"


def get_ingested_alias(node: PlanNode) -> str:
    """The instant of ingestion of a node's row."""
    return f"n{node.index}__ingested"
