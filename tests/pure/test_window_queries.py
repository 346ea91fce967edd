"""Windows at the instants of a spine: how a query says so, and what is wrong with one."""

import json
from dataclasses import replace
from typing import Any

import pytest

from spark_fs.errors import QueryError, UpgradeError
from spark_fs.spec import record_format
from spark_fs.spec.aggregation import AggregationSpec
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
