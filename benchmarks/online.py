"""The online store beside what it is made of, in one run: ``make bench-online``.

Sync: rows per second of ``sync_online`` beside LOAD DATA of a file that is there already into a
staging table and one merge statement, turn by turn: a table that is loaded the first time, and one
of which every row changes. Vectors: one entry over three groups of five features beside one raw
SELECT by primary key, and a hundred entries beside one raw IN query, by the same driver; and the
shape of Feast's table, one row per feature, read as Feast does. Inserts: rows of Arrow into an
empty table as a worker brings them where no file may be loaded, beside the driver's executemany and
beside LOAD DATA of the same rows.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mysql.connector
import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.online.mysql import load
from spark_fs.online.mysql.dialects import get_dialect
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.table import build_online_table
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.tables.delta.session import get_session

DATABASE = "spark_fs_bench"
COLUMNS = (
    "k BIGINT NOT NULL, at DATETIME(6), city VARCHAR(100), f0 DOUBLE, f1 DOUBLE, f2 DOUBLE, f3"
    " DOUBLE"
)
TYPES = {
    "k": "bigint",
    "at": "timestamp",
    "city": "string",
    **dict.fromkeys(("f0", "f1", "f2", "f3"), "double"),
}
NAMES = ["at", "city", "f0", "f1", "f2", "f3"]
COLLATION = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
KEYS = 50_000
GROUPS = ("a", "b", "c")
Measured = dict[
    str, tuple[float, float, float, str]
]  # what was measured, what stands beside it, the budget, the unit


SERVER = "mysql"


def url() -> str:
    """The server that ``make mysql-up`` started, or the one that the environment names."""
    named = os.environ.get(f"SPARK_FS_TEST_{SERVER.upper()}")
    return named or Path(__file__).parents[1].joinpath(f".{SERVER}", "url").read_text().strip()


def connect(**options: Any) -> Any:
    """A connection of the driver that spark_fs uses."""
    parts = urlsplit(url())
    return mysql.connector.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        autocommit=True,
        allow_local_infile=True,
        **options,
    )


def rows(spark: SparkSession, count: int, day: int) -> DataFrame:
    """So many keys at one instant of a day: seven columns."""
    at = (F.to_timestamp(F.lit("2024-01-01")) + F.make_dt_interval(F.lit(day))).alias("at")
    city = F.concat(F.lit("city "), (F.col("id") % 1000).cast("string")).alias("city")
    features = (F.round(F.rand(10 * day + i) * 100, 3).alias(f"f{i}") for i in range(4))
    return spark.range(count).select(F.col("id").alias("k"), at, city, *features)


def loaded(cursor: Any, frame: DataFrame, folder: str) -> float:
    """Seconds of LOAD DATA into a staging table and one merge statement; the file is written before."""
    path = f"{folder}/rows.tsv"
    found = frame.toPandas()
    found["at"] = found["at"].dt.strftime("%Y-%m-%d %H:%M:%S.%f")
    found.to_csv(path, sep="\t", index=False, header=False)
    cursor.execute("DROP TABLE IF EXISTS stage")
    cursor.execute(f"CREATE TABLE stage ({COLUMNS}) {COLLATION}")
    changed = ", ".join(f"{name} = VALUES({name})" for name in NAMES)
    began = time.perf_counter()
    cursor.execute(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE stage CHARACTER SET utf8mb4")
    cursor.execute(f"INSERT INTO raw SELECT * FROM stage ON DUPLICATE KEY UPDATE {changed}")
    return time.perf_counter() - began


def syncs(spark: SparkSession, count: int, repeats: int, folder: str) -> Measured:
    """Rows per second of both ways; the first turn warms up."""
    fs = spark_fs.login(
        {"home": f"{folder}/store", "online_url": f"{url()}/{DATABASE}"}
    ).get_feature_store()
    first: tuple[list[float], list[float]] = ([], [])
    changes: tuple[list[float], list[float]] = ([], [])
    with connect(database=DATABASE) as connection, connection.cursor() as cursor:
        for turn in range(repeats + 1):
            group = fs.create_feature_group(
                "g", primary_key=["k"], event_time="at", online_enabled=True
            )
            cursor.execute("DROP TABLE IF EXISTS raw")
            cursor.execute(f"CREATE TABLE raw ({COLUMNS}, PRIMARY KEY (k)) {COLLATION}")
            for day, (raw, ours) in enumerate((first, changes)):
                took = loaded(cursor, rows(spark, count, day), folder)
                group.insert(rows(spark, count, day))
                began = time.perf_counter()
                job = group.sync_online()
                mine = time.perf_counter() - began
                assert job.summary["written"] == count
                if turn:
                    raw.append(count / took)
                    ours.append(count / mine)
            began = time.perf_counter()
            assert group.verify_online().ok
            verified = time.perf_counter() - began
            group.delete()
    return {
        f"{name}, {count:,} rows": (statistics.median(ours), statistics.median(raw), 0.8, "rows/s")
        for name, (raw, ours) in {"first sync": first, "sync of as many changes": changes}.items()
    } | {
        f"verify, {count:,} rows, beside their first sync": (
            verified,
            count / statistics.median(first[1]),
            0.0,
            "s",
        )
    }


def inserts(count: int, repeats: int, folder: str) -> Measured:
    """Rows per second into a table of the same columns, the ways in turn."""
    store: Any = MySQLStore(f"{url()}/{DATABASE}")
    features = tuple(FeatureSpec(name, type_) for name, type_ in TYPES.items())
    table = build_online_table(
        GroupSpec("direct", 1, primary_key=("k",), event_time="at", features=features),
        store.capabilities,
    )
    draw = np.random.default_rng(0)
    at = pa.array([1_704_067_200_000_000] * count, pa.timestamp("us", "UTC"))
    numbers = {f"f{i}": np.round(draw.random(count) * 100, 3) for i in range(4)}
    given = pa.table(
        {
            "k": np.arange(count),
            "at": at,
            "city": [f"city {k % 1000}" for k in range(count)],
            **numbers,
        }
    )
    took: dict[str, list[float]] = {"ours": [], "executemany": [], "LOAD DATA": []}
    with connect(database=DATABASE) as connection, connection.cursor() as cursor:
        many = f"INSERT INTO direct_1 VALUES ({', '.join(['%s'] * len(TYPES))})"

        def executemany() -> None:
            found = list(zip(*(column.to_pylist() for column in given.columns), strict=True))
            for start in range(0, count, 5_000):
                cursor.executemany(many, found[start : start + 5_000])
            connection.commit()

        def ours() -> None:
            with store.transaction(
                use_pure=True, autocommit=True
            ) as cursor:  # as in a worker, where Arrow is loaded before the driver
                load.insert_in_transaction(cursor, "direct_1", table.columns, given)

        def load_data() -> None:
            load.load_by_file(cursor, folder, "direct_1", table.columns, given)

        for turn in range(repeats + 1):
            for name, act in {
                "ours": ours,
                "executemany": executemany,
                "LOAD DATA": load_data,
            }.items():
                cursor.execute("DROP TABLE IF EXISTS direct_1")
                cursor.execute(
                    get_dialect(cursor).create_table(
                        "direct_1", table.columns, table, {"city": 100}
                    )
                )
                connection.autocommit = name != "executemany"
                began = time.perf_counter()
                act()
                if turn:
                    took[name].append(count / (time.perf_counter() - began))
                cursor.execute("SELECT COUNT(*) FROM direct_1")
                assert cursor.fetchall() == [(count,)]
    at_once = {name: statistics.median(each) for name, each in took.items()}
    return {
        f"INSERT of {count:,} rows, beside executemany": (
            at_once["ours"],
            at_once["executemany"],
            1.0,
            "rows/s",
        ),
        f"INSERT of {count:,} rows, beside LOAD DATA": (
            at_once["ours"],
            at_once["LOAD DATA"],
            0.0,
            "rows/s",
        ),
    }


def timed(act: Callable[[], object], turns: int) -> list[float]:
    """Microseconds of each call, the first tenth left out."""
    found = []
    for _ in range(turns + turns // 10):
        began = time.perf_counter()
        act()
        found.append((time.perf_counter() - began) * 1e6)
    return sorted(found[turns // 10 :])


def feast(cursor: Any) -> tuple[Callable[[], object], Callable[[], object]]:
    """One row per feature, as Feast's MySQL store has it; read by one statement for each group and entry."""
    cursor.execute(
        "CREATE TABLE feast (entity_key VARCHAR(512), feature_name VARCHAR(256), value BLOB,"
        " event_ts TIMESTAMP NULL, created_ts TIMESTAMP NULL, PRIMARY KEY (entity_key,"
        " feature_name), INDEX (feature_name))"
    )
    for group in GROUPS:
        many = [
            (f"{group}{k:08}", f"f{i}", b"12345678") for k in range(KEYS // 10) for i in range(5)
        ]
        for start in range(0, len(many), 5_000):
            cursor.executemany(
                "INSERT INTO feast (entity_key, feature_name, value) VALUES (%s, %s, %s)",
                many[start : start + 5_000],
            )

    def read(keys: list[int]) -> None:
        for group in GROUPS:
            for key in keys:
                cursor.execute(
                    "SELECT feature_name, value, event_ts FROM feast WHERE entity_key = %s",
                    (f"{group}{key:08}",),
                )
                cursor.fetchall()

    return lambda: read([random.randrange(KEYS // 10)]), lambda: read(
        [random.randrange(KEYS // 10) for _ in range(100)]
    )


def vectors(spark: SparkSession, turns: int, folder: str) -> Measured:
    """Microseconds, each way in turns of its own within one run."""
    fs = spark_fs.login(
        {"home": f"{folder}/vectors", "online_url": f"{url()}/{DATABASE}"}
    ).get_feature_store()
    query = None
    for name in GROUPS:
        group = fs.create_feature_group(
            name, primary_key=["k"], event_time="at", online_enabled=True
        )
        at = F.to_timestamp(F.lit("2024-01-01")).alias("at")
        group.insert(
            spark.range(KEYS).select(
                F.col("id").alias("k"), at, *(F.rand(i).alias(f"{name}{i}") for i in range(5))
            )
        )
        group.sync_online()
        query = group.select_features() if query is None else query.join(group.select_features())
    assert query
    view = fs.create_feature_view("v", query)
    view.init_serving()
    with connect(database=DATABASE) as connection, connection.cursor() as cursor:

        def raw() -> object:
            cursor.execute(
                "SELECT a0, a1, a2, a3, a4 FROM a_1 WHERE k = %s", (random.randrange(KEYS),)
            )
            return cursor.fetchall()

        many = f"SELECT k, a0, a1, a2, a3, a4 FROM a_1 WHERE k IN ({', '.join(['%s'] * 100)})"

        def raw_many() -> object:
            cursor.execute(many, [random.randrange(KEYS) for _ in range(100)])
            return cursor.fetchall()

        ways = {
            "raw": (raw, turns),
            "raw 100": (raw_many, turns // 5),
            "ours": (lambda: view.get_feature_vector({"k": random.randrange(KEYS)}), turns),
            "ours 100": (
                lambda: view.get_feature_vectors(
                    [{"k": random.randrange(KEYS)} for _ in range(100)]
                ),
                turns // 5,
            ),
        }
        ways["feast"], ways["feast 100"] = (
            (act, n) for act, n in zip(feast(cursor), (turns, turns // 50), strict=True)
        )
        # Each way in five parts, in turn, so that what else the machine does meets all of them.
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(5):
            for name, (act, n) in ways.items():
                found[name] += timed(act, n // 5)
    at = {name: sorted(took) for name, took in found.items()}

    def of(name: str, share: float) -> float:
        return at[name][int(len(at[name]) * share)]

    return {
        "one entry over three groups, median": (of("ours", 0.5), of("raw", 0.5), 1.5, "us"),
        "one entry over three groups, 99th of 100": (of("ours", 0.99), of("raw", 0.99), 2.0, "us"),
        "100 entries over three groups, median": (
            of("ours 100", 0.5),
            of("raw 100", 0.5),
            3.0,
            "us",
        ),
        "Feast's shape: one entry, median": (of("feast", 0.5), of("raw", 0.5), 0.0, "us"),
        "Feast's shape: 100 entries, median": (of("feast 100", 0.5), of("raw 100", 0.5), 0.0, "us"),
    }


START = """
import sys, time
began = time.perf_counter()
import spark_fs
view = spark_fs.login({"home": sys.argv[1], "online_url": sys.argv[2]}).get_feature_store().get_feature_view("v", 1)
view.init_serving()
view.get_feature_vector({"k": 1})
print(time.perf_counter() - began, "pyspark" in sys.modules)
"""


def starts(folder: str) -> Measured:
    """Milliseconds from the first import to the first vector, in a new process; the budget is one of time."""
    found = []
    for _ in range(7):
        command = [sys.executable, "-c", START, f"{folder}/vectors", f"{url()}/{DATABASE}"]
        seconds, spark = subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.split()
        assert spark == "False"
        found.append(float(seconds) * 1000)
    return {
        "import to first vector, beside 500 ms": (statistics.median(found[1:]), 500.0, 1.0, "ms")
    }


def _shown(value: float, unit: str) -> str:
    return f"{value:,.1f} {unit}" if unit == "s" else f"{value:,.0f} {unit}"


def main() -> None:
    """Print the table, and write it as JSON beside this file."""
    parser = argparse.ArgumentParser(
        description="The online store beside LOAD DATA, a raw SELECT and Feast's shape."
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5_000)
    parser.add_argument(
        "--server",
        choices=["mysql", "mysql9"],
        default="mysql",
        help="MariaDB, or MySQL with local_infile=ON",
    )
    options = parser.parse_args()
    global SERVER
    SERVER = options.server
    spark = get_session({})
    with (
        connect() as connection,
        connection.cursor() as cursor,
        tempfile.TemporaryDirectory() as folder,
    ):
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        if SERVER != "mysql":
            cursor.execute("SET GLOBAL local_infile = ON")
        measured = inserts(options.rows // 5, options.repeats, folder)
        measured |= (
            vectors(spark, options.turns, folder)
            | starts(folder)
            | syncs(spark, options.rows, options.repeats, folder)
        )
        cursor.execute(f"DROP DATABASE {DATABASE}")
        if SERVER != "mysql":
            cursor.execute("SET GLOBAL local_infile = DEFAULT")
    table = Table(
        "what",
        "spark_fs",
        "beside it",
        "ratio",
        "budget",
        title="Online, beside the database itself",
    )
    report = {}
    for name, (ours, beside, budget, unit) in measured.items():
        limit = (
            "-"
            if not budget
            else (
                f"at least {budget}" if unit == "rows/s" else f"at most {budget}" if budget else "-"
            )
        )
        table.add_row(name, _shown(ours, unit), _shown(beside, unit), f"{ours / beside:.2f}", limit)
        report[name] = {
            "spark_fs": ours,
            "beside": beside,
            "unit": unit,
            "ratio": ours / beside,
            "budget": budget,
        }
    Console(width=120).print(table)
    Path(__file__).with_suffix(".json" if SERVER == "mysql" else f".{SERVER}.json").write_text(
        json.dumps(report, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
