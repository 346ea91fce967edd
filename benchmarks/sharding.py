"""The online store cut by the hash of the key into several schemas: ``make bench-sharding``.

A simulation of what a store of 10^9 entities does with several servers. Each schema stands for a
server; on one machine they share its cores, so what is shown is that nothing is lost and what the
cut costs, not what more servers bring.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mysql_server import Server
from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.tables.delta.session import get_session

SERVER = Server()


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


def measure(shard_count: int, row_count: int) -> dict[str, float]:
    """A first sync, a sync of a tenth, one vector and a hundred, and how even the shards are."""
    spark = get_session({"spark.driver.memory": "3g"})
    with tempfile.TemporaryDirectory() as home, make_schemas(shard_count) as urls:
        fs = spark_fs.login({"home": home, "online_url": urls}).get_feature_store()
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
        counts = [count_rows(url, number, len(urls)) for number, url in enumerate(urls)]
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


def count_rows(url: str, shard: int, shard_count: int) -> int:
    """The rows of the table of a shard."""
    table = "entities_1" if shard_count == 1 else f"entities_1${shard + 1}of{shard_count}"
    _, _, database = url.rpartition("/")
    with (
        closing(SERVER.connect(database=database)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute(f"SELECT COUNT(*) FROM `{table}`")
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
