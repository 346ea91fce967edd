"""Right and outer joins: rows of a joined group that no row of the spine matched join the spine.

Such a row is a request of its own: the entity and, where there is one, the instant that it has. So
each row of the result, from whichever side, is answered by all groups as of its own instant.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from spark_fs.errors import QueryError
from spark_fs.planning.plan import JoinPlan, OutputColumn, PlanNode
from spark_fs.spec.query import JoinType

# What the spine's rows do without a match, once the others have joined it.
_JOINS_AFTER: Mapping[JoinType, JoinType] = {"right": "inner", "outer": "left"}


@dataclass(frozen=True)
class OuterJoin:
    """A right or outer join of a plan, and how its unmatched rows are found.

    columns: those of the joined group that a match is told by, each with the spine's column in
    which its value is to stand. matched: a plan of their values that were matched, under the names
    that ``name_match`` gives to the spine's columns. rows: a plan of all their values.
    """

    node: PlanNode
    columns: tuple[tuple[str, str], ...]
    matched: JoinPlan
    rows: JoinPlan


def has_outer_joins(plan: JoinPlan) -> bool:
    """Whether rows of a joined group join the spine."""
    return any(_is_outer(node) for node in plan.nodes)


def _is_outer(node: PlanNode) -> bool:
    return node.join_type in _JOINS_AFTER and node.windows is None


def iter_outer_joins(plan: JoinPlan) -> Iterator[OuterJoin]:
    """The right and outer joins of a plan, in their order.

    Raises QueryError for one through another group's row, as known, or of unlike event times.
    """
    for node in filter(_is_outer, plan.nodes):
        columns = _pair_columns(plan, node)
        spine = _hold_spine(plan)
        joined = replace(node, index=1, join_type="inner")
        matched = tuple(
            replace(OutputColumn.from_node(joined, column), name=name_match(name))
            for column, name in columns
        )
        alone = replace(
            joined, index=0, match="spine", left_keys=(), right_keys=(), join_type="left", prefix=""
        )
        yield OuterJoin(
            node,
            columns,
            JoinPlan((spine, joined), matched),
            JoinPlan((alone,), tuple(OutputColumn.from_node(alone, name) for name, _ in columns)),
        )


def _pair_columns(plan: JoinPlan, node: PlanNode) -> tuple[tuple[str, str], ...]:
    kind = node.join_type
    if plan.as_known:
        raise QueryError(
            f"A {kind} join cannot be combined with as_known, which asks what was known at the"
            " instants of the spine alone: use join_type 'left' or 'inner', or leave as_known out."
        )
    if any(key.node for key in node.left_keys):
        raise QueryError(
            f"Feature group {node.group} is joined through another group's row, and a {kind} join"
            " of it would add rows of no entity of the leftmost group: use join_type 'left' or"
            " 'inner' for it."
        )
    keys = [key.column for key in node.left_keys]
    columns = list(zip(node.right_keys, keys, strict=True))
    time = node.event_time
    spine_time = plan.spine.event_time
    if node.match != "point_in_time" or time is None or spine_time is None:
        return tuple(columns)
    own_type = node.group.get_column_type(time)
    spine_type = plan.spine.get_column_type(spine_time)
    if own_type != spine_type:
        raise QueryError(
            f"A {kind} join puts the event times of {node.group}, {own_type}, beside those of"
            f" {plan.spine}, {spine_type}: use join_type 'left' or 'inner', or insert times of one"
            " type."
        )
    return (*columns, (time, spine_time))


def name_match(spine_column: str) -> str:
    """What the value that is to stand in a column of the spine is called before it does."""
    return f"_{spine_column}"


def select_spine(plan: JoinPlan) -> JoinPlan:
    """The plan of the spine's own rows, with the columns that the plan needs."""
    spine = plan.nodes[0]
    needed = plan.with_identity().list_columns(spine)
    return JoinPlan((spine,), tuple(OutputColumn.from_node(spine, column) for column in needed))


def join_extended_spine(plan: JoinPlan) -> JoinPlan:
    """The plan over the spine that has the unmatched rows."""
    nodes = []
    for node in plan.nodes:
        join_type = _JOINS_AFTER.get(node.join_type, node.join_type)
        nodes.append(replace(node, join_type=join_type))
    nodes[0] = _hold_spine(plan)
    return replace(plan, nodes=tuple(nodes))


def _hold_spine(plan: JoinPlan) -> PlanNode:
    """The leftmost node over rows that were read already, each once and as the query filters."""
    group = replace(plan.spine, may_have_duplicates=False)
    return replace(plan.nodes[0], group=group, where=None, as_of=None)
