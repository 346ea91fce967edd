"""Window features: spark_fs beside other ways, on the same events.

Prints for each case a table with one line per way, and writes it as JSON beside this file, case by
case; what fails is told and left out. All ways run in one process, in turns, warm: the first turn
is not counted, and in it all results are compared. Every other way reads the Parquet files of the
events' Delta table and writes Parquet; spark_fs reads the feature group, and builds a declared one
from it, as a Delta table. "Spark, frames" are Spark's own range frames; "Spark, range join" joins
each event with those in its longest window and aggregates them; DuckDB (window frames) and Polars
(``rolling`` over sorted keys) run in this process, with as many threads as there are cores.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table
from window_events import EXTREMES, LENGTHS, Case, Data, check_results

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.base.times import from_micros
from spark_fs.tables.delta import history
from spark_fs.tables.delta.session import get_session

# Writes the result, and returns the Parquet files that hold it.
Way = Callable[[SparkSession, Data, Path], list[str]]
GROUP = "windows"
NEXT_DAY = "the next day of a year"


def ours(_: SparkSession, data: Data, out: Path) -> list[str]:
    """The public API: a declared group, backfilled; or the windows joined to the spine."""
    if data.case.spine:
        data.view.create_training_data(location=str(out))
        return list_parquet(out)
    group = declare_group(data)
    group.backfill(from_micros(data.start), from_micros(data.end))
    return list_table(group)


def declare_group(data: Data) -> FeatureGroup:
    """A group of the features, without rows."""
    return data.fs.create_feature_group(
        GROUP,
        primary_key=["k"],
        event_time="t",
        aggregation=data.aggregation(),
        statistics_config=False,
    )


def list_table(group: FeatureGroup) -> list[str]:
    """The Parquet files of a group's table."""
    return [file.path for file in history.list_data_files(group.location)]


def spark_frames(spark: SparkSession, data: Data, out: Path) -> list[str]:
    """Spark's range frames, over the union of events and spine where there is a spine."""
    rows = build_union(spark, data)
    in_order = Window.partitionBy("k").orderBy("micros")
    columns = {}
    for name, function, window in data.case.features:
        frame = in_order.rangeBetween(-LENGTHS[window], -1)
        columns[name] = SPARK_FUNCTIONS[function]("x").over(frame)
        if function == "distinct_count":
            columns[name] = F.size(columns[name])
    result = rows.withColumns(columns)
    if data.case.spine:
        result = result.filter("id IS NOT NULL")
    result.drop("micros", "x").write.parquet(str(out))
    return list_parquet(out)


SPARK_FUNCTIONS: Mapping[str, Callable[[str], Column]] = {
    "count": F.count,
    "mean": F.avg,
    "stddev": F.stddev_pop,
    "min": F.min,
    "max": F.max,
    "last": lambda column: F.last(column, ignorenulls=True),
    "distinct_count": F.collect_set,
}


def build_union(spark: SparkSession, data: Data) -> DataFrame:
    """The events, and beside them the rows of the spine, which have no value."""
    rows = data.frame(spark, "events")
    if data.case.spine:
        rows = rows.unionByName(data.frame(spark, "spine"), allowMissingColumns=True)
    return rows.withColumn("micros", F.unix_micros("t"))


def spark_range_join(spark: SparkSession, data: Data, out: Path) -> list[str]:
    """Each row with the events in its longest window, grouped again."""
    rows = data.frame(spark, "spine" if data.case.spine else "events")
    left = rows.select(*data.case.key, F.col("k").alias("key"), F.unix_micros("t").alias("at"))
    events = data.frame(spark, "events")
    right = events.select(F.col("k").alias("event_key"), "x", F.unix_micros("t").alias("known"))
    longest = max(LENGTHS[window] for window in data.case.windows)
    age = F.col("at") - F.col("known")
    is_within = (F.col("key") == F.col("event_key")) & age.between(1, longest)
    columns = []
    for feature, function, window in data.case.features:
        value = F.when(age <= LENGTHS[window], F.col("x"))
        columns.append(JOIN_FUNCTIONS[function](value).alias(feature))
    joined = left.join(right, is_within, "left")
    joined.groupBy(*data.case.key).agg(*columns).write.parquet(str(out))
    return list_parquet(out)


JOIN_FUNCTIONS: Mapping[str, Callable[[Column], Column]] = {
    "count": F.count,
    "mean": F.avg,
    "stddev": F.stddev_pop,
    "min": F.min,
    "max": F.max,
    "last": lambda value: F.max_by(value, F.when(value.isNotNull(), F.col("known"))),
    "distinct_count": F.countDistinct,
}


def duckdb_frames(_: SparkSession, data: Data, out: Path) -> list[str]:
    """Range frames in DuckDB, over the union of events and spine where there is a spine."""
    case = data.case
    columns = [*dict.fromkeys(["k", "t", *case.key])]
    for feature, function, window in case.features:
        value = DUCKDB_FUNCTIONS[function].format(x="x")
        columns.append(f'{value} OVER "{window}" AS "{feature}"')
    frames = []
    for window in case.windows:
        frame = f"RANGE BETWEEN {LENGTHS[window]} PRECEDING AND 1 PRECEDING"
        frames.append(f'"{window}" AS (PARTITION BY k ORDER BY epoch_us(t) {frame})')
    source = f"SELECT k, t, x, NULL AS id FROM read_parquet({data.files('events')})"
    if case.spine:
        source += f" UNION ALL SELECT k, t, NULL, id FROM read_parquet({data.files('spine')})"
    query = f"SELECT {', '.join(columns)} FROM ({source}) WINDOW {', '.join(frames)}"
    if case.spine:
        query = f"SELECT * FROM ({query}) WHERE id IS NOT NULL"
    return write_by_duckdb(query, out)


DUCKDB_FUNCTIONS = {
    "count": "count({x})",
    "mean": "avg({x})",
    "stddev": "stddev_pop({x})",
    "min": "min({x})",
    "max": "max({x})",
    "last": "last_value({x} IGNORE NULLS)",
    "distinct_count": "count(DISTINCT {x})",
}


def duckdb_range_join(_: SparkSession, data: Data, out: Path) -> list[str]:
    """Each row with the events in its longest window in DuckDB, grouped again."""
    case = data.case
    columns = [f"l.{column}" for column in case.key]
    for feature, function, window in case.features:
        within = f"epoch_us(l.t) - epoch_us(e.t) <= {LENGTHS[window]}"
        value = DUCKDB_JOIN_FUNCTIONS[function].format(x="e.x")
        columns.append(f'{value} FILTER ({within}) AS "{feature}"')
    longest = max(LENGTHS[window] for window in case.windows)
    left = f"read_parquet({data.files('spine' if case.spine else 'events')})"
    query = (
        f"SELECT {', '.join(columns)} FROM {left} l LEFT JOIN"
        f" read_parquet({data.files('events')}) e ON l.k = e.k AND epoch_us(e.t) < epoch_us(l.t)"
        f" AND epoch_us(e.t) >= epoch_us(l.t) - {longest}"
        f" GROUP BY {', '.join(f'l.{column}' for column in case.key)}"
    )
    return write_by_duckdb(query, out)


DUCKDB_JOIN_FUNCTIONS = {**DUCKDB_FUNCTIONS, "last": "arg_max({x}, e.t)"}


def write_by_duckdb(query: str, out: Path) -> list[str]:
    """Write the rows of a query as Parquet."""
    out.mkdir()
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {os.cpu_count()}")
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({query}) TO '{out}/all.parquet' (FORMAT parquet)")
    return list_parquet(out)


def polars_rolling(_: SparkSession, data: Data, out: Path) -> list[str]:
    """Polars' rolling groups over sorted keys: faster than its rolling_*_by over each key."""
    import polars as pl  # noqa: PLC0415 # not a dependency

    case = data.case
    rows = pl.scan_parquet(data.files("events")).select("k", "t", "x")
    if case.spine:
        spine = pl.scan_parquet(data.files("spine")).select("id", "k", "t")
        rows = pl.concat([rows, spine], how="diagonal")
    rows = rows.sort("k", "t").collect()
    x = pl.col("x").drop_nulls() if case.spine else pl.col("x")
    functions = {
        "count": x.count(),
        "mean": x.mean(),
        "stddev": x.std(ddof=0),
        "min": x.min(),
        "max": x.max(),
        "last": x.last(),
        "distinct_count": x.n_unique(),
    }
    result = rows.select(*dict.fromkeys(["k", "t", *case.key]))
    for window in case.windows:
        features = [
            functions[function].alias(feature)
            for feature, function, name in case.features
            if name == window
        ]
        rolled = rows.rolling("t", period=window, closed="left", group_by="k").agg(*features)
        result = pl.concat([result, rolled.drop("k", "t")], how="horizontal")
    if case.spine:
        result = result.filter(pl.col("id").is_not_null())
    out.mkdir()
    result.write_parquet(out / "all.parquet")
    return list_parquet(out)


def list_parquet(folder: Path) -> list[str]:
    """The Parquet files in a folder."""
    return [str(path) for path in folder.rglob("*.parquet")]


WAYS: dict[str, Way] = {
    "spark_fs": ours,
    "Spark, frames": spark_frames,
    "Spark, range join": spark_range_join,
    "DuckDB": duckdb_frames,
    "DuckDB, range join": duckdb_range_join,
    "Polars": polars_rolling,
}
BESIDE_EVENTS = tuple(way for way in WAYS if way != "DuckDB, range join")
BESIDE_EXTREMES = ("spark_fs", "DuckDB", "Polars")  # Spark counts distinct values for minutes
BESIDE_ITSELF = ("spark_fs", "DuckDB")  # what ends in minutes where a window holds many events
CASES = {
    "1M": Case(1_000_000, 10_000),
    "5M": Case(5_000_000, 50_000),
    "20M": Case(20_000_000, 200_000),
    "1M, extremes": Case(1_000_000, 10_000, functions=EXTREMES),
    "5M, extremes": Case(5_000_000, 50_000, functions=EXTREMES),
    "15 minutes of a year": Case(5_000_000, 5_000, 365, windows=("15m",)),
    "4 hours of a year": Case(5_000_000, 5_000, 365, windows=("4h",)),
    "90 days of a year": Case(5_000_000, 5_000, 365, windows=("90d",)),
    "even keys": Case(5_000_000, 50_000),
    "30% of events on one key": Case(5_000_000, 50_000, hot=0.3),
    "a spine": Case(5_000_000, 50_000, spine=1_000_000),
    NEXT_DAY: Case(5_000_000, 50_000, 365, inserts=73),
}
LONG_CASES = ("20M", "5M, extremes")  # not measured unless they are asked for
WAYS_OF_CASE = {
    "5M": ("spark_fs", "Spark, frames", "DuckDB", "Polars"),
    "20M": ("spark_fs", "DuckDB", "Polars"),
    "1M, extremes": BESIDE_EXTREMES,
    "5M, extremes": BESIDE_EXTREMES,
    "15 minutes of a year": BESIDE_ITSELF,
    "4 hours of a year": BESIDE_ITSELF,
    "90 days of a year": BESIDE_ITSELF,
    "even keys": BESIDE_ITSELF,
    "30% of events on one key": BESIDE_ITSELF,
    "a spine": tuple(way for way in WAYS if way != "Spark, range join"),
}


def measure(
    spark: SparkSession, data: Data, ways: Mapping[str, Way], repeats: int, folder: Path
) -> dict[str, list[float]]:
    """Per way its seconds, repeated, in turns.

    The first turn warms up and is not counted; in it each result is compared with the first way's.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    expected: list[str] = []
    for turn in range(repeats + 1):
        for name, way in ways.items():
            print(f"turn {turn}: {name}", file=sys.stderr)
            began = time.perf_counter()
            files = way(spark, data, folder / "out")
            took = time.perf_counter() - began
            if turn:
                seconds[name].append(took)
            elif expected:
                check_results(data.case, name, files, expected)
            else:
                expected = keep_files(files, folder / "expected")
            clear_results(data, folder / "out")
    return seconds


def measure_next_day(
    spark: SparkSession, data: Data, repeats: int, folder: Path
) -> dict[str, list[float]]:
    """The seconds of a year but for some days, of each of these days, and of a small commit.

    The first day warms up and is not counted. In the end the rows are compared with DuckDB's.
    """
    small = data.fs.create_feature_group("small", primary_key=["k"], statistics_config=False)
    group = declare_group(data)
    first_day = from_micros(data.end) - timedelta(days=repeats + 1)
    seconds: dict[str, list[float]] = {"the year": [], "the next day": [], "a small commit": []}
    began = time.perf_counter()
    group.backfill(from_micros(data.start), first_day)
    seconds["the year"].append(time.perf_counter() - began)
    for day in range(repeats + 1):
        began = time.perf_counter()
        group.run_incremental(first_day + timedelta(days=day + 1))
        built = time.perf_counter()
        small.insert(pa.table({"k": [day]}), operation="insert")
        if day:
            seconds["the next day"].append(built - began)
            seconds["a small commit"].append(time.perf_counter() - built)
    expected = duckdb_frames(spark, data, folder / "out")
    check_results(data.case, "spark_fs", list_table(group), expected)
    clear_results(data, folder / "out")
    small.delete()
    return seconds


def keep_files(files: list[str], folder: Path) -> list[str]:
    """Copies of the first result."""
    folder.mkdir()
    for number, file in enumerate(files):
        shutil.copy(file, folder / f"{number}.parquet")
    return list_parquet(folder)


def clear_results(data: Data, out: Path) -> None:
    """Remove what a way wrote."""
    shutil.rmtree(out, ignore_errors=True)
    for group in data.fs.get_feature_groups(GROUP):
        group.delete()


def main() -> None:
    """Print a table for each case, and write them as JSON, case by case."""
    options = parse_options()
    project = Path(__file__).parents[1]
    sys.path.append(str(options.libraries or project / ".bench"))  # Polars
    spark = get_session({"spark.driver.memory": options.memory})
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in options.cases:
            case = CASES[name].scale(options.share)
            try:
                seconds = measure_case(spark, name, case, options, Path(folder))
            except Exception:  # the other cases are measured all the same
                traceback.print_exc()
                failed.append(name)
                continue
            print_table(name, case, seconds, options.repeats)
            add_to_report(options.report, name, {**vars(case), "seconds": seconds})
    if failed:
        sys.exit(f"These cases failed: {', '.join(failed)}")


def add_to_report(report_file: Path, name: str, entry: Mapping[str, Any]) -> None:
    """Write one case beside those that the file has."""
    report: dict[str, Any] = {}
    if report_file.exists():
        report = json.loads(report_file.read_text())
    report[name] = entry
    report_file.write_text(json.dumps(report, indent=2) + "\n")


def parse_options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Window features beside other ways.")
    default = [name for name in CASES if name not in LONG_CASES]
    parser.add_argument("--cases", nargs="+", default=default, choices=CASES)
    parser.add_argument("--ways", nargs="+", default=[], choices=WAYS)
    parser.add_argument("--share", type=float, default=1.0, help="of each case's rows and keys")
    parser.add_argument("--repeats", type=int, default=2, help="turns that are counted")
    parser.add_argument("--memory", default="8g", help="of the JVM")
    parser.add_argument("--keep", type=Path, help="where tables are kept, and found again")
    parser.add_argument("--libraries", type=Path, help="the folder of Polars")
    parser.add_argument("--report", type=Path, default=Path(__file__).with_suffix(".json"))
    return parser.parse_args()


def measure_case(
    spark: SparkSession, name: str, case: Case, options: argparse.Namespace, folder: Path
) -> dict[str, float]:
    """Per way the median of its seconds; cases of the same events share their tables."""
    chosen = options.ways or WAYS_OF_CASE.get(name, BESIDE_EVENTS)
    sizes = f"{case.events}_{case.keys}_{case.days}_{case.hot}_{case.spine}_{case.inserts}"
    data = Data((options.keep or folder) / f"events_{sizes}", case)
    with tempfile.TemporaryDirectory() as results:
        clear_results(data, Path(results) / "out")  # of a case that failed
        if name == NEXT_DAY:
            seconds = measure_next_day(spark, data, options.repeats, Path(results))
        else:
            ways = {way: WAYS[way] for way in chosen}
            seconds = measure(spark, data, ways, options.repeats, Path(results))
    return {way: statistics.median(taken) for way, taken in seconds.items()}


def print_table(name: str, case: Case, seconds: Mapping[str, float], repeats: int) -> None:
    """Each way beside the first."""
    spine = f", {case.spine:,} rows of spine" if case.spine else ""
    title = (
        f"{name}: {case.events:,} events of {case.keys:,} keys in {case.days} days{spine},"
        f" {' + '.join(case.windows)} x ({', '.join(case.functions)}), medians of {repeats}"
    )
    first = next(iter(seconds))
    table = Table("way", "s", f"beside {first}", title=title)
    for way, took in seconds.items():
        table.add_row(way, f"{took:.2f}", f"{took / seconds[first]:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
