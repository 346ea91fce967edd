"""The point-in-time join beside other ways to make it, in one run: ``make bench-join``.

A spine of 1,000,000 rows takes five features from one history of 5,000,000 rows over 50,000 keys,
or from four of 2,000,000 each; every way ends in Parquet files, and all files must hold the same
rows. All read the same Parquet files, which are those of the Delta tables. tempo is Databricks
Labs' asofJoin, chained for four histories; "rank join" is the join with the whole history of each
key and a row_number, as Feast and Hopsworks make it; "bare shuffle" is what Spark takes to
repartition both sides by key without joining them, and to write the result. DuckDB and Polars run
in this process, with as many threads as there are cores.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
from join_tables import Case, Data
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from spark_fs.tables.delta.session import get_session

Way = Callable[[SparkSession, Data, str], object]


def ours(_: SparkSession, data: Data, out: str) -> None:
    """The public API on Delta tables."""
    data.view.create_training_data(location=out)


def ours_as_frame(_: SparkSession, data: Data, out: str) -> None:
    """The query as a Spark DataFrame, which Spark writes."""
    data.query.read().write.parquet(out)


def ours_by(strategy: str) -> Way:
    """A strategy that is asked for."""

    def run(_: SparkSession, data: Data, out: str) -> None:
        data.query.read(strategy=strategy).write.parquet(out)

    return run


def ours_local(_: SparkSession, data: Data, out: str) -> None:
    """The public API by the local engine, to Parquet."""
    table = data.query.read("arrow", engine="local")
    Path(out).mkdir()
    pq.write_table(table, f"{out}/all.parquet")


def tempo(spark: SparkSession, data: Data, out: str) -> None:
    """Databricks Labs' asofJoin, chained."""
    from tempo import TSDF  # noqa: PLC0415 # not a dependency

    left = TSDF(data.frame(spark, "spine"), ts_col="at", partition_cols=data.keys)
    for i, name in enumerate(data.histories):
        history_rows = data.frame(spark, name).withColumnRenamed("t", "at")
        right = TSDF(history_rows, ts_col="at", partition_cols=data.keys)
        joined = left.asofJoin(right, right_prefix=name, skipNulls=False).df
        new_names = {f"{name}_{feature}": feature for feature in data.features(i)}
        frame = joined.drop(f"{name}_at").withColumnsRenamed(new_names)
        left = TSDF(frame, ts_col="at", partition_cols=data.keys)
    left.df.write.parquet(out)


def rank_join(spark: SparkSession, data: Data, out: str) -> None:
    """Every spine row with the whole history of its key, ranked."""
    left = data.frame(spark, "spine")
    newest_first = Window.partitionBy("id").orderBy(F.desc("t"))
    for name in data.histories:
        right = data.frame(spark, name)
        is_match = right.t <= left.at
        for key in data.keys:
            right = right.withColumnRenamed(key, f"r_{key}")
            is_match &= left[key] == right[f"r_{key}"]
        both = left.join(right, is_match, "left")
        ranked = both.withColumn("n", F.row_number().over(newest_first))
        left = ranked.filter("n = 1").drop(*[f"r_{key}" for key in data.keys], "t", "n")
    left.write.parquet(out)


def bare_shuffle(spark: SparkSession, data: Data, out: str) -> None:
    """Both sides repartitioned by key, and a result written; nothing is joined."""
    for name in data.folder:
        shuffled = data.frame(spark, name).repartition(*data.keys)
        shuffled.write.format("noop").mode("overwrite").save()
    result = spark.read.parquet(f"{Path(out).parent}/result")
    result.write.parquet(out)


def duckdb_asof(_: SparkSession, data: Data, out: str) -> None:
    """ASOF LEFT JOIN in DuckDB."""
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {os.cpu_count()}")
        connection.execute("SET TimeZone = 'UTC'")
        joins = ""
        for name in data.histories:
            table = f"read_parquet({data.files(name)}) {name}"
            equal_keys = " AND ".join(f"s.{key} = {name}.{key}" for key in data.keys)
            joins += f' ASOF LEFT JOIN {table} ON {equal_keys} AND s."at" >= {name}.t'
        own = ["id", *data.keys, "at"]
        features = data.columns[len(own) :]
        columns = ", ".join([*[f's."{name}"' for name in own], *features])
        Path(out).mkdir()
        connection.execute(
            f"COPY (SELECT {columns} FROM read_parquet({data.files('spine')}) s{joins}) "
            f"TO '{out}/all.parquet' (FORMAT parquet)"
        )


def polars_asof(_: SparkSession, data: Data, out: str) -> None:
    """join_asof in Polars."""
    import polars as pl  # noqa: PLC0415 # not a dependency

    left = pl.scan_parquet(data.files("spine")).sort("at")
    for i, name in enumerate(data.histories):
        rows = pl.scan_parquet(data.files(name))
        right = rows.select(*data.keys, "t", *data.features(i)).sort("t")
        left = left.join_asof(
            right, left_on="at", right_on="t", by=data.keys, check_sortedness=False
        )
        left = left.drop("t", strict=False)
    Path(out).mkdir()
    result = left.select(data.columns).collect()
    result.write_parquet(f"{out}/all.parquet")


WAYS: dict[str, Way] = {
    "spark_fs": ours,
    "spark_fs, local": ours_local,
    "spark_fs, as a frame": ours_as_frame,
    "spark_fs, sql": ours_by("sql"),
    "tempo": tempo,
    "rank join": rank_join,
    "bare shuffle": bare_shuffle,
    "DuckDB": duckdb_asof,
    "Polars": polars_asof,
}


def digest(data: Data, out: str) -> tuple[int, int]:
    """The number of rows in a folder of Parquet files, and a sum of their hashes."""
    with duckdb.connect() as connection:
        columns = ", ".join(f'epoch_us("{c}")' if c == "at" else c for c in data.columns)
        total = f"CAST(sum(CAST(hash({columns}) AS HUGEINT)) AS VARCHAR)"
        row = connection.execute(
            f"SELECT count(*), {total} FROM read_parquet('{out}/*.parquet')"
        ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


def measure(
    spark: SparkSession, data: Data, ways: Mapping[str, Way], repeats: int, folder: Path
) -> dict[str, list[float]]:
    """Per way its seconds, repeated, in turns.

    The first turn warms up and is not counted; in it all results are compared.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    result = str(folder / "result")
    ours(spark, data, result)
    expected = digest(data, result)
    for turn in range(repeats + 1):
        for name, way in ways.items():
            out = folder / "out"
            began = time.perf_counter()
            way(spark, data, str(out))
            took = time.perf_counter() - began
            if turn:
                seconds[name].append(took)
            else:
                actual = digest(data, str(out))
                check_digest(name, actual, expected)
            shutil.rmtree(out)
    shutil.rmtree(result)
    return seconds


def check_digest(name: str, actual: tuple[int, int], expected: tuple[int, int]) -> None:
    """Fail if a way gives other rows."""
    if actual != expected:
        raise AssertionError(f"{name} gives other rows than spark_fs: {actual} beside {expected}")


CASES = {
    "one history": Case(1_000_000, 1, 5_000_000, 50_000),
    "four histories": Case(1_000_000, 4, 2_000_000, 50_000),
    "1M": Case(200_000, 1, 1_000_000, 10_000),
    "10M": Case(2_000_000, 1, 10_000_000, 100_000),
    "50M": Case(10_000_000, 1, 50_000_000, 500_000),
    "a spine of 1% of the keys": Case(100_000, 1, 20_000_000, 200_000, asked=0.01),
    "50M, 30% on one key": Case(10_000_000, 1, 50_000_000, 500_000, hot=0.3),
    "composite key": Case(1_000_000, 3, 3_000_000, 50_000, composite=True),
    "even keys": Case(1_000_000, 1, 5_000_000, 50_000),
    "30% of rows on one key": Case(1_000_000, 1, 5_000_000, 50_000, hot=0.3),
}


def main() -> None:
    """Print a table for each case, and write them as JSON beside this file."""
    options = parse_options()
    # tempo and Polars, which make bench-join fetches
    project = Path(__file__).parents[1]
    sys.path.append(str(project / ".bench"))
    spark = get_session({"spark.driver.memory": options.memory})
    report_file = Path(__file__).with_suffix(".json")
    report: dict[str, Any] = {}
    if report_file.exists():
        report = json.loads(report_file.read_text())
    for name in options.cases:
        case = CASES[name]
        seconds = measure_case(spark, name, options)
        sizes = {"spine": case.spine, "histories": case.histories, "rows": case.rows}
        report[name] = {**sizes, "seconds": seconds}
        print_table(name, case, seconds, options.repeats)
        text = json.dumps(report, indent=2)
        report_file.write_text(text + "\n")


def parse_options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="The point-in-time join beside other ways.")
    parser.add_argument(
        "--cases", nargs="+", default=["one history", "four histories"], choices=CASES
    )
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", default="8g", help="of the JVM")
    parser.add_argument("--keep", help="a folder in which the tables are kept, and found again")
    return parser.parse_args()


def measure_case(spark: SparkSession, name: str, options: argparse.Namespace) -> dict[str, float]:
    """Per way the median of its seconds."""
    ways = {way: WAYS[way] for way in options.ways}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(options.keep or folder) / name.replace(" ", "_")
        data = Data(home, CASES[name])
        seconds = measure(spark, data, ways, options.repeats, Path(folder))
    return {way: statistics.median(taken) for way, taken in seconds.items()}


def print_table(name: str, case: Case, seconds: Mapping[str, float], repeats: int) -> None:
    """Each way beside spark_fs."""
    title = (
        f"{name}: {case.spine:,} rows of spine, {case.histories} x {case.rows:,} of history,"
        f" medians of {repeats}"
    )
    table = Table("way", "s", "beside spark_fs", title=title)
    for way, took in seconds.items():
        ratio = ""
        if "spark_fs" in seconds:
            ratio = f"{took / seconds['spark_fs']:.2f}"
        table.add_row(way, f"{took:.2f}", ratio)
    Console().print(table)


if __name__ == "__main__":
    main()
