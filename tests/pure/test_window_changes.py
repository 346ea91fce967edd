"""Groups of window features after any history: late events, corrections, deletions, backfills, kills.

The run that decides what is built is the package's; its source and its table are dicts in memory here.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from window_oracle import evaluate

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.event_times import to_event_micros
from spark_fs.base.times import Interval, from_micros, to_micros
from spark_fs.engine.scan.filters import evaluate_condition
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.engine.windows.reach import ChangedEvents
from spark_fs.engine.windows.rows import compute_event_rows
from spark_fs.errors import SettingsError
from spark_fs.flows.jobs import Job
from spark_fs.flows.replace_rows import RowScope
from spark_fs.flows.window_build import WindowBuild
from spark_fs.planning.time_conditions import build_time_condition
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature
from spark_fs.tables.commits import Transaction

SECOND = 1_000_000
TYPES = {"id": "bigint", "k": "string", "t": "timestamp", "v": "double"}
SOURCE = QuerySpec(GroupRef("events", 1), tuple(TYPES))
SUM = WindowFeature("total", "sum", "v", 7 * SECOND)
LAST = WindowFeature("newest", "last", "v", 5 * SECOND, delay=3 * SECOND)
COUNT = WindowFeature("events", "count", None, 4 * SECOND)
EVER = WindowFeature("ever", "distinct_count", "v", None)
AGGREGATIONS = {
    "at events": AggregationSpec(SOURCE, (SUM, LAST, COUNT), ("k",), "t"),
    "both ends": AggregationSpec(SOURCE, (SUM, LAST), ("k",), "t", closed="both"),
    "all history": AggregationSpec(SOURCE, (COUNT, EVER), ("k",), "t"),
    "a grid": AggregationSpec(SOURCE, (SUM, LAST, COUNT), ("k",), "t", every=3 * SECOND),
    "a grid over all history": AggregationSpec(SOURCE, (COUNT, EVER), ("k",), "t", 2 * SECOND),
}
Event = tuple[str | None, int | None, float | None]  # key, second, value


@dataclass
class Events:
    """A source in memory: events by their ids, and what each version changed."""

    plan: WindowPlan
    now: dict[int, Event] = field(default_factory=dict)
    changes: list[list[Event]] = field(default_factory=list)
    tracked_id: str | None = "spark_fs.source.events"
    max_changes: int = 1_000

    @property
    def version(self) -> int:
        return len(self.changes)

    def write(self, events: dict[int, Event | None]) -> None:
        """Events that come, change, or (None) go: one version."""
        changed = []
        for id_, event in events.items():
            if id_ in self.now:
                changed.append(self.now.pop(id_))
            if event is not None:
                self.now[id_] = event
                changed.append(event)
        self.changes.append(changed)

    @contextmanager
    def compute_rows(
        self, interval: Interval, changed: ChangedEvents | None = None
    ) -> Iterator[pa.Table]:
        events = to_table(list(self.now.values()))
        if changed is not None:
            events = changed.select_needed(events, self.plan.known_at)
        rows = compute_event_rows(events, self.plan, interval)
        yield rows if changed is None else changed.select_reached(rows, self.plan.row_instant)

    def read_changes(self, since: int, within: TimeBounds) -> ChangedEvents | TimeBounds | None:
        found = [event for version in self.changes[since:] for event in version]
        changed = ChangedEvents.from_rows(to_table(found), self.plan, within)
        bounds = changed.find_bounds(within)
        return changed if bounds and len(changed) <= self.max_changes else bounds


def to_table(events: Sequence[Event]) -> pa.Table:
    rows = [
        {"id": 0, "k": k, "t": None if t is None else from_micros(t * SECOND), "v": v}
        for k, t, v in events
    ]
    return pa.Table.from_pylist(rows, schema=to_arrow_schema(TYPES))


class KilledError(Exception):
    pass


@dataclass
class Rows:
    """A table in memory; a run dies after so many commits."""

    rows: dict[tuple[str, datetime], Any] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    commits_left: int = 1_000_000

    def commit(self) -> None:
        if not self.commits_left:
            raise KilledError
        self.commits_left -= 1

    def find_number(self, id_: str) -> int | None:
        return self.numbers.get(id_)

    def replace_rows(
        self,
        rows: pa.Table,
        scope: RowScope,
        transaction: Transaction | None,
        noted: Sequence[Transaction],
    ) -> Job:
        wanted = {(row["k"], row["t"]): row for row in rows.to_pylist()}
        assert scope.interval.start
        assert scope.interval.end
        assert all(scope.interval.start <= t < scope.interval.end for _, t in wanted)
        existing = {
            row: values
            for row, values in self.rows.items()
            if scope.interval.start <= row[1] < scope.interval.end
        }
        if scope.changed is not None and existing:
            table = pa.table(
                {"k": [k for k, _ in existing], "t": [t for _, t in existing]},
                schema=to_arrow_schema({"k": "string", "t": "timestamp"}),
            )
            reached = scope.changed.select_reached(table, ("t", "timestamp"))
            existing = {(row["k"], row["t"]): None for row in reached.to_pylist()}
        gone = existing.keys() - wanted.keys()
        if gone:
            self.commit()
            for row in gone:
                del self.rows[row]
        self.commit()
        self.rows |= wanted
        if transaction:
            self.numbers[transaction.app_id] = transaction.number
        for each in noted:
            self.commit()
            self.numbers[each.app_id] = each.number
        return Job("replace", {"read": len(wanted), "deleted": len(gone)})


@dataclass
class Catalog:
    """How far backfills have come."""

    group: GroupSpec
    progress: dict[Interval, datetime] = field(default_factory=dict)

    def get_group(self, name: str, version: int | None = None) -> GroupSpec:
        return self.group

    def change_group(self, ref: GroupRef, change: Any) -> GroupSpec:
        self.group = change(self.group)
        return self.group

    def get_backfill_progress(self, ref: GroupRef, interval: Interval) -> datetime | None:
        return self.progress.get(interval)

    def record_backfill(self, ref: GroupRef, interval: Interval, done: Interval) -> None:
        self.progress.pop(interval, None)
        if done.end != interval.end:
            assert done.end
            self.progress[interval] = done.end


@dataclass
class Store:
    """A source, and a group that is built of it."""

    spec: AggregationSpec
    events: Events
    rows: Rows
    catalog: Catalog

    @classmethod
    def make(cls, spec: AggregationSpec) -> "Store":
        plan = bind_aggregation(spec, TYPES)
        group = GroupSpec("g", 1, primary_key=("k",), event_time="t")
        return cls(spec, Events(plan), Rows(), Catalog(group))

    @property
    def build(self) -> WindowBuild:
        changes = self.events.read_changes
        return WindowBuild(self.catalog, self.catalog.group, self.events, changes, self.rows)

    def backfill(
        self, start: int, end: int, every: int | None = None, restart: bool = False
    ) -> None:
        length = None if every is None else timedelta(seconds=every)
        self.build.backfill(to_interval(start, end), length, restart, None)

    def run_until(self, until: int, every: int = 5, lateness: int = 0) -> list[Job]:
        return self.build.run_until(
            from_micros(until * SECOND), timedelta(seconds=every), timedelta(seconds=lateness)
        )

    @property
    def built(self) -> tuple[int, int]:
        start = datetime.fromisoformat(self.catalog.group.built_from or "")
        return to_micros(start) // SECOND, self.rows.numbers["spark_fs.watermark"] // SECOND

    def check(self) -> None:
        """The rows are those that plain Python makes of the events that there are, to the last bit."""
        start, end = self.built
        wanted = list_rows(self.spec, list(self.events.now.values()), start, end)
        found = [tuple(row.values()) for row in self.rows.rows.values()]
        assert sorted(found, key=lambda row: row[:2]) == wanted


def to_interval(start: int, end: int) -> Interval:
    return Interval(from_micros(start * SECOND), from_micros(end * SECOND))


def list_rows(
    spec: AggregationSpec, events: list[Event], start: int, end: int
) -> list[tuple[Any, ...]]:
    """The rows of an aggregation, one window at a time."""
    known = [(k, t * SECOND, v) for k, t, v in events if k is not None and t is not None]
    rows = []
    for key in sorted({k for k, _, _ in known}):
        own = [(t, v) for k, t, v in known if k == key]
        for at in range(start * SECOND, end * SECOND, SECOND):
            if spec.every is None:
                is_row = any(t == at for t, _ in own)
            else:
                instants = [(t, 0) for t, _ in own]
                counts = [
                    evaluate("count", instants, at, each.over, each.delay, spec.closed)
                    for each in spec.features
                ]
                is_row = at % spec.every == 0 and any(counts)
            if is_row:
                values = [evaluate_feature(each, own, at, spec.closed) for each in spec.features]
                rows.append((key, from_micros(at), *values))
    return rows


def evaluate_feature(
    feature: WindowFeature, events: list[tuple[int, float | None]], at: int, closed: str
) -> Any:
    if feature.column is None:
        events = [(t, 0.0) for t, _ in events]
    counted = [(t, v) for t, v in events if v is not None]
    return evaluate(feature.function, counted, at, feature.over, feature.delay, closed)


# -- any history gives the rows of one backfill at its end

KEYS = st.sampled_from(["a", "b"])
EVENTS = st.one_of(
    st.tuples(KEYS, st.integers(-5, 40), st.sampled_from([None, 0.1, 0.2, 1e16, -1e16, 3.0])),
    st.tuples(st.none() | KEYS, st.none(), st.just(1.0)),
)
WRITES = st.dictionaries(st.integers(0, 9), st.none() | EVENTS, min_size=1, max_size=4)
STEPS = st.one_of(
    WRITES.map(lambda events: ("write", events)),
    WRITES.map(lambda events: ("write", events)),
    st.tuples(
        st.just("backfill"),
        st.integers(0, 30),
        st.integers(1, 15),
        st.none() | st.integers(2, 6),
        st.booleans(),
    ),
    st.tuples(st.just("run"), st.integers(0, 40), st.integers(2, 9), st.integers(0, 6)),
)


HISTORIES = {
    "steps": st.lists(STEPS, max_size=8),
    "kills": st.lists(st.integers(0, 4), max_size=8),
    "max_changes": st.sampled_from([0, 1_000]),
}
SLOW_MACHINE = [HealthCheck.too_slow]


@pytest.mark.parametrize("name", AGGREGATIONS)
@settings(max_examples=20, deadline=None, suppress_health_check=SLOW_MACHINE)
@given(**HISTORIES)
@example(steps=[("backfill", 0, 1, None, False)], kills=[0], max_changes=0)
def test_a_few_histories_give_the_rows_of_one_backfill(
    name: str, steps: list[Any], kills: list[int], max_changes: int
) -> None:
    check_history(name, steps, kills, max_changes)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", AGGREGATIONS)
@settings(max_examples=200, deadline=None, suppress_health_check=SLOW_MACHINE)
@given(**HISTORIES)
def test_any_history_gives_the_rows_of_one_backfill(
    name: str, steps: list[Any], kills: list[int], max_changes: int
) -> None:
    check_history(name, steps, kills, max_changes)


def check_history(name: str, steps: list[Any], kills: list[int], max_changes: int) -> None:
    store = Store.make(AGGREGATIONS[name])
    store.events.max_changes = max_changes
    store.events.write({0: ("a", 3, 1.5), 1: ("b", 8, 2.5)})
    store.backfill(5, 12)
    for kind, *arguments in steps:
        if kind == "write":
            store.events.write(arguments[0])
            continue
        store.rows.commits_left = kills.pop() if kills else 1_000_000
        try:
            take_step(store, kind, arguments)
        except KilledError:  # as a scheduler does
            store.rows.commits_left = 1_000_000
            take_step(store, kind, arguments)
    store.rows.commits_left = 1_000_000
    store.run_until(store.built[1])
    store.check()


def take_step(store: Store, kind: str, arguments: list[Any]) -> None:
    if kind == "run":
        store.run_until(*arguments)
        return
    start, length, every, restart = arguments
    built_from, watermark = store.built
    start = min(start, watermark)
    end = max(start + length, built_from)
    store.backfill(start, end, every, restart)


# -- what runs do, and how much


@pytest.fixture
def store() -> Store:
    store = Store.make(AGGREGATIONS["at events"])
    store.events.write({id_: ("ab"[id_ % 2], id_, float(id_)) for id_ in range(20)})
    return store


def test_a_late_event_makes_the_rows_of_its_key_that_it_reaches_anew(store: Store) -> None:
    store.backfill(0, 20)
    store.events.write({100: ("a", 7, 50.0)})
    (job,) = store.run_until(20)
    assert job.summary == {"read": 5, "deleted": 0}  # at 7, 8, 10, 12 and 14, of a alone
    store.check()


def test_a_deleted_event_takes_its_row_with_it(store: Store) -> None:
    store.backfill(0, 20)
    store.events.write({8: None})
    (job,) = store.run_until(20)
    assert job.summary == {"read": 4, "deleted": 1}
    store.check()


def test_what_nothing_reaches_is_left_alone(store: Store) -> None:
    store.backfill(10, 15)
    rows = dict(store.rows.rows)
    store.events.write({100: ("a", 1, 5.0), 101: ("b", 15, 5.0), 102: (None, 12, 5.0)})
    assert store.run_until(15) == []
    assert store.rows.rows == rows
    assert [job.summary["read"] for job in store.run_until(25)] == [5, 0]
    store.check()


def test_an_event_before_the_first_backfill_counts_in_windows(store: Store) -> None:
    store.backfill(10, 15)
    store.events.write({100: ("a", 4, 50.0)})
    (job,) = store.run_until(15)
    assert job.summary["read"] == 2  # of a, at 10 and 12
    store.check()


def test_a_second_run_does_nothing(store: Store) -> None:
    store.backfill(0, 10)
    store.events.write({100: ("a", 4, 50.0)})
    assert len(store.run_until(20)) == 3
    numbers = dict(store.rows.numbers)
    assert store.run_until(20) == []
    assert store.rows.numbers == numbers


def test_many_changes_are_taken_in_by_whole_intervals(store: Store) -> None:
    store.backfill(0, 20)
    store.events.max_changes = 0
    store.events.write({100: ("a", 7, 50.0), 8: None})
    jobs = store.run_until(20, every=5)
    assert [job.summary["deleted"] for job in jobs] == [1, 0]
    assert store.rows.numbers["spark_fs.source.events"] == 2
    store.check()


def test_a_resumed_backfill_does_not_hide_what_changed_meanwhile(store: Store) -> None:
    store.rows.commits_left = 3
    with pytest.raises(KilledError):
        store.backfill(0, 20, every=5)
    store.rows.commits_left = 1_000_000
    store.events.write({100: ("a", 2, 50.0), 3: None})
    store.backfill(0, 20, every=5)
    assert store.rows.numbers["spark_fs.source.events"] == 1
    store.run_until(20)
    store.check()


def test_a_backfill_of_everything_takes_the_source_in(store: Store) -> None:
    store.backfill(5, 15)
    store.events.write({100: ("a", 7, 50.0), 8: None})
    store.backfill(0, 20, every=6)
    assert store.rows.numbers["spark_fs.source.events"] == 2
    assert store.run_until(20) == []
    store.check()


def test_a_source_that_cannot_tell_its_changes_is_read_again_by_lateness(store: Store) -> None:
    store.events.tracked_id = None
    store.backfill(0, 15)
    store.events.write({100: ("a", 12, 50.0), 13: None})
    (job,) = store.run_until(20, lateness=3)
    assert job.summary == {"read": 7, "deleted": 1}
    store.check()


def test_a_backfill_leaves_no_gap(store: Store) -> None:
    store.backfill(5, 10)
    with pytest.raises(
        SettingsError,
        match=r"'g' version 1 has rows of \[1970-01-01T00:00:05\+00:00, 1970-01-01T00:00:10\+00:00\), and a"
        r" backfill of .* would leave a time between them without rows: begin it at the end",
    ):
        store.backfill(11, 12)
    with pytest.raises(SettingsError, match="would leave a time between them"):
        store.backfill(1, 4)
    store.backfill(1, 5)
    store.backfill(10, 12)
    store.check()


def test_a_run_needs_a_backfill_and_a_source_that_is_the_same(store: Store) -> None:
    with pytest.raises(
        SettingsError, match=r"'g' version 1 has no watermark yet: run backfill\(start, end\) first"
    ):
        store.run_until(5)
    store.backfill(0, 5)
    store.events.tracked_id = "spark_fs.source.another"
    with pytest.raises(
        SettingsError,
        match=r"the table of its source was made again since\. Build it again by backfill\('1970-01-01T00:00:00\+00:00', '1970-01-01T00:00:05\+00:00', restart=True\)",
    ):
        store.run_until(10)
    store.backfill(0, 5, restart=True)
    store.run_until(10)
    store.check()


@pytest.mark.parametrize("type_", ["timestamp", "date", "bigint"])
def test_changes_reach_instants_of_every_type(type_: str) -> None:
    day = 86_400 * SECOND
    feature = replace(SUM, over=2 * day)
    plan = bind_aggregation(AggregationSpec(SOURCE, (feature,), ("k",), "t"), {**TYPES, "t": type_})
    days = [from_micros(number * day) for number in range(6)]
    instants: list[Any] = list(days)
    if type_ == "date":
        instants = [each.date() for each in days]
    if type_ == "bigint":
        instants = [number * 86_400 for number in range(6)]
    schema = to_arrow_schema({"k": "string", "t": type_})
    rows = pa.table({"k": ["a"] * 6, "t": instants}, schema=schema)
    changed = ChangedEvents.from_rows(rows.slice(2, 1), plan)
    assert changed.find_bounds((None, None)) == (2 * day, 4 * day + 1)
    assert changed.select_reached(rows, ("t", type_)).column("t").to_pylist() == instants[2:5]
    assert changed.select_needed(rows, ("t", type_)).column("t").to_pylist() == instants[0:5]


BOUNDS = st.none() | st.integers(-(3 * 10**14), 3 * 10**15)
VALUES = {
    "timestamp": st.integers(-(10**15), 4 * 10**15).map(from_micros),
    "date": st.dates(datetime(1900, 1, 1).date(), datetime(2090, 1, 1).date()),
    "bigint": st.integers(-(10**9), 3 * 10**9) | st.integers(10**11, 3 * 10**12),
    "int": st.integers(-(2**31), 2**31 - 1),
}


@pytest.mark.parametrize("type_", VALUES)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), start=BOUNDS, length=st.none() | st.integers(1, 10**15))
def test_every_instant_of_an_interval_meets_its_condition(
    type_: str, data: st.DataObject, start: int | None, length: int | None
) -> None:
    end = None if length is None else (start or 0) + length
    condition = build_time_condition(SOURCE.group, "t", type_, start, end)
    values = data.draw(st.lists(VALUES[type_], min_size=1, max_size=20))
    column = pa.chunked_array([pa.array(values, to_arrow_schema({"t": type_}).field("t").type)])
    micros = to_event_micros(column, type_).to_pylist()
    within = [(start is None or m >= start) and (end is None or m < end) for m in micros]
    if condition is None:
        assert all(within)
        return
    met = evaluate_condition(condition, {"t": column}, {"t": type_}).to_pylist()
    if type_ in ("timestamp", "date"):
        assert met == within
    else:
        assert all(m for m, is_within in zip(met, within, strict=True) if is_within)
