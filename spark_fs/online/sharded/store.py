"""The online store that is cut into shards by the hash of the key."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar

from spark_fs.online.sharded.lookup import ShardedLookup
from spark_fs.online.sharded.shard_calls import ShardCalls, name_shard
from spark_fs.online.store import (
    HEARTBEAT,
    LookupSource,
    OnlineStore,
    PreparedLookup,
    SyncState,
    TableOrigin,
)
from spark_fs.online.table_layout import OnlineTable


class ShardedStore:
    """Several stores, each with the rows of the keys that ``key_hash`` gives it.

    The name of a table on a shard says which shard of how many it is, so that a store that is cut
    otherwise, or whose shards are named in another order, has no table: no row is looked for where
    it does not lie.
    """

    scheme: ClassVar[str] = "sharded"

    def __init__(self, shards: Sequence[OnlineStore]) -> None:
        self.shards = tuple(shards)
        capabilities = self.shards[0].capabilities
        longest_suffix = _make_suffix(len(self.shards) - 1, len(self.shards))
        self.capabilities = replace(
            capabilities, max_identifier=capabilities.max_identifier - len(longest_suffix)
        )

    def __reduce__(self) -> tuple[type["ShardedStore"], tuple[tuple[OnlineStore, ...]]]:
        return ShardedStore, (self.shards,)

    def __repr__(self) -> str:
        return f"ShardedStore({list(self.shards)!r})"

    @property
    def address(self) -> str:
        """Where its shards are, without user and password."""
        return ", ".join(shard.address for shard in self.shards)

    def make_shard_table(self, table: OnlineTable, number: int) -> OnlineTable:
        """The table of a group as it is named on a shard.

        Args:
            table: The table.
            number: Of the shard, from 0.
        """
        return replace(table, name=table.name + _make_suffix(number, len(self.shards)))

    def find_table_name(self, state_name: str, number: int) -> str | None:
        """The name of the table of a group of which this is the table on a shard.

        None where a shard that was cut otherwise left it there. A heartbeat keeps its name.

        Args:
            state_name: The name of a sync state.
            number: Of the shard that has it, from 0.
        """
        if state_name == HEARTBEAT:
            return state_name
        suffix = _make_suffix(number, len(self.shards))
        return state_name.removesuffix(suffix) if state_name.endswith(suffix) else None

    # -- serving

    @cached_property
    def calls(self) -> ShardCalls:
        """What asks several shards at once."""
        return ShardCalls(len(self.shards))

    def prepare_lookup(
        self, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> PreparedLookup:
        """Prepare a look-up over several groups: a round trip to each shard that has a row."""
        return ShardedLookup(self, self.calls, sources, key_types)

    def check_connection(self) -> None:
        """Ask every shard for an answer."""
        self.calls.call_shards(
            {number: shard.check_connection for number, shard in enumerate(self.shards)}
        )

    # -- whole tables

    def add_columns(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Give the table of every shard the columns that it lacks."""
        for number, shard in enumerate(self.shards):
            with name_shard(number, len(self.shards)):
                shard.add_columns(self.make_shard_table(table, number), origin)

    def drop_table(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Remove the table of every shard, and what is known of its syncs."""
        for number, shard in enumerate(self.shards):
            with name_shard(number, len(self.shards)):
                shard.drop_table(self.make_shard_table(table, number), origin)

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the shard that is furthest behind was brought up to."""
        states = []
        for number, shard in enumerate(self.shards):
            with name_shard(number, len(self.shards)):
                states.append(shard.read_sync_state(self.make_shard_table(table, number)))
        return find_furthest_behind(states)

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time of all shards."""
        event_times = self.calls.call_shards(
            {
                number: partial(shard.read_newest_event_time, self.make_shard_table(table, number))
                for number, shard in enumerate(self.shards)
            }
        )
        return max((time for time in event_times.values() if time is not None), default=None)

    def read_sync_states(self) -> dict[str, SyncState]:
        """What is known of each table that every shard has, as of the one furthest behind."""
        states_by_table: dict[str, list[SyncState]] = {}
        for number, shard in enumerate(self.shards):
            with name_shard(number, len(self.shards)):
                shard_states = shard.read_sync_states()
            for state_name, state in shard_states.items():
                name = self.find_table_name(state_name, number)
                if name is not None:
                    states_by_table.setdefault(name, []).append(state)
        furthest_behind = {}
        for name, states in states_by_table.items():
            if len(states) == len(self.shards):
                furthest_behind[name] = min(states, key=lambda state: state.version)
        return furthest_behind

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Nothing to be done: each shard translates its own."""
        yield

    def write_heartbeat(self) -> None:
        """Note the time on every shard."""
        for number, shard in enumerate(self.shards):
            with name_shard(number, len(self.shards)):
                shard.write_heartbeat()


def find_furthest_behind(states: Sequence[SyncState | None]) -> SyncState | None:
    """The state of the least version; None where a shard was never synced."""
    synced = [state for state in states if state is not None]
    if len(synced) < len(states):
        return None
    return min(synced, key=lambda state: state.version)


def _make_suffix(number: int, shard_count: int) -> str:
    """What the name of a table ends with on a shard; no group has a ``$`` in its name."""
    return f"${number + 1}of{shard_count}"
