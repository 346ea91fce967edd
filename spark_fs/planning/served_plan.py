"""The plan that says of an entry and an instant what training says: what was served, read again."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from spark_fs.planning.plan import JoinPlan, MatchKind, NodeColumn, OutputColumn, PlanNode
from spark_fs.spec.feature_group import GroupSpec


def build_served_plan(
    plan: JoinPlan, entries: GroupSpec, names: Iterable[str], entry_columns: Mapping[str, str]
) -> JoinPlan:
    """A plan whose spine is entries at instants, and whose leftmost group is joined to it.

    A key that an entry has wins over that of a row, as in a vector. A group is left out, with all
    that is joined by its columns, where the entries lack its key. Filters on the leftmost group and
    on the whole query are left out, since none is asked of a vector.

    Args:
        plan: That of the view's query.
        entries: Keys by the names that entries use, with an event time; what identifies its rows
            comes out too.
        names: Which columns of the plan come out, where they can be read.
        entry_columns: Those that are keys of an entry, with the names of these.

    Returns:
        The plan; columns that cannot be read are not in its schema.
    """
    nodes = [PlanNode(0, entries, "spine")]
    places: dict[int, int] = {}  # of each group of the plan that can be read
    for node in plan.nodes:
        left_keys = node.left_keys
        right_keys = node.right_keys
        if node.match == "spine":
            right_keys = node.group.primary_key
            left_keys = tuple(NodeColumn(0, key) for key in right_keys)
        found = [_find_key(key, entries, places) for key in left_keys]
        known = tuple(key for key in found if key is not None)
        if len(known) < len(found):
            continue
        places[node.index] = len(nodes)
        nodes.append(_join_node(node, len(nodes), known, right_keys))
    outputs = [OutputColumn.from_node(nodes[0], column) for column in entries.identity]
    wanted = set(names)
    for output in plan.outputs:
        if output.name not in wanted:
            continue
        source: NodeColumn | None = None
        key = entry_columns.get(output.name)
        if key in entries.types:
            source = NodeColumn(0, str(key))
        elif output.source.node in places:
            source = replace(output.source, node=places[output.source.node])
        if source is not None:
            outputs.append(replace(output, source=source))
    return JoinPlan(tuple(nodes), tuple(outputs))


def _find_key(
    column: NodeColumn, entries: GroupSpec, places: Mapping[int, int]
) -> NodeColumn | None:
    """Where a key is found: in the entry, or in a group that can be read."""
    if column.column in entries.types:
        return NodeColumn(0, column.column)
    if column.node in places:
        return NodeColumn(places[column.node], column.column)
    return None


def _join_node(
    node: PlanNode, index: int, left_keys: tuple[NodeColumn, ...], right_keys: tuple[str, ...]
) -> PlanNode:
    """A group of the query, at another place and joined by these keys."""
    moved = replace(node, index=index, left_keys=left_keys, right_keys=right_keys, join_type="left")
    if node.match != "spine":
        return moved
    match: MatchKind = "point_in_time" if node.group.event_time else "key"
    return replace(moved, match=match, where=None)
