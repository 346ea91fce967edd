"""An online store that is cut by the hash of the key: the same answers as from one, whatever is down, cut otherwise, or half synced."""

import os
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import values
from loaded import loaded
from pyspark.sql import SparkSession
from tables import HERE, THERE, clicks, rows, sync, table_of

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.given_values import VectorRequest
from spark_fs.errors import (
    ConflictError,
    NotFoundError,
    OnlineRefusedError,
    OnlineStoreError,
)
from spark_fs.online.registry import make_writer, open_servers
from spark_fs.online.replicated.rules import ReadRules
from spark_fs.online.sharded.key_hash import choose_shard
from spark_fs.online.sharded.row_shards import choose_shards
from spark_fs.online.sharded.shard_calls import ShardCalls
from spark_fs.online.sqlite.store import SQLiteStore
from spark_fs.online.store import HEARTBEAT

from conftest import LONG, ONLINE, SHARDS, at, empty_databases, online_store

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
KEYS = 1_000
MARKS = {"sqlite": [], "mysql": LONG[:1], "mysql9": LONG}


KINDS = [pytest.param(each, marks=MARKS[each]) for each in ONLINE]


@pytest.fixture(params=KINDS)
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """Three empty databases of each kind in turn."""
    with empty_databases(request.param, 3, tmp_path) as found:
        yield found


def open_shards(urls: list[str]) -> Any:
    return open_servers(urls, [()] * len(urls), "", ReadRules())


# -- where a key lies

# Computed once by zlib.crc32 of the strings that the documentation names: rows lie where this says, so it never changes.
WHERE = [
    ([1], 3, 2),
    ([1.0], 3, 2),
    ([Decimal("1.00")], 3, 2),
    ([np.int8(1).item()], 3, 2),
    ([True], 3, 2),
    ([7], 16, 2),
    ([-9_223_372_036_854_775_808], 16, 11),
    (["Zürich"], 16, 14),
    ([""], 16, 0),
    ([1.5], 16, 10),
    ([Decimal("1.50")], 16, 10),
    ([NOON], 16, 10),
    ([date(2024, 1, 1)], 16, 0),
    ([b"\x00\xff"], 16, 1),
    (["a", 1], 16, 6),
    (["a\t1"], 16, 6),
]


@pytest.mark.parametrize(("key", "shards", "shard"), WHERE)
def test_a_key_lies_where_it_always_has(key: list[Any], shards: int, shard: int) -> None:
    assert choose_shard(key, shards) == shard


HARD_KEYS: dict[str, list[Any]] = {
    "bigint": [0, -1, 2**63 - 1, -(2**63)],
    "tinyint": [-128, 127],
    "boolean": [True, False],
    "string": ["", "a", "Zürich", "🙂", "tab\there", "nul\0l", "trailing "],
    "binary": [b"", b"\x00\xff", bytes(range(256))],
    "double": [0.0, -0.0, 1.0, 0.1, -1.5, 1e300, 5e-324, 1e16],
    "float": [0.0, -0.0, 1.0, 0.5, 16777216.0],
    "decimal(38,0)": [Decimal(10**37 + 1), Decimal(0)],
    "decimal(20,6)": [Decimal("1.000000"), Decimal("-0.000001"), Decimal("10.500000")],
    "timestamp": [NOON, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)],
    "date": [date(2024, 2, 29), date(1, 1, 1)],
}


@pytest.mark.parametrize("type_", HARD_KEYS)
def test_a_worker_and_a_reader_find_the_same_shard(type_: str, tmp_path: Path) -> None:
    store = SQLiteStore(str(tmp_path / "online.db"))
    table = table_of(store, {"k": type_}, event_time=None)
    keys = HARD_KEYS[type_]
    loaded_rows = values.to_arrow({"k": type_}, [{"k": key} for key in keys])
    for count in (1, 2, 3, 16, 97):
        expected = [choose_shard([key], count) for key in keys]
        assert choose_shards(loaded_rows, table, count).tolist() == expected


def test_shards_are_of_even_size(tmp_path: Path) -> None:
    store = SQLiteStore(str(tmp_path / "online.db"))
    table = table_of(store, {"k": "bigint"}, event_time=None)
    loaded_rows = values.to_arrow({"k": "bigint"}, [{"k": key} for key in range(20_000)])
    for count in (2, 3, 8):
        sizes = np.bincount(choose_shards(loaded_rows, table, count), minlength=count)
        assert sizes.max() / sizes.min() < 1.1


# -- syncs without Spark


def test_rows_lie_on_the_shard_of_their_key(urls: list[str]) -> None:
    store = open_shards(urls)
    table = clicks(store)
    sync(store, table, rows(*((key, "01-01", key) for key in range(50))))
    for number, shard in enumerate(store.shards):
        shard_table = store.make_shard_table(table, number)
        keys = [row[0] for row in make_writer(shard).read_buckets(shard_table, 1, [0], None)]
        assert sorted(keys) == [key for key in range(50) if choose_shard([key], 3) == number]


def test_late_rows_and_a_merge_are_as_on_one_store(urls: list[str], tmp_path: Path) -> None:
    whole = SQLiteStore(str(tmp_path / "whole.db"))
    found = []
    for store in (open_shards(urls), whole):
        table = clicks(store)
        sync(store, table, rows(*((key, "01-02", 1) for key in range(40))), 1)
        late = [(key, "01-01", 2) for key in range(10)]
        newer = [(key, "01-03", 3) for key in range(10, 60)]
        merged = sync(store, table, rows(*late, *newer), 2)
        write = make_writer(store)
        found.append(
            (
                merged,
                sorted(write.read_buckets(table, 1, [0], None)),
                write.compute_checksums(table, 8, None),
                store.read_newest_event_time(table),
                store.read_sync_state(table).version,
            )
        )
    assert found[0] == found[1]


def test_a_sync_holds_the_lock_of_every_shard(urls: list[str]) -> None:
    store = open_shards(urls)
    table = clicks(store)
    last = store.make_shard_table(table, 2)
    with (
        make_writer(store.shards[2]).open_session(last, HERE),
        pytest.raises(ConflictError, match=r"Another sync of clicks_1\$3of3 in .* is running"),
        make_writer(store).open_session(table, HERE),
    ):
        pass
    assert sync(store, table, rows((1, "01-01", 1))) is None  # the locks of the others went back


def test_another_feature_stores_table_is_refused(urls: list[str]) -> None:
    store = open_shards(urls)
    table = clicks(store)
    sync(store, table, rows((1, "01-01", 1)))
    with pytest.raises(
        OnlineRefusedError, match=r"^Shard 1 of 3 of the online store: The online store .* holds"
    ):
        sync(store, table, rows((1, "01-01", 2)), origin=THERE)


def test_a_sync_that_ended_between_two_shards_goes_on_from_the_one_behind(urls: list[str]) -> None:
    store = open_shards(urls)
    table = clicks(store)
    everyone = [(key, "01-01", 1) for key in range(30)]
    sync(store, table, rows(*everyone), 1)
    newer = rows(*((key, "01-02", 2) for key in range(30)))
    write: Any = make_writer(store)
    with write.open_session(table, HERE) as session:  # it commits on one shard, and no more
        staging = session.begin_staging(full_refresh=False)
        write.load_rows(table, staging, newer)
        session._sessions[1].merge_rows(staging.shards[1], 2, None)
    assert store.read_sync_state(table).version == 1
    on_two = [key for key in range(30) if choose_shard([key], 3) == 1]
    online = {row[0]: row[-1] for row in write.read_buckets(table, 1, [0], None)}
    assert online == {key: 2 if key in on_two else 1 for key in range(30)}
    sync(store, table, newer, 2)
    assert {row[-1] for row in write.read_buckets(table, 1, [0], None)} == {2}
    assert store.read_sync_state(table).version == 2


def test_a_shard_that_is_ahead_of_a_restored_table_is_told(urls: list[str]) -> None:
    store = open_shards(urls)
    table = clicks(store)
    sync(store, table, rows(*((key, "01-01", 1) for key in range(9))), 9)
    write: Any = make_writer(store)
    with write.open_session(table, HERE) as session:
        staging = session.begin_staging(full_refresh=True)
        session._sessions[0].swap_tables(staging.shards[0], 2)
    with pytest.raises(
        OnlineRefusedError,
        match=r"Shard 2 of 3 of the online store has clicks_1 at version 9, and the table ends with"
        " version 3.*full=True",
    ):
        sync(store, table, rows((1, "01-02", 1)), 3)


def test_a_table_grows_and_goes_on_every_shard(urls: list[str]) -> None:
    store = open_shards(urls)
    table = clicks(store)
    sync(store, table, rows(*((key, "01-01", key) for key in range(9))))
    grown = table_of(store, {"k": "bigint", "at": "timestamp", "v": "bigint", "w": "string"})
    store.add_columns(grown, HERE)
    online = sorted(make_writer(store).read_buckets(grown, 1, [0], None))
    assert online == [(key, at("01-01"), key, None) for key in range(9)]
    store.drop_table(grown, HERE)
    assert store.read_sync_state(grown) is None
    assert all(not shard.read_sync_states() for shard in store.shards)


# -- vectors


def both_stores(urls: list[str], home: Path) -> tuple[FeatureStore, FeatureStore]:
    """One feature store over shards and one over a single file, with the same users and shops."""
    found = []
    for name, online_url in (("shards", urls), ("whole", f"sqlite:///{home}/whole.db")):
        fs = spark_fs.login({"home": home / name, "online_url": online_url}).get_feature_store()
        users = [{"user": k, "age": k, "shop": f"shop {k % 7}"} for k in range(50)]
        users.append({"user": 50, "age": 50, "shop": None})
        shops = [{"shop": f"shop {k}", "city": k * 1.5} for k in range(6)]
        cities = [{"city": k * 1.5, "size": Decimal(k)} for k in range(5)]
        loaded(fs, "users", {"user": "bigint", "age": "int", "shop": "string"}, users, ["user"])
        loaded(fs, "scores", {"user": "bigint", "score": "double"}, users_scores(), ["user"])
        loaded(fs, "shops", {"shop": "string", "city": "double"}, shops, ["shop"])
        loaded(fs, "cities", {"city": "double", "size": "decimal(10,2)"}, cities, ["city"])
        found.append(fs)
    return found[0], found[1]


def users_scores() -> list[dict[str, Any]]:
    return [{"user": k, "score": k / 3} for k in range(0, 50, 2)]


def view_of(fs: FeatureStore) -> Any:
    users, scores, shops, cities = (
        fs.get_feature_group(name, 1) for name in ("users", "scores", "shops", "cities")
    )
    query = users.select(["age", "shop"]).join(scores.select(["score"]), on=["user"])
    query = query.join(
        shops.select(["city"]).join(cities.select(["size"]), on=["city"]), on=["shop"]
    )
    return fs.create_feature_view("all", query)


def test_vectors_are_those_of_one_store(urls: list[str], tmp_path: Path) -> None:
    views = [view_of(fs) for fs in both_stores(urls, tmp_path)]
    entries: list[dict[str, Any]] = [{"user": key} for key in range(-2, 53)]  # shops by their rows
    entries += [
        {"user": key, "shop": f"shop {key % 9}"} for key in range(53)
    ]  # and as they are given
    entries += [{"user": 1, "shop": "shop 1", "city": city} for city in (0.0, -0.0, 1.5, 99.0)]
    for now in (None, NOON):
        sharded, whole = (
            view.get_feature_vectors(entries, allow_missing=True, now=now) for view in views
        )
        assert repr(sharded) == repr(whole)
    for entry in entries[::7]:
        sharded, whole = (view.get_feature_vector(entry, allow_missing=True) for view in views)
        assert repr(sharded) == repr(whole)
    errors = []
    for view in views:
        with pytest.raises(NotFoundError, match=r"no online row for \{'user': 99\}") as missing:
            view.get_feature_vector({"user": 99})
        errors.append(str(missing.value))
    assert errors[0] == errors[1]


def test_a_key_is_found_by_value_whatever_its_spelling(tmp_path: Path) -> None:
    with online_store("sqlite" + SHARDS, tmp_path) as fs:
        loaded(fs, "things", {"k": "bigint", "v": "int"}, [{"k": k, "v": k} for k in range(9)])
        view = fs.create_feature_view("things", fs.get_feature_group("things", 1).select(["v"]))
        for spelled in (7, 7.0, Decimal("7.00"), np.int8(7), np.float64(7)):
            assert view.get_feature_vector({"k": spelled}) == [7]


class Asked:
    """Counts what each shard is asked, and lets no one be answered before all are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, together: int = 1) -> None:
        self.entries: list[tuple[str, int]] = []
        self._barrier = threading.Barrier(together)
        prepare = SQLiteStore.prepare_lookup

        def prepare_counted(store: SQLiteStore, *given: Any) -> Callable[..., Any]:
            lookup = prepare(store, *given)

            def look_up(entries: Any, now: datetime) -> Any:
                self.entries.append((Path(store.path).name, len(entries)))
                self._barrier.wait(timeout=30)
                return lookup(entries, now)

            return look_up

        monkeypatch.setattr(SQLiteStore, "prepare_lookup", prepare_counted)


def test_groups_of_one_key_are_asked_of_one_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with empty_databases("sqlite", 3, tmp_path) as urls:
        fs, _ = both_stores(urls, tmp_path)
        asked = Asked(monkeypatch)
        users, scores = (fs.get_feature_group(name, 1) for name in ("users", "scores"))
        query = users.select(["age"]).join(scores.select(["score"]), on=["user"])
        fs.create_feature_view("one", query).get_feature_vector({"user": 4})
        assert asked.entries == [(f"shard_{choose_shard([4], 3)}.db", 1)]


def test_a_hundred_entries_ask_each_shard_once_and_all_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with empty_databases("sqlite", 3, tmp_path) as urls:
        fs, _ = both_stores(urls, tmp_path)
        asked = Asked(monkeypatch, together=3)
        view = fs.create_feature_view("one", fs.get_feature_group("users", 1).select(["age"]))
        vectors = view.get_feature_vectors([{"user": k} for k in range(100)], allow_missing=True)
        assert [vector[0] for vector in vectors] == [*range(51), *[None] * 49]
        assert sorted(name for name, _ in asked.entries) == [f"shard_{n}.db" for n in range(3)]
        assert sum(count for _, count in asked.entries) == 100


def test_a_shard_that_hangs_holds_up_no_call_to_others() -> None:
    calls = ShardCalls(3)
    answers = threading.Event()
    hung = {0: lambda: None, 1: answers.wait}
    with ThreadPoolExecutor(41) as callers:
        waiting = [callers.submit(calls.call_shards, hung) for _ in range(40)]
        asked = callers.submit(calls.call_shards, {0: lambda: "a", 2: lambda: "c"})
        try:
            assert asked.result(10) == {0: "a", 2: "c"}
        finally:
            answers.set()
        assert all(each.result() == {0: None, 1: True} for each in waiting)


def test_as_many_calls_wait_for_a_shard_at_once_as_a_store_has_connections() -> None:
    """With fewer those behind them would wait for a shard that hangs once more."""
    calls, all_wait = ShardCalls(2), threading.Barrier(32)
    asked = {0: lambda: None, 1: lambda: all_wait.wait(30)}
    with ThreadPoolExecutor(32) as callers:
        waiting = [callers.submit(calls.call_shards, asked) for _ in range(32)]
        assert sorted(each.result()[1] for each in waiting) == list(range(32))


def test_a_forked_process_and_many_threads_ask_shards_of_their_own(
    urls: list[str], tmp_path: Path
) -> None:
    fs = spark_fs.login({"home": tmp_path, "online_url": urls}).get_feature_store()
    loaded(fs, "things", {"k": "bigint", "v": "int"}, [{"k": k, "v": k} for k in range(60)])
    view = fs.create_feature_view("things", fs.get_feature_group("things", 1).select(["v"]))
    entries = [{"k": key} for key in range(60)]
    expected = [[key] for key in range(60)]
    assert view.get_feature_vectors(entries) == expected
    child = os.fork()
    if child == 0:
        os._exit(0 if view.get_feature_vectors(entries) == expected else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: view.get_feature_vectors(entries), range(64)))
    assert found == [expected] * 64


def test_a_worker_gets_a_writer_of_its_own(urls: list[str]) -> None:
    store = open_servers(urls, [(), urls[:1], ()], "", ReadRules(3.0, falls_back=False))
    assert store.calls  # threads, which do not pickle
    write = pickle.loads(pickle.dumps(make_writer(store)))
    table = clicks(store)
    with make_writer(store).open_session(table, HERE) as session:
        staging = session.begin_staging(full_refresh=True)
        write.load_rows(table, pickle.loads(pickle.dumps(staging)), rows((1, "01-01", 1)))
        session.swap_tables(staging, 0)
    assert list(write.read_buckets(table, 1, [0], None)) == [(1, at("01-01"), 1)]
    assert pickle.loads(pickle.dumps(store)).shards[1].rules == ReadRules(3.0, falls_back=False)


def test_views_are_warmed_up_on_every_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with empty_databases("sqlite", 3, tmp_path) as urls:
        fs, _ = both_stores(urls, tmp_path)
        view = view_of(fs)
        view.init_serving()
        opened: list[str] = []
        open_connection = SQLiteStore._open_connection
        monkeypatch.setattr(
            SQLiteStore,
            "_open_connection",
            lambda store: (opened.append(Path(store.path).name), open_connection(store))[1],
        )
        view._serving_state.vector_reader.warm_up()
        assert {f"shard_{number}.db" for number in range(3)} >= set(opened)
        assert len(set(opened)) >= 2  # the first is asked in this thread, where it may be open


# -- what is down, and what is cut otherwise


def test_a_shard_that_is_down_is_named_without_its_password(tmp_path: Path) -> None:
    urls = [f"mysql://me:hunter2hunter2@127.0.0.1:{port}/features" for port in (1, 2, 3)]
    fs = spark_fs.login({"home": tmp_path, "online_url": urls}).get_feature_store()
    with pytest.raises(
        OnlineStoreError,
        match=r"^Shard [123] of 3 of the online store: The online store 127.0.0.1:[123]/features",
    ) as down:
        fs.check_serving()
    assert "hunter2" not in str(down.value)
    assert down.value.retryable


def test_keys_of_other_shards_are_served_while_one_is_down(tmp_path: Path) -> None:
    with online_store("sqlite" + SHARDS, tmp_path) as fs:
        loaded(fs, "things", {"k": "bigint", "v": "int"}, [{"k": k, "v": k} for k in range(30)])
        view = fs.create_feature_view("things", fs.get_feature_group("things", 1).select(["v"]))
        (tmp_path / "shard_1.db").unlink()
        for key in range(30):
            if choose_shard([key], 3) == 1:
                with pytest.raises(OnlineStoreError, match=r"^Shard 2 of 3 .*shard_1.db does not"):
                    view.get_feature_vector({"k": key})
            else:
                assert view.get_feature_vector({"k": key}) == [key]
        with pytest.raises(OnlineStoreError, match=r"^Shard 2 of 3"):
            view.get_feature_vectors([{"k": key} for key in range(30)])


@pytest.mark.parametrize("keys", ["one", "two"])
def test_requests_that_share_a_look_up_fail_alone_where_a_shard_is_down(
    tmp_path: Path, keys: str
) -> None:
    """As a server asks for those that came at the same time."""
    with online_store("sqlite" + SHARDS, tmp_path) as fs:
        columns = {"k": "bigint", "v": "int"}
        things = loaded(fs, "things", columns, [{"k": k, "v": k + 1} for k in range(30)])
        query = things.select(["v"])
        if keys == "two":  # the second group is found by a column of the first
            others = loaded(fs, "others", {"v": "int", "w": "int"}, [{"v": 1, "w": 9}], ["v"])
            query = query.join(others.select(["w"]), on=["v"])
        state = fs.create_feature_view("things", query)._get_serving_state()
        (tmp_path / "shard_1.db").unlink()
        requests = [VectorRequest([{"k": key}], [{}], True) for key in range(30)]
        for key, answer in enumerate(state.read_requests(requests, NOON)):
            asked = [key] if keys == "one" else [key, key + 1]
            lies_on = {choose_shard([value], 3) for value in asked}
            if 1 in lies_on:
                assert isinstance(answer, OnlineStoreError), key
                assert str(answer).startswith("Shard 2 of 3")
            else:
                assert answer[0][0] == key + 1


@pytest.mark.parametrize(
    "change",
    [
        lambda urls: urls[:2],
        lambda urls: [*urls, urls[0].replace("shard_0", "shard_3")],
        lambda urls: urls[::-1],
        lambda urls: urls[:1],
    ],
    ids=["fewer", "more", "in another order", "one"],
)
def test_a_store_that_is_cut_otherwise_has_no_row_until_it_is_synced(
    tmp_path: Path, change: Callable[[list[str]], list[str]]
) -> None:
    with empty_databases("sqlite", 3, tmp_path) as urls:
        before = open_shards(urls)
        given = rows(*((key, "01-01", key) for key in range(30)))
        sync(before, clicks(before), given)
        after = open_shards(change(urls))
        table = clicks(after)
        assert after.read_sync_state(table) is None
        with pytest.raises(
            OnlineStoreError, match=r"lacks (a|the) table.*run sync_online|not exist"
        ):
            list(make_writer(after).read_buckets(table, 1, [0], None))
        sync(after, table, given)
        assert table.name in after.read_sync_states()
        for store in (before, after):  # who reads the old cut is not disturbed
            online = make_writer(store).read_buckets(clicks(store), 1, [0], None)
            assert sorted(row[0] for row in online) == list(range(30))


def test_what_is_left_of_another_cut_is_no_sync_of_this_one(urls: list[str]) -> None:
    before, after = open_shards(urls), open_shards(urls[::-1])
    sync(before, clicks(before), rows((1, "01-01", 1)))
    before.write_heartbeat()
    assert set(after.read_sync_states()) == {HEARTBEAT}
    sync(after, clicks(after), rows((1, "01-02", 2)), 7)
    assert {store.read_sync_states()["clicks_1"].version for store in (before, after)} == {0, 7}


# -- by Spark


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_shards_serve_what_one_does(tmp_path: Path, spark: SparkSession, kind: str) -> None:
    with online_store(kind + SHARDS, tmp_path / "shards") as fs:
        one = spark_fs.login({"home": tmp_path / "one"}).get_feature_store()
        views = []
        reads = []
        for store in (fs, one):
            users = store.create_feature_group(
                "users", primary_key=["user"], event_time="at", online_enabled=True
            )
            shops = store.create_feature_group(
                "shops",
                primary_key=["shop"],
                event_time="at",
                online_enabled=True,
                ttl=timedelta(days=1_000_000 // 24),
            )
            day = pd.Timestamp("2024-01-01", tz="UTC")
            first = {"user": range(KEYS), "at": day, "age": range(KEYS)}
            users.insert(pd.DataFrame({**first, "shop": [f"shop {k % 7}" for k in range(KEYS)]}))
            opened = {"shop": [f"shop {k}" for k in range(7)], "at": day, "size": range(7)}
            shops.insert(pd.DataFrame(opened))
            query = users.select(["age"]).join(shops.select(["size"]), on=["shop"])
            views.append(store.create_feature_view("both", query))
            store.sync_online()
            changed = {"user": range(0, KEYS, 3), "at": day + pd.Timedelta(days=1), "age": -1}
            users.insert(pd.DataFrame({**changed, "shop": "shop 1"}))
            users.delete_records(pd.DataFrame({"user": [5, 6]}))
            late = {"user": [7], "at": day - pd.Timedelta(days=1), "age": -7, "shop": "shop 2"}
            users.insert(pd.DataFrame(late))
            users.append_features(spark_fs.Feature("city", "string"))
            jobs = store.sync_online()
            reads.append(
                (
                    [job.summary["written"] for job in jobs],
                    [job.summary["deleted"] for job in jobs],
                    users.read(online=True, dataframe_type="pandas")
                    .sort_values("user", ignore_index=True)
                    .to_dict("list"),
                )
            )
        assert all(found.ok for found in fs.verify_online())
        assert repr(reads[0]) == repr(reads[1])
        entries: list[dict[str, Any]] = [{"user": k, "shop": f"shop {k % 9}"} for k in range(KEYS)]
        entries += [{"user": k} for k in range(-3, KEYS)]
        sharded, whole = (view.get_feature_vectors(entries, allow_missing=True) for view in views)
        assert sharded == whole
        assert sum(vector[0] is None for vector in whole) == 2 + 5
        users = fs.get_feature_group("users", 1)
        users.sync_online(full=True)
        assert users.verify_online().ok
        users.delete(force=True)  # a view reads it
        assert all(
            not name.startswith("users")
            for shard in fs._stores.online.shards
            for name in shard.read_sync_states()
        )
