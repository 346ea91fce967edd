"""What a data scientist waits for first, each in a new process: ``make bench-first-minute``.

From ``import spark_fs`` to a frame: a group of 24,172 rows, beside deltalake's ``to_pandas`` of the
same table, and the first training set of the demo's view over the flights of 2013 (336,776 of them,
four groups), beside DuckDB's ASOF joins over the same files. Spark makes the store
once, untimed. The ways take turns, the first round is not counted, and the medians are told; the
seconds are those from the first line of a program to its frame, without Python's own start.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "jobs"))
import spark_fs  # noqa: E402
from flights import groups  # noqa: E402
from spark_fs.tables.table_log import open_log  # noqa: E402

ROWS = 24_172
YEAR = (datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
BUDGETS = {"read": 1.5, "training": 2.0}  # times what each is compared with
# A program is told where the store is, then what else it needs.
TIMED = """import sys, time
started = time.perf_counter()
{body}
print(time.perf_counter() - started, len(frame))"""
READ = """import spark_fs
fs = spark_fs.login({{"home": sys.argv[1]}}).get_feature_store()
frame = fs.get_feature_group("readings", 1).read({type!r})"""
DELTALAKE = """from deltalake import DeltaTable
frame = DeltaTable(sys.argv[1] + "/warehouse/readings_1").to_pandas()"""
TRAINING = """import spark_fs
fs = spark_fs.login({"home": sys.argv[1]}).get_feature_store()
frame, y = fs.get_feature_view("late_arrivals", 1).training_data()
assert "pyspark" not in sys.modules"""
DUCKDB = '''import json, duckdb
connection = duckdb.connect()
connection.execute("SET TimeZone = 'UTC'")
connection.execute("SET threads = 2")
given = json.loads(open(sys.argv[1] + "/duckdb.json").read())
for view in given:
    connection.execute(view)
frame = connection.execute("""SQL""").df()'''
# The rows of the view's query, by the joins that DuckDB has for it. By the SQL of to_string, which
# any engine with LATERAL runs, it had not ended after 90 seconds.
SQL = """
WITH flights AS MATERIALIZED (SELECT * FROM flight_delays_1 WHERE late IS NOT NULL)
SELECT f.weekday, f.hour, f.distance, f.late,
  w.* EXCLUDE (origin, observed_at, _ingested_at), p.year_built, p.engines, p.seats,
  c.* EXCLUDE (origin, carrier, sched_dep, _ingested_at)
FROM flights f
ASOF LEFT JOIN weather_1 w ON f.origin = w.origin AND f.sched_dep >= w.observed_at
LEFT JOIN planes_1 p ON f.tailnum = p.tailnum
ASOF LEFT JOIN carrier_delays_1 c
  ON f.origin = c.origin AND f.carrier = c.carrier AND f.sched_dep >= c.sched_dep
"""
WAYS: dict[str, dict[str, str]] = {
    "read": {
        "spark_fs: read('pandas')": READ.format(type="pandas"),
        "deltalake: to_pandas()": DELTALAKE,
        "spark_fs: read('arrow')": READ.format(type="arrow"),
    },
    "training": {
        "spark_fs: training_data()": TRAINING,
        "DuckDB: ASOF joins": DUCKDB.replace("SQL", SQL),
    },
}


def make_store(home: Path) -> None:
    """Let Spark make the group and the demo's view, and note what DuckDB is told."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    random = np.random.default_rng(0)
    numbers = np.arange(ROWS)
    readings = fs.get_or_create_feature_group("readings", primary_key=["k"], event_time="t")
    instants = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(numbers * 60, unit="s")
    values = {"k": numbers % 700, "t": instants, "v": random.random(ROWS)}
    readings.insert(pd.DataFrame({**values, "s": [f"x{number % 9}" for number in numbers]}))
    views = []
    for declare, build in groups.PIPELINE.items():
        group = declare(fs)
        group.backfill(build, *YEAR)
        files = [file.path for file in open_log(group.location).list_files()]
        reader = f"read_parquet({files}, hive_partitioning = false)"
        views.append(f'CREATE VIEW "{group.name}_1" AS SELECT * FROM {reader}')
    groups.delay_view(fs)
    (home / "duckdb.json").write_text(json.dumps(views))


def time_program(body: str, home: Path) -> tuple[float, int]:
    """Run a program in a new process; returns its seconds and how many rows its frame has."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiled once, as where it is installed
    run = subprocess.run(
        [sys.executable, "-c", TIMED.replace("{body}", body), str(home)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if run.returncode:
        raise SystemExit(run.stderr)
    seconds, rows = run.stdout.splitlines()[-1].split()
    return float(seconds), int(rows)


def measure(ways: dict[str, str], home: Path, rounds: int) -> dict[str, Any]:
    """The median seconds of each way, which take turns, and how many rows all of them gave."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    counts = set()
    for number in range(rounds + 1):
        for name, body in ways.items():
            taken, rows = time_program(body, home)
            counts.add(rows)
            if number:
                seconds[name].append(taken)
    (count,) = counts
    return {
        "rows": count,
        "seconds": {name: round(statistics.median(taken), 3) for name, taken in seconds.items()},
    }


def main() -> None:
    """Make the store where it is not there yet, time every way, and write the figures."""
    parser = argparse.ArgumentParser(description="Time what is waited for first.")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "first_minute")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--make", action="store_true", help="make the store, and time nothing")
    options = parser.parse_args()
    if options.make:
        make_store(options.home)
        return
    if not (options.home / "duckdb.json").exists():  # in a process of its own: Spark's stays
        subprocess.run([sys.executable, __file__, "--make", "--home", options.home], check=True)
    figures = {}
    table = Table("in a new process", "rows", "seconds", "factor", "budget", title="First minute")
    for subject, ways in WAYS.items():
        figures[subject] = measured = measure(ways, options.home, options.rounds)
        compared = list(measured["seconds"].values())[1]
        for place, (name, seconds) in enumerate(measured["seconds"].items()):
            budget = str(BUDGETS[subject]) if place == 0 else ""
            factor = f"{seconds / compared:.2f}"
            table.add_row(name, f"{measured['rows']:,}", f"{seconds:.2f}", factor, budget)
    Console().print(table)
    Path(__file__).with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
