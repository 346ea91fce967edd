"""Rows of an aggregation in memory: where they are, and that no order, bucket or slice of the events changes a bit of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_oracle import evaluate, is_in_window

from spark_fs.base import arrow_types
from spark_fs.base.times import Interval, from_micros, to_micros
from spark_fs.engine.join import shuffle
from spark_fs.engine.join.skewed_keys import SkewedKeys
from spark_fs.engine.join.stages import get_key_columns
from spark_fs.engine.windows.blocks import SortedEvents, iter_blocks
from spark_fs.engine.windows.edges import Instants
from spark_fs.engine.windows.instants import sort_rows
from spark_fs.engine.windows.kernel import compute_windows
from spark_fs.engine.windows.rows import compute_event_rows, compute_rows_at, iter_event_rows
from spark_fs.engine.windows.scatter import EVENTS, INSTANTS, EventScatter, InstantScatter
from spark_fs.errors import SettingsError
from spark_fs.planning.window_plan import BoundFeature, WindowPlan, find_result_type

SECOND = 1_000_000
HOUR = 3600 * SECOND
TYPES = {"k": "bigint", "s": "string", "at": "timestamp", "v": "double"}
Row = tuple[Any, ...]


def feature(name: str, function: Any, over: int | None, delay: int = 0) -> BoundFeature:
    column = None if function == "count" else "v"
    type_ = column and "double"
    result = find_result_type(function, column, type_)
    return BoundFeature(name, function, column, type_, result, over, None, delay, None)


def bind(
    features: Sequence[BoundFeature],
    keys: Mapping[str, str] = {"k": "bigint"},
    known_at: str = "timestamp",
    **grid: Any,
) -> WindowPlan:
    types = {**keys, "at": known_at, "v": "double"}
    return WindowPlan(
        tuple(features), tuple(keys.items()), ("at", known_at), tuple(types.items()), **grid
    )


def make_events(rows: Iterable[Row], plan: WindowPlan) -> pa.Table:
    schema = arrow_types.to_arrow_schema(dict(plan.types))
    columns = list(zip(*rows, strict=True)) or [[] for _ in schema]
    arrays = []
    for values, field in zip(columns, schema, strict=True):
        is_micros = pa.types.is_timestamp(field.type) and values and isinstance(values[0], int)
        raw = pa.int64() if is_micros else field.type
        arrays.append(pa.array(values, raw).cast(field.type))
    return pa.table(arrays, schema=schema)


def build_event_rows(events: pa.Table, plan: WindowPlan, bounds: Any) -> pa.Table:
    schema = arrow_types.to_arrow_schema(plan.row_schema)
    return pa.concat_tables([schema.empty_table(), *iter_event_rows(events, plan, bounds)])


def bits(table: pa.Table) -> list[Row]:
    """The rows in one order, NaN and the sign of zero told apart."""
    columns = []
    for column in table.columns:
        values = column.to_pylist()
        if pa.types.is_floating(column.type):
            values = [value if value is None else value.hex() for value in values]
        columns.append(values)
    return sorted(zip(*columns, strict=True), key=repr)


FEATURES = [
    feature("n", "count", 4),
    feature("total", "sum", 9, delay=2),
    feature("newest", "last", 6),
]
UNBOUNDED_FEATURES = [*FEATURES, feature("ever", "count", None, delay=1)]
SMALL_EVENTS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 3)),
        st.one_of(st.none(), st.integers(-20, 40)),
        st.one_of(st.none(), st.floats(-9, 9)),
    ),
    max_size=30,
)
BOUND = st.one_of(st.none(), st.integers(-25, 45))


def expect_rows(
    events: Sequence[Row], plan: WindowPlan, start: int | None, end: int | None
) -> list[Row]:
    """The rows in plain Python, which looks at every instant from far before to far behind."""
    rows = []
    for key in {event[0] for event in events if event[0] is not None}:
        own = [event[1:] for event in events if event[0] == key and event[1] is not None]
        for at in range(-100, 101):
            if (start is not None and at < start) or (end is not None and at >= end):
                continue
            if plan.every is None:
                exists = any(known == at for known, _ in own)
            else:
                exists = at % plan.every == 0 and any(
                    is_in_window(known, at, each.over, each.delay, plan.closed)
                    for known, _ in own
                    for each in plan.features
                )
            if exists:
                rows.append((key, from_micros(at), *expect_features(own, at, plan)))
    return rows


def expect_features(own: Sequence[tuple[int, Any]], at: int, plan: WindowPlan) -> list[Any]:
    values = []
    for each in plan.features:
        counted = own
        if each.column is None:
            counted = [(known, 0) for known, _ in own]
        counted = [event for event in counted if event[1] is not None]
        values.append(
            evaluate(each.function, counted, at, each.over, each.delay, plan.closed, each.argument)
        )
    return values


@settings(max_examples=300, deadline=None)
@given(
    SMALL_EVENTS,
    st.sampled_from([None, 1, 3, 7]),
    st.sampled_from(["left", "both"]),
    st.booleans(),
    BOUND,
    BOUND,
)
def test_rows_are_those_of_plain_python(
    events: list[Row],
    every: int | None,
    closed: Any,
    unbounded: bool,
    start: int | None,
    end: int | None,
) -> None:
    features = UNBOUNDED_FEATURES if unbounded else FEATURES
    plan = bind(features, every=every, closed=closed)
    if unbounded and every and end is None:
        with pytest.raises(
            SettingsError, match=r"over all history .* have no end: give the instant"
        ):
            build_event_rows(make_events(events, plan), plan, (start, end))
        return
    found = build_event_rows(make_events(events, plan), plan, (start, end))
    expected = expect_rows(events, plan, start, end)
    types = arrow_types.to_arrow_schema(plan.row_schema)
    assert bits(found) == bits(
        pa.table(list(zip(*expected, strict=True)) or [[] for _ in types], schema=types)
    )
    places = list(zip(found["k"].to_pylist(), found["at"].to_pylist(), strict=True))
    assert len(set(places)) == len(places)
    for before, behind in pairwise(places):
        assert before[0] != behind[0] or before[1] < behind[1]


def scatter_rows(
    tables: Iterable[pa.Table], scatter: EventScatter | InstantScatter
) -> list[pa.RecordBatch]:
    return list(shuffle.pack_tables(map(scatter, tables)))


def split_events(events: pa.Table, draw: np.random.Generator) -> list[pa.Table]:
    """The events in another order, in some batches."""
    shuffled = events.take(pa.array(draw.permutation(len(events))))
    cuts = sorted(draw.integers(0, len(events) + 1, 3).tolist())
    return [shuffled.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]


def compute_scattered(
    tables: Iterable[pa.Table],
    plan: WindowPlan,
    skewed_keys: SkewedKeys,
    limits: tuple[int | None, int | None],
) -> pa.Table:
    """The rows of all buckets; what a slice has before and after it is left to its bounds."""
    packed = scatter_rows(tables, EventScatter(plan, skewed_keys, limits))
    schema = arrow_types.to_arrow_schema(dict(plan.types))
    rows = []
    for bucket, sides in shuffle.unpack_buckets(packed, {EVENTS: schema}):
        starts = [limits[0], skewed_keys.get_slice_bounds(bucket)[0]]
        ends = [limits[1], skewed_keys.get_slice_bounds(bucket)[1]]
        start = max((each for each in starts if each is not None), default=None)
        end = min((each for each in ends if each is not None), default=None)
        rows.append(build_event_rows(sides[EVENTS], plan, (start, end)))
    return pa.concat_tables([arrow_types.to_arrow_schema(plan.row_schema).empty_table(), *rows])


def hash_key(plan: WindowPlan, events: pa.Table, row: int) -> int:
    return int(shuffle.hash_keys(get_key_columns(events.slice(row, 1), plan.keys))[0])


@settings(max_examples=150, deadline=None)
@given(
    SMALL_EVENTS.filter(lambda events: any(None not in event[:2] for event in events)),
    st.sampled_from([None, 3]),
    st.sampled_from(["left", "both"]),
    st.integers(1, 5),
    st.lists(st.integers(-15, 35), max_size=4, unique=True).map(sorted),
    BOUND,
    BOUND,
    st.integers(0, 9),
)
def test_buckets_slices_and_orders_change_no_bit(
    rows: list[Row],
    every: int | None,
    closed: Any,
    bucket_count: int,
    slices: list[int],
    start: int | None,
    end: int | None,
    seed: int,
) -> None:
    plan = bind(FEATURES, every=every, closed=closed)
    events = make_events(rows, plan)
    known = next(i for i, row in enumerate(rows) if None not in row[:2])
    skewed_keys = SkewedKeys(bucket_count, (hash_key(plan, events, known),), (tuple(slices),))
    tables = split_events(events, np.random.default_rng(seed))
    whole = build_event_rows(events, plan, (start, end))
    for keys in (SkewedKeys(bucket_count), skewed_keys):
        assert bits(compute_scattered(tables, plan, keys, (start, end))) == bits(whole)


@settings(max_examples=150, deadline=None)
@given(
    SMALL_EVENTS,
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(0, 4)), st.one_of(st.none(), BOUND)), max_size=12
    ),
    st.sampled_from(["left", "both"]),
    st.booleans(),
)
def test_rows_at_instants_are_those_of_plain_python_in_their_order(
    rows: list[Row], asked: list[Row], closed: Any, unbounded: bool
) -> None:
    plan = bind(UNBOUNDED_FEATURES if unbounded else FEATURES, closed=closed)
    instants = pa.table(
        {
            "id": pa.array(range(len(asked)), pa.int64()),
            "customer": pa.array([key for key, _ in asked], pa.int32()),
            "t": pa.array([at for _, at in asked], pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )
    found = compute_rows_at(
        make_events(rows, plan), instants, plan, [("customer", "int")], ("t", "timestamp")
    )
    assert found.column_names == ["id", "customer", "t", *plan.schema]
    assert found.select(instants.column_names).equals(instants)
    for values, (key, at) in zip(found.select(list(plan.schema)).to_pylist(), asked, strict=True):
        own = []
        if key is not None and at is not None:
            own = [row[1:] for row in rows if row[0] == key and row[1] is not None]
        assert list(values.values()) == expect_features(own, at or 0, plan)


def test_instants_go_to_the_slice_that_has_their_events() -> None:
    plan = bind(FEATURES)
    rows = [(1, at, float(at)) for at in range(0, 90, 3)] + [(2, 7, 1.5), (None, 8, 2.5)]
    events = make_events(rows, plan)
    asked = [(1, at) for at in range(100)] + [(2, 9), (3, 9), (None, 9), (1, None)]
    keys, at = ("k", "bigint"), ("t", "timestamp")
    instants = pa.table(
        {
            "k": pa.array([key for key, _ in asked], pa.int64()),
            "t": pa.array([at for _, at in asked], pa.int64()).cast(pa.timestamp("us", "UTC")),
        }
    )
    skewed_keys = SkewedKeys(2, (hash_key(plan, events, 0),), ((20, 22, 60),))
    packed = scatter_rows([events], EventScatter(plan, skewed_keys))
    packed += scatter_rows([instants], InstantScatter((keys,), at, skewed_keys))
    schemas = {EVENTS: events.schema, INSTANTS: instants.schema}
    found = []
    for bucket, sides in shuffle.unpack_buckets(packed, schemas):
        if bucket >= 2:
            assert 0 < sides[EVENTS].num_rows < 30
        found.append(compute_rows_at(sides[EVENTS], sides[INSTANTS], plan, [keys], at))
    assert len(found) > 4
    whole = compute_rows_at(events, instants, plan, [keys], at)
    assert bits(pa.concat_tables(found)) == bits(whole)


@settings(max_examples=150, deadline=None)
@given(SMALL_EVENTS, st.sampled_from(["left", "both"]), st.booleans(), st.integers(1, 12))
def test_blocks_of_any_size_change_no_bit(
    rows: list[Row], closed: Any, unbounded: bool, block_rows: int
) -> None:
    plan = bind(UNBOUNDED_FEATURES if unbounded else FEATURES, closed=closed)
    given_rows = [row for row in rows if None not in row[:2]]
    codes, micros = np.array([row[:2] for row in given_rows], np.int64).reshape(-1, 2).T
    events = SortedEvents.from_table(make_events(given_rows, plan), codes, micros, plan)
    order = sort_rows(np.repeat(codes, 3), np.repeat(micros, 3))
    instants = Instants(np.repeat(codes, 3)[order], (np.repeat(micros, 3) + 2)[order])
    blocks = []
    for block, features in iter_blocks(events, instants, plan, block_rows):
        assert len(features[0]) == len(block.codes)
        blocks.append(pa.table(features, names=list(plan.schema)))
    if given_rows:
        whole = compute_windows(*events, instants, plan)
        assert pa.concat_tables(blocks).equals(pa.table(whole, names=list(plan.schema)))


KEYS = {
    "s": ("string", ["a", "", "ä", None]),
    "b": ("boolean", [True, False, None]),
    "d": ("date", [date(2024, 1, 1), date(1969, 12, 31), None]),
    "m": ("decimal(9,2)", [Decimal("1.50"), Decimal("-3.00"), None]),
    "t": ("timestamp", [datetime(2024, 1, 1, tzinfo=UTC), None]),
    "x": ("binary", [b"", b"\0", None]),
    "f": ("double", [0.5, math.inf, None]),
    "i": ("smallint", [-7, 0, None]),
    "l": ("bigint", [-(2**63), 2**63 - 1, 5, None]),
}


@pytest.mark.parametrize("names", [*([name] for name in KEYS), ["s", "l"], list(KEYS)], ids="".join)
def test_keys_of_any_types_keep_their_values(names: list[str]) -> None:
    draw = np.random.default_rng(5)
    keys = {name: KEYS[name][0] for name in names}
    plan = bind(FEATURES, keys)
    rows = []
    for _ in range(200):
        key = [KEYS[name][1][draw.integers(len(KEYS[name][1]))] for name in names]
        rows.append((*key, int(draw.integers(0, 9)), 1.0))
    found = compute_event_rows(make_events(rows, plan), plan)
    schema = arrow_types.to_arrow_schema(plan.row_schema)
    assert found.schema == schema
    expected = {}
    for *key, at, _ in rows:
        if None not in key:
            own = [row for row in rows if list(row[: len(key)]) == key]
            expected[*key, at] = sum(at - 4 <= row[-2] < at for row in own)
    micros = [to_micros(at) for at in found["at"].to_pylist()]
    counts = found["n"].to_pylist()
    found_keys = [found[name].to_pylist() for name in names]
    assert dict(zip(zip(*found_keys, micros, strict=True), counts, strict=True)) == expected
    assert len(found) == len(expected)


def test_equal_floats_are_one_key_with_one_value() -> None:
    plan = bind(FEATURES, {"f": "double"})
    for zeros in ([0.0, -0.0], [-0.0, 0.0]):
        rows = [(zeros[0], 1, 1.0), (zeros[1], 2, 1.0), (math.nan, 1, 1.0), (-math.nan, 3, 1.0)]
        found = compute_event_rows(make_events(rows, plan), plan)
        assert bits(found.select(["f", "n"])) == [
            ("0x0.0p+0", 0),
            ("0x0.0p+0", 1),
            ("nan", 0),
            ("nan", 1),
        ]


@pytest.mark.parametrize(
    ("known_at", "values"),
    [
        ("date", [date(1969, 12, 31), date(2024, 2, 29)]),
        ("int", [-1, 0, 1_700_000_000]),
        ("bigint", [-1, 0, 99_999_999_999]),
        ("bigint", [1_700_000_000_000, 1_700_000_000_001]),
        ("bigint", [1_700_000_000, 1_700_000_000_001, 1_700_000_001_000]),
        ("timestamp", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]),
    ],
)
def test_an_instant_keeps_its_type_and_value(known_at: str, values: list[Any]) -> None:
    plan = bind([feature("n", "count", 48 * HOUR)], known_at=known_at)
    rows = [(k, value, 1.0) for k in (1, 2) for value in values]
    found = compute_event_rows(make_events([*rows, *rows, (None, values[0], 1.0)], plan), plan)
    assert found.schema == arrow_types.to_arrow_schema(plan.row_schema)
    assert list(zip(found["k"].to_pylist(), found["at"].to_pylist(), strict=True)) == [
        row[:2] for row in rows
    ]


def test_one_instant_in_seconds_and_milliseconds_is_one_row_in_seconds() -> None:
    plan = bind([feature("n", "count", HOUR)], known_at="bigint")
    rows = [
        (1, 1_700_000_000_000, 1.0),
        (1, 1_700_000_000, 1.0),
        (2, 1_700_000_000_000, 1.0),
        (2, 1_700_000_001, 1.0),
    ]
    found = compute_event_rows(make_events(rows, plan), plan)
    assert bits(found) == [(1, 1_700_000_000, 0), (2, 1_700_000_000_000, 0), (2, 1_700_000_001, 1)]


def test_a_grid_over_dates_is_of_timestamps() -> None:
    plan = bind([feature("n", "count", 3 * HOUR)], known_at="date", every=2 * HOUR)
    found = compute_event_rows(make_events([(1, date(2024, 1, 1), 1.0)], plan), plan)
    assert found["at"].to_pylist() == [datetime(2024, 1, 1, 2, tzinfo=UTC)]
    assert found["n"].to_pylist() == [1]


def test_an_interval_takes_the_rows_of_its_time_with_the_windows_before_it() -> None:
    plan = bind([feature("n", "count", 24 * HOUR)])
    start = datetime(2024, 1, 1, tzinfo=UTC)
    times = [start + timedelta(hours=hours) for hours in range(0, 72, 6)]
    events = make_events([(1, at, 1.0) for at in times], plan)
    interval = Interval(start + timedelta(hours=24), start + timedelta(hours=36))
    found = compute_event_rows(events, plan, interval)
    assert found["at"].to_pylist() == times[4:6]
    assert found["n"].to_pylist() == [4, 4]


def test_far_keys_and_times_that_fit_no_single_number_are_told_apart() -> None:
    plan = bind([feature("n", "count", 2**61), feature("last", "last", 1)])
    draw = np.random.default_rng(1)
    far = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    rows = []
    for k in draw.integers(-(2**62), 2**62, 3000).tolist():
        rows += [(k, far[0], 1.0), (k, far[1], 2.0), (k, far[1], 3.0)]
    found = compute_event_rows(make_events(rows, plan), plan)
    assert found.num_rows == 6000
    assert found["n"].to_pylist() == [0, 1] * 3000
    assert found["last"].to_pylist() == [None, None] * 3000


def test_a_block_is_cut_within_an_entity_where_its_windows_are_short() -> None:
    plan = bind([feature("n", "count", 3), feature("total", "sum", 2)])
    rows = [(1, at, float(at)) for at in range(100)]
    codes, micros = np.ones(100, np.int64), np.arange(100)
    events = SortedEvents.from_table(make_events(rows, plan), codes, micros, plan)
    sizes = [
        len(block.codes) for block, _ in iter_blocks(events, Instants(codes, micros), plan, 12)
    ]
    assert sizes == [12] * 7 + [16]
    long = bind([feature("n", "count", 50)])
    sizes = [
        len(block.codes) for block, _ in iter_blocks(events, Instants(codes, micros), long, 12)
    ]
    assert sizes == [12, 48, 40]
    every_fourth = Instants(codes[::4], micros[::4])
    sizes = [len(block.codes) for block, _ in iter_blocks(events, every_fourth, plan, 12)]
    assert sizes == [3] * 8 + [1]


def test_no_events_give_no_rows() -> None:
    for every in (None, HOUR):
        plan = bind(FEATURES, every=every)
        found = compute_event_rows(make_events([], plan), plan)
        assert found.num_rows == 0
        assert found.schema == arrow_types.to_arrow_schema(plan.row_schema)
