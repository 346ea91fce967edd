"""``spark-fs serve`` in this process: who is let in, what is refused, what is told of an error, and that what is served follows the catalog."""

import base64
import json
import re
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from sqlalchemy import event

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.serving import ServedViews
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.server.authentication import check_exposed, get_host_names, read_token
from spark_fs.server.guard import Limits
from spark_fs.server.sockets import open_socket
from spark_fs.server.vector_server import build_vector_app
from spark_fs.spec.training_dataset import TrainingDatasetSpec

from serving import (
    ROWS,
    SHOPS,
    ask,
    ask_without_end,
    filled,
    put,
    served,
    store,
    told_of_nonsense,
    until_closed,
)

TOKEN = "a-token-of-many-letters"
ENTRY = {"view": "shops", "entries": [{"shop": "a"}]}


@pytest.fixture(scope="module")
def fs(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return filled(store(tmp_path_factory.mktemp("served")))


@pytest.fixture(scope="module")
def port(fs: FeatureStore) -> Iterator[int]:
    with served(build_vector_app(fs, max_entries=5)) as found:
        yield found


# -- kept-alive connections


def test_what_is_accepted_does_not_hold_back_an_answer() -> None:
    own, _ = open_socket("127.0.0.1", 0)
    with own, socket.create_connection(own.getsockname()), own.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_ten_requests_on_one_connection_take_about_as_long_as_on_ten(port: int) -> None:
    def seconds(links: list[HTTPConnection]) -> float:
        began = time.perf_counter()
        for link in links:
            link.request("POST", "/v1/feature-vectors", json.dumps(ENTRY))
            assert link.getresponse().read()
        return time.perf_counter() - began

    def rounds(kept: bool) -> float:
        found = []
        for _ in range(5):
            one = HTTPConnection("127.0.0.1", port)
            links = [one] * 10 if kept else [HTTPConnection("127.0.0.1", port) for _ in range(10)]
            found.append(seconds(links))
            for link in links:
                link.close()
        return min(found)

    rounds(True)
    assert rounds(True) < 10 * rounds(
        False
    )  # seventy times as long where each answer waits for an acknowledgement


# -- who is let in


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:80", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:80", 200),
        ("192.0.2.7", 200),
        ("shop.example", 200),
        ("evil.example", 400),
        ("evil.example:8080", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost.evil.example", 400),
        ("evil.example, localhost", 400),
        ("", 400),
    ],
)
def test_it_answers_to_its_own_names(fs: FeatureStore, host: str, status: int) -> None:
    with served(
        build_vector_app(fs, names=get_host_names("127.0.0.1", ["Shop.example:8080"]))
    ) as port:
        assert ask(port, ENTRY, Host=host)[0] == status


def test_without_the_token_nobody_is_let_in(fs: FeatureStore) -> None:
    def basic(text: str) -> str:
        return f"Basic {base64.b64encode(text.encode()).decode()}"

    with served(build_vector_app(fs, token=TOKEN)) as port:
        for right in (
            f"Bearer {TOKEN}",
            f"bearer {TOKEN}",
            basic(f"anybody:{TOKEN}"),
            basic(f":{TOKEN}"),
        ):
            assert ask(port, ENTRY, Authorization=right)[0] == 200
        for wrong in (
            "",
            TOKEN,
            "Bearer",
            f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            basic(TOKEN),
            "Basic !!",
            basic(f"{TOKEN}:"),
            "Digest x",
            f"Bearer {'x' * 8_000}",
        ):
            for path in ("/v1/feature-vectors", "/metrics", "/docs", "/openapi.json", "/nowhere"):
                status, found, headers = ask(
                    port,
                    None if path != "/v1/feature-vectors" else ENTRY,
                    path,
                    Authorization=wrong,
                )
                assert (status, found["error"]["type"]) == (401, "TokenRefused")
                assert [each.split()[0] for each in headers.get_all("www-authenticate")] == [
                    "Bearer",
                    "Basic",
                ]
        assert ask(port, path="/health")[0] == 200
        assert ask(port, path="/ready")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.7", "example.com"])
def test_beyond_this_machine_it_asks_for_a_token(host: str) -> None:
    with pytest.raises(
        SettingsError,
        match=(
            r"lets other machines in, and nobody would be asked for a token\. Set SPARK_FS_TOKEN or"
            r" --token-file"
        ),
    ):
        check_exposed(host, "", insecure=False)
    check_exposed(host, TOKEN, insecure=False)
    check_exposed(host, "", insecure=True)
    for own in ("localhost", "127.0.0.1", "127.8.8.8", "::1"):
        check_exposed(own, "", insecure=False)


def test_a_token_is_read_from_its_file_or_the_settings_and_is_no_short_one(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token("", None) == ""
    assert read_token(TOKEN, None) == TOKEN
    assert read_token("another-token-of-many", file) == TOKEN
    for poor in ("short", "with spaces in the middle", "ünïcödé-ünïcödé-ünï", ""):
        file.write_text(poor)
        with pytest.raises(
            SettingsError,
            match="is not a token of 16 ASCII characters or more without spaces: make one by: python",
        ) as refused:
            read_token("", file)
        assert not poor or poor not in str(refused.value)
    with pytest.raises(
        SettingsError,
        match=(
            r"Token file .*none cannot be read: No such file or directory\. Name a file that holds"
            r" the token"
        ),
    ):
        read_token("", tmp_path / "none")


# -- what is too much


def test_a_request_is_refused_by_its_size_before_anything_else_is_looked_at(port: int) -> None:
    for name in ("entries", "passed_features"):
        status, found, _ = ask(port, {"view": "shops", "entries": [{}], name: [7] * 6})
        assert (status, found["error"]["message"]) == (
            400,
            f"6 {name} are more than the 5 of a request: ask in parts.",
        )


def test_an_error_is_short_however_long_the_request_was(fs: FeatureStore) -> None:
    with served(build_vector_app(fs, max_entries=1_000_000)) as port:
        status, found, _ = ask(port, {"view": "shops", "entries": [7] * 100_000})
        assert status == 422
        assert found["error"]["message"].endswith("; and 99,995 more. See /docs.")
        for wrong in (
            {"entries": [{"shop": "a", "x" * 500_000: 1}]},
            {"entries": [{"shop": "y" * 500_000}]},
            {"view": "v" * 500_000, "entries": [{}]},
            {"passed_features": [{"n" * 500_000: 1}]},
        ):
            status, found, _ = ask(port, ENTRY | wrong)
            assert 400 <= status < 500
            assert len(found["error"]["message"]) < 2_100


def test_a_large_body_is_refused_declared_or_not(fs: FeatureStore) -> None:
    with served(build_vector_app(fs, max_bytes=1_000)) as port:
        assert ask(port, b"x" * 1_001)[0] == 413
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(
                b"POST /v1/feature-vectors HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:"
                b" chunked\r\n\r\n" + b"400\r\n" + b"x" * 1_024 + b"\r\n"
            )
            assert link.recv(100).startswith(b"HTTP/1.1 413")


def test_the_event_loop_goes_on_while_a_large_request_is_looked_at(fs: FeatureStore) -> None:
    """A request that takes long to read keeps none other waiting for as long."""
    large = json.dumps({"view": "shops", "entries": [{"shop": "a", "b": [7] * 400_000}]}).encode()
    with served(build_vector_app(fs, max_bytes=1 << 24), Limits(1 << 24)) as port:
        ask(port, ENTRY)
        stop, done = threading.Event(), []

        def ask_on() -> None:
            while not stop.is_set():
                began = time.perf_counter()
                assert ask(port, large)[0] == 404
                done.append(time.perf_counter() - began)

        thread = threading.Thread(target=ask_on)
        thread.start()
        waits = []
        while len(done) < 5:
            began = time.perf_counter()
            ask(port, path="/nowhere")
            waits.append(time.perf_counter() - began)
        stop.set()
        thread.join()
        assert statistics.median(waits) < statistics.median(done)


def test_as_many_requests_are_open_as_may_be(fs: FeatureStore) -> None:
    limits = Limits(max_open=2, ask_seconds=5)
    with served(build_vector_app(fs, limits=limits), limits) as port:
        head = (
            b"POST /v1/feature-vectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
        )
        links = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for link in links:
            link.sendall(head)
        time.sleep(0.3)
        status, found, headers = ask(port, ENTRY)
        assert (status, found["error"]["type"], headers["retry-after"]) == (
            503,
            "TooManyRequests",
            "1",
        )
        for link in links:
            link.close()
        time.sleep(0.3)
        assert ask(port, ENTRY)[0] == 200


def test_as_many_connections_are_kept_as_may_be(fs: FeatureStore) -> None:
    limits = Limits(max_open=1)
    with served(build_vector_app(fs, limits=limits), limits) as port:
        links = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        time.sleep(0.3)
        with socket.create_connection(("127.0.0.1", port)) as link:
            assert until_closed(link, 5).startswith(
                b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
            )
        for link in links:
            link.close()
        time.sleep(0.3)
        assert ask(port, ENTRY)[0] == 200


def test_who_takes_no_answer_is_ended(fs: FeatureStore) -> None:
    limits = Limits(ask_seconds=0.3, answer_seconds=0.3, idle_seconds=0)
    with (
        served(build_vector_app(fs, limits=limits), limits) as port,
        socket.create_connection(("127.0.0.1", port)) as link,
    ):
        link.setblocking(False)
        with pytest.raises((ConnectionResetError, BrokenPipeError), match=r"reset|Broken pipe"):
            ask_without_end(link, 10)


def test_who_is_slow_to_ask_is_ended(fs: FeatureStore) -> None:
    limits = Limits(ask_seconds=0.3, answer_seconds=0.3, idle_seconds=0)
    with served(build_vector_app(fs, limits=limits), limits) as port:
        with socket.create_connection(("127.0.0.1", port)) as link:
            link.sendall(
                b"POST /v1/feature-vectors HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
                b" 100\r\n\r\n{"
            )
            said = until_closed(link, 5)
            assert said.startswith(b"HTTP/1.1 408")
            assert b"did not come whole within 0.3 seconds" in said
        for part in (
            b"",
            b"POST /v1/feat",
            b"POST /v1/feature-vectors HTTP/1.1\r\nHost: localhost\r\nX: ",
        ):  # not even its head
            with socket.create_connection(("127.0.0.1", port)) as link:
                link.sendall(part)
                until_closed(link, 5)


def test_an_answer_that_takes_too_long_is_not_waited_for(
    fs: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(
        fs._stores.online, "check_connection", lambda: ended.wait(20)
    )  # a database that does not answer
    limits = Limits(answer_seconds=0.3)
    with served(build_vector_app(fs, limits=limits), limits) as port:
        status, found, headers = ask(port, path="/ready")
        assert (status, found["error"]["type"], headers["retry-after"]) == (
            503,
            "AnswerTooSlow",
            "1",
        )
        assert ask(port, ENTRY)[0] == 200
        ended.set()


# -- what is told


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/nowhere", None, 404),
        ("/v1/feature-vectors", None, 405),
        ("/health", {}, 405),
        ("/%00%ff", None, 404),
    ],
)
def test_what_is_not_there_is_told_as_any_error(
    port: int, path: str, body: object, status: int
) -> None:
    found = ask(port, body, path)
    assert (found[0], found[1]["error"]["type"]) == (status, "RequestNotKnown")


def test_figures_name_the_views_that_are_there_alone(port: int) -> None:
    for made_up in ("made_up", "Made Up", "\ud800", "x" * 1_000, 7):
        for entries in ([{}], [{}] * 6, 7):
            assert 400 <= ask(port, {"view": made_up, "entries": entries})[0] < 500
    assert ask(port, ENTRY)[0] == 200
    status, text, _ = ask(port, path="/metrics")
    assert status == 200
    assert set(re.findall(r'view="([^"]*)"', text)) <= {
        "shops",
        "prices",
        "halves",
        "roots",
        "keyed",
        "unknown",
    }
    assert float(re.findall(r'requests_total{status="404",view="unknown"} (\S+)', text)[0]) >= 1


def test_only_the_views_that_are_named_are_handed_out(fs: FeatureStore) -> None:
    with served(build_vector_app(fs, views=["shops:1"])) as port:
        assert ask(port, ENTRY)[0] == 200
        status, found, _ = ask(port, ENTRY | {"view": "prices"})
        assert (status, found["error"]["message"]) == (
            404,
            (
                "Feature view 'prices' does not exist; there are: shops. Ask for one that is served"
                " here."
            ),
        )
        assert ask(port, ENTRY | {"version": 2})[0] == 404
    for wrong in ("shops:x", "shops:1:1:1", "", ":", "shops:-1"):
        with pytest.raises(
            SettingsError,
            match=(
                r"--view '.*' is not a view: write name, name:version or"
                r" name:version:training-dataset\."
            ),
        ):
            build_vector_app(fs, views=[wrong])
    with pytest.raises(NotFoundError, match="Feature view 'nope' does not exist"):
        build_vector_app(fs, views=["nope"])


def test_an_error_tells_no_host_no_user_and_no_value_that_is_dropped(
    fs: FeatureStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(build_vector_app(fs)) as port:
        status, found, _ = ask(port, {"view": "roots", "entries": [{"shop": "a"}]})
        assert (status, found["error"]["type"]) == (500, "SparkFSError")
        status, found, _ = ask(
            port, {"view": "roots", "entries": [{"shop": "a"}], "passed_features": [{"n": 5}]}
        )
        assert status == 400
        assert (
            found["error"]["message"]
            == "A transformation of feature view 'roots' failed for a passed feature: pass what it"
            " takes."
        )
        assert "0.5" not in json.dumps(found)
    assert "ratio=0.5" in caplog.text  # which is for who runs it
    away = spark_fs.login(
        {
            "home": fs._stores.settings.home,
            "online_url": "mysql://reader:hunter2hunter2@127.0.0.1:1/features?connect_timeout=1",
        }
    ).get_feature_store()
    with served(build_vector_app(away)) as port:
        for path, body in (("/v1/feature-vectors", ENTRY), ("/ready", None)):
            status, found, _ = ask(port, body, path)
            assert (status, found["error"]["type"]) == (503, "OnlineStoreError")
            assert not re.search(
                "127.0.0.1|reader|hunter2|features|:1",
                found["error"]["message"].replace("feature vectors", ""),
            )
        caplog.clear()


def test_an_unknown_view_is_looked_for_by_its_name_alone_and_once(fs: FeatureStore) -> None:
    views = ServedViews(fs)
    asked: list[str] = []
    engine = fs._stores.catalog._access.engine
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    for _ in range(3):
        with pytest.raises(
            NotFoundError, match=r"Feature view 'shosp' does not exist; did you mean 'shops'\?"
        ):
            views.get_view("shosp")
    assert 0 < len(asked) <= 3
    assert not any("definition" in statement for statement in asked)
    for number in range(1_500):
        with pytest.raises(NotFoundError, match="does not exist"):
            views.get_view(f"made_up_{number}")
    assert len(views._absent) <= 1_000


# -- what is served follows the catalog


def test_a_view_that_is_made_anew_is_served_as_it_is_now(tmp_path: Path) -> None:
    fs, now = store(tmp_path), [0.0]
    group = put(fs, "shops", SHOPS, ROWS, ["shop"])
    views = ServedViews(fs, max_staleness=5, clock=lambda: now[0])
    with pytest.raises(NotFoundError, match="'late' does not exist"):
        views.get_view("late")
    view = fs.create_feature_view("late", group.select(["n"]))
    now[0] += 5
    held = views.get_view("late")
    assert held.serving_columns == ["n"]
    now[0] += 5
    assert views.get_view("late") is held  # nothing changed
    view.delete()
    fs.create_feature_view("late", group.select(["ratio", "n"]))
    assert views.get_view("late") is held  # for some seconds
    now[0] += 5
    assert views.get_view("late").get_feature_vector({"shop": "a"}) == [0.5, 1]
    fs.get_feature_view("late", 1).delete()
    now[0] += 5
    with pytest.raises(NotFoundError, match="'late' does not exist"):
        views.get_view("late")


def test_a_second_training_dataset_changes_nothing_for_who_names_none(tmp_path: Path) -> None:
    fs, now = store(tmp_path), [0.0]
    group = put(fs, "shops", SHOPS, ROWS, ["shop"])
    scaled = {"n": fs.get_transformation_function("min_max_scaler")}
    view = fs.create_feature_view("scaled", group.select(["n"]), transformation_functions=scaled)

    def train(high: float) -> int:
        learned = {"transformation": {}, "state": {"min": 0.0, "max": high}}
        return fs._stores.catalog.reserve_training_dataset(
            view._spec,
            lambda n: TrainingDatasetSpec(n, transformations=(learned,), state="finished"),
        ).version

    views = (
        ServedViews(fs, ["scaled"], max_staleness=5, clock=lambda: now[0])
        if train(10.0) == 1
        else None
    )
    assert views
    assert views.get_view("scaled").get_feature_vector({"shop": "a"}) == [0.1]
    assert train(100.0) == 2
    now[0] += 5
    assert views.get_view("scaled").get_feature_vector({"shop": "a"}) == [0.1]
    assert views.get_view("scaled", 1, 2).get_feature_vector({"shop": "a"}) == [0.01]
    with pytest.raises(
        NotFoundError,
        match="Training dataset of feature view 'scaled' has no version 3: it has 1, 2",
    ):
        views.get_view("scaled", 1, 3)
    only = ServedViews(fs, ["scaled:1:2"])
    assert only.get_view("scaled").get_feature_vector({"shop": "a"}) == [0.01]
    with pytest.raises(
        NotFoundError, match="Training dataset of feature view 'scaled' has no version 1: it has 2"
    ):
        only.get_view("scaled", 1, 1)
    with pytest.raises(
        SettingsError, match=r"training_dataset_version is missing \(there are: 1, 2\)"
    ):
        ServedViews(fs).get_view("scaled")


def test_it_is_served_on_where_the_catalog_gives_no_answer(tmp_path: Path) -> None:
    fs, now = store(tmp_path), [0.0]
    fs.create_feature_view("shops", put(fs, "shops", SHOPS, ROWS, ["shop"]).select(["n"]))
    views = ServedViews(fs, max_staleness=5, clock=lambda: now[0])
    held = views.get_view("shops")
    (tmp_path / "catalog.db").rename(tmp_path / "away.db")
    fs._stores.catalog._access.engine.dispose()
    now[0] += 5
    assert views.get_view("shops") is held
    (tmp_path / "away.db").rename(tmp_path / "catalog.db")


# -- nonsense


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_nonsense_is_a_mistake_of_the_caller(port: int, seed: int) -> None:
    told = told_of_nonsense(port, 3_000 if seed == 1 else 20_000, seed)
    assert min(told[2], told[4]) > 100
