"""What ``spark-fs serve --log-served`` keeps: the vectors that callers got, with a count of each outcome; no caller is kept waiting."""

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import SparkFSError
from spark_fs.flows.served_log import LOGGER
from spark_fs.server.observers import ServedAnswer
from spark_fs.server.served_observer import LogObserver
from spark_fs.server.vector_server import build_vector_app

from serving import ask, put, root, served, store

TYPES = {"shop": "string", "n": "bigint", "ratio": "double"}
ROWS = [{"shop": "a", "n": 1, "ratio": 26.0}, {"shop": "b", "n": 2, "ratio": float("inf")}]


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    fs = store(tmp_path)
    put(fs, "shops", TYPES, ROWS, ["shop"])
    return fs


@pytest.fixture
def view(fs: FeatureStore) -> FeatureView:
    query = fs.get_feature_group("shops", 1).select(["n", "ratio"])
    return fs.create_feature_view("shops", query, transformation_functions=[root("ratio", "n")])


def request(*shops: str, **others: object) -> dict[str, object]:
    return {"view": "shops", "entries": [{"shop": shop} for shop in shops], **others}


def test_what_callers_got_is_logged_under_their_requests(
    fs: FeatureStore, view: FeatureView
) -> None:
    before = datetime.now(UTC)
    with served(build_vector_app(fs, log_served=1.0)) as port:
        status, answer, _ = ask(port, request("a", "b"), X_Request_ID="first")
        assert status == 200
        passed = [{"n": 7}]
        assert ask(port, request("a", passed_features=passed), X_Request_ID="second")[0] == 200
        assert ask(port, request("absent"))[0] == 404
        assert ask(port, request("a", transform=False))[0] == 200  # no vector of a model
    log = view.read_log(before)
    assert log["request_id"].tolist() == ["first", "first", "second"]
    assert log["shop"].tolist() == ["a", "b", "a"]
    assert log["n"].tolist() == [1, 2, 7]
    assert log["request_parameters"].tolist() == ["{}", "{}", '{"n": 7}']
    (name,) = set(answer["features"]) - {"n"}
    assert log[name].tolist() == [4.0, float("inf"), 4.0]
    assert log["log_time"].between(before, datetime.now(UTC)).all()


def test_outcomes_are_counted_for_prometheus(fs: FeatureStore, view: FeatureView) -> None:
    del view
    with served(build_vector_app(fs, log_served=1.0)) as port:
        ask(port, request("a", "b"))
        for _ in range(200):
            figures = ask(port, path="/metrics")[1]
            if 'spark_fs_served_log_vectors_total{outcome="logged"} 2.0' in figures:
                return
            time.sleep(0.1)
    raise AssertionError(figures)


def test_a_paused_view_is_not_logged(fs: FeatureStore, view: FeatureView) -> None:
    view.pause_logging()
    assert view.logging_paused
    with served(build_vector_app(fs, log_served=1.0)) as port:
        assert ask(port, request("a"))[0] == 200
    assert view.read_log().empty
    view.resume_logging()
    with served(build_vector_app(fs, log_served=1.0)) as port:
        assert ask(port, request("a"))[0] == 200
    assert len(view.read_log()) == 1


def test_callers_are_served_where_nothing_can_be_logged(
    fs: FeatureStore, view: FeatureView, tmp_path: Path
) -> None:
    (tmp_path / "served_log").write_text("a file where the folder would be")
    with served(build_vector_app(fs, log_served=1.0)) as port:
        statuses: list[int] = []

        def ask_often() -> None:
            for _ in range(20):
                statuses.append(ask(port, request("a", "b"))[0])

        threads = [threading.Thread(target=ask_often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 80
    (tmp_path / "served_log").unlink()
    assert view.read_log().empty


def test_without_the_option_nothing_is_logged(fs: FeatureStore, view: FeatureView) -> None:
    with served(build_vector_app(fs)) as port:
        assert ask(port, request("a"))[0] == 200
    assert not view.has_log


def test_a_catalog_that_is_away_is_told_once_and_its_vectors_are_counted(
    fs: FeatureStore, view: FeatureView, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[tuple[str, int]] = []
    warnings: list[str] = []
    observer = LogObserver(fs, 1.0, lambda *each: counts.append(each))

    def fail(*_: object) -> None:
        raise SparkFSError("the catalog is away")

    monkeypatch.setattr(type(fs._stores.catalog), "get_view", fail)
    monkeypatch.setattr(LOGGER, "warning", lambda text, *rest: warnings.append(text % rest))
    for _ in range(3):
        at = datetime.now(UTC)
        observer(ServedAnswer(view.name, 1, None, [{"shop": "a"}], [{}], [[1, 4.0]], at, "r"))
    observer.close()
    assert counts == [("dropped_error", 1)] * 3
    assert warnings == [
        "What is served cannot be logged now, and is served on: the catalog is away"
    ]
