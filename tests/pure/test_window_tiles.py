"""Tiles: windows made of them are those made of all events, to the last bit."""

import itertools
import math
import struct
from typing import Any

import pyarrow as pa
import pytest
import window_values
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st
from window_values import ARGUMENTS, OTHERS, integers_with, long_decimals

from spark_fs.base import arrow_types
from spark_fs.base.times import DAY_MICROS
from spark_fs.engine.windows import tile_spans
from spark_fs.engine.windows.rows import iter_event_rows
from spark_fs.engine.windows.tile_columns import FACETS, TILE, make_tile_schema
from spark_fs.engine.windows.tile_rows import age_tiles, make_tiles, merge_tiles
from spark_fs.engine.windows.tile_spans import Stretch, choose_reads, find_oldest_edge
from spark_fs.engine.windows.tiled_rows import build_tiled_rows
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature

GROUP = GroupRef("events", 1)
HOUR = 3_600_000_000
EVERYTHING = Stretch(-(10**5) * DAY_MICROS, 10**5 * DAY_MICROS)
NUMBERS = ("int", "bigint", "float", "double", "decimal(12,3)", "decimal(38,0)")
OF_NUMBERS = ("mean", "variance", "stddev", "percentile", "approx_percentile")
VALUES = {
    **window_values.VALUES,
    "int": integers_with(-(2**31), 2**31 - 1),
    "bigint": integers_with(-(2**55), 2**55 - 1),
    "decimal(38,0)": long_decimals(35),
}
Event = tuple[Any, Any, Any, Any]  # entity, instant, value, kind


@st.composite
def plans(draw: st.DrawFn, least_hours: int = 1) -> WindowPlan:
    type_ = draw(st.sampled_from(NUMBERS + OTHERS))
    functions = [name for name in FACETS if name not in (*OF_NUMBERS, "sum")]
    if type_ in NUMBERS:
        functions += [*OF_NUMBERS, "sum"]
    features = []
    for place in range(draw(st.integers(1, 4))):
        function = draw(st.sampled_from(functions))
        column: str | None = "x"
        if function in ("count", "time_since_last"):
            column = draw(st.sampled_from(["x", None]))
        where = draw(st.sampled_from([None, None, Comparison(GROUP, "kind", ">", 0)]))
        hours = draw(st.none() | st.integers(1 if place else least_hours, 240))
        over = hours and hours * HOUR + draw(st.sampled_from([0, 0, -7]))
        delay = draw(st.sampled_from([0, 0, 0, 1, HOUR, 2 * DAY_MICROS, 5 * DAY_MICROS + 7]))
        argument = ARGUMENTS.get(function)
        name = f"f{place}"
        features.append(WindowFeature(name, function, column, over, where, delay, argument))
    closed = draw(st.sampled_from(["left", "both"]))
    every = draw(st.sampled_from([None, None, 24 * HOUR, 7 * HOUR]))
    source = QuerySpec(GROUP, ("k", "at", "x", "kind"))
    spec = AggregationSpec(source, tuple(features), ("k",), "at", every, closed)
    return bind_aggregation(spec, {"k": "string", "at": "timestamp", "x": type_, "kind": "int"})


@st.composite
def events_of(draw: st.DrawFn, plan: WindowPlan, size: int) -> list[Event]:
    """Events of fifteen days, most of them in one or two days of one entity, with few values."""
    type_ = dict(plan.types).get("x", "int")
    few_values = draw(st.lists(VALUES[type_], min_size=1, max_size=4))
    busy_days = draw(st.lists(st.integers(0, 14), min_size=1, max_size=2))
    offsets = st.sampled_from([0, 1, HOUR, 5 * HOUR, 6 * HOUR, DAY_MICROS - 1])
    busy = st.tuples(st.sampled_from(busy_days), offsets).map(lambda at: at[0] * DAY_MICROS + at[1])
    instants = st.one_of(busy, busy, busy, st.integers(0, 15 * DAY_MICROS), st.none())
    event = st.tuples(
        st.sampled_from(["a", "a", "a", "b", None]),
        instants,
        st.sampled_from([*few_values, *few_values, None]) | VALUES[type_],
        st.sampled_from([0, 1, 1, None]),
    )
    return draw(st.lists(event, min_size=draw(st.integers(0, size)), max_size=size))


def to_table(plan: WindowPlan, events: list[Event]) -> pa.Table:
    type_ = arrow_types.to_arrow_type(dict(plan.types).get("x", "int"))
    keys, micros, values, kinds = zip(*events, strict=True) if events else ((), (), (), ())
    return pa.table(
        {
            "k": pa.array(keys, pa.string()),
            "at": pa.array(micros, pa.timestamp("us", tz="UTC")),
            "x": pa.array(values, type_),
            "kind": pa.array(kinds, pa.int32()),
        }
    )


def build_all_rows(plan: WindowPlan, events: list[Event], bounds: tuple[int, int]) -> pa.Table:
    """The rows of an interval from all events."""
    blocks = list(iter_event_rows(to_table(plan, events), plan, bounds))
    schema = arrow_types.to_arrow_schema(plan.row_schema)
    return pa.concat_tables([schema.empty_table(), *blocks])


def to_bits(value: Any) -> Any:
    """What tells two values apart as their bits do, but for those of NaN."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack("d", value)
    if isinstance(value, list):
        return [to_bits(item) for item in value]
    if isinstance(value, dict):
        return {name: to_bits(item) for name, item in value.items()}
    return value


def list_rows(table: pa.Table) -> list[Any]:
    return sorted((to_bits(row) for row in table.to_pylist()), key=repr)


@settings(max_examples=60, deadline=None)
@given(plan=plans(), data=st.data())
def test_rows_of_tiles_are_those_of_a_few_events(plan: WindowPlan, data: st.DataObject) -> None:
    check_rows_of_tiles(plan, data)


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(plan=plans(), data=st.data())
def test_rows_of_tiles_are_those_of_events(plan: WindowPlan, data: st.DataObject) -> None:
    check_rows_of_tiles(plan, data)


def check_rows_of_tiles(plan: WindowPlan, data: st.DataObject) -> None:
    events = data.draw(events_of(plan, 20))
    start = data.draw(st.integers(5, 14)) * DAY_MICROS + data.draw(st.sampled_from([0, 0, HOUR]))
    end = start + data.draw(st.sampled_from([HOUR, DAY_MICROS, 3 * DAY_MICROS + 5]))
    table = to_table(plan, events)
    reads = choose_reads(plan, start, end)
    note(f"{len(reads.tiles)} stretches of tiles")

    tiles = make_tiles(table, plan, EVERYTHING)
    expected = list_rows(build_all_rows(plan, events, (start, end)))
    assert list_rows(build_tiled_rows(table, tiles, plan, (start, end))) == expected

    # with what is needed alone: the events of their stretches, tiles that were merged
    needed = [row for row in events if row[1] is not None and is_read(row[1], reads.events)]
    edge = find_oldest_edge(plan, start)
    merged = age_tiles(tiles, plan, edge)
    rows = build_tiled_rows(to_table(plan, needed), merged, plan, (start, end))
    assert list_rows(rows) == expected


def is_read(micros: int, stretches: tuple[Stretch, ...]) -> bool:
    return any((s.start is None or s.start <= micros) and micros < s.end for s in stretches)


@settings(max_examples=40, deadline=None)
@given(plan=plans(), data=st.data())
def test_a_few_tiles_made_again_are_those_made_once(plan: WindowPlan, data: st.DataObject) -> None:
    check_tiles_made_again(plan, data)


@pytest.mark.long
@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(plan=plans(), data=st.data())
def test_tiles_made_again_are_those_made_once(plan: WindowPlan, data: st.DataObject) -> None:
    check_tiles_made_again(plan, data)


def check_tiles_made_again(plan: WindowPlan, data: st.DataObject) -> None:
    before = data.draw(events_of(plan, 12))
    late = data.draw(events_of(plan, 5))
    gone = data.draw(st.integers(0, len(before)))
    after = [*late, *reversed(before[gone:])]
    touched = set()
    for key, micros, _, _ in [*late, *before[:gone]]:
        if key is not None and micros is not None:
            touched.add((key, tile_spans.floor_to_day(micros)))

    tiles = make_tiles(to_table(plan, before), plan, EVERYTHING).to_pylist()
    kept = [row for row in tiles if (row["k"], row[TILE]) not in touched]
    again = []
    for event in after:
        key, micros = event[:2]
        if micros is not None and (key, tile_spans.floor_to_day(micros)) in touched:
            again.append(event)
    made = make_tiles(to_table(plan, again), plan, EVERYTHING).to_pylist()
    once = make_tiles(to_table(plan, after), plan, EVERYTHING)
    assert once.schema == make_tile_schema(plan)
    assert sorted(map(repr, map(to_bits, kept + made))) == list(map(repr, list_rows(once)))

    # made of parts in any order, and aged in any steps
    half = data.draw(st.integers(0, len(after)))
    parts = [
        make_tiles(to_table(plan, part), plan, EVERYTHING) for part in (after[half:], after[:half])
    ]
    assert list_rows(merge_tiles(pa.concat_tables(parts), plan)) == list_rows(once)
    first, second = sorted(data.draw(st.tuples(st.integers(0, 15), st.integers(0, 15))))
    aged = age_tiles(once, plan, second * DAY_MICROS)
    twice = age_tiles(age_tiles(once, plan, first * DAY_MICROS), plan, second * DAY_MICROS)
    assert list_rows(twice) == list_rows(aged)


@settings(max_examples=300, deadline=None)
@given(plan=plans(), start=st.integers(-(10**13), 10**13), length=st.integers(1, 10**12))
def test_no_edge_lies_inside_a_tile(plan: WindowPlan, start: int, length: int) -> None:
    end = start + length
    reads = choose_reads(plan, start, end)
    assert is_read(start, reads.events)
    assert is_read(end - 1, reads.events)
    both = sorted([*reads.events, *reads.tiles], key=lambda stretch: stretch.end)
    for one, other in itertools.pairwise(both):
        assert other.start is not None
        assert one.end <= other.start
    for stretch in reads.tiles:
        assert stretch.end % DAY_MICROS == 0
        assert (stretch.start or 0) % DAY_MICROS == 0
    for at in (start, start + length // 2, end - 1):
        for feature in plan.features:
            check_window(at, feature, plan, reads)


def check_window(at: int, feature: Any, plan: WindowPlan, reads: tile_spans.TileReads) -> None:
    """Every microsecond of a window is read once, and none of its tiles lies in it in part."""
    behind = at - feature.delay + (plan.closed == "both")
    first = None if feature.over is None else at - feature.delay - feature.over
    edges = [behind] if first is None else [first, behind]
    for stretch in reads.tiles:
        for edge in edges:
            assert not is_read(edge, (stretch,)) or edge % DAY_MICROS == 0
    places = {behind - 1, (first if first is not None else behind - 400 * DAY_MICROS)}
    for stretch in (*reads.events, *reads.tiles):
        for micros in (stretch.start, stretch.end - 1, stretch.end):
            if micros is not None and micros < behind and (first is None or micros >= first):
                places.add(micros)
    for micros in places:
        times = [s for s in (*reads.events, *reads.tiles) if is_read(micros, (s,))]
        assert len(times) == 1, micros


def test_of_events_at_one_instant_a_tile_keeps_the_greatest_as_the_last() -> None:
    features = []
    for function in ("first", "last", "last_n", "last_distinct_n"):
        argument = {"last_n": 1, "last_distinct_n": 1}.get(function)
        features.append(WindowFeature(function, function, "x", 5 * DAY_MICROS, argument=argument))
    source = QuerySpec(GROUP, ("k", "at", "x", "kind"))
    spec = AggregationSpec(source, tuple(features), ("k",), "at")
    plan = bind_aggregation(spec, {"k": "string", "at": "timestamp", "x": "int"})
    noon = 2 * DAY_MICROS + 12 * HOUR
    events = [("a", noon, value, 1) for value in (2, 3, 1)]
    events.append(("a", 5 * DAY_MICROS, 9, 1))
    bounds = (5 * DAY_MICROS, 6 * DAY_MICROS)
    tiles = make_tiles(to_table(plan, events), plan, EVERYTHING)
    (row,) = build_tiled_rows(to_table(plan, events), tiles, plan, bounds).to_pylist()
    assert [row[feature.name] for feature in features] == [1, 3, [3], [3]]


@pytest.mark.parametrize(
    ("over", "delay", "is_worth"),
    [
        (2 * DAY_MICROS, 0, False),
        (3 * DAY_MICROS, 0, True),
        (1, 3 * DAY_MICROS, False),
        (None, 0, True),
    ],
)
def test_only_long_windows_have_tiles(over: int | None, delay: int, is_worth: bool) -> None:
    feature = WindowFeature("f", "count", None, over, None, delay)
    source = QuerySpec(GROUP, ("k", "at"))
    spec = AggregationSpec(source, (feature,), ("k",), "at")
    plan = bind_aggregation(spec, {"k": "string", "at": "timestamp"})
    assert tile_spans.is_worth_tiles(plan) == is_worth
