"""The join never looks into the future, loses no row and doubles none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.project import FeatureStore

from conftest import at
from oracles import duckdb_asof, last_before, same_rows

Make = Callable[..., FeatureGroup]


def frame(columns: str, *rows: tuple[Any, ...]) -> pd.DataFrame:
    """A frame of rows; in the column ``at`` a text such as "01-31 12:00" is that instant of 2024, in UTC."""
    table = pd.DataFrame(rows, columns=columns.split())
    return table.assign(at=pd.to_datetime([at(text) for text in table["at"]], utc=True))


@pytest.fixture
def orders(group: Make) -> FeatureGroup:
    """The spine: one customer at several instants, one without a row on the right, one null city."""
    return group("orders", frame(
        "id customer city at",
        (1, "a", "x", "01-02 00:00"), (2, "a", "x", "01-01 23:59:59.999999"), (3, "a", None, "01-03 00:00"),
        (4, "b", "y", "01-02 00:00"), (5, "c", "x", "01-02 00:00"),
    ), primary_key=["id"], event_time="at")


@pytest.fixture
def scores(group: Make) -> FeatureGroup:
    """What is joined: customer a on the second and third of January, b only later."""
    return group("scores", frame(
        "customer at score", ("a", "01-02 00:00", 2.0), ("a", "01-03 00:00:00.000001", 3.0), ("b", "01-02 00:00:00.000001", 9.0),
    ), primary_key=["customer"], event_time="at")


def pairs(read: pd.DataFrame, column: str) -> dict[int, Any]:
    return {row["id"]: None if pd.isna(row[column]) else row[column] for _, row in read.iterrows()}


def test_equal_instants_match_and_one_microsecond_later_does_not(orders: FeatureGroup, scores: FeatureGroup) -> None:
    found = orders.select_all().join(scores.select_features(), on=["customer"]).read("pandas")
    assert pairs(found, "score") == {1: 2.0, 2: None, 3: 2.0, 4: None, 5: None}
    assert list(found.columns) == ["id", "customer", "city", "at", "score"]


def test_an_inner_join_drops_the_unmatched(orders: FeatureGroup, scores: FeatureGroup) -> None:
    found = orders.select_all().join(scores.select_features(), on=["customer"], join_type="inner").read("pandas")
    assert pairs(found, "score") == {1: 2.0, 3: 2.0}


def test_a_match_whose_features_are_null_is_still_a_match(orders: FeatureGroup, group: Make) -> None:
    empty = group("empties", frame("customer at n", ("a", "01-01 00:00", None)).astype({"n": "float64"}), primary_key=["customer"], event_time="at")
    found = orders.select(["id"]).join(empty.select_features(), on=["customer"], join_type="inner").read("pandas")
    assert pairs(found, "n") == {1: None, 2: None, 3: None}


def test_the_newest_row_counts_even_when_its_value_is_null(orders: FeatureGroup, group: Make) -> None:
    gaps = group("gaps", frame("customer at n", ("a", "01-01 00:00", 1.0), ("a", "01-02 00:00", None)).astype({"n": "float64"}),
                 primary_key=["customer"], event_time="at")
    found = orders.select(["id"]).join(gaps.select_features(), on=["customer"]).read("pandas")
    assert pairs(found, "n") == {1: None, 2: 1.0, 3: None, 4: None, 5: None}


def test_a_null_key_matches_nothing(orders: FeatureGroup, group: Make) -> None:
    cities = group("cities", pd.DataFrame({"city": ["x", "y"], "people": [10, 20]}), primary_key=["city"])
    timed = group("city_scores", frame("city at heat", ("x", "01-01 00:00", 1), ("y", "01-01 00:00", 2)), primary_key=["city"], event_time="at")
    found = orders.select(["id"]).join(cities.select_features(), on=["city"]).join(timed.select_features(), on=["city"]).read("pandas")
    assert pairs(found, "people") == {1: 10, 2: 10, 3: None, 4: 20, 5: 10}
    assert pairs(found, "heat") == {1: 1, 2: 1, 3: None, 4: 2, 5: 1}


def test_a_group_without_event_time_leaves_the_others_point_in_time(orders: FeatureGroup, scores: FeatureGroup, group: Make) -> None:
    customers = group("customers", pd.DataFrame({"customer": ["a", "b"], "age": [30, 40]}), primary_key=["customer"])
    found = orders.select(["id"]).join(customers.select_features(), on=["customer"]).join(scores.select_features(), on=["customer"]).read("pandas")
    assert pairs(found, "age") == {1: 30, 2: 30, 3: 30, 4: 40, 5: None}
    assert pairs(found, "score") == {1: 2.0, 2: None, 3: 2.0, 4: None, 5: None}


def test_a_snowflake_joins_through_the_row_that_its_parent_matched(orders: FeatureGroup, group: Make) -> None:
    agents = group("agents", frame("customer at agent", ("a", "01-01 00:00", "p"), ("a", "01-02 12:00", "q")), primary_key=["customer"], event_time="at")
    levels = group("levels", frame("agent at level", ("p", "01-01 00:00", 1), ("p", "01-02 00:00", 2), ("q", "01-04 00:00", 3)),
                   primary_key=["agent"], event_time="at")
    found = orders.select(["id"]).join(agents.select_features().join(levels.select_features()), on=["customer"]).read("pandas")
    assert pairs(found, "agent") == {1: "p", 2: "p", 3: "q", 4: None, 5: None}
    assert pairs(found, "level") == {1: 2, 2: 1, 3: None, 4: None, 5: None}


def test_a_group_joined_twice_needs_a_prefix_and_gets_it(orders: FeatureGroup, group: Make) -> None:
    cities = group("cities", pd.DataFrame({"city": ["x", "y", "a"], "people": [10, 20, 30]}), primary_key=["city"])
    features = cities.select_features()
    query = orders.select(["id"]).join(features, on=["city"], prefix="at_").join(features, left_on=["customer"], right_on=["city"], prefix="of_")
    found = query.read("pandas")
    assert pairs(found, "at_people") == {1: 10, 2: 10, 3: None, 4: 20, 5: 10}
    assert pairs(found, "of_people") == {1: 30, 2: 30, 3: 30, 4: None, 5: None}


def test_a_filter_on_a_joined_group_narrows_its_candidates(orders: FeatureGroup, group: Make) -> None:
    events = group("events", frame("customer at kind n", ("a", "01-01 00:00", "x", 1), ("a", "01-01 12:00", "y", 2)), primary_key=["customer"], event_time="at")
    joined = orders.select(["id"]).join(events.select(["n"]).filter(events["kind"] == "x"), on=["customer"])
    assert pairs(joined.read("pandas"), "n") == {1: 1, 2: 1, 3: 1, 4: None, 5: None}


def test_a_filter_on_the_query_applies_to_its_result(orders: FeatureGroup, scores: FeatureGroup) -> None:
    query = orders.select(["id"]).join(scores.select_features(), on=["customer"])
    assert set(query.filter(scores["score"] >= 2.0).read("pandas")["id"]) == {1, 3}
    assert set(query.filter(scores["score"].is_null() & ~(orders["customer"] == "c")).read("pandas")["id"]) == {2, 4}


def test_a_late_row_is_found_at_its_event_time(orders: FeatureGroup, scores: FeatureGroup) -> None:
    scores.insert(frame("customer at score", ("b", "01-01 00:00", 7.0)))
    found = orders.select(["id"]).join(scores.select_features(), on=["customer"]).read("pandas")
    assert pairs(found, "score")[4] == 7.0


def test_a_spine_without_event_time_gets_the_latest(group: Make, scores: FeatureGroup) -> None:
    people = group("people", pd.DataFrame({"id": [1, 2, 3], "customer": ["a", "b", "c"]}), primary_key=["id"])
    found = people.select_all().join(scores.select_features(), on=["customer"]).read("pandas")
    assert pairs(found, "score") == {1: 3.0, 2: 9.0, 3: None}


@pytest.mark.parametrize("unit", ["s", "ms", "date", "us"])
def test_event_times_of_other_types_compare_as_the_instants_they_are(group: Make, unit: str) -> None:
    spine = group("spine", frame("id at", (1, "01-02 00:00"), (2, "01-01 23:59:59.999999")).assign(k=0), primary_key=["id"], event_time="at")
    times = pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True)
    seconds = times.astype("int64") // 10**9
    values = {"s": seconds, "ms": seconds * 1000, "date": [t.date() for t in times], "us": times}[unit]
    right = group("right", pd.DataFrame({"k": 0, "t": values, "v": [1, 2]}), primary_key=["k"], event_time="t")
    found = spine.select(["id"]).join(right.select_features(), on=["k"]).read("pandas")
    assert pairs(found, "v") == {1: 2, 2: 1}


@pytest.mark.parametrize("seed", [1, 2])
def test_random_histories_join_as_duckdb_and_plain_python_join_them(group: Make, seed: int) -> None:
    draw = np.random.default_rng(seed)
    instants = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(draw.integers(0, 60, 400), "s")
    left = pd.DataFrame({"id": range(400), "k": draw.integers(0, 8, 400), "at": instants})
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(draw.integers(0, 60, 150), "s")
    right = pd.DataFrame({"k": draw.integers(0, 9, 150), "t": times, "v": draw.normal(size=150)}).drop_duplicates(["k", "t"])
    spine = group("spine", left, primary_key=["id"], event_time="at")
    history = group("history", right, primary_key=["k"], event_time="t")
    found = spine.select_all().join(history.select_features(), on=["k"]).read("pandas")
    same_rows(found, duckdb_asof(left, right, "k", "at", "t"), ["id"])
    rows = right.to_dict("records")
    brute = [last_before(rows, {"k": r.k}, "t", r.at) for r in left.itertuples()]
    assert pairs(found, "v") == {i: row and row["v"] for i, row in enumerate(brute)}


def test_a_spine_keeps_every_row_whatever_is_joined(fs: FeatureStore, group: Make) -> None:
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(range(5), "h")
    spine = group("spine", pd.DataFrame({"id": range(5), "k": [None, 1, 1, 2, 3], "at": times}).astype({"k": "Int64"}), primary_key=["id"], event_time="at")
    query = spine.select(["id"])
    for name in ("one", "two", "three"):
        many = group(name, pd.DataFrame({"k": [1] * 50, "j": range(50), "t": times[0], f"v_{name}": 1}), primary_key=["k", "j"], event_time="t")
        query = query.join(many.select([f"v_{name}"]), on=["k"])
    assert sorted(query.read("pandas")["id"]) == [0, 1, 2, 3, 4]
