"""What an insert costs beside raw Delta, in one run: ``make bench-ingest``.

Each pair is measured alternately, raw then ours, on tables of the same rows; the ratio is that of
the medians. Raw Delta appends a frame to a table, or merges it with the same partition predicate,
and checks nothing; ours checks keys, duplicates and overlap, and counts every row. Our tables keep
a change data feed, which the sync and read_changes need; the raw MERGE is measured on a table with
one and on a table without.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.tables.delta.session import get_session

FEATURES = 5
BUDGETS = {
    "disjoint batch": 1.3,
    "overlapping batch, raw with a change feed": 1.3,
    "overlapping batch, raw without": 1.3,
    "commit of 1,000 rows": 3.0,
}


def rows(spark: SparkSession, count: int, day: int, value: float) -> DataFrame:
    """So many keys at one instant of a day, in four partitions by country, with five features."""
    features = (F.round(F.rand(i) * 100 + value, 3).alias(f"f{i}") for i in range(FEATURES))
    at = (F.to_timestamp(F.lit("2024-01-01")) + F.make_dt_interval(F.lit(day))).alias("at")
    return spark.range(count).select(
        F.col("id").alias("k"), at, (F.col("id") % 4).alias("country"), *features
    )


def raw_append(frame: DataFrame, path: str) -> None:
    """What a user of Delta writes."""
    feed = "true" if path.endswith("_feed") else "false"
    frame.write.format("delta").mode("append").partitionBy("country").option(
        "delta.enableChangeDataFeed", feed
    ).save(path)


def raw_merge(frame: DataFrame, path: str) -> None:
    """What a user of Delta writes, with the partition predicate that they must think of."""
    on = "t.k = s.k AND t.at = s.at AND t.country = s.country AND t.country IN (0, 1, 2, 3)"
    merge = DeltaTable.forPath(frame.sparkSession, path).alias("t").merge(frame.alias("s"), on)
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def timed(act: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def live_megabytes(spark: SparkSession) -> float:
    """What the JVM holds once its garbage is collected."""
    java: Any = spark._jvm.java.lang  # type: ignore[union-attr] # never None here
    java.System.gc()
    return (
        float(java.management.ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed())
        / 2**20
    )


def measure(
    spark: SparkSession, size: int, repeats: int, held: dict[int, float]
) -> dict[str, tuple[list[float], list[float]]]:
    """Per case the seconds of raw Delta and ours, each repeated; the first round warms up and is not counted.

    held: takes what the JVM holds after each round, in megabytes by the number of rows in the
    table.
    """
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in BUDGETS}
    with tempfile.TemporaryDirectory() as home:
        group = (
            spark_fs.login({"home": home})
            .get_feature_store()
            .create_feature_group(
                "g", primary_key=["k"], event_time="at", partition_key=["country"]
            )
        )
        raw, feed = f"{home}/raw", f"{home}/raw_feed"
        for turn in range(repeats + 1):
            big, again, small = (
                rows(spark, size, 2 * turn, 0),
                rows(spark, size, 2 * turn, 1),
                rows(spark, 1_000, 2 * turn + 1, 0),
            )
            pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
                "disjoint batch": (lambda b=big: raw_append(b, raw), lambda b=big: group.insert(b)),  # type: ignore[misc] # bound now
                "overlapping batch, raw without": (
                    lambda b=again: raw_merge(b, raw),
                    lambda b=again: group.insert(b),
                ),  # type: ignore[misc] # bound now
                "commit of 1,000 rows": (
                    lambda b=small: raw_append(b, raw),
                    lambda b=small: group.insert(b),
                ),  # type: ignore[misc] # bound now
            }
            for name, acts in pairs.items():
                for seconds, act in zip(found[name], acts, strict=True):
                    took = timed(act)
                    seconds.extend([took] if turn else [])
            raw_append(big, feed)
            took = timed(lambda b=again: raw_merge(b, feed))  # type: ignore[misc] # bound now
            found["overlapping batch, raw with a change feed"][0].extend([took] if turn else [])
            raw_append(small, feed)
            held[(turn + 1) * (size + 1_000)] = live_megabytes(spark)
        found["overlapping batch, raw with a change feed"][1].extend(
            found["overlapping batch, raw without"][1]
        )
        assert group.read().count() == spark.read.format("delta").load(raw).count()
    return found


def main() -> None:
    """Print the table, and write it as JSON beside this file."""
    parser = argparse.ArgumentParser(description="Inserts beside raw Delta.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    held: dict[int, float] = {}
    measured = measure(get_session({}), options.rows, options.repeats, held)
    title = f"{options.rows:,} rows, {FEATURES} features, medians of {options.repeats}"
    table = Table("what", "raw Delta, s", "spark_fs, s", "ratio", "budget", title=title)
    report: dict[str, Any] = {"live_heap_megabytes_by_rows_of_history": held}
    for name, (raw, ours) in measured.items():
        low, high = statistics.median(raw), statistics.median(ours)
        report[name] = {
            "raw_seconds": low,
            "seconds": high,
            "ratio": high / low,
            "budget": BUDGETS[name],
        }
        table.add_row(
            name, f"{low:.2f}", f"{high:.2f}", f"{high / low:.2f}", f"{BUDGETS[name]:.1f}"
        )
    Console().print(table)
    Console().print(
        "live heap by rows of history: "
        + ", ".join(f"{rows:,}: {mb:.0f} MB" for rows, mb in held.items())
    )
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
