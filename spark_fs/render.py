"""A plan as readable SQL: what a query stands for, in the words of the standard, with every rule of the match spelled out.

The text is for people and for other engines (DuckDB runs it as it is); spark_fs itself never runs it.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from math import isinf
from typing import Any

from spark_fs.plan import JoinPlan, Node, NodeColumn
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import Comparison, Condition
from spark_fs.times import seconds
from spark_fs.types import aware

INGESTED_AT = "_ingested_at"
_MILLISECONDS_FROM = 100_000_000_000


def to_sql(plan: JoinPlan) -> str:
    """The SQL that a plan stands for; event times are UTC instants."""
    names = _aliases(plan)

    def column(place: NodeColumn) -> str:
        return f'{names[place.node]}."{place.column}"'

    def having(one: Comparison) -> str:
        place = plan.locate(one)
        return _compared(column(place), plan.nodes[place.node].group.type_of(place.column))

    outputs = ", ".join(column(o.source) + (f' AS "{o.name}"' if o.name != o.source.column else "") for o in plan.outputs)
    lines = [f"SELECT {outputs}", f"FROM {_spine(plan.nodes[0])} AS {names[0]}"]
    for node in plan.nodes[1:]:
        lines += _join(plan, node, names[node.index], column)
    if plan.having:
        lines.append("WHERE " + " AND ".join(condition(c, having) for c in plan.having))
    return "\n".join(lines)


def _aliases(plan: JoinPlan) -> dict[int, str]:
    """A name for each place of the query: the group's, with a number where it comes again."""
    found: dict[int, str] = {}
    for node in plan.nodes:
        name = "spine" if node.group.is_frame else node.group.name
        number = 1 + sum(other.group.ref == node.group.ref or other.group.name == name for other in plan.nodes[: node.index])
        found[node.index] = f'"{name}"' if number == 1 else f'"{name}_again{number}"'
    return found


def _table(node: Node) -> str:
    name = '"spine"' if node.group.is_frame else f'"{node.group.name}_{node.group.version}"'
    return name + (f" VERSION AS OF {node.as_of}" if node.as_of is not None else "")


def _spine(node: Node) -> str:
    if node.where is None:
        return _table(node)
    types = node.group.types
    where = condition(node.where, lambda one: _compared(_quoted(one.column), types[one.column]))
    return f"(SELECT * FROM {_table(node)} WHERE {where})"  # noqa: S608 # names are quoted, nothing runs it


def _compared(column: str, type_: str) -> str:
    """A column as it is compared: a single float with its exact value, which some engines round the other side to."""
    return f"CAST({column} AS DOUBLE)" if type_ == "float" else column


def _join(plan: JoinPlan, node: Node, name: str, column: Callable[[NodeColumn], str]) -> list[str]:
    """A lateral join with the one row that matches."""
    kind = "INNER" if node.join_type == "inner" else "LEFT"
    spine, group = plan.spine, node.group
    rules = [f"r.{_quoted(mine)} = {column(theirs)}" for mine, theirs in zip(node.right_keys, node.left_keys, strict=True)]
    order = []
    at = instant(column(NodeColumn(0, spine.event_time)), spine) if spine.event_time else ""
    if group.event_time:
        mine = instant(f"r.{_quoted(group.event_time)}", group)
        order.append(f"{mine} DESC")
        rules.append(f"{mine} <= {at}" if at else f"{mine} IS NOT NULL")
        if at and group.ttl_seconds is not None:
            rules.append(f"{mine} >= {at} - INTERVAL '{seconds(group.ttl_seconds).replace(',', '')}' SECOND")
    if plan.as_known:
        rules.append(f"r.{INGESTED_AT} <= {at}")
    if node.where is not None:
        rules.append(condition(node.where, lambda one: _compared(f"r.{_quoted(one.column)}", group.type_of(one.column))))
    if node.may_tie:
        order += [f"r.{INGESTED_AT} DESC", *(f"r.{_quoted(tie)} DESC NULLS LAST" for tie in node.ties)]
    lines = [f"{kind} JOIN LATERAL (", f"  SELECT * FROM {_table(node)} AS r", "  WHERE " + "\n    AND ".join(rules)]  # noqa: S608 # as above
    if order:
        lines.append(f"  ORDER BY {', '.join(order)} LIMIT 1")
    return [*lines, f") AS {name} ON TRUE"]


def instant(text: str, group: GroupSpec) -> str:
    """The SQL of a group's event time as a timestamp."""
    type_ = group.type_of(group.event_time or "")
    if type_ == "timestamp":
        return text
    if type_ == "date":
        return f"CAST({text} AS TIMESTAMP)"
    unit = f"CASE WHEN ABS({text}) < {_MILLISECONDS_FROM} THEN {text} * 1000 ELSE {text} END"
    return f"TIMESTAMP '1970-01-01 00:00:00' + ({unit}) * INTERVAL '0.001' SECOND"


def condition(each: Condition, column: Callable[[Comparison], str]) -> str:
    """The SQL of a condition over the columns that ``column`` names."""
    if not isinstance(each, Comparison):
        parts = [condition(part, column) for part in each.parts]
        return f"NOT {parts[0]}" if each.operator == "not" else f"({f' {each.operator.upper()} '.join(parts)})"
    name = column(each)
    if each.operator == "is_null":
        return f"({name} IS NULL)"
    if each.operator == "in":
        return f"({name} IN ({', '.join(map(literal, each.value))}))" if each.value else "(FALSE)"
    return f"({name} {_OPERATORS.get(each.operator, each.operator)} {literal(each.value)})"


_OPERATORS = {"==": "=", "!=": "<>", "like": "LIKE"}


def literal(value: Any) -> str:
    """The SQL of a value."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return f"TIMESTAMP '{aware(value).replace(tzinfo=None).isoformat(' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, float) and isinf(value):
        return f"CAST('{'Infinity' if value > 0 else '-Infinity'}' AS DOUBLE)"
    if isinstance(value, int | float | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return "'" + str(value).replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return f'"{name}"'
