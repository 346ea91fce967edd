"""What more rows, keys, groups and features cost: ``make bench-scale``.

``make bench-scale-cluster`` does it on two workers of one core.

Each line changes one size and leaves the others: 500,000 rows, 50,000 keys, 2 groups, 5 features.
Measured are the first insert of one group, an upsert of one row in ten, the point-in-time join of a
spine of a fifth of the rows with all groups to Parquet, statistics of one group, and its first sync
to a server: MariaDB, or by ``--server mysql9`` MySQL as it ships. ``--curve memory`` syncs tables
of one row for each key in processes of their own, with a driver of 1 GB, and measures the memory
of the driver, of its JVM and of Spark's workers.
"""

import argparse
import json
import os
import shutil
import subprocess
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
from memory import ROLES, run_measured
from mysql_server import Server

import spark_fs

USUAL = {"rows": 500_000, "keys": 50_000, "groups": 2, "features": 5}
CURVES = {
    "rows": (250_000, 500_000, 1_000_000, 2_000_000, 4_000_000),
    "keys": (1_000, 50_000, 250_000),
    "groups": (1, 2, 4),
    "features": (5, 20, 80),
}
SYNCED_ROWS = (500_000, 3_000_000, 12_000_000)  # of the curve of memory
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


def measured(size: dict[str, int], folder: Path, server: Server) -> dict[str, float]:
    """Seconds of each step at one size."""
    with tempfile.TemporaryDirectory(dir=folder) as home:
        fs = spark_fs.login(
            {"home": home, "online_url": f"{server.url}/{DATABASE}"}
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
        with closing(server.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        took["sync"] = timed(groups[0].sync_online)
        shutil.rmtree(source)
    return took


# -- memory


def measure_memory(options: argparse.Namespace, server: Server, console: Console) -> dict[str, Any]:
    """MB of each role in the first sync of tables of more and more rows."""
    columns = ("rows", "seconds", *ROLES, "all")
    table = Table(*columns, title=f"MB of a first sync, driver of 1 GB, {server.kind}")
    results = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as home:
        for rows in options.rows or SYNCED_ROWS:
            subprocess.run([sys.executable, __file__, "--make", home, str(rows)], check=True)
            command = [sys.executable, __file__, "--sync", home, str(rows)]
            output, sizes = run_measured([*command, "--server", server.kind])
            seconds = float(output.splitlines()[-1])
            megabytes = {name: size >> 20 for name, size in sizes.items()}
            results[rows] = {"seconds": seconds, **megabytes}
            table.add_row(f"{rows:,}", f"{seconds:.1f}", *map(str, megabytes.values()))
    console.print(table)
    return results


def make_entities(home: str, rows: int) -> None:
    """A group of one row for each key, in a process of its own."""
    fs = spark_fs.login({"home": home, "spark": {"spark.driver.memory": "3g"}}).get_feature_store()
    group = fs.create_feature_group(
        f"entities{rows}",
        primary_key=["k"],
        event_time="at",
        online_enabled=True,
        statistics_config=False,
    )
    features = [F.round(F.rand(i) * 100, 3).alias(f"f{i}") for i in range(4)]
    city = F.concat(F.lit("city "), (F.col("id") % 1000).cast("string")).alias("city")
    instant = F.timestamp_seconds(F.lit(1_704_067_200)).alias("at")
    frame = fs._stores.spark.range(rows).select(F.col("id").alias("k"), instant, city, *features)
    group.insert(frame, operation="insert")


def sync_entities(home: str, rows: int, server: Server) -> None:
    """Its first sync, with a driver of 1 GB; prints the seconds."""
    with closing(server.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        fs = spark_fs.login(
            {
                "home": home,
                "online_url": f"{server.url}/{DATABASE}",
                "spark": {"spark.driver.memory": "1g"},
            }
        ).get_feature_store()
        group = fs.get_feature_group(f"entities{rows}", 1)
        seconds = timed(group.sync_online)
        cursor.execute(f"DROP DATABASE {DATABASE}")
    print(seconds)


def main() -> None:
    """Measure each curve, print it, and write it beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--curve", action="append", choices=(*CURVES, "memory"))
    parser.add_argument("--server", choices=["mysql", "mysql9"], default="mysql")
    parser.add_argument("--most", type=int, help="leave out sizes above this many rows")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where stores are made; every worker sees it",
    )
    parser.add_argument("--rows", type=int, action="append", help="of the curve of memory")
    parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--sync", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make_entities(options.make[0], int(options.make[1]))
        return
    if options.sync:
        sync_entities(options.sync[0], int(options.sync[1]), Server(options.server))
        return
    master = "cluster" if os.environ.get("SPARK_CONF_DIR", "").endswith("standalone") else "local"
    console, results = Console(width=110), {}
    server = Server(options.server)
    curves = [curve for curve in options.curve or CURVES if curve in CURVES]
    if curves:  # what is loaded once is not measured
        measured({**USUAL, "rows": 20_000}, options.folder, server)
    if "memory" in (options.curve or ()):
        results["memory"] = measure_memory(options, server, console)
    for curve in curves:
        sizes = [
            each
            for each in CURVES[curve]
            if curve != "rows" or not options.most or each <= options.most
        ]
        table = Table(
            curve, *STEPS, title=f"Seconds as there are more {curve}, {master}, {server.kind}"
        )
        for value in sizes:
            took = measured({**USUAL, curve: value}, options.folder, server)
            results.setdefault(curve, {})[value] = {
                name: round(seconds, 2) for name, seconds in took.items()
            }
            table.add_row(f"{value:,}", *(f"{took[step]:.2f}" for step in STEPS))
        console.print(table)
    place = Path(__file__).with_name("scale.json")
    known = json.loads(place.read_text()) if place.exists() else {}
    name = master if server.kind == "mysql" else f"{master}, {server.kind}"
    known[name] = known.get(name, {}) | results
    place.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
