"""An online store that is cut by the hash of the key into several, behind the interface of one."""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from spark_fs.online import registry, text_format
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.mysql.writer import MySQLWriter
from spark_fs.online.store import (
    LookupRows,
    LookupSource,
    MergeResult,
    StagingTables,
    SyncState,
    TableOrigin,
)
from spark_fs.online.table_layout import OnlineTable


def choose_shard_of_key(values: Sequence[Any], shard_count: int) -> int:
    """The shard of a key, by the CRC-32 of its values' strings, as ``choose_shards`` has it."""
    strings = []
    for value in values:
        strings.append(f"{len(value)}:{value}" if isinstance(value, str) else str(value))
    return zlib.crc32("\t".join(strings).encode()) % shard_count


def choose_shards(rows: pa.Table, table: OnlineTable, shard_count: int) -> Any:
    """The shard of each row."""
    return text_format.compute_checksums(rows, table.key_columns) % shard_count


class ShardedStore:
    """Several stores, each with the rows of some keys.

    replicas: for reading, one for each store, when they are given.
    """

    scheme: ClassVar[str] = "sharded"

    def __init__(self, stores: Sequence[MySQLStore], replicas: Sequence[MySQLStore] = ()) -> None:
        self.stores = tuple(stores)
        self.readers = tuple(replicas or stores)
        self.capabilities = self.stores[0].capabilities

    def prepare_lookup(
        self, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> "ShardedLookup":
        """A look-up that asks, of each shard that a source's keys lie in, once."""
        return ShardedLookup(self, sources, key_types)

    def check_connection(self) -> None:
        """Ask every shard for an answer."""
        for store in (*self.stores, *self.readers):
            store.check_connection()

    def add_columns(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Give the table of every shard the columns that it lacks."""
        for store in self.stores:
            store.add_columns(table, origin)

    def drop_table(self, table: OnlineTable, origin: TableOrigin) -> None:
        """Remove the table of every shard."""
        for store in self.stores:
            store.drop_table(table, origin)

    def read_sync_state(self, table: OnlineTable) -> SyncState | None:
        """What the shard that is furthest behind was brought up to."""
        return _find_furthest_behind([store.read_sync_state(table) for store in self.stores])


class ShardedLookup:
    """The sources whose keys an entry gives; each is found on the shard of its own key."""

    def __init__(
        self, store: ShardedStore, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> None:
        self._key_numbers = [_list_key_numbers(source) for source in sources]
        groups: list[tuple[LookupSource, ...]] = [(source,) for source in sources]
        if len(set(self._key_numbers)) == 1:  # one key for all: an entry lies whole on one shard
            groups = [tuple(sources)]
        self._lookups = [
            [reader.prepare_lookup(group, key_types) for reader in store.readers]
            for group in groups
        ]

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The rows of the entries, by one round trip for each shard that is asked.

        Where the sources have keys of their own it is one for each source, too.
        """
        rows: list[list[Any]] = [[number] for number in range(len(entries))]
        for index, lookups in enumerate(self._lookups):
            key_numbers = self._key_numbers[index]
            entries_by_shard: dict[int, list[int]] = defaultdict(list)
            for number, entry in enumerate(entries):
                key = [entry[key_number] for key_number in key_numbers]
                entries_by_shard[choose_shard_of_key(key, len(lookups))].append(number)
            for shard, numbers in entries_by_shard.items():
                shard_entries = [entries[number] for number in numbers]
                for position, *columns in lookups[shard](shard_entries, now):
                    rows[numbers[position]] += columns
        return [tuple(row) for row in rows]


def _list_key_numbers(source: LookupSource) -> tuple[int, ...]:
    """The numbers of an entry's key values that are the key of a source."""
    return tuple(
        next(choice for choice in choices if isinstance(choice, int))
        for choices in source.keys.values()
    )


@dataclass(frozen=True)
class ShardedStaging(StagingTables):
    """The staging tables of all shards."""

    shards: tuple[StagingTables, ...] = ()


class ShardedWriter:
    """The writing side: a worker's rows go to the shards of their keys.

    Each shard commits its part with the version.
    """

    def __init__(self, store: ShardedStore) -> None:
        self.writers = [MySQLWriter(shard) for shard in store.stores]

    @contextmanager
    def open_session(self, table: OnlineTable, origin: TableOrigin) -> Iterator["ShardedSession"]:
        """Begin a sync on every shard."""
        with ExitStack() as stack:
            sessions = [
                stack.enter_context(writer.open_session(table, origin)) for writer in self.writers
            ]
            yield ShardedSession(sessions)

    def load_rows(self, table: OnlineTable, staging: ShardedStaging, rows: pa.Table) -> None:
        """Add rows to the staging tables of their shards."""
        for writer, own_staging, own_rows in self._split_rows(table, staging, rows):
            writer.load_rows(table, own_staging, own_rows)

    def load_deleted_keys(
        self, table: OnlineTable, staging: ShardedStaging, keys: pa.Table
    ) -> None:
        """Add keys to those that go, on their shards."""
        for writer, own_staging, own_keys in self._split_rows(table, staging, keys):
            writer.load_deleted_keys(table, own_staging, own_keys)

    def _split_rows(
        self, table: OnlineTable, staging: ShardedStaging, rows: pa.Table
    ) -> Iterator[tuple[MySQLWriter, StagingTables, pa.Table]]:
        shards = choose_shards(rows, table, len(self.writers))
        for number, writer in enumerate(self.writers):
            own_rows = rows.take(np.flatnonzero(shards == number))
            if own_rows.num_rows:
                yield writer, staging.shards[number], own_rows

    def compute_checksums(
        self, table: OnlineTable, bucket_count: int, cutoff: datetime | None
    ) -> dict[int, tuple[int, int]]:
        """The rows and checksums of each bucket, over all shards."""
        totals: dict[int, tuple[int, int]] = {}
        for writer in self.writers:
            buckets = writer.compute_checksums(table, bucket_count, cutoff)
            for bucket, (count, checksum) in buckets.items():
                count_before, checksum_before = totals.get(bucket, (0, 0))
                totals[bucket] = (count_before + count, checksum_before + checksum)
        return totals

    def read_buckets(
        self,
        table: OnlineTable,
        bucket_count: int,
        bucket_numbers: Sequence[int],
        cutoff: datetime | None,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets, of all shards."""
        for writer in self.writers:
            yield from writer.read_buckets(table, bucket_count, bucket_numbers, cutoff)

    def read_newest_event_time(self, table: OnlineTable) -> Any:
        """The greatest event time of all shards."""
        event_times = [writer.read_newest_event_time(table) for writer in self.writers]
        return max((time for time in event_times if time is not None), default=None)


class ShardedSession:
    """A sync of all shards.

    One that is killed between two of them goes on from the version of the last: merging again
    changes nothing.
    """

    def __init__(self, sessions: Sequence[Any]) -> None:
        self.sessions = sessions
        self.last_sync = _find_furthest_behind([session.last_sync for session in sessions])

    def begin_staging(self, full_refresh: bool) -> ShardedStaging:
        """Staging tables on every shard."""
        shards = tuple(session.begin_staging(full_refresh) for session in self.sessions)
        return ShardedStaging("", full_refresh, shards)

    def swap_tables(self, staging: ShardedStaging, version: int) -> None:
        """Let the loaded rows be the table, shard by shard."""
        for session, own_staging in zip(self.sessions, staging.shards, strict=True):
            session.swap_tables(own_staging, version)

    def merge_rows(
        self, staging: ShardedStaging, version: int, cutoff: datetime | None
    ) -> MergeResult:
        """Merge what was loaded, shard by shard."""
        results = [
            session.merge_rows(own_staging, version, cutoff)
            for session, own_staging in zip(self.sessions, staging.shards, strict=True)
        ]
        return MergeResult(
            skipped=sum(result.skipped for result in results),
            deleted=sum(result.deleted for result in results),
            expired=sum(result.expired for result in results),
        )


def _find_furthest_behind(states: Sequence[SyncState | None]) -> SyncState | None:
    """The state of the least version; None where a shard was never synced."""
    synced = [state for state in states if state is not None]
    if len(synced) < len(states):
        return None
    return min(synced, key=lambda state: state.version)


# Where a third kind of store is added: one row.
registry.STORES[ShardedStore.scheme] = registry.RegisteredStore(
    "sharded", f"{__name__}:ShardedStore", f"{__name__}:ShardedWriter"
)
