"""``spark_fs.Client`` and ``AsyncClient``: what a server hands out is what the view in this process gives, in values, types and errors."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import numpy as np
import pandas as pd
import polars as pl
import pytest
import values
from loaded import loaded

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.client.connections import make_access
from spark_fs.client.view_description import ViewDescription
from spark_fs.client.view_requests import RemoteViewState, VectorRequest
from spark_fs.errors import (
    InvalidNameError,
    KeyValueError,
    NotFoundError,
    OnlineRefusedError,
    OnlineStoreError,
    SchemaError,
    SettingsError,
    SparkFSError,
)
from spark_fs.server.vector_server import build_vector_app

from conftest import ONLINE, online_store
from serving import half, root, served

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
TYPES = {
    "b": "boolean",
    "i1": "tinyint",
    "i8": "bigint",
    "f": "float",
    "d": "double",
    "c": "decimal(10,2)",
    "s": "string",
    "raw": "binary",
    "day": "date",
    "at": "timestamp",
    "l": "array<double>",
    "lt": "array<timestamp>",
    "m": "map<bigint,decimal(5,2)>",
    "ms": "map<string,binary>",
    "t": "struct<b:binary,f:float,d:date>",
}
FULL = {
    "b": True,
    "i1": -128,
    "i8": 2**63 - 1,
    "f": 0.10000000149011612,
    "d": 0.1,
    "c": Decimal("-1.50"),
    "s": "naïve 🙂\x00",
    "raw": b"\x00\xff",
    "day": date(1, 1, 1),
    "at": NOON + timedelta(microseconds=1),
    "l": [0.1, None, -0.0],
    "lt": [NOON, None],
    "m": {7: Decimal("1.50"), -1: None},
    "ms": {"a": b"\x01", "": None},
    "t": {"b": b"\xff", "f": 0.5, "d": date(9999, 12, 31)},
}
PLAIN = FULL | {"d": 1e300, "f": -0.5, "s": "2024-01-01", "raw": b"", "l": [], "m": {}, "t": None}
KEYS = {
    "whole": ("bigint", 1),
    "amount": ("decimal(10,2)", Decimal("1.10")),
    "day": ("date", date(2024, 1, 1)),
    "moment": ("timestamp", NOON),
    "raw": ("binary", b"\x00\xff"),
    "flag": ("boolean", True),
    "word": ("string", "00ff"),
}


def fill(fs: FeatureStore) -> None:
    rows = [{"k": 1, **FULL}, {"k": 2, **PLAIN}, {"k": 3, **dict.fromkeys(FULL)}]
    group = loaded(fs, "rows", {"k": "bigint", **TYPES}, rows)
    fs.create_feature_view("rows", group.select_features())
    numbers = [{"k": k, "n": k, "ratio": 10.0 * k} for k in (1, 2)]
    numbered = loaded(fs, "numbers", {"k": "bigint", "n": "bigint", "ratio": "double"}, numbers)
    fs.create_feature_view("integers", numbered.select(["n"]))
    for name, function in (("halves", half("n")), ("roots", root("ratio", "n"))):
        fs.create_feature_view(
            name, numbered.select(["n", "ratio"]), transformation_functions=[function]
        )
    for name, (type_, key) in KEYS.items():
        keyed = loaded(fs, name, {"k": type_, "v": "bigint"}, [{"k": key, "v": 7}])
        fs.create_feature_view(name, keyed.select_features())


@pytest.fixture(scope="module", params=ONLINE)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    with online_store(request.param, tmp_path_factory.mktemp("client")) as fs:
        fill(fs)
        yield fs


@pytest.fixture(scope="module")
def url(store: FeatureStore) -> Iterator[str]:
    with served(build_vector_app(store, max_entries=600, token="a token of some length")) as port:
        yield f"http://127.0.0.1:{port}"


class AwaitedView:
    """A view of ``AsyncClient`` whose methods are run to their ends, in one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, view: spark_fs.AsyncRemoteFeatureView):
        self._loop, self._view = loop, view

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._view, name)
        if not callable(found):
            return found
        return lambda *args, **options: self._loop.run_until_complete(found(*args, **options))


@contextmanager
def remote_views(url: str, kind: str, **options: Any) -> Iterator[Callable[..., Any]]:
    """``get_feature_view`` of a client of one kind."""
    options = {"token": "a token of some length", **options}
    if kind != "async":
        encoding = None if kind == "sync" else kind
        with spark_fs.Client(url, encoding=encoding, **options) as client:
            yield client.get_feature_view
        return
    loop = asyncio.new_event_loop()
    awaited = spark_fs.AsyncClient(url, **options)
    yield lambda *names: AwaitedView(
        loop, loop.run_until_complete(awaited.get_feature_view(*names))
    )
    loop.run_until_complete(awaited.close())
    loop.close()


@pytest.fixture(params=["msgpack", "json", "async"])
def remote(request: pytest.FixtureRequest, url: str) -> Iterator[Callable[..., Any]]:
    with remote_views(url, request.param) as get_view:
        yield get_view


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same, in their types too."""
    if isinstance(a, list):
        return type(b) is list and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return (
            type(b) is dict and same(list(a), list(b)) and same(list(a.values()), list(b.values()))
        )
    return type(a) is type(b) and repr(a) == repr(b)


@pytest.mark.parametrize("name", ["rows", "integers", "halves", "roots"])
def test_vectors_are_those_of_the_view_in_this_process(
    store: FeatureStore, remote: Callable[..., Any], name: str
) -> None:
    local, view = store.get_feature_view(name, 1), remote(name, 1)
    keys = [{"k": 2}, {"k": 1}, {"k": 2}]
    if name != "roots":
        keys.append({"k": 4})
    wanted = local.get_feature_vectors(keys, allow_missing=True)
    found = view.get_feature_vectors(keys, allow_missing=True)
    assert same(wanted, found)
    assert same(local.get_feature_vector({"k": 1}), view.get_feature_vector({"k": 1}))
    stored = local.get_feature_vectors(keys, allow_missing=True, transform=False)
    assert same(stored, view.get_feature_vectors(keys, allow_missing=True, transform=False))
    for transform in (True, False):
        options: dict[str, Any] = {"allow_missing": True, "transform": transform}
        for kind, check in (
            ("pandas", pd.testing.assert_frame_equal),
            ("numpy", same_arrays),
            ("polars", same_polars),
        ):
            if name == "rows" and kind == "polars":
                continue  # maps are no type of polars
            options["return_type"] = kind
            check(
                local.get_feature_vectors(keys, **options),
                view.get_feature_vectors(keys, **options),
            )
            check(
                local.get_feature_vector({"k": 1}, **options),
                view.get_feature_vector({"k": 1}, **options),
            )
    assert view.get_feature_vectors([]) == []
    assert view.serving_columns == local.serving_columns
    assert view.serving_types == local.serving_types
    assert (view.name, view.version, view.training_dataset_version) == (name, 1, None)


def same_arrays(a: Any, b: Any) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    assert same(a.tolist(), b.tolist())


def same_polars(a: pl.DataFrame, b: pl.DataFrame) -> None:
    assert a.schema == b.schema
    assert same(a.rows(), b.rows()) or a.equals(b)


def test_what_is_stored_comes_back(remote: Callable[..., Any]) -> None:
    found = remote("rows").get_feature_vectors([{"k": 1}, {"k": 3}])
    assert values.same(found, [list(FULL.values()), [None] * len(FULL)])


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_each_type_finds_its_row(remote: Callable[..., Any], name: str) -> None:
    view = remote(name)
    given = [KEYS[name][1]]
    more: dict[str, list[Any]] = {
        "whole": [1.0, np.int8(1), Decimal(1)],
        "amount": [1.1, Decimal("1.1"), np.float64(1.1)],
        "day": [NOON.replace(hour=0), pd.Timestamp("2024-01-01"), np.datetime64("2024-01-01")],
        "moment": [
            NOON.replace(tzinfo=None),
            pd.Timestamp(NOON),
            np.datetime64("2024-01-01T12:00"),
        ],
    }
    for key in given + more.get(name, []):
        assert view.get_feature_vector({"k": key}) == [7], key
        assert view.get_feature_vector(keys={"k": key}) == [7]


PASSED: list[dict[str, Any]] = [
    {"d": float("nan"), "f": float("inf"), "i8": 3.0, "s": "NaN"},
    {"l": [float("-inf"), 1], "m": {2: 1}, "t": {"b": b"", "f": 1, "d": None}, "raw": b"\x01"},
    {"at": datetime(2024, 1, 1), "day": date(2024, 1, 1), "c": 1, "b": np.bool_(True)},
    {"d": -0.0, "i1": np.int64(5), "c": Decimal("1.5"), "lt": [NOON]},
]


def test_a_passed_feature_is_that_of_the_view_in_this_process(
    store: FeatureStore, remote: Callable[..., Any]
) -> None:
    local, view = store.get_feature_view("rows", 1), remote("rows")
    for passed in PASSED:
        assert same(
            local.get_feature_vector({"k": 1}, passed), view.get_feature_vector({"k": 1}, passed)
        )
    entries = [{"k": 1}] * len(PASSED)
    assert same(
        local.get_feature_vectors(entries, PASSED), view.get_feature_vectors(entries, PASSED)
    )
    for requested in ({"i8": 9, "unknown": 1}, [{"i8": 9}] * len(PASSED)):
        options: dict[str, Any] = {"request_parameters": requested}
        assert same(
            local.get_feature_vectors(entries, PASSED, **options),
            view.get_feature_vectors(entries, PASSED, **options),
        )


# A view, the arguments of get_feature_vector, and the error.
WRONG: list[tuple[str, tuple[Any, ...], type[SparkFSError]]] = [
    ("rows", ({"k": 9},), NotFoundError),
    ("rows", ({},), KeyValueError),
    ("rows", ({"k": "1"},), KeyValueError),
    ("rows", ({"k": 1.5},), KeyValueError),
    ("rows", ({"k": 2**63},), KeyValueError),
    ("rows", ({"key": 1},), NotFoundError),
    ("rows", ({"k": 1, "other": NOON},), NotFoundError),
    ("word", ({"k": b"\x00\xff"},), KeyValueError),
    ("word", ({"k": Decimal("1.1")},), KeyValueError),
    ("word", ({"k": NOON},), KeyValueError),
    ("day", ({"k": NOON},), KeyValueError),
    ("amount", ({"k": 1.101},), KeyValueError),
    ("rows", ({"k": 1}, {"i8": 1.5}), SchemaError),
    ("rows", ({"k": 1}, {"s": b"00"}), SchemaError),
    ("rows", ({"k": 1}, {"s": NOON}), SchemaError),
    ("rows", ({"k": 1}, {"unknown": 1}), NotFoundError),
    ("roots", ({"k": 1}, {"ratio": -1.0}), SparkFSError),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_an_error_is_that_of_the_view_in_this_process(
    store: FeatureStore, remote: Callable[..., Any], number: int
) -> None:
    name, arguments, kind = WRONG[number]
    with pytest.raises(kind) as wanted:  # its text is what is compared
        store.get_feature_view(name, 1).get_feature_vector(*arguments)
    with pytest.raises(kind) as found:
        remote(name).get_feature_vector(*arguments)
    if name != "roots":  # whose message would tell strangers what is stored
        assert type(found.value) is type(wanted.value)
        assert str(found.value) == str(wanted.value)


def test_an_error_of_arguments_is_that_of_the_view_in_this_process(
    store: FeatureStore, remote: Callable[..., Any]
) -> None:
    local, view = store.get_feature_view("rows", 1), remote("rows")
    for arguments in ((), ([{"k": 1}], [{}, {}])):
        with pytest.raises(SettingsError) as wanted:
            local.get_feature_vectors(*arguments)
        with pytest.raises(SettingsError) as found:
            view.get_feature_vectors(*arguments)
        assert str(found.value) == str(wanted.value)
    with pytest.raises(SettingsError, match="return_type 'list of lists' is not known"):
        view.get_feature_vector({"k": 1}, return_type="list of lists")
    with pytest.raises(SettingsError, match="is not a mapping of names to values"):
        view.get_feature_vector(5)
    with pytest.raises(SettingsError, match="601 entries are more than the 600 of a request"):
        view.get_feature_vectors([{"k": 1}] * 601)


def test_a_view_that_is_not_there(remote: Callable[..., Any]) -> None:
    with pytest.raises(NotFoundError, match=r"Feature view 'row' does not exist"):
        remote("row")
    with pytest.raises(NotFoundError, match=r"Feature view 'rows' has no version 2: it has 1"):
        remote("rows", 2)
    with pytest.raises(NotFoundError, match=r"no version 5"):
        remote("rows", 1, 5)


def test_who_is_refused_is_told_so_at_once(url: str) -> None:
    with spark_fs.Client(url, token="another one") as client:
        with pytest.raises(OnlineRefusedError, match="This server asks for a token") as found:
            client.get_feature_view("rows")
        assert not found.value.retryable
    for address in ("127.0.0.1:8080", "ftp://here", "http://", "http://me:secret@here"):
        with pytest.raises(SettingsError, match="url"):
            spark_fs.Client(address)
    with pytest.raises(SettingsError, match="timeout=0 is not above 0"):
        spark_fs.Client(url, timeout=0)
    with pytest.raises(SettingsError, match="encoding 'xml' is not known"):
        spark_fs.Client(url, encoding="xml")
    with pytest.raises(SettingsError, match="max_connections=0 is not above 0: give how many"):
        spark_fs.Client(url, max_connections=0)


class Scripted:
    """A server that answers each request by the next of its script, and remembers what it was asked.

    An answer is a status, headers and a body; "end" ends the connection without one, "hang" gives none.
    """

    def __init__(self, *script: Any) -> None:
        self.asked: list[dict[str, str]] = []
        answers, asked = iter(script), self.asked

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked.append(dict(self.headers))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                answer = next(answers)
                if answer == "hang":
                    time.sleep(3)
                if isinstance(answer, str):
                    self.close_connection = True
                    return
                status, headers, content = answer
                body = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    started: list[Scripted] = []

    def start(*script: Any) -> Scripted:
        started.append(Scripted(*script))
        return started[-1]

    yield start
    for each in started:
        each.close()


VIEW = {"name": "v", "version": 1, "training_dataset_version": 4, "keys": {"k": "int"}}
DESCRIBED = (200, {}, VIEW | {"passable": {}, "columns": {"x": "int"}, "features": {}})
BUSY = {"error": {"type": "TooManyRequests", "message": "256 requests are open already"}}
FAILED = {"error": {"type": "OnlineStoreError", "message": "The online store failed"}}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_busy_server_is_asked_again_when_it_says(
    scripted: Callable[..., Scripted], kind: str
) -> None:
    again = {"Retry-After": "0.1"}
    server = scripted((429, again, BUSY), (503, again, FAILED), "end", DESCRIBED)
    with remote_views(server.url, kind) as get_view:
        began = time.monotonic()
        assert get_view("v").training_dataset_version == 4
        assert time.monotonic() - began >= 0.2
    ids = {headers["X-Request-ID"] for headers in server.asked}
    assert len(server.asked) == 4
    assert len(ids) == 1


def test_a_server_that_stays_busy_is_an_error_in_time(scripted: Callable[..., Scripted]) -> None:
    server = scripted((503, {"Retry-After": "30"}, BUSY))
    with spark_fs.Client(server.url, timeout=1) as client:
        with pytest.raises(OnlineStoreError, match="256 requests are open already") as found:
            client.get_feature_view("v")
        assert found.value.retryable
        assert server.asked[0]["X-Request-ID"] in found.value.__notes__[0]
    assert len(server.asked) == 1


def test_what_never_succeeds_is_asked_once(scripted: Callable[..., Scripted]) -> None:
    refused = {"error": {"type": "OnlineRefusedError", "message": "wrong password"}}
    unknown = {"error": {"type": "SomethingNew", "message": "of a newer server"}}
    inside = {"error": {"type": "exceptions", "message": "not a kind of error"}}
    server = scripted(
        (503, {"Retry-After": "0"}, refused),
        (400, {}, unknown),
        (500, {}, inside),
        (404, {}, b"<p>"),
    )
    with spark_fs.Client(server.url) as client:
        for kind, text in (
            (OnlineRefusedError, "wrong password"),
            (SettingsError, "of a newer server"),
            (SparkFSError, "not a kind of error"),
            (SettingsError, "answered 404 Not Found.*see that the URL is that of spark-fs serve"),
        ):
            with pytest.raises(kind, match=text) as found:
                client.get_feature_view("v")
            assert type(found.value) is kind
    assert len(server.asked) == 4


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_server_that_gives_no_answer(scripted: Callable[..., Scripted], kind: str) -> None:
    server = scripted("hang", "end", "end", "end", (200, {}, b"<html>"), (200, {}, {"name": "v"}))
    with (
        remote_views(server.url, kind, timeout=0.3) as get_view,
        pytest.raises(OnlineStoreError, match=r"gave no answer within 0.3 s"),
    ):
        get_view("v")
    with remote_views(server.url, kind) as get_view:
        for text in ("ended the connection before it", "cannot be read as", "run the same release"):
            with pytest.raises(OnlineStoreError, match=text):
                get_view("v")
    server.close()
    with (
        remote_views(server.url, kind) as get_view,
        pytest.raises(OnlineStoreError, match=r"cannot be reached.*start it with spark-fs serve"),
    ):
        get_view("v")


def test_a_view_that_was_made_ready_anew_is_asked_about_again(
    scripted: Callable[..., Scripted],
) -> None:
    """A newer training dataset gives other columns."""
    newer = VIEW | {"passable": {}, "columns": {"x": "int", "at": "date"}, "features": {}}
    vectors = {"features": ["x", "at"], "vectors": [[1, "2024-01-01"]]}
    server = scripted(DESCRIBED, (200, {}, vectors), (200, {}, newer))
    with spark_fs.Client(server.url, encoding="json") as client:
        view = client.get_feature_view("v")
        assert view.serving_columns == ["x"]
        assert view.get_feature_vector({"k": 1}) == [1, date(2024, 1, 1)]
        assert view.serving_columns == ["x", "at"]


@pytest.mark.parametrize("return_type", ["list", "pandas"])
def test_no_value_is_told_by_the_name_of_another(
    scripted: Callable[..., Scripted], return_type: str
) -> None:
    """One process of the server has the newer training dataset, and another one describes the view."""
    newer = {"features": ["x", "is_b"], "vectors": [[1, True]]}
    older = VIEW | {"passable": {}, "columns": {"x": "int", "is_a": "boolean"}, "features": {}}
    server = scripted((200, {}, older), (200, {}, newer), (200, {}, older))
    with spark_fs.Client(server.url, encoding="json") as client:
        view = client.get_feature_view("v")
        with pytest.raises(OnlineStoreError, match=r"'v' ready again.*ask again") as told:
            view.get_feature_vector({"k": 1}, return_type=return_type)
        assert told.value.retryable


def test_an_answer_is_read_by_the_description_that_it_was_found_to_fit() -> None:
    """Another thread learns of a newer one meanwhile."""
    older, newer = (
        ViewDescription("v", 1, 4, {"k": "int"}, {}, {"x": "date", name: "date"}, {})
        for name in ("y", "z")
    )

    class Told(RemoteViewState):
        """Of which the description is replaced right after it was looked at."""

        looks = 0

        @property
        def description(self) -> ViewDescription:
            self.looks += 1
            return older if self.looks <= 3 else newer

        @description.setter
        def description(self, _: ViewDescription) -> None:
            self.looks = 0

    state = Told(make_access("http://localhost", 1.0, "json"), older, None)
    request = VectorRequest([{"k": 1}], [{}], False, True, None)
    exchange = state.ask_vectors(request, "pandas")
    next(exchange)
    answer = {"features": ["x", "y"], "vectors": [["2024-01-01", None]]}
    with pytest.raises(StopIteration) as end:
        exchange.send(httpx.Response(200, json=answer))
    assert list(end.value.value.columns) == ["x", "y"]


@pytest.mark.parametrize("token", ["s3cret-and-long\n", " s3cret-and-long", "s3cret-änd-long"])
def test_a_token_that_no_header_can_hold_is_told_without_it(url: str, token: str) -> None:
    with pytest.raises(SettingsError, match="The token has a space") as told:
        spark_fs.Client(url, token=token)
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    "address",
    ["http://me:hunter22@host:port", "ftp://me:hunter22@host", "http://me:hunter22@host"],
)
def test_a_password_in_an_address_that_is_refused_is_told_to_nobody(address: str) -> None:
    with pytest.raises(SettingsError, match="url") as refused:
        spark_fs.Client(address)
    assert "hunter22" not in str(refused.value)


def test_a_name_is_a_name_whatever_is_in_it(url: str) -> None:
    with (
        remote_views(url, "msgpack") as get_view,
        pytest.raises(InvalidNameError, match=r"'a\?version=2'"),
    ):
        get_view("a?version=2")


def test_many_threads_and_tasks_share_a_client(store: FeatureStore, url: str) -> None:
    token = "a token of some length"
    with spark_fs.Client(url, token, timeout=60) as client:
        view = client.get_feature_view("integers")
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda k: view.get_feature_vector({"k": 1 + k % 2}), range(200)))
    assert found == [[1 + k % 2] for k in range(200)]

    async def ask_all() -> Any:
        async with spark_fs.AsyncClient(url, token, timeout=60, max_connections=8) as client:
            view = await client.get_feature_view("integers")
            calls = [view.get_feature_vector({"k": 1 + k % 2}) for k in range(200)]
            return await asyncio.gather(*calls)

    assert asyncio.run(ask_all()) == found


ASK = """
import sys, spark_fs
with spark_fs.Client(sys.argv[1], "a token of some length") as client:
    view = client.get_feature_view("rows")
    assert len(view.get_feature_vectors([{"k": 1}, {"k": 2}])) == 2
loaded = {"pyspark", "pyarrow", "pandas", "numpy", "polars", "fastapi", "mysql"} & set(sys.modules)
assert not loaded, loaded
"""


def test_a_client_loads_no_spark_arrow_or_pandas(url: str) -> None:
    subprocess.run([sys.executable, "-c", ASK, url], check=True)
