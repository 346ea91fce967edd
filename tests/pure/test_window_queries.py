"""Windows at the instants of a spine: how a query says so, and what is wrong with one."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import spark_fs
from spark_fs import Aggregation, Feature, FeatureStore, Query
from spark_fs import aggregate as agg
from spark_fs.base.times import to_micros
from spark_fs.engine.engines import EngineChoice
from spark_fs.engine.join.explain import describe_plan
from spark_fs.engine.join.strategy import ExecutionPlan, choose_strategy
from spark_fs.engine.scan.pruning import NodeSource, plan_scans
from spark_fs.errors import NotFoundError, QueryError, SchemaError, SettingsError, UpgradeError
from spark_fs.planning.bind import bind_query
from spark_fs.planning.plan import JoinPlan, NodeColumn
from spark_fs.spec import record_format
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison
from spark_fs.spec.query import JoinSpec, QuerySpec
from spark_fs.spec.window_features import WindowFeature
from spark_fs.tables.data_files import DataFile

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
        "explicit": True,
        "joins": [],
        "where": None,
        "having": None,
        "as_of": None,
        "as_known": False,
        "keeps_order": True,
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
        "no time",
    ],
)
def test_what_is_wrong_with_windows_in_a_query(
    query: QuerySpec, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        bind_query(query, GROUPS)


# -- how it is run


def choose(plan: JoinPlan, strategy: str | None = None) -> ExecutionPlan:
    """The choice where no file is known of any group."""
    sources = [NodeSource(lambda: pytest.fail("no frame is read")) for _ in plan.nodes]
    return choose_strategy(plan, sources, strategy)


def test_windows_are_refused_by_spark_sql() -> None:
    plan = bind(JoinSpec(get_windows(), prefix="w_"))
    with pytest.raises(
        SettingsError,
        match=r"'sql' cannot run this query: the windows of 'payments' version 1 at the spine's",
    ):
        choose(plan, "sql")
    assert not choose(plan).uses_sql


def test_what_only_spark_compares_is_refused_beside_windows() -> None:
    prices = {"card": "decimal(10,2)", "at": "timestamp", "amount": "double", "category": "string"}
    groups = GROUPS | {EVENTS.ref: EVENTS.with_schema(prices)}
    groups[LABELS.ref] = LABELS.with_schema({"card": "decimal(10,1)", "asked_at": "timestamp"})
    plan = bind_query(SPINE.with_join(JoinSpec(get_windows())), groups)
    message = r"Nothing runs this query as a whole: the windows of .* key 'card' of .* decimal"
    for strategy in (None, "sql", "columnar"):
        with pytest.raises(QueryError, match=message):
            choose(plan, strategy)


def test_it_is_explained_with_its_windows() -> None:
    plan = bind(JoinSpec(AGGREGATION.to_query(["count_food"]), prefix="w_"))
    said = describe_plan(plan, choose(plan), EngineChoice("local", "it was asked for"))
    assert "windows: of 'payments' version 1, prefix 'w_'" in said
    assert "  match: card = labels.card, every row with at before labels.asked_at" in said
    assert "  features: 1, of at most 90,000 seconds before (count_food)" in said
    assert "  columns: 3 of 4 (card, at, category)" in said
    assert "strategy for 'payments' version 1" in said


def make_file(column: str, first: str, last: str) -> DataFile:
    return DataFile(first, 1_000, 10, {}, {column: first}, {column: last}, True)


def test_files_of_events_that_no_window_reaches_are_not_read() -> None:
    """The spine is on the second of January; the windows reach one day and an hour back."""

    labels = [make_file("asked_at", "2024-01-02T00:00:00.000Z", "2024-01-02T12:00:00.000Z")]
    events = [
        make_file("at", f"2023-{day}T00:00:00.000Z", f"2023-{day}T22:59:59.000Z")
        for day in ("12-30", "12-31")
    ]
    events.append(make_file("at", "2024-01-01T00:00:00.000Z", "2024-01-03T00:00:00.000Z"))
    events.append(make_file("at", "2024-01-02T13:00:00.000Z", "2024-01-03T00:00:00.000Z"))
    reads = {}
    for name in ("count_food", "amount_last"):
        plan = bind(JoinSpec(AGGREGATION.to_query([name])))
        sources = [NodeSource(lambda: pytest.fail("read"), files) for files in (labels, events)]
        scan_plan = plan_scans(plan, sources)[1]
        reads[name] = (scan_plan.files_after_pruning, scan_plan.event_time_bounds[0])
    start = to_micros(datetime(2024, 1, 2, tzinfo=UTC)) - 25 * HOUR
    assert reads == {"count_food": (1, start), "amount_last": (3, None)}


def test_a_window_longer_than_time_reads_all() -> None:
    far = WindowFeature("n", "count", over=10**18)
    windows = replace(AGGREGATION, features=(far,)).to_query(["n"])
    plan = bind(JoinSpec(windows))
    file = make_file("asked_at", "2024-01-02T00:00:00.000Z", "2024-01-02T12:00:00.000Z")
    sources = [NodeSource(lambda: pytest.fail("read"), files) for files in ([file], [])]
    assert plan_scans(plan, sources)[1].event_time_bounds[0] is None


# -- by the names that users call


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A feature store of its own, in which nothing starts Spark."""
    store = spark_fs.login({"home": str(tmp_path)}).get_feature_store()
    for spec in (EVENTS, LABELS):
        store.create_feature_group(
            spec.name,
            primary_key=list(spec.primary_key),
            event_time=spec.event_time,
            features=[Feature(name, type_) for name, type_ in spec.types.items()],
        )
    return store


def aggregate(store: FeatureStore) -> Aggregation:
    payments = store.get_feature_group("payments", 1)
    features = [agg.count(over="4h", name="n"), agg.sum("amount", over=["1d", "7d"])]
    return Aggregation(payments, features)


def test_features_are_selected_by_name(store: FeatureStore) -> None:
    labels = store.get_feature_group("labels", 1)
    aggregation = aggregate(store)

    def list_columns(query: Query) -> list[str]:
        return list(labels.select(["card"]).join(query).plan().schema)

    names = ["n", "amount_sum_1d", "amount_sum_7d"]
    assert list_columns(aggregation.select_all()) == ["card", *names]
    assert list_columns(aggregation.select(["amount_sum_7d", "n"])) == ["card", *names[::-2]]
    assert list_columns(aggregation.select_except(["n"])) == ["card", *names[1:]]
    with pytest.raises(
        NotFoundError, match=r"Window feature 'm' does not exist; there are: amount_sum_1d"
    ):
        aggregation.select(["m"])
    with pytest.raises(NotFoundError, match=r"Window feature 'm' does not exist"):
        aggregation.select_except(["m"])
    with pytest.raises(QueryError, match=r"No feature of the aggregation is selected"):
        aggregation.select([])


def test_a_view_keeps_windows_and_does_not_serve_them(store: FeatureStore) -> None:
    labels = store.get_feature_group("labels", 1)
    query = labels.select(["card", "customer"]).join(aggregate(store).select(["n"]))
    made = store.create_feature_view("scored", query, labels=["customer"])
    view = store.get_feature_view("scored", 1)
    assert view.query.spec == made.query.spec == query.spec
    assert view.query.to_string() == query.to_string()
    view.init_serving()
    assert view.get_feature_vector({"card": 1}, passed_features={"n": 3}) == [1, 3]
    with pytest.raises(
        QueryError,
        match=r"Feature 'n' has no online value: it is a window of 'payments' version 1 at the",
    ):
        view.get_feature_vector({"card": 1})
