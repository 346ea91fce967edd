"""A plan as readable SQL of the standard, with every rule of the match spelled out.

The text is for people and for other engines (DuckDB runs it as it is); spark_fs itself never runs
it.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from math import isinf
from typing import Any

from spark_fs.base.times import MILLISECONDS_FROM, as_utc, format_seconds
from spark_fs.planning.plan import JoinPlan, NodeColumn, OutputColumn, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import Comparison, Condition, Logic, fold_condition

INGESTED_AT = "_ingested_at"


def to_sql(plan: JoinPlan) -> str:
    """The SQL that a plan stands for; event times are UTC instants."""
    names = _make_aliases(plan)

    def format_column(source: NodeColumn) -> str:
        return f"{names[source.node]}.{_quote_name(source.column)}"

    def format_compared(comparison: Comparison) -> str:
        source = plan.find_column(comparison)
        type_ = plan.nodes[source.node].group.get_column_type(source.column)
        return _cast_compared(format_column(source), type_)

    def format_output(output: OutputColumn) -> str:
        column = format_column(output.source)
        if output.name == output.source.column:
            return column
        return f"{column} AS {_quote_name(output.name)}"

    lines = [
        f"SELECT {', '.join(map(format_output, plan.outputs))}",
        f"FROM {_format_spine(plan.nodes[0])} AS {names[0]}",
    ]
    for node in plan.nodes[1:]:
        lines += _format_join(plan, node, names[node.index], format_column)
    if plan.having:
        conditions = [format_condition(condition, format_compared) for condition in plan.having]
        lines.append(f"WHERE {' AND '.join(conditions)}")
    return "\n".join(lines)


def _make_aliases(plan: JoinPlan) -> dict[int, str]:
    """A name for each node of the query: the group's, with a number where it comes again."""
    aliases: dict[int, str] = {}
    for node in plan.nodes:
        name = "spine" if node.group.is_dataframe else node.group.name
        number = 1
        for other in plan.nodes[: node.index]:
            number += other.group.ref == node.group.ref or other.group.name == name
        if number > 1:
            name += f"_again{number}"
        aliases[node.index] = _quote_name(name)
    return aliases


def _format_table(node: PlanNode) -> str:
    if node.group.is_dataframe:
        text = _quote_name("spine")
    else:
        text = _quote_name(f"{node.group.name}_{node.group.version}")
    if node.as_of is not None:
        text += f" VERSION AS OF {node.as_of}"
    return text


def _format_spine(node: PlanNode) -> str:
    table = _format_table(node)
    if node.where is None:
        return table
    where = _format_own_condition(node, node.where, "")
    return f"(SELECT * FROM {table} WHERE {where})"  # noqa: S608 # names are quoted, nothing runs it


def _format_own_condition(node: PlanNode, condition: Condition, prefix: str) -> str:
    """A condition on a node's own rows, whose columns' names have this prefix."""

    def format_column(comparison: Comparison) -> str:
        type_ = node.group.get_column_type(comparison.column)
        return _cast_compared(f"{prefix}{_quote_name(comparison.column)}", type_)

    return format_condition(condition, format_column)


def _cast_compared(column: str, type_: str) -> str:
    """A column as it is compared.

    A single float is compared by its exact value, to which some engines would round the other side.
    """
    return f"CAST({column} AS DOUBLE)" if type_ == "float" else column


def _format_join(
    plan: JoinPlan, node: PlanNode, name: str, format_column: Callable[[NodeColumn], str]
) -> list[str]:
    """A lateral join with the one row that matches."""
    rules, order = _format_match(plan, node, format_column)
    lines = [
        f"{node.join_type.upper()} JOIN LATERAL (",
        f"  SELECT * FROM {_format_table(node)} AS r",  # noqa: S608 # as above
        "  WHERE " + "\n    AND ".join(rules),
    ]
    if order:
        lines.append(f"  ORDER BY {', '.join(order)} LIMIT 1")
    return [*lines, f") AS {name} ON TRUE"]


def _format_match(
    plan: JoinPlan, node: PlanNode, format_column: Callable[[NodeColumn], str]
) -> tuple[list[str], list[str]]:
    """The conditions on a row ``r`` that may match, and the order whose first row matches."""
    group = node.group
    rules = []
    for right_key, left_key in zip(node.right_keys, node.left_keys, strict=True):
        left_column = format_column(left_key)
        rules.append(f"r.{_quote_name(right_key)} = {left_column}")
    order = []
    spine_time = _format_spine_time(plan, format_column)
    if group.event_time:
        event_time = format_instant(f"r.{_quote_name(group.event_time)}", group)
        order.append(f"{event_time} DESC")
        rules += _format_time_rules(event_time, spine_time, group.ttl_seconds)
    if plan.as_known:
        rules.append(f"r.{INGESTED_AT} <= {spine_time}")
    if node.where is not None:
        rules.append(_format_own_condition(node, node.where, "r."))
    if node.may_tie:
        order.append(f"r.{INGESTED_AT} DESC")
        for column in node.tie_breakers:
            order.append(f"r.{_quote_name(column)} DESC NULLS LAST")
    return rules, order


def _format_spine_time(plan: JoinPlan, format_column: Callable[[NodeColumn], str]) -> str:
    """The instant at which a row of the spine looks; empty without event time."""
    if not plan.spine.event_time:
        return ""
    column = format_column(NodeColumn(0, plan.spine.event_time))
    return format_instant(column, plan.spine)


def _format_time_rules(event_time: str, spine_time: str, ttl_seconds: float | None) -> list[str]:
    if not spine_time:
        return [f"{event_time} IS NOT NULL"]
    rules = [f"{event_time} <= {spine_time}"]
    if ttl_seconds is not None:
        seconds = format_seconds(ttl_seconds).replace(",", "")
        rules.append(f"{event_time} >= {spine_time} - INTERVAL '{seconds}' SECOND")
    return rules


def format_instant(text: str, group: GroupSpec) -> str:
    """The SQL of a group's event time as a timestamp."""
    type_ = group.get_column_type(group.event_time or "")
    if type_ == "timestamp":
        return text
    if type_ == "date":
        return f"CAST({text} AS TIMESTAMP)"
    millis = _format_epoch_millis(text)
    return f"TIMESTAMP '1970-01-01 00:00:00' + ({millis}) * INTERVAL '0.001' SECOND"


def _format_epoch_millis(text: str) -> str:
    """The SQL of an epoch in seconds, from ``MILLISECONDS_FROM`` on in milliseconds, as millis."""
    return f"CASE WHEN ABS({text}) < {MILLISECONDS_FROM} THEN {text} * 1000 ELSE {text} END"


def format_condition(condition: Condition, format_column: Callable[[Comparison], str]) -> str:
    """The SQL of a condition over the columns that ``format_column`` names."""

    def compare(comparison: Comparison) -> str:
        text = _COMPARE[comparison.operator](format_column(comparison), comparison.value)
        return f"({text})"

    return fold_condition(condition, compare, _COMBINE)


def _format_in_list(column: str, values: tuple[Any, ...]) -> str:
    if not values:
        return "FALSE"
    return f"{column} IN ({', '.join(map(format_literal, values))})"


_COMPARE: Mapping[str, Callable[[str, Any], str]] = {
    "==": lambda column, value: f"{column} = {format_literal(value)}",
    "!=": lambda column, value: f"{column} <> {format_literal(value)}",
    "<": lambda column, value: f"{column} < {format_literal(value)}",
    "<=": lambda column, value: f"{column} <= {format_literal(value)}",
    ">": lambda column, value: f"{column} > {format_literal(value)}",
    ">=": lambda column, value: f"{column} >= {format_literal(value)}",
    "in": _format_in_list,
    "like": lambda column, value: f"{column} LIKE {format_literal(value)}",
    "is_null": lambda column, _: f"{column} IS NULL",
}
_COMBINE: Mapping[Logic, Callable[[list[str]], str]] = {
    "and": lambda parts: f"({' AND '.join(parts)})",
    "or": lambda parts: f"({' OR '.join(parts)})",
    "not": lambda parts: f"NOT {parts[0]}",
}


def format_literal(value: Any) -> str:
    """The SQL of a value."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"TIMESTAMP '{as_utc(value).replace(tzinfo=None).isoformat(' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, float) and isinf(value):
        infinity = "Infinity" if value > 0 else "-Infinity"
        return f"CAST('{infinity}' AS DOUBLE)"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _quote_name(name: str) -> str:
    return f'"{name}"'
