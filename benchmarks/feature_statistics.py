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
from functools import partial, reduce
from pathlib import Path
from typing import Any

import datasketches
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.stats.sketches.quantiles import QuantileSketch
from spark_fs.tables.delta.session import get_session

Row = tuple[
    str, float, float | None, str
]  # what was measured, its seconds, those beside it, the budget


def best(run: Callable[[], Any], times: int) -> float:
    """The seconds of the fastest run."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        found.append(time.perf_counter() - begun)
    return min(found)


def rows(first: int, count: int, features: int) -> pa.Table:
    """Doubles of several shapes, a key and a time."""
    rng = np.random.default_rng([first, features])
    shapes = [
        rng.normal,
        lambda size: rng.lognormal(0, 1, size),
        lambda size: rng.integers(0, 40, size).astype(float),
        rng.random,
    ]
    made: dict[str, Any] = {"id": np.arange(first, first + count)}
    made |= {f"f{n:04d}": shapes[n % len(shapes)](size=count) for n in range(features)}
    stamp = pa.array(np.full(count, 1_700_000_000_000_000), pa.timestamp("us", "UTC"))
    return pa.table(made).append_column("_ingested_at", stamp)


def group(fs: FeatureStore, name: str, count: int, features: int, files: int) -> FeatureGroup:
    """A group whose table is written without Spark, which takes a minute for so many columns."""
    declared = [
        spark_fs.Feature("id", "bigint"),
        *(spark_fs.Feature(f"f{n:04d}", "double") for n in range(features)),
    ]
    made = fs.create_feature_group(
        name, primary_key=["id"], features=declared, statistics_config={"enabled": False}
    )
    for part in range(files):
        write_deltalake(
            made.location, rows(part * count // files, count // files, features), mode="append"
        )
    return made


def paths(group: FeatureGroup) -> list[str]:
    """The data files of a group."""
    from spark_fs.tables.delta.history import list_data_files

    return [file.path for file in list_data_files(group.location)]


def summarize(files: Sequence[str]) -> None:
    """DuckDB's own profile."""
    columns = "* EXCLUDE (_ingested_at)"
    duckdb.connect().sql(
        f"SUMMARIZE SELECT {columns} FROM read_parquet({list(files)!r})"
    ).fetchall()


def spark_agg(spark: SparkSession, files: Sequence[str], columns: Sequence[str]) -> None:
    """One aggregate of all that Spark has for a column."""
    frame = spark.read.parquet(*files)
    made = [
        f(c)
        for c in columns
        for f in (F.count, F.min, F.max, F.avg, F.stddev_pop, F.approx_count_distinct)
    ]
    made += [F.percentile_approx(c, [n / 100 for n in range(1, 100)]) for c in columns]
    frame.agg(*(each.alias(f"a{n}") for n, each in enumerate(made))).collect()


def spark_summary(spark: SparkSession, files: Sequence[str], columns: Sequence[str]) -> None:
    """Spark's ``summary``."""
    spark.read.parquet(*files).select(*columns).summary().collect()


def collected(files: Sequence[str], features: int) -> Any:
    """The matrix of all features, in memory."""
    table = pa.concat_tables(
        [pq.read_table(file, columns=[f"f{n:04d}" for n in range(features)]) for file in files]
    )
    return np.column_stack([column.to_numpy() for column in table.columns])


def wide(
    fs: FeatureStore, spark: SparkSession, features: int, count: int, times: int, sparks_own: bool
) -> list[Row]:
    """Profiles and correlations of many features."""
    held = group(fs, "wide", count, features, 5)
    files, some = paths(held), [f"f{n:04d}" for n in range(features // 10)]
    held.compute_statistics()  # workers start
    ours = best(held.compute_statistics, times)
    found: list[Row] = [
        (
            f"statistics, {features:,} x {count:,}, beside DuckDB SUMMARIZE",
            ours,
            best(lambda: summarize(files), 2),
            ">= 4",
        )
    ]
    for name, run in (
        (("Spark's agg", spark_agg), ("Spark's summary", spark_summary)) if sparks_own else ()
    ):
        seconds = 10 * best(partial(run, spark, files, some), 1)
        found.append(
            (f"the same beside {name}, a tenth of the columns, ten times", ours, seconds, ">= 40")
        )
    held.update_statistics_config({"enabled": False, "correlations": True})
    together = best(held.compute_statistics, times)
    what = f"correlations of {features:,} features, beside NumPy on the collected matrix"
    found.append(
        (
            what,
            together - ours,
            best(partial(np.corrcoef, collected(files, features), rowvar=False), times),
            ">= 1/3",
        )
    )
    held.update_statistics_config({"enabled": False})
    for part in (4, 2):
        less = group(fs, f"columns_{part}", count, features // part, 5)
        found.append(
            (
                f"statistics, {features // part:,} x {count:,}",
                best(less.compute_statistics, times),
                None,
                "linear",
            )
        )
        less = group(fs, f"rows_{part}", count // part, features, 5)
        found.append(
            (
                f"statistics, {features:,} x {count // part:,}",
                best(less.compute_statistics, times),
                None,
                "linear",
            )
        )
    return found + added(
        held,
        count // 100,
        features,
        f"an insert of 1% ({count // 100:,} rows, {features:,} features)",
        ours,
    )


def added(held: FeatureGroup, more: int, features: int, what: str, whole: float) -> list[Row]:
    """What the statistics of an insert of more rows cost, beside those of all rows."""
    held.compute_statistics()
    held.update_statistics_config({"enabled": True})
    seconds = []
    for turn in range(3):
        write_deltalake(
            held.location, rows(100_000_000 + turn * more, more, features), mode="append"
        )
        held._reload_spec()
        begun = time.perf_counter()
        held._update_statistics()
        seconds.append(time.perf_counter() - begun)
    return [(f"statistics of {what}, beside all rows", min(seconds), whole, "<= 5%")]


def long(fs: FeatureStore, features: int, count: int, times: int) -> list[Row]:
    """Profiles of many rows."""
    found: list[Row] = []
    for part in (4, 2, 1):
        held = group(fs, f"long_{part}", count // part, features, 16 // part)
        whole = best(held.compute_statistics, times)
        beside = best(lambda: summarize(paths(held)), 1) if part == 1 else None  # noqa: B023 # called now
        what = f"statistics, {features} x {count // part:,}" + (
            ", beside DuckDB SUMMARIZE" if beside else ""
        )
        found.append((what, whole, beside, "linear"))
    return found + added(
        held,
        count // 100,
        features,
        f"an insert of 1% ({count // 100:,} rows, {features} features)",
        whole,
    )


def errors() -> list[tuple[str, float, float, float, float]]:
    """The greatest error of the 99 percentiles in ranks, and microseconds for each part, beside KLL of the same size."""
    found = []
    cut = {
        "1 part of 1,000,000": [1_000_000],
        "100 parts of 10,000": [10_000] * 100,
        "1,000 parts of 500": [500] * 1_000,
    }
    for name, sizes in cut.items():
        rng = np.random.default_rng(len(sizes))
        parts = [rng.lognormal(size=size) for size in sizes]
        ordered = np.sort(np.concatenate(parts))
        begun = time.perf_counter()
        mine = reduce(
            QuantileSketch.merge, (QuantileSketch.from_sorted(np.sort(part)) for part in parts)
        )
        took = (time.perf_counter() - begun) / len(parts) * 1e6
        begun = time.perf_counter()
        theirs = datasketches.kll_doubles_sketch(1024)
        for part in parts:
            one = datasketches.kll_doubles_sketch(1024)
            one.update(part)
            theirs.merge(one)
        took_theirs = (time.perf_counter() - begun) / len(parts) * 1e6
        at = ordered[np.linspace(0, len(ordered) - 1, 101).astype(int)[1:-1]]
        truth = np.searchsorted(ordered, at, side="right") / len(ordered)
        values, weights = mine.weighted_points
        ranks = np.concatenate([[0], np.cumsum(weights)])[
            np.searchsorted(values, at, side="right")
        ] / len(ordered)
        kll = np.array([theirs.get_rank(value, True) for value in at])
        found.append(
            (
                name,
                float(np.abs(ranks - truth).max()),
                float(np.abs(kll - truth).max()),
                took,
                took_theirs,
            )
        )
    return found


def main() -> None:
    """Run all of it; print the tables and write them as JSON beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=2_000)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--long", type=int, default=8_000_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument(
        "--without-spark",
        action="store_true",
        help="leave out Spark's own ways, which take two minutes",
    )
    options = parser.parse_args()
    home = tempfile.mkdtemp(prefix="spark_fs-bench-")
    try:
        spark = get_session(
            {"spark.driver.memory": "6g", "spark.sql.debug.maxToStringFields": "10"}
        )
        fs = spark_fs.login({"home": home}).get_feature_store()
        measured = wide(
            fs, spark, options.features, options.rows, options.times, not options.without_spark
        )
        measured += long(fs, 20, options.long, options.times)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    table = Table("what", "seconds", "beside", "ratio", "budget")
    for what, seconds, beside, budget in measured:
        ratio = (
            ""
            if beside is None
            else f"{seconds / beside:.1%}"
            if budget.startswith("<=")
            else f"{beside / seconds:.2f}"
        )
        table.add_row(
            what, f"{seconds:.2f}", "" if beside is None else f"{beside:.2f}", ratio, budget
        )
    sketches = Table("sketch of quantiles", "rank error", "of KLL", "us a part", "of KLL")
    for name, mine, theirs, took, took_theirs in (erred := errors()):
        sketches.add_row(
            name, f"{mine:.3%}", f"{theirs:.3%}", f"{took:,.0f}", f"{took_theirs:,.0f}"
        )
    console = Console(width=160)
    console.print(table, sketches)
    keys = ("what", "seconds", "beside", "budget")
    kept = {"measured": [dict(zip(keys, row, strict=True)) for row in measured], "sketches": erred}
    Path(__file__).with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
