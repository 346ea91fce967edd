"""Which columns of a query the comparisons of its filters speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spark_fs.errors import NotFoundError, QueryError
from spark_fs.spec.conditions import cast_condition
from spark_fs.spec.predicates import NO_GROUP, Comparison, Condition, map_comparisons

if TYPE_CHECKING:
    from spark_fs.planning.plan import OutputColumn, PlanNode


@dataclass(frozen=True)
class NodeColumn:
    """A column of the group at one node of the query (a group joined twice has two nodes)."""

    node: int
    column: str


def resolve_names(
    nodes: Sequence[PlanNode], outputs: Sequence[OutputColumn], condition: Condition
) -> Condition:
    """The condition, whose columns that are named alone have the group that they are of.

    Args:
        nodes: The groups of the query.
        outputs: The columns of its result.
        condition: The condition.

    Raises:
        NotFoundError: No group of the query has such a column.
        QueryError: Several have it.
    """

    def find_group(comparison: Comparison) -> Comparison:
        if comparison.group != NO_GROUP:
            return comparison
        source = find_named_column(nodes, outputs, comparison.column)
        group = nodes[source.node].group.ref
        return replace(comparison, group=group, column=source.column)

    return map_comparisons(condition, find_group)


def find_named_column(
    nodes: Sequence[PlanNode], outputs: Sequence[OutputColumn], name: str
) -> NodeColumn:
    """The column that a name alone means: that of the result, or of the only group with it.

    Args:
        nodes: The groups of the query.
        outputs: The columns of its result.
        name: The name.

    Raises:
        NotFoundError: No group has it.
        QueryError: Several have it.
    """
    joined = [node for node in nodes if node.windows is None]
    indices = {node.index for node in joined}
    for output in outputs:
        if output.name == name and output.source.node in indices:
            return output.source
    sources = [NodeColumn(node.index, name) for node in joined if name in node.group.types]
    if len(sources) > 1:
        groups = " and ".join(str(nodes[source.node].group) for source in sources)
        raise QueryError(
            f"Column {name!r} could be of {groups}: take it from one of them, as in fg[{name!r}]."
        )
    if not sources:
        names = dict.fromkeys(column for node in joined for column in node.group.types)
        raise NotFoundError.for_name(
            "Column of the query", name, names, "Compare a column of one of its groups."
        )
    return sources[0]


def find_node_column(nodes: Sequence[PlanNode], comparison: Comparison) -> NodeColumn:
    """The one column of these nodes that a comparison speaks of.

    The events of windows have no row in the result, so no comparison speaks of them.

    Raises:
        NotFoundError: None of them has it.
        QueryError: Several have it.
    """
    joined = [node for node in nodes if node.windows is None]
    matching = [node for node in joined if node.group.ref == comparison.group]
    if not matching:
        raise NotFoundError.for_name(
            "Feature group of a filter",
            comparison.group.name,
            (node.group.name for node in joined),
            "Join it first.",
        )
    if len(matching) > 1:
        raise QueryError(
            f"The filter on {comparison.column!r} could mean either of the joins of"
            f" {comparison.group}: filter that group before it is joined."
        )
    node = matching[0]
    node.group.get_column_type(comparison.column)  # NotFoundError if it has no such column
    return NodeColumn(node.index, comparison.column)


def bind_condition(nodes: Sequence[PlanNode], condition: Condition) -> Condition:
    """The condition with values of its columns' types; errors as ``find_node_column``."""

    def get_type(comparison: Comparison) -> str:
        node_column = find_node_column(nodes, comparison)
        return nodes[node_column.node].group.get_column_type(node_column.column)

    return cast_condition(condition, get_type)
