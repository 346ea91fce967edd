"""A plan as readable SQL: what a query stands for, in the words of the standard, with every rule of the match spelled out.

The text is for people and for other engines (DuckDB runs it as it is); spark_fs itself never runs
it.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from math import isinf
from typing import Any

from spark_fs.base.times import MILLISECONDS_FROM, as_utc, format_seconds
from spark_fs.planning.plan import JoinPlan, NodeColumn, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import Comparison, Condition

INGESTED_AT = "_ingested_at"


def to_sql(plan: JoinPlan) -> str:
    """The SQL that a plan stands for; event times are UTC instants."""
    names = _make_aliases(plan)

    def format_column(source: NodeColumn) -> str:
        return f'{names[source.node]}."{source.column}"'

    def format_compared(comparison: Comparison) -> str:
        place = plan.find_column(comparison)
        return _cast_compared(
            format_column(place), plan.nodes[place.node].group.get_column_type(place.column)
        )

    outputs = ", ".join(
        format_column(o.source) + (f' AS "{o.name}"' if o.name != o.source.column else "")
        for o in plan.outputs
    )
    lines = [f"SELECT {outputs}", f"FROM {_format_spine(plan.nodes[0])} AS {names[0]}"]
    for node in plan.nodes[1:]:
        lines += _format_join(plan, node, names[node.index], format_column)
    if plan.having:
        lines.append(
            "WHERE " + " AND ".join(format_condition(c, format_compared) for c in plan.having)
        )
    return "\n".join(lines)


def _make_aliases(plan: JoinPlan) -> dict[int, str]:
    """A name for each place of the query: the group's, with a number where it comes again."""
    found: dict[int, str] = {}
    for node in plan.nodes:
        name = "spine" if node.group.is_dataframe else node.group.name
        number = 1 + sum(
            other.group.ref == node.group.ref or other.group.name == name
            for other in plan.nodes[: node.index]
        )
        found[node.index] = f'"{name}"' if number == 1 else f'"{name}_again{number}"'
    return found


def _format_table(node: PlanNode) -> str:
    name = '"spine"' if node.group.is_dataframe else f'"{node.group.name}_{node.group.version}"'
    return name + (f" VERSION AS OF {node.as_of}" if node.as_of is not None else "")


def _format_spine(node: PlanNode) -> str:
    if node.where is None:
        return _format_table(node)
    types = node.group.types
    where = format_condition(
        node.where, lambda one: _cast_compared(_quote_name(one.column), types[one.column])
    )
    return f"(SELECT * FROM {_format_table(node)} WHERE {where})"  # noqa: S608 # names are quoted, nothing runs it


def _cast_compared(column: str, type_: str) -> str:
    """A column as it is compared: a single float with its exact value, which some engines round the other side to."""
    return f"CAST({column} AS DOUBLE)" if type_ == "float" else column


def _format_join(
    plan: JoinPlan, node: PlanNode, name: str, format_column: Callable[[NodeColumn], str]
) -> list[str]:
    """A lateral join with the one row that matches."""
    kind = "INNER" if node.join_type == "inner" else "LEFT"
    spine, group = plan.spine, node.group
    rules = [
        f"r.{_quote_name(mine)} = {format_column(theirs)}"
        for mine, theirs in zip(node.right_keys, node.left_keys, strict=True)
    ]
    order = []
    at = (
        format_instant(format_column(NodeColumn(0, spine.event_time)), spine)
        if spine.event_time
        else ""
    )
    if group.event_time:
        mine = format_instant(f"r.{_quote_name(group.event_time)}", group)
        order.append(f"{mine} DESC")
        rules.append(f"{mine} <= {at}" if at else f"{mine} IS NOT NULL")
        if at and group.ttl_seconds is not None:
            rules.append(
                f"{mine} >= {at} - INTERVAL '{format_seconds(group.ttl_seconds).replace(',', '')}'"
                " SECOND"
            )
    if plan.as_known:
        rules.append(f"r.{INGESTED_AT} <= {at}")
    if node.where is not None:
        rules.append(
            format_condition(
                node.where,
                lambda one: _cast_compared(
                    f"r.{_quote_name(one.column)}", group.get_column_type(one.column)
                ),
            )
        )
    if node.may_tie:
        order += [
            f"r.{INGESTED_AT} DESC",
            *(f"r.{_quote_name(tie)} DESC NULLS LAST" for tie in node.tie_breakers),
        ]
    lines = [
        f"{kind} JOIN LATERAL (",
        f"  SELECT * FROM {_format_table(node)} AS r",  # noqa: S608 # as above
        "  WHERE " + "\n    AND ".join(rules),
    ]
    if order:
        lines.append(f"  ORDER BY {', '.join(order)} LIMIT 1")
    return [*lines, f") AS {name} ON TRUE"]


def format_instant(text: str, group: GroupSpec) -> str:
    """The SQL of a group's event time as a timestamp."""
    type_ = group.get_column_type(group.event_time or "")
    if type_ == "timestamp":
        return text
    if type_ == "date":
        return f"CAST({text} AS TIMESTAMP)"
    unit = f"CASE WHEN ABS({text}) < {MILLISECONDS_FROM} THEN {text} * 1000 ELSE {text} END"
    return f"TIMESTAMP '1970-01-01 00:00:00' + ({unit}) * INTERVAL '0.001' SECOND"


def format_condition(predicate: Condition, format_column: Callable[[Comparison], str]) -> str:
    """The SQL of a condition over the columns that ``column`` names."""
    if not isinstance(predicate, Comparison):
        parts = [format_condition(part, format_column) for part in predicate.parts]
        return (
            f"NOT {parts[0]}"
            if predicate.operator == "not"
            else f"({f' {predicate.operator.upper()} '.join(parts)})"
        )
    name = format_column(predicate)
    if predicate.operator == "is_null":
        return f"({name} IS NULL)"
    if predicate.operator == "in":
        return (
            f"({name} IN ({', '.join(map(format_literal, predicate.value))}))"
            if predicate.value
            else "(FALSE)"
        )
    return (
        f"({name} {_OPERATORS.get(predicate.operator, predicate.operator)}"
        f" {format_literal(predicate.value)})"
    )


_OPERATORS = {"==": "=", "!=": "<>", "like": "LIKE"}


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
        return f"CAST('{'Infinity' if value > 0 else '-Infinity'}' AS DOUBLE)"
    if isinstance(value, int | float | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _quote_name(name: str) -> str:
    return f'"{name}"'
