"""Tiles kept beside a group: whatever becomes of runs and events, rows and tiles are the same."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st
from test_window_tiles import (
    EVERYTHING,
    HOUR,
    Event,
    build_all_rows,
    events_of,
    list_rows,
    plans,
    to_table,
)

from spark_fs.base.times import DAY_MICROS, Interval, from_micros
from spark_fs.engine.windows.reach import ChangedEvents
from spark_fs.engine.windows.rows import to_bounds
from spark_fs.engine.windows.tile_columns import make_tile_schema
from spark_fs.engine.windows.tile_rows import age_tiles, make_tiles
from spark_fs.engine.windows.tile_spans import Stretch, choose_reads, find_oldest_edge
from spark_fs.errors import SettingsError
from spark_fs.flows.tile_upkeep import TileUpkeep
from spark_fs.flows.window_tiles import TiledSource
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature
from spark_fs.tables.tile_files import TileFiles


class MemorySource:
    """Events in memory, with all of their versions; it counts what is read of them."""

    tracked_id = "memory"

    def __init__(self, windows: WindowPlan) -> None:
        self.windows = windows
        self.versions: list[list[Event]] = [[]]
        self.first_known = 0
        self.is_large = False
        self.read: list[Any] = []

    @property
    def version(self) -> int:
        return len(self.versions) - 1

    @property
    def events(self) -> list[Event]:
        return self.versions[-1]

    @contextmanager
    def compute_rows(self, interval: Interval, changed: Any = None) -> Iterator[pa.Table]:
        assert changed is None
        start, end = to_bounds(interval)
        yield build_all_rows(self.windows, self.events, (start, end))

    def read_events(self, bounds: Any) -> pa.Table:
        self.read.append(bounds)
        start, end = bounds
        inside = [row for row in self.events if row[1] is not None and row[1] < end]
        return to_table(self.windows, [row for row in inside if start is None or row[1] >= start])

    def make_tiles(self, stretch: Stretch) -> pa.Table | None:
        if self.is_large:
            return None
        return make_tiles(self.read_events(stretch), self.windows, stretch)

    def read_changes(self, since: int, within: Any) -> ChangedEvents | None:
        if since < self.first_known:
            raise SettingsError("the history is gone")
        before = Counter(map(repr, self.versions[since]))
        after = Counter(map(repr, self.events))
        differing = {**(before - after), **(after - before)}
        rows = [row for row in self.versions[since] + self.events if repr(row) in differing]
        changed = ChangedEvents.from_rows(to_table(self.windows, rows), self.windows, within)
        return changed if len(changed) else None


def check_tiles(
    source: MemorySource, folder: str, bounds: tuple[int, int], was_damaged: bool
) -> None:
    """What is kept is what all events give, of the newest version if tiles served the run."""
    plan = source.windows
    kept = TileFiles.load(folder, make_tile_schema(plan))
    assert kept is not None
    state, files = kept
    has_reached_further = state.since > find_oldest_edge(plan, bounds[0])  # by a run made again
    if choose_reads(plan, *bounds).tiles and not has_reached_further:
        assert state.version == source.version
        assert state.until >= bounds[1] // DAY_MICROS * DAY_MICROS
    table = to_table(plan, source.versions[state.version])
    before = Stretch(EVERYTHING.start, state.until)
    expected = age_tiles(make_tiles(table, plan, before), plan, state.since)
    tiles = files.read_days(files.days)
    if tiles is None:  # a damaged file is found by the first run that needs it
        assert was_damaged
        return
    assert list_rows(tiles) == list_rows(expected)


def damage(folder: str, data: st.DataObject) -> None:
    by_age = sorted(Path(folder).glob("*.arrow"), key=lambda path: path.stat().st_mtime_ns)
    by_day = sorted(by_age, key=lambda path: path.name.partition("-")[0])
    victim = data.draw(st.sampled_from(by_day))
    if data.draw(st.booleans()):
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:40])


@settings(max_examples=40, deadline=None)
@given(plan=plans(least_hours=73), data=st.data())
def test_a_few_sequences_of_runs_give_the_same_rows_and_tiles(
    plan: WindowPlan, data: st.DataObject
) -> None:
    check_sequence(plan, data)


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(plan=plans(least_hours=73), data=st.data())
def test_any_sequence_of_runs_gives_the_same_rows_and_tiles(
    plan: WindowPlan, data: st.DataObject
) -> None:
    check_sequence(plan, data)


def check_sequence(plan: WindowPlan, data: st.DataObject) -> None:
    folder = tempfile.mkdtemp()
    source = MemorySource(plan)
    tiled = TiledSource(source, TileUpkeep(source, source.read_changes, f"{folder}/tiles"))
    was_damaged = False
    watermark = data.draw(st.integers(0, 8)) * DAY_MICROS
    try:
        for _ in range(data.draw(st.integers(1, 4))):
            step = data.draw(st.sampled_from(["run", "run", "again", "damage", "forget", "grow"]))
            note(step)
            if step == "damage" and Path(folder, "tiles").exists():
                damage(f"{folder}/tiles", data)
                was_damaged = True
            source.is_large = step == "grow"
            if step == "forget":
                source.first_known = source.version
            gone = data.draw(st.integers(0, len(source.events)))
            added = data.draw(events_of(plan, 8))
            source.versions.append([*source.events[gone // 4 :], *added])
            length = data.draw(st.sampled_from([HOUR, DAY_MICROS, 5 * DAY_MICROS // 2]))
            bounds = (watermark, watermark + length)
            interval = Interval(from_micros(bounds[0]), from_micros(bounds[1]))
            source.read.clear()
            with tiled.compute_rows(interval) as rows:
                expected = build_all_rows(plan, source.events, bounds)
                assert list_rows(rows) == list_rows(expected)
            if source.is_large:
                break
            check_tiles(source, f"{folder}/tiles", bounds, was_damaged)
            if step != "again":  # else it was killed before it committed these rows
                watermark = bounds[1]
    finally:
        shutil.rmtree(folder)


def test_rows_come_where_tiles_cannot_be_written(tmp_path: Path) -> None:
    features = (WindowFeature("n", "count", None, 5 * DAY_MICROS),)
    spec = AggregationSpec(QuerySpec(GroupRef("events", 1), ("k", "at")), features, ("k",), "at")
    plan = bind_aggregation(spec, {"k": "string", "at": "timestamp"})
    source = MemorySource(plan)
    source.versions.append([("a", day * DAY_MICROS + HOUR, 1, 0) for day in range(20)])
    (tmp_path / "tiles").write_text("in the way")
    tiled = TiledSource(source, TileUpkeep(source, source.read_changes, f"{tmp_path}/tiles"))
    bounds = (15 * DAY_MICROS, 16 * DAY_MICROS)
    interval = Interval(from_micros(bounds[0]), from_micros(bounds[1]))
    warning = "Tiles of window features could not be written"
    with pytest.warns(UserWarning, match=warning), tiled.compute_rows(interval) as rows:
        assert rows.column("n").to_pylist() == [5]
    assert (tmp_path / "tiles").read_text() == "in the way"
