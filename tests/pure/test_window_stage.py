"""Windows in a stage of a join, in memory and in buckets, beside plain Python; and no leak from the future."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import window_oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_fs.engine.join import columns, shuffle
from spark_fs.engine.join.columnar import SideScatter
from spark_fs.engine.join.inputs import build_stage
from spark_fs.engine.join.skewed_keys import SkewedKeys
from spark_fs.engine.join.stages import JoinStage, WindowRule, get_key_columns, join_bucket
from spark_fs.planning.bind import bind_query
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import JoinSpec, JoinType, QuerySpec
from spark_fs.spec.window_features import Closed, WindowFeature

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SPINE = GroupSpec("labels", 1, primary_key=("id",), event_time="t").with_schema(
    {"id": "bigint", "k": "int", "s": "string", "t": "timestamp"}
)
EVENTS = GroupSpec("payments", 1, primary_key=("k", "s"), event_time="at").with_schema(
    {"k": "bigint", "s": "string", "at": "timestamp", "v": "double", "kind": "string"}
)
CARDS = GroupSpec("cards", 1, primary_key=("k", "s"), event_time="since").with_schema(
    {"k": "bigint", "s": "string", "since": "timestamp", "owner": "bigint"}
)
GROUPS = {group.ref: group for group in (SPINE, EVENTS, CARDS)}
IS_FOOD = Comparison(EVENTS.ref, "kind", "==", "food")
FEATURES = (
    WindowFeature("n", "count", over=4),
    WindowFeature("n_food", "count", "v", over=6, where=IS_FOOD),
    WindowFeature("total", "sum", "v", over=5, delay=2),
    WindowFeature("newest", "last", "v", over=3),
    WindowFeature("age", "time_since_last", over=7, delay=1),
    WindowFeature("kinds", "top_k", "kind", over=8, argument=2),
)
ENDLESS = (WindowFeature("ever", "count"), WindowFeature("top", "max", "v", delay=3))

# few, so that windows are seldom empty
keys = st.sampled_from([(1, "a"), (1, "a"), (-1, ""), (1, ""), (None, "a"), (1, None)])
instants = st.integers(-3, 12)  # microseconds: neighbours, equals, and some before 1970
values = st.sampled_from([None, 0.1, 0.2, 1e17, -1e17, 3.0])
kinds = st.sampled_from([None, "food", "fuel"])
spine_rows = st.lists(st.tuples(keys, st.none() | instants), max_size=12)
event_rows = st.lists(st.tuples(keys, st.none() | instants, values, kinds), max_size=16)
closings: st.SearchStrategy[Closed] = st.sampled_from(["left", "both"])
Event = tuple[Any, int | None, float | None, str | None]


def make_aggregation(features: Sequence[WindowFeature], closed: Closed = "left") -> AggregationSpec:
    source = QuerySpec(EVENTS.ref, tuple(EVENTS.types))
    return AggregationSpec(source, tuple(features), ("k", "s"), "at", closed=closed)


def bind(
    features: Sequence[WindowFeature], closed: Closed = "left", cards: JoinType | None = None
) -> JoinPlan:
    names = [feature.name for feature in features]
    spec = make_aggregation(features, closed)
    query = QuerySpec(SPINE.ref, ("id",)).with_join(JoinSpec(spec.to_query(names)))
    if cards:
        joined = QuerySpec(CARDS.ref, ("owner",))
        query = query.with_join(JoinSpec(joined, ("k", "s"), ("k", "s"), cards))
    return bind_query(query, GROUPS)


def get_stage(plan: JoinPlan) -> JoinStage:
    (nodes,) = plan.join_stages
    return build_stage(plan, nodes, 1)


def to_time(micros: int | None) -> datetime | None:
    return None if micros is None else EPOCH + timedelta(microseconds=micros)


def make_table(plan: JoinPlan, node: int, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """The rows of a node as they travel: all of the columns of its group."""
    group = plan.nodes[node].group
    instant = pa.timestamp("us", "UTC")
    types = {"bigint": pa.int64(), "int": pa.int32(), "string": pa.string(), "double": pa.float64()}
    arrays = {}
    for place, (name, type_) in enumerate(group.types.items()):
        array = pa.array([row[place] for row in rows], types.get(type_, instant))
        arrays[columns.get_node_alias(plan.nodes[node], name)] = array
    if node and plan.nodes[node].windows is None:
        ingested = columns.get_ingested_alias(plan.nodes[node])
        arrays[ingested] = pa.array([to_time(0)] * len(rows), instant)
    return pa.table(arrays)


def make_spine(plan: JoinPlan, rows: Sequence[tuple[Any, int | None]]) -> pa.Table:
    return make_table(plan, 0, [(i, *key, to_time(at)) for i, (key, at) in enumerate(rows)])


def make_events(plan: JoinPlan, rows: Sequence[Event]) -> pa.Table:
    return make_table(plan, 1, [(*key, to_time(at), v, kind) for key, at, v, kind in rows])


def evaluate(
    feature: WindowFeature, row: tuple[Any, int | None], events: Sequence[Event], closed: Closed
) -> Any:
    """The feature at a row of the spine, in plain Python."""
    key, at = row
    kept = []
    for event_key, known, value, kind in events:
        counted = {"v": value, "kind": kind, None: 0}[feature.column]
        is_met = feature.where is None or kind == "food"
        is_of_key = event_key == key and None not in key
        if is_of_key and is_met and None not in (known, at, counted):
            kept.append((known, counted))
    return window_oracle.evaluate(
        feature.function, kept, at or 0, feature.over, feature.delay, closed, feature.argument
    )


def list_expected(
    features: Sequence[WindowFeature],
    rows: Sequence[tuple[Any, int | None]],
    events: Sequence[Event],
    closed: Closed,
) -> dict[int, dict[str, Any]]:
    expected = {}
    for number, row in enumerate(rows):
        expected[number] = {
            feature.name: evaluate(feature, row, events, closed) for feature in features
        }
    return expected


def list_found(plan: JoinPlan, result: pa.Table) -> dict[int, dict[str, Any]]:
    """The features of each row of a result, by the number of its row of the spine."""
    found = {}
    for row in result.to_pylist():
        features = {}
        for output in plan.outputs:
            if output.source.node == 1:
                features[output.name] = row[columns.get_alias(output.source)]
        assert row["n0_id"] not in found
        found[row["n0_id"]] = features
    return found


@given(spine_rows, event_rows, closings)
@settings(max_examples=150, deadline=None)
def test_a_stage_gives_what_plain_python_finds_at_each_row(
    rows: list[Any], events: list[Event], closed: Closed
) -> None:
    features = (*FEATURES, *ENDLESS)
    plan = bind(features, closed)
    result = join_bucket(make_spine(plan, rows), {1: make_events(plan, events)}, get_stage(plan))
    assert list_found(plan, result) == list_expected(features, rows, events, closed)


@pytest.mark.parametrize("join_type", ["left", "inner"])
@given(spine_rows, event_rows, spine_rows)
@settings(max_examples=40, deadline=None)
def test_windows_beside_a_group_of_the_same_key(
    join_type: JoinType, rows: list[Any], events: list[Event], cards: list[Any]
) -> None:
    plan = bind(FEATURES, cards=join_type)
    card_rows = [(*key, to_time(at), i) for i, (key, at) in enumerate(cards)]
    dated = [row for row in card_rows if None not in row]
    rights = {1: make_events(plan, events), 2: make_table(plan, 2, dated)}
    result = join_bucket(make_spine(plan, rows), rights, get_stage(plan))
    has_card = []
    for key, at in rows:
        has_card.append(
            any(row[:2] == key and at is not None and row[2] <= to_time(at) for row in dated)
        )
    expected = list_expected(FEATURES, rows, events, "left")
    if join_type == "inner":
        expected = {number: expected[number] for number in expected if has_card[number]}
    assert list_found(plan, result) == expected
    owners = {row["n0_id"]: row["n2_owner"] is not None for row in result.to_pylist()}
    assert owners == {number: has_card[number] for number in expected}


def test_features_travel_on_to_the_next_stage() -> None:
    """Windows by one column after a group that is joined by another, and before one."""
    query = QuerySpec(SPINE.ref, ("id",))
    for join in (
        JoinSpec(QuerySpec(CARDS.ref, ("owner",)), ("id",), ("k",)),
        JoinSpec(make_aggregation(FEATURES[:2]).to_query(["n", "n_food"])),
        JoinSpec(QuerySpec(CARDS.ref, ("owner",)), ("k",), ("k",), prefix="again_"),
    ):
        query = query.with_join(join)
    plan = bind_query(query, GROUPS)
    rows: list[Any] = [((1, "a"), 5), ((1, "a"), 2), ((1, ""), 5)]
    events: list[Event] = [((1, "a"), 1, 0.5, "food"), ((1, "a"), 4, None, "food")]
    cards = [(0, "", to_time(0), 7), (1, "", to_time(3), 8)]
    rights = {1: make_table(plan, 1, cards), 3: make_table(plan, 3, cards)}
    rights[2] = make_table(plan, 2, [(*key, to_time(at), v, kind) for key, at, v, kind in events])
    table = make_spine(plan, rows)
    for number, nodes in enumerate(plan.join_stages, 1):
        table = join_bucket(table, rights, build_stage(plan, nodes, number))
    found = table.select(["n0_id", "n1_owner", "n2_n", "n2_n_food", "n3_owner"]).to_pylist()
    assert [list(row.values()) for row in found] == [
        [0, 7, 2, 1, 8],
        [1, None, 1, 1, None],
        [2, None, 0, 0, 8],
    ]


# -- in buckets


def scatter_and_join(
    plan: JoinPlan, stage: JoinStage, spine: pa.Table, events: pa.Table, skewed: SkewedKeys
) -> pa.Table:
    """What a shuffle would do, bucket by bucket, with the events of two tasks."""
    (rule,) = stage.rules
    left = SideScatter(0, stage.keys, skewed, stage.time)
    right = SideScatter(1, rule.keys, skewed, stage.time, rule)
    half = events.num_rows // 2
    packed = list(
        shuffle.pack_tables([left(spine), right(events.slice(0, half)), right(events.slice(half))])
    )
    schemas = {0: spine.schema, 1: events.schema}
    results = []
    for sides in shuffle.unpack_batches(packed, schemas):
        results.append(join_bucket(sides[0], {1: sides[1]}, stage))
    return pa.concat_tables(results)


@given(spine_rows, event_rows, closings, st.lists(instants, min_size=1, max_size=4, unique=True))
@settings(max_examples=100, deadline=None)
def test_a_skewed_key_in_slices_of_time_gives_the_same_bits(
    rows: list[Any], events: list[Event], closed: Closed, bounds: list[int]
) -> None:
    plan = bind(FEATURES, closed)
    stage = get_stage(plan)
    spine = make_spine(plan, rows)
    if not rows:
        return
    hashes = np.unique(shuffle.hash_keys(get_key_columns(spine, stage.keys)))[:2].tolist()
    skewed = SkewedKeys(3, tuple(hashes), (tuple(sorted(bounds)),) * len(hashes))
    result = scatter_and_join(plan, stage, spine, make_events(plan, events), skewed)
    assert list_found(plan, result) == list_expected(FEATURES, rows, events, closed)


def test_slices_are_as_long_as_windows_reach_and_endless_windows_have_none() -> None:
    skewed = SkewedKeys(7, (1, 2), ((0, 5, 9, 20, 31), (3,)))
    assert skewed.with_reach(10).slice_bounds == ((0, 20, 31), (3,))
    assert skewed.with_reach(None) == SkewedKeys(7)
    rule = get_stage(bind(FEATURES)).rules[0]
    assert isinstance(rule, WindowRule)
    assert rule.plan.longest_reach == 8
    rule = get_stage(bind(ENDLESS)).rules[0]
    assert isinstance(rule, WindowRule)
    assert rule.plan.longest_reach is None


# -- no leak


@given(st.data(), spine_rows, event_rows, closings)
@settings(max_examples=150, deadline=None)
def test_what_becomes_known_later_changes_nothing_before(
    data: st.DataObject, rows: list[Any], events: list[Event], closed: Closed
) -> None:
    """Every event that becomes known at or after an instant is moved, changed, or taken away."""
    features = (*FEATURES, *ENDLESS)
    plan = bind(features, closed)
    stage = get_stage(plan)
    instant = data.draw(instants)
    first_later = instant if closed == "left" else instant + 1
    later = st.tuples(keys, st.integers(first_later, 20), values, kinds)
    kept = [event for event in events if event[1] is not None and event[1] < first_later]
    changed = data.draw(st.permutations(kept + data.draw(st.lists(later, max_size=12))))
    asked = [(key, at) for key, at in rows if at is not None and at <= instant]
    spine = make_spine(plan, asked)
    before = join_bucket(spine, {1: make_events(plan, events)}, stage)
    after = join_bucket(spine, {1: make_events(plan, changed)}, stage)
    assert before.equals(after)


def test_the_test_of_leaks_would_see_one() -> None:
    """An event at the instant itself counts where windows are closed on both sides."""
    rows = [((1, "a"), 5)]
    events: list[Event] = [((1, "a"), 5, 1.0, "food")]
    results = {}
    for closed in ("left", "both"):
        plan = bind(FEATURES, closed)
        result = join_bucket(
            make_spine(plan, rows), {1: make_events(plan, events)}, get_stage(plan)
        )
        results[closed] = list_found(plan, result)[0]["n"]
    assert results == {"left": 0, "both": 1}
