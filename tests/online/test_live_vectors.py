"""Windows that are finished at the instant of a request, beside what a training read says of that instant: to the bit."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession
from test_deletions import delete_while_others_append

import spark_fs
from spark_fs import aggregate as agg
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.ready_views import ViewRequest, read_catalog_state
from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.given_values import VectorRequest
from spark_fs.base.times import to_utc
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.scan.parquet import UNBOUNDED, Scan, ScanFile
from spark_fs.engine.windows.relation import EventSource
from spark_fs.errors import KeyValueError, OnlineStoreError, QueryError, SettingsError
from spark_fs.flows import event_source, live_sync
from spark_fs.flows.event_source import AggregationSource

from conftest import ONLINE, at, online_store

OVERS = ["1h", "4h", "7d"]
KEYS = ["a", "b", "c", "nobody"]


def make_events(count: int, seed: int = 7) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    minutes = np.sort(draw.integers(0, 3 * 24 * 60, count))
    frame = pd.DataFrame(
        {
            "id": np.arange(count) + 1_000 * seed,
            "t": [at("01-01") + timedelta(minutes=int(minute)) for minute in minutes],
            "card": [KEYS[number] for number in draw.integers(0, 3, count)],
            "amount": draw.integers(-10_000, 10_000, count) / 100,
            "cents": [Decimal(int(cents)).scaleb(-2) for cents in draw.integers(0, 500, count)],
            "shop": [f"shop {number}" for number in draw.integers(0, 5, count)],
            "abroad": draw.integers(0, 2, count) == 1,
        }
    )
    frame.loc[frame["id"] % 9 == 0, "amount"] = None
    return frame


def declare(events: FeatureGroup) -> spark_fs.Aggregation:
    abroad = events["abroad"] == True  # noqa: E712 # a condition on a column
    return spark_fs.Aggregation(
        events,
        [
            agg.count(over=OVERS),
            agg.sum("amount", over=OVERS),
            agg.mean("amount", over=OVERS, delay="30m"),
            agg.stddev("amount", over=[*OVERS, None]),
            agg.variance("cents", over=OVERS),
            agg.sum("cents", over=["4h", None], where=abroad, name="abroad"),
            agg.min("amount", over=OVERS),
            agg.max("t", over="7d"),
            agg.first("shop", over="4h"),
            agg.last("shop", over=["4h", None]),
            agg.distinct_count("shop", over=OVERS),
            agg.percentile("amount", 0.3, over="7d"),
            agg.top_k("shop", 2, over="7d"),
            agg.last_n("cents", 3, over="4h"),
            agg.time_since_last(over="7d"),
        ],
        by=["card"],
    )


EVENTS = {
    "id": "bigint",
    "t": "timestamp",
    "card": "string",
    "amount": "double",
    "cents": "decimal(10,2)",
    "shop": "string",
    "abroad": "boolean",
}
ASKED = {"card": "string", "at": "timestamp", "y": "bigint"}


def write(group: FeatureGroup, frame: pd.DataFrame, types: dict[str, str]) -> None:
    """Let a group's table have these rows, without Spark."""
    schema = to_arrow_schema({**types, "_ingested_at": "timestamp"})
    rows = pa.Table.from_pandas(
        frame.assign(_ingested_at=at("01-05")), schema, preserve_index=False
    )
    write_deltalake(group.location, rows, mode="overwrite")


def make_group(
    store: FeatureStore, name: str, key: str, time: str, types: dict[str, str]
) -> FeatureGroup:
    features = [spark_fs.Feature(column, type_) for column, type_ in types.items()]
    return store.get_or_create_feature_group(
        name, version=1, primary_key=[key], event_time=time, features=features
    )


def sync(store: FeatureStore, now: str, name: str = "habits") -> dict[str, int]:
    """What ``sync_online`` does of windows, which starts no Spark here."""
    group = store.get_feature_group(name, 1)._spec
    return live_sync.sync_live_windows(store._stores, group, to_utc(now))


@pytest.fixture(scope="module", params=ONLINE)
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureStore]:
    with online_store(request.param, tmp_path_factory.mktemp("live")) as served:
        events = make_group(served, "payments", "id", "t", EVENTS)
        write(events, make_events(300), EVENTS)
        habits = served.create_feature_group(
            "habits", aggregation=declare(events), online_enabled=True
        )
        write_deltalake(habits.location, pa.table({"card": ["a"]}))
        asked = make_group(served, "asked", "card", "at", ASKED)
        rows = [(key, instant, 1) for key in KEYS for instant in INSTANTS]
        write(asked, pd.DataFrame(rows, columns=list(ASKED)), ASKED)
        assert sync(served, "2024-01-03 12:00")["entities"] == 3
        yield served


INSTANTS = [
    at("01-03 12:00"),
    at("01-03 12:00") + timedelta(microseconds=1),
    at("01-03 18:31"),
    at("01-04 00:00"),
    at("01-04 03:59"),
    at("01-07 17:23"),
    at("01-09 12:00"),
    at("01-20"),
]


def ask(store: FeatureStore, name: str) -> Any:
    """A view whose spine has each key at each instant."""
    events = store.get_feature_group("payments", 1)
    asked = store.get_feature_group("asked", 1)
    query = asked.select(["y"]).join(declare(events).select_all())
    return store.create_feature_view(name, query, labels=["y"])


def read_training(store: FeatureStore) -> dict[tuple[str, datetime], dict[str, Any]]:
    events = store.get_feature_group("payments", 1)
    asked = store.get_feature_group("asked", 1)
    query = asked.select(["card", "at"]).join(declare(events).select_all())
    frame = query.read("polars")
    assert isinstance(frame, pl.DataFrame)
    rows = {}
    for row in frame.to_dicts():
        rows[row.pop("card"), row.pop("at").astimezone(UTC)] = row
    return rows


def bits(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(bits, value))
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    return float(value).hex() if isinstance(value, float) else (type(value), value)


def check(view: Any, store: FeatureStore) -> None:
    training = read_training(store)
    assert len(training) == len(KEYS) * len(INSTANTS)
    for instant in INSTANTS:
        entries = [{"card": key} for key in KEYS]
        vectors = view.get_feature_vectors(entries, now=instant)
        for key, vector in zip(KEYS, vectors, strict=True):
            wanted = training[key, instant]
            found = dict(zip(view.serving_columns, vector, strict=True))
            assert found.keys() == wanted.keys()
            for name, value in wanted.items():
                assert bits(found[name]) == bits(value), (name, key, instant)
            assert view.get_feature_vector({"card": key}, now=instant) == vector


def test_a_vector_is_what_a_training_read_says_of_its_instant(store: FeatureStore) -> None:
    view = ask(store, "live")
    check(view, store)
    counts = []
    place = view.serving_columns.index("count_7d")
    for instant in INSTANTS:
        counts.append(view.get_feature_vector({"card": "a"}, now=instant)[place])
    requests = [VectorRequest([{"card": key}], [{}]) for key in KEYS]
    answers = view._get_serving_state().read_requests(requests, INSTANTS[2])  # as a server does
    assert answers == [[view.get_feature_vector({"card": key}, now=INSTANTS[2])] for key in KEYS]
    assert counts[-1] == 0 < counts[0]  # it falls though nothing is synced
    # late, corrected and deleted events are known at the next sync, and not before
    before = view.get_feature_vector({"card": "a"}, now=INSTANTS[2])
    kept = make_events(300)
    kept.loc[:150, "amount"] = 1.25
    changed = pd.concat([kept[kept["id"] % 7 > 0], make_events(40, seed=8)])
    write(store.get_feature_group("payments", 1), changed, EVENTS)
    assert view.get_feature_vector({"card": "a"}, now=INSTANTS[2]) == before
    sync(store, "2024-01-03 12:00")
    assert view.get_feature_vector({"card": "a"}, now=INSTANTS[2]) != before
    check(view, store)


def test_windows_that_no_group_keeps_online_are_an_error_that_says_so(store: FeatureStore) -> None:
    events = store.get_feature_group("payments", 1)
    asked = store.get_feature_group("asked", 1)
    other = spark_fs.Aggregation(events, [agg.count(over="2h")], by=["card"])
    query = asked.select(["y"]).join(other.select_all())
    view = store.create_feature_view("other", query, labels=["y"])
    with pytest.raises(QueryError, match=r"'count_2h' has no online value.*sync_online\(\)"):
        view.get_feature_vector({"card": "a"})
    assert view.get_feature_vector({"card": "a"}, {"count_2h": 3}) == [3]
    with pytest.raises(KeyValueError, match="lacks 'card'"):
        ask(store, "keyless").get_feature_vector({})


def test_a_server_sees_a_group_that_comes_to_keep_windows(tmp_path: Path) -> None:
    fs = spark_fs.login({"home": tmp_path}).get_feature_store()
    events = make_group(fs, "payments", "id", "t", EVENTS)
    make_group(fs, "asked", "card", "at", ASKED)
    ask(fs, "live")
    catalog = fs._stores.catalog
    before = read_catalog_state(catalog, ViewRequest("live"))
    fs.create_feature_group("habits", aggregation=declare(events), online_enabled=True)
    after = read_catalog_state(catalog, ViewRequest("live"))
    assert (before.live_groups, [ref.name for ref, _ in after.live_groups]) == ((), ["habits"])
    fs.get_feature_group("habits", 1).delete()
    other = spark_fs.Aggregation(events, [agg.count(over="2h")], by=["card"])
    fs.create_feature_group("habits", aggregation=other, online_enabled=True)
    anew = read_catalog_state(catalog, ViewRequest("live"))
    assert [ref.name for ref, _ in anew.live_groups] == ["habits"]
    assert anew != after


def test_a_key_of_many_events_is_told_for_a_while(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is exact or refused, never wrong."""
    thinning = live_sync.Thinning

    def thin(plan: Any, now: int) -> Any:
        return thinning(plan, now, kept_events=5, most_events=20, horizons=(3_600_000_000,))

    monkeypatch.setattr(live_sync, "Thinning", thin)
    view = ask(store, "thinned")
    sync(store, "2024-01-03 12:00")
    training = read_training(store)
    refused = []
    for instant in INSTANTS:
        for key in KEYS:
            try:
                vector = view.get_feature_vector({"card": key}, now=instant)
            except OnlineStoreError as error:
                refused.append(str(error))
                continue
            wanted = training[key, instant]
            assert list(map(bits, vector)) == list(map(bits, wanted.values())), (key, instant)
    assert len(refused) == 3  # of each key with events, a week after the middle of them
    assert "cannot be computed at 2024-01-09T12:00:00+00:00" in refused[0]
    assert "Call sync_online(); for an instant of the past" in refused[0]
    assert view.get_feature_vector({"card": "a"}, now=INSTANTS[0])


def test_tasks_of_many_events_bring_the_same_online(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Spark's workers run them, in threads here."""

    def read_by_tasks(source: AggregationSource) -> EventSource:
        events = source.read_events(UNBOUNDED)
        assert events
        files = []
        for number in range(3):
            path = tmp_path / f"{number}.parquet"
            pq.write_table(events.slice(number * 100, 100 if number < 2 else None), path)
            files.append(ScanFile(str(path), path.stat().st_size, 100, ()))
        scan = Scan.from_files(files, dict(source.windows.types))
        return EventSource.from_scan(LocalRunner(2), scan, 1 << 30)

    monkeypatch.setattr(AggregationSource, "read_history", read_by_tasks)
    assert sync(store, "2024-01-03 12:00")["entities"] == 3
    check(ask(store, "by_tasks"), store)


def test_a_sync_that_waited_for_another_knows_what_that_one_knew(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two syncs at a time the one that ends last brings the newest events."""
    payments = store.get_feature_group("payments", 1)
    write(payments, make_events(30), EVENTS)
    make_writer = live_sync.make_writer

    class WaitingWriter:
        """Another sync runs whole before this one has the lock."""

        def __init__(self, online: Any) -> None:
            self._writer = make_writer(online)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._writer, name)

        def open_session(self, *table_and_origin: Any) -> Any:
            monkeypatch.setattr(live_sync, "make_writer", make_writer)
            write(payments, make_events(300), EVENTS)
            sync(store, "2024-01-03 12:00")
            return self._writer.open_session(*table_and_origin)

    monkeypatch.setattr(live_sync, "make_writer", WaitingWriter)
    sync(store, "2024-01-03 12:00")
    check(ask(store, "waited"), store)


def test_of_several_groups_of_the_same_windows_the_one_synced_last_serves(
    store: FeatureStore,
) -> None:
    payments = store.get_feature_group("payments", 1)
    sync(store, "2024-01-03 12:00")
    newer = store.create_feature_group("a", aggregation=declare(payments), online_enabled=True)
    write_deltalake(newer.location, pa.table({"card": ["a"]}))
    check(ask(store, "beside_new"), store)  # which is not online yet
    write(payments, make_events(200, seed=9), EVENTS)
    sync(store, "2024-01-03 12:00", "a")
    check(ask(store, "beside_old"), store)
    newer.delete(force=True)
    write(payments, make_events(300), EVENTS)
    sync(store, "2024-01-03 12:00")


def test_events_are_looked_up_only_where_records_do_not_tell(store: FeatureStore) -> None:
    """Between the newest event and a day after the sync they take no time: one by one and many."""
    events = store.get_feature_group("payments", 1)
    asked = store.get_feature_group("asked", 1)
    functions = [
        agg.count(over=OVERS),
        agg.mean("amount", over=OVERS, delay="30m"),
        agg.stddev("amount", over=[*OVERS, None]),
        agg.min("amount", over=OVERS),
        agg.max("t", over="7d"),
        agg.percentile("amount", 0.3, over="7d"),
        agg.distinct_count("shop", over=OVERS),
        agg.time_since_last(over="7d"),
    ]
    windows = spark_fs.Aggregation(events, functions, by=["card"])
    query = asked.select(["y"]).join(windows.select_all())
    view = store.create_feature_view("numbers", query, labels=["y"])
    reader = view._get_serving_state().vector_reader
    write(events, make_events(300), EVENTS)
    sync(store, "2024-01-03 12:00")
    training = read_training(store)
    newest = make_events(300).groupby("card")["t"].max()
    for instant in INSTANTS:
        entries = [{"card": key} for key in KEYS]
        vectors = view.get_feature_vectors(entries, now=instant)
        one_by_one = [view.get_feature_vector(entry, now=instant) for entry in entries]
        assert one_by_one == vectors
        for key, vector in zip(KEYS, vectors, strict=True):
            for name, value in zip(view.serving_columns, vector, strict=True):
                assert bits(value) == bits(training[key, instant][name]), (name, key, instant)
        for asked_for in (entries[:1], entries[:3]):
            prepared = reader.prepare_entries(asked_for, [{}] * len(asked_for))
            (rows,) = reader.find_rows([prepared], instant)
            for entry, (_, _, records, kept_events) in zip(asked_for, rows, strict=True):
                settled = newest[entry["card"]] + timedelta(minutes=30) < instant
                assert records
                assert (kept_events is None) == (settled and instant <= at("01-04 12:00"))


def test_a_name_without_room_for_the_table_of_windows_is_refused_at_creation(
    store: FeatureStore,
) -> None:
    habits = declare(store.get_feature_group("payments", 1))
    name = "h" * (store._stores.online.capabilities.max_identifier - len("_1$live"))
    if len(name) >= 63:
        pytest.skip("every name of a group has room")
    store.create_feature_group(name, aggregation=habits, online_enabled=True).delete()
    with pytest.raises(SettingsError, match="Choose a shorter name"):
        store.create_feature_group(f"{name}h", aggregation=habits, online_enabled=True)
    assert store.get_feature_groups(f"{name}h") == []
    spec = replace(store.get_feature_group("habits", 1)._spec, name=f"{name}h")
    store._stores.catalog.add_group(spec)  # of an earlier release
    store.get_feature_group(f"{name}h", 1).delete()
    assert store.get_feature_groups(f"{name}h") == []


def test_sync_online_brings_windows_online_by_workers_or_here(
    fs: FeatureStore, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = fs.create_feature_group("payments", primary_key=["id"], event_time="t")
    events.insert(make_events(300))
    habits = fs.create_feature_group("habits", aggregation=declare(events), online_enabled=True)
    habits.backfill("2024-01-01", "2024-01-02")
    asked = fs.create_feature_group("asked", primary_key=["card"], event_time="at")
    rows = [(key, instant, 1) for key in KEYS for instant in INSTANTS]
    asked.insert(pd.DataFrame(rows, columns=list(ASKED)))
    assert habits.sync_online(now="2024-01-03 12:00").summary["live_entities"] == 3
    view = ask(fs, "live")
    check(view, fs)
    late = make_events(40, seed=8)
    events.insert(late)
    events.delete_records(pd.DataFrame({"id": [7_007, 7_014]}))
    monkeypatch.setattr(event_source, "LOCAL_BYTES", 0)  # so that Spark's workers pack them
    assert habits.sync_online(now="2024-01-03 12:00").summary["live_entities"] == 3
    check(view, fs)
    connection = sqlite3.connect(fs._stores.online.path)
    habits.delete(force=True)
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
    assert not [name for name in names if name.startswith("habits")]


@pytest.mark.slow
@pytest.mark.long
def test_an_event_that_is_appended_while_its_key_is_deleted_counts_online_as_offline(
    fs: FeatureStore, tmp_path: Path
) -> None:
    events = fs.create_feature_group("payments", primary_key=["id"], event_time="t")
    events.insert(make_events(300))
    habits = fs.create_feature_group("habits", aggregation=declare(events), online_enabled=True)
    habits.backfill("2024-01-01", "2024-01-02")
    asked = fs.create_feature_group("asked", primary_key=["card"], event_time="at")
    rows = [(key, instant, 1) for key in KEYS for instant in INSTANTS]
    asked.insert(pd.DataFrame(rows, columns=list(ASKED)))
    habits.sync_online(now="2024-01-03 12:00")
    view = ask(fs, "live")
    gone = pd.DataFrame({"id": [7_007, 7_014]})
    again = make_events(20)[["id", *list(EVENTS)[1:]]]
    delete_while_others_append(events, gone, again.assign(id=again["id"] + 5), tmp_path)
    habits.sync_online(now="2024-01-03 12:00")
    check(view, fs)
