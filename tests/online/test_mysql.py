"""What holds of MySQL and MariaDB alone: connections, secrets, how values reach the server, and how tables lie there."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from test_sync import rows

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import NotFoundError, OnlineRefusedError, OnlineStoreError, SettingsError
from spark_fs.flows.latest_rows import LatestRows
from spark_fs.flows.sync import _LatestRowsLoader, make_origin
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.registry import make_writer
from spark_fs.online.store import StagingTables
from spark_fs.online.table_layout import build_online_table

from conftest import SERVERS, at, connected, online_store

pytestmark = pytest.mark.skipif(not SERVERS, reason="no server is up: make mysql-up")


@pytest.fixture(scope="module", params=SERVERS or ["mysql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fs(
    kind: str, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureStore]:
    with online_store(kind, tmp_path_factory.mktemp("mysql")) as found:
        group = found.create_feature_group(
            "clicks", primary_key=["k"], event_time="at", online_enabled=True
        )
        group.insert(rows((1, "01-01", 10), (2, "01-01", 20)))
        group.sync_online()
        found.create_feature_view("clicks", group.select_features())
        yield found


def reopened(fs: FeatureStore, **settings: str) -> FeatureView:
    """The view in a store of other settings."""
    url = fs._stores.settings.online_url.get_secret_value()
    given = {
        "home": str(fs._stores.settings.home),
        "online_url": url + settings.pop("options", ""),
        **settings,
    }
    return spark_fs.login(given).get_feature_store().get_feature_view("clicks", 1)


def test_a_password_may_come_from_its_own_setting(
    fs: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fs._stores.settings.online_url.get_secret_value()
    bare = url.replace(f":{urlsplit(url).password}@", "@")
    monkeypatch.setenv("SPARK_FS_ONLINE_PASSWORD", str(urlsplit(url).password))
    assert reopened(fs, online_url=bare).get_feature_vector({"k": 1}) == [10]
    monkeypatch.setenv("SPARK_FS_ONLINE_PASSWORD", "wrong-secret")
    with pytest.raises(
        OnlineRefusedError,
        match=(
            r"refused user 'spark_fs' \(1045\): correct the user or the password in online_url or"
            r" SPARK_FS_ONLINE_PASSWORD"
        ),
    ) as raised:
        reopened(fs, online_url=bare).get_feature_vector({"k": 1})
    assert "wrong-secret" not in repr(raised.value)
    assert not raised.value.retryable


def test_a_password_is_in_no_repr_and_no_plan(
    fs: FeatureStore, capfd: pytest.CaptureFixture[str]
) -> None:
    store = MySQLStore("mysql://me:hidden-secret@127.0.0.1:1/db")
    table = build_online_table(fs.get_feature_group("clicks", 1).spec, store.capabilities)
    write = make_writer(store)
    frame = fs._stores.spark.range(3).selectExpr("id AS k", "timestamp_millis(0) AS at", "id AS v")
    latest = LatestRows.from_changes(
        fs.get_feature_group("clicks", 1).spec,
        frame.selectExpr("*", "timestamp_millis(0) AS _ingested_at", "0L AS _commit_version"),
        3,
    )
    with pytest.raises(Exception, match=r"127.0.0.1:1/db failed") as raised:
        latest.map_to_tuples(
            _LatestRowsLoader(write, table, StagingTables("p_", True), None),
            {"written": "bigint", "expired": "bigint"},
        )
    plan = (
        frame.mapInArrow(
            _LatestRowsLoader(write, table, StagingTables("p_", True), None), "written bigint"
        )
        ._jdf.queryExecution()
        .toString()
    )
    printed = capfd.readouterr()
    for text in (
        repr(store),
        str(store),
        repr(write),
        repr(vars(fs._stores)),
        plan,
        str(raised.value),
        repr(raised.value),
        printed.out,
        printed.err,
    ):
        assert "hidden-secret" not in text


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (
            "?pool=3",
            NotFoundError,
            "Option of online_url 'pool' does not exist; did you mean 'pool_size'?",
        ),
        (
            "?pool_size=many",
            SettingsError,
            "Option pool_size='many' of online_url is not a number: give one, such as pool_size=10",
        ),
        ("?ssl_ca=/no/such/file.pem", OnlineStoreError, "failed|offers no TLS"),
    ],
)
def test_options_of_the_url_are_checked(
    fs: FeatureStore, options: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        reopened(fs, options=options).get_feature_vector({"k": 1})


@pytest.mark.slow
def test_threads_wait_for_a_connection_and_are_told_when_none_comes(fs: FeatureStore) -> None:
    view = reopened(fs, options="?pool_size=2&read_timeout=1")
    view.init_serving()
    with ThreadPoolExecutor(20) as pool:
        assert (
            list(pool.map(lambda _: view.get_feature_vector({"k": 1}), range(200))) == [[10]] * 200
        )
    store: Any = view._stores.online
    with ThreadPoolExecutor(3) as pool:
        asked = [
            pool.submit(store.run_query, lambda _: ("SELECT SLEEP(0.8)", ())) for _ in range(2)
        ]
        time.sleep(0.1)
        assert view.get_feature_vector({"k": 1}) == [10]  # it waited for one of the two
        assert [each.result() for each in asked] == [[(0,)], [(0,)]]
    assert [store._pool._slots.acquire_slot(0) for _ in range(3)] == [True, True, False]
    with pytest.raises(
        OnlineStoreError,
        match=(
            r"All 2 connections to the online store .* were in use for 1 s: let fewer threads ask"
            r" at once, or raise pool_size"
        ),
    ):
        view.get_feature_vector({"k": 1})


def test_an_answer_that_does_not_come_in_time_is_an_error_and_asked_for_once(
    fs: FeatureStore,
) -> None:
    store: Any = reopened(fs, options="?read_timeout=1")._stores.online
    store.check_connection()
    began = time.monotonic()
    with pytest.raises(
        OnlineStoreError,
        match=r"gave no answer \(2013\): .* It was restarted, or took longer than read_timeout",
    ):
        store.run_query(lambda _: ("SELECT SLEEP(3)", ()))
    assert time.monotonic() - began < 1.9  # a second try would take as long again
    store.check_connection()


def test_a_connection_that_the_server_dropped_is_made_anew(fs: FeatureStore) -> None:
    view = reopened(fs)
    assert view.get_feature_vector({"k": 1}) == [10]
    with fs._stores.online.transaction() as cursor:  # type: ignore[attr-defined] # it is MySQL's
        cursor.execute(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <>"
            " CONNECTION_ID()"
        )
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")
    assert view.get_feature_vector({"k": 2}) == [20]


def _in_a_child(view: FeatureView, found: Any) -> None:
    found.put(view.get_feature_vector({"k": 2}))


def test_a_forked_process_speaks_on_connections_of_its_own(fs: FeatureStore) -> None:
    view = reopened(fs)
    assert view.get_feature_vector({"k": 1}) == [10]
    fork = multiprocessing.get_context("fork")
    found = fork.SimpleQueue()
    children = [fork.Process(target=_in_a_child, args=(view, found)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [found.get() for _ in children] == [[20]] * 3
    assert view.get_feature_vector({"k": 1}) == [10]


def test_the_driver_in_pure_python_gives_the_same(fs: FeatureStore) -> None:
    view = reopened(fs)
    view._stores.online._connect_options["use_pure"] = True  # type: ignore[attr-defined] # as where its extension is not to be had
    assert view.get_feature_vector({"k": 1}) == [10]
    assert view.get_feature_vectors([{"k": 2}, {"k": 1}]) == [[20], [10]]


@contextmanager
def global_variable(kind: str, name: str, value: str) -> Iterator[None]:
    with connected(kind) as cursor:
        cursor.execute(f"SET GLOBAL {name} = {value}")
        try:
            yield
        finally:
            cursor.execute(f"SET GLOBAL {name} = DEFAULT")


def test_where_local_files_are_forbidden_rows_are_inserted(fs: FeatureStore, kind: str) -> None:
    group = fs.create_feature_group("forbidden", primary_key=["k"], online_enabled=True)
    hard = ["it's", "tab\t", "\\N", "back\\slash", "🙂", "%s", "NULL", ""]
    group.insert(
        pa.table(
            {
                "k": hard,
                "raw": [text.encode() for text in hard],
                "tags": [[text] for text in hard],
                "x": [0.1, None, 1e300, 5e-324, 1e-7, -1.5, 0.0, 1e15],
            }
        )
    )
    with global_variable(kind, "local_infile", "OFF"):
        assert group.sync_online().summary["written"] == len(hard)
    assert group.verify_online().ok


def test_tables_are_typed_and_keyed_as_documented(fs: FeatureStore, kind: str) -> None:
    group = fs.create_feature_group(
        "shaped", primary_key=["b", "a"], event_time="at", online_enabled=True, ttl=10**10
    )
    group.insert(
        pd.DataFrame(
            {
                "a": ["x" * 99],
                "b": [1],
                "at": at("01-01"),
                "s": ["y" * 100],
                "long": ["z" * 4001],
                "flag": [True],
                "raw": [b"1"],
                "n": pd.array([1], "int8"),
            }
        )
    )
    group.sync_online()
    with fs._stores.online.transaction() as cursor:  # type: ignore[attr-defined] # it is MySQL's
        cursor.execute("SHOW CREATE TABLE shaped_1")
        ((_, text),) = cursor.fetchall()
    # MySQL shows no display width of integers, and each server has its own name of a binary collation without padding.
    widths, collation = {
        "mysql": (("(20)", "(4)"), "utf8mb4_nopad_bin"),
        "mysql9": (("", ""), "utf8mb4_0900_bin"),
    }[kind]
    for line in (
        "`a` varchar(100) ",
        f"`b` bigint{widths[0]} NOT NULL",
        "`at` datetime(6)",
        "`s` varchar(200) ",
        "`long` longtext",
        "`flag` tinyint(1)",
        "`raw` varbinary(100)",
        f"`n` tinyint{widths[1]}",
        "PRIMARY KEY (`b`,`a`)",
        f"COLLATE={collation}",
        "KEY `_ttl` (`at`)",
    ):
        assert line in text, line


def test_what_a_killed_run_left_is_swept(fs: FeatureStore) -> None:
    group = fs.get_feature_group("clicks", 1)
    table = build_online_table(group.spec, fs._stores.online.capabilities)
    with make_writer(fs._stores.online).open_session(table, make_origin(group.location)) as session:
        session.begin_staging(full_refresh=True)
        session.clean_up = lambda: None  # type: ignore[method-assign] # as if it had been killed here
    assert len(run_tables(fs)) == 1
    group.insert(rows((1, "01-02", 10)))
    group.sync_online()
    assert run_tables(fs) == []


def run_tables(fs: FeatureStore) -> list[str]:
    with fs._stores.online.transaction() as cursor:  # type: ignore[attr-defined] # it is MySQL's
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND"
            " table_name LIKE '\\_run\\_%'"
        )
        return [name for (name,) in cursor.fetchall()]


def test_no_file_of_rows_is_left_behind(fs: FeatureStore) -> None:
    fs.sync_online(full=True)
    temporary = Path(os.environ.get("TMPDIR", "/tmp"))
    assert not list(temporary.glob("spark_fs-*/rows.tsv"))
