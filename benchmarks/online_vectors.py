"""Feature vectors beside raw SELECTs by the same driver and beside the shape of Feast's table.

Also the time from the start of a process to its first vector.
"""

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from mysql_server import DATABASE, Measurements, Server
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import spark_fs

KEYS = 50_000
FEAST_KEYS = KEYS // 10
GROUPS = ("a", "b", "c")
BATCH_ROWS = 5_000
START = """
import sys, time
began = time.perf_counter()
import spark_fs
fs = spark_fs.login({"home": sys.argv[1], "online_url": sys.argv[2]}).get_feature_store()
view = fs.get_feature_view("v", 1)
view.init_serving()
view.get_feature_vector({"k": 1})
print(time.perf_counter() - began, "pyspark" in sys.modules)
"""
Call = Callable[[], object]


def measure_vectors(spark: SparkSession, server: Server, turns: int, folder: str) -> Measurements:
    """Microseconds, each way in turns of its own within one run."""
    view = make_view(spark, server, folder)
    with server.connect(database=DATABASE) as connection, connection.cursor() as cursor:
        read_raw, read_raw_batch = make_raw_reads(cursor)
        read_feast, read_feast_batch = make_feast_reads(cursor)
        ways: dict[str, tuple[Call, int]] = {
            "raw": (read_raw, turns),
            "raw 100": (read_raw_batch, turns // 5),
            "ours": (lambda: view.get_feature_vector({"k": draw_key()}), turns),
            "ours 100": (
                lambda: view.get_feature_vectors([{"k": draw_key()} for _ in range(100)]),
                turns // 5,
            ),
            "feast": (read_feast, turns),
            "feast 100": (read_feast_batch, turns // 50),
        }
        # Each way in five parts, in turn, so that what else the machine does meets all of them.
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(5):
            for name, (call, count) in ways.items():
                times[name] += time_calls(call, count // 5)

    def quantile(name: str, share: float) -> float:
        return sorted(times[name])[int(len(times[name]) * share)]

    raw = quantile("raw", 0.5)
    raw_batch = quantile("raw 100", 0.5)
    return {
        "one entry over three groups, median": (quantile("ours", 0.5), raw, 1.5, "us"),
        "one entry over three groups, 99th of 100": (
            quantile("ours", 0.99),
            quantile("raw", 0.99),
            2.0,
            "us",
        ),
        "100 entries over three groups, median": (quantile("ours 100", 0.5), raw_batch, 3.0, "us"),
        "Feast's shape: one entry, median": (quantile("feast", 0.5), raw, 0.0, "us"),
        "Feast's shape: 100 entries, median": (quantile("feast 100", 0.5), raw_batch, 0.0, "us"),
    }


def make_view(spark: SparkSession, server: Server, folder: str) -> Any:
    """A view over three groups of five features, synced and ready to serve."""
    settings = {"home": f"{folder}/vectors", "online_url": f"{server.url}/{DATABASE}"}
    fs = spark_fs.login(settings).get_feature_store()
    query: Any = None
    for name in GROUPS:
        group = fs.create_feature_group(
            name, primary_key=["k"], event_time="at", online_enabled=True
        )
        event_time = F.to_timestamp(F.lit("2024-01-01")).alias("at")
        features = [F.rand(i).alias(f"{name}{i}") for i in range(5)]
        group.insert(spark.range(KEYS).select(F.col("id").alias("k"), event_time, *features))
        group.sync_online()
        selected = group.select_features()
        query = selected if query is None else query.join(selected)
    view = fs.create_feature_view("v", query)
    view.init_serving()
    return view


def make_raw_reads(cursor: Any) -> tuple[Call, Call]:
    """A SELECT of one row by its primary key, and of a hundred rows by IN."""
    single = "SELECT a0, a1, a2, a3, a4 FROM a_1 WHERE k = %s"
    placeholders = ", ".join(["%s"] * 100)
    batch = f"SELECT k, a0, a1, a2, a3, a4 FROM a_1 WHERE k IN ({placeholders})"

    def read_one() -> object:
        cursor.execute(single, (draw_key(),))
        return cursor.fetchall()

    def read_batch() -> object:
        cursor.execute(batch, [draw_key() for _ in range(100)])
        return cursor.fetchall()

    return read_one, read_batch


def make_feast_reads(cursor: Any) -> tuple[Call, Call]:
    """One row per feature, as Feast's MySQL store has it.

    It is read by one statement for each group and entry.
    """
    cursor.execute(
        "CREATE TABLE feast (entity_key VARCHAR(512), feature_name VARCHAR(256), value BLOB,"
        " event_ts TIMESTAMP NULL, created_ts TIMESTAMP NULL, PRIMARY KEY (entity_key,"
        " feature_name), INDEX (feature_name))"
    )
    for group in GROUPS:
        rows = [
            (f"{group}{key:08}", f"f{i}", b"12345678")
            for key in range(FEAST_KEYS)
            for i in range(5)
        ]
        for start in range(0, len(rows), BATCH_ROWS):
            cursor.executemany(
                "INSERT INTO feast (entity_key, feature_name, value) VALUES (%s, %s, %s)",
                rows[start : start + BATCH_ROWS],
            )

    def read(keys: list[int]) -> None:
        for group in GROUPS:
            for key in keys:
                cursor.execute(
                    "SELECT feature_name, value, event_ts FROM feast WHERE entity_key = %s",
                    (f"{group}{key:08}",),
                )
                cursor.fetchall()

    def read_one() -> None:
        read([random.randrange(FEAST_KEYS)])

    def read_batch() -> None:
        read([random.randrange(FEAST_KEYS) for _ in range(100)])

    return read_one, read_batch


def draw_key() -> int:
    """Any of the keys."""
    return random.randrange(KEYS)


def time_calls(call: Call, count: int) -> list[float]:
    """Microseconds of each call, sorted, the first tenth left out."""
    warm_up = count // 10
    times = []
    for _ in range(count + warm_up):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e6)
    return sorted(times[warm_up:])


def measure_start(server: Server, folder: str) -> Measurements:
    """Milliseconds from the first import to the first vector, in a new process.

    The budget is one of time.
    """
    command = [sys.executable, "-c", START, f"{folder}/vectors", f"{server.url}/{DATABASE}"]
    times = []
    for _ in range(7):
        process = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, loads_spark = process.stdout.split()
        assert loads_spark == "False"
        times.append(float(seconds) * 1000)
    return {
        "import to first vector, beside 500 ms": (statistics.median(times[1:]), 500.0, 1.0, "ms")
    }
