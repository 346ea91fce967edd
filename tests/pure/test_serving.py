"""``spark-fs serve`` in this process: its formats, its limits, who is told of requests, and how it ends."""

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import pyarrow as pa
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.serving import ServedViews
from spark_fs.base import json_values
from spark_fs.errors import OnlineStoreError, SettingsError
from spark_fs.server import observers
from spark_fs.server.access_log import AccessLog, open_log
from spark_fs.server.guard import Limits
from spark_fs.server.request_facts import RequestFacts
from spark_fs.server.traces import RequestTraces
from spark_fs.server.vector_server import build_vector_app
from spark_fs.server.watchers import RequestEnd
from spark_fs.server.wire_formats import ENCODERS, JSON, MSGPACK

from serving import ROWS, SHOPS, ask, filled, put, served, store, until_closed

ENTRY = {"view": "shops", "entries": [{"shop": "a"}]}
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return filled(store(tmp_path_factory.mktemp("served")))


@pytest.fixture(scope="module")
def port(fs: FeatureStore) -> Iterator[int]:
    with served(build_vector_app(fs)) as found:
        yield found


def ask_raw(port: int, body: bytes, **headers: str) -> tuple[int, str, bytes]:
    """The status, the content type and the bytes of an answer."""
    link = HTTPConnection("127.0.0.1", port, timeout=30)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    link.request("POST", "/v1/feature-vectors", body, names)
    answer = link.getresponse()
    found = answer.status, answer.headers["content-type"], answer.read()
    link.close()
    return found


# -- formats

VALUES = [
    0.5,
    float("nan"),
    float("-inf"),
    2**62,
    True,
    None,
    "ä\0🙂",
    Decimal("1.50"),
    NOON,
    NOON.date(),
    b"\x00\xff",
    [NOON, None, float("inf")],
    {7: Decimal("1.5"), True: b"\xff"},
]


def test_json_has_what_its_rules_say() -> None:
    columns = {f"c{number}": "string" for number in range(len(VALUES))}
    content = json.loads(ENCODERS[JSON](columns, [VALUES, VALUES[:1]]))
    assert content == {
        "features": list(columns),
        "vectors": json_values.to_json([VALUES, VALUES[:1]]),
    }


def test_msgpack_has_numbers_and_bytes_as_they_are_and_all_else_as_json() -> None:
    found = msgpack.unpackb(ENCODERS[MSGPACK]({"c": "string"}, [VALUES]))["vectors"][0]
    assert str(found[1]) == "nan"
    assert found[2] == float("-inf")
    assert found[10] == b"\x00\xff"
    assert found[11] == ["2024-01-01T12:00:00+00:00", None, float("inf")]
    assert found[12] == {"7": "1.5", "True": b"\xff"}
    same = [0, 3, 4, 5, 6, 7, 8, 9]
    assert [found[place] for place in same] == [
        json_values.to_json(VALUES[place]) for place in same
    ]


def test_the_answer_has_the_format_that_is_accepted(port: int) -> None:
    body = json.dumps({"view": "shops", "entries": [{"shop": "b"}, {"shop": "a"}]}).encode()
    status, content_type, text = ask_raw(port, body)
    assert (status, content_type) == (200, JSON)
    wanted = {
        "features": ["n", "price", "ratio", "seen"],
        "vectors": [[2, None, "Infinity", None], [1, None, 0.5, None]],
    }
    assert json.loads(text) == wanted
    status, content_type, packed = ask_raw(port, body, Accept="application/msgpack;q=1, */*")
    assert (status, content_type) == (200, MSGPACK)
    assert msgpack.unpackb(packed)["vectors"] == [
        [2, None, float("inf"), None],
        [1, None, 0.5, None],
    ]
    status, content_type, stream = ask_raw(port, body, Accept=ARROW)
    assert (status, content_type) == (200, ARROW)
    with pa.ipc.open_stream(stream) as reader:
        batches = list(reader)
    assert len(batches) == 1
    assert batches[0].schema == pa.schema(
        {
            "n": pa.int64(),
            "price": pa.decimal128(5, 2),
            "ratio": pa.float64(),
            "seen": pa.timestamp("us", "UTC"),
        }
    )
    assert batches[0].to_pydict()["ratio"] == [float("inf"), 0.5]
    assert ask_raw(port, body, Accept="text/html, */*;q=0.1")[1] == JSON


def test_a_request_may_be_msgpack(port: int) -> None:
    body = {
        "view": "shops",
        "entries": [{"shop": "a"}],
        "passed_features": [{"ratio": float("nan")}],
    }
    status, _, text = ask_raw(port, msgpack.packb(body), Content_Type="application/msgpack")
    assert (status, json.loads(text)["vectors"]) == (200, [[1, None, "NaN", None]])
    for wrong in (
        b"",
        b"\xc1",
        msgpack.packb({"view": "shops"}),
        msgpack.packb({"view": "shops", "entries": [{1: 2}]}),
        msgpack.packb({"view": "shops", "entries": [{"shop": msgpack.ExtType(5, b"x")}]}),
        msgpack.packb({"view": "shops", "entries": [{"shop": {1: [b"\xff"]}}]}),
        b"\x81\xa4view\xa3\xff\xfe\xfd",
        b"\x91" * 5_000,
    ):
        status, _, text = ask_raw(port, wrong, Content_Type="application/msgpack")
        assert status in (400, 422), (wrong, text)
        assert "error" in json.loads(text)


def test_values_are_those_of_the_instant_that_is_named(tmp_path: Path) -> None:
    found = store(tmp_path)
    rows = [{"shop": "a", "at": NOON, "n": 1}]
    types = {"shop": "string", "at": "timestamp", "n": "bigint"}
    group = put(found, "old", types, rows, ["shop"], event_time="at", ttl=timedelta(hours=1))
    found.create_feature_view("old", group.select(["n"]))
    body = {"view": "old", "entries": [{"shop": "a"}]}
    with served(build_vector_app(found)) as port:
        assert ask(port, body)[0] == 404
        assert ask(port, body | {"now": "2024-01-01T12:30:00Z"})[1]["vectors"] == [[1]]
        assert ask(port, body | {"now": "2024-01-01 14:30:00+02:00"})[1]["vectors"] == [[1]]
        assert ask(port, body | {"now": "2024-01-01T13:30:00Z"})[0] == 404
        status, content, _ = ask(port, body | {"now": "soon"})
        assert (status, content["error"]["message"]) == (
            400,
            "now 'soon' does not spell an instant: write it in ISO 8601, as 2024-01-31T12:00:00Z.",
        )
        assert ask(port, body | {"now": 5})[0] == 422


def test_values_come_as_they_are_stored_where_that_is_asked_for(port: int) -> None:
    body = {"view": "halves", "entries": [{"shop": "b"}]}
    transformed = ask(port, body)[1]
    stored = ask(port, body | {"transform": False})[1]
    assert transformed["vectors"] == [[1.0, "Infinity"]]
    assert stored == {"features": ["n", "ratio"], "vectors": [[2, "Infinity"]]}


# -- ids, times and limits


def test_a_request_keeps_its_id_or_is_given_one(port: int) -> None:
    assert ask(port, ENTRY, X_Request_ID="a-1")[2]["x-request-id"] == "a-1"
    assert ask(port, path="/nowhere", X_Request_ID="a-2")[2]["x-request-id"] == "a-2"
    for odd in ("", "with space", "x" * 129, "ü"):
        made = ask(port, ENTRY, X_Request_ID=odd)[2].get_all("x-request-id")
        assert len(made) == 1
        assert len(made[0]) == 32


def test_a_caller_may_wait_for_less(fs: FeatureStore) -> None:
    gate = threading.Event()
    app = build_vector_app(fs)
    with served(app) as port:
        slow = hold_lookups(app, gate)
        began = time.monotonic()
        status, content, headers = ask(port, ENTRY, X_Request_Timeout="0.2")
        assert (status, content["error"]["type"], headers["retry-after"]) == (
            503,
            "AnswerTooSlow",
            "1",
        )
        assert time.monotonic() - began < 10
        gate.set()
        slow()
        assert ask(port, ENTRY, X_Request_Timeout="20")[0] == 200
        for wrong in ("soon", "0", "-1", "nan", "inf", ""):
            status, content, _ = ask(port, ENTRY, X_Request_Timeout=wrong)
            assert (status, content["error"]["type"]) == (400, "TimeoutRefused"), wrong


def hold_lookups(app: Any, gate: threading.Event) -> Any:
    """Let look-ups wait for the gate, until what is returned is called."""
    views: ServedViews = app._app._views
    state = views.get_view("shops")._get_serving_state()
    reader = state.vector_reader._reader
    lookup = reader._lookup

    def wait(*args: Any) -> Any:
        assert gate.wait(20)
        return lookup(*args)

    reader._lookup = wait

    def release() -> None:
        reader._lookup = lookup

    return release


def test_one_address_may_ask_for_so_many_at_once(fs: FeatureStore) -> None:
    limits = Limits(max_open_per_caller=1, ask_seconds=5)
    with served(build_vector_app(fs, limits=limits), limits) as port:
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(
                b"POST /v1/feature-vectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
            )
            time.sleep(0.3)
            status, content, headers = ask(port, ENTRY)
            assert (status, content["error"]["type"], headers["retry-after"]) == (
                429,
                "TooManyOfCaller",
                "1",
            )
        time.sleep(0.3)
        assert ask(port, ENTRY)[0] == 200


def test_a_busy_server_is_alive(fs: FeatureStore) -> None:
    """A probe of its life is answered while no other request is let in."""
    limits = Limits(max_open=1, max_open_per_caller=1, ask_seconds=5)
    with (
        served(build_vector_app(fs, limits=limits), limits) as port,
        socket.create_connection(("127.0.0.1", port)) as link,
    ):
        link.sendall(
            b"POST /v1/feature-vectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
        )
        time.sleep(0.3)
        assert ask(port, ENTRY)[0] == 429
        assert ask(port, path="/ready")[0] == 429
        assert ask(port, path="/health")[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 400_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 400_000,
        b"GET / HTTP/1.1\r\n" + b"X: x\r\n" * 70_000,
        b"POST /v1/feature-vectors HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:"
        b" chunked\r\n\r\n1\r\n{\r\n0\r\n" + b"X: x\r\n" * 70_000,
    ],
)
def test_a_head_without_an_end_is_not_kept(port: int, head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as link:
        try:
            for first in range(0, len(head), 4_096):
                link.sendall(head[first : first + 4_096])
        except (ConnectionResetError, BrokenPipeError):
            return
        assert until_closed(link, 5)[:12] in (b"HTTP/1.1 400", b"")


def test_a_large_body_is_no_head(fs: FeatureStore) -> None:
    body = ENTRY | {"passed_features": [{"n": 1}], "unknown": "x" * 300_000}
    with served(build_vector_app(fs)) as port:
        assert ask(port, body)[0] == 200


# -- alive, ready, and the end


def test_alive_is_not_ready(fs: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OnlineStoreError("it is away")

    with served(build_vector_app(fs)) as port:
        assert ask(port, path="/ready")[:2] == (200, {"status": "ok"})
        monkeypatch.setattr(fs._stores.online, "check_connection", fail)
        time.sleep(1.1)
        status, content, headers = ask(port, path="/ready")
        assert (status, content["error"]["type"], headers["retry-after"]) == (
            503,
            "OnlineStoreError",
            "1",
        )
        assert ask(port, path="/health")[:2] == (200, {"status": "ok"})


def test_who_is_about_to_end_says_so_and_answers_on(fs: FeatureStore) -> None:
    app = build_vector_app(fs)
    with served(app) as port:
        assert "connection" not in ask(port, ENTRY)[2]
        app.begin_drain()
        status, content, headers = ask(port, path="/ready")
        assert (status, content["error"]["type"]) == (503, "Draining")
        status, _, headers = ask(port, ENTRY)
        assert (status, headers["connection"]) == (200, "close")


def test_a_view_is_warm_before_the_server_is_ready(
    fs: FeatureStore, caplog: pytest.LogCaptureFixture
) -> None:
    views = ServedViews(fs, ["shops"])
    reader = views.get_view("shops")._get_serving_state().vector_reader._reader
    warm = SimpleNamespace(count=0)

    def warm_up() -> None:
        warm.count += 1
        if warm.count == 2:
            raise OnlineStoreError("no table yet")

    reader._lookup = SimpleNamespace(warm_up=warm_up)
    views.warm_up()
    assert warm.count == 1
    views.warm_up()  # one that was never synced keeps nothing else from being served
    assert "Feature view shops:1 cannot be looked up yet: no table yet" in caplog.text


# -- who is told


def test_observers_are_told_of_what_was_served(fs: FeatureStore) -> None:
    told: list[Any] = []
    enough = threading.Event()

    def fail(*_: Any) -> None:
        raise RuntimeError("a sink that is full")

    def note(answer: observers.ServedAnswer) -> None:
        told.append(answer)
        enough.set()

    with served(build_vector_app(fs, observers=[fail, note])) as port:
        body = {"view": "halves", "entries": [{"shop": "b"}], "passed_features": [{"n": 9}]}
        before = datetime.now(UTC)
        assert ask(port, body | {"transform": False})[0] == 200
        assert ask(port, ENTRY | {"entries": [{"shop": "z"}]})[0] == 404
        assert ask(port, body, X_Request_ID="r-1")[0] == 200
        assert enough.wait(20)
    (answer,) = told
    identity = (answer.view, answer.version, answer.training_dataset_version, answer.request_id)
    assert identity == ("halves", 1, None, "r-1")
    assert (answer.entries, answer.passed) == ([{"shop": "b"}], [{"n": 9}])
    assert answer.vectors == [[4.5, float("inf")]]
    assert before <= answer.instant <= datetime.now(UTC)


def test_slow_observers_keep_no_more_than_so_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of answers of a thousand vectors, ten thousand would be many gigabytes."""
    monkeypatch.setattr(observers, "_MAX_WAITING_VALUES", 10)
    goes_on, told, dropped = threading.Event(), [], []
    found = observers.Observers(lambda: dropped.append(1))

    def note(answer: observers.ServedAnswer) -> None:
        assert goes_on.wait(20)
        told.append(len(answer.vectors))

    found.observers.append(note)
    for sizes in ((8, 1), (4, 3, 1)):
        goes_on.clear()
        for size in sizes:
            vectors = [[0, 0]] * size
            found.tell(observers.ServedAnswer("v", 1, None, (), (), vectors, NOON, "r"))
        goes_on.set()
        found.finish()
    assert told == [8, 4, 1]
    assert len(dropped) == 2


def test_a_line_is_logged_of_each_request_without_keys_and_values(fs: FeatureStore) -> None:
    out = io.StringIO()
    trace = "0af7651916cd43dd8448eb211c80319c"
    token = "a-token-of-many-letters"
    with served(build_vector_app(fs, token=token, watchers=[AccessLog(out)])) as port:
        ask(port, ENTRY)
        parent = f"00-{trace}-b7ad6b7169203331-01"
        ask(port, ENTRY, Authorization=f"Bearer {token}", X_Request_ID="r-2", traceparent=parent)
        due = time.monotonic() + 20
        while out.getvalue().count("\n") < 2 and time.monotonic() < due:
            time.sleep(0.02)
    refused, answered = map(json.loads, out.getvalue().splitlines())
    assert (refused["status"], refused["refusal"]) == (401, "TokenRefused")
    assert "view" not in refused
    assert answered.keys() == {
        "time",
        "request_id",
        "trace_id",
        "client",
        "method",
        "path",
        "status",
        "seconds",
        "bytes_in",
        "bytes_out",
        "view",
        "entries",
        "queue_seconds",
        "lookup_seconds",
        "batch_requests",
    }
    assert (answered["request_id"], answered["trace_id"], answered["view"]) == (
        "r-2",
        trace,
        "shops",
    )
    assert (answered["status"], answered["entries"], answered["batch_requests"]) == (200, 1, 1)
    assert token not in out.getvalue()
    assert '"a"' not in out.getvalue()


def test_a_line_is_no_longer_for_a_long_name(fs: FeatureStore) -> None:
    out = io.StringIO()
    with served(build_vector_app(fs, watchers=[AccessLog(out)])) as port:
        assert ask(port, ENTRY | {"view": "x" * 500_000})[0] == 400
        due = time.monotonic() + 20
        while "\n" not in out.getvalue() and time.monotonic() < due:
            time.sleep(0.02)
    assert json.loads(out.getvalue())["status"] == 400
    assert len(out.getvalue()) < 1_000


def test_a_line_has_the_time_of_its_request_whenever_it_is_written() -> None:
    goes_on, out = threading.Event(), io.StringIO()

    class Pipe(io.StringIO):
        def write(self, text: str) -> int:
            assert goes_on.wait(20)
            return out.write(text)

    log = AccessLog(Pipe())
    scope = {"method": "GET", "path": "/health"}
    log.end_request(RequestEnd(scope, RequestFacts("r"), 200, 0.1, 0, 1, ""))
    log.end_request(RequestEnd(scope, RequestFacts("s"), 200, 0.1, 0, 1, ""))
    ended = datetime.now(UTC)
    time.sleep(0.05)
    goes_on.set()
    due = time.monotonic() + 20
    while out.getvalue().count("\n") < 2 and time.monotonic() < due:
        time.sleep(0.01)
    times = [json.loads(line)["time"] for line in out.getvalue().splitlines()]
    assert len(times) == 2
    assert all(datetime.fromisoformat(each) <= ended for each in times)


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"--access-log .*none/x cannot be written: No such file or directory\."
    ):
        open_log(str(tmp_path / "none" / "x"))
    file = tmp_path / "access.log"
    with open_log(str(file)) as log:
        log.write("a line\n")
    assert file.stat().st_mode & 0o777 == 0o600


def test_figures_tell_of_look_ups_queues_and_batches(fs: FeatureStore) -> None:
    with served(build_vector_app(fs)) as port:
        assert ask(port, ENTRY)[0] == 200
        ask(port, ENTRY, X_Request_Timeout="soon")
        time.sleep(0.2)
        text = ask(port, path="/metrics")[1]
    for figure in ("queue_seconds", "lookup_seconds", "batch_requests", "request_seconds"):
        assert f'spark_fs_{figure}_count{{view="shops"}} 1.0' in text
    assert 'spark_fs_batch_requests_sum{view="shops"} 1.0' in text
    assert "spark_fs_open_requests 1.0" in text
    assert 'spark_fs_refused_requests_total{reason="TimeoutRefused"} 1.0' in text


def test_spans_are_parts_of_the_callers_trace(fs: FeatureStore) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace = "0af7651916cd43dd8448eb211c80319c"
    with served(build_vector_app(fs, watchers=[RequestTraces(provider)])) as port:
        ask(port, ENTRY, traceparent=f"00-{trace}-b7ad6b7169203331-01")
        time.sleep(0.2)
    lookup, request = exporter.get_finished_spans()
    assert f"{request.context.trace_id:032x}" == trace
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    assert lookup.parent.span_id == request.context.span_id
    assert request.start_time <= lookup.start_time <= lookup.end_time <= request.end_time
    assert request.attributes["spark_fs.view"] == "shops"
    assert request.attributes["http.response.status_code"] == 200
    assert not any("shop'" in str(value) for value in request.attributes.values())


# -- what is served follows the catalog, and no request waits for it


def test_the_catalog_is_looked_at_before_a_request_has_to(tmp_path: Path) -> None:
    found, now = store(tmp_path), [0.0]
    group = put(found, "shops", SHOPS, ROWS, ["shop"])
    view = found.create_feature_view("shops", group.select(["n"]))
    views = ServedViews(found, max_staleness=5, clock=lambda: now[0])
    first = views.get_ready_view("shops")
    request = views._ready_views.copy().popitem()[0]
    view.delete()
    found.create_feature_view("shops", group.select(["ratio"]))
    now[0] += 3
    assert views.find_ready_view(request) is first
    views.refresh_used(4)
    assert views.find_ready_view(request) is first
    views.refresh_used(3)
    second = views.find_ready_view(request)
    assert second is not None
    assert second.view.serving_columns == ["ratio"]
    now[0] += 3
    views.refresh_used(3)
    now[0] += 5
    views.refresh_used(3)  # nobody asked since
    assert views.find_ready_view(request) is None
