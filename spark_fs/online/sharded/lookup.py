"""A look-up over shards: the rows of each entry, asked of the shards that they lie on.

In a round, every shard that may have a row of an entry is asked once, all at the same time, by one
statement over all groups. A group that is found by a column of another group's row is asked in a
later round, where the entry does not give that key itself. Where a shard fails, so do the entries
that have a row there, and no others.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from spark_fs.errors import OnlineStoreError
from spark_fs.online.sharded.key_hash import choose_shard
from spark_fs.online.sharded.lookup_plan import SourceKey, build_plan
from spark_fs.online.sharded.shard_calls import ShardCalls
from spark_fs.online.store import LookupRows, LookupSource

if TYPE_CHECKING:
    from spark_fs.online.sharded.store import ShardedStore

SourceRow = tuple[Any, ...]  # whether there is a row, and its columns


@dataclass
class _EntryRows:
    """One entry while its rows are looked up.

    rows: of each source, None as long as it was not looked for. waiting: the keys that are still to
    be looked for. failure: of a shard that was asked for one.
    """

    number: int
    key_values: Sequence[Any]
    rows: list[SourceRow | None]
    waiting: list[SourceKey]
    failure: OnlineStoreError | None = None


@dataclass
class _ShardRequest:
    """What one shard is asked in a round: the key values of each entry, and what to take of it."""

    entries: list[list[Any]]
    takers: list[tuple[_EntryRows, list[SourceKey]]]


class ShardedLookup:
    """A look-up that was prepared on every shard."""

    def __init__(
        self,
        store: "ShardedStore",
        calls: ShardCalls,
        sources: Sequence[LookupSource],
        key_types: Sequence[str],
    ) -> None:
        self._calls = calls
        self._sources = tuple(sources)
        self._plan = build_plan(sources, key_types, store.capabilities.find_storage)
        self._lookups = [
            shard.prepare_lookup(
                [
                    replace(source, table=store.make_shard_table(source.table, number))
                    for source in self._plan.sources
                ],
                self._plan.slot_types,
            )
            for number, shard in enumerate(store.shards)
        ]

    def warm_up(self) -> None:
        """Make connections to every shard, and their statements."""
        self._calls.call_shards(
            {number: lookup.warm_up for number, lookup in enumerate(self._lookups)}
        )

    def with_max_age(self, seconds: float) -> "ShardedLookup":
        """The same with a bound on the age of the replicas that are read."""
        bounded = object.__new__(ShardedLookup)
        bounded.__dict__.update(self.__dict__)
        bounded._lookups = [lookup.with_max_age(seconds) for lookup in self._lookups]
        return bounded

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The rows of entries: a round trip to each shard that has some, all at once."""
        if self._plan.has_one_given_key:
            return self._look_up_by_one_key(entries, now)
        looked_up = [
            _EntryRows(number, key_values, [None] * len(self._sources), list(self._plan.keys))
            for number, key_values in enumerate(entries)
        ]
        waiting = looked_up
        while waiting:
            requests = self._build_requests(waiting)
            self._ask_shards(requests, now)
            waiting = [entry for entry in waiting if entry.waiting]
        return [self._build_row(entry) for entry in looked_up]

    def _look_up_by_one_key(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The same where an entry lies whole on one shard, as most do."""
        (key,) = self._plan.keys
        nothing = tuple(chain.from_iterable(self._plan.absent_rows))
        rows: LookupRows = [(number, *nothing) for number in range(len(entries))]
        numbers_by_shard: dict[int, list[int]] = {}
        slots_by_shard: dict[int, list[list[Any]]] = {}
        for number, entry in enumerate(entries):
            values = key.find_values(entry, ())
            if values is not None:
                shard = choose_shard(values, len(self._lookups))
                numbers_by_shard.setdefault(shard, []).append(number)
                slots_by_shard.setdefault(shard, []).append(key.encode_values(values))
        calls: dict[int, Callable[[], LookupRows]] = {
            shard: partial(self._lookups[shard], slots, now)
            for shard, slots in slots_by_shard.items()
        }
        answers_by_shard, failures = self._calls.try_shards(calls)
        for shard, answers in answers_by_shard.items():
            numbers = numbers_by_shard[shard]
            for position, *columns in answers:
                number = numbers[position]
                rows[number] = (number, *columns)
        for shard, failure in failures.items():
            for number in numbers_by_shard[shard]:
                rows[number] = (number, failure)
        return rows

    def _build_requests(self, waiting: Sequence[_EntryRows]) -> dict[int, _ShardRequest]:
        """By shard what is asked of it: the keys of entries that are known by now."""
        requests: dict[int, _ShardRequest] = {}
        for entry in waiting:
            known = [key for key in entry.waiting if key.is_known(entry.key_values, entry.rows)]
            entry.waiting = [key for key in entry.waiting if key not in known]
            slots_by_shard, keys_by_shard = self._deal_keys(entry, known)
            for shard, slots in slots_by_shard.items():
                request = requests.setdefault(shard, _ShardRequest([], []))
                request.entries.append(slots)
                request.takers.append((entry, keys_by_shard[shard]))
        return requests

    def _deal_keys(
        self, entry: _EntryRows, known: Sequence[SourceKey]
    ) -> tuple[dict[int, list[Any]], dict[int, list[SourceKey]]]:
        """The keys of an entry by the shard that they lie on, and their values for it."""
        slots_by_shard: dict[int, list[Any]] = {}
        keys_by_shard: dict[int, list[SourceKey]] = defaultdict(list)
        for key in known:
            values = key.find_values(entry.key_values, entry.rows)
            if values is None:
                for position in key.positions:
                    entry.rows[position] = self._plan.absent_rows[position]
                continue
            shard = choose_shard(values, len(self._lookups))
            slots = slots_by_shard.setdefault(shard, [None] * len(self._plan.slot_types))
            for part, value in zip(key.parts, values, strict=True):
                slots[part.slot] = part.column.storage.encode(value)
            keys_by_shard[shard].append(key)
        return slots_by_shard, keys_by_shard

    def _ask_shards(self, requests: dict[int, _ShardRequest], now: datetime) -> None:
        calls: dict[int, Callable[[], LookupRows]] = {
            shard: partial(self._lookups[shard], request.entries, now)
            for shard, request in requests.items()
        }
        answers_by_shard, failures = self._calls.try_shards(calls)
        for shard, failure in failures.items():
            for entry, _ in requests[shard].takers:
                entry.failure = failure
                entry.waiting = []
        for shard, answers in answers_by_shard.items():
            takers = requests[shard].takers
            for number, *columns in answers:
                entry, keys = takers[number]
                for key in keys:
                    for position in key.positions:
                        entry.rows[position] = self._plan.cut_row(position, columns)

    def _build_row(self, entry: _EntryRows) -> SourceRow:
        if entry.failure is not None:
            return (entry.number, entry.failure)
        row = [entry.number]
        for source, source_row in zip(self._sources, entry.rows, strict=True):
            assert source_row is not None
            row += source_row[: 1 + len(source.columns)]
        return tuple(row)
