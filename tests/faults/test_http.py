"""What a server of feature vectors survives: a database that is killed or slow, callers that hang or talk nonsense, its own end, hours of work."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import mysql.connector
import pytest
from loaded import loaded

import spark_fs
from spark_fs.errors import OnlineStoreError

from conftest import SERVERS
from servers import KINDS, Server
from serving import ask, filled, nonsense, until_closed

KEYS = 200
# Two hours where somebody waits for them.
STEADY_SECONDS = float(os.environ.get("SPARK_FS_STEADY_SECONDS", "60"))
PATH = "/v1/feature-vectors"


@pytest.fixture(scope="module", params=SERVERS)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    found = KINDS[request.param](tmp_path_factory.mktemp(request.param))
    yield found
    found.kill()


@pytest.fixture(scope="module")
def home(database: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a view of 200 rows, each of which says its key."""
    folder = tmp_path_factory.mktemp("serving")
    fs = spark_fs.login({"home": folder, "online_url": database.url}).get_feature_store()
    rows = [{"k": k, "same": k, "half": k / 2, "text": f"of {k}"} for k in range(KEYS)]
    types = {"k": "bigint", "same": "bigint", "half": "double", "text": "string"}
    fs.create_feature_view("rows", loaded(fs, "rows", types, rows).select_features())
    filled(fs)
    return folder


class Serving:
    """A process of ``spark-fs serve``."""

    def __init__(self, home: Path, database: Server, *options: str, query: str = "") -> None:
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("spark-fs")), "serve", "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
            env={
                "SPARK_FS_HOME": str(home),
                "SPARK_FS_ONLINE_URL": database.url + query,
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            },
        )
        assert self.process.stderr
        lines = []
        for line in self.process.stderr:
            lines.append(line)
            if "Vectors are at" in line:
                break
        found = re.search(r"http://127\.0\.0\.1:(\d+)", lines[-1] if lines else "")
        assert found, lines
        self.url, self.port = found[0], int(found[1])
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()
        wait_until(lambda: ask(self.port, path="/ready")[0] == 200)

    def _read_log(self) -> None:
        assert self.process.stderr
        self.said.extend(self.process.stderr)

    def memory(self) -> int:
        """Bytes of the process that are in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) << 10

    def end(self) -> int:
        """Tell it to end; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(60)
        self._reader.join()
        assert self.process.stderr
        self.process.stderr.close()
        return code


@contextmanager
def serving(home: Path, database: Server, *options: str, query: str = "") -> Iterator[Serving]:
    found = Serving(home, database, *options, query=query)
    try:
        yield found
    finally:
        found.end()


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    due = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            if holds():
                return
        assert time.monotonic() < due, "it did not come to hold in time"
        time.sleep(0.05)


def body_of(key: int) -> dict[str, Any]:
    return {"view": "rows", "entries": [{"k": key}]}


def row_of(key: int) -> list[Any]:
    return [key, key / 2, f"of {key}"]


@contextmanager
def locked(database: Server) -> Iterator[Any]:
    """The rows behind a lock, so that each read of them waits; what is yielded lets them go."""
    link = mysql.connector.connect(
        host="127.0.0.1", port=database.port, user="spark_fs", password="local", database="store"
    )
    cursor = link.cursor()
    cursor.execute("LOCK TABLES rows_1 WRITE")
    try:
        yield lambda: cursor.execute("UNLOCK TABLES")
    finally:
        link.close()


class Load:
    """Threads that ask for rows again and again, and hold each answer to what is right."""

    def __init__(self, call: Callable[[int], Any], threads: int = 8) -> None:
        self._call, self._over = call, threading.Event()
        self.right, self.wrong, self.errors = Counter[int](), list[Any](), list[Exception]()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        draw = random.Random(number)
        while not self._over.is_set():
            key = draw.randrange(KEYS)
            try:
                found = self._call(key)
            except Exception as error:
                self.errors.append(error)
                time.sleep(0.01)
                continue
            if found == row_of(key):
                self.right[number] += 1
            else:
                self.wrong.append((key, found))

    def goes_on(self) -> None:
        """Wait until each thread has right answers anew."""
        before = self.right.copy()
        wait_until(lambda: all(self.right[n] > before[n] + 3 for n in range(len(self._threads))))

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert not self.wrong


def test_a_database_killed_and_started_again_under_load(home: Path, database: Server) -> None:
    query = "?read_timeout=2&connect_timeout=2"
    with (
        serving(home, database, "--view", "rows:1", query=query) as server,
        spark_fs.Client(server.url, timeout=0.5) as client,
    ):
        view = client.get_feature_view("rows")
        load = Load(lambda key: view.get_feature_vector({"k": key}))
        try:
            for _ in range(2):
                load.goes_on()
                database.kill()
                wait_until(lambda: len(load.errors) > 8)
                assert ask(server.port, path="/health")[0] == 200  # it lives, and says what fails
                wait_until(lambda: ask(server.port, path="/ready")[0] == 503)
                database.start()
                load.goes_on()
                wait_until(lambda: ask(server.port, path="/ready")[0] == 200)
        finally:
            load.end()
        assert all(isinstance(error, OnlineStoreError) for error in load.errors)
        assert server.process.poll() is None


def test_a_client_that_waits_does_not_notice_a_restart_of_the_database(
    home: Path, database: Server
) -> None:
    with (
        serving(home, database, query="?read_timeout=2&connect_timeout=2") as server,
        spark_fs.Client(server.url, timeout=60) as client,
    ):
        view = client.get_feature_view("rows")
        load = Load(lambda key: view.get_feature_vector({"k": key}), 4)
        try:
            load.goes_on()
            database.kill()
            time.sleep(0.5)
            database.start()
            load.goes_on()
        finally:
            load.end()
        assert not load.errors


def test_a_server_killed_and_started_again_under_load(home: Path, database: Server) -> None:
    """Callers have an error that says that it may be tried again; no answer is wrong."""
    server = Serving(home, database)
    with spark_fs.Client(server.url, timeout=5) as client:
        view = client.get_feature_view("rows")
        load = Load(lambda key: view.get_feature_vector({"k": key}))
        try:
            load.goes_on()
            server.process.kill()
            server.end()
            wait_until(lambda: len(load.errors) > 8)
            server = Serving(home, database, "--port", str(server.port))
            load.goes_on()
        finally:
            load.end()
            server.end()
    assert all(isinstance(error, OnlineStoreError) and error.retryable for error in load.errors)


def test_more_requests_than_may_be_open_are_told_to_come_again(
    home: Path, database: Server
) -> None:
    with (
        serving(home, database, "--max-open", "4") as server,
        locked(database) as let_go,
        ThreadPoolExecutor(16) as pool,
    ):
        asked = [pool.submit(ask, server.port, body_of(key)) for key in range(16)]
        wait_until(lambda: sum(each.done() for each in asked) == 12)
        refused = [each.result() for each in asked if each.done()]
        assert {status for status, _, _ in refused} <= {429, 503}
        assert all(int(headers["Retry-After"]) >= 1 for _, _, headers in refused)
        with spark_fs.Client(server.url, timeout=60, encoding="json") as client:
            waits = pool.submit(
                lambda: client.get_feature_view("rows").get_feature_vector({"k": 1})
            )
            time.sleep(0.2)
            let_go()
            assert waits.result() == row_of(1)  # told to come again, it did
        answers = [each.result() for each in asked]
        right = [found["vectors"] for status, found, _ in answers if status == 200]
        assert len(right) == 4
        assert all(vector == row_of(vector[0]) for [vector] in right)


def test_a_slow_query_ends_in_time_and_holds_up_nothing_else(home: Path, database: Server) -> None:
    with serving(home, database, "--timeout", "1") as server:
        assert ask(server.port, body_of(5))[0] == 200
        with locked(database) as let_go, ThreadPoolExecutor(8) as pool:
            began = time.monotonic()
            asked = [pool.submit(ask, server.port, body_of(key)) for key in range(8)]
            assert ask(server.port, path="/health")[0] == 200
            status, found, _ = ask(server.port, {"view": "shops", "entries": [{"shop": "a"}]})
            assert (status, found["vectors"][0][0]) == (200, 1)  # of another table
            for each in asked:
                status, found, headers = each.result()
                assert status == 503, found
                assert headers["Retry-After"]
            assert time.monotonic() - began < 15
            let_go()
        wait_until(lambda: ask(server.port, body_of(5))[0] == 200)
        assert ask(server.port, body_of(6))[1]["vectors"] == [row_of(6)]


def test_a_slow_query_in_process_ends_in_time_and_other_views_are_read(
    home: Path, database: Server
) -> None:
    url = f"{database.url}?read_timeout=1"
    fs = spark_fs.login({"home": home, "online_url": url}).get_feature_store()
    rows, shops = fs.get_feature_view("rows", 1), fs.get_feature_view("shops", 1)
    assert rows.get_feature_vector({"k": 1}) == row_of(1)
    with locked(database), ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(rows.get_feature_vector, {"k": key}) for key in range(8)]
        assert shops.get_feature_vector({"shop": "a"})[0] == 1
        for each in asked:
            with pytest.raises(OnlineStoreError, match="or took longer than read_timeout"):
                each.result(timeout=15)
    assert rows.get_feature_vector({"k": 2}) == row_of(2)


@contextmanager
def few_connections(database: Server, count: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """The URL of a user with so many connections at most, and what takes the bound away."""
    name = f"few_{count}"
    link = mysql.connector.connect(
        host="127.0.0.1", port=database.port, user="spark_fs", password="local", autocommit=True
    )
    with closing(link), closing(link.cursor()) as cursor:

        def allow(connections: int) -> None:
            cursor.execute(
                f"ALTER USER '{name}'@'127.0.0.1' WITH MAX_USER_CONNECTIONS {connections}"
            )

        cursor.execute(f"CREATE USER '{name}'@'127.0.0.1' IDENTIFIED BY 'local'")
        try:
            cursor.execute(f"GRANT SELECT ON store.* TO '{name}'@'127.0.0.1'")
            allow(count)
            address = database.url.replace("spark_fs:", f"{name}:", 1)
            yield address, lambda: allow(0)
        finally:
            cursor.execute(f"DROP USER '{name}'@'127.0.0.1'")


def test_threads_that_ask_for_more_connections_than_the_database_takes(
    home: Path, database: Server
) -> None:
    with few_connections(database, 3) as (url, lift_bound):
        fs = spark_fs.login({"home": home, "online_url": url}).get_feature_store()
        view = fs.get_feature_view("rows", 1)
        load = Load(lambda key: view.get_feature_vector({"k": key}), 16)
        try:
            wait_until(lambda: len(load.errors) > 16 and load.right.total() > 100)
            lift_bound()
            load.goes_on()
        finally:
            load.end()
        for error in load.errors:
            assert isinstance(error, OnlineStoreError)
            assert error.retryable
            assert re.search(r"takes no more connections \((1226|1203)\): .*pool_size", str(error))
        later = Load(lambda key: view.get_feature_vector({"k": key}), 16)
        later.goes_on()
        later.end()
        assert not later.errors


def test_a_server_that_needs_more_connections_than_the_database_takes(
    home: Path, database: Server
) -> None:
    """Of a view two look-ups run at once, so two views ask for four."""
    statuses = Counter[int]()
    shops = {"view": "shops", "entries": [{"shop": "a"}]}

    def ask_one(key: int) -> Any:
        body = shops if key % 2 else body_of(key)
        status, found, headers = ask(server.port, body)
        statuses[status] += 1
        if status != 200:
            assert (status, headers["Retry-After"]) == (503, "1"), found
            raise OnlineStoreError(found["error"]["message"])
        vector = found["vectors"][0]
        return row_of(key) if key % 2 and vector[0] == 1 else vector

    with (
        few_connections(database, 1) as (url, lift_bound),
        serving(home, SimpleNamespace(url=url)) as server,
    ):
        load = Load(ask_one, 16)
        try:
            wait_until(lambda: statuses[503] > 16 and statuses[200] > 100)
            assert ask(server.port, path="/health")[0] == 200
            lift_bound()
            load.goes_on()
        finally:
            load.end()
        for error in load.errors:
            assert "The online store failed" in str(error)
        later = Load(ask_one, 16)
        later.goes_on()
        later.end()
        assert not later.errors
        assert ask(server.port, path="/ready")[0] == 200
    assert any("takes no more connections" in line for line in server.said)


@pytest.mark.slow
def test_callers_that_hang_or_send_half_a_body_are_let_go(home: Path, database: Server) -> None:
    with serving(home, database, "--max-open", "32") as server:
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n".encode()
        halves = [b"", b"POST", head, head + b"\r\n", head + b'\r\n{"view": "rows"']
        links = []
        for number in range(60):
            link = socket.create_connection(("127.0.0.1", server.port), 30)
            link.sendall(halves[number % len(halves)])
            links.append(link)
        for number in range(20):  # who sends half a body and goes
            link = socket.create_connection(("127.0.0.1", server.port), 30)
            link.sendall(halves[number % len(halves)])
            link.close()
        wait_until(lambda: ask(server.port, body_of(1))[0] == 200)
        for link in links:
            said = until_closed(link, 40)
            assert not said or re.match(rb"HTTP/1.1 (400|408|503) ", said), said[:100]
            link.close()
        assert ask(server.port, body_of(2))[1]["vectors"] == [row_of(2)]


def mutated(draw: random.Random) -> tuple[bytes, Mapping[str, str]]:
    """A request whose bytes or headers are wrong, in JSON or msgpack."""
    types = ("application/json", "application/msgpack", "text/plain", "application/\xff", "")
    headers = {"Content-Type": draw.choice(types), "Accept": draw.choice((*types, "*/*"))}
    if draw.random() < 0.5:
        return nonsense(draw), headers
    content = body_of(draw.randrange(KEYS)) | {"now": draw.choice(["2024", "soon", 1, None])}
    packed: bytearray = bytearray(msgpack.packb(content))
    if draw.random() < 0.3:
        packed = bytearray(json.dumps(content).encode())
    for _ in range(draw.randint(0, 5)):
        packed[draw.randrange(len(packed))] = draw.randrange(256)
    return bytes(packed[: draw.randint(1, len(packed))]), headers


@pytest.mark.slow
def test_ten_thousand_malformed_requests(home: Path, database: Server) -> None:
    with serving(home, database) as server:
        draw, statuses = random.Random(0), Counter[int]()
        link = HTTPConnection("127.0.0.1", server.port, timeout=30)
        memory = 0
        for number in range(10_000):
            if number == 2_000:
                memory = server.memory()
            body, headers = mutated(draw)
            link.request("POST", PATH, body, dict(headers))
            answer = link.getresponse()
            text = answer.read()
            statuses[answer.status] += 1
            assert answer.status < 500, (answer.status, text[:300], body[:300], headers)
            assert len(text) < 20_000
        link.close()
        assert statuses[200] > 100
        assert sum(count for status, count in statuses.items() if status >= 400) > 5_000
        assert server.memory() < memory + (32 << 20)
        assert ask(server.port, body_of(3))[1]["vectors"] == [row_of(3)]
    assert not [line for line in server.said if "Traceback" in line]


def test_the_end_loses_no_request_that_was_accepted(home: Path, database: Server) -> None:
    server = Serving(home, database)
    with locked(database) as let_go, ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask, server.port, body_of(key)) for key in range(20)]
        with mysql.connector.connect(
            host="127.0.0.1", port=database.port, user="spark_fs", password="local"
        ) as link:
            wait_until(lambda: waiting_reads(link) > 0)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(server.port, path="/ready")[0] == 503)
        late = pool.submit(ask, server.port, body_of(50))  # it drains, and takes on for a second
        time.sleep(0.3)
        let_go()
        for key, each in enumerate(asked):
            status, found, _ = each.result()
            assert (status, found["vectors"]) == (200, [row_of(key)])
        assert late.result()[1]["vectors"] == [row_of(50)]
    assert server.end() in (0, -signal.SIGTERM)


def waiting_reads(link: Any) -> int:
    cursor = link.cursor()
    cursor.execute(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for%lock'"
    )
    [(count,)] = cursor.fetchall()
    link.rollback()
    return int(count)


def test_the_end_under_load_gives_right_answers_or_none(home: Path, database: Server) -> None:
    """A caller learns from each request that it was not taken, and asks elsewhere; no answer is cut or wrong."""
    server = Serving(home, database)
    with spark_fs.Client(server.url, timeout=5) as client:
        view = client.get_feature_view("rows")
        load = Load(lambda key: view.get_feature_vector({"k": key}))
        load.goes_on()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: server.process.poll() is not None)
        wait_until(lambda: len(load.errors) >= 8)
        load.end()
    for error in load.errors:
        assert isinstance(error, OnlineStoreError)
        assert "cannot be reached" in str(error), error
    assert server.end() in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_hours_at_a_steady_rate_take_no_more_memory(home: Path, database: Server) -> None:
    """Two hundred requests a second; SPARK_FS_STEADY_SECONDS=7200 for two hours."""
    with (
        serving(home, database) as server,
        spark_fs.Client(server.url, timeout=30) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        view = client.get_feature_view("rows")

        def ask_row(key: int) -> bool:
            if key % 20:
                return bool(view.get_feature_vector({"k": key}) == row_of(key))
            found = view.get_feature_vectors([{"k": k} for k in range(100)])
            return bool(found == [row_of(k) for k in range(100)])

        began, due, memories = time.monotonic(), 0.0, list[int]()
        asked = []
        while due < STEADY_SECONDS:
            due += 0.25
            asked = [pool.submit(ask_row, key) for key in random.sample(range(KEYS), 50)]
            assert all(each.result() for each in asked)
            memories.append(server.memory())
            time.sleep(max(0.0, began + due - time.monotonic()))
        settled = max(memories[: len(memories) // 3 + 1])
        assert max(memories) < settled * 1.05 + (8 << 20)
