"""A store with rows online, made without Spark, and servers of it in this process."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pyarrow as pa

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.online.registry import make_writer
from spark_fs.online.store import TableOrigin
from spark_fs.online.table_layout import build_online_table
from spark_fs.server.guard import Limits
from spark_fs.server.program import make_server
from spark_fs.server.sockets import open_socket

SHOPS = {
    "shop": "string",
    "n": "bigint",
    "price": "decimal(5,2)",
    "ratio": "double",
    "seen": "timestamp",
}


KEYS = {
    "flag": "boolean",
    "whole": "bigint",
    "small": "tinyint",
    "exact": "decimal(10,2)",
    "at": "timestamp",
    "day": "date",
    "raw": "binary",
    "real": "double",
}
ROWS = [
    {"shop": "a", "n": 1, "price": None, "ratio": 0.5, "seen": None},
    {"shop": "b", "n": 2, "price": None, "ratio": float("inf"), "seen": None},
]


@spark_fs.udf(float, drop=["ratio"], mode="python")
def root(ratio, n):  # type: ignore[no-untyped-def] # as a user writes it
    return (ratio - 10) ** 0.5 if n else 0.0


@spark_fs.udf(float, mode="python")
def half(n):  # type: ignore[no-untyped-def] # as a user writes it
    return None if n is None else n / 2


def store(home: Path) -> FeatureStore:
    """An empty store."""
    return spark_fs.login({"home": home}).get_feature_store()


def put(
    fs: FeatureStore,
    name: str,
    types: dict[str, str],
    rows: Sequence[dict[str, Any]],
    key: Sequence[str],
    **declared: Any,
) -> Any:
    """A group whose rows are online."""
    group = fs.create_feature_group(
        name,
        primary_key=key,
        online_enabled=True,
        features=[spark_fs.Feature(*each) for each in types.items()],
        **declared,
    )
    table, own = (
        build_online_table(group.spec, fs._stores.online.capabilities),
        make_writer(fs._stores.online),
    )
    with own.open_session(table, TableOrigin(name, group.location)) as session:
        place = session.begin_staging(True)
        own.load_rows(table, place, pa.Table.from_pylist(list(rows), to_arrow_schema(types)))
        session.swap_tables(place, 0)
    return group


@contextmanager
def served(program: Any, limits: Limits | None = None) -> Iterator[int]:
    """The port of a server in a thread of its own."""
    own, _ = open_socket("127.0.0.1", 0)
    running = make_server(program, limits or Limits(), "critical")
    thread = threading.Thread(target=running.run, args=([own],))
    thread.start()
    try:
        yield own.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def ask(
    port: int, body: Any = None, path: str = "/v1/feature-vectors", **headers: str
) -> tuple[int, Any, Any]:
    """The status, what came (from JSON where it is), and the headers."""
    link = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        data = (
            None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        link.request(
            "GET" if data is None else "POST",
            path,
            data,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )
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


def ask_without_end(link: socket.socket, seconds: float) -> None:
    """Ask again and again and read no answer, until the connection is ended."""
    due = time.monotonic() + seconds
    while time.monotonic() < due:
        try:
            link.send(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        except BlockingIOError:
            time.sleep(0.05)


def filled(found: FeatureStore) -> FeatureStore:
    """The store with views of several kinds."""
    holds = found._stores.online.capabilities.name == "sqlite"  # infinities
    group = put(found, "shops", SHOPS, ROWS if holds else ROWS[:1], ["shop"])
    found.create_feature_view("shops", group.select_features())
    keyed = put(found, "keyed", KEYS | {"n": "bigint"}, [], list(KEYS))
    found.create_feature_view("keyed", keyed.select(["n"]))
    found.create_feature_view("prices", group.select(["price"]))
    found.create_feature_view(
        "halves", group.select(["n", "ratio"]), transformation_functions=[half("n")]
    )
    found.create_feature_view(
        "roots", group.select(["n", "ratio"]), transformation_functions=[root("ratio", "n")]
    )
    return found


def texts(draw: random.Random) -> str:
    planes = (
        (0, 0x20),
        (0x20, 0x7F),
        (0x80, 0x9F),
        (0xA0, 0xD7FF),
        (0xD800, 0xDFFF),
        (0xE000, 0xFFFF),
        (0x1F300, 0x1FAFF),
        (0x10000, 0x10FFFF),
    )
    return "".join(chr(draw.randint(*draw.choice(planes))) for _ in range(draw.randint(0, 8)))


def anything(draw: random.Random, depth: int = 3) -> Any:
    plain: list[Any] = [
        None,
        True,
        False,
        0,
        -1,
        1.5,
        float("nan"),
        float("inf"),
        -float("inf"),
        2**63,
        -(2**63) - 1,
        10**400,
        1e308,
        "",
        "a",
        "b",
        "1",
        "NaN",
        "Infinity",
        "1e400",
        "1E+1000000",
        "sNaN",
        "00ff",
        "2024-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999999-23:59",
        "2024-02-30",
        "9" * 5_000,
        texts(draw),
    ]
    kind = draw.random()
    if depth and kind < 0.1:
        return [anything(draw, depth - 1) for _ in range(draw.randint(0, 4))]
    if depth and kind < 0.2:
        return {
            draw.choice(["shop", "n", "price", "ratio", "seen", texts(draw)]): anything(
                draw, depth - 1
            )
            for _ in range(draw.randint(0, 4))
        }
    return draw.choice(plain)


def nonsense(draw: random.Random) -> bytes:
    kind = draw.random()
    if kind < 0.1:
        return draw.choice(
            [
                b"",
                b"{",
                b"[" * 100_000,
                b'{"a":' * 50_000,
                bytes(draw.randrange(256) for _ in range(40)),
                b"\xff\xfe{}",
                b'{"view": "\xed\xa0\x80"}',
                b"9" * 50_000,
                b"null",
                b"NaN",
                b'"shops"',
                b"[]",
                b'{"view": "shops", "entries": [{"shop": "a"}], "version": ' + b"9" * 5_000 + b"}",
            ]
        )
    entry = {"shop": draw.choice(["a", "b"]) if draw.random() < 0.5 else anything(draw)} | (
        {texts(draw): anything(draw)} if draw.random() < 0.1 else {}
    )
    if draw.random() < 0.2:
        right = {
            "flag": True,
            "whole": 1,
            "small": 1,
            "exact": "1.10",
            "at": "2024-01-01T00:00:00Z",
            "day": "2024-01-01",
            "raw": "00ff",
            "real": 0.5,
        }
        keyed = {
            name: anything(draw) if draw.random() < 0.2 else value for name, value in right.items()
        }
        return json.dumps(
            {"view": "keyed", "entries": [keyed], "allow_missing": draw.random() < 0.8}
        ).encode()
    passed = {name: anything(draw) for name in SHOPS if name != "shop" and draw.random() < 0.4}
    body = {
        "view": draw.choice(["shops", "shops", "prices", "halves", anything(draw)]),
        "entries": [entry] if draw.random() < 0.8 else anything(draw),
        "passed_features": [passed] if draw.random() < 0.6 else anything(draw),
        "allow_missing": draw.choice([True, False, anything(draw)]),
    }
    body |= {
        name: anything(draw)
        for name in ("version", "training_dataset_version", texts(draw))
        if draw.random() < 0.15
    }
    return json.dumps(body, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")


def told_of_nonsense(port: int, count: int, seed: int) -> Counter[int]:
    """How often each kind of status came, by its first digit, for so many bodies; none is a failure of the server."""
    draw, counts = random.Random(seed), Counter[int]()
    link = HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(count):
        body = nonsense(draw)
        link.request("POST", "/v1/feature-vectors", body)
        answer = link.getresponse()
        text = answer.read()
        counts[answer.status // 100] += 1
        assert answer.status < 500, f"{answer.status}: {text[:300]!r} for {body[:300]!r}"
        assert len(text) < 20_000
        json.loads(text)
    link.close()
    return counts
