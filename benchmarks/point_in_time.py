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
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.api.feature_view import FeatureView
from spark_fs.tables.delta import history
from spark_fs.tables.delta.session import get_session

FEATURES = 5
MONTH = 30 * 86_400_000_000
START = 1_704_067_200_000_000  # the first of January 2024, in microseconds


class Data:
    """Tables of one store: a spine ``(id, k, at)`` and histories ``(k, t, features)``, and the view that joins them."""

    def __init__(
        self,
        home: Path,
        spine: int,
        histories: int,
        rows: int,
        keys: int,
        hot: float = 0.0,
        asked: float = 1.0,
    ) -> None:
        fs = spark_fs.login({"home": home}).get_feature_store()
        draw = np.random.default_rng(7)
        self.count = histories
        self.folder = {
            name: str(home / "warehouse" / f"{name}_1")
            for name in ("spine", *(f"h{i}" for i in range(histories)))
        }
        if fs.get_feature_views("v"):
            self.view = fs.get_feature_view("v", 1)
            self.query = self.view.query
            return

        def make(name: str, features: list[str], size: int, time: str, key: list[str]) -> Any:
            """Insert rows of distinct instants, 5,000,000 at a time, in no order."""
            group = fs.create_feature_group(name, primary_key=key, event_time=time)
            for first in range(0, size, 5_000_000):
                number = draw.permutation(np.arange(first, min(size, first + 5_000_000)))
                k = draw.integers(0, keys if features else max(1, int(keys * asked)), len(number))
                k[draw.random(len(number)) < hot] = 0
                at = START + number * (MONTH // size) + draw.integers(0, MONTH // size, len(number))
                values = (
                    {f: np.round(draw.normal(size=len(number)), 3) for f in features}
                    if features
                    else {"id": number}
                )
                group.insert(
                    pa.table({**values, "k": k, time: pa.array(at, pa.timestamp("us", "UTC"))})
                )
            return group

        query = make("spine", [], spine, "at", ["id"]).select_all()
        for i in range(histories):
            query = query.join(
                make(f"h{i}", self.features(i), rows, "t", ["k"]).select_features(), on=["k"]
            )
        self.view: FeatureView = fs.create_feature_view("v", query)
        self.query = query

    def features(self, i: int) -> list[str]:
        """The columns of one history."""
        return [f"f{i}_{j}" for j in range(FEATURES)]

    @property
    def columns(self) -> list[str]:
        """The columns of the result."""
        return ["id", "k", "at", *(f for i in range(self.count) for f in self.features(i))]

    def files(self, name: str) -> list[str]:
        """The Parquet files of one table."""
        return [file.path for file in history.list_data_files(self.folder[name])]

    def frame(self, spark: SparkSession, name: str) -> DataFrame:
        """One table, from its files."""
        return spark.read.parquet(*self.files(name)).drop("_ingested_at")


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


def tempo(spark: SparkSession, data: Data, out: str) -> None:
    """Databricks Labs' asofJoin, chained."""
    from tempo import TSDF  # noqa: PLC0415 # not a dependency

    found = TSDF(data.frame(spark, "spine"), ts_col="at", partition_cols=["k"])
    for i in range(data.count):
        right = TSDF(
            data.frame(spark, f"h{i}").withColumnRenamed("t", "at"),
            ts_col="at",
            partition_cols=["k"],
        )
        joined = found.asofJoin(right, right_prefix=f"h{i}", skipNulls=False)
        frame = joined.df.drop(f"h{i}_at").withColumnsRenamed(
            {f"h{i}_{name}": name for name in data.features(i)}
        )
        found = TSDF(frame, ts_col="at", partition_cols=["k"])
    found.df.write.parquet(out)


def rank_join(spark: SparkSession, data: Data, out: str) -> None:
    """Every spine row with the whole history of its key, ranked."""
    found = data.frame(spark, "spine")
    for i in range(data.count):
        right = data.frame(spark, f"h{i}").withColumnRenamed("k", "rk")
        both = found.join(right, (found.k == right.rk) & (right.t <= found.at), "left")
        ranked = both.withColumn(
            "n", F.row_number().over(Window.partitionBy("id").orderBy(F.desc("t")))
        )
        found = ranked.filter("n = 1").drop("rk", "t", "n")
    found.write.parquet(out)


def bare_shuffle(spark: SparkSession, data: Data, out: str) -> None:
    """Both sides repartitioned by key, and a result written; nothing is joined."""
    for name in data.folder:
        data.frame(spark, name).repartition("k").write.format("noop").mode("overwrite").save()
    spark.read.parquet(f"{Path(out).parent}/result").write.parquet(out)


def duckdb_asof(_: SparkSession, data: Data, out: str) -> None:
    """ASOF LEFT JOIN in DuckDB."""
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {os.cpu_count()}")
        connection.execute("SET TimeZone = 'UTC'")
        joins = "".join(
            f' ASOF LEFT JOIN read_parquet({data.files(f"h{i}")}) h{i} ON s.k = h{i}.k AND s."at"'
            f" >= h{i}.t"
            for i in range(data.count)
        )
        columns = ", ".join(f's."{c}"' if c in ("id", "k", "at") else c for c in data.columns)
        Path(out).mkdir()
        connection.execute(
            f"COPY (SELECT {columns} FROM read_parquet({data.files('spine')}) s{joins}) "
            f"TO '{out}/all.parquet' (FORMAT parquet)"
        )


def polars_asof(_: SparkSession, data: Data, out: str) -> None:
    """join_asof in Polars."""
    import polars as pl  # noqa: PLC0415 # not a dependency

    found = pl.scan_parquet(data.files("spine")).sort("at")
    for i in range(data.count):
        right = pl.scan_parquet(data.files(f"h{i}")).select("k", "t", *data.features(i)).sort("t")
        found = found.join_asof(
            right, left_on="at", right_on="t", by="k", check_sortedness=False
        ).drop("t", strict=False)
    Path(out).mkdir()
    found.select(data.columns).collect().write_parquet(f"{out}/all.parquet")


WAYS: dict[str, Way] = {
    "spark_fs": ours,
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
        found = connection.execute(
            f"SELECT count(*), {total} FROM read_parquet('{out}/*.parquet')"
        ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def measure(
    spark: SparkSession, data: Data, ways: Mapping[str, Way], repeats: int, folder: Path
) -> dict[str, list[float]]:
    """Per way its seconds, repeated, in turns; the first turn warms up and is not counted, and in it all results are compared."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    ours(spark, data, str(folder / "result"))
    wanted = digest(data, str(folder / "result"))
    for turn in range(repeats + 1):
        for name, way in ways.items():
            out = folder / "out"
            began = time.perf_counter()
            way(spark, data, str(out))
            took = time.perf_counter() - began
            if turn:
                found[name].append(took)
            elif digest(data, str(out)) != wanted:
                raise AssertionError(
                    f"{name} gives other rows than spark_fs: {digest(data, str(out))} beside"
                    f" {wanted}"
                )
            shutil.rmtree(out)
    shutil.rmtree(folder / "result")
    return found


CASES: dict[
    str, tuple[float, ...]
    # the spine's rows, histories, rows of each, share of the hottest key, share of keys in the spine
] = {
    "one history": (1_000_000, 1, 5_000_000, 0.0),
    "four histories": (1_000_000, 4, 2_000_000, 0.0),
    "1M": (200_000, 1, 1_000_000, 0.0),
    "10M": (2_000_000, 1, 10_000_000, 0.0),
    "50M": (10_000_000, 1, 50_000_000, 0.0),
    "a spine of 1% of the keys": (100_000, 1, 20_000_000, 0.0, 0.01),
    "50M, 30% on one key": (10_000_000, 1, 50_000_000, 0.3),
    "even keys": (1_000_000, 1, 5_000_000, 0.0),
    "30% of rows on one key": (1_000_000, 1, 5_000_000, 0.3),
}


def main() -> None:
    """Print a table for each case, and write them as JSON beside this file."""
    parser = argparse.ArgumentParser(description="The point-in-time join beside other ways.")
    parser.add_argument(
        "--cases", nargs="+", default=["one history", "four histories"], choices=CASES
    )
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", default="8g", help="of the JVM")
    parser.add_argument("--keep", help="a folder in which the tables are kept, and found again")
    options = parser.parse_args()
    sys.path.append(
        str(Path(__file__).parents[1] / ".bench")
    )  # tempo and Polars, which make bench-join fetches
    spark = get_session({"spark.driver.memory": options.memory})
    place = Path(__file__).with_suffix(".json")
    report: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {}
    for case in options.cases:
        spine, histories, rows = map(int, CASES[case][:3])
        with tempfile.TemporaryDirectory() as folder:
            home = Path(options.keep or folder) / case.replace(" ", "_")
            data = Data(
                home,
                spine,
                histories,
                rows,
                rows // 100 if histories == 1 else 50_000,
                *CASES[case][3:],
            )
            taken = measure(
                spark,
                data,
                {name: WAYS[name] for name in options.ways},
                options.repeats,
                Path(folder),
            )
        seconds = {name: statistics.median(each) for name, each in taken.items()}
        report[case] = {"spine": spine, "histories": histories, "rows": rows, "seconds": seconds}
        title = (
            f"{case}: {spine:,} rows of spine, {histories} x {rows:,} of history, medians of"
            f" {options.repeats}"
        )
        table = Table("way", "s", "beside spark_fs", title=title)
        for name, took in seconds.items():
            table.add_row(
                name,
                f"{took:.2f}",
                f"{took / seconds['spark_fs']:.2f}" if "spark_fs" in seconds else "",
            )
        Console().print(table)
        place.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
