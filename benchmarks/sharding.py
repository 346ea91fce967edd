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
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from mysql_server import Server
from pyspark.sql import SparkSession
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

SERVER = Server()


def choose_shard_of_key(values: Sequence[Any], shard_count: int) -> int:
    """The shard of a key, by the CRC-32 of its values' strings, as ``choose_shards`` has it for columns."""
    strings = []
    for value in values:
        strings.append(f"{len(value)}:{value}" if isinstance(value, str) else str(value))
    return zlib.crc32("\t".join(strings).encode()) % shard_count


def choose_shards(rows: pa.Table, table: OnlineTable, shard_count: int) -> Any:
    """The shard of each row."""
    return text_format.compute_checksums(rows, table.key_columns) % shard_count


class ShardedStore:
    """Several stores, each with the rows of some keys. Replicas: for reading, one for each store, when they are given."""

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
        """The rows of the entries: one round trip for each shard that is asked, and for each source where these have keys of their own."""
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
    """The writing side: a worker's rows go to the shards of their keys, and each shard commits its part with the version."""

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
    """A sync of all shards. One that is killed between two of them goes on from the version of the last: merging again changes nothing."""

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


@contextmanager
def make_schemas(count: int, prefix: str = "shard") -> Iterator[list[str]]:
    """The URLs of so many empty schemas."""
    names = [f"{prefix}_{number}" for number in range(count)]
    with closing(SERVER.connect()) as connection, closing(connection.cursor()) as cursor:
        for name in names:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")
            cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield [f"{SERVER.url}/{name}" for name in names]
        finally:
            for name in names:
                cursor.execute(f"DROP DATABASE {name}")


def open_sharded_store(home: Path, urls: Sequence[str]) -> Any:
    """A feature store over a sharded online store."""
    fs = spark_fs.login({"home": home, "online_url": urls[0]}).get_feature_store()
    for module in ("sharding", "mysql_server"):  # what workers load
        fs._stores.spark.sparkContext.addPyFile(str(Path(__file__).with_name(f"{module}.py")))
    fs._stores.__dict__["online"] = ShardedStore([MySQLStore(url) for url in urls])
    return fs


def measure(shard_count: int, row_count: int) -> dict[str, float]:
    """A first sync, a sync of a tenth, one vector and a hundred, and how even the shards are."""
    spark = get_session({"spark.driver.memory": "3g"})
    with tempfile.TemporaryDirectory() as home, make_schemas(shard_count) as urls:
        fs = open_sharded_store(Path(home), urls)
        group = fs.create_feature_group(
            "entities",
            primary_key=["k"],
            event_time="at",
            online_enabled=True,
            statistics_config=False,
        )
        results = {
            "first": measure_sync(spark, group, "2024-01-01", row_count),
            "changes": measure_sync(spark, group, "2024-01-02", row_count * 0.1),
        }
        assert group.verify_online().ok
        view = fs.create_feature_view("entities", group.select_features())
        view.init_serving()
        generator = np.random.default_rng(0)
        for name, size, turns in (("one", 1, 2_000), ("hundred", 100, 200)):
            seconds = []
            for _ in range(turns):
                entries = [{"k": int(key)} for key in generator.integers(0, row_count, size)]
                began = time.perf_counter()
                view.get_feature_vectors(entries)
                seconds.append(time.perf_counter() - began)
            results[name] = statistics.median(seconds)
        counts = [count_rows(url) for url in urls]
        assert sum(counts) == row_count
        results["largest share"] = max(counts) / row_count * shard_count
        return results


def measure_sync(spark: SparkSession, group: Any, day: str, count: float) -> float:
    """Rows per second of a sync of so many keys, at one instant."""
    event_time = f"timestamp'{day}' AS at"
    features = [f"id * {i} / 7.0D AS f{i}" for i in range(5)]
    group.insert(spark.range(int(count)).selectExpr("id AS k", event_time, *features))
    began = time.perf_counter()
    group.sync_online()
    return count / (time.perf_counter() - began)


def count_rows(url: str) -> int:
    """The rows of the table in a schema."""
    _, _, database = url.rpartition("/")
    with (
        closing(SERVER.connect(database=database)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute("SELECT COUNT(*) FROM entities_1")
        ((count,),) = cursor.fetchall()
    return int(count)


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
    results_by_count = {}
    measure(1, 10_000)  # what is loaded once is not measured
    for shard_count in (1, 2, 4, 8):
        results = measure(shard_count, options.rows)
        results_by_count[shard_count] = results
        table.add_row(
            str(shard_count),
            f"{results['first']:,.0f} rows/s",
            f"{results['changes']:,.0f} rows/s",
            f"{results['one'] * 1e6:,.0f} us",
            f"{results['hundred'] * 1e3:.2f} ms",
            f"{results['largest share']:.3f}",
        )
    Console(width=120).print(table)
    report = {"rows": options.rows, "shards": results_by_count}
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
