"""The writing side of an online store that is cut into shards.

A worker sends each row to the shard of its key. Each shard commits its rows with the version that
they bring it to, and a sync that ended between two shards goes on from the one furthest behind: to
merge rows again changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from spark_fs.errors import OnlineRefusedError
from spark_fs.online.registry import make_writer
from spark_fs.online.sharded.row_shards import choose_shards
from spark_fs.online.sharded.shard_calls import name_shard
from spark_fs.online.sharded.store import ShardedStore, find_furthest_behind
from spark_fs.online.store import (
    MergeResult,
    OnlineWriter,
    StagingTables,
    SyncSession,
    TableOrigin,
)
from spark_fs.online.table_layout import OnlineTable

T = TypeVar("T")


@dataclass(frozen=True)
class ShardedStaging(StagingTables):
    """The staging tables of all shards."""

    shards: tuple[StagingTables, ...] = ()


class ShardedWriter:
    """The writing side of a store; pickles, and connects anew in each worker."""

    def __init__(self, store: ShardedStore) -> None:
        self.store = store
        self._writers: list[OnlineWriter] = [make_writer(shard) for shard in store.shards]

    @contextmanager
    def open_session(self, table: OnlineTable, origin: TableOrigin) -> Iterator["ShardedSession"]:
        """Begin a sync on every shard, in their order; ConflictError while another one runs."""
        with ExitStack() as stack:
            sessions = []
            for number, writer in enumerate(self._writers):
                shard_table = self.store.make_shard_table(table, number)
                with name_shard(number, len(self._writers)):
                    session = stack.enter_context(writer.open_session(shard_table, origin))
                sessions.append(session)
            yield ShardedSession(self.store, table.name, sessions)

    def load_rows(self, table: OnlineTable, staging: StagingTables, rows: pa.Table) -> None:
        """Add rows to the staging tables of their shards."""
        for number, shard_rows in self._split_rows(table, rows):
            with name_shard(number, len(self._writers)):
                self._writers[number].load_rows(
                    self.store.make_shard_table(table, number),
                    _get_shard_staging(staging, number),
                    shard_rows,
                )

    def load_deleted_keys(self, table: OnlineTable, staging: StagingTables, keys: pa.Table) -> None:
        """Add keys to those that go, on their shards."""
        for number, shard_keys in self._split_rows(table, keys):
            with name_shard(number, len(self._writers)):
                self._writers[number].load_deleted_keys(
                    self.store.make_shard_table(table, number),
                    _get_shard_staging(staging, number),
                    shard_keys,
                )

    def _split_rows(self, table: OnlineTable, rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        """The rows of each shard that has some."""
        shards = choose_shards(rows, table, len(self._writers))
        for number in np.unique(shards):
            yield int(number), rows.take(np.flatnonzero(shards == number))

    def compute_checksums(
        self, table: OnlineTable, bucket_count: int, cutoff: datetime | None
    ) -> dict[int, tuple[int, int]]:
        """Of each bucket of keys how many rows all shards hold, and the sum of their checksums."""
        totals: dict[int, tuple[int, int]] = {}
        for number, writer in enumerate(self._writers):
            shard_table = self.store.make_shard_table(table, number)
            with name_shard(number, len(self._writers)):
                buckets = writer.compute_checksums(shard_table, bucket_count, cutoff)
            for bucket, (row_count, checksum) in buckets.items():
                rows_before, checksum_before = totals.get(bucket, (0, 0))
                totals[bucket] = (rows_before + row_count, checksum_before + checksum)
        return totals

    def read_buckets(
        self,
        table: OnlineTable,
        bucket_count: int,
        bucket_numbers: Sequence[int],
        cutoff: datetime | None,
    ) -> Iterator[tuple[Any, ...]]:
        """The rows of some buckets of all shards, decoded."""
        for number, writer in enumerate(self._writers):
            shard_table = self.store.make_shard_table(table, number)
            with name_shard(number, len(self._writers)):
                yield from writer.read_buckets(shard_table, bucket_count, bucket_numbers, cutoff)


class ShardedSession:
    """A sync of all shards, while the lock of each is held."""

    def __init__(
        self, store: ShardedStore, table_name: str, sessions: Sequence[SyncSession]
    ) -> None:
        self.last_sync = find_furthest_behind([session.last_sync for session in sessions])
        self._store = store
        self._table_name = table_name
        self._sessions = sessions

    def begin_staging(self, full_refresh: bool) -> ShardedStaging:
        """Make new tables for the rows of this run on every shard."""
        shards = self._call_sessions(lambda _, session: session.begin_staging(full_refresh))
        return ShardedStaging("", full_refresh, tuple(shards))

    def swap_tables(self, staging: StagingTables, version: int) -> None:
        """Let the loaded rows be the table, on all shards at once."""
        self._call_sessions(
            lambda number, session: session.swap_tables(
                _get_shard_staging(staging, number), version
            )
        )

    def merge_rows(
        self, staging: StagingTables, version: int, cutoff: datetime | None
    ) -> MergeResult:
        """Merge the loaded rows, on all shards at once.

        OnlineRefusedError where a shard is ahead of the version.
        """
        self._check_none_ahead(version)
        results = self._call_sessions(
            lambda number, session: session.merge_rows(
                _get_shard_staging(staging, number), version, cutoff
            )
        )
        return MergeResult(
            skipped=sum(result.skipped for result in results),
            deleted=sum(result.deleted for result in results),
            expired=sum(result.expired for result in results),
        )

    def _check_none_ahead(self, version: int) -> None:
        """A full sync of an older backup that ended between two shards left one ahead."""
        for number, session in enumerate(self._sessions):
            if session.last_sync is not None and session.last_sync.version > version:
                raise OnlineRefusedError(
                    f"Shard {number + 1} of {len(self._sessions)} of the online store has"
                    f" {self._table_name} at version {session.last_sync.version}, and the table"
                    f" ends with version {version}: it was put back from an older backup. Nothing"
                    " was changed. Bring it online as it is with full=True."
                )

    def _call_sessions(self, call: Callable[[int, SyncSession], T]) -> list[T]:
        """What a call gives of each session; all have ended when one is known to have failed."""
        results = self._store.calls.call_shards(
            {
                number: partial(self._call_session, call, number)
                for number in range(len(self._sessions))
            }
        )
        return [results[number] for number in range(len(self._sessions))]

    def _call_session(self, call: Callable[[int, SyncSession], T], number: int) -> T:
        """The driver's errors are translated here, where it is known whose they are."""
        with self._store.shards[number].translate_errors():
            return call(number, self._sessions[number])


def _get_shard_staging(staging: StagingTables, number: int) -> StagingTables:
    assert isinstance(staging, ShardedStaging)
    return staging.shards[number]
