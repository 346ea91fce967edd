"""A store with rows online, made without Spark, and servers of it in this process."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pyarrow as pa

import spark_fs
from spark_fs.api.project import FeatureStore
from spark_fs.arrow import schema_of
from spark_fs.listen import listening
from spark_fs.online.layout import online_table
from spark_fs.online.writers import writer
from spark_fs.server.door import Limits
from spark_fs.server.run import server

SHOPS = {"shop": "string", "n": "bigint", "price": "decimal(5,2)", "ratio": "double", "seen": "timestamp"}


def store(home: Path) -> FeatureStore:
    """An empty store."""
    return spark_fs.login({"home": home}).get_feature_store()


def put(fs: FeatureStore, name: str, types: dict[str, str], rows: Sequence[dict[str, Any]], key: Sequence[str]) -> Any:
    """A group whose rows are online."""
    group = fs.create_feature_group(name, primary_key=key, online_enabled=True, features=[spark_fs.Feature(*each) for each in types.items()])
    table, own = online_table(group.spec, fs._stores.online.capabilities), writer(fs._stores.online)
    with own.session(table) as session:
        place = session.begin(True)
        own.load(table, place, pa.Table.from_pylist(list(rows), schema_of(types)))
        session.swap(place, 0)
    return group


@contextmanager
def served(program: Any, limits: Limits | None = None) -> Iterator[int]:
    """The port of a server in a thread of its own."""
    own, _ = listening("127.0.0.1", 0)
    running = server(program, limits or Limits(), "critical")
    thread = threading.Thread(target=running.run, args=([own],))
    thread.start()
    try:
        yield own.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def ask(port: int, body: Any = None, path: str = "/v1/feature-vectors", **headers: str) -> tuple[int, Any, Any]:
    """The status, what came (from JSON where it is), and the headers."""
    link = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        link.request("GET" if data is None else "POST", path, data, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = link.getresponse()
        text = answer.read()
    finally:
        link.close()
    try:
        return answer.status, json.loads(text), answer.headers
    except ValueError:
        return answer.status, text.decode(), answer.headers


def until_closed(link: socket.socket, seconds: float) -> bytes:
    """What a server says before it ends a connection, which it must do in time."""
    link.settimeout(seconds)
    found, due = b"", time.monotonic() + seconds
    while time.monotonic() < due:
        try:
            came = link.recv(1 << 16)
        except ConnectionResetError:
            return found
        if not came:
            return found
        found += came
    raise TimeoutError(f"The connection was still open after {seconds:g} s")
