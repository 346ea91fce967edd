"""Statistics beside DuckDB, Spark and NumPy, in one run: ``make bench-statistics``.

A table of 2,000 features and 50,000 rows, then parts of it and a longer one, to see that the cost
is linear; an insert of 1% beside the profile of all rows; correlations beside NumPy on the
collected matrix; and how far sketches are from the truth, beside those of Apache DataSketches.
Spark's own ways get a tenth of the columns, and ten times their seconds are taken: all of them are
more than it can plan.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from quantile_sketches import measure_sketches, tabulate_sketches
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.tables.delta.session import get_session


class Measurement(NamedTuple):
    """What was measured, its seconds, those of what is beside it, and the budget of their ratio."""

    what: str
    seconds: float
    beside: float | None
    budget: str


def time_fastest(run: Callable[[], Any], times: int) -> float:
    """The seconds of the fastest run."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


# -- the data


def name_features(features: int) -> list[str]:
    """The names of so many features."""
    return [f"f{n:04d}" for n in range(features)]


def make_rows(first: int, count: int, features: int) -> pa.Table:
    """Doubles of several shapes, a key and a time."""
    rng = np.random.default_rng([first, features])
    shapes = [
        rng.normal,
        lambda size: rng.lognormal(0, 1, size),
        lambda size: rng.integers(0, 40, size).astype(float),
        rng.random,
    ]
    columns: dict[str, Any] = {"id": np.arange(first, first + count)}
    for n, name in enumerate(name_features(features)):
        columns[name] = shapes[n % len(shapes)](size=count)
    ingested_at = pa.array(np.full(count, 1_700_000_000_000_000), pa.timestamp("us", "UTC"))
    return pa.table(columns).append_column("_ingested_at", ingested_at)


def make_group(fs: FeatureStore, name: str, count: int, features: int, files: int) -> FeatureGroup:
    """A group whose table is written without Spark, which takes a minute for so many columns."""
    declared = [spark_fs.Feature("id", "bigint")]
    declared += [spark_fs.Feature(feature, "double") for feature in name_features(features)]
    group = fs.create_feature_group(
        name, primary_key=["id"], features=declared, statistics_config={"enabled": False}
    )
    for part in range(files):
        rows = make_rows(part * count // files, count // files, features)
        write_deltalake(group.location, rows, mode="append")
    return group


def list_paths(group: FeatureGroup) -> list[str]:
    """The data files of a group."""
    from spark_fs.tables.delta.history import list_data_files

    return [file.path for file in list_data_files(group.location)]


# -- what is beside it


def summarize_in_duckdb(files: Sequence[str]) -> None:
    """DuckDB's own profile."""
    source = f"read_parquet({list(files)!r})"
    duckdb.connect().sql(f"SUMMARIZE SELECT * EXCLUDE (_ingested_at) FROM {source}").fetchall()


def aggregate_in_spark(spark: SparkSession, files: Sequence[str], columns: Sequence[str]) -> None:
    """One aggregate of all that Spark has for a column."""
    functions = (F.count, F.min, F.max, F.avg, F.stddev_pop, F.approx_count_distinct)
    percentages = [n / 100 for n in range(1, 100)]
    aggregates = [function(column) for column in columns for function in functions]
    aggregates += [F.percentile_approx(column, percentages) for column in columns]
    named = [aggregate.alias(f"a{n}") for n, aggregate in enumerate(aggregates)]
    spark.read.parquet(*files).agg(*named).collect()


def summarize_in_spark(spark: SparkSession, files: Sequence[str], columns: Sequence[str]) -> None:
    """Spark's ``summary``."""
    spark.read.parquet(*files).select(*columns).summary().collect()


def collect_matrix(files: Sequence[str], features: int) -> Any:
    """The matrix of all features, in memory."""
    names = name_features(features)
    table = pa.concat_tables([pq.read_table(file, columns=names) for file in files])
    return np.column_stack([column.to_numpy() for column in table.columns])


# -- measurements


def measure_wide(
    fs: FeatureStore,
    spark: SparkSession | None,
    features: int,
    count: int,
    times: int,
) -> list[Measurement]:
    """Profiles and correlations of many features."""
    group = make_group(fs, "wide", count, features, 5)
    files = list_paths(group)
    group.compute_statistics()  # workers start
    seconds = time_fastest(group.compute_statistics, times)
    duckdb_seconds = time_fastest(lambda: summarize_in_duckdb(files), 2)
    what = f"statistics, {features:,} x {count:,}, beside DuckDB SUMMARIZE"
    measurements = [Measurement(what, seconds, duckdb_seconds, ">= 4")]
    if spark is not None:
        names = name_features(features // 10)
        measurements += measure_beside_spark(spark, files, names, seconds)
    group.update_statistics_config({"enabled": False, "correlations": True})
    seconds_with_correlations = time_fastest(group.compute_statistics, times)
    matrix = collect_matrix(files, features)
    numpy_seconds = time_fastest(partial(np.corrcoef, matrix, rowvar=False), times)
    what = f"correlations of {features:,} features, beside NumPy on the collected matrix"
    correlation_seconds = seconds_with_correlations - seconds
    measurements.append(Measurement(what, correlation_seconds, numpy_seconds, ">= 1/3"))
    group.update_statistics_config({"enabled": False})
    measurements += measure_parts(fs, features, count, times)
    return [*measurements, measure_insert(group, count // 100, features, seconds)]


def measure_beside_spark(
    spark: SparkSession, files: Sequence[str], names: Sequence[str], seconds: float
) -> list[Measurement]:
    """Spark's own ways, of a tenth of the features."""
    ways = {"Spark's agg": aggregate_in_spark, "Spark's summary": summarize_in_spark}
    measurements = []
    for name, run in ways.items():
        spark_seconds = 10 * time_fastest(partial(run, spark, files, names), 1)
        what = f"the same beside {name}, a tenth of the columns, ten times"
        measurements.append(Measurement(what, seconds, spark_seconds, ">= 40"))
    return measurements


def measure_parts(fs: FeatureStore, features: int, count: int, times: int) -> list[Measurement]:
    """Profiles of a part of the features, and of a part of the rows."""
    measurements = []
    for part in (4, 2):
        shapes = {"columns": (features // part, count), "rows": (features, count // part)}
        for name, (part_features, part_count) in shapes.items():
            group = make_group(fs, f"{name}_{part}", part_count, part_features, 5)
            seconds = time_fastest(group.compute_statistics, times)
            what = f"statistics, {part_features:,} x {part_count:,}"
            measurements.append(Measurement(what, seconds, None, "linear"))
    return measurements


def measure_insert(group: FeatureGroup, more: int, features: int, seconds: float) -> Measurement:
    """What the statistics of an insert of more rows cost, beside those of all rows."""
    group.compute_statistics()
    group.update_statistics_config({"enabled": True})
    insert_seconds = []
    for turn in range(3):
        rows = make_rows(100_000_000 + turn * more, more, features)
        write_deltalake(group.location, rows, mode="append")
        group._reload_spec()
        start = time.perf_counter()
        group._update_statistics()
        insert_seconds.append(time.perf_counter() - start)
    insert = f"an insert of 1% ({more:,} rows, {features:,} features)"
    what = f"statistics of {insert}, beside all rows"
    return Measurement(what, min(insert_seconds), seconds, "<= 5%")


def measure_long(fs: FeatureStore, features: int, count: int, times: int) -> list[Measurement]:
    """Profiles of many rows."""
    measurements = []
    for part in (4, 2, 1):
        group = make_group(fs, f"long_{part}", count // part, features, 16 // part)
        seconds = time_fastest(group.compute_statistics, times)
        what = f"statistics, {features} x {count // part:,}"
        duckdb_seconds = None
        if part == 1:
            what += ", beside DuckDB SUMMARIZE"
            duckdb_seconds = time_fastest(partial(summarize_in_duckdb, list_paths(group)), 1)
        measurements.append(Measurement(what, seconds, duckdb_seconds, "linear"))
    return [*measurements, measure_insert(group, count // 100, features, seconds)]


# -- what is printed and kept


def parse_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--long", type=int, default=8_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--engine", choices=["local", "spark"], default="local")
    parser.add_argument(
        "--without-spark",
        action="store_true",
        help="leave out Spark's own ways, which take two minutes",
    )
    return parser.parse_args()


def measure_statistics(options: argparse.Namespace) -> list[Measurement]:
    """All measurements of statistics, in a store that is removed again."""
    home = tempfile.mkdtemp(prefix="spark_fs-bench-")
    conf = {"spark.driver.memory": "6g", "spark.sql.debug.maxToStringFields": "10"}
    times = options.times
    try:
        spark = None if options.without_spark else get_session(conf)
        fs = spark_fs.login({"home": home, "engine": options.engine}).get_feature_store()
        wide = measure_wide(fs, spark, options.features, options.rows, times)
        return wide + measure_long(fs, 20, options.long, times)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def format_ratio(measurement: Measurement) -> str:
    """The share of the seconds beside it, or how many times as fast it is."""
    if measurement.beside is None:
        return ""
    if measurement.budget.startswith("<="):
        return f"{measurement.seconds / measurement.beside:.1%}"
    return f"{measurement.beside / measurement.seconds:.2f}"


def tabulate_measurements(measurements: Sequence[Measurement]) -> Table:
    """The table of the measurements."""
    table = Table("what", "seconds", "beside", "ratio", "budget")
    for measurement in measurements:
        table.add_row(
            measurement.what,
            f"{measurement.seconds:.2f}",
            "" if measurement.beside is None else f"{measurement.beside:.2f}",
            format_ratio(measurement),
            measurement.budget,
        )
    return table


def main() -> None:
    """Run all of it; print the tables and write them as JSON beside this file."""
    measurements = measure_statistics(parse_options())
    sketches = measure_sketches()
    Console(width=160).print(tabulate_measurements(measurements), tabulate_sketches(sketches))
    measured = [measurement._asdict() for measurement in measurements]
    figures = {"measured": measured, "sketches": [list(sketch) for sketch in sketches]}
    Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
