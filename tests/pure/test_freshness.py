"""How old what is served is: over a store that a release left, without a JVM."""

import json
import logging
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from releases.unpack import unpack

import spark_fs
from spark_fs import cli
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import SettingsError
from spark_fs.flows.measure_freshness import read_served_times
from spark_fs.online.mysql import synced_tables
from spark_fs.online.mysql.store import MySQLStore
from spark_fs.online.registry import open_store
from spark_fs.online.sqlite.store import SQLiteStore
from spark_fs.online.store import SyncState
from spark_fs.online.table_layout import build_online_table
from spark_fs.report.group_page import render_group_page
from spark_fs.report.store_pages import render_home_page
from spark_fs.server import freshness_metrics
from spark_fs.server.vector_server import build_vector_app
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.spec.freshness import Bounds, Freshness, find_exceeded_bounds

from conftest import ROOT, SERVERS, at, connected, new_database

NEWEST = datetime(2024, 1, 21, tzinfo=UTC)  # of the cards of the release's store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", tmp_path)
    return tmp_path


@pytest.fixture
def store(home: Path) -> FeatureStore:
    return spark_fs.login({"home": home}).get_feature_store()


def read_commit_time(home: Path) -> datetime:
    log = home / "warehouse" / "cards_1" / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    (millis,) = [
        action["commitInfo"]["inCommitTimestamp"] for action in actions if "commitInfo" in action
    ]
    return datetime.fromtimestamp(millis / 1000, UTC)


def add_commit(home: Path, operation: str, when: datetime) -> None:
    """Let the log of the cards end with one more commit, which holds no file."""
    folder = home / "warehouse" / "cards_1" / "_delta_log"
    number = len(list(folder.glob("*.json")))
    millis = int(when.timestamp() * 1000)
    info = {"timestamp": millis, "inCommitTimestamp": millis, "operation": operation}
    info |= {"operationParameters": {}, "operationMetrics": {}}
    (folder / f"{number:020d}.json").write_text(json.dumps({"commitInfo": info}) + "\n")


def query(home: Path, statement: str) -> Any:
    with closing(sqlite3.connect(home / "online.db")) as connection, connection:
        return connection.execute(statement).fetchone()


def test_the_times_are_those_of_the_rows_the_commit_and_the_sync(
    home: Path, store: FeatureStore
) -> None:
    found = store.get_feature_group("cards", 1).get_freshness(at("01-21 03:00"))
    (synced_at,) = query(home, "SELECT synced_at FROM _spark_fs_synced WHERE name = 'cards_1'")
    assert (found.event_time, found.age) == (NEWEST, timedelta(hours=3))
    assert found.ingested_at == read_commit_time(home)
    assert found.synced_at == datetime.fromisoformat(synced_at).replace(tzinfo=UTC)
    assert (found.waiting_since, found.sync_lag) == (None, timedelta(0))
    assert str(found) == (
        "freshness cards_1: age of the newest event 3.0 h; all commits are online"
    )


def test_rows_wait_since_the_first_commit_that_changed_any(home: Path, store: FeatureStore) -> None:
    group = store.get_feature_group("cards", 1)
    written = read_commit_time(home)
    add_commit(home, "VACUUM END", written + timedelta(minutes=1))
    assert group.get_freshness().waiting_since is None
    add_commit(home, "WRITE", written + timedelta(minutes=2))
    add_commit(home, "MERGE", written + timedelta(minutes=3))
    found = group.get_freshness(written + timedelta(minutes=12))
    assert found.waiting_since == written + timedelta(minutes=2)
    assert found.sync_lag == timedelta(minutes=10)
    assert (found.version, found.newest_version) == (0, 3)
    assert "rows have been waiting for a sync for 10 min" in str(found)


def test_what_was_never_synced_is_of_no_age_and_makes_no_file(
    home: Path, store: FeatureStore
) -> None:
    for file in home.glob("online.db*"):
        file.unlink()
    found = store.get_feature_group("cards", 1).get_freshness()
    assert (found.synced_at, found.event_time, found.age) == (None, None, None)
    assert found.waiting_since == read_commit_time(home)
    assert str(found) == "freshness cards_1: nothing is online yet"
    assert not (home / "online.db").exists()


def test_a_group_that_is_not_served_has_no_freshness(store: FeatureStore) -> None:
    with pytest.raises(SettingsError, match=r"payments.* is not online_enabled"):
        store.get_feature_group("payments", 1).get_freshness()


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("bigint", (1_704_067_200, 1_704_070_800), datetime(2024, 1, 1, 1, tzinfo=UTC)),
        ("bigint", (1_704_067_200_500,), datetime(2024, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("date", ("2024-01-02", "2024-01-01"), datetime(2024, 1, 2, tzinfo=UTC)),
        ("timestamp", (), None),
    ],
    ids=["seconds", "milliseconds", "dates", "none"],
)
def test_an_event_time_of_any_type_is_an_instant(
    tmp_path: Path, type_: str, values: tuple[Any, ...], expected: datetime | None
) -> None:
    online = SQLiteStore(str(tmp_path / "online.db"))
    features = (FeatureSpec("k", "bigint"), FeatureSpec("t", type_))
    group = GroupSpec("g", 1, primary_key=("k",), event_time="t", features=features)
    with online.transaction() as connection:
        connection.execute("CREATE TABLE g_1 (k, t)")
        connection.executemany("INSERT INTO g_1 VALUES (?, ?)", enumerate(values))
        connection.execute(
            "INSERT INTO _spark_fs_synced VALUES ('g_1', 0, 'r', '2024-01-01T00:00:00')"
        )
    table = build_online_table(group, online.capabilities)
    assert read_served_times(online, table, online.read_sync_state(table)).event_time == expected


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_tells_the_same(kind: str) -> None:
    features = (FeatureSpec("k", "bigint"), FeatureSpec("t", "timestamp"))
    group = GroupSpec("g", 1, primary_key=("k",), event_time="t", features=features)
    synced = SyncState(7, "ab" * 16, at("01-02 00:00"))
    with connected(kind) as cursor, new_database(cursor) as database:
        online = open_store(f"{SERVERS[kind]}/{database}", "")
        assert isinstance(online, MySQLStore)
        table = build_online_table(group, online.capabilities)
        with online.transaction() as inserting:
            synced_tables.ensure_tables(inserting)
            synced_tables.write_sync_state(inserting, "g_1", synced)
            inserting.execute("CREATE TABLE g_1 (k BIGINT PRIMARY KEY, t DATETIME(6))")
            inserting.execute(
                "INSERT INTO g_1 VALUES (1, '2024-01-01 00:00:00.000001'), (2, '2023-01-01')"
            )
        assert online.read_sync_states() == {"g_1": synced}
        newest = read_served_times(online, table, synced).event_time
        assert newest == at("01-01 00:00") + timedelta(microseconds=1)


def make_freshness(age: timedelta | None, waiting: timedelta | None) -> Freshness:
    now = at("01-02 00:00")
    event_time = None if age is None else now - age
    since = None if waiting is None else now - waiting
    return Freshness("g_1", now, event_time, None, event_time, 0, 1, since)


@pytest.mark.parametrize(
    ("age", "waiting", "bounds", "exceeded"),
    [
        (timedelta(hours=2), None, Bounds(timedelta(hours=2)), []),
        (timedelta(hours=3), None, Bounds(timedelta(hours=2)), ["3.0 h old, and at most 2h is"]),
        (None, None, Bounds(timedelta(days=9)), ["nothing is online, and at most 9d is allowed"]),
        (timedelta(days=9), timedelta(minutes=9), Bounds(max_lag=timedelta(minutes=10)), []),
        (
            timedelta(0),
            timedelta(minutes=30),
            Bounds(timedelta(hours=1), timedelta(minutes=10)),
            ["rows wait for a sync for 30 min, and at most 10m is allowed"],
        ),
    ],
)
def test_a_bound_is_kept_up_to_its_length(
    age: timedelta | None, waiting: timedelta | None, bounds: Bounds, exceeded: list[str]
) -> None:
    found = find_exceeded_bounds(make_freshness(age, waiting), bounds)
    assert len(found) == len(exceeded)
    assert all(part in text for part, text in zip(exceeded, found, strict=True))


# -- where it is shown


def run_command(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    sys.argv = ["spark-fs", "freshness", *arguments]
    with pytest.raises(SystemExit, match=f"^{code}$"):
        cli.main()
    return capsys.readouterr().out


def test_the_command_shows_it_and_ends_with_4_where_a_bound_is_exceeded(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_FS_HOME", str(home))
    monkeypatch.setattr(sys, "argv", [])
    now = ("--now", "2024-01-21T05:00")
    assert "cards_1" in run_command(capsys, 0, *now)
    (record,) = json.loads(run_command(capsys, 0, "cards", "--json", *now))
    assert (record["age_seconds"], record["event_time"]) == (18_000, NEWEST.isoformat())
    run_command(capsys, 0, "--max", "5h", *now)
    printed = run_command(capsys, 4, "--max", "4h", *now)
    assert "cards_1: 5.0 h old, and at most 4h is allowed" in printed


def test_the_page_of_a_group_shows_it(store: FeatureStore) -> None:
    group = store.get_feature_group("cards", 1)
    page = render_group_page(store._stores, group.spec)
    assert "newest event served" in page
    assert "2024-01-21 00:00:00 UTC" in page


def read_states(store: FeatureStore) -> dict[str, str]:
    """What the first page of the explorer says of what is online, by group."""
    page = render_home_page(store._stores, "/")
    found = re.search(r'id="data">(.*?)</script>', page, re.S)
    assert found
    groups = json.loads(found[1])["groups"]
    column = groups["columns"].index("online")
    return {row["cells"][0]: row["cells"][column] for row in groups["rows"]}


def test_the_first_page_says_of_each_group_whether_all_rows_are_online(
    home: Path, store: FeatureStore
) -> None:
    assert read_states(store) == {"cards": "up to date", "payments": "", "rates": ""}
    written = read_commit_time(home)
    add_commit(home, "VACUUM END", written + timedelta(minutes=1))
    assert read_states(store)["cards"] == "up to date"
    add_commit(home, "WRITE", written + timedelta(minutes=2))
    assert read_states(store)["cards"] == "behind"
    page = render_group_page(store._stores, store.get_feature_group("cards", 1).spec)
    assert "behind: rows have waited for" in page
    (home / "online.db").write_bytes(b"no database at all" * 100)
    assert read_states(store)["cards"] == "not known"


def test_the_first_page_says_that_nothing_is_online_and_makes_no_file(
    home: Path, store: FeatureStore
) -> None:
    for file in home.glob("online.db*"):
        file.unlink()
    assert read_states(store)["cards"] == "nothing yet"
    assert not (home / "online.db").exists()


def test_a_page_is_made_without_an_online_store(home: Path, store: FeatureStore) -> None:
    (home / "online.db").write_bytes(b"no database at all" * 100)
    group = store.get_feature_group("cards", 1)
    page = render_group_page(store._stores, group.spec)
    assert "not known: the online store does not answer" in page


# -- the server's metrics


def read_gauges(client: TestClient) -> dict[str, float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        family.name: sample.value
        for family in families
        for sample in family.samples
        if family.name.startswith("spark_fs_online")
    }


@pytest.fixture
def client(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr(freshness_metrics, "_KEPT_SECONDS", 0.0)
    with TestClient(build_vector_app(store)) as client:
        yield client


def test_the_server_tells_prometheus_and_reads_event_times_once_for_each_sync(
    home: Path, client: TestClient
) -> None:
    gauges = read_gauges(client)
    assert gauges["spark_fs_online_event_timestamp_seconds"] == NEWEST.timestamp()
    later = datetime(2024, 2, 1, tzinfo=UTC).timestamp()
    query(home, f"UPDATE cards_1 SET known_at = {int(later)} * 1000000")
    assert read_gauges(client) == gauges
    query(home, "UPDATE _spark_fs_synced SET synced_at = '2024-02-02T00:00:00'")
    assert read_gauges(client) == {
        "spark_fs_online_event_timestamp_seconds": later,
        "spark_fs_online_synced_timestamp_seconds": datetime(2024, 2, 2, tzinfo=UTC).timestamp(),
    }


def test_metrics_are_there_without_an_online_store(
    home: Path, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "online.db").write_bytes(b"no database at all" * 100)
    with caplog.at_level(logging.WARNING):
        assert read_gauges(client) == {}
    assert "What is online could not be measured" in caplog.text
    assert "spark_fs_vectors" in client.get("/metrics").text
