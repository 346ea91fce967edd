"""Feature vectors: one statement finds the rows of every group, for one entry or for many."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from spark_fs.base.given_values import make_feature_error, make_key_error
from spark_fs.base.python_values import UnfitError, format_value, to_python
from spark_fs.base.times import to_micros
from spark_fs.base.values import get_converter, get_key_converter
from spark_fs.errors import KeyValueError, NotFoundError, OnlineStoreError, QueryError
from spark_fs.online.entry_keys import find_entry_columns, list_key_types
from spark_fs.online.group_lookups import GroupLookup, plan_group_lookups
from spark_fs.online.live.source import LiveSource
from spark_fs.online.live.windows import FinishWindows
from spark_fs.online.store import LookupRow, OnlineStore
from spark_fs.planning.plan import JoinPlan, OutputColumn

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class PreparedEntries:
    """The entries of one request, checked, whose rows are still to be found.

    keys: the values of each entry's keys, by name. passed: what each gives of its vector.
    stored_keys: the key values as the store holds them.
    """

    keys: Sequence[Entry]
    passed: Sequence[Entry]
    stored_keys: Sequence[Sequence[Any]]


class VectorReader:
    """Reads the feature vectors of a bound query; safe to share between threads.

    A vector holds ``outputs`` in their order. A group's row is found by the key values of the
    entry; a key that the entry leaves out is taken from the row of the group that holds it, as the
    query's joins do. Where a key is itself a column of the vector, what the entry says of it is in
    the vector. Windows at the instants of a spine are finished at the instant of the call.

    Args:
        plan: The plan of a query.
        outputs: What a vector holds.
        store: Where rows are online.
        live_sources: By the number of a node of windows where what they need is online.
    """

    def __init__(
        self,
        plan: JoinPlan,
        outputs: Sequence[OutputColumn],
        store: OnlineStore,
        live_sources: Mapping[int, LiveSource] | None = None,
    ) -> None:
        self.output_types = {output.name: output.type for output in outputs}
        self.output_names = tuple(self.output_types)
        self.key_types = list_key_types(plan)
        find_storage = store.capabilities.find_storage
        self._key_converters = {
            name: get_key_converter(type_) for name, type_ in self.key_types.items()
        }
        self._key_encoders = [find_storage(type_).encode for type_ in self.key_types.values()]
        self._features = {
            output.name: (position, output.type, get_converter(output.type))
            for position, output in enumerate(outputs)
        }
        self._entry_columns = find_entry_columns(plan, outputs)
        stored = {
            position: output
            for position, output in enumerate(outputs)
            if output.name not in self._entry_columns or self._entry_columns[output.name].is_stored
        }
        self._group_lookups = plan_group_lookups(
            plan, stored, tuple(self.key_types), store, live_sources or {}
        )
        served_positions = {
            position for lookup in self._group_lookups for position, _ in lookup.outputs
        }
        self._offline_nodes = {
            output.name: plan.nodes[output.source.node]
            for position, output in stored.items()
            if position not in served_positions
        }
        sources = [lookup.source for lookup in self._group_lookups]
        self._lookup = store.prepare_lookup(sources, list(self.key_types.values()))

    def with_max_age(self, seconds: float) -> "VectorReader":
        """The same with a bound on the age of what replicas answer, in seconds."""
        bounded = copy(self)
        bounded._lookup = self._lookup.with_max_age(seconds)
        return bounded

    def read_vectors(
        self,
        entries: Sequence[Entry],
        passed_features: Sequence[Entry],
        allow_missing: bool,
        now: datetime,
    ) -> list[list[Any]]:
        """Read as many vectors as entries, in their order.

        Args:
            entries: The key values of each, by their names.
            passed_features: For each entry the features that the caller gives; one wins over a
                stored one.
            allow_missing: Whether a group without a row for an entry gives nulls.
            now: The instant (UTC) at which a row past its ttl is absent, and live windows end.

        Returns:
            The values of each vector, in the order of ``output_names``.

        Raises:
            KeyValueError: An entry lacks a key, or holds one of another type.
            NotFoundError: An entry's row is absent, or a name is not that of a key or a feature.
            SchemaError: A passed feature is of another type.
            QueryError: No store serves a feature that was not passed.
        """
        if not entries:
            return []
        prepared = self.prepare_entries(entries, passed_features)
        rows_of_requests = self.find_rows([prepared], now)
        return self.build_vectors(prepared, rows_of_requests[0], allow_missing, now)

    def prepare_entries(
        self, entries: Sequence[Entry], passed_features: Sequence[Entry]
    ) -> PreparedEntries:
        """Check and convert what a request gives; the errors are those of ``read_vectors``.

        Args:
            entries: As in ``read_vectors``.
            passed_features: Likewise.
        """
        keys_of_entries = [self._convert_keys(entry) for entry in entries]
        passed_of_entries = []
        for keys, features in zip(keys_of_entries, passed_features, strict=True):
            passed = self._list_given(keys) | self.convert_features(features)
            self._check_entry(keys, passed)
            passed_of_entries.append(passed)
        stored_keys = [self._encode_keys(keys) for keys in keys_of_entries]
        return PreparedEntries(keys_of_entries, passed_of_entries, stored_keys)

    def find_rows(
        self, requests: Sequence[PreparedEntries], now: datetime
    ) -> list[Sequence[LookupRow]]:
        """Find the rows of several requests in one round trip.

        Args:
            requests: The entries of each.
            now: The instant (UTC) at which a row past its ttl is absent.

        Returns:
            For each request the rows of its entries, in their order.
        """
        keys = [entry for request in requests for entry in request.stored_keys]
        rows: list[LookupRow] = [()] * len(keys)
        if self._group_lookups and keys:
            for row in self._lookup(keys, now):
                rows[row[0]] = row
        rows_of_requests: list[Sequence[LookupRow]] = []
        first = 0
        for request in requests:
            following = first + len(request.stored_keys)
            rows_of_requests.append(rows[first:following])
            first = following
        return rows_of_requests

    def build_vectors(
        self,
        prepared: PreparedEntries,
        rows: Sequence[LookupRow],
        allow_missing: bool,
        now: datetime,
    ) -> list[list[Any]]:
        """Make the vectors of a request.

        Args:
            prepared: The entries.
            rows: What ``find_rows`` found for each.
            allow_missing: Whether a group without a row for an entry gives nulls.
            now: The instant (UTC) at which live windows end.

        Raises:
            NotFoundError: A row is absent.
            OnlineStoreError: The shard that it lies on failed.
        """
        at = to_micros(now)
        finishers = []
        for lookup in self._group_lookups:
            finishers.append(None if lookup.live is None else lookup.live.prepare(at))
        vectors: list[list[Any]] = []
        for keys, passed, row in zip(prepared.keys, prepared.passed, rows, strict=True):
            vector: list[Any] = [None] * len(self.output_names)
            if self._group_lookups:
                if isinstance(row[1], OnlineStoreError):
                    raise row[1]
                self._fill_vector(vector, row[1:], keys, passed, allow_missing, finishers)
            for name, value in passed.items():
                vector[self._features[name][0]] = value
            vectors.append(vector)
        return vectors

    def warm_up(self) -> None:
        """Ask for no entry, alone and in company: a connection is made, and its statements."""
        if self._group_lookups:
            self._lookup.warm_up()

    def _convert_keys(self, entry: Entry) -> dict[str, Any]:
        """The values of an entry's keys, each the one of its type that equals what was given."""
        keys = {}
        for name, given_value in entry.items():
            if name not in self._key_converters:
                raise NotFoundError.for_name(
                    "Key", name, self.key_types, "Give an entry its keys by these names."
                )
            value = given_value
            try:
                value = to_python(given_value)
                keys[name] = None if value is None else self._key_converters[name](value)
            except UnfitError as error:
                raise make_key_error(name, value, self.key_types[name], error) from None
        return keys

    def convert_features(self, features: Entry) -> dict[str, Any]:
        """The values of passed features, each the one of its type that equals what was given.

        Raises NotFoundError for a name that is none of a feature, SchemaError for a value of
        another type.
        """
        passed = {}
        for name, given_value in features.items():
            if name not in self._features:
                raise NotFoundError.for_name(
                    "Passed feature",
                    name,
                    self.output_names,
                    "Pass features of the view by their names.",
                )
            _, type_, convert = self._features[name]
            value = given_value
            try:
                value = to_python(given_value)
                passed[name] = None if value is None else convert(value)
            except UnfitError as error:
                raise make_feature_error(name, value, type_, error) from None
        return passed

    def _encode_keys(self, entry: Entry) -> list[Any]:
        """The key values of an entry as the store holds them."""
        values = map(entry.get, self.key_types)
        try:
            return [
                None if value is None else encode(value)
                for encode, value in zip(self._key_encoders, values, strict=True)
            ]
        except OnlineStoreError as error:  # what the store cannot hold is no key of it
            raise KeyValueError(
                f"The entry {format_value(dict(entry))} has no row: {error}"
            ) from None

    def _list_given(self, entry: Entry) -> dict[str, Any]:
        """The columns of the vector that are keys which the entry gives, with their values."""
        return {
            name: entry[column.key]
            for name, column in self._entry_columns.items()
            if entry.get(column.key) is not None
        }

    def _check_entry(self, entry: Entry, passed_features: Entry) -> None:
        for name, column in self._entry_columns.items():
            if not column.is_stored and name not in passed_features:
                raise KeyValueError(
                    f"The entry {dict(entry)!r} lacks {column.key!r}, a key of feature group"
                    f" {column.node.group} that is a feature of the view: add it to the entry."
                )
        for lookup in self._group_lookups:
            absent_keys = [key for key in lookup.entry_keys if entry.get(key) is None]
            if (
                lookup.keys_required
                and absent_keys
                and not self._has_all_passed(lookup, passed_features)
            ):
                raise KeyValueError(
                    f"The entry {dict(entry)!r} lacks {', '.join(map(repr, absent_keys))}, by which"
                    f" feature group {lookup.node.group} is found: add it to the entry."
                )
        for name, node in self._offline_nodes.items():
            if name not in passed_features:
                if node.windows:
                    raise QueryError(
                        f"Feature {name!r} has no online value: it is a window of {node.group} at"
                        " the instants of a spine, and no feature group that is online_enabled"
                        " declares it. Create one by create_feature_group(..., aggregation=...,"
                        " online_enabled=True), backfill it and call its sync_online(), or pass the"
                        " feature in passed_features."
                    )
                raise QueryError(
                    f"Feature {name!r} has no online value: feature group {node.group} is not"
                    " online_enabled. Pass it in passed_features, or create the group with"
                    " online_enabled=True."
                )

    def _has_all_passed(self, group_lookup: GroupLookup, passed_features: Entry) -> bool:
        return all(
            self.output_names[position] in passed_features for position, _ in group_lookup.outputs
        )

    def _fill_vector(
        self,
        vector: list[Any],
        row: Sequence[Any],
        entry: Entry,
        passed_features: Entry,
        allow_missing: bool,
        finishers: Sequence[FinishWindows | None],
    ) -> None:
        values = iter(row)
        for lookup, finish in zip(self._group_lookups, finishers, strict=True):
            has_row = next(values)
            if finish is not None:
                records, events = next(values), next(values)
                if not (passed_features and self._has_all_passed(lookup, passed_features)):
                    lookup.fill_windows(vector, finish(records, events))
                continue
            if not has_row and not allow_missing:
                self._check_absent_row(lookup, entry, passed_features)
            for (position, decode), value in zip(lookup.outputs, values, strict=False):
                vector[position] = None if value is None else decode(value)

    def _check_absent_row(
        self, group_lookup: GroupLookup, entry: Entry, passed_features: Entry
    ) -> None:
        """NotFoundError where the entry itself names the row and does not pass what it would give.

        A row that follows from another group's row may be absent, as in the query.
        """
        keys = {key: entry.get(key) for key in group_lookup.entry_keys}
        if any(value is None for value in keys.values()):
            return
        if not self._has_all_passed(group_lookup, passed_features):
            raise NotFoundError(
                f"Feature group {group_lookup.node.group} has no online row for {keys!r}: sync it,"
                " correct the key, or ask with allow_missing=True for nulls."
            )
