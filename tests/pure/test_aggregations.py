"""Window features as they are declared: names, what is refused and with which words, JSON."""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import spark_fs
from spark_fs import Aggregation, Feature, FeatureGroup, FeatureStore, cli, errors
from spark_fs import aggregate as agg
from spark_fs.api.feature import to_feature_specs
from spark_fs.pipelines import Pipeline
from spark_fs.pipelines.step_functions import RunContext
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.window_features import Function, WindowFeature

DAY = 86_400_000_000
HOUR = DAY // 24
TWO_FEATURES = [agg.mean("amount", over="4h", name="spent"), agg.count(over="4h")]
COLUMNS = {
    "card": "string",
    "at": "timestamp",
    "amount": "double",
    "cents": "bigint",
    "price": "decimal(10,2)",
    "category": "string",
    "online": "boolean",
    "born": "date",
    "tags": "array<string>",
}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    """A feature store of its own, in which nothing starts Spark."""
    return spark_fs.login({"home": str(tmp_path)}).get_feature_store()


@pytest.fixture
def payments(store: FeatureStore) -> FeatureGroup:
    return store.create_feature_group(
        "payments",
        primary_key=["card"],
        event_time="at",
        features=[Feature(name, type_) for name, type_ in COLUMNS.items()],
    )


@pytest.fixture
def customers(store: FeatureStore) -> FeatureGroup:
    return store.create_feature_group(
        "customers",
        primary_key=["card"],
        event_time="at",
        features=[
            Feature("card", "string"),
            Feature("at", "timestamp"),
            Feature("since", "date"),
            Feature("age", "int"),
            Feature("amount", "double"),
        ],
    )


def names(function: agg.WindowFunction) -> list[str]:
    return [feature.name for feature in function.features]


# -- the functions


def test_every_function_of_the_engine_is_offered() -> None:
    assert set(agg.__all__) == set(get_args(Function))
    for name in agg.__all__:
        assert getattr(agg, name).__doc__


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (agg.count(over="4h"), "count_4h"),
        (agg.count("amount", over="4h"), "amount_count_4h"),
        (agg.mean("amount", over="240m"), "amount_mean_240m"),
        (agg.mean("amount", over=None), "amount_mean_all"),
        (agg.sum("amount", over=timedelta(days=7)), "amount_sum_7d"),
        (agg.sum("amount", over=timedelta(hours=36)), "amount_sum_36h"),
        (agg.sum("amount", over=timedelta(minutes=90)), "amount_sum_90m"),
        (agg.sum("amount", over=timedelta(seconds=90)), "amount_sum_90s"),
        (agg.sum("amount", over=timedelta(microseconds=5)), "amount_sum_5us"),
        (agg.sum("amount", over=pd.Timedelta("2h")), "amount_sum_2h"),
        (agg.time_since_last(over="7d"), "time_since_last_7d"),
        (agg.time_since_last("amount", over="7d"), "amount_time_since_last_7d"),
        (agg.percentile("amount", 0.95, over="4h"), "amount_p95_4h"),
        (agg.percentile("amount", 0.999, over="4h"), "amount_p99_9_4h"),
        (agg.percentile("amount", 1, over="4h"), "amount_p100_4h"),
        (agg.percentile("amount", 0, over="4h"), "amount_p0_4h"),
        (agg.approx_percentile("amount", 0.5, over="4h"), "amount_approx_p50_4h"),
        (agg.top_k("category", 3, over="4h"), "category_top_3_4h"),
        (agg.last_n("amount", 5, over="4h"), "amount_last_5_4h"),
        (agg.last("amount", over="4h"), "amount_last_4h"),
        (agg.last_distinct_n("amount", 5, over="4h"), "amount_last_distinct_5_4h"),
        (agg.min("amount", over="4h", name="cheapest"), "cheapest"),
        (agg.min("amount", over=None, name="cheapest"), "cheapest"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_feature_is_named_by_its_column_function_and_window(
    function: agg.WindowFunction, expected: str
) -> None:
    assert names(function) == [expected]


def test_a_list_of_lengths_is_a_feature_each() -> None:
    over = ["15m", timedelta(days=7), None]
    several = agg.mean("amount", over=over, delay="1d")
    assert [(each.name, each.over, each.delay) for each in several.features] == [
        ("amount_mean_15m", 15 * 60_000_000, DAY),
        ("amount_mean_7d", 7 * DAY, DAY),
        ("amount_mean_all", None, DAY),
    ]
    assert names(agg.mean("amount", over=over, name="spent")) == [
        "spent_15m",
        "spent_7d",
        "spent_all",
    ]
    assert names(agg.mean("amount", over=["4h"], name="spent")) == ["spent_4h"]


def test_numbers_of_numpy_are_taken_as_their_own() -> None:
    share = agg.percentile("amount", np.float64(0.25), over="4h").features[0].argument
    k = agg.top_k("category", np.int32(3), over="4h").features[0].argument
    assert (type(share), share) == (float, 0.25)
    assert (type(k), k) == (int, 3)
    assert agg.percentile("amount", Decimal("0.25"), over="4h").features[0].argument == 0.25


def test_a_column_of_the_source_stands_for_its_name(payments: FeatureGroup) -> None:
    assert names(agg.max(payments["amount"], over="4h")) == ["amount_max_4h"]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: agg.mean("amount", over="0h"),
            errors.SettingsError,
            "over='0h' is an empty window: give a length above zero, such as '4h', or None for all"
            " history.",
        ),
        (
            lambda: agg.mean("amount", over=["4h", timedelta(hours=-1)]),
            errors.SettingsError,
            "over=datetime.timedelta(days=-1, seconds=82800) is an empty window: give",
        ),
        (
            lambda: agg.mean("amount", over="-4h"),
            errors.SettingsError,
            "'-4h' is not a length of time: give minutes, hours or days, such as 90m, 4h or 7d.",
        ),
        (
            lambda: agg.mean("amount", over=14_400),
            errors.SettingsError,
            "over=14400 is not a length of time: give a string such as '15m', '4h' or '7d', or a"
            " timedelta.",
        ),
        (
            lambda: agg.mean("amount", over=pd.NaT),
            errors.SettingsError,
            "over=NaT is not a length of time",
        ),
        (
            lambda: agg.mean("amount", over=[]),
            errors.SettingsError,
            "over=[] names no window: give a length such as '4h', several in a list, or None",
        ),
        (
            lambda: agg.mean("amount", over="999999999d"),
            errors.SettingsError,
            "over='999999999d' is longer than the years 1 to 9999",
        ),
        (
            lambda: agg.mean("amount", over="4h", delay=timedelta(seconds=-1)),
            errors.SettingsError,
            "is below zero, so the window would look into the future: give a length from zero up",
        ),
        (
            lambda: agg.mean("amount", over="4h", delay=7),
            errors.SettingsError,
            "delay=7 is not a length of time",
        ),
        (
            lambda: agg.mean("amount", over="4h", where=True),
            errors.QueryError,
            "where=True is not a condition: compare a column of the source, as in"
            " where=source['category'] == 'food'.",
        ),
        (
            lambda: agg.mean(5, over="4h"),
            errors.SettingsError,
            "mean of 5: give the name of a column, or a column of the source, as in"
            " agg.mean(source['amount'], over='4h').",
        ),
        (
            lambda: agg.mean(None, over="4h"),
            errors.SettingsError,
            "mean of None: give the name of a column",
        ),
        (
            lambda: agg.percentile("amount", 95, over="4h"),
            errors.SettingsError,
            "percentile takes a share from 0 to 1, not 95: the median is 0.5, the 95th of a hundred"
            " 0.95.",
        ),
        (
            lambda: agg.percentile("amount", float("nan"), over="4h"),
            errors.SettingsError,
            "percentile takes a share from 0 to 1, not nan",
        ),
        (
            lambda: agg.approx_percentile("amount", True, over="4h"),
            errors.SettingsError,
            "approx_percentile takes a share from 0 to 1, not True",
        ),
        (
            lambda: agg.top_k("category", 0, over="4h"),
            errors.SettingsError,
            "top_k keeps k=0 values: give an integer from 1 to 1,000.",
        ),
        (
            lambda: agg.last_n("amount", 1_001, over="4h"),
            errors.SettingsError,
            "last_n keeps n=1001 values: give an integer from 1 to 1,000.",
        ),
        (
            lambda: agg.last_distinct_n("amount", 2.0, over="4h"),
            errors.SettingsError,
            "last_distinct_n keeps n=2.0 values: give an integer",
        ),
        (
            lambda: agg.mean("amount", over="4h", name="Spent"),
            errors.InvalidNameError,
            "Window feature 'Spent' is not a valid name: use lower snake case",
        ),
        (
            lambda: agg.mean("amount", over="4h", name=""),
            errors.InvalidNameError,
            "Window feature '' is not a valid name",
        ),
        (
            lambda: agg.mean("a" * 60, over="4h"),
            errors.InvalidNameError,
            "has a name of more than 63 characters: give a shorter one by name='...'.",
        ),
        (
            lambda: agg.median("amount", over="4h"),
            AttributeError,
            "spark_fs.aggregate has no function 'median': use approx_distinct_count,",
        ),
    ],
)
def test_a_call_that_means_nothing_is_refused_at_once(
    call: Callable[[], Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        call()


# -- the aggregation


def test_key_and_instant_are_those_of_the_source_unless_said(payments: FeatureGroup) -> None:
    own = Aggregation(payments, [agg.count(over="4h")])
    assert (own.by, own.known_at) == (["card"], "at")
    said = Aggregation(
        payments, [agg.count(over="4h")], by=[payments["category"], "online"], known_at="born"
    )
    assert (said.by, said.known_at) == (["category", "online"], "born")


def test_each_feature_has_its_type_and_says_what_it_is(payments: FeatureGroup) -> None:
    is_food = (payments["category"] == "food") & ~payments["amount"].is_null()
    aggregation = Aggregation(
        payments,
        [
            agg.count(over="4h"),
            agg.mean("amount", over="7d", where=payments["category"] == "food", delay="1d"),
            agg.sum("cents", over=None, where=is_food),
            agg.sum("price", over="90m"),
            agg.top_k("category", 3, over="4h"),
            agg.time_since_last(over="4h"),
        ],
    )
    assert [(each.name, each.type, each.description) for each in aggregation.features] == [
        ("count_4h", "bigint", "number of events over 4h"),
        (
            "amount_mean_7d",
            "double",
            "mean of amount over 7d up to 1d before where category = 'food'",
        ),
        (
            "cents_sum_all",
            "bigint",
            "sum of cents over all history where (category = 'food') AND NOT (amount IS NULL)",
        ),
        ("price_sum_90m", "decimal(20,2)", "sum of price over 90m"),
        ("category_top_3_4h", "array<string>", "3 most frequent values of category over 4h"),
        ("time_since_last_4h", "double", "seconds since the last event over 4h"),
    ]


def test_an_aggregation_reads_well(payments: FeatureGroup) -> None:
    each_event = Aggregation(payments, [agg.count(over="4h"), agg.max("amount", over="1d")])
    assert repr(each_event).splitlines() == [
        "Aggregation of 'payments' version 1, by card, for each instant of at:",
        "  count_4h: number of events over 4h",
        "  amount_max_1d: greatest amount over 1d",
    ]
    grid = Aggregation(payments, agg.count(over="4h"), every="1h", closed="both")
    assert repr(grid).splitlines()[0] == (
        "Aggregation of 'payments' version 1, by card, every 1h of at, with the events of that very"
        " instant:"
    )


def test_the_rows_have_the_key_the_instant_and_the_features(payments: FeatureGroup) -> None:
    by_day = Aggregation(payments, [agg.count(over="4h")], known_at="born")
    assert by_day.plan().row_schema == {"card": "string", "born": "date", "count_4h": "bigint"}
    grid = Aggregation(payments, [agg.count(over="4h")], known_at="born", every="1d")
    assert grid.plan().row_schema == {"card": "string", "born": "timestamp", "count_4h": "bigint"}


def test_columns_of_a_joined_group_are_those_of_the_result(
    payments: FeatureGroup, customers: FeatureGroup
) -> None:
    query = payments.select_all().join(customers.select_all(), prefix="customer_")
    aggregation = Aggregation(
        query, [agg.mean(customers["amount"], over="4h", where=customers["age"] > 18)]
    )
    (feature,) = aggregation.spec.features
    assert feature.name == "amount_mean_4h"
    assert feature.column == "customer_amount"
    assert feature.where is not None
    assert feature.where.to_json() == [">", ["payments", 1], "customer_age", 18]


def test_the_source_is_kept_with_the_columns_that_are_needed(
    payments: FeatureGroup, customers: FeatureGroup
) -> None:
    """So a column that the source gains later is no change of what was declared."""
    query = payments.select_all().join(customers.select_all(), prefix="customer_")
    without_join = Aggregation(query, [agg.mean("amount", over="4h")]).spec.source
    assert without_join.columns == ("card", "at", "amount")
    assert without_join.joins == ()
    condition = payments["category"] == "food"
    filtered = Aggregation(
        query.filter(customers["age"] > 18), [agg.count(over="4h", where=condition)]
    )
    assert filtered.spec.source.columns == ("card", "at", "category")
    assert [join.query.columns for join in filtered.spec.source.joins] == [()]


def test_an_aggregation_comes_back_from_json(payments: FeatureGroup) -> None:
    aggregation = Aggregation(
        payments,
        [
            agg.count(over=["4h", None]),
            agg.percentile("amount", 0.95, over="7d", where=payments["born"] > date(2020, 1, 1)),
            agg.top_k("category", 3, over="7d", delay=timedelta(seconds=1)),
        ],
        every="1h",
        closed="both",
    )
    text = json.dumps(aggregation.spec.to_json())
    assert AggregationSpec.from_json(json.loads(text)) == aggregation.spec


@pytest.mark.parametrize(
    ("declare", "error", "text"),
    [
        (
            lambda group, other: Aggregation(group, []),
            errors.SettingsError,
            "An aggregation has no features: give some, as in [agg.count(over='4h')].",
        ),
        (
            lambda group, other: Aggregation(group, ["amount"]),
            errors.SettingsError,
            "'amount' is not a window feature: give a list of what spark_fs.aggregate gives",
        ),
        (
            lambda group, other: Aggregation("payments", [agg.count(over="4h")]),
            errors.SettingsError,
            "source='payments' is not a feature group, an external feature group or a query.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.mean("amuont", over="4h")]),
            errors.NotFoundError,
            "Column of an aggregation's source 'amuont' does not exist; did you mean 'amount'",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], by=["cart"]),
            errors.NotFoundError,
            "Column of an aggregation's source 'cart' does not exist; did you mean 'card'",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], by=5),
            errors.SettingsError,
            "by=5 is not a list of columns.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], by=[]),
            errors.SettingsError,
            "An aggregation names no entity: give by=[...], the columns that identify it.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], by=["card", "card"]),
            errors.SettingsError,
            "by=['card', 'card'] and known_at='at' name a column twice: name each once.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], by=["card", "at"]),
            errors.SettingsError,
            "by=['card', 'at'] and known_at='at' name a column twice",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], known_at="amount"),
            errors.SchemaError,
            "Column 'amount', from which on an event is known, is double: it must be one of"
            " timestamp, date, bigint, int.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], known_at=5),
            errors.SettingsError,
            "known_at=5 is not a column of the source, or its name.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.mean("category", over="4h")]),
            errors.SchemaError,
            "Column 'category' is string, which has no mean: use a column of numbers",
        ),
        (
            lambda group, other: Aggregation(group, [agg.last("tags", over="4h")]),
            errors.SchemaError,
            "Column 'tags' is array<string>, and window features are made of single values",
        ),
        (
            lambda group, other: Aggregation(
                group, [agg.mean("amount", over="4h"), agg.mean("amount", over=["1d", "4h"])]
            ),
            errors.SettingsError,
            "Two columns of the aggregation are named 'amount_mean_4h': give one of the features"
            " another name by name='...'.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.max("born", over="4h", name="card")]),
            errors.SettingsError,
            "Two columns of the aggregation are named 'card'",
        ),
        (
            lambda group, other: Aggregation(
                group, [agg.count(over="4h", where=other["age"] > 18)]
            ),
            errors.QueryError,
            "Column 'age' of feature group 'customers' version 1 is not in the source of the window"
            " features, 'payments' version 1: use columns of the source, or join that group to it.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.mean(other["amount"], over="4h")]),
            errors.QueryError,
            "Column 'amount' of feature group 'customers' version 1 is not in the source",
        ),
        (
            lambda group, other: Aggregation(
                group.select(["card", "at", "amount"]),
                [agg.count(over="4h", where=group["online"] == True)],  # noqa: E712 # a condition
            ),
            errors.QueryError,
            "The source does not select 'online' of feature group 'payments' version 1: select it",
        ),
        (
            lambda group, other: Aggregation(
                group.select_all()
                .join(other.select(["age"]), prefix="one_")
                .join(other.select(["age"]), prefix="two_"),
                [agg.count(over="4h", where=other["age"] > 18)],
            ),
            errors.QueryError,
            "Column 'age' of feature group 'customers' version 1 is several columns of the source:"
            " one_age, two_age.",
        ),
        (
            lambda group, other: Aggregation(group.select(["at"]), [agg.count(over="4h")]),
            errors.QueryError,
            "The source does not select 'card', the primary key column of 'payments' version 1:"
            " select it, or say by=[...].",
        ),
        (
            lambda group, other: Aggregation(
                group, [agg.count(over="4h")], every=timedelta(milliseconds=1_500)
            ),
            errors.SettingsError,
            "every=1.5 seconds is not a grid: give whole seconds above zero, such as '1h'.",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], every="0h"),
            errors.SettingsError,
            "every=0 seconds is not a grid",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], every=3_600),
            errors.SettingsError,
            "every=3600 is not a length of time",
        ),
        (
            lambda group, other: Aggregation(group, [agg.count(over="4h")], closed="right"),
            errors.SettingsError,
            "closed='right' is not known: use 'left', for events before the instant, or 'both'",
        ),
    ],
)
def test_a_mistake_is_an_error_at_declaration(
    payments: FeatureGroup,
    customers: FeatureGroup,
    declare: Callable[[FeatureGroup, FeatureGroup], Any],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        declare(payments, customers)


def test_an_external_group_is_a_source(store: FeatureStore, tmp_path: Path) -> None:
    clicks = store.create_external_feature_group(
        "clicks",
        primary_key=["user_id"],
        event_time="at",
        data_format="parquet",
        path=str(tmp_path / "clicks"),
        features=[Feature("user_id", "bigint"), Feature("at", "bigint"), Feature("page", "string")],
    )
    aggregation = Aggregation(clicks, [agg.last_n("page", 2, over="15m")])
    assert aggregation.plan().row_schema == {
        "user_id": "bigint",
        "at": "bigint",
        "page_last_2_15m": "array<string>",
    }
    built = store.create_feature_group("pages", aggregation=aggregation)
    assert [type(each).__name__ for each in built.get_parent_feature_groups()] == [
        "ExternalFeatureGroup"
    ]


def test_a_source_without_event_time_needs_an_instant(store: FeatureStore) -> None:
    columns = [Feature("card", "string"), Feature("opened", "date")]
    cards = store.create_feature_group("cards", primary_key=["card"], features=columns)
    with pytest.raises(
        errors.SettingsError,
        match=r"Feature group 'cards' version 1 has no event time: give known_at='\.\.\.', the column"
        " that tells from when on an event is known",
    ):
        Aggregation(cards, [agg.count(over="4h")])
    assert Aggregation(cards, [agg.count(over="4h")], known_at="opened").known_at == "opened"


def test_a_source_without_schema_is_refused(store: FeatureStore) -> None:
    empty = store.create_feature_group("empty", primary_key=["card"], event_time="at")
    with pytest.raises(errors.QueryError, match="'empty' version 1 has no schema yet"):
        Aggregation(empty, [agg.count(over="4h")])


def test_a_condition_of_another_store_is_refused(
    payments: FeatureGroup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = str(tmp_path_factory.mktemp("other"))
    elsewhere = spark_fs.login({"home": home}).get_feature_store()
    columns = [Feature(name, type_) for name, type_ in COLUMNS.items()]
    other = elsewhere.create_feature_group(
        "payments", primary_key=["card"], event_time="at", features=columns
    )
    with pytest.raises(errors.QueryError, match="is of another feature store"):
        Aggregation(payments, [agg.count(over="4h", where=other["category"] == "food")])
    with pytest.raises(errors.QueryError, match="Column 'amount' is of another feature store"):
        Aggregation(payments, [agg.mean(other["amount"], over="4h")])


def test_a_feature_of_an_unknown_function_is_refused() -> None:
    with pytest.raises(errors.SettingsError, match="'median', which is not known: use count, sum"):
        WindowFeature("amount_median_4h", "median", "amount", 4 * HOUR)  # type: ignore[arg-type]


# -- the group that is built of it


def test_a_group_of_an_aggregation_has_its_key_time_and_columns(
    store: FeatureStore, payments: FeatureGroup
) -> None:
    aggregation = Aggregation(
        payments, [agg.count(over="4h"), agg.top_k("category", 3, over="7d")], by=["category"]
    )
    built = store.create_feature_group("spending", aggregation=aggregation)
    assert (built.version, built.primary_key, built.event_time) == (1, ["category"], "at")
    assert built.schema == {
        "category": "string",
        "at": "timestamp",
        "count_4h": "bigint",
        "category_top_3_7d": "array<string>",
    }
    assert [feature.description for feature in built.features] == [
        "",
        "",
        "number of events over 4h",
        "3 most frequent values of category over 7d",
    ]
    assert [group.name for group in built.get_parent_feature_groups()] == ["payments"]
    assert payments.aggregation is None


def test_a_group_keeps_its_aggregation(tmp_path: Path, payments: FeatureGroup) -> None:
    store = spark_fs.login({"home": str(tmp_path)}).get_feature_store()
    aggregation = Aggregation(
        payments,
        [agg.mean("amount", over=["4h", None], where=payments["category"] == "food", delay="1d")],
        every="1h",
        closed="both",
    )
    store.create_feature_group("spending", description="spent", aggregation=aggregation)
    later = spark_fs.login({"home": str(tmp_path)}).get_feature_store()
    kept = later.get_feature_group("spending", 1).aggregation
    assert kept is not None
    assert kept.spec == aggregation.spec
    assert repr(kept) == repr(aggregation)
    assert kept.plan() == aggregation.plan()
    described = later.get_feature_group("spending", 1).update_description("spent by card")
    assert described.aggregation is not None
    assert described.aggregation.spec == aggregation.spec


def test_parents_are_the_groups_of_the_source_unless_said(
    store: FeatureStore, payments: FeatureGroup, customers: FeatureGroup
) -> None:
    query = payments.select_all().join(customers.select(["age"]))
    own = store.create_feature_group(
        "ages", aggregation=Aggregation(query, [agg.max("age", over="4h")])
    )
    assert [each.name for each in own.get_parent_feature_groups()] == ["payments", "customers"]
    said = store.create_feature_group(
        "counts", parents=[customers], aggregation=Aggregation(payments, [agg.count(over="4h")])
    )
    assert [each.name for each in said.get_parent_feature_groups()] == ["customers"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"primary_key": ["category"]},
            "Feature group 'spending': primary_key=['category'] is not what its aggregation is by,"
            " ['card']: leave primary_key out, or give the aggregation by=.",
        ),
        (
            {"event_time": "born"},
            "Feature group 'spending': event_time='born' is not what its aggregation is known at,"
            " 'at': leave event_time out, or give the aggregation known_at=.",
        ),
        (
            {"features": [Feature("card", "string")]},
            "Feature group 'spending' has the columns of its aggregation: leave features out.",
        ),
        (
            {"aggregation": "amount"},
            "aggregation='amount' is not an Aggregation or None.",
        ),
    ],
)
def test_what_an_aggregation_says_is_not_said_otherwise(
    store: FeatureStore, payments: FeatureGroup, arguments: dict[str, Any], text: str
) -> None:
    aggregation = Aggregation(payments, [agg.count(over="4h")])
    for declare in (store.create_feature_group, store.get_or_create_feature_group):
        with pytest.raises(errors.SettingsError, match=re.escape(text)):
            declare("spending", **{"aggregation": aggregation, **arguments})
    same = {"primary_key": ["card"], "event_time": "at"}
    built = store.create_feature_group("spending", aggregation=aggregation, **same)
    assert built.primary_key == ["card"]


def test_the_same_aggregation_finds_the_group(store: FeatureStore, payments: FeatureGroup) -> None:
    def declare() -> FeatureGroup:
        condition = payments["category"] == "food"
        aggregation = Aggregation(payments, [agg.mean("amount", over="4h", where=condition)])
        return store.get_or_create_feature_group("spending", aggregation=aggregation)

    first = declare()
    columns = [Feature("tip", "double")]
    store._stores.catalog.change_group(
        payments.spec.ref, lambda spec: spec.with_features(to_feature_specs(columns))
    )
    payments._reload_spec()
    assert "tip" in payments.schema
    assert declare().spec == first.spec


@pytest.mark.parametrize(
    ("declare", "differences"),
    [
        (
            lambda group, other: Aggregation(group, [agg.mean("amount", over="1d", name="spent")]),
            "spent is mean of amount over 1d, not mean of amount over 4h; count_4h (number of"
            " events over 4h) is not there",
        ),
        (
            lambda group, other: Aggregation(
                group,
                [
                    agg.mean("amount", over="4h", name="spent"),
                    agg.count(over="4h"),
                    agg.count(over="1d"),
                ],
            ),
            "count_1d (number of events over 1d) is there, and was not asked for",
        ),
        (
            lambda group, other: Aggregation(group, TWO_FEATURES, closed="both", every="1h"),
            "every is 1h, not None; closed is both, not left",
        ),
        (
            lambda group, other: Aggregation(group, TWO_FEATURES, by=["category", "card"]),
            "by is category, card, not card",
        ),
        (
            lambda group, other: Aggregation(other, TWO_FEATURES, known_at="since"),
            "known_at is since, not at; the source is 'customers' version 1, not 'payments'"
            " version 1",
        ),
        (
            lambda group, other: Aggregation(
                group.select_all().filter(group["category"] != "food"), TWO_FEATURES
            ),
            "the source is filtered by category <> 'food', not by nothing",
        ),
        (
            lambda group, other: Aggregation(group, TWO_FEATURES[::-1]),
            "the features are in the order count_4h, spent, not spent, count_4h",
        ),
        (
            lambda group, other: Aggregation(
                group.select_all().join(other.select(["age"]), join_type="inner"), TWO_FEATURES
            ),
            "the source joins other rows",
        ),
    ],
)
def test_an_aggregation_that_changed_under_a_version_is_refused_with_each_difference(
    store: FeatureStore,
    payments: FeatureGroup,
    customers: FeatureGroup,
    declare: Callable[[FeatureGroup, FeatureGroup], Aggregation],
    differences: str,
) -> None:
    existing = store.create_feature_group("spending", aggregation=declare(payments, customers))
    with pytest.raises(
        errors.AlreadyExistsError,
        match="^"
        + re.escape(
            "Feature group 'spending' version 1 exists already, and its window features were"
            f" declared otherwise: {differences}. Nothing was changed. Use the same aggregation, or"
            " create a new version for another one."
        )
        + "$",
    ):
        store.get_or_create_feature_group(
            "spending", aggregation=Aggregation(payments, TWO_FEATURES)
        )
    kept = store.get_feature_group("spending", 1)
    assert kept.spec == existing.spec
    newer = store.get_or_create_feature_group(
        "spending", 2, aggregation=Aggregation(payments, TWO_FEATURES)
    )
    assert newer.version == 2


def test_a_group_that_is_built_and_one_that_is_inserted_are_not_the_same(
    store: FeatureStore, payments: FeatureGroup
) -> None:
    aggregation = Aggregation(payments, [agg.count(over="4h")])
    built = store.create_feature_group("spending", aggregation=aggregation)
    same = store.get_or_create_feature_group("spending", primary_key=["card"], event_time="at")
    assert same.spec == built.spec
    with pytest.raises(
        errors.AlreadyExistsError, match="its rows are inserted, not built by an aggregation"
    ):
        store.get_or_create_feature_group("payments", aggregation=aggregation)


def test_a_group_that_builds_itself_takes_no_rows_and_no_columns(
    store: FeatureStore, payments: FeatureGroup
) -> None:
    aggregation = Aggregation(payments, [agg.count(over="4h")])
    built = store.create_feature_group("spending", aggregation=aggregation)
    with pytest.raises(
        errors.SettingsError,
        match=r"Feature group 'spending' version 1 builds its rows by its aggregation, and takes no"
        r" others: call backfill\(start, end\) or run_incremental\(until\)\.",
    ):
        built.insert(pd.DataFrame({"card": ["a"]}))
    with pytest.raises(
        errors.SchemaError,
        match="Feature group 'spending' version 1 has the columns of its aggregation, and takes no"
        " others: create a new version",
    ):
        built.spec.with_features(to_feature_specs([Feature("tip", "double")]))


def test_a_source_is_not_deleted_while_a_group_is_built_of_it(
    store: FeatureStore, payments: FeatureGroup
) -> None:
    aggregation = Aggregation(payments, [agg.count(over="4h")])
    store.create_feature_group("spending", aggregation=aggregation)
    with pytest.raises(
        errors.SettingsError,
        match="Feature group 'spending' version 1 is built of the rows of 'payments' version 1,"
        " which is not deleted",
    ):
        payments.delete()


def test_an_older_release_refuses_a_group_that_builds_itself_and_reads_every_other(
    store: FeatureStore, payments: FeatureGroup
) -> None:
    aggregation = Aggregation(payments, [agg.count(over="4h")])
    built = store.create_feature_group("spending", aggregation=aggregation)
    assert built.spec.to_json()["format_version"] == 2
    assert GroupSpec.from_json(json.loads(json.dumps(built.spec.to_json()))) == built.spec
    plain = payments.spec.to_json()
    assert "format_version" not in plain
    assert "aggregation" not in plain
    with pytest.raises(errors.UpgradeError, match="is kept in format 4, which a newer spark_fs"):
        GroupSpec.from_json({**built.spec.to_json(), "format_version": 4})


# -- where it shows


def test_the_page_of_such_a_group_says_what_each_feature_is(
    store: FeatureStore, payments: FeatureGroup, tmp_path: Path
) -> None:
    evil = "</script><img src=x>"
    aggregation = Aggregation(
        payments.select_all().filter(payments["online"] == True),  # noqa: E712 # a condition
        [agg.mean("amount", over="4h", where=payments["category"] == evil)],
        every="1h",
    )
    built = store.create_feature_group("spending", aggregation=aggregation)
    page = built.report(tmp_path / "page.html").read_text()
    (data,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    words = f"mean of amount over 4h where category = '{evil}'"
    assert json.loads(data)["windows"] == {
        "columns": ["feature", "type", "what it is"],
        "rows": [{"cells": ["amount_mean_4h", "double", words]}],
    }
    assert json.loads(data)["features"][2]["description"] == words
    assert "&#39;payments&#39; version 1 where online = TRUE, by card, every 1h of at" in page
    assert "<img" not in page
    assert ">payments</text>" in page  # in its lineage


def test_the_command_line_shows_it(
    store: FeatureStore,
    payments: FeatureGroup,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    aggregation = Aggregation(payments, [agg.count(over="4h")])
    built = store.create_feature_group("spending", aggregation=aggregation)
    monkeypatch.setenv("SPARK_FS_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["spark-fs", "show", "spending"])
    with pytest.raises(SystemExit, match=r"^0$"):
        cli.main()
    assert capsys.readouterr().out.startswith(
        "Feature group spending, version 1\n"
        f"stored in {built.location}\n\n"
        "Aggregation of 'payments' version 1, by card, for each instant of at:\n"
        "  count_4h: number of events over 4h\n\n"
        "column"
    )


# -- in a pipeline


def test_a_pipeline_has_no_function_for_a_group_that_builds_itself(
    store: FeatureStore, payments: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    aggregation = Aggregation(payments, [agg.count(over="4h")])
    built = store.create_feature_group("spending", aggregation=aggregation)

    def build(_spark: object, _start: object, _end: object) -> None: ...

    def declare_payments(_fs: FeatureStore) -> FeatureGroup:
        return payments

    def declare_spending(_fs: FeatureStore) -> FeatureGroup:
        return built

    groups = ModuleType("declared_groups")
    monkeypatch.setitem(sys.modules, "declared_groups", groups)
    pipeline = Pipeline.of({"name": "spent", "groups": "declared_groups", "steps": ["statistics"]})

    def make_context() -> RunContext:
        return RunContext(store, pipeline, datetime(2024, 1, 1, tzinfo=UTC), False)

    groups.PIPELINE = {declare_payments: build, declare_spending: None}
    assert list(make_context().builders.values()) == [build, None]
    groups.PIPELINE = {declare_payments: None}
    with pytest.raises(
        errors.SettingsError,
        match="PIPELINE of declared_groups has no function that builds the rows of feature group"
        " 'payments' version 1, and it has no aggregation that does: give it one of the two",
    ):
        make_context()
    groups.PIPELINE = {declare_spending: build}
    with pytest.raises(
        errors.SettingsError,
        match="PIPELINE of declared_groups has a function for feature group 'spending' version 1,"
        " which builds its rows by its aggregation: give None in the place of the function",
    ):
        make_context()
