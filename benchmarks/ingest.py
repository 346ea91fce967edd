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
from functools import partial
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.tables.delta.session import get_session

RawWrite = Callable[[DataFrame, str], None]
FEATURES = 5
WITH_FEED = "overlapping batch, raw with a change feed"
BUDGETS = {
    "disjoint batch": 1.3,
    WITH_FEED: 1.3,
    "overlapping batch, raw without": 1.3,
    "commit of 1,000 rows": 3.0,
}


def make_rows(spark: SparkSession, count: int, day: int, value: float) -> DataFrame:
    """So many keys at one instant of a day, in four partitions by country, with five features."""
    features = []
    for i in range(FEATURES):
        number = F.rand(i) * 100 + value
        features.append(F.round(number, 3).alias(f"f{i}"))
    first_day = F.to_timestamp(F.lit("2024-01-01"))
    instant = first_day + F.make_dt_interval(F.lit(day))
    country = (F.col("id") % 4).alias("country")
    key = F.col("id").alias("k")
    return spark.range(count).select(key, instant.alias("at"), country, *features)


def raw_append(frame: DataFrame, path: str) -> None:
    """What a user of Delta writes."""
    feed = "true" if path.endswith("_feed") else "false"
    writer = frame.write.format("delta").mode("append").partitionBy("country")
    writer.option("delta.enableChangeDataFeed", feed).save(path)


def raw_merge(frame: DataFrame, path: str) -> None:
    """What a user of Delta writes, with the partition predicate that they must think of."""
    on = "t.k = s.k AND t.at = s.at AND t.country = s.country AND t.country IN (0, 1, 2, 3)"
    table = DeltaTable.forPath(frame.sparkSession, path).alias("t")
    merge = table.merge(frame.alias("s"), on)
    merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


def measure_seconds(act: Callable[[], object]) -> float:
    """The seconds that it takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def live_megabytes(spark: SparkSession) -> float:
    """What the JVM holds once its garbage is collected."""
    java: Any = spark._jvm.java.lang  # type: ignore[union-attr] # never None here
    java.System.gc()
    memory = java.management.ManagementFactory.getMemoryMXBean()
    return float(memory.getHeapMemoryUsage().getUsed()) / 2**20


class Measurement:
    """Rounds of inserts into a raw table, one with a change feed, and a group of the same rows.

    seconds: per case those of raw Delta and ours, each repeated. live_heap: what the JVM holds
    after each round, in megabytes by the number of rows in the table.
    """

    def __init__(self, spark: SparkSession, home: str, size: int) -> None:
        self.spark = spark
        self.size = size
        self.raw = f"{home}/raw"
        self.feed = f"{home}/raw_feed"
        store = spark_fs.login({"home": home}).get_feature_store()
        self.group = store.create_feature_group(
            "g", primary_key=["k"], event_time="at", partition_key=["country"]
        )
        self.seconds: dict[str, tuple[list[float], list[float]]] = {}
        for name in BUDGETS:
            self.seconds[name] = ([], [])
        self.live_heap: dict[int, float] = {}

    def run_round(self, turn: int) -> None:
        """One round; the first, of number 0, warms up and is not counted."""
        batch = make_rows(self.spark, self.size, 2 * turn, 0)
        again = make_rows(self.spark, self.size, 2 * turn, 1)
        small = make_rows(self.spark, 1_000, 2 * turn + 1, 0)
        pairs: dict[str, tuple[RawWrite, DataFrame]] = {
            "disjoint batch": (raw_append, batch),
            "overlapping batch, raw without": (raw_merge, again),
            "commit of 1,000 rows": (raw_append, small),
        }
        for name, (write_raw, frame) in pairs.items():
            raw_seconds = measure_seconds(partial(write_raw, frame, self.raw))
            seconds = measure_seconds(partial(self.group.insert, frame))
            self.record(turn, name, raw_seconds, seconds)
        raw_append(batch, self.feed)
        feed_seconds = measure_seconds(partial(raw_merge, again, self.feed))
        self.record(turn, WITH_FEED, feed_seconds, None)
        raw_append(small, self.feed)
        row_count = (turn + 1) * (self.size + 1_000)
        self.live_heap[row_count] = live_megabytes(self.spark)

    def record(self, turn: int, name: str, raw_seconds: float, seconds: float | None) -> None:
        """Keep what was measured, but for the first round; None: ours is measured elsewhere."""
        raw, ours = self.seconds[name]
        if turn:
            raw.append(raw_seconds)
            if seconds is not None:
                ours.append(seconds)

    def finish(self) -> None:
        """Compare the tables; ours is the same beside either raw MERGE."""
        _, merge_seconds = self.seconds["overlapping batch, raw without"]
        self.seconds[WITH_FEED][1].extend(merge_seconds)
        raw_count = self.spark.read.format("delta").load(self.raw).count()
        assert self.group.read().count() == raw_count

    def summarize(self) -> dict[str, dict[str, float]]:
        """Per case the medians, and ours beside that of raw Delta."""
        report = {}
        for name, (raw, ours) in self.seconds.items():
            raw_seconds = statistics.median(raw)
            seconds = statistics.median(ours)
            report[name] = {
                "raw_seconds": raw_seconds,
                "seconds": seconds,
                "ratio": seconds / raw_seconds,
                "budget": BUDGETS[name],
            }
        return report


def main() -> None:
    """Print the table, and write it as JSON beside this file."""
    parser = argparse.ArgumentParser(description="Inserts beside raw Delta.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        measurement = Measurement(get_session({}), home, options.rows)
        for turn in range(options.repeats + 1):
            measurement.run_round(turn)
        measurement.finish()
    report = measurement.summarize()
    title = f"{options.rows:,} rows, {FEATURES} features, medians of {options.repeats}"
    print_table(title, report)
    heap = [f"{rows:,}: {megabytes:.0f} MB" for rows, megabytes in measurement.live_heap.items()]
    Console().print(f"live heap by rows of history: {', '.join(heap)}")
    figures = {"live_heap_megabytes_by_rows_of_history": measurement.live_heap, **report}
    text = json.dumps(figures, indent=2)
    Path(__file__).with_suffix(".json").write_text(text + "\n")


def print_table(title: str, report: dict[str, dict[str, float]]) -> None:
    """Each case beside raw Delta."""
    table = Table("what", "raw Delta, s", "spark_fs, s", "ratio", "budget", title=title)
    for name, case in report.items():
        figures = [f"{case[key]:.2f}" for key in ("raw_seconds", "seconds", "ratio")]
        table.add_row(name, *figures, f"{case['budget']:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
