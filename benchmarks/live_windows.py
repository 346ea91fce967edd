"""Live windows beside the same vector without them: ``python benchmarks/live_windows.py``.

A vector of five stored features of one entity, the same with ten windows that are stored as they
were at the last event, and with ten that are finished at the instant of the request, in turns. Also
what bringing these online costs. Starts no JVM: the tables of events are written by deltalake.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mysql.connector  # noqa: F401 # glibc cannot load its C extension once Arrow is loaded
import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from mysql_server import Server

import spark_fs
from spark_fs import aggregate as agg
from spark_fs.flows import live_sync
from spark_fs.online.registry import make_writer
from spark_fs.online.store import TableOrigin
from spark_fs.online.table_layout import build_online_table

DATABASE = "spark_fs_bench_live"
NOW = datetime(2024, 5, 1, tzinfo=UTC)
DAYS = 30
DAY_MICROS = 86_400_000_000
KEYS = 400
ROUNDS = 50  # so that all ways meet what else the machine does
FEATURES = [f"f{number}" for number in range(5)]
BUDGET = 1.5


def make_events(per_key: int) -> pa.Table:
    """Events of each key within a month before now, in no order."""
    draw = np.random.default_rng(3)
    count = KEYS * per_key
    now = int(NOW.timestamp() * 1_000_000)
    micros = now - draw.integers(0, DAYS * DAY_MICROS, count)
    return pa.table(
        {
            "id": np.arange(count),
            "at": pa.array(micros).cast(pa.timestamp("us", "UTC")),
            "k": draw.integers(0, KEYS, count),
            "amount": np.round(draw.exponential(20, count), 2),
            "_ingested_at": pa.array(micros).cast(pa.timestamp("us", "UTC")),
        }
    )


def declare_features(**types: str) -> list[Any]:
    """Features of these names and types."""
    return [spark_fs.Feature(name, type_) for name, type_ in types.items()]


def load_rows(fs: Any, group: Any) -> None:
    """Bring a row of each key online, as a worker of a sync does; features are doubles or 1."""
    store = fs._stores.online
    writer = make_writer(store)
    table = build_online_table(group._spec, store.capabilities)
    draw = np.random.default_rng(4)
    columns: dict[str, Any] = {"k": np.arange(KEYS)}
    columns["at"] = pa.array([NOW] * KEYS, pa.timestamp("us", "UTC"))
    for feature in group.features:
        if feature.name not in columns:
            is_double = feature.type == "double"
            columns[feature.name] = draw.random(KEYS) if is_double else np.ones(KEYS, np.int64)
    with writer.open_session(table, TableOrigin(table.name, table.name)) as session:
        staging = session.begin_staging(full_refresh=True)
        writer.load_rows(table, staging, pa.table(columns))
        session.swap_tables(staging, 0)


def make_views(fs: Any, per_key: int) -> tuple[dict[str, Any], dict[str, float]]:
    """The views without windows and with ten of each kind, and what bringing them online cost."""
    types = {"id": "bigint", "at": "timestamp", "k": "bigint", "amount": "double"}
    events = fs.create_feature_group(
        "payments", primary_key=["id"], event_time="at", features=declare_features(**types)
    )
    write_deltalake(events.location, make_events(per_key))
    types = {"k": "bigint", "at": "timestamp", **dict.fromkeys(FEATURES, "double")}
    cards = fs.create_feature_group(
        "cards",
        primary_key=["k"],
        event_time="at",
        features=declare_features(**types),
        online_enabled=True,
    )
    load_rows(fs, cards)
    overs = ["4h", "24h", "7d"]
    windows = [agg.count(over=overs), agg.mean("amount", over=overs)]
    windows += [agg.stddev("amount", over=overs), agg.max("amount", over="24h")]
    habits = spark_fs.Aggregation(events, windows, by=["k"])
    group = fs.create_feature_group("habits", aggregation=habits, online_enabled=True)
    write_deltalake(group.location, pa.table({"k": [0]}))
    began = time.perf_counter()
    counts = live_sync.sync_live_windows(fs._stores, group._spec, NOW)
    cost = {"seconds": time.perf_counter() - began, "bytes": counts["bytes"] / KEYS}
    load_rows(fs, group)
    queries = {
        "plain": cards.select(FEATURES),
        "stored": cards.select(FEATURES).join(group.select_features()),
        "live": cards.select(FEATURES).join(habits.select_all()),
    }
    views = {name: fs.create_feature_view(name, query) for name, query in queries.items()}
    return views, cost


def measure(views: dict[str, Any], turns: int) -> dict[str, float]:
    """Microseconds, the ways in turns within one run: of one entry and of a hundred."""
    draw = np.random.default_rng(5)

    def read_one(view: Any) -> Callable[[], object]:
        return lambda: view.get_feature_vector({"k": int(draw.integers(KEYS))}, now=NOW)

    def read_many(view: Any) -> Callable[[], object]:
        return lambda: view.get_feature_vectors(
            [{"k": int(key)} for key in draw.integers(0, KEYS, 100)], now=NOW
        )

    ways = {}
    for name, view in views.items():
        ways[name] = (read_one(view), turns)
        ways[f"{name} 100"] = (read_many(view), turns // 20)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (call, count) in ways.items():
            for _ in range(max(1, count // ROUNDS)):
                began = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - began) * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def measure_store(url: str | None, per_key: int, turns: int) -> dict[str, float]:
    """What a vector takes with and without live windows over one online store."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"home": folder, "engine": "local"}
        if url:
            settings["online_url"] = url
        fs = spark_fs.login(settings).get_feature_store()
        views, cost = make_views(fs, per_key)
        return {**measure(views, turns), **cost}


def main() -> None:
    """Measure every store, print a table, and write the figures beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=2_000)
    parser.add_argument("--stores", nargs="*", default=["sqlite", "mysql", "mysql9"])
    parser.add_argument("--events", type=int, nargs="*", default=[200, 2_000])
    options = parser.parse_args()
    results = {}
    for kind in options.stores:
        for per_key in options.events:
            name = f"{kind}, {per_key} events of a key"
            if kind == "sqlite":
                results[name] = measure_store(None, per_key, options.turns)
            else:
                server = Server(kind)
                with server.connect() as connection, connection.cursor() as cursor:
                    cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
                    cursor.execute(f"CREATE DATABASE {DATABASE}")
                    url = f"{server.url}/{DATABASE}"
                    results[name] = measure_store(url, per_key, options.turns)
                    cursor.execute(f"DROP DATABASE {DATABASE}")
            print_row(name, results[name])
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(results, indent=1) + "\n")


def print_row(name: str, found: dict[str, float]) -> None:
    """One line of the table."""
    print(f"{name}: sync {found['seconds']:.2f} s, {found['bytes']:.0f} bytes of a key")
    for suffix in ("", " 100"):
        plain, stored, live = (found[way + suffix] for way in ("plain", "stored", "live"))
        print(
            f"  {suffix.strip() or 'one'}: without windows {plain:.0f} us, ten stored {stored:.0f},"
            f" ten live {live:.0f}: {live / plain:.2f} of none (budget {BUDGET}),"
            f" {live / stored:.2f} of stored",
            flush=True,
        )


if __name__ == "__main__":
    main()
