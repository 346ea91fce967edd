"""A bound plan as a DataFrame by Spark SQL alone, which needs no Python on the executors."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import reduce
from operator import and_, or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base.times import Interval, from_micros, to_micros
from spark_fs.engine.join import asof, columns
from spark_fs.engine.join.spark_filters import to_spark_condition, to_spark_literal
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import Comparison
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.spark_event_times import convert_to_micros

NodeReader = Callable[[PlanNode], DataFrame]


def build_sql_join(
    plan: JoinPlan, read_node: NodeReader, get_bounds: Callable[[PlanNode], TimeBounds]
) -> DataFrame:
    """The result of the plan*.

    Args:
        plan: A bound query.
        read_node: Gives the rows of a node.
        get_bounds: Gives the bounds of a node's event times that can match at all.
    """
    spine = plan.nodes[0]
    frame = select_node_rows(plan, spine, read_node(spine))
    for nodes in plan.join_stages:
        rights = []
        for node in nodes:
            rows = _filter_event_times(read_node(node), node, get_bounds(node))
            rights.append(_build_right_side(plan, node, rows))
        keys = [columns.get_alias(key) for key in nodes[0].left_keys]
        time = columns.get_time_alias(spine) if plan.spine.event_time else None
        frame = _join_sides(asof.JoinSide(frame, keys, time), rights)
        for node in nodes:
            if node.join_type == "inner":  # a match has an instant of ingestion
                ingested = F.col(columns.get_ingested_alias(node))
                frame = frame.filter(ingested.isNotNull())
    return select_outputs(plan, frame)


def _join_sides(left: asof.JoinSide, rights: list[asof.JoinSide]) -> DataFrame:
    """The left rows* with the matches of every right side, first of those with times."""
    timed = []
    untimed = []
    for right in rights:
        if left.time and (right.time or right.known_from):
            timed.append(right)
        else:
            untimed.append(right)
    frame = left.frame
    if timed:
        frame = asof.join_point_in_time(left, timed)
    for right in untimed:
        frame = asof.join_latest_by_key(asof.JoinSide(frame, left.keys), right)
    return frame


def select_outputs(plan: JoinPlan, frame: DataFrame) -> DataFrame:
    """The result* of a plan from its joined rows.

    The conditions on the whole are applied, and columns get the names that users gave.
    """

    def find_column(comparison: Comparison) -> Column:
        return F.col(columns.get_alias(plan.find_column(comparison)))

    for condition in plan.having:
        frame = frame.filter(to_spark_condition(condition, find_column))
    outputs = []
    for output in plan.outputs:
        column = F.col(columns.get_alias(output.source))
        outputs.append(column.alias(output.name))
    if plan.splits:
        outputs.append(F.col(SPLIT_COLUMN))
    return frame.select(*outputs)


def select_node_rows(plan: JoinPlan, node: PlanNode, frame: DataFrame) -> DataFrame:
    """The node's rows* that meet its own filter, with its columns as they travel.

    Its event time in microseconds stands beside them.
    """
    group = node.group
    if node.where is not None:
        frame = frame.filter(to_spark_condition(node.where, lambda c: F.col(c.column)))
    selected = []
    for name in plan.list_columns(node):
        alias = columns.get_node_alias(node, name)
        selected.append(F.col(name).alias(alias))
    if node.event_time:
        event_time = F.col(node.event_time)
        instant = convert_to_micros(event_time, group.get_column_type(node.event_time))
        selected.append(instant.alias(columns.get_time_alias(node)))
        if node.match == "spine" and plan.splits:
            in_splits = _list_split_conditions(plan, event_time, instant)
            frame = frame.filter(reduce(or_, in_splits.values()))
            selected.append(_choose_split(in_splits))
    if node.match != "spine":
        ingested = F.col(INGESTED_AT)
        selected.append(ingested.alias(columns.get_ingested_alias(node)))
    return frame.select(*selected)


def _list_split_conditions(
    plan: JoinPlan, event_time: Column, instant: Column
) -> dict[str, Column]:
    """Whether a row of the spine is in each split, by the split's name."""
    conditions = {}
    for name, interval in plan.splits.items():
        conditions[name] = _is_within(interval, event_time, instant, plan.spine)
    return conditions


def _choose_split(in_splits: Mapping[str, Column]) -> Column:
    """The name of the first split in which a row is."""
    names = [F.when(is_within, F.lit(name)) for name, is_within in in_splits.items()]
    return F.coalesce(*names).alias(SPLIT_COLUMN)


def _build_right_side(plan: JoinPlan, node: PlanNode, frame: DataFrame) -> asof.JoinSide:
    rows = select_node_rows(plan, node, frame)
    known_from = None
    if plan.as_known:
        known_from = columns.get_known_alias(node)
        ingested = columns.get_ingested_alias(node)
        rows = rows.withColumn(known_from, F.unix_micros(ingested))
    return asof.JoinSide(
        rows,
        columns.get_aliases(node, node.right_keys),
        columns.get_time_alias(node) if node.group.event_time else None,
        columns.get_tie_breaker_aliases(node),
        known_from,
        node.group.ttl_micros,
    )


def _filter_event_times(frame: DataFrame, node: PlanNode, bounds: TimeBounds) -> DataFrame:
    """The rows* without those whose event time cannot match.

    A timestamp is compared as it is, so that Delta can skip files by it.
    """
    event_time = node.group.event_time
    if event_time is None or node.group.get_column_type(event_time) != "timestamp":
        return frame
    column = F.col(event_time)
    start, end = bounds
    if start is not None:
        first = to_spark_literal(from_micros(start))
        frame = frame.filter(column >= first)
    if end is not None:
        behind = to_spark_literal(from_micros(end))
        frame = frame.filter(column < behind)
    return frame


def _is_within(interval: Interval, event_time: Column, instant: Column, group: GroupSpec) -> Column:
    """Whether start <= event time < end.

    A timestamp is compared as it is, so that Delta can skip files by it; others by their instants
    in microseconds.
    """
    if group.event_time and group.get_column_type(group.event_time) == "timestamp":
        compared = event_time
        to_bound: Callable[[datetime], Column] = to_spark_literal
    else:
        compared = instant
        to_bound = _to_micros_literal
    bounds = [F.lit(True)]
    if interval.start is not None:
        bounds.append(compared >= to_bound(interval.start))
    if interval.end is not None:
        bounds.append(compared < to_bound(interval.end))
    return reduce(and_, bounds)


def _to_micros_literal(when: datetime) -> Column:
    return F.lit(to_micros(when))
