"""Look-ups of one database and of shards, in turn: ``python benchmarks/shard_lookups.py``.

The rows are put online by the store's own writer, without Spark. All shards are schemas of one
server, so what is measured is what the cut costs a reader, not what more servers bring.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import mysql.connector  # noqa: F401 # glibc cannot load its C extension once Arrow is loaded
import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from sharding import make_schemas

import spark_fs
from spark_fs.online.registry import make_writer
from spark_fs.online.store import TableOrigin
from spark_fs.online.table_layout import build_online_table

FEATURES = 5
TURNS = {1: 1_000, 100: 150}  # by the number of entries


def make_view(home: Path, urls: Sequence[str], row_count: int) -> Any:
    """A view over so many entities that are online."""
    fs = spark_fs.login({"home": home, "online_url": list(urls)}).get_feature_store()
    names = [f"f{number}" for number in range(FEATURES)]
    group = fs.create_feature_group(
        "entities",
        primary_key=["k"],
        online_enabled=True,
        features=[
            spark_fs.Feature("k", "bigint"),
            *(spark_fs.Feature(name, "double") for name in names),
        ],
    )
    group.save()
    keys = np.arange(row_count)
    rows = pa.table({"k": keys, **dict.fromkeys(names, keys / 7.0)})
    store = fs._stores.online
    writer = make_writer(store)
    table = build_online_table(group.spec, store.capabilities)
    with writer.open_session(table, TableOrigin("entities", "entities")) as session:
        staging = session.begin_staging(full_refresh=True)
        writer.load_rows(table, staging, rows)
        session.swap_tables(staging, 0)
    view = fs.create_feature_view("entities", group.select(names))
    view.init_serving()
    return view


def measure_views(views: dict[int, Any], row_count: int) -> dict[int, dict[int, float]]:
    """By the number of entries and of shards the median seconds of a call; all have their turn."""
    generator = np.random.default_rng(0)
    medians: dict[int, dict[int, float]] = {}
    for size, turns in TURNS.items():
        seconds: dict[int, list[float]] = {shards: [] for shards in views}
        for _ in range(turns):
            entries = [{"k": int(key)} for key in generator.integers(0, row_count, size)]
            for shards, view in views.items():
                began = time.perf_counter()
                view.get_feature_vectors(entries)
                seconds[shards].append(time.perf_counter() - began)
        medians[size] = {shards: statistics.median(each) for shards, each in seconds.items()}
    return medians


def main() -> None:
    """Measure one database, two shards and four."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        views = {}
        for shards in (1, 2, 4):
            urls = stack.enter_context(make_schemas(shards, f"lookups_{shards}"))
            views[shards] = make_view(home / str(shards), urls, options.rows)
        medians = measure_views(views, options.rows)
    table = Table("entries", "one database", "two shards", "four shards", title="medians")
    for size, by_shards in medians.items():
        cells = [f"{by_shards[1] * 1e6:,.0f} us"]
        cells += [
            f"{by_shards[shards] * 1e6:,.0f} us ({by_shards[shards] / by_shards[1]:.2f})"
            for shards in (2, 4)
        ]
        table.add_row(str(size), *cells)
    Console(width=100).print(table)
    report = {"rows": options.rows, "seconds": medians}
    Path(__file__).with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
