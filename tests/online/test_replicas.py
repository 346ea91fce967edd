"""Look-ups from replicas: in turn, around those that fail, and never older than the bound; an old replica is a file that was copied before."""

import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from loaded import loaded
from tables import clicks, rows, sync

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import OnlineRefusedError, OnlineStoreError, SettingsError
from spark_fs.online.replicated import watched_replica
from spark_fs.online.replicated.watched_replica import WatchedReplica
from spark_fs.online.sqlite.store import SQLiteStore
from spark_fs.server.online_server_metrics import OnlineServerCollector

from conftest import SERVERS, at, empty_databases


def copy_rows(folder: Path, *names: str) -> None:
    """Bring replicas up to the primary, as replication does."""
    for name in names:
        shutil.copy(folder / "primary.db", folder / name)


def open_store(folder: Path, *replicas: str, **settings: Any) -> FeatureStore:
    return spark_fs.login(
        {
            "home": folder / "home",
            "online_url": f"sqlite:///{folder}/primary.db",
            "online_read_urls": [f"sqlite:///{folder}/{name}" for name in replicas],
            **settings,
        }
    ).get_feature_store()


def fill(fs: FeatureStore, folder: Path) -> FeatureView:
    """A group whose row says 1 on the replicas that are copied now."""
    columns = {"k": "bigint", "at": "timestamp", "v": "bigint"}
    row = {"k": 1, "at": at("01-01"), "v": 1}
    group = loaded(fs, "clicks", columns, [row], event_time="at")
    return fs.get_or_create_feature_view("clicks", group.select(["v"]), version=1)


def write_newer(folder: Path, value: int) -> None:
    """A sync of the primary, which no replica has yet."""
    primary = SQLiteStore(str(folder / "primary.db"))
    table = clicks(primary)
    sync(primary, table, rows((1, f"01-0{value}", value)), value, origin=_origin(primary))


def _origin(primary: SQLiteStore) -> Any:
    from spark_fs.online.store import TableOrigin  # noqa: PLC0415

    return TableOrigin("clicks", "clicks")


def value_of(view: FeatureView, **options: Any) -> int:
    (value,) = view.get_feature_vector({"k": 1}, **options)
    return int(value)


def test_replicas_answer_in_turn(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db", "b.db")
    view = fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    write_newer(tmp_path, 2)
    copy_rows(tmp_path, "b.db")
    write_newer(tmp_path, 3)
    assert [value_of(view) for _ in range(6)] == [1, 2, 1, 2, 1, 2]


def test_a_replica_that_fails_is_left_out_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fs = open_store(tmp_path, "a.db", "b.db", "gone.db")
    view = fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db", "b.db")
    write_newer(tmp_path, 2)
    assert [value_of(view) for _ in range(9)] == [
        1
    ] * 9  # the third is none of them, nor the primary
    assert caplog.text.count("A replica is not asked for 5 s: The online store") == 1
    monkeypatch.setattr(watched_replica, "_PAUSE_SECONDS", 0.0)
    copy_rows(tmp_path, "gone.db")
    fs = open_store(tmp_path, "gone.db")
    assert value_of(fs.get_feature_view("clicks", 1)) == 2


def test_a_replica_that_lacks_one_table_answers_for_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A group that was created and not synced yet takes no other off the replicas."""
    fs = open_store(tmp_path, "a.db")
    view = fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    write_newer(tmp_path, 2)
    features = [spark_fs.Feature("k", "bigint"), spark_fs.Feature("v", "bigint")]
    group = fs.create_feature_group(
        "new", primary_key=["k"], online_enabled=True, features=features
    )
    new = fs.create_feature_view("new", group.select(["v"]))
    for _ in range(3):
        with pytest.raises(OnlineStoreError, match=r"primary.db lacks a table"):
            value_of(new)
        assert value_of(view) == 1  # of the replica
    assert caplog.text.count("A replica is not asked for 5 s: The online store") == 1


def test_where_no_replica_answers_the_primary_does_or_it_is_an_error(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db", "b.db")
    assert value_of(fill(fs, tmp_path)) == 1
    fs.check_serving()
    strict = open_store(tmp_path, "a.db", "b.db", replica_fallback="error")
    with pytest.raises(
        OnlineStoreError,
        match=r"No replica of the online store \S+primary.db answers: .*(a|b).db does not exist"
        r".*(a|b).db does not exist.*replica_fallback: primary",
    ):
        value_of(strict.get_feature_view("clicks", 1))
    with pytest.raises(OnlineStoreError, match="No replica of the online store"):
        strict.check_serving()
    copy_rows(tmp_path, "b.db")
    assert value_of(strict.get_feature_view("clicks", 1)) == 1  # one that failed is asked again


@pytest.mark.parametrize("fallback", ["primary", "error"])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_replica_that_refuses_its_password_is_named(
    kind: str, fallback: str, tmp_path: Path
) -> None:
    """A fault of the settings, which an answer of the primary would hide for ever."""
    with empty_databases(kind, 2, tmp_path) as (primary, replica):
        settings = {
            "home": tmp_path,
            "online_url": primary,
            "online_read_urls": [replica.replace(":local@", ":wr0ng-one@")],
            "replica_fallback": fallback,
        }
        fs = spark_fs.login(settings).get_feature_store()
        row = {"k": 1, "v": 1}
        group = loaded(fs, "things", {"k": "bigint", "v": "int"}, [row])
        view = fs.create_feature_view("things", group.select(["v"]))
        at_primary, at_replica = (url.partition("@")[2] for url in (primary, replica))
        for _ in range(3):
            with pytest.raises(
                OnlineRefusedError,
                match=rf"^Replica 1 of the online store {at_primary}: The online store"
                rf" {at_replica} refused user 'spark_fs' \(1045\).* one of online_read_urls",
            ) as refused:
                value_of(view, **({} if fallback == "error" else {"max_replica_age": 5}))
            assert "wr0ng-one" not in str(refused.value)
            assert not refused.value.retryable
        with pytest.raises(OnlineRefusedError, match=r"^Replica 1 of the online store"):
            fs.check_serving()


def test_an_answer_is_no_older_than_the_bound(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db", max_replica_age=0.2)
    view = fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    assert value_of(view) == 1
    write_newer(tmp_path, 2)
    time.sleep(0.3)  # a sync that ended longer ago than the bound
    assert value_of(view) == 2  # from the primary
    copy_rows(tmp_path, "a.db")
    replica = fs._stores.online.replicas[0]
    assert value_of(view) == 2
    assert replica.age_seconds < 5


def test_a_call_may_ask_for_a_bound_of_its_own(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db")
    view = fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    write_newer(tmp_path, 2)
    assert value_of(view) == 1
    assert value_of(view, max_replica_age=0) == 2
    assert value_of(view, max_replica_age=3_600) == 1  # what it lacks ended less than an hour ago
    assert view.get_feature_vectors([{"k": 1}, {"k": 1}], max_replica_age=0) == [[2], [2]]
    with pytest.raises(SettingsError, match=r"max_replica_age=-1 is not a number of seconds"):
        value_of(view, max_replica_age=-1)


def test_one_thread_alone_waits_for_a_replica_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would wait for the read_timeout, one after the other."""
    fs = open_store(tmp_path, "a.db", max_replica_age=60)
    view = fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    read_states, asked, ends = SQLiteStore.read_sync_states, [], threading.Event()

    def hang(store: SQLiteStore) -> Any:
        if store.address.endswith("a.db"):
            asked.append(1)
            ends.wait()
            raise OnlineStoreError("no answer in time")
        return read_states(store)

    monkeypatch.setattr(SQLiteStore, "read_sync_states", hang)
    with ThreadPoolExecutor(8) as callers:
        calls = [callers.submit(value_of, view) for _ in range(8)]
        time.sleep(0.3)
        ends.set()
        assert [call.result() for call in calls] == [1] * 8
    assert len(asked) == 1


def test_a_forked_process_asks_for_the_age_itself(tmp_path: Path) -> None:
    primary = SQLiteStore(str(tmp_path / "primary.db"))
    replica = WatchedReplica(SQLiteStore(str(tmp_path / "a.db")), primary)
    with replica._lock:  # as by a thread that the child does not have
        child = os.fork()
        if not child:
            os._exit(0 if replica._lock.acquire(timeout=0) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_answer_that_would_be_too_old_is_an_error_where_that_is_set(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db", replica_fallback="error", max_replica_age=0)
    view = fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    write_newer(tmp_path, 2)
    with pytest.raises(
        OnlineStoreError, match=r"a.db may be [\d,.]+ s old, and 0 s are allowed. Bring one up"
    ):
        value_of(view)
    assert value_of(view, max_replica_age=3_600) == 1


def test_replicas_go_on_within_the_bound_while_the_primary_is_down(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db", max_replica_age=3_600)
    view = fill(fs, tmp_path)
    fs.write_online_heartbeat()
    copy_rows(tmp_path, "a.db")
    view.init_serving()
    (tmp_path / "primary.db").unlink()
    assert value_of(view) == 1
    with pytest.raises(OnlineStoreError, match=r"primary.db does not exist"):
        value_of(view, max_replica_age=0)


def test_every_server_tells_what_it_holds(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db", "gone.db")
    fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    write_newer(tmp_path, 2)
    primary, replica, gone = fs.get_online_servers()
    assert (primary.role, primary.age_seconds, primary.versions) == (
        "primary",
        0.0,
        {"clicks_1": 2},
    )
    assert (replica.role, replica.versions, replica.reachable) == ("replica", {"clicks_1": 0}, True)
    assert replica.last_sync is not None
    assert primary.last_sync > replica.last_sync
    assert replica.age_seconds >= 0
    assert not gone.reachable
    assert str(gone).startswith(f"replica at {tmp_path}/gone.db: The online store")
    copy_rows(tmp_path, "a.db")
    _, replica, _ = fs.get_online_servers()
    assert replica.versions == {"clicks_1": 2}
    assert replica.age_seconds < 5
    assert str(replica).endswith("s old, 1 tables")


def test_prometheus_is_told_of_every_server_by_its_number(tmp_path: Path) -> None:
    fs = open_store(tmp_path, "a.db", "gone.db")
    fill(fs, tmp_path)
    copy_rows(tmp_path, "a.db")
    found = {
        (sample.name.removeprefix("spark_fs_online_server_"), *sample.labels.values()): sample.value
        for metric in OnlineServerCollector(fs._stores).collect()
        for sample in metric.samples
    }
    assert 0 <= found.pop(("age_seconds", "1", "replica", "1")) < 60
    assert found == {
        ("up", "1", "primary", "1"): 1.0,
        ("up", "1", "replica", "1"): 1.0,
        ("up", "1", "replica", "2"): 0.0,
        ("age_seconds", "1", "primary", "1"): 0.0,
    }
    one = spark_fs.login({"home": tmp_path / "one"}).get_feature_store()
    assert not [each for each in OnlineServerCollector(one._stores).collect() if each.samples]


def test_shards_have_replicas_of_their_own(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two")]
    replicas = [[f"sqlite:///{tmp_path}/one_a.db"], []]
    fs = spark_fs.login(
        {"home": tmp_path / "home", "online_url": urls, "online_read_urls": replicas}
    ).get_feature_store()
    group = loaded(
        fs, "things", {"k": "bigint", "v": "int"}, [{"k": key, "v": key} for key in range(20)]
    )
    shutil.copy(tmp_path / "one.db", tmp_path / "one_a.db")
    view = fs.create_feature_view("things", group.select(["v"]))
    entries = [{"k": key} for key in range(20)]
    assert view.get_feature_vectors(entries) == [[key] for key in range(20)]
    (tmp_path / "one.db").unlink()  # its replica goes on
    assert view.get_feature_vectors(entries) == [[key] for key in range(20)]
    assert [(each.shard, each.role, each.reachable) for each in fs.get_online_servers()] == [
        (1, "primary", False),
        (1, "replica", True),
        (2, "primary", True),
    ]
