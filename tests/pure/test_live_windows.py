"""What a sync brings online of events, finished at instants, beside the kernel of windows: to the bit."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_values import ARGUMENTS, OTHERS, VALUES, integers_with, long_decimals

from spark_fs.base import arrow_types
from spark_fs.engine.windows.blocks import compute_windows_at
from spark_fs.engine.windows.edges import Instants
from spark_fs.engine.windows.live_rows import make_live_rows
from spark_fs.engine.windows.live_thinning import Thinning
from spark_fs.errors import OnlineStoreError, SchemaError
from spark_fs.online.live.byte_layout import (
    EVENTS_COLUMN,
    FIRST_COLUMN,
    LAST_COLUMN,
    RECORDS_COLUMN,
)
from spark_fs.online.live.recorded_windows import RecordedWindows
from spark_fs.online.live.suffix_records import (
    RECORDS_HEADER,
    build_suffix_layout,
    make_fingerprint,
)
from spark_fs.online.live.windows import LiveWindows
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature

GROUP = GroupRef("events", 1)
NUMBERS = (
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal(12,3)",
    "decimal(38,0)",
)
OF_NUMBERS = ("sum", "mean", "variance", "stddev", "percentile", "approx_percentile")
OF_ALL = (
    "count",
    "min",
    "max",
    "first",
    "last",
    "distinct_count",
    "approx_distinct_count",
    "top_k",
    "last_n",
    "last_distinct_n",
    "time_since_last",
)
BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
QUICK = ("double", "decimal(12,3)", "string")
TYPES = [
    pytest.param(type_, marks=() if type_ in QUICK else pytest.mark.slow)
    for type_ in (*NUMBERS, *OTHERS)
]


def values_of(type_: str) -> st.SearchStrategy[Any]:
    if type_ in BITS:
        half = 2 ** (BITS[type_] - 1)
        return integers_with(-half, half - 1)
    return long_decimals(37) if type_ == "decimal(38,0)" else VALUES[type_]


def declare(
    type_: str, closed: Any, with_history: bool = True, with_where: bool = True
) -> WindowPlan:
    functions = [*OF_ALL, *(OF_NUMBERS if type_ in NUMBERS else ())]
    where = Comparison(GROUP, "w", "==", True)
    features = []
    for function in functions:
        argument = ARGUMENTS.get(function)
        for name, over, delay in (("a", 7, 0), ("b", 15, 3), ("c", None, 2)):
            if over is not None or with_history:
                features.append(
                    WindowFeature(
                        f"{function}_{name}", function, "x", over, delay=delay, argument=argument
                    )
                )
        if with_where:
            features.append(
                WindowFeature(f"{function}_w", function, "x", 9, where, argument=argument)
            )
    features.append(WindowFeature("n", "count", None, 7))
    features.append(WindowFeature("age", "time_since_last", None, 15))
    source = QuerySpec(GROUP, ("k", "at", "x", "w"))
    spec = AggregationSpec(source, tuple(features), ("k",), "at", closed=closed)
    return bind_aggregation(spec, {"k": "string", "at": "timestamp", "x": type_, "w": "boolean"})


def to_table(type_: str, events: list[tuple[str | None, int | None, Any, Any]]) -> pa.Table:
    keys, micros, marks, values = zip(*events, strict=True) if events else ((), (), (), ())
    return pa.table(
        {
            "k": pa.array(keys, pa.string()),
            "at": pa.array(micros, pa.timestamp("us", tz="UTC")),
            "x": pa.array(values, arrow_types.to_arrow_type(type_)),
            "w": pa.array(marks, pa.bool_()),
        }
    )


def expect(plan: WindowPlan, table: pa.Table, asked: list[tuple[str, int]]) -> dict[str, list[Any]]:
    """What a training read says of keys and instants, by the kernel; without sums that overflow."""
    codes = np.array([-1 if key is None else ord(key) for key in table["k"].to_pylist()], np.int64)
    keys, micros = zip(*asked, strict=True)
    instants = Instants(np.array([ord(key) for key in keys]), np.array(micros))
    try:
        columns = compute_windows_at(table, codes, instants, plan)
    except SchemaError:
        plan = plan.select_features([each.name for each in plan.features if each.function != "sum"])
        columns = compute_windows_at(table, codes, instants, plan)
    return {
        each.name: column.to_pylist() for each, column in zip(plan.features, columns, strict=True)
    }


def same(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        both_nan = math.isnan(left) and math.isnan(right)
        return both_nan or (left == right and math.copysign(1, left) == math.copysign(1, right))
    return type(left) is type(right) and left == right


def check(plan: WindowPlan, table: pa.Table, thinning: Thinning, instants: list[int]) -> int:
    """Every window that can be told is what the kernel says; returns of how many it cannot."""
    stored = make_live_rows(table, thinning)
    by_key = {row["k"]: row for row in stored.to_pylist()}
    asked = [(key, at) for key in "abc" for at in instants]
    expected = expect(plan, table, asked)
    untold = 0
    for feature in plan.features:
        if feature.name not in expected:
            continue
        live = LiveWindows(plan, [feature], plan.closed == "both", "g")
        for (key, at), wanted in zip(asked, expected[feature.name], strict=True):
            try:
                (value,) = finish(live, by_key.get(key), at)
                (computed,) = finish(live, without_records(by_key.get(key)), at)
            except OnlineStoreError:
                untold += 1
                continue
            assert same(value, wanted), (feature, key, at, value, wanted)
            assert same(computed, wanted), (feature, key, at, computed, wanted)
    if not untold:
        told = [feature for feature in plan.features if feature.name in expected]
        live = LiveWindows(plan, told, plan.closed == "both", "g")
        rows = zip(*expected.values(), strict=True)
        for (key, at), row in zip(asked, rows, strict=True):
            assert all(map(same, finish(live, by_key.get(key), at), row))
    return untold


def finish(live: LiveWindows, row: dict[str, Any] | None, at: int) -> Sequence[Any]:
    """As a look-up does: the events come only where the records do not tell all."""
    if row is None:
        return live.prepare(at)(None, None)
    is_spared = live.is_recorded and row[FIRST_COLUMN] <= at <= row[LAST_COLUMN]
    return live.prepare(at)(row[RECORDS_COLUMN], None if is_spared else row[EVENTS_COLUMN])


def without_records(row: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same with records of no instant, so that each window is computed of the events."""
    if row is None:
        return None
    header = RECORDS_HEADER.unpack_from(row[RECORDS_COLUMN])
    never = RECORDS_HEADER.pack(*header[:-2], 1, 0)
    records = never + row[RECORDS_COLUMN][RECORDS_HEADER.size :]
    return {**row, FIRST_COLUMN: 1, LAST_COLUMN: 0, RECORDS_COLUMN: records}


@pytest.mark.parametrize("type_", TYPES)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_window_is_to_the_bit_what_the_kernel_says(type_: str, data: st.DataObject) -> None:
    plan = declare(type_, data.draw(st.sampled_from(["left", "both"])))
    event = st.tuples(
        st.sampled_from(["a", "a", "b", None]),
        st.one_of(st.integers(0, 40), st.none()),
        st.sampled_from([True, False, None]),
        st.one_of(values_of(type_), st.none()),
    )
    table = to_table(type_, data.draw(st.lists(event, max_size=25)))
    instants = data.draw(st.lists(st.integers(-5, 60), min_size=1, max_size=4))
    assert not check(plan, table, Thinning(plan, 30, record_horizon=15), instants)


@pytest.mark.parametrize("type_", TYPES)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_events_that_stand_for_others_change_no_window(type_: str, data: st.DataObject) -> None:
    plan = declare(type_, data.draw(st.sampled_from(["left", "both"])), data.draw(st.booleans()))
    event = st.tuples(
        st.just("a"),
        st.integers(0, 60),
        st.sampled_from([True, True, False]),
        st.one_of(values_of(type_), values_of(type_), st.none()),
    )
    table = to_table(type_, data.draw(st.lists(event, min_size=10, max_size=60)))
    limits = {"kept_events": 4, "most_events": 6, "before": 1}
    thinning = Thinning(plan, 50, horizons=(3, 1), record_horizon=9, **limits)
    assert not check(plan, table, thinning, [49, 50, 51])
    check(plan, table, thinning, data.draw(st.lists(st.integers(0, 70), min_size=1, max_size=3)))


def test_windows_behind_the_newest_event_are_read_of_records() -> None:
    """Also where events were left out; any other is computed."""
    features = (
        WindowFeature("n", "count", None, 7),
        WindowFeature("mean", "mean", "x", 7),
        WindowFeature("ever", "max", "x", None, delay=2),
        WindowFeature("age", "time_since_last", "x", 15),
    )
    spec = AggregationSpec(QuerySpec(GROUP, ("k", "at", "x")), features, ("k",), "at")
    plan = bind_aggregation(spec, {"k": "string", "at": "timestamp", "x": "double"})
    layout = build_suffix_layout(plan)
    read = RecordedWindows(layout, make_fingerprint(plan), plan.features)

    def ask(events: list[tuple[str, int, bool, float | None]], at: int, **limits: Any) -> Any:
        thinning = Thinning(plan, 40, **limits)
        (row,) = make_live_rows(to_table("double", events), thinning).to_pylist()
        values = read.read_values(row[RECORDS_COLUMN], read.list_starts(at), at)
        assert (values is not None) == (row[FIRST_COLUMN] <= at <= row[LAST_COLUMN])
        return values

    events = [("a", at, True, float(at % 10)) for at in (31, 33, 36, 38)]
    assert ask(events, 41) == [2, 7.0, 8.0, 3e-6]
    assert ask(events, 44) == [1, 8.0, 8.0, 6e-6]
    assert ask(events, 46) == [0, None, 8.0, 8e-6]
    assert ask(events, 40) is None  # two behind the newest, and the delay is two
    assert ask([("a", 31, True, 5.0), ("a", 38, True, None)], 42) == [1, None, 5.0, 11e-6]
    many = [("a", at, True, float(at % 7)) for at in range(38)]
    limits = {"kept_events": 4, "most_events": 6, "horizons": (1,), "before": 1}
    assert ask(many, 41, **limits) == [4, (6 + 0 + 1 + 2) / 4, 6.0, 4e-6]
    assert ask(many, 41, **limits, record_horizon=0) is None
    assert ask(many, 42, **limits) is None  # one begins among those that were left out


def test_windows_of_a_group_that_was_made_anew_are_not_read_as_the_old_ones() -> None:
    """By a process that was made ready before."""
    old = declare("double", "left")
    table = to_table("double", [("a", 1, True, 1.0), ("a", 2, False, 2.0)])
    for other in (declare("double", "left", with_where=False), declare("int", "left")):
        (row,) = make_live_rows(table, Thinning(old, 30)).to_pylist()
        stored = (row[RECORDS_COLUMN], row[EVENTS_COLUMN])
        assert LiveWindows(old, old.features, False, "g").prepare(5)(*stored)
        with pytest.raises(OnlineStoreError, match="was made again with other windows"):
            LiveWindows(other, other.features, False, "g").prepare(5)(*stored)
    kinds = [repr(each.where) for each in old.features]
    moved = replace(
        old,
        features=tuple(
            each
            for _, each in sorted(
                zip(kinds, old.features, strict=True), key=lambda pair: pair[0], reverse=True
            )
        ),
    )
    with pytest.raises(OnlineStoreError, match="was made again with other windows"):
        LiveWindows(moved, old.features, False, "g").prepare(5)(*stored)
    with pytest.raises(OnlineStoreError, match=r"in format 9, .*sync_online\(full=True\)"):
        LiveWindows(old, old.features, False, "g").prepare(5)(b"\t" + stored[0][1:], stored[1])
