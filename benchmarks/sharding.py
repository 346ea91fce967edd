"""The online store cut by the hash of the key into several MariaDB schemas, behind the interface of one: ``make bench-sharding``.

A simulation of what a store of 10^9 entities does with several servers. Each schema stands for a
server; on one machine they share its cores, so what is shown is that nothing is lost and what the
cut costs, not what more servers bring.
"""

import argparse
import json
import statistics
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from online import connect, url
from rich.console import Console
from rich.table import Table

import spark_fs
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
from spark_fs.online.table import OnlineTable
from spark_fs.tables.delta.session import get_session


def shard_of_key(values: Sequence[Any], shards: int) -> int:
    """The shard of a key, by the CRC-32 of its values' texts, as ``shards_of`` has it for columns."""
    text = "\t".join(
        f"{len(value)}:{value}" if isinstance(value, str) else str(value) for value in values
    )
    return zlib.crc32(text.encode()) % shards


def shards_of(rows: pa.Table, table: OnlineTable, shards: int) -> Any:
    """The shard of each row."""
    return text_format.compute_checksums(rows, table.key_columns) % shards


class ShardedStore:
    """Several stores, each with the rows of some keys. Replicas: for reading, one for each store, when they are given."""

    scheme: ClassVar[str] = "sharded"

    def __init__(self, stores: Sequence[MySQLStore], replicas: Sequence[MySQLStore] = ()) -> None:
        self.stores, self.readers = tuple(stores), tuple(replicas or stores)
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
        return _behind([store.read_sync_state(table) for store in self.stores])


class ShardedLookup:
    """The sources whose keys an entry gives; each is found on the shard of its own key."""

    def __init__(
        self, store: ShardedStore, sources: Sequence[LookupSource], key_types: Sequence[str]
    ) -> None:
        self._store, self._sources, self._types = store, tuple(sources), key_types
        self._numbers = [
            tuple(
                next(c for c in choices if isinstance(c, int)) for choices in source.keys.values()
            )
            for source in sources
        ]
        self._together = (
            len(set(self._numbers)) == 1
        )  # one key for all: an entry lies whole on one shard
        groups = [self._sources] if self._together else [(source,) for source in self._sources]
        self._asked = [
            [reader.prepare_lookup(group, key_types) for reader in store.readers]
            for group in groups
        ]

    def __call__(self, entries: Sequence[Sequence[Any]], now: datetime) -> LookupRows:
        """The rows of the entries: one round trip for each shard that is asked, and for each source where these have keys of their own."""
        found: list[list[Any]] = [[number] for number in range(len(entries))]
        for place, lookups in enumerate(self._asked):
            numbers, by_shard = self._numbers[place], {}
            for number, entry in enumerate(entries):
                shard = shard_of_key([entry[n] for n in numbers], len(lookups))
                by_shard.setdefault(shard, []).append(number)
            for shard, asked in by_shard.items():
                for local, *row in lookups[shard]([entries[n] for n in asked], now):
                    found[asked[local]] += row
        return [tuple(row) for row in found]


@dataclass(frozen=True)
class ShardedStaging(StagingTables):
    """The places of all shards."""

    places: tuple[StagingTables, ...] = ()


class ShardedWriter:
    """The writing side: a worker's rows go to the shards of their keys, and each shard commits its part with the version."""

    def __init__(self, store: ShardedStore) -> None:
        self.writers = [MySQLWriter(each) for each in store.stores]

    @contextmanager
    def open_session(self, table: OnlineTable, origin: TableOrigin) -> Iterator["ShardedSession"]:
        """Begin a sync on every shard."""
        with ExitStack() as stack:
            yield ShardedSession(
                [stack.enter_context(each.open_session(table, origin)) for each in self.writers]
            )

    def load_rows(self, table: OnlineTable, staging: ShardedStaging, rows: pa.Table) -> None:
        """Add rows to the places of their shards."""
        for writer, own, part in self._parts(table, staging, rows):
            writer.load_rows(table, own, part)

    def load_deleted_keys(
        self, table: OnlineTable, staging: ShardedStaging, keys: pa.Table
    ) -> None:
        """Add keys to those that go, on their shards."""
        for writer, own, part in self._parts(table, staging, keys):
            writer.load_deleted_keys(table, own, part)

    def _parts(
        self, table: OnlineTable, staging: ShardedStaging, rows: pa.Table
    ) -> Iterator[tuple[MySQLWriter, StagingTables, pa.Table]]:
        shards = shards_of(rows, table, len(self.writers))
        for number, writer in enumerate(self.writers):
            part = rows.take(np.flatnonzero(shards == number))
            if part.num_rows:
                yield writer, staging.places[number], part

    def compute_checksums(
        self, table: OnlineTable, bucket_count: int, cutoff: datetime | None
    ) -> dict[int, tuple[int, int]]:
        """The rows and checksums of each bucket, over all shards."""
        total: dict[int, tuple[int, int]] = {}
        for writer in self.writers:
            for bucket, (count, checksum) in writer.compute_checksums(
                table, bucket_count, cutoff
            ).items():
                before = total.get(bucket, (0, 0))
                total[bucket] = before[0] + count, before[1] + checksum
        return total

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
        return max(
            (
                found
                for writer in self.writers
                if (found := writer.read_newest_event_time(table)) is not None
            ),
            default=None,
        )


class ShardedSession:
    """A sync of all shards. One that is killed between two of them goes on from the version of the last: merging again changes nothing."""

    def __init__(self, sessions: Sequence[Any]) -> None:
        self.sessions, self.last_sync = sessions, _behind([each.last_sync for each in sessions])

    def begin_staging(self, full_refresh: bool) -> ShardedStaging:
        """A new place on every shard."""
        return ShardedStaging(
            "", full_refresh, tuple(each.begin_staging(full_refresh) for each in self.sessions)
        )

    def swap_tables(self, staging: ShardedStaging, version: int) -> None:
        """Let the loaded rows be the table, shard by shard."""
        for session, own in zip(self.sessions, staging.places, strict=True):
            session.swap_tables(own, version)

    def merge_rows(
        self, staging: ShardedStaging, version: int, cutoff: datetime | None
    ) -> MergeResult:
        """Merge what was loaded, shard by shard."""
        done = [
            session.merge_rows(own, version, cutoff)
            for session, own in zip(self.sessions, staging.places, strict=True)
        ]
        return MergeResult(
            *(
                sum(getattr(each, name) for each in done)
                for name in ("skipped", "deleted", "expired")
            )
        )


def _behind(found: Sequence[SyncState | None]) -> SyncState | None:
    return (
        None
        if any(each is None for each in found)
        else min((each for each in found if each), key=lambda each: each.version)
    )


registry.STORES[ShardedStore.scheme] = registry.RegisteredStore(
    "sharded", f"{__name__}:ShardedStore", f"{__name__}:ShardedWriter"
)


@contextmanager
def schemas(count: int, prefix: str = "shard") -> Iterator[list[str]]:
    """The URLs of so many empty schemas."""
    names = [f"{prefix}_{number}" for number in range(count)]
    with closing(connect()) as connection, closing(connection.cursor()) as cursor:
        for name in names:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield [f"{url()}/{name}" for name in names]
        finally:
            for name in names:
                cursor.execute(f"DROP DATABASE {name}")


def sharded(home: Path, urls: Sequence[str]) -> Any:
    """A feature store over a sharded online store."""
    fs = spark_fs.login({"home": home, "online_url": urls[0]}).get_feature_store()
    for module in ("sharding", "online"):
        fs._stores.spark.sparkContext.addPyFile(
            str(Path(__file__).with_name(f"{module}.py"))
        )  # what workers load
    fs._stores.__dict__["online"] = ShardedStore([MySQLStore(each) for each in urls])
    return fs


def measured(shards: int, rows: int) -> dict[str, float]:
    """A first sync, a sync of a tenth, one vector and a hundred, and how even the shards are."""
    spark = get_session({"spark.driver.memory": "3g"})
    with tempfile.TemporaryDirectory() as home, schemas(shards) as urls:
        fs = sharded(Path(home), urls)
        group = fs.create_feature_group(
            "entities",
            primary_key=["k"],
            event_time="at",
            online_enabled=True,
            statistics_config=False,
        )
        found: dict[str, float] = {}
        for name, day, share in (("first", 1, 1.0), ("changes", 2, 0.1)):
            at = f"timestamp'2024-01-0{day}' AS at"
            group.insert(
                spark.range(int(rows * share)).selectExpr(
                    "id AS k", at, *(f"id * {i} / 7.0D AS f{i}" for i in range(5))
                )
            )
            began = time.perf_counter()
            group.sync_online()
            found[name] = rows * share / (time.perf_counter() - began)
        assert group.verify_online().ok
        view = fs.create_feature_view("entities", group.select_features())
        view.init_serving()
        draw = np.random.default_rng(0)
        for name, size, times in (("one", 1, 2_000), ("hundred", 100, 200)):
            took = []
            for _ in range(times):
                entries = [{"k": int(k)} for k in draw.integers(0, rows, size)]
                began = time.perf_counter()
                view.get_feature_vectors(entries)
                took.append(time.perf_counter() - began)
            found[name] = statistics.median(took)
        counts = []
        for each in urls:
            with (
                closing(connect(database=each.rpartition("/")[2])) as connection,
                closing(connection.cursor()) as cursor,
            ):
                cursor.execute("SELECT COUNT(*) FROM entities_1")
                counts += [count for (count,) in cursor.fetchall()]
        assert sum(counts) == rows
        return {**found, "largest share": max(counts) / rows * shards}


def main() -> None:
    """Measure one, two, four and eight shards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    options = parser.parse_args()
    headings = (
        "shards",
        "first sync",
        "sync of a tenth",
        "one vector",
        "100 vectors",
        "largest share",
    )
    table = Table(*headings, title=f"{options.rows:,} entities")
    results = {}
    measured(1, 10_000)  # what is loaded once is not measured
    for shards in (1, 2, 4, 8):
        found = results[shards] = measured(shards, options.rows)
        table.add_row(
            str(shards),
            f"{found['first']:,.0f} rows/s",
            f"{found['changes']:,.0f} rows/s",
            f"{found['one'] * 1e6:,.0f} us",
            f"{found['hundred'] * 1e3:.2f} ms",
            f"{found['largest share']:.3f}",
        )
    Console(width=120).print(table)
    Path(__file__).with_suffix(".json").write_text(
        json.dumps({"rows": options.rows, "shards": results}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
