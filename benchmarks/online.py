"""The online store beside what it is made of, in one run: ``make bench-online``.

Sync: rows per second of ``sync_online`` beside LOAD DATA of a file that is there already into a
staging table and one merge statement, turn by turn: a table that is loaded the first time, and one
of which every row changes. Vectors: one entry over three groups of five features beside one raw
SELECT by primary key, and a hundred entries beside one raw IN query, by the same driver; and the
shape of Feast's table, one row per feature, read as Feast does. Inserts: rows of Arrow into an
empty table as a worker brings them where no file may be loaded, beside the driver's executemany and
beside LOAD DATA of the same rows. Deletes: a sync after ten of them in a large table. By
``--server mysql9`` it is done over MySQL in place of MariaDB.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from mysql_server import DATABASE, Measurements, Server
from online_vectors import measure_start, measure_vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.online.mysql import load
from spark_fs.online.mysql.dialects import get_dialect
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.tables.delta.session import get_session

COLUMNS = (
    "k BIGINT NOT NULL, at DATETIME(6), city VARCHAR(100), f0 DOUBLE, f1 DOUBLE, f2 DOUBLE, f3"
    " DOUBLE"
)
FEATURES = ("f0", "f1", "f2", "f3")
TYPES = {"k": "bigint", "at": "timestamp", "city": "string", **dict.fromkeys(FEATURES, "double")}
VALUE_COLUMNS = ("at", "city", *FEATURES)
COLLATION = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
BATCH_ROWS = 5_000
INSERT_TABLE = "direct_1"


# -- syncs


def measure_syncs(
    spark: SparkSession, server: Server, count: int, repeats: int, folder: str
) -> Measurements:
    """Rows per second of both ways; the first turn warms up."""
    settings = {"home": f"{folder}/store", "online_url": f"{server.url}/{DATABASE}"}
    fs = spark_fs.login(settings).get_feature_store()
    raw: dict[str, list[float]] = {"first sync": [], "sync of as many changes": []}
    ours: dict[str, list[float]] = {name: [] for name in raw}
    inserted: list[float] = []
    verify_seconds = 0.0
    with server.connect(database=DATABASE) as connection, connection.cursor() as cursor:
        for turn in range(repeats + 1):
            group = fs.create_feature_group(
                "g", primary_key=["k"], event_time="at", online_enabled=True
            )
            cursor.execute("DROP TABLE IF EXISTS raw")
            cursor.execute(f"CREATE TABLE raw ({COLUMNS}, PRIMARY KEY (k)) {COLLATION}")
            for day, name in enumerate(raw):
                raw_seconds = load_raw(cursor, make_rows(spark, count, day), folder)
                group.insert(make_rows(spark, count, day))
                began = time.perf_counter()
                job = group.sync_online()
                sync_seconds = time.perf_counter() - began
                assert job.summary["written"] == count
                if turn:
                    raw[name].append(count / raw_seconds)
                    ours[name].append(count / sync_seconds)
            began = time.perf_counter()
            assert group.verify_online().ok
            verify_seconds = time.perf_counter() - began
            measure_inserted(server, cursor, group, inserted if turn else None)
            group.delete()
    measurements: Measurements = {}
    for name in raw:
        rates = (statistics.median(ours[name]), statistics.median(raw[name]))
        measurements[f"{name}, {count:,} rows"] = (*rates, 0.8, "rows/s")
    rates = (count / statistics.median(inserted), statistics.median(ours["first sync"]))
    name = f"first sync by INSERT, {count:,} rows, beside that by LOAD DATA"
    measurements[name] = (*rates, 0.0, "rows/s")
    first_sync_seconds = count / statistics.median(ours["first sync"])
    verify_name = f"verify, {count:,} rows, beside their first sync"
    measurements[verify_name] = (verify_seconds, first_sync_seconds, 0.0, "s")
    return measurements


def measure_inserted(server: Server, cursor: Any, group: Any, seconds: list[float] | None) -> None:
    """The seconds of a sync of the whole table where no file may be loaded."""
    cursor.execute("SET GLOBAL local_infile = OFF")
    began = time.perf_counter()
    group.sync_online(full=True)
    if seconds is not None:
        seconds.append(time.perf_counter() - began)
    server.allow_files(cursor)


def measure_deletes(spark: SparkSession, server: Server, count: int, folder: str) -> Measurements:
    """Seconds of a sync after ten deletes, of keys and of rows, beside that of ten changed rows."""
    settings = {"home": f"{folder}/deletes", "online_url": f"{server.url}/{DATABASE}"}
    fs = spark_fs.login(settings).get_feature_store()
    group = fs.create_feature_group("d", primary_key=["k"], event_time="at", online_enabled=True)
    group.insert(make_rows(spark, count, 0))
    group.sync_online()
    few = make_rows(spark, count, 0).filter(F.col("k") % (count // 10) == 7)
    seconds = {}
    for turn in range(2):  # the first warms up
        newer = few.withColumn("at", F.col("at") + F.make_dt_interval(F.lit(turn + 1)))
        group.insert(newer)
        seconds["changed"] = time_sync(group)
        group.delete_records(newer.select("k", "at"))  # the older rows of these keys are left
        seconds["rows"] = time_sync(group)
        group.delete_records(few.select((F.col("k") + turn + 1).alias("k")))
        seconds["keys"] = time_sync(group)
    assert group.verify_online().ok
    group.delete()
    return {
        f"sync of 10 deleted {what} of {count:,}, beside 10 changed": (
            seconds[what],
            seconds["changed"],
            0.0,
            "s",
        )
        for what in ("rows", "keys")
    }


def time_sync(group: Any) -> float:
    """Seconds of a sync."""
    began = time.perf_counter()
    group.sync_online()
    return time.perf_counter() - began


def make_rows(spark: SparkSession, count: int, day: int) -> DataFrame:
    """So many keys at one instant of a day: seven columns."""
    event_time = F.to_timestamp(F.lit("2024-01-01")) + F.make_dt_interval(F.lit(day))
    city = F.concat(F.lit("city "), (F.col("id") % 1000).cast("string"))
    features = [
        F.round(F.rand(10 * day + i) * 100, 3).alias(name) for i, name in enumerate(FEATURES)
    ]
    keys = F.col("id").alias("k")
    return spark.range(count).select(keys, event_time.alias("at"), city.alias("city"), *features)


def load_raw(cursor: Any, frame: DataFrame, folder: str) -> float:
    """Seconds of LOAD DATA into a staging table and one merge statement.

    The file is written before.
    """
    path = f"{folder}/rows.tsv"
    rows = frame.toPandas()
    rows["at"] = rows["at"].dt.strftime("%Y-%m-%d %H:%M:%S.%f")
    rows.to_csv(path, sep="\t", index=False, header=False)
    cursor.execute("DROP TABLE IF EXISTS stage")
    cursor.execute(f"CREATE TABLE stage ({COLUMNS}) {COLLATION}")
    assignments = ", ".join(f"{name} = VALUES({name})" for name in VALUE_COLUMNS)
    began = time.perf_counter()
    cursor.execute(f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE stage CHARACTER SET utf8mb4")
    cursor.execute(f"INSERT INTO raw SELECT * FROM stage ON DUPLICATE KEY UPDATE {assignments}")
    return time.perf_counter() - began


# -- inserts


def measure_inserts(server: Server, count: int, repeats: int, folder: str) -> Measurements:
    """Rows per second into a table of the same columns, the ways in turn."""
    store = MySQLStore(f"{server.url}/{DATABASE}")
    features = tuple(FeatureSpec(name, type_) for name, type_ in TYPES.items())
    group = GroupSpec("direct", 1, primary_key=("k",), event_time="at", features=features)
    table = build_online_table(group, store.capabilities)
    rows = make_arrow_rows(count)
    rates: dict[str, list[float]] = {"ours": [], "executemany": [], "LOAD DATA": []}
    with server.connect(database=DATABASE) as connection, connection.cursor() as cursor:

        def run(name: str) -> None:
            if name == "ours":
                insert_ours(store, table, rows)
            elif name == "executemany":
                insert_by_driver(connection, cursor, rows)
            else:
                load.load_by_file(cursor, folder, INSERT_TABLE, table.columns, rows)

        for turn in range(repeats + 1):
            for name, rates_of_way in rates.items():
                make_insert_table(cursor, table)
                connection.autocommit = name != "executemany"
                began = time.perf_counter()
                run(name)
                seconds = time.perf_counter() - began
                if turn:
                    rates_of_way.append(count / seconds)
                cursor.execute(f"SELECT COUNT(*) FROM {INSERT_TABLE}")
                assert cursor.fetchall() == [(count,)]
    medians = {name: statistics.median(rates_of_way) for name, rates_of_way in rates.items()}
    ours = medians["ours"]
    return {
        f"INSERT of {count:,} rows, beside executemany": (
            ours,
            medians["executemany"],
            1.0,
            "rows/s",
        ),
        f"INSERT of {count:,} rows, beside LOAD DATA": (ours, medians["LOAD DATA"], 0.0, "rows/s"),
    }


def make_arrow_rows(count: int) -> pa.Table:
    """So many keys at one instant, as a worker holds them."""
    generator = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "k": np.arange(count),
        "at": pa.array([1_704_067_200_000_000] * count, pa.timestamp("us", "UTC")),
        "city": [f"city {key % 1000}" for key in range(count)],
    }
    for name in FEATURES:
        columns[name] = np.round(generator.random(count) * 100, 3)
    return pa.table(columns)


def make_insert_table(cursor: Any, table: OnlineTable) -> None:
    """An empty table."""
    dialect = get_dialect(cursor)
    cursor.execute(f"DROP TABLE IF EXISTS {INSERT_TABLE}")
    cursor.execute(dialect.create_table(INSERT_TABLE, table.columns, table, {"city": 100}))


def insert_ours(store: MySQLStore, table: OnlineTable, rows: pa.Table) -> None:
    """As in a worker, where Arrow is loaded before the driver."""
    options: dict[str, Any] = {"use_pure": True, "autocommit": True}
    with store.transaction(**options) as cursor:
        load.insert_in_transaction(cursor, INSERT_TABLE, table.columns, rows)


def insert_by_driver(connection: Any, cursor: Any, rows: pa.Table) -> None:
    """By the driver's executemany, which takes Python values."""
    statement = f"INSERT INTO {INSERT_TABLE} VALUES ({', '.join(['%s'] * len(TYPES))})"
    values = list(zip(*(column.to_pylist() for column in rows.columns), strict=True))
    for start in range(0, len(values), BATCH_ROWS):
        cursor.executemany(statement, values[start : start + BATCH_ROWS])
    connection.commit()


# -- the report


def main() -> None:
    """Print the table, and write it as JSON beside this file."""
    options = parse_options()
    server = Server(options.server)
    spark = get_session({})
    with (
        server.connect() as connection,
        connection.cursor() as cursor,
        tempfile.TemporaryDirectory() as folder,
    ):
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        server.allow_files(cursor)
        try:
            measurements = measure_inserts(server, options.rows // 5, options.repeats, folder)
            measurements |= measure_vectors(spark, server, options.turns, folder)
            measurements |= measure_start(server, folder)
            measurements |= measure_syncs(spark, server, options.rows, options.repeats, folder)
            measurements |= measure_deletes(spark, server, options.deletes_of, folder)
        finally:
            cursor.execute(f"DROP DATABASE {DATABASE}")
            cursor.execute("SET GLOBAL local_infile = DEFAULT")
    report(measurements, server)


def parse_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        description="The online store beside LOAD DATA, a raw SELECT and Feast's shape."
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--deletes-of", type=int, default=5_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5_000)
    parser.add_argument(
        "--server",
        choices=["mysql", "mysql9"],
        default="mysql",
        help="MariaDB, or MySQL with local_infile=ON",
    )
    return parser.parse_args()


def report(measurements: Measurements, server: Server) -> None:
    """Print the measurements as a table, and write them as JSON beside this file."""
    headings = ("what", "spark_fs", "beside it", "ratio", "budget")
    table = Table(*headings, title="Online, beside the database itself")
    results = {}
    for name, (ours, beside, budget, unit) in measurements.items():
        ratio = ours / beside
        table.add_row(
            name,
            format_value(ours, unit),
            format_value(beside, unit),
            f"{ratio:.2f}",
            format_budget(budget, unit),
        )
        results[name] = {
            "spark_fs": ours,
            "beside": beside,
            "unit": unit,
            "ratio": ratio,
            "budget": budget,
        }
    Console(width=120).print(table)
    suffix = ".json" if server.kind == "mysql" else f".{server.kind}.json"
    Path(__file__).with_suffix(suffix).write_text(json.dumps(results, indent=2) + "\n")


def format_value(value: float, unit: str) -> str:
    """A value and its unit."""
    return f"{value:,.2f} {unit}" if unit == "s" else f"{value:,.0f} {unit}"


def format_budget(budget: float, unit: str) -> str:
    """What the ratio may be: a rate is to be high, a time low."""
    if not budget:
        return "-"
    if unit == "rows/s":
        return f"at least {budget}"
    return f"at most {budget}"


if __name__ == "__main__":
    main()
