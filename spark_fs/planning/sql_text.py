"""A plan as readable SQL of the standard, with every rule of the match spelled out.

The text is for people and for other engines (DuckDB runs it as it is); spark_fs itself never runs
it.
"""

from collections.abc import Callable, Sequence

from spark_fs.planning.outer_joins import (
    OuterJoin,
    has_outer_joins,
    iter_outer_joins,
    join_extended_spine,
    name_match,
    select_spine,
)
from spark_fs.planning.plan import JoinPlan, NodeColumn, OutputColumn, PlanNode
from spark_fs.planning.sql_expressions import (
    cast_compared,
    format_condition,
    format_instant,
    format_interval,
    format_literal,
    quote_name,
)
from spark_fs.planning.window_plan import WindowPlan
from spark_fs.planning.window_sql import format_windows
from spark_fs.spec.predicates import Comparison, Condition

INGESTED_AT = "_ingested_at"


def to_sql(plan: JoinPlan) -> str:
    """The SQL that a plan stands for; event times are UTC instants."""
    spine = _format_spine(plan.nodes[0])
    if not has_outer_joins(plan):
        return _format_plan(plan, spine)
    columns = list(select_spine(plan).schema)
    listed = ", ".join(map(quote_name, columns))
    rows = f"SELECT {listed} FROM {spine} AS s"  # noqa: S608 # names are quoted, nothing runs it
    for join in iter_outer_joins(plan):
        matched = _format_plan(join.matched, f"(\n{_indent(rows)}\n)")
        rows += f"\nUNION ALL\n{_format_unmatched(join, matched, columns)}"
    return _format_plan(join_extended_spine(plan), f"(\n{_indent(rows)}\n)")


def _format_unmatched(join: OuterJoin, matched: str, columns: Sequence[str]) -> str:
    """The rows of the spine, with these columns, for what a right or outer join did not match."""
    sources = {name: f"r.{quote_name(column)}" for column, name in join.columns}
    selected = []
    for column in columns:
        selected.append(f"{sources.get(column, 'NULL')} AS {quote_name(column)}")
    rules = [f"m.{quote_name(name_match(name))} = {own}" for name, own in sources.items()]
    conditions = [f"{own} IS NOT NULL" for own in sources.values()]
    if join.node.where is not None:
        conditions.append(_format_own_condition(join.node, join.node.where, "r."))
    lines = [
        f"SELECT DISTINCT {', '.join(selected)}",
        f"FROM {_format_table(join.node)} AS r",
        f"WHERE {' AND '.join(conditions)} AND NOT EXISTS (",
        "  SELECT 1 FROM (",
        _indent(_indent(matched)),
        f"  ) AS m WHERE {' AND '.join(rules)}",
        ")",
    ]
    return "\n".join(lines)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _format_plan(plan: JoinPlan, spine: str) -> str:
    """The SQL of a plan whose leftmost rows are those of a table or of a query in parentheses."""
    names = _make_aliases(plan)

    def format_column(source: NodeColumn) -> str:
        return f"{names[source.node]}.{quote_name(source.column)}"

    def format_compared(comparison: Comparison) -> str:
        source = plan.find_column(comparison)
        type_ = plan.nodes[source.node].group.get_column_type(source.column)
        return cast_compared(format_column(source), type_)

    def format_output(output: OutputColumn) -> str:
        column = format_column(output.source)
        if output.name == output.source.column:
            return column
        return f"{column} AS {quote_name(output.name)}"

    lines = [
        f"SELECT {', '.join(map(format_output, plan.outputs))}",
        f"FROM {spine} AS {names[0]}",
    ]
    for node in plan.nodes[1:]:
        lines += _format_join(plan, node, names[node.index], format_column)
    conditions = [format_condition(condition, format_compared) for condition in plan.having]
    if plan.splits:
        conditions.append(_format_splits(plan, format_column))
    if conditions:
        lines.append(f"WHERE {' AND '.join(conditions)}")
    return "\n".join(lines)


def _format_splits(plan: JoinPlan, format_column: Callable[[NodeColumn], str]) -> str:
    """The condition that a row is in one of the plan's splits."""
    spine_time = _format_spine_time(plan, format_column)
    splits = []
    for interval in plan.splits.values():
        bounds = [f"{spine_time} IS NOT NULL"]
        if interval.start is not None:
            bounds.append(f"{spine_time} >= {format_literal(interval.start)}")
        if interval.end is not None:
            bounds.append(f"{spine_time} < {format_literal(interval.end)}")
        splits.append(" AND ".join(bounds))
    if len(splits) == 1:
        return splits[0]
    return f"({' OR '.join(splits)})"


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
        aliases[node.index] = quote_name(name)
    return aliases


def _format_table(node: PlanNode) -> str:
    if node.group.is_dataframe:
        text = quote_name("spine")
    else:
        text = quote_name(f"{node.group.name}_{node.group.version}")
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
        return cast_compared(f"{prefix}{quote_name(comparison.column)}", type_)

    return format_condition(condition, format_column)


def _format_join(
    plan: JoinPlan, node: PlanNode, name: str, format_column: Callable[[NodeColumn], str]
) -> list[str]:
    """A lateral join with the one row that matches, or with the features of windows."""
    if node.windows:
        return _format_windows_join(plan, node, node.windows, name, format_column)
    rules, order = _format_match(plan, node, format_column)
    lines = [
        f"{node.join_type.upper()} JOIN LATERAL (",
        f"  SELECT * FROM {_format_table(node)} AS r",  # noqa: S608 # as above
        "  WHERE " + "\n    AND ".join(rules),
    ]
    if order:
        lines.append(f"  ORDER BY {', '.join(order)} LIMIT 1")
    return [*lines, f") AS {name} ON TRUE"]


def _format_windows_join(
    plan: JoinPlan,
    node: PlanNode,
    windows: WindowPlan,
    name: str,
    format_column: Callable[[NodeColumn], str],
) -> list[str]:
    """A lateral join with one row, of features of the events in the windows."""
    rules = _format_key_rules(node, format_column)
    if node.where is not None:
        rules.append(_format_own_condition(node, node.where, "r."))
    needed = plan.narrow_windows(node, windows)
    if not needed.features:
        return []
    lines = format_windows(
        needed, _format_table(node), rules, _format_spine_time(plan, format_column)
    )
    return ["LEFT JOIN LATERAL (", *(f"  {line}" for line in lines), f") AS {name} ON TRUE"]


def _format_key_rules(node: PlanNode, format_column: Callable[[NodeColumn], str]) -> list[str]:
    """The conditions on a row ``r`` of a node that it is of the left side's key."""
    rules = []
    for right_key, left_key in zip(node.right_keys, node.left_keys, strict=True):
        left_column = format_column(left_key)
        rules.append(f"r.{quote_name(right_key)} = {left_column}")
    return rules


def _format_match(
    plan: JoinPlan, node: PlanNode, format_column: Callable[[NodeColumn], str]
) -> tuple[list[str], list[str]]:
    """The conditions on a row ``r`` that may match, and the order whose first row matches."""
    group = node.group
    rules = _format_key_rules(node, format_column)
    order = []
    spine_time = _format_spine_time(plan, format_column)
    if group.event_time:
        type_ = group.get_column_type(group.event_time)
        event_time = format_instant(f"r.{quote_name(group.event_time)}", type_)
        order.append(f"{event_time} DESC")
        rules += _format_time_rules(event_time, spine_time, group.ttl_seconds)
    if plan.as_known:
        rules.append(f"r.{INGESTED_AT} <= {spine_time}")
    if node.where is not None:
        rules.append(_format_own_condition(node, node.where, "r."))
    if node.may_tie:
        order.append(f"r.{INGESTED_AT} DESC")
        for column in node.tie_breakers:
            order.append(f"r.{quote_name(column)} DESC NULLS LAST")
    return rules, order


def _format_spine_time(plan: JoinPlan, format_column: Callable[[NodeColumn], str]) -> str:
    """The instant at which a row of the spine looks; empty without event time."""
    if not plan.spine.event_time:
        return ""
    column = format_column(NodeColumn(0, plan.spine.event_time))
    return format_instant(column, plan.spine.get_column_type(plan.spine.event_time))


def _format_time_rules(event_time: str, spine_time: str, ttl_seconds: float | None) -> list[str]:
    if not spine_time:
        return [f"{event_time} IS NOT NULL"]
    rules = [f"{event_time} <= {spine_time}"]
    if ttl_seconds is not None:
        rules.append(f"{event_time} >= {spine_time} - {format_interval(ttl_seconds)}")
    return rules
