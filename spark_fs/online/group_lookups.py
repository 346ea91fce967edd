"""Which groups a vector is read of: the table, the keys and the columns of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spark_fs.errors import QueryError
from spark_fs.online.store import KeyChoice, LookupSource, OnlineStore
from spark_fs.online.table_layout import build_online_table
from spark_fs.planning.plan import JoinPlan, NodeColumn, OutputColumn, PlanNode


@dataclass(frozen=True)
class GroupLookup:
    """One group that is read: its source, and what its columns mean.

    entry_keys: the entry's names for its key, in order. keys_required: whether an entry may not
    leave them out. outputs: the vector's columns it gives, with the position in the vector and the
    decoding of each.
    """

    node: PlanNode
    source: LookupSource
    entry_keys: tuple[str, ...]
    keys_required: bool
    outputs: tuple[tuple[int, Callable[[Any], Any]], ...]


def plan_group_lookups(
    plan: JoinPlan,
    outputs: Mapping[int, OutputColumn],
    key_names: Sequence[str],
    store: OnlineStore,
) -> tuple[GroupLookup, ...]:
    """The groups to read: those online that give a column or a key of another.

    Args:
        plan: The plan of the view.
        outputs: The columns of a vector that are stored, by their position.
        key_names: The keys that an entry may hold, in their order.
        store: The online store.
    """
    needed_nodes = {output.source.node for output in outputs.values()}
    for node in reversed(plan.nodes):
        if node.index in needed_nodes:
            for key in node.left_keys:
                if key.column not in plan.nodes[key.node].group.primary_key:
                    needed_nodes.add(key.node)
    nodes = [
        node
        for node in plan.nodes
        if node.index in needed_nodes and node.group.online_enabled and not node.windows
    ]
    source_positions = {node.index: position for position, node in enumerate(nodes)}
    key_positions = {name: position for position, name in enumerate(key_names)}
    return tuple(
        _build_group_lookup(node, outputs, key_positions, source_positions, store) for node in nodes
    )


def _build_group_lookup(
    node: PlanNode,
    outputs: Mapping[int, OutputColumn],
    key_positions: Mapping[str, int],
    source_positions: Mapping[int, int],
    store: OnlineStore,
) -> GroupLookup:
    left_keys = node.left_keys or tuple(NodeColumn(0, key) for key in node.group.primary_key)
    right_keys = node.right_keys or node.group.primary_key
    own_position = source_positions[node.index]
    choices: dict[str, tuple[KeyChoice, ...]] = {}
    all_from_rows = True
    for left_key, right_key in zip(left_keys, right_keys, strict=True):
        from_entry = key_positions[left_key.column]
        position = source_positions.get(left_key.node)
        if position is not None and position < own_position:
            choices[right_key] = (from_entry, (position, left_key.column))
        else:
            choices[right_key] = (from_entry,)
            all_from_rows = False
    _check_unique(node, right_keys)
    table = build_online_table(node.group, store.capabilities)
    columns = []
    decoders = []
    for position, output in outputs.items():
        if output.source.node == node.index:
            columns.append(output.source.column)
            storage = store.capabilities.find_storage(output.type)
            decoders.append((position, storage.decode))
    return GroupLookup(
        node,
        LookupSource(table, tuple(columns), choices),
        tuple(key.column for key in left_keys),
        keys_required=bool(columns) and not all_from_rows,
        outputs=tuple(decoders),
    )


def _check_unique(node: PlanNode, join_columns: Sequence[str]) -> None:
    """QueryError for a join by other columns than the primary key.

    The store finds rows by primary key: a join by others, or by some of them, could find many.
    """
    if set(join_columns) != set(node.group.primary_key):
        raise QueryError(
            f"Feature group {node.group} is joined by {', '.join(join_columns)}, and its primary"
            f" key is {', '.join(node.group.primary_key)}: online it is found by its whole primary"
            " key only. Join it by that, or keep it offline and pass its features."
        )
