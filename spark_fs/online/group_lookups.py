"""Which groups a vector is read of: the table, the keys and the columns of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from spark_fs.errors import QueryError
from spark_fs.online.live.byte_layout import (
    EVENTS_COLUMN,
    FIRST_COLUMN,
    LAST_COLUMN,
    RECORDS_COLUMN,
    build_live_table,
)
from spark_fs.online.live.source import LiveSource
from spark_fs.online.live.windows import LiveWindows
from spark_fs.online.store import KeyChoice, LookupSource, OnlineStore, SparedColumn
from spark_fs.online.table_layout import build_online_table
from spark_fs.planning.plan import JoinPlan, NodeColumn, OutputColumn, PlanNode


@dataclass(frozen=True)
class GroupLookup:
    """One group that is read: its source, and what its columns mean.

    entry_keys: the entry's names for its key, in order. keys_required: whether an entry may not
    leave them out. outputs: the vector's columns it gives, with the position in the vector and the
    decoding of each. live: what finishes these columns, where they are windows that are stored as
    one value.
    """

    node: PlanNode
    source: LookupSource
    entry_keys: tuple[str, ...]
    keys_required: bool
    outputs: tuple[tuple[int, Callable[[Any], Any]], ...]
    live: LiveWindows | None = None

    @cached_property
    def _block(self) -> slice | None:
        """Where its columns are in the vector, if one behind another: that is filled faster."""
        first = self.outputs[0][0]
        block = slice(first, first + len(self.outputs))
        positions = [position for position, _ in self.outputs]
        return block if positions == list(range(block.start, block.stop)) else None

    def fill_windows(self, vector: list[Any], values: Sequence[Any]) -> None:
        """Put finished windows into a vector."""
        if self._block is not None:
            vector[self._block] = values
            return
        for (position, _), value in zip(self.outputs, values, strict=True):
            vector[position] = value


def plan_group_lookups(
    plan: JoinPlan,
    outputs: Mapping[int, OutputColumn],
    key_names: Sequence[str],
    store: OnlineStore,
    live_sources: Mapping[int, LiveSource],
) -> tuple[GroupLookup, ...]:
    """The groups to read: those online that give a column or a key of another.

    Args:
        plan: The plan of the view.
        outputs: The columns of a vector that are stored, by their position.
        key_names: The keys that an entry may hold, in their order.
        store: The online store.
        live_sources: By the number of a node of windows where what they need is online.
    """
    needed_nodes = {output.source.node for output in outputs.values()}
    for node in reversed(plan.nodes):
        if node.index in needed_nodes:
            for key in node.left_keys:
                if key.column not in plan.nodes[key.node].group.primary_key:
                    needed_nodes.add(key.node)
    nodes = []
    for node in plan.nodes:
        is_online = node.index in live_sources if node.windows else node.group.online_enabled
        if node.index in needed_nodes and is_online:
            nodes.append(node)
    source_positions = {node.index: position for position, node in enumerate(nodes)}
    key_positions = {name: position for position, name in enumerate(key_names)}
    lookups = []
    for node in nodes:
        choices = _choose_keys(node, key_positions, source_positions)
        if node.windows:
            live_source = live_sources[node.index]
            lookups.append(_build_live_lookup(node, outputs, choices, store, live_source))
        else:
            lookups.append(_build_group_lookup(node, outputs, choices, store))
    return tuple(lookups)


def _list_left_keys(node: PlanNode) -> tuple[NodeColumn, ...]:
    return node.left_keys or tuple(NodeColumn(0, key) for key in node.group.primary_key)


def _choose_keys(
    node: PlanNode, key_positions: Mapping[str, int], source_positions: Mapping[int, int]
) -> dict[str, tuple[KeyChoice, ...]]:
    """For each key column of a node what it may equal, in order."""
    right_keys = node.right_keys or node.group.primary_key
    own_position = source_positions[node.index]
    choices: dict[str, tuple[KeyChoice, ...]] = {}
    for left_key, right_key in zip(_list_left_keys(node), right_keys, strict=True):
        from_entry = key_positions[left_key.column]
        position = source_positions.get(left_key.node)
        if position is not None and position < own_position:
            choices[right_key] = (from_entry, (position, left_key.column))
        else:
            choices[right_key] = (from_entry,)
    return choices


def _needs_entry(choices: Mapping[str, tuple[KeyChoice, ...]]) -> bool:
    """Whether a key is given by the entry alone."""
    return any(len(choices_of_key) == 1 for choices_of_key in choices.values())


def _build_group_lookup(
    node: PlanNode,
    outputs: Mapping[int, OutputColumn],
    choices: Mapping[str, tuple[KeyChoice, ...]],
    store: OnlineStore,
) -> GroupLookup:
    _check_unique(node, node.right_keys or node.group.primary_key)
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
        tuple(key.column for key in _list_left_keys(node)),
        keys_required=bool(columns) and _needs_entry(choices),
        outputs=tuple(decoders),
    )


def _build_live_lookup(
    node: PlanNode,
    outputs: Mapping[int, OutputColumn],
    choices: Mapping[str, tuple[KeyChoice, ...]],
    store: OnlineStore,
    live_source: LiveSource,
) -> GroupLookup:
    """The look-up of windows at the instants of a spine: one value, that gives all of them."""
    table = build_live_table(live_source.group, store.capabilities)
    places = []
    names = []
    for position, output in outputs.items():
        if output.source.node == node.index:
            places.append((position, bytes))
            names.append(output.source.column)
    live = live_source.open_windows(node, names)
    spared = SparedColumn(EVENTS_COLUMN, FIRST_COLUMN, LAST_COLUMN) if live.is_recorded else None
    return GroupLookup(
        node,
        LookupSource(table, (RECORDS_COLUMN, EVENTS_COLUMN), choices, spared),
        tuple(key.column for key in _list_left_keys(node)),
        keys_required=_needs_entry(choices),
        outputs=tuple(places),
        live=live,
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
