"""Groups that build themselves: backfills, increments and what changes in their source's past, over Spark and Delta."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from window_oracle import evaluate

import spark_fs
from spark_fs import aggregate as agg
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.times import to_micros
from spark_fs.errors import SettingsError
from spark_fs.flows import event_changes, event_source

from conftest import at, first_quick

Row = tuple[int, Any, str | None, float | None]  # id, instant, key, value
SUMS = [agg.sum("v", over=["4h", "1d"]), agg.last("v", over="6h", delay="2h"), agg.count(over="4h")]


def to_frame(rows: list[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["id", "t", "k", "v"])
    return frame.astype({"id": "int64", "k": "object", "v": "float64"})


def hourly(start: datetime, count: int, first_id: int = 0) -> list[Row]:
    """An event an hour, of a and b in turn."""
    return [
        (first_id + n, start + timedelta(hours=n), "ab"[n % 2], 0.1 * (first_id + n))
        for n in range(count)
    ]


@pytest.fixture
def events(fs: FeatureStore) -> FeatureGroup:
    group = fs.create_feature_group("events", primary_key=["id"], event_time="t")
    group.insert(to_frame(hourly(at("01-01"), 60)))
    return group


def declare(
    fs: FeatureStore, source: Any, name: str = "windows", features: Any = SUMS, **declared: Any
) -> FeatureGroup:
    aggregation = spark_fs.Aggregation(source, features, by=["k"], **declared)
    return fs.create_feature_group(name, aggregation=aggregation)


def check(group: FeatureGroup, rows: pd.DataFrame, start: str, end: str) -> None:
    """The group's rows are, to the last bit, what plain Python makes of these events."""
    assert group.aggregation
    spec = group.aggregation.spec
    known = [
        (row.k, to_micros(row.t.to_pydatetime()), row.v)
        for row in rows.itertuples()
        if isinstance(row.k, str) and not pd.isna(row.t)
    ]
    instants = {(k, t) for k, t, _ in known}
    if spec.every is not None:
        grid = range(to_micros(at(start)), to_micros(at(end)), spec.every)
        instants = {
            (key, instant)
            for key in {k for k, _, _ in known}
            for instant in grid
            if any(
                evaluate("count", own(known, key, "k"), instant, each.over, each.delay, spec.closed)
                for each in spec.features
            )
        }
    wanted = []
    for key, instant in sorted(instants):
        if to_micros(at(start)) <= instant < to_micros(at(end)):
            values = [
                evaluate(
                    each.function,
                    own(known, key, each.column),
                    instant,
                    each.over,
                    each.delay,
                    spec.closed,
                    each.argument,
                )
                for each in spec.features
            ]
            wanted.append((key, instant, *values))
    found = [
        (row[0], to_micros(row[1].to_pydatetime()), *(None if pd.isna(v) else v for v in row[2:]))
        for row in group.read("pandas").itertuples(index=False)
    ]
    assert sorted(found) == wanted


def own(
    known: list[tuple[str, int, float]], key: str, column: str | None
) -> list[tuple[int, float]]:
    if column != "v":
        return [(t, 0.0) for k, t, v in known if k == key]
    return [(t, v) for k, t, v in known if k == key and not pd.isna(v)]


def test_any_order_of_runs_and_changes_gives_the_rows_of_one_backfill(
    fs: FeatureStore, events: FeatureGroup
) -> None:
    windows = declare(fs, events)
    job = windows.backfill(at("01-01 06:00"), at("01-02"), every=timedelta(hours=10))
    assert (job.summary["inserted"], job.summary["chunks"]) == (18, 2)
    (job,) = windows.run_incremental("2024-01-03")
    assert job.summary == {
        "read": 24,
        "inserted": 24,
        "updated": 0,
        "unchanged": 0,
        "set_aside": 0,
        "deleted": 0,
    }
    assert [commit.inserted for commit in windows.commit_details()] == [24, 8, 10]
    assert windows.run_incremental("2024-01-03") == []
    late = [(100, at("01-01 04:30"), "a", 5.0), (101, at("01-02 01:30"), "b", 0.3)]
    events.insert(to_frame([*late, (102, at("01-09"), "a", 1.0), (103, at("01-02"), None, 1.0)]))
    (job,) = windows.run_incremental("2024-01-03")
    assert (job.summary["inserted"], job.summary["deleted"]) == (1, 0)
    check(windows, events.read("pandas"), "01-01 06:00", "01-03")
    events.insert(to_frame([(3, at("01-01 03:00"), "a", 9.0), (31, at("01-02 07:00"), "b", -7.0)]))
    events.delete_records(pd.DataFrame({"id": [40, 102]}))
    (job, _) = windows.run_incremental("2024-01-03 12:00", every=timedelta(hours=12))
    assert job.summary["deleted"] == 1
    assert windows.watermark == at("01-03 12:00")
    check(windows, events.read("pandas"), "01-01 06:00", "01-03 12:00")
    whole = declare(fs, events, "whole")
    whole.backfill("2024-01-01 06:00", "2024-01-03 12:00")
    assert_same(windows, whole)


def assert_same(one: FeatureGroup, other: FeatureGroup) -> None:
    frames = []
    for group in (one, other):
        frame = group.read("pandas")
        frames.append(frame.sort_values(list(frame.columns[:2])).reset_index(drop=True))
    pd.testing.assert_frame_equal(*frames, check_exact=True)


@pytest.mark.parametrize(
    ("declared", "engine"),
    first_quick(
        [
            ({"every": "3h", "features": "all"}, "local"),
            ({"every": "3h", "features": "all"}, "spark"),
            ({"every": "90m"}, "spark"),
            ({"every": "90m"}, "local"),
            ({"closed": "both"}, "spark"),
        ],
        0,
        ci=2,
    ),
    ids=str,
)
def test_large_sources_are_taken_in_by_spark_or_threads(
    events: FeatureGroup,
    declared: dict[str, Any],
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_source, "LOCAL_BYTES", -1)
    fs = spark_fs.login({"home": tmp_path, "engine": engine}).get_feature_store()
    events = fs.get_feature_group("events")
    if declared.get("features"):
        declared = declared | {"features": [agg.sum("v", over=None), agg.count(over="4h")]}
    windows = declare(fs, events, **declared)
    windows.backfill("2024-01-01", "2024-01-02", every=timedelta(hours=12))
    events.insert(to_frame([(100, at("01-01 03:30"), "a", 5.0), (4, at("01-01 04:00"), "b", 2.0)]))
    events.delete_records(pd.DataFrame({"id": [7, 23]}))
    windows.run_incremental("2024-01-03")
    check(windows, events.read("pandas"), "01-01", "01-03")
    monkeypatch.setattr(event_changes, "MAX_CHANGES", 1)
    events.insert(to_frame([(101, at("01-02 02:10"), "a", 5.0), (102, at("01-02 05:00"), "b", 2)]))
    events.delete_records(pd.DataFrame({"id": [30]}))
    windows.run_incremental("2024-01-03", every=timedelta(hours=7))
    check(windows, events.read("pandas"), "01-01", "01-03")
    assert windows.run_incremental("2024-01-03") == []


@pytest.mark.parametrize("type_", first_quick(["date", "bigint"], 0, ci=1))
def test_instants_of_every_type(fs: FeatureStore, type_: str) -> None:
    days = [at(f"01-0{day}") for day in range(1, 9)]

    def to_instant(when: datetime) -> Any:
        return when.date() if type_ == "date" else int(when.timestamp())

    source = fs.create_feature_group("days", primary_key=["id"])
    rows = [(n, day, "ab"[n % 2], float(n)) for n, day in enumerate(days)]
    source.insert(to_frame([(n, to_instant(day), k, v) for n, day, k, v in rows]))
    features = [agg.sum("v", over="3d"), agg.time_since_last(over="7d")]
    windows = declare(fs, source, features=features, known_at="t")
    windows.backfill("2024-01-02", "2024-01-05")
    source.insert(to_frame([(100, to_instant(days[1]), "a", 5.0)]))
    source.delete_records(pd.DataFrame({"id": [3]}))
    windows.run_incremental("2024-01-08")
    rows = [*(row for row in rows if row[0] != 3), (100, days[1], "a", 5.0)]
    found = windows.read("pandas")
    found["t"] = pd.to_datetime(found["t"], unit="s" if type_ == "bigint" else None, utc=True)
    wanted = to_frame(rows)
    for row in found.itertuples():
        before = wanted[(wanted.k == row.k) & (wanted.t < row.t)]
        recent = before[before.t >= row.t - timedelta(days=3)]
        assert (None if pd.isna(row[3]) else row[3]) == (recent.v.sum() if len(recent) else None)
    expected = {(r[2], r[1]) for r in rows if days[1] <= r[1] < days[7]}
    assert {(row.k, row.t.to_pydatetime()) for row in found.itertuples()} == expected


@pytest.mark.slow
def test_of_rows_with_one_identity_the_last_is_the_event(
    fs: FeatureStore, events: FeatureGroup
) -> None:
    windows = declare(fs, events)
    windows.backfill("2024-01-01", "2024-01-03")
    events.insert(to_frame([(10, at("01-01 10:00"), "b", 4.0)]), operation="insert")
    assert events.spec.may_have_duplicates
    windows.run_incremental("2024-01-03")
    check(windows, events.read("pandas"), "01-01", "01-03")


@pytest.mark.slow
def test_a_source_of_several_groups_or_of_others_is_read_again_by_lateness(
    fs: FeatureStore, events: FeatureGroup, group: Callable[..., FeatureGroup]
) -> None:
    shops = group("shops", pd.DataFrame({"k": ["a", "b"], "rate": [2.0, 3.0]}), primary_key=["k"])
    query = events.select_all().join(shops.select(["rate"]), on=["k"])
    joined = declare(fs, query, "joined", [agg.sum("rate", over="4h"), agg.count(over="4h")])
    columns = [spark_fs.Feature(name, type_) for name, type_ in events.schema.items()]
    outside = fs.create_external_feature_group(
        "outside", primary_key=["id"], event_time="t", path=events.location, features=columns
    )
    external = declare(fs, outside, "external")
    for windows in (joined, external):
        windows.backfill("2024-01-01", "2024-01-02")
    late = [(100, at("01-01 22:30"), "a", 5.0)]
    events.insert(to_frame(late))
    events.delete_records(pd.DataFrame({"id": [23]}))
    for windows in (joined, external):
        windows.run_incremental("2024-01-03", lateness=timedelta(hours=6))
    check(external, events.read("pandas"), "01-01", "01-03")
    rows = joined.read("pandas")
    expected = rows["k"].map({"a": 2.0, "b": 3.0}) * rows["count_4h"]
    assert rows["rate_sum_4h"].fillna(0.0).tolist() == expected.tolist()
    assert len(rows) == 48
    assert at("01-01 22:30") in set(rows["t"])


@pytest.mark.slow
def test_a_source_that_was_made_anew_is_built_again(fs: FeatureStore, events: FeatureGroup) -> None:
    windows = declare(fs, events)
    windows.backfill("2024-01-01", "2024-01-02")
    events.delete(force=True)
    again = fs.create_feature_group("events", primary_key=["id"], event_time="t")
    again.insert(to_frame(hourly(at("01-01"), 30, first_id=7)))
    with pytest.raises(SettingsError, match="the table of its source was made again since"):
        windows.run_incremental("2024-01-03")
    windows.backfill("2024-01-01", "2024-01-02", restart=True)
    windows.run_incremental("2024-01-03")
    check(windows, again.read("pandas"), "01-01", "01-03")


def test_what_cannot_be_built_says_so(fs: FeatureStore) -> None:
    events = fs.create_feature_group(
        "events",
        primary_key=["id"],
        event_time="t",
        features=[
            spark_fs.Feature("id", "bigint"),
            spark_fs.Feature("t", "timestamp"),
            spark_fs.Feature("k", "string"),
            spark_fs.Feature("v", "double"),
        ],
    )
    windows = declare(fs, events)
    plain = fs.create_feature_group("plain", primary_key=["id"], event_time="t")

    def build(spark: Any, start: datetime, end: datetime) -> Any:
        raise AssertionError

    refused: list[tuple[Callable[[], object], str]] = [
        (
            lambda: windows.backfill("2024-01-01", "2024-01-02"),
            "Feature group 'events' version 1 has no rows yet, and window features are made of"
            " them: insert its first rows.",
        ),
        (
            lambda: windows.backfill("2024-01-02", "2024-01-01"),
            "The interval from 2024-01-02 00:00:00+00:00 to 2024-01-01 00:00:00+00:00 is empty: its"
            " start must lie before its end.",
        ),
        (
            lambda: windows.backfill(build, "2024-01-01", "2024-01-02"),
            "Feature group 'windows' version 1 builds its rows by its aggregation: leave the"
            " function out, as in backfill(start, end).",
        ),
        (
            lambda: windows.run_incremental(build, "2024-01-01"),
            "Feature group 'windows' version 1 builds its rows by its aggregation: leave the"
            " function out, as in run_incremental(until).",
        ),
        (
            lambda: plain.backfill("2024-01-01", "2024-01-02"),
            "Feature group 'plain' version 1 has no aggregation that builds its rows: give the"
            " function that does, as in backfill(build, start, end), or declare the group with"
            " aggregation=.",
        ),
        (
            lambda: plain.run_incremental(until="2024-01-02"),
            "Feature group 'plain' version 1 has no aggregation that builds its rows: give the"
            " function that does, as in run_incremental(build, until), or declare the group with"
            " aggregation=.",
        ),
        (
            lambda: windows.backfill("2024-01-01"),
            "Feature group 'windows' version 1 is built up to an instant (UTC) that the caller"
            " names: call backfill(start, end).",
        ),
        (
            lambda: windows.backfill("2024-01-01", "2024-01-02", "2024-01-03"),
            "backfill(start, end) of feature group 'windows' version 1 was given '2024-01-01' in"
            " the place of a function, which it takes none of: name every= and what else follows.",
        ),
    ]
    for call, message in refused:
        with pytest.raises(SettingsError) as caught:
            call()
        assert str(caught.value) == message
    assert windows.watermark is None
    events.insert(to_frame(hourly(at("01-01"), 2)))
    with pytest.raises(SettingsError, match=r"no watermark yet: run backfill\(start, end\) first"):
        windows.run_incremental("2024-01-02")
    windows.backfill(start="2024-01-01", end="2024-01-02")
    assert windows.run_incremental(None, until=datetime(2024, 1, 2, tzinfo=UTC)) == []
