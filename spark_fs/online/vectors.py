"""Feature vectors: one statement finds the rows of every group, for one entry or for many."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_fs.base.python_values import UnfitError, format_value, to_python
from spark_fs.base.values import get_converter, get_key_converter
from spark_fs.errors import KeyValueError, NotFoundError, OnlineStoreError, QueryError, SchemaError
from spark_fs.online.store import LookupSource, OnlineStore
from spark_fs.online.table import build_online_table, get_storage
from spark_fs.planning.plan import JoinPlan, NodeColumn, OutputColumn, PlanNode

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class _GroupLookup:
    """One group that is read: its source, and what its columns mean.

    keys: the entry's names for its key, in order, each with its type. required: whether an entry
    may not leave them out. outputs: the vector's columns it gives, with the place in the vector and
    the decoding of each.
    """

    node: PlanNode
    source: LookupSource
    entry_keys: tuple[str, ...]
    keys_required: bool
    outputs: tuple[tuple[int, Callable[[Any], Any]], ...]


class VectorReader:
    """Reads the feature vectors of a bound query from an online store; safe to share between threads.

    A vector holds ``outputs`` in their order. A group's row is found by the key values of the
    entry; a key that the entry leaves out is taken from the row of the group that holds it, as the
    query's joins do.
    """

    def __init__(self, plan: JoinPlan, outputs: Sequence[OutputColumn], store: OnlineStore) -> None:
        self.output_types = {output.name: output.type for output in outputs}
        self.output_names = tuple(self.output_types)
        self._store = store
        self.key_types = _list_entry_key_types(plan)
        self._key_positions = {name: i for i, name in enumerate(self.key_types)}
        self._key_converters = {
            name: get_key_converter(type_) for name, type_ in self.key_types.items()
        }
        self._key_encoders = [
            get_storage(t, store.capabilities).encode for t in self.key_types.values()
        ]
        self._features = {o.name: (i, o.type, get_converter(o.type)) for i, o in enumerate(outputs)}
        self._group_lookups = _plan_group_lookups(plan, outputs, self._key_positions, store)
        given = {i for place in self._group_lookups for i, _ in place.outputs}
        self._offline_nodes = {
            o.name: plan.nodes[o.source.node] for i, o in enumerate(outputs) if i not in given
        }
        self._lookup = store.prepare_lookup(
            [place.source for place in self._group_lookups], list(self.key_types.values())
        )

    def read_vectors(
        self,
        entries: Sequence[Entry],
        passed_features: Sequence[Entry],
        allow_missing: bool,
        now: datetime,
    ) -> list[list[Any]]:
        """As many vectors as entries, in their order; a passed feature wins over a stored one, and a row past its ttl is absent.

        Raises KeyValueError for an entry that lacks a key or holds one of another type,
        NotFoundError for one whose row is absent (nulls with ``allow_missing``), QueryError for a
        feature that no store serves and that was not passed.
        """
        if not entries:
            return []
        entries = [self._convert_keys(entry) for entry in entries]
        given = [self._convert_passed(features) for features in passed_features]
        for entry, features in zip(entries, given, strict=True):
            self._check_entry(entry, features)
        vectors: list[list[Any]] = [[None] * len(self.output_names) for _ in entries]
        for number, *row in (
            self._lookup([self._encode_keys(entry) for entry in entries], now)
            if self._group_lookups
            else ()
        ):
            self._fill_vector(vectors[number], row, entries[number], given[number], allow_missing)
        for vector, features in zip(vectors, given, strict=True):
            for name, value in features.items():
                vector[self._features[name][0]] = value
        return vectors

    def _convert_keys(self, entry: Entry) -> dict[str, Any]:
        """The values of an entry's keys, each the one of its type that equals what was given."""
        found = {}
        for name, value in entry.items():
            if name not in self._key_converters:
                raise NotFoundError.for_name(
                    "Key", name, self.key_types, "Give an entry its keys by these names."
                )
            try:
                found[name] = (
                    None
                    if (value := to_python(value)) is None
                    else self._key_converters[name](value)
                )
            except UnfitError as error:
                raise KeyValueError(
                    f"Key {name!r} is {format_value(value)}, but its type is"
                    f" {self.key_types[name]}: give a value of that type, {error}."
                ) from None
        return found

    def _convert_passed(self, features: Entry) -> dict[str, Any]:
        """The values of passed features, each the one of its type that equals what was given."""
        found = {}
        for name, value in features.items():
            if name not in self._features:
                raise NotFoundError.for_name(
                    "Passed feature",
                    name,
                    self.output_names,
                    "Pass features of the view by their names.",
                )
            _, type_, convert = self._features[name]
            try:
                found[name] = None if (value := to_python(value)) is None else convert(value)
            except UnfitError as error:
                raise SchemaError(
                    f"Passed feature {name!r} is {format_value(value)}, but its type is {type_}:"
                    f" pass a value of that type, {error}."
                ) from None
        return found

    def _encode_keys(self, entry: Entry) -> list[Any]:
        """The key values of an entry as the store holds them."""
        found = map(entry.get, self.key_types)
        try:
            return [
                None if value is None else encode(value)
                for encode, value in zip(self._key_encoders, found, strict=True)
            ]
        except OnlineStoreError as error:  # what the store cannot hold is no key of it
            raise KeyValueError(
                f"The entry {format_value(dict(entry))} has no row: {error}"
            ) from None

    def _check_entry(self, entry: Entry, passed_features: Entry) -> None:
        for place in self._group_lookups:
            absent = [key for key in place.entry_keys if entry.get(key) is None]
            if place.keys_required and absent and not self._has_all_passed(place, passed_features):
                raise KeyValueError(
                    f"The entry {dict(entry)!r} lacks {', '.join(map(repr, absent))}, by which"
                    f" feature group {place.node.group} is found: add it to the entry."
                )
        for name, node in self._offline_nodes.items():
            if name not in passed_features:
                raise QueryError(
                    f"Feature {name!r} has no online value: feature group {node.group} is not"
                    " online_enabled. Pass it in passed_features, or create the group with"
                    " online_enabled=True."
                )

    def _has_all_passed(self, group_lookup: _GroupLookup, passed_features: Entry) -> bool:
        return all(self.output_names[i] in passed_features for i, _ in group_lookup.outputs)

    def _fill_vector(
        self,
        vector: list[Any],
        row: Sequence[Any],
        entry: Entry,
        passed_features: Entry,
        allow_missing: bool,
    ) -> None:
        values = iter(row)
        for place in self._group_lookups:
            found = next(values)
            if (
                not found
                and not allow_missing
                and self._has_all_keys(place, entry)
                and not self._has_all_passed(place, passed_features)
            ):
                keys = {key: entry[key] for key in place.entry_keys}
                raise NotFoundError(
                    f"Feature group {place.node.group} has no online row for {keys!r}: sync it,"
                    " correct the key, or ask with allow_missing=True for nulls."
                )
            for (position, decode), value in zip(place.outputs, values, strict=False):
                vector[position] = None if value is None else decode(value)

    @staticmethod
    def _has_all_keys(group_lookup: _GroupLookup, entry: Entry) -> bool:
        """Whether the entry itself names the row; one that follows from another group's row may be absent, as in the query."""
        return all(entry.get(key) is not None for key in group_lookup.entry_keys)


def _list_entry_key_types(plan: JoinPlan) -> dict[str, str]:
    """The names that entries use for keys, with their types: the spine's primary key and the left side of each join."""
    spine = plan.nodes[0]
    places = [NodeColumn(0, key) for key in spine.group.primary_key]
    places += [key for node in plan.nodes for key in node.left_keys]
    return {
        place.column: plan.nodes[place.node].group.get_column_type(place.column) for place in places
    }


def _plan_group_lookups(
    plan: JoinPlan,
    outputs: Sequence[OutputColumn],
    key_positions: Mapping[str, int],
    store: OnlineStore,
) -> tuple[_GroupLookup, ...]:
    """The groups to read: those online that give a column, and those whose columns are the key of one of these."""
    giving = {output.source.node for output in outputs}
    for node in reversed(plan.nodes):
        if node.index in giving:
            giving |= {
                key.node
                for key in node.left_keys
                if key.column not in plan.nodes[key.node].group.primary_key
            }
    read = [node for node in plan.nodes if node.index in giving and node.group.online_enabled]
    order = {node.index: place for place, node in enumerate(read)}
    return tuple(_build_group_lookup(node, outputs, key_positions, order, store) for node in read)


def _build_group_lookup(
    node: PlanNode,
    outputs: Sequence[OutputColumn],
    key_positions: Mapping[str, int],
    source_positions: Mapping[int, int],
    store: OnlineStore,
) -> _GroupLookup:
    left = node.left_keys or tuple(NodeColumn(0, key) for key in node.group.primary_key)
    right = node.right_keys or node.group.primary_key
    stored = {
        key: (
            key.node in source_positions
            and source_positions[key.node] < source_positions[node.index]
        )
        for key in left
    }
    choices: dict[str, tuple[int | tuple[int, str], ...]] = {}
    for mine, theirs in zip(left, right, strict=True):
        follows = ((source_positions[mine.node], mine.column),) if stored[mine] else ()
        choices[theirs] = (key_positions[mine.column], *follows)
    given = [(i, o) for i, o in enumerate(outputs) if o.source.node == node.index]
    _check_unique(node, right)
    source = LookupSource(
        build_online_table(node.group, store.capabilities),
        tuple(o.source.column for _, o in given),
        choices,
    )
    decoded = tuple((i, get_storage(o.type, store.capabilities).decode) for i, o in given)
    required = bool(given) and not all(stored.values())
    return _GroupLookup(node, source, tuple(key.column for key in left), required, decoded)


def _check_unique(node: PlanNode, join_columns: Sequence[str]) -> None:
    """The store finds rows by primary key: a join by other columns, or by some of them, could find many."""
    if set(join_columns) != set(node.group.primary_key):
        raise QueryError(
            f"Feature group {node.group} is joined by {', '.join(join_columns)}, and its primary"
            f" key is {', '.join(node.group.primary_key)}: online it is found by its whole primary"
            " key only. Join it by that, or keep it offline and pass its features."
        )
