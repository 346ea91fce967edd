"""Feature vectors: one statement finds the rows of every group, for one entry or for many."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_fs.errors import KeyValueError, NotFoundError, OnlineStoreError, QueryError, SchemaError
from spark_fs.online.layout import online_table, storage
from spark_fs.online.store import OnlineStore, Source
from spark_fs.plan import JoinPlan, Node, NodeColumn, Output
from spark_fs.values import UnfitError, converter, key_converter, plain, shown

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class _Place:
    """One group that is read: its source, and what its columns mean.

    keys: the entry's names for its key, in order, each with its type. required: whether an entry may not leave them
    out. outputs: the vector's columns it gives, with the place in the vector and the decoding of each.
    """

    node: Node
    source: Source
    keys: tuple[str, ...]
    required: bool
    outputs: tuple[tuple[int, Callable[[Any], Any]], ...]


class VectorReader:
    """Reads the feature vectors of a bound query from an online store; safe to share between threads.

    A vector holds ``outputs`` in their order. A group's row is found by the key values of the entry; a key that
    the entry leaves out is taken from the row of the group that holds it, as the query's joins do.
    """

    def __init__(self, plan: JoinPlan, outputs: Sequence[Output], store: OnlineStore) -> None:
        self.types = {output.name: output.type for output in outputs}
        self.names = tuple(self.types)
        self._store = store
        self.key_types = _entry_keys(plan)
        self._numbers = {name: i for i, name in enumerate(self.key_types)}
        self._convert = {name: key_converter(type_) for name, type_ in self.key_types.items()}
        self._encode = [storage(t, store.capabilities).encode for t in self.key_types.values()]
        self._features = {o.name: (i, o.type, converter(o.type)) for i, o in enumerate(outputs)}
        self._places = _places(plan, outputs, self._numbers, store)
        given = {i for place in self._places for i, _ in place.outputs}
        self._not_served = {o.name: plan.nodes[o.source.node] for i, o in enumerate(outputs) if i not in given}
        self._lookup = store.lookup([place.source for place in self._places], list(self.key_types.values()))

    def read(self, entries: Sequence[Entry], passed: Sequence[Entry], allow_missing: bool, now: datetime) -> list[list[Any]]:
        """As many vectors as entries, in their order; a passed feature wins over a stored one, and a row past its ttl is absent.

        Raises KeyValueError for an entry that lacks a key or holds one of another type, NotFoundError for one
        whose row is absent (nulls with ``allow_missing``), QueryError for a feature that no store serves and
        that was not passed.
        """
        if not entries:
            return []
        entries = [self._keys(entry) for entry in entries]
        given = [self._passed(features) for features in passed]
        for entry, features in zip(entries, given, strict=True):
            self._check(entry, features)
        vectors: list[list[Any]] = [[None] * len(self.names) for _ in entries]
        for number, *row in self._lookup([self._values(entry) for entry in entries], now) if self._places else ():
            self._fill(vectors[number], row, entries[number], given[number], allow_missing)
        for vector, features in zip(vectors, given, strict=True):
            for name, value in features.items():
                vector[self._features[name][0]] = value
        return vectors

    def _keys(self, entry: Entry) -> dict[str, Any]:
        """The values of an entry's keys, each the one of its type that equals what was given."""
        found = {}
        for name, value in entry.items():
            if name not in self._convert:
                raise NotFoundError.named("Key", name, self.key_types, "Give an entry its keys by these names.")
            try:
                found[name] = None if (value := plain(value)) is None else self._convert[name](value)
            except UnfitError as error:
                raise KeyValueError(
                    f"Key {name!r} is {shown(value)}, but its type is {self.key_types[name]}: give a value of that type, {error}."
                ) from None
        return found

    def _passed(self, features: Entry) -> dict[str, Any]:
        """The values of passed features, each the one of its type that equals what was given."""
        found = {}
        for name, value in features.items():
            if name not in self._features:
                raise NotFoundError.named("Passed feature", name, self.names, "Pass features of the view by their names.")
            _, type_, convert = self._features[name]
            try:
                found[name] = None if (value := plain(value)) is None else convert(value)
            except UnfitError as error:
                raise SchemaError(
                    f"Passed feature {name!r} is {shown(value)}, but its type is {type_}: pass a value of that type, {error}."
                ) from None
        return found

    def _values(self, entry: Entry) -> list[Any]:
        """The key values of an entry as the store holds them."""
        found = map(entry.get, self.key_types)
        try:
            return [None if value is None else encode(value) for encode, value in zip(self._encode, found, strict=True)]
        except OnlineStoreError as error:  # what the store cannot hold is no key of it
            raise KeyValueError(f"The entry {shown(dict(entry))} has no row: {error}") from None

    def _check(self, entry: Entry, passed: Entry) -> None:
        for place in self._places:
            absent = [key for key in place.keys if entry.get(key) is None]
            if place.required and absent and not self._all_passed(place, passed):
                raise KeyValueError(
                    f"The entry {dict(entry)!r} lacks {', '.join(map(repr, absent))}, by which feature group {place.node.group} is "
                    "found: add it to the entry."
                )
        for name, node in self._not_served.items():
            if name not in passed:
                raise QueryError(
                    f"Feature {name!r} has no online value: feature group {node.group} is not online_enabled. "
                    "Pass it in passed_features, or create the group with online_enabled=True."
                )

    def _all_passed(self, place: _Place, passed: Entry) -> bool:
        return all(self.names[i] in passed for i, _ in place.outputs)

    def _fill(self, vector: list[Any], row: Sequence[Any], entry: Entry, passed: Entry, allow_missing: bool) -> None:
        values = iter(row)
        for place in self._places:
            found = next(values)
            if not found and not allow_missing and self._asked_for(place, entry) and not self._all_passed(place, passed):
                keys = {key: entry[key] for key in place.keys}
                raise NotFoundError(
                    f"Feature group {place.node.group} has no online row for {keys!r}: sync it, correct the key, or "
                    "ask with allow_missing=True for nulls."
                )
            for (position, decode), value in zip(place.outputs, values, strict=False):
                vector[position] = None if value is None else decode(value)

    @staticmethod
    def _asked_for(place: _Place, entry: Entry) -> bool:
        """Whether the entry itself names the row; one that follows from another group's row may be absent, as in the query."""
        return all(entry.get(key) is not None for key in place.keys)


def _entry_keys(plan: JoinPlan) -> dict[str, str]:
    """The names that entries use for keys, with their types: the spine's primary key and the left side of each join."""
    spine = plan.nodes[0]
    places = [NodeColumn(0, key) for key in spine.group.primary_key]
    places += [key for node in plan.nodes for key in node.left_keys]
    return {place.column: plan.nodes[place.node].group.type_of(place.column) for place in places}


def _places(
    plan: JoinPlan, outputs: Sequence[Output], numbers: Mapping[str, int], store: OnlineStore
) -> tuple[_Place, ...]:
    """The groups to read: those online that give a column, and those whose columns are the key of one of these."""
    giving = {output.source.node for output in outputs}
    for node in reversed(plan.nodes):
        if node.index in giving:
            giving |= {key.node for key in node.left_keys if key.column not in plan.nodes[key.node].group.primary_key}
    read = [node for node in plan.nodes if node.index in giving and node.group.online_enabled]
    order = {node.index: place for place, node in enumerate(read)}
    return tuple(_place(node, outputs, numbers, order, store) for node in read)


def _place(
    node: Node, outputs: Sequence[Output], numbers: Mapping[str, int], order: Mapping[int, int], store: OnlineStore
) -> _Place:
    left = node.left_keys or tuple(NodeColumn(0, key) for key in node.group.primary_key)
    right = node.right_keys or node.group.primary_key
    stored = {key: key.node in order and order[key.node] < order[node.index] for key in left}
    choices: dict[str, tuple[int | tuple[int, str], ...]] = {}
    for mine, theirs in zip(left, right, strict=True):
        follows = ((order[mine.node], mine.column),) if stored[mine] else ()
        choices[theirs] = (numbers[mine.column], *follows)
    given = [(i, o) for i, o in enumerate(outputs) if o.source.node == node.index]
    _check_unique(node, right)
    source = Source(online_table(node.group, store.capabilities), tuple(o.source.column for _, o in given), choices)
    decoded = tuple((i, storage(o.type, store.capabilities).decode) for i, o in given)
    required = bool(given) and not all(stored.values())
    return _Place(node, source, tuple(key.column for key in left), required, decoded)


def _check_unique(node: Node, right: Sequence[str]) -> None:
    """The store finds rows by primary key: a join by other columns, or by some of them, could find many."""
    if set(right) != set(node.group.primary_key):
        raise QueryError(
            f"Feature group {node.group} is joined by {', '.join(right)}, and its primary key is {', '.join(node.group.primary_key)}: "
            "online it is found by its whole primary key only. Join it by that, or keep it offline and pass its features."
        )
