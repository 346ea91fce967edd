"""What more rows, keys, groups and features cost: ``make bench-scale``.

``make bench-scale-cluster`` does it on two workers of one core.

Each line changes one size and leaves the others: 500,000 rows, 50,000 keys, 2 groups, 5 features.
Measured are the first insert of one group, an upsert of one row in ten, the point-in-time join of a
spine of a fifth of the rows with all groups to Parquet, statistics of one group, and its first sync
to MariaDB.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
from mysql_server import Server

import spark_fs

USUAL = {"rows": 500_000, "keys": 50_000, "groups": 2, "features": 5}
SERVER = Server()
CURVES = {
    "rows": (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000),
    "keys": (1_000, 50_000, 250_000),
    "groups": (1, 2, 4),
    "features": (5, 20, 80),
}
STEPS = ("insert", "upsert", "join", "statistics", "sync")
DATABASE = "spark_fs_scale"


def history(spark: SparkSession, size: dict[str, int], rows: int, shift: int = 0) -> DataFrame:
    """Rows of keys at instants of a year, with features that follow from the row."""
    number = F.col("id") + shift
    second = F.pmod(number * 7_919 * 977, F.lit(31_536_000))
    features = (
        F.pmod(number * (i + 3), F.lit(10_007)).cast("double").alias(f"f{i}")
        for i in range(size["features"])
    )
    return (
        spark.range(rows)
        .select(
            F.pmod(number, F.lit(size["keys"])).alias("k"),
            F.timestamp_seconds(second + 1_704_067_200).alias("at"),
            *features,
        )
        .dropDuplicates(["k", "at"])
    )


def timed(call: Callable[[], Any]) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measured(size: dict[str, int], folder: Path) -> dict[str, float]:
    """Seconds of each step at one size."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        fs = spark_fs.login(
            {"home": home, "online_url": f"{SERVER.url}/{DATABASE}"}
        ).get_feature_store()
        spark = fs._stores.spark
        groups = [
            fs.create_feature_group(
                f"g{n}",
                primary_key=["k"],
                event_time="at",
                online_enabled=n == 0,
                statistics_config=False,
            )
            for n in range(size["groups"])
        ]
        source = str(folder / f"{Path(home).name}_rows")
        history(spark, size, size["rows"]).write.parquet(
            source
        )  # from files, as a source usually is
        rows = spark.read.parquet(source)
        count = rows.count()
        took = {"insert": timed(lambda: groups[0].insert(rows))}
        for group in groups[1:]:
            group.insert(rows, operation="insert")
        tenth = rows.filter(F.pmod(F.xxhash64("k", "at"), F.lit(10)) == 0).withColumn(
            "f0", F.col("f0") + 1
        )
        took["upsert"] = timed(lambda: groups[0].insert(tenth))
        spine = fs.create_feature_group(
            "spine", primary_key=["k"], event_time="at", statistics_config=False
        )
        labels = history(spark, size, count // 5, 13).select(
            "k", "at", (F.col("f0") > 5_000).cast("int").alias("y")
        )
        spine.insert(labels, operation="insert")
        query = spine.select_all()
        for number, group in enumerate(groups):
            query = query.join(group.select_features(), prefix=f"g{number}_")
        view = fs.create_feature_view("all", query, labels=["y"])
        took["join"] = timed(view.create_training_data)
        took["statistics"] = timed(groups[0].compute_statistics)
        with closing(SERVER.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        took["sync"] = timed(groups[0].sync_online)
        shutil.rmtree(source)
    return took


def main() -> None:
    """Measure each curve, print it, and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curve", action="append", choices=tuple(CURVES))
    parser.add_argument("--most", type=int, help="leave out sizes above this many rows")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where stores are made; every worker sees it",
    )
    options = parser.parse_args()
    master = "cluster" if os.environ.get("SPARK_CONF_DIR", "").endswith("standalone") else "local"
    console, results = Console(width=110), {}
    measured({**USUAL, "rows": 20_000}, options.folder)  # what is loaded once is not measured
    for curve in options.curve or CURVES:
        sizes = [
            each
            for each in CURVES[curve]
            if curve != "rows" or not options.most or each <= options.most
        ]
        table = Table(curve, *STEPS, title=f"Seconds as there are more {curve}, {master}")
        for value in sizes:
            took = measured({**USUAL, curve: value}, options.folder)
            results.setdefault(curve, {})[value] = {
                name: round(seconds, 2) for name, seconds in took.items()
            }
            table.add_row(f"{value:,}", *(f"{took[step]:.2f}" for step in STEPS))
        console.print(table)
    place = Path(__file__).with_name("scale.json")
    known = json.loads(place.read_text()) if place.exists() else {}
    known[master] = known.get(master, {}) | results
    place.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
