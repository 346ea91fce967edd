"""``spark-fs serve`` as a process, and as several on one port: a worker that dies, the end under load, TLS."""

import asyncio
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spark_fs.errors import SettingsError
from spark_fs.server import program, workers
from spark_fs.server.authentication import check_exposed
from spark_fs.server.certificates import read_tls_files
from spark_fs.server.guard import Limits
from spark_fs.server.program import make_server
from spark_fs.server.served_app import ServeOptions
from spark_fs.server.sockets import (
    admit_new_connections,
    ignore_new_connections,
    open_socket,
    open_sockets,
)
from spark_fs.server.worker_pulse import WorkerPulse
from spark_fs.server.workers import WorkerSupervisor, _Worker

from serving import ask, filled, store, until_closed

ROOT = Path(__file__).parents[2]
BODY = json.dumps({"view": "shops", "entries": [{"shop": "a"}]})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("served")
    filled(store(folder))
    return folder


class Served:
    """A process, what it says, and its port."""

    def __init__(self, home: Path, options: Sequence[str]) -> None:
        command = [sys.executable, "-m", "spark_fs.cli", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            env={"SPARK_FS_HOME": str(home), "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
        )
        self.said: list[str] = []
        self._port = 0
        self._is_up = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        assert self._is_up.wait(60), self.said
        return self._port

    def _listen(self) -> None:
        assert self.process.stderr
        with self.process.stderr as lines:
            for line in lines:
                self.said.append(line)
                found = re.search(r"Vectors are at https?://127\.0\.0\.1:(\d+)", line)
                if found:
                    self._port = int(found[1])
                    self._is_up.set()
        self._is_up.set()


@contextmanager
def serve(home: Path, *options: str) -> Iterator[Served]:
    served = Served(home, options)
    try:
        yield served
    finally:
        served.process.terminate()
        served.process.wait(60)


def ask_on(port: int, stop: threading.Event, told: Counter[str]) -> None:
    """Ask until nobody listens any more; a connection that the server ends is made anew."""
    link = HTTPConnection("127.0.0.1", port, timeout=30)
    while not stop.is_set():
        try:
            link.connect()
        except ConnectionRefusedError:
            told["nobody listens"] += 1
            return
        while True:
            try:
                link.request("POST", "/v1/feature-vectors", BODY)
                answer = link.getresponse()
                answer.read()
            except (OSError, HTTPException) as error:
                told[f"lost: {error!r}"] += 1
                break
            told[str(answer.status)] += 1
            if answer.will_close or stop.is_set():
                break
        link.close()


def worker_ids(served: Served) -> list[int]:
    return [
        int(found[1])
        for line in served.said
        if (found := re.search(r"Started server process \[(\d+)\]", line))
    ]


def wait_for_workers(served: Served, count: int) -> None:
    """Until so many have begun, those that died among them."""
    due = time.monotonic() + 60
    while len(set(worker_ids(served))) < count:
        assert time.monotonic() < due, served.said
        time.sleep(0.05)


@pytest.mark.slow
def test_workers_share_a_port_and_their_figures_and_one_that_dies_is_begun_anew(home: Path) -> None:
    with serve(home, "--workers", "2") as served:
        port = served.port
        wait_for_workers(served, 2)
        assert [ask(port, BODY.encode())[0] for _ in range(20)] == [200] * 20
        os.kill(worker_ids(served)[0], signal.SIGKILL)
        wait_for_workers(served, 3)
        assert any("ended with code -9: it is started again" in line for line in served.said)
        assert [ask(port, BODY.encode())[0] for _ in range(20)] == [200] * 20
        # the connections of each worker: figures are the same, whoever is asked
        for _ in range(4):
            text = ask(port, path="/metrics")[1]
            assert 'spark_fs_requests_total{status="200",view="shops"} 40.0' in text
            assert "spark_fs_open_requests 1.0" in text


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_end_under_load_loses_no_request(home: Path, workers: int) -> None:
    stop, told = threading.Event(), Counter[str]()
    with serve(home, "--workers", str(workers), "--drain", "1.5") as served:
        port = served.port
        callers = [threading.Thread(target=ask_on, args=(port, stop, told)) for _ in range(8)]
        for caller in callers:
            caller.start()
        time.sleep(1)
        served.process.terminate()
        time.sleep(0.7)
        ready = ask(port, path="/ready")
        for caller in callers:
            caller.join(30)
        stop.set()
        served.process.wait(30)
    assert (ready[0], ready[1]["error"]["type"]) == (503, "Draining")
    assert set(told) == {"200", "nobody listens"}
    assert told["nobody listens"] == 8


@pytest.mark.slow
def test_a_worker_that_cannot_begin_ends_all(home: Path) -> None:
    served = Served(home, ["--workers", "2", "--view", "nope"])
    assert served.process.wait(60) == 2
    time.sleep(0.2)
    said = "".join(served.said)
    assert "error: Feature view 'nope' does not exist" in said
    assert re.search(r"error: A worker ended with code 1 before it was ready", said)


@pytest.mark.slow
def test_workers_end_where_who_watches_them_fails(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the machine has no process left for one that is begun anew."""
    monkeypatch.setenv("SPARK_FS_HOME", str(home))
    supervisor = WorkerSupervisor(ServeOptions(port=0, workers=2))
    processes = []

    def fail(*_: object) -> None:
        processes.extend(worker.process for worker in supervisor._workers.values())
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(supervisor, "_watch", fail)
    with pytest.raises(BlockingIOError):
        supervisor.run("{url}")
    assert len(processes) == 2
    assert all(process.exitcode is not None for process in processes)


class Died:
    """A process that has ended."""

    exitcode, pid, sentinel = 1, 2**22 + 1, -1


def test_no_connection_waits_for_a_worker_that_dies_time_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel would go on to deal it its share of them."""
    supervisor = WorkerSupervisor(ServeOptions(port=0, workers=2))
    listeners, _ = open_sockets("127.0.0.1", 0, 2)
    port = listeners[0].getsockname()[1]
    began: list[int] = []

    def begin(number: int, *_: object) -> None:
        began.append(number)
        now = time.monotonic()
        life, pulse = SimpleNamespace(close=int), WorkerPulse(SimpleNamespace(value=0))
        supervisor._workers[number] = _Worker(Died(), life, pulse, now, True)
        if len(began) == 5:
            supervisor._signal = 15

    def wait(_: float) -> None:
        waits = [due for _, due in supervisor._deaths.values()]
        if waits and waits[0] - time.monotonic() > 1:
            for _ in range(20):  # all are dealt to the one that lives
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    listeners[0].settimeout(5)
                    listeners[0].accept()[0].close()
            shared.append(1)
            supervisor._deaths[1] = (supervisor._deaths[1][0], 0.0)

    shared: list[int] = []
    monkeypatch.setattr(supervisor, "_start_worker", begin)
    monkeypatch.setattr(supervisor, "_read_news", wait)
    monkeypatch.setattr(workers, "_FIRST_PAUSE", 2.0)
    begin(1)
    supervisor._watch(listeners, str(tmp_path))
    assert began == [1] * 5
    assert shared
    assert listeners[1].getsockname()[1] == port
    for listener in listeners:
        listener.close()


@pytest.mark.slow
def test_a_worker_that_is_told_to_end_alone_leaves_a_port_that_answers(home: Path) -> None:
    """It lets no connection begin at its socket, which its successor goes on with."""
    with serve(home, "--workers", "2", "--drain", "0") as served:
        port = served.port
        wait_for_workers(served, 2)
        os.kill(worker_ids(served)[0], signal.SIGTERM)
        wait_for_workers(served, 3)
        for _ in range(30):  # half of them are dealt to that socket
            assert ask(port, BODY.encode())[0] == 200


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended_and_begun_anew(home: Path) -> None:
    with serve(home, "--workers", "2", "--timeout", "1") as served:
        port = served.port
        wait_for_workers(served, 2)
        hanging = worker_ids(served)[0]
        os.kill(hanging, signal.SIGSTOP)
        with ThreadPoolExecutor(20) as callers:  # half of them are dealt to it, and wait
            asked = [callers.submit(ask, port, BODY.encode()) for _ in range(20)]
            assert [each.result()[0] for each in asked] == [200] * 20
        assert len(set(worker_ids(served))) == 3
        assert any(f"(process {hanging}) hangs: its event loop" in line for line in served.said)


def test_silence_is_counted_while_the_supervisor_runs() -> None:
    beats, now = SimpleNamespace(value=0), [0.0]
    pulse = WorkerPulse(beats, lambda: now[0])

    def look_after(seconds: float) -> float:
        now[0] += seconds
        return pulse.measure_silence()

    assert [look_after(0.25) for _ in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert look_after(3_600) == 2  # both were stopped
    beats.value += 1
    assert look_after(3_600) == 0
    assert look_after(0.25) == 0.25


def test_an_event_loop_that_is_blocked_gives_no_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "BEAT_SECONDS", 0.01)
    beats, seen = [0], list[int]()

    def count_beat() -> None:
        beats[0] += 1

    async def block(scope: Any, _: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(beats[0])
            time.sleep(0.3)  # it is what blocks
            seen.append(beats[0])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    listener, _ = open_socket("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = make_server(block, Limits(), "critical", on_beat=count_beat)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert ask(port, path="/")[0] == 200
    before = beats[0]
    while beats[0] < before + 3:  # it goes on
        time.sleep(0.01)
    server.should_exit = True
    thread.join()
    assert seen[0] == seen[1] > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_socket_may_ignore_who_comes_and_admit_them_again(host: str) -> None:
    """Who had come is taken; who comes then asks again, and is let in or refused."""
    try:
        listener, _ = open_socket(host, 0)
    except SettingsError:
        pytest.skip(f"this machine has no {host}")
    address = listener.getsockname()[:2]
    with closing(listener), socket.create_connection(address, 5) as before:
        ignore_new_connections(listener)
        with pytest.raises(TimeoutError):
            socket.create_connection(address, 0.2)
        taken, _ = listener.accept()
        with closing(taken):  # an accepted connection is a whole one
            before.sendall(b"a")
            assert taken.recv(1) == b"a"
            taken.sendall(b"b")
            assert before.recv(1) == b"b"
        admit_new_connections(listener)
        with socket.create_connection(address, 5):
            listener.accept()[0].close()


def test_who_asks_for_no_tls_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Connections that wait at the port when it ends, and say nothing once they are taken."""
    files = read_tls_files(*sign(tmp_path, "server"), None)
    server = make_server(None, Limits(ask_seconds=0.5), "critical", files)
    server.config.load()
    listener, _ = open_socket("127.0.0.1", 0)
    address = listener.getsockname()
    silent = [socket.create_connection(address) for _ in range(8)]

    async def end() -> None:
        server.servers = []
        server.lifespan = server.config.lifespan_class(server.config)
        await asyncio.wait_for(server._accept_waiting([listener]), 3)  # one after another: 4 s

    asyncio.run(end())
    listener.close()
    for link in silent:
        assert until_closed(link, 5) == b""
        link.close()


def test_workers_end_with_who_began_them(home: Path) -> None:
    served = Served(home, ["--workers", "2", "--drain", "0"])
    assert served.port
    served.process.kill()
    served.process.wait(30)
    due = time.monotonic() + 60
    running = worker_ids(served)
    while running and time.monotonic() < due:
        running = [each for each in running if Path(f"/proc/{each}").exists()]
        time.sleep(0.1)
    assert not running


# -- TLS


def sign(folder: Path, name: str, *options: str) -> tuple[Path, Path]:
    """A certificate and its key, which signs itself where no other does."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    named = ["-keyout", str(key), "-out", str(made), "-subj", f"/CN={name}"]
    subprocess.run([*command, *named, *options], check=True, capture_output=True)
    return made, key


def test_callers_without_a_certificate_are_turned_away(home: Path, tmp_path: Path) -> None:
    server, server_key = sign(tmp_path, "server", "-addext", "subjectAltName=IP:127.0.0.1")
    caller, caller_key = sign(tmp_path, "caller")
    stranger, stranger_key = sign(tmp_path, "stranger")
    options = [
        "--tls-cert",
        str(server),
        "--tls-key",
        str(server_key),
        "--tls-client-ca",
        str(caller),
    ]

    def ask_with(certificate: tuple[Path, Path] | None) -> int:
        context = ssl.create_default_context(cafile=server)
        if certificate:
            context.load_cert_chain(*certificate)
        link = HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
        with closing(link):
            link.request("POST", "/v1/feature-vectors", BODY)
            return link.getresponse().status

    with serve(home, *options) as served:
        port = served.port
        assert "https://" in "".join(served.said)
        assert ask_with((caller, caller_key)) == 200
        for wrong in (None, (stranger, stranger_key)):
            with pytest.raises(OSError, match=r"certificate|alert|reset|EOF|closed"):
                ask_with(wrong)


def test_certificates_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    made, key = sign(tmp_path, "server")
    assert read_tls_files(None, None, None) is None
    found = read_tls_files(made, key, made)
    assert found
    assert found.list_options()["ssl_cert_reqs"] == ssl.CERT_REQUIRED
    for wrong in ((made, None, None), (None, key, None), (None, None, made)):
        with pytest.raises(SettingsError, match="TLS takes both --tls-cert and --tls-key"):
            read_tls_files(*wrong)
    with pytest.raises(SettingsError, match=r"The certificate .* cannot be used: No such file"):
        read_tls_files(tmp_path / "none", key, None)
    with pytest.raises(SettingsError, match=r"--tls-client-ca .*server\.key cannot be used"):
        read_tls_files(made, key, key)


def test_who_asks_for_certificates_may_listen_to_other_machines() -> None:
    check_exposed("0.0.0.0", "", insecure=False, asks_certificates=True)
    with pytest.raises(SettingsError, match="nobody would be asked for a token"):
        check_exposed("0.0.0.0", "", insecure=False)
