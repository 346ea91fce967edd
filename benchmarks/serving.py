"""``spark-fs serve`` beside Feast's server, a bare route, and the library in its own process.

One machine, one database server, one worker of each; each way in turn at 1, 10 and 100 users with
1, 100, 250 and 500 entries, loaded by wrk. Then the online run of the Hopsworks paper (SIGMOD 2024)
in its shape: users who wait 0.1 s between requests, beside its published figures.
"""

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgpack
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from mysql_server import Server
from rich.console import Console
from rich.table import Table

import spark_fs
from spark_fs.base import arrow_types
from spark_fs.online.registry import make_writer
from spark_fs.online.store import TableOrigin
from spark_fs.online.table_layout import build_online_table

HERE = Path(__file__).parent
FEAST = HERE.parent / ".bench" / "feast" / "bin"
FEAST_NAME = "Feast 0.67"
DATABASE = "spark_fs_bench_serving"
KEYS = 600
BODIES = 100  # of each size, in turn
USERS = (1, 10, 100)
ENTRIES = (1, 100, 250, 500)
# The rides of the paper's benchmark have these columns.
TYPES = {
    "k": "bigint",
    "ride_id": "string",
    "passenger_count": "bigint",
    "taxi_id": "bigint",
    "driver_id": "bigint",
    "year": "bigint",
    "weekday": "bigint",
    "hour": "bigint",
    "pickup_datetime": "bigint",
    **dict.fromkeys(
        (
            "pickup_longitude",
            "pickup_latitude",
            "dropoff_longitude",
            "dropoff_latitude",
            "distance",
            "pickup_distance_to_jfk",
            "dropoff_distance_to_jfk",
            "pickup_distance_to_ewr",
            "dropoff_distance_to_ewr",
            "pickup_distance_to_lgr",
            "dropoff_distance_to_lgr",
        ),
        "double",
    ),
}
FEATURES = [name for name in TYPES if name != "k"]
# Hopsworks 3.4 as published, in ms: p50, p90, p95, p99 by entries; the client's machine alone had
# 36 processors.
PUBLISHED = {1: (2, 2, 3, 3), 100: (12, 15, 16, 21), 250: (24, 31, 33, 39), 500: (39, 51, 54, 68)}
PAPER_WAIT_MS = 100
PAPER_USERS = {"100 users, as there": 100, "6 users, as many to a processor": 6}
PERCENTILES = ("p50", "p90", "p95", "p99")
JSON = "application/json"
MSGPACK = "application/msgpack"
Result = dict[str, float]
Measure = Callable[[int, int, float, int], Result]


@dataclass(frozen=True)
class Way:
    """A server that is asked.

    make_body: of keys. find_rows: those of an answer, to check it.
    """

    url: str
    content_type: str
    make_body: Callable[[Sequence[int]], bytes]
    find_rows: Callable[[bytes], Sequence[Sequence[Any]]]


def main() -> None:
    """Print the tables, and write them as JSON beside this file."""
    options = parse_options()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not installed (Debian, Ubuntu: apt-get install wrk).")
    server = Server(options.server)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        online_url = stack.enter_context(make_database(server))
        rows = make_rows()
        table = load_rows(folder / "home", online_url, rows)
        ways = start_servers(stack, folder, online_url, rows, table)
        check_answers(ways, rows)
        measures = make_measures(folder, online_url, ways)
        results = measure_all(measures, options.seconds)
        if FEAST_NAME in ways:
            results["Feast as it is"] = {
                "2 x 1": count_failures_of_feast(stack, folder, options.seconds)
            }
        paper = {} if options.skip_paper else measure_paper(measures, options.seconds)
    report(results, paper, server)


def parse_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--server", choices=["mysql", "mysql9"], default="mysql")
    parser.add_argument("--skip-paper", action="store_true")
    return parser.parse_args()


# -- the rows


@contextmanager
def make_database(server: Server) -> Iterator[str]:
    """The URL of an empty database, which goes at the end."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        try:
            yield f"{server.url}/{DATABASE}"
        finally:
            cursor.execute(f"DROP DATABASE {DATABASE}")


def make_rows() -> pa.Table:
    """A row for each key."""
    generator = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for name, type_ in TYPES.items():
        if name == "k":
            columns[name] = np.arange(KEYS)
        elif type_ == "string":
            columns[name] = [f"{generator.bytes(16).hex()}" for _ in range(KEYS)]
        elif type_ == "bigint":
            columns[name] = generator.integers(0, 10_000, KEYS)
        else:
            columns[name] = generator.normal(0, 10, KEYS)
    return pa.table(columns)


def load_rows(home: Path, online_url: str, rows: pa.Table) -> str:
    """Bring the rows online as a group with a view, without Spark; the name of their table."""
    fs = spark_fs.login({"home": home, "online_url": online_url}).get_feature_store()
    group = fs.create_feature_group(
        "rides",
        primary_key=["k"],
        online_enabled=True,
        features=[spark_fs.Feature(*column) for column in TYPES.items()],
    )
    writer = make_writer(fs._stores.online)
    table = build_online_table(group.spec, fs._stores.online.capabilities)
    with writer.open_session(table, TableOrigin("rides", group.location)) as session:
        staging = session.begin_staging(True)
        writer.load_rows(table, staging, rows.cast(arrow_types.to_arrow_schema(TYPES)))
        session.swap_tables(staging, 0)
    fs.create_feature_view("rides", group.select_features())
    return table.name


# -- the servers


def start_servers(
    stack: ExitStack, folder: Path, online_url: str, rows: pa.Table, table: str
) -> dict[str, Way]:
    """Start each server, and say how it is asked."""
    ours = start_ours(stack, folder / "home", online_url)
    bare = start_bare(stack, online_url, table)
    ways = {
        "spark-fs serve, JSON": Way(ours, JSON, make_our_body, lambda b: json.loads(b)["vectors"]),
        "spark-fs serve, msgpack": Way(
            ours, MSGPACK, pack_our_body, lambda body: msgpack.unpackb(body)["vectors"]
        ),
        "bare route": Way(
            bare, JSON, lambda keys: json.dumps({"keys": list(keys)}).encode(), json.loads
        ),
    }
    if (FEAST / "feast").exists():
        feast = start_feast(stack, folder / "feast", online_url, rows)
        ways[FEAST_NAME] = Way(feast, JSON, make_feast_body, find_feast_rows)
    else:
        print("Feast is not there: make bench-serving installs it.", file=sys.stderr)
    return ways


def start_ours(stack: ExitStack, home: Path, online_url: str) -> str:
    """``spark-fs serve``, as it is started."""
    port = find_port()
    command = [str(Path(sys.executable).with_name("spark-fs")), "serve", "--port", str(port)]
    settings = {"SPARK_FS_HOME": str(home), "SPARK_FS_ONLINE_URL": online_url}
    start_process(stack, [*command, "--view", "rides:1"], port, settings)
    return f"http://127.0.0.1:{port}/v1/feature-vectors"


def start_bare(stack: ExitStack, online_url: str, table: str) -> str:
    """The bare route, by uvicorn as it is."""
    port = find_port()
    module = ["serving_bare:app", "--port", str(port), "--no-access-log", "--log-level", "warning"]
    columns = ", ".join(f"`{name}`" for name in FEATURES)
    settings = {"BENCH_URL": online_url, "BENCH_TABLE": table, "BENCH_COLUMNS": columns}
    start_process(stack, [sys.executable, "-m", "uvicorn", *module], port, settings)
    return f"http://127.0.0.1:{port}/vectors"


def start_feast(stack: ExitStack, folder: Path, online_url: str, rows: pa.Table) -> str:
    """``feast serve`` over the same database, its rows written by Feast."""
    folder.mkdir()
    parts = urlsplit(online_url)
    config = {
        "project": "bench",
        "provider": "local",
        "registry": str(folder / "registry.db"),
        "entity_key_serialization_version": 3,
        "offline_store": {"type": "file"},
        "online_store": {
            "type": "mysql",
            "host": parts.hostname,
            "port": parts.port,
            "user": parts.username,
            "password": parts.password,
            "database": DATABASE,
        },
    }
    (folder / "feature_store.yaml").write_text(json.dumps(config))
    pq.write_table(rows, folder / "given.parquet")
    script = [str(FEAST / "python"), str(HERE / "serving_feast.py")]
    environment = {**os.environ, "FEAST_USAGE": "False", "PYTHONPATH": ""}
    subprocess.run(
        [*script, str(folder), str(folder / "given.parquet")],
        check=True,
        env=environment,
        capture_output=True,
    )
    return serve_feast(stack, folder, {})


def serve_feast(stack: ExitStack, folder: Path, settings: Mapping[str, str]) -> str:
    """Start its server; with FEAST_AS_IT_IS all threads share one connection."""
    port = find_port()
    script = [str(FEAST / "python"), str(HERE / "serving_feast_serve.py")]
    command = [*script, "-c", str(folder), "serve", "--port", str(port), "--no-access-log"]
    options = ["--max-requests", "0", "--registry_ttl_sec", "600"]
    quiet = {"FEAST_USAGE": "False", "PYTHONPATH": ""}
    start_process(stack, [*command, *options], port, {**quiet, **settings})
    return f"http://127.0.0.1:{port}/get-online-features"


def count_failures_of_feast(stack: ExitStack, folder: Path, seconds: float) -> Result:
    """Feast as it is, at two users: one connection is shared by its threads."""
    url = serve_feast(stack, folder / "feast", {"FEAST_AS_IT_IS": "1"})
    way = Way(url, JSON, make_feast_body, find_feast_rows)
    bodies = folder / "bodies_as_it_is"
    write_bodies(bodies, way.make_body)
    return make_wrk_measure(way, bodies)(2, 1, seconds, 0)


def start_process(
    stack: ExitStack, command: Sequence[str], port: int, settings: Mapping[str, str]
) -> None:
    """Start a server, and wait until it listens; it ends with the stack."""
    log = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115 # the stack closes it
    process = subprocess.Popen(
        command, env={**os.environ, **settings}, cwd=HERE, stdout=log, stderr=log
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    log.seek(0)
    raise SystemExit(f"{' '.join(command)} does not listen:\n{log.read()[-3_000:]}")


def find_port() -> int:
    """A port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_our_content(keys: Sequence[int]) -> dict[str, Any]:
    """A request of ours."""
    return {"view": "rides", "entries": [{"k": key} for key in keys]}


def make_our_body(keys: Sequence[int]) -> bytes:
    """The same as JSON."""
    return json.dumps(make_our_content(keys)).encode()


def pack_our_body(keys: Sequence[int]) -> bytes:
    """The same as msgpack."""
    packed: bytes = msgpack.packb(make_our_content(keys))
    return packed


def make_feast_body(keys: Sequence[int]) -> bytes:
    """A request of Feast's."""
    features = [f"rides:{name}" for name in FEATURES]
    return json.dumps({"features": features, "entities": {"k": list(keys)}}).encode()


def find_feast_rows(body: bytes) -> list[list[Any]]:
    """The rows of its answer, which has a column for each feature."""
    answer = json.loads(body)
    names = answer["metadata"]["feature_names"]
    columns = [answer["results"][names.index(name)]["values"] for name in FEATURES]
    return [list(row) for row in zip(*columns, strict=True)]


def check_answers(ways: Mapping[str, Way], rows: pa.Table) -> None:
    """Each way must give the rows as they are, whatever their order."""
    keys = [500, 0, 7]
    wanted = sorted(
        [column[key].as_py() for column in rows.select(FEATURES).columns] for key in keys
    )
    for name, way in ways.items():
        headers = {"Content-Type": way.content_type, "Accept": way.content_type}
        request = urllib.request.Request(way.url, way.make_body(keys), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = sorted(list(row) for row in way.find_rows(answer.read()))
        assert found == wanted, f"{name} gives other rows"


# -- the measurements


def make_measures(folder: Path, online_url: str, ways: Mapping[str, Way]) -> dict[str, Measure]:
    """How each way is measured: by users, entries, seconds and milliseconds between requests."""
    measures: dict[str, Measure] = {}
    for number, (name, way) in enumerate(ways.items()):
        bodies = folder / f"bodies{number}"
        write_bodies(bodies, way.make_body)
        measures[name] = make_wrk_measure(way, bodies)
    own_bodies = folder / "bodies0"

    def measure_in_process(users: int, entries: int, seconds: float, wait: int) -> Result:
        script = [sys.executable, str(HERE / "serving_in_process.py"), str(folder / "home")]
        load = (BODIES, users, seconds, wait)
        command = [*script, online_url, str(own_bodies / str(entries)), *map(str, load)]
        return run_measurement(command)

    measures["in process"] = measure_in_process
    return measures


def write_bodies(folder: Path, make_body: Callable[[Sequence[int]], bytes]) -> None:
    """Bodies of each size, of keys that are drawn without repeating one."""
    draw = random.Random(0)
    for entries in ENTRIES:
        own = folder / str(entries)
        own.mkdir(parents=True)
        for number in range(BODIES):
            (own / str(number)).write_bytes(make_body(draw.sample(range(KEYS), entries)))


def make_wrk_measure(way: Way, bodies: Path) -> Measure:
    """How a server is measured."""

    def measure(users: int, entries: int, seconds: float, wait: int) -> Result:
        load = ["wrk", "-t", "1", "-c", str(users), "-d", f"{max(1, round(seconds))}s"]
        script = ["--timeout", "20s", "-s", str(HERE / "serving_load.lua"), way.url, "--"]
        arguments = [str(bodies / str(entries)), str(BODIES), way.content_type, way.content_type]
        return run_measurement([*load, *script, *arguments, str(wait)])

    return measure


def run_measurement(command: Sequence[str]) -> Result:
    """What a program prints last, with the requests per second that were answered."""
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    # wrk counts a request that failed and the connection that ended with it as two.
    result["failed"] = min(result["failed"], result["requests"])
    answered = result["requests"] - result["failed"]
    result["rate"] = answered / result["seconds"]
    result["failed_share"] = result["failed"] / max(result["requests"], 1)
    return result


def measure_all(measures: Mapping[str, Measure], seconds: float) -> dict[str, Any]:
    """Each way at each load, in turn within it."""
    results: dict[str, Any] = {name: {} for name in measures}
    for measure in measures.values():
        measure(4, 100, 1.0, 0)  # to warm up
    for users in USERS:
        for entries in ENTRIES:
            for name, measure in measures.items():
                results[name][f"{users} x {entries}"] = measure(users, entries, seconds, 0)
                print(users, entries, name, results[name][f"{users} x {entries}"], flush=True)
    return results


def measure_paper(measures: Mapping[str, Measure], seconds: float) -> dict[str, Any]:
    """The paper's run: users who wait between requests."""
    results: dict[str, Any] = {}
    for label, users in PAPER_USERS.items():
        for name in ("in process", "spark-fs serve, msgpack"):
            for entries in ENTRIES:
                result = measures[name](users, entries, seconds, PAPER_WAIT_MS)
                results.setdefault(f"{name}, {label}", {})[str(entries)] = result
    return results


# -- the report


def report(results: Mapping[str, Any], paper: Mapping[str, Any], server: Server) -> None:
    """Print the tables, and write them as JSON beside this file."""
    console = Console(width=140)
    for users in USERS:
        table = Table(
            "entries", "way", "requests/s", *PERCENTILES, "failed", "beside Feast", "bare"
        )
        table.title = f"{users} users: requests per second, and ms"
        for entries in ENTRIES:
            load = f"{users} x {entries}"
            for name, by_load in results.items():
                if load in by_load:
                    table.add_row(*format_row(name, by_load, results, load, entries))
        console.print(table)
    table = Table("who", "entries", *PERCENTILES, "requests/s")
    table.title = "The paper's online run: ms"
    for entries, published in PUBLISHED.items():
        table.add_row("Hopsworks, published", str(entries), *map(str, published), "")
    for name, by_entries in paper.items():
        for entries, result in by_entries.items():
            times = [f"{result[percentile]:.1f}" for percentile in PERCENTILES]
            table.add_row(name, entries, *times, f"{result['rate']:,.0f}")
    console.print(table)
    suffix = ".json" if server.kind == "mysql" else f".{server.kind}.json"
    content = {"results": results, "paper": paper, "published": PUBLISHED}
    Path(__file__).with_suffix(suffix).write_text(json.dumps(content, indent=2) + "\n")


def format_row(
    name: str, by_load: Mapping[str, Result], results: Mapping[str, Any], load: str, entries: int
) -> list[str]:
    """A way at a load: its rate, its times, and its rate beside two others'."""
    result = by_load[load]
    ratios = []
    for other in (FEAST_NAME, "bare route"):
        rate = results[other][load]["rate"] if other in results else 0.0
        ratios.append(f"{result['rate'] / rate:.2f}x" if rate else "-")
    times = [f"{result[percentile]:.2f}" for percentile in PERCENTILES]
    failed = f"{result['failed_share']:.0%}" if result["failed"] else ""
    return [str(entries), name, f"{result['rate']:,.0f}", *times, failed, *ratios]


if __name__ == "__main__":
    main()
