"""Windows at the instants of a spine: how a query says so, and what is wrong with one."""

import json
from dataclasses import replace
from typing import Any

import pytest

from spark_fs.errors import NotFoundError, QueryError, SchemaError, UpgradeError
from spark_fs.planning.bind import bind_query
from spark_fs.planning.plan import JoinPlan, NodeColumn
from spark_fs.spec import record_format
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import JoinSpec, QuerySpec
from spark_fs.spec.window_features import WindowFeature

HOUR = 3_600_000_000
PAYMENTS = GroupRef("payments", 1)
FOOD = Comparison(PAYMENTS, "category", "==", "food")
FEATURES = (
    WindowFeature("amount_sum_4h", "sum", "amount", 4 * HOUR),
    WindowFeature("count_food", "count", over=24 * HOUR, where=FOOD, delay=HOUR),
    WindowFeature("amount_last", "last", "amount"),
)
SOURCE = QuerySpec(PAYMENTS, ("card", "at", "amount", "category"))
AGGREGATION = AggregationSpec(SOURCE, FEATURES, ("card",), "at")
NAMES = tuple(feature.name for feature in FEATURES)


def get_windows() -> QuerySpec:
    return AGGREGATION.to_query(NAMES)


# -- as JSON


def test_a_query_without_windows_is_written_as_the_first_release_reads_it() -> None:
    assert SOURCE.to_json() == {
        "group": ["payments", 1],
        "columns": ["card", "at", "amount", "category"],
        "explicit": False,
        "joins": [],
        "where": None,
        "having": None,
        "as_of": None,
        "as_known": False,
    }


def test_a_query_with_windows_comes_back_from_json_and_an_older_release_refuses_it() -> None:
    spine = QuerySpec(GroupRef("labels", 1), ("card", "at", "is_fraud"))
    query = spine.with_join(JoinSpec(get_windows(), ("card",), ("card",), prefix="w_"))
    stored = json.loads(json.dumps(query.to_json()))
    assert QuerySpec.from_json(stored) == query
    joined: dict[str, Any] = stored["joins"][0]["query"]
    with pytest.raises(UpgradeError, match=r"A query is kept in format 2, .* Upgrade spark_fs"):
        record_format.check_format("A query", joined, newest=1)


def test_windows_are_read_of_the_version_and_the_rows_of_their_source() -> None:
    source = replace(SOURCE.with_filter(FOOD), as_of=7)
    windows = AGGREGATION.with_source(source).to_query(NAMES)
    assert (windows.where, windows.as_of) == (FOOD, 7)
    pinned = get_windows().pin_versions(lambda ref: 3)
    assert pinned.as_of == 3
    assert list(pinned.iter_groups()) == [PAYMENTS]


# -- what is wrong


def test_a_filter_on_windows_is_refused() -> None:
    with pytest.raises(QueryError, match=r"A filter on the windows of 'payments' .* where=, or"):
        get_windows().with_filter(FOOD)


def test_nothing_is_joined_to_windows() -> None:
    with pytest.raises(QueryError, match=r"'labels' version 1 could be joined to: begin with a"):
        get_windows().with_join(JoinSpec(QuerySpec(GroupRef("labels", 1), ("a",))))


def test_a_grid_is_refused_at_the_instants_of_a_spine() -> None:
    with pytest.raises(QueryError, match=r"every=3600 seconds has rows on a grid, .* leave every="):
        replace(AGGREGATION, every=HOUR).to_query(NAMES)


def test_a_source_of_several_groups_is_refused_at_the_instants_of_a_spine() -> None:
    source = SOURCE.with_join(JoinSpec(QuerySpec(GroupRef("shops", 2), ("town",))))
    with pytest.raises(QueryError, match=r"several groups \('payments' version 1, 'shops' version"):
        AGGREGATION.with_source(source).to_query(NAMES)


# -- bound

EVENTS = GroupSpec("payments", 1, primary_key=("card",), event_time="at").with_schema(
    {"card": "bigint", "at": "timestamp", "amount": "double", "category": "string"}
)
LABELS = GroupSpec("labels", 1, primary_key=("card",), event_time="asked_at").with_schema(
    {"card": "bigint", "asked_at": "timestamp", "customer": "bigint", "amount_sum_4h": "double"}
)
CARDS = GroupSpec("cards", 1, primary_key=("card",), event_time="since").with_schema(
    {"card": "bigint", "since": "date", "owner": "string", "twin": "bigint"}
)
NO_TIME = GroupSpec("towns", 1, primary_key=("card",)).with_schema({"card": "bigint"})
GROUPS = {spec.ref: spec for spec in (EVENTS, LABELS, CARDS, NO_TIME)}
SPINE = QuerySpec(LABELS.ref, ("card", "asked_at"))


def bind(*joins: JoinSpec, spine: QuerySpec = SPINE) -> JoinPlan:
    query = spine
    for join in joins:
        query = query.with_join(join)
    return bind_query(query, GROUPS)


def test_the_features_come_out_with_their_types_under_the_prefix() -> None:
    plan = bind(JoinSpec(get_windows(), prefix="w_"))
    assert plan.schema == {
        "card": "bigint",
        "asked_at": "timestamp",
        "w_amount_sum_4h": "double",
        "w_count_food": "bigint",
        "w_amount_last": "double",
    }
    node = plan.nodes[1]
    assert node.match == "windows"
    assert node.left_keys == (NodeColumn(0, "card"),)
    assert node.right_keys == ("card",)
    assert not node.may_tie


def test_windows_and_groups_of_one_key_share_a_stage() -> None:
    plan = bind(JoinSpec(get_windows()), JoinSpec(QuerySpec(CARDS.ref, ("owner",))))
    assert [len(stage) for stage in plan.join_stages] == [2]


def test_only_the_columns_of_chosen_features_are_read() -> None:
    plan = bind(JoinSpec(AGGREGATION.to_query(["count_food"])))
    assert plan.list_columns(plan.nodes[1]) == ("card", "at", "category")
    narrowed = bind(JoinSpec(get_windows(), prefix="w_")).select_outputs(["card", "w_amount_last"])
    assert narrowed.list_columns(narrowed.nodes[1]) == ("card", "at", "amount")


def test_the_entity_may_have_another_name_or_be_a_column_of_what_is_joined() -> None:
    plan = bind(JoinSpec(get_windows(), ("customer",), ("card",)))
    assert plan.nodes[1].left_keys == (NodeColumn(0, "customer"),)
    cards = QuerySpec(CARDS.ref, ("owner",)).with_join(
        JoinSpec(get_windows(), ("twin",), ("card",))
    )
    assert bind(JoinSpec(cards)).nodes[2].left_keys == (NodeColumn(1, "twin"),)


def test_a_filter_on_the_result_speaks_of_rows_and_never_of_events() -> None:
    spine = QuerySpec(PAYMENTS, ("card", "at", "amount"))
    plan = bind(JoinSpec(get_windows()), spine=spine).with_filter(FOOD)
    assert plan.find_column(FOOD) == NodeColumn(0, "category")
    with pytest.raises(
        NotFoundError, match=r"Feature group of a filter 'payments' .*Join it first"
    ):
        bind(JoinSpec(get_windows())).with_filter(FOOD)


def test_max_age_leaves_windows_as_long_as_they_are() -> None:
    plan = bind(JoinSpec(get_windows()))
    assert plan.with_max_age(60).nodes == plan.nodes


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (get_windows(), QueryError, r"stand leftmost, .* labels\.select_all\(\)\.join\("),
        (
            QuerySpec(NO_TIME.ref, ("card",)).with_join(JoinSpec(get_windows())),
            QueryError,
            r"event time, and 'towns' version 1 has none: give the spine an event time",
        ),
        (
            SPINE.with_join(JoinSpec(AGGREGATION.to_query(["amount_sum_5h"]))),
            NotFoundError,
            r"Window feature of 'payments' version 1 'amount_sum_5h' .*'amount_sum_4h'",
        ),
        (
            SPINE.with_join(JoinSpec(get_windows(), ("customer",), ("category",))),
            QueryError,
            r"are joined by category, and their entity is card: name each of these columns once",
        ),
        (
            SPINE.with_join(JoinSpec(replace(AGGREGATION, by=("category",)).to_query(NAMES))),
            QueryError,
            r"Neither the spine, 'labels' .* has category: give left_on=\[...\] and right_on",
        ),
        (
            SPINE.with_join(
                JoinSpec(
                    replace(AGGREGATION, by=("category",)).to_query(NAMES),
                    ("card",),
                    ("category",),
                )
            ),
            QueryError,
            r"Key 'card' of 'labels' version 1 is bigint and 'category' .* they can never be equal",
        ),
        (
            replace(SPINE.with_join(JoinSpec(get_windows())), as_known=True),
            QueryError,
            r"as_known cannot be combined with the windows of 'payments' version 1",
        ),
        (
            replace(SPINE, columns=("card", "amount_sum_4h")).with_join(JoinSpec(get_windows())),
            QueryError,
            r"Two columns of the query are named 'amount_sum_4h': give one of the joins prefix=",
        ),
        (
            SPINE.with_join(JoinSpec(replace(AGGREGATION, known_at="category").to_query(NAMES))),
            SchemaError,
            r"Column 'category', from which on an event is known, is string",
        ),
    ],
    ids=[
        "leftmost",
        "no event time",
        "unknown feature",
        "part of the entity",
        "no such column",
        "unlike keys",
        "as_known",
        "one name",
        "no time",
    ],
)
def test_what_is_wrong_with_windows_in_a_query(
    query: QuerySpec, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bind_query(query, GROUPS)
