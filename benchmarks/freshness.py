"""From an event's arrival to the vector that has it: ``make bench-freshness``.

A file of events lands in a folder, which is the source of a pipeline. What is timed begins there
and ends when a feature vector of one of the events' keys has its value: the pipeline's run
(incremental, then sync) and the look-up, on a Spark session that runs already and by ``spark-fs
run`` in a new process. Beside it stands the least that a store without history, statistics and
point-in-time reads could do: the same rows by one multi-row upsert into a table of the same server,
and one SELECT by key. What a schedule adds is not in it: an event waits for the end of its
interval, then for the next run.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import mysql.connector  # noqa: F401 # before Arrow, else it has no C extension
import pandas as pd
from mysql_server import Server
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.pipelines import load, run

DATABASE = "spark_fs_bench_freshness"
START = datetime(2024, 1, 1, tzinfo=UTC)
EVERY = timedelta(minutes=1)
HISTORY = 100_000  # keys that have a row before the first event that is timed
BATCH_ROWS = 5_000
FEATURES = ("f0", "f1", "f2", "f3")
COLUMNS = ("k", "at", *FEATURES)
MODULE = """
from pathlib import Path

from pyspark.sql import functions as F

SOURCE = {source!r}


def readings(fs):
    return fs.get_or_create_feature_group(
        "readings", primary_key=["k"], event_time="at", online_enabled=True
    )


def build(spark, start, end):
    files = sorted(str(file) for file in Path(SOURCE).glob(f"{{start:%Y%m%d%H%M}}.parquet"))
    rows = spark.read.parquet(*files)
    return rows.filter((F.col("at") >= F.lit(start)) & (F.col("at") < F.lit(end)))


PIPELINE = {{readings: build}}
"""
PIPELINE = """name: readings
groups: bench_readings
every: 1m
start: 2024-01-01
steps: [incremental, sync]
"""
Parts = dict[str, float]


class Source:
    """A folder that a file of events lands in each minute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "source"
        self.folder.mkdir()
        self.minute = 0

    @property
    def until(self) -> datetime:
        """The end of the newest minute."""
        return START + self.minute * EVERY

    def add_events(self, count: int) -> pd.DataFrame:
        """Let so many events of as many keys arrive, all in the next minute."""
        at = self.until + timedelta(seconds=1)
        events = pd.DataFrame({"k": range(count), "at": pd.to_datetime([at] * count)})
        events["at"] = events["at"].astype("datetime64[us, UTC]")
        for place, name in enumerate(FEATURES):
            events[name] = self.minute * 10.0 + place
        target = self.folder / f"{self.until:%Y%m%d%H%M}.parquet"
        events.to_parquet(target.with_suffix(".part"), index=False)
        target.with_suffix(".part").rename(target)
        self.minute += 1
        return events


def measure_run(fs: Any, file: Path, source: Source, count: int, view: Any) -> Parts:
    """Seconds of a run on this process's session, and of the look-up after it."""
    events = source.add_events(count)
    began = time.perf_counter()
    done = run(fs, load(file), source.until)
    ran = time.perf_counter()
    check_vector(view, events)
    ended = time.perf_counter()
    assert done.state == "finished", done.error
    steps = {step.name: step.seconds for step in done.steps}
    parts = {"insert": steps["incremental"], "sync": steps["sync"], "look-up": ended - ran}
    return {**parts, "in all": ended - began}


def measure_new_process(file: Path, source: Source, count: int, view: Any, config: Path) -> Parts:
    """Seconds of ``spark-fs run`` as a scheduler calls it, and of the look-up after it."""
    events = source.add_events(count)
    command = [sys.executable, "-m", "spark_fs.cli", "run", str(file)]
    command += ["--until", source.until.isoformat(), "--config", str(config)]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    ran = time.perf_counter()
    check_vector(view, events)
    ended = time.perf_counter()
    return {"run": ran - began, "look-up": ended - ran, "in all": ended - began}


def check_vector(view: Any, events: pd.DataFrame) -> None:
    """The vector of the last key has the value of its event."""
    last = events.iloc[-1]
    vector = view.get_feature_vector({"k": int(last["k"])})
    assert vector == [last[name] for name in FEATURES]


def measure_bare(cursor: Any, connection: Any, source: Source, count: int) -> Parts:
    """Seconds of one transaction that upserts the rows, and of one SELECT."""
    events = source.add_events(count)
    times = [stamp.to_pydatetime().replace(tzinfo=None) for stamp in events["at"]]
    columns = [events[name].tolist() for name in FEATURES]
    values = list(zip(events["k"].tolist(), times, *columns, strict=True))
    assignments = ", ".join(f"{name} = VALUES({name})" for name in COLUMNS[1:])
    places = ", ".join(["%s"] * len(COLUMNS))
    statement = f"INSERT INTO bare VALUES ({places}) ON DUPLICATE KEY UPDATE {assignments}"
    began = time.perf_counter()
    for start in range(0, count, BATCH_ROWS):
        cursor.executemany(statement, values[start : start + BATCH_ROWS])
    connection.commit()
    written = time.perf_counter()
    cursor.execute("SELECT f0 FROM bare WHERE k = %s", (count - 1,))
    ((found,),) = cursor.fetchall()
    ended = time.perf_counter()
    assert found == events["f0"].iloc[-1]
    return {"write": written - began, "look-up": ended - written, "in all": ended - began}


def take_medians(measure: Callable[[], Parts], repeats: int) -> Parts:
    """The median of each part; the first turn is not counted."""
    turns = [measure() for _ in range(repeats + 1)][1:]
    medians = {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}
    print(medians, flush=True)  # it takes minutes
    return medians


def measure_all(options: argparse.Namespace, server: Server, folder: Path) -> dict[str, Any]:
    """The parts of each way, by its name and the number of events."""
    source = Source(folder)
    (folder / "bench_readings.py").write_text(MODULE.format(source=str(source.folder)))
    file = folder / "readings.yaml"
    file.write_text(PIPELINE)
    config = folder / "settings.yaml"
    settings = {"home": str(folder / "store"), "online_url": f"{server.url}/{DATABASE}"}
    config.write_text("".join(f"{name}: {value!r}\n" for name, value in settings.items()))
    fs = spark_fs.login(settings).get_feature_store()
    source.add_events(HISTORY)
    assert run(fs, load(file), source.until).state == "finished"
    group = fs.get_feature_group("readings", 1)
    view = fs.create_feature_view("readings", group.select(list(FEATURES)))
    view.init_serving()
    results: dict[str, Any] = {}
    for count in options.events:
        ours = take_medians(
            lambda count=count: measure_run(fs, file, source, count, view), options.repeats
        )
        results[f"{count:,} events"] = {"spark_fs": ours}
    names = ", ".join(f"{name} DOUBLE" for name in FEATURES)
    with server.connect(database=DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE bare (k BIGINT PRIMARY KEY, at DATETIME(6), {names})")
        connection.autocommit = False
        bare_source = Source(Path(tempfile.mkdtemp(dir=folder)))
        measure_bare(cursor, connection, bare_source, HISTORY)
        for count in options.events:
            results[f"{count:,} events"]["bare upsert"] = take_medians(
                lambda count=count: measure_bare(cursor, connection, bare_source, count),
                options.repeats,
            )
    if options.processes:
        spark_fs_session = fs._stores.spark
        spark_fs_session.stop()
        fresh = take_medians(
            lambda: measure_new_process(file, source, 1_000, view, config), options.processes - 1
        )
        results["1,000 events"]["spark-fs run, a new process"] = fresh
    return results


def main() -> None:
    """Print the table, and write it as JSON beside this file."""
    options = parse_options()
    server = Server(options.server)
    with (
        server.connect() as connection,
        connection.cursor() as cursor,
        tempfile.TemporaryDirectory() as folder,
    ):
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        results = measure_all(options, server, Path(folder))
        cursor.execute(f"DROP DATABASE {DATABASE}")
    report(results, server)


def parse_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description="From an event's arrival to its vector.")
    parser.add_argument("--events", type=int, nargs="+", default=[1, 1_000, 100_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processes", type=int, default=4, help="runs in a new process; 0: none")
    parser.add_argument("--server", choices=["mysql", "mysql9"], default="mysql")
    return parser.parse_args()


def report(results: dict[str, Any], server: Server) -> None:
    """Print the medians as a table, and write them as JSON."""
    table = Table("events", "way", "in all", "parts", "times the bare upsert")
    for events, ways in results.items():
        for way, parts in ways.items():
            told = [f"{name} {seconds:.3f}" for name, seconds in parts.items() if name != "in all"]
            ratio = parts["in all"] / ways["bare upsert"]["in all"]
            seconds = f"{parts['in all']:.3f} s"
            table.add_row(events, way, seconds, ", ".join(told), f"{ratio:,.1f}")
    Console(width=120).print(table)
    suffix = ".json" if server.kind == "mysql" else f".{server.kind}.json"
    Path(__file__).with_suffix(suffix).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
