"""The join never looks into the future, loses no row and doubles none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from engines import read_by_both

from spark_fs.api.feature import Feature
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.query import Query
from spark_fs.errors import SettingsError

from conftest import at, first_quick
from oracles import duckdb_asof, last_before, same_rows

Make = Callable[..., FeatureGroup]
STRATEGIES: list[str] = []


def frame(columns: str, *rows: tuple[Any, ...]) -> pd.DataFrame:
    """A frame of rows; in the column ``at`` a text such as "01-31 12:00" is that instant of 2024, in UTC."""
    table = pd.DataFrame(rows, columns=columns.split())
    return table.assign(at=pd.to_datetime([at(text) for text in table["at"]], utc=True))


@pytest.fixture
def orders(group: Make) -> FeatureGroup:
    """The spine: one customer at several instants, one without a row on the right, one null city."""
    return group(
        "orders",
        frame(
            "id customer city at",
            (1, "a", "x", "01-02 00:00"),
            (2, "a", "x", "01-01 23:59:59.999999"),
            (3, "a", None, "01-03 00:00"),
            (4, "b", "y", "01-02 00:00"),
            (5, "c", "x", "01-02 00:00"),
        ),
        primary_key=["id"],
        event_time="at",
    )


@pytest.fixture
def scores(group: Make) -> FeatureGroup:
    """What is joined: customer a on the second and third of January, b only later."""
    return group(
        "scores",
        frame(
            "customer at score",
            ("a", "01-02 00:00", 2.0),
            ("a", "01-03 00:00:00.000001", 3.0),
            ("b", "01-02 00:00:00.000001", 9.0),
        ),
        primary_key=["customer"],
        event_time="at",
    )


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param(["columnar"], id="-"),
        pytest.param(["sql", "columnar", "broadcast"], id="each", marks=pytest.mark.slow),
    ],
)
def strategies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which strategies are compared with the one that is chosen, here broadcast: in the quick suite one, in the slow one each.

    The one that is chosen is read by both engines, columnar by threads, sql by Spark.
    """
    monkeypatch.setitem(globals(), "STRATEGIES", request.param)


def everywhere(query: Query, refused: str = "") -> pd.DataFrame:
    """The rows of a query, which are the same by both engines and every strategy; one of them may be refused."""
    chosen = read_by_both(query)
    if refused:
        with pytest.raises(
            SettingsError,
            match=rf"strategy '{refused}' needs right sides that lie in files of their own",
        ):
            query.read("pandas", strategy=refused)
    for strategy in (strategy for strategy in STRATEGIES if strategy != refused):
        other = query.read("pandas", strategy=strategy)
        assert list(other.columns) == list(chosen.columns)
        assert other.dtypes.tolist() == chosen.dtypes.tolist()
        assert sorted(map(repr, other.itertuples(index=False))) == sorted(
            map(repr, chosen.itertuples(index=False))
        ), strategy
    return chosen


def pairs(read: pd.DataFrame, column: str) -> dict[int, Any]:
    return {row["id"]: None if pd.isna(row[column]) else row[column] for _, row in read.iterrows()}


def test_equal_instants_match_and_one_microsecond_later_does_not(
    orders: FeatureGroup, scores: FeatureGroup
) -> None:
    found = everywhere(orders.select_all().join(scores.select_features(), on=["customer"]))
    assert pairs(found, "score") == {1: 2.0, 2: None, 3: 2.0, 4: None, 5: None}
    assert list(found.columns) == ["id", "customer", "city", "at", "score"]


def test_an_inner_join_drops_the_unmatched(orders: FeatureGroup, scores: FeatureGroup) -> None:
    found = everywhere(
        orders.select_all().join(scores.select_features(), on=["customer"], join_type="inner")
    )
    assert pairs(found, "score") == {1: 2.0, 3: 2.0}


def test_a_match_whose_features_are_null_is_still_a_match(
    orders: FeatureGroup, group: Make
) -> None:
    empty = group(
        "empties",
        frame("customer at n", ("a", "01-01 00:00", None)).astype({"n": "float64"}),
        primary_key=["customer"],
        event_time="at",
    )
    found = everywhere(
        orders.select(["id"]).join(empty.select_features(), on=["customer"], join_type="inner")
    )
    assert pairs(found, "n") == {1: None, 2: None, 3: None}


def test_the_newest_row_counts_even_when_its_value_is_null(
    orders: FeatureGroup, group: Make
) -> None:
    gaps = group(
        "gaps",
        frame("customer at n", ("a", "01-01 00:00", 1.0), ("a", "01-02 00:00", None)).astype(
            {"n": "float64"}
        ),
        primary_key=["customer"],
        event_time="at",
    )
    found = everywhere(orders.select(["id"]).join(gaps.select_features(), on=["customer"]))
    assert pairs(found, "n") == {1: None, 2: 1.0, 3: None, 4: None, 5: None}


def test_a_null_key_matches_nothing(orders: FeatureGroup, group: Make) -> None:
    cities = group(
        "cities", pd.DataFrame({"city": ["x", "y"], "people": [10, 20]}), primary_key=["city"]
    )
    timed = group(
        "city_scores",
        frame("city at heat", ("x", "01-01 00:00", 1), ("y", "01-01 00:00", 2)),
        primary_key=["city"],
        event_time="at",
    )
    found = everywhere(
        orders.select(["id"])
        .join(cities.select_features(), on=["city"])
        .join(timed.select_features(), on=["city"])
    )
    assert pairs(found, "people") == {1: 10, 2: 10, 3: None, 4: 20, 5: 10}
    assert pairs(found, "heat") == {1: 1, 2: 1, 3: None, 4: 2, 5: 1}


def test_a_group_without_event_time_leaves_the_others_point_in_time(
    orders: FeatureGroup, scores: FeatureGroup, group: Make
) -> None:
    customers = group(
        "customers",
        pd.DataFrame({"customer": ["a", "b"], "age": [30, 40]}),
        primary_key=["customer"],
    )
    found = everywhere(
        orders.select(["id"])
        .join(customers.select_features(), on=["customer"])
        .join(scores.select_features(), on=["customer"])
    )
    assert pairs(found, "age") == {1: 30, 2: 30, 3: 30, 4: 40, 5: None}
    assert pairs(found, "score") == {1: 2.0, 2: None, 3: 2.0, 4: None, 5: None}


def test_a_snowflake_joins_through_the_row_that_its_parent_matched(
    orders: FeatureGroup, group: Make
) -> None:
    agents = group(
        "agents",
        frame("customer at agent", ("a", "01-01 00:00", "p"), ("a", "01-02 12:00", "q")),
        primary_key=["customer"],
        event_time="at",
    )
    levels = group(
        "levels",
        frame(
            "agent at level",
            ("p", "01-01 00:00", 1),
            ("p", "01-02 00:00", 2),
            ("q", "01-04 00:00", 3),
        ),
        primary_key=["agent"],
        event_time="at",
    )
    found = everywhere(
        orders.select(["id"]).join(
            agents.select_features().join(levels.select_features()), on=["customer"]
        )
    )
    assert pairs(found, "agent") == {1: "p", 2: "p", 3: "q", 4: None, 5: None}
    assert pairs(found, "level") == {1: 2, 2: 1, 3: None, 4: None, 5: None}


def test_a_group_joined_twice_needs_a_prefix_and_gets_it(orders: FeatureGroup, group: Make) -> None:
    cities = group(
        "cities",
        pd.DataFrame({"city": ["x", "y", "a"], "people": [10, 20, 30]}),
        primary_key=["city"],
    )
    features = cities.select_features()
    query = (
        orders.select(["id"])
        .join(features, on=["city"], prefix="at_")
        .join(features, left_on=["customer"], right_on=["city"], prefix="of_")
    )
    found = everywhere(query)
    assert pairs(found, "at_people") == {1: 10, 2: 10, 3: None, 4: 20, 5: 10}
    assert pairs(found, "of_people") == {1: 30, 2: 30, 3: 30, 4: None, 5: None}


def test_a_filter_on_a_joined_group_narrows_its_candidates(
    orders: FeatureGroup, group: Make
) -> None:
    events = group(
        "events",
        frame("customer at kind n", ("a", "01-01 00:00", "x", 1), ("a", "01-01 12:00", "y", 2)),
        primary_key=["customer"],
        event_time="at",
    )
    joined = orders.select(["id"]).join(
        events.select(["n"]).filter(events["kind"] == "x"), on=["customer"]
    )
    assert pairs(everywhere(joined), "n") == {1: 1, 2: 1, 3: 1, 4: None, 5: None}


def test_a_filter_on_the_query_applies_to_its_result(
    orders: FeatureGroup, scores: FeatureGroup
) -> None:
    query = orders.select(["id"]).join(scores.select_features(), on=["customer"])
    assert set(everywhere(query.filter(scores["score"] >= 2.0))["id"]) == {1, 3}
    assert set(
        everywhere(query.filter(scores["score"].is_null() & ~(orders["customer"] == "c")))["id"]
    ) == {2, 4}


def test_a_late_row_is_found_at_its_event_time(orders: FeatureGroup, scores: FeatureGroup) -> None:
    scores.insert(frame("customer at score", ("b", "01-01 00:00", 7.0)))
    found = everywhere(orders.select(["id"]).join(scores.select_features(), on=["customer"]))
    assert pairs(found, "score")[4] == 7.0


def test_a_spine_without_event_time_gets_the_latest(group: Make, scores: FeatureGroup) -> None:
    people = group(
        "people", pd.DataFrame({"id": [1, 2, 3], "customer": ["a", "b", "c"]}), primary_key=["id"]
    )
    found = everywhere(people.select_all().join(scores.select_features(), on=["customer"]))
    assert pairs(found, "score") == {1: 3.0, 2: 9.0, 3: None}


@pytest.mark.parametrize("unit", first_quick(["s", "ms", "date", "us"]))
def test_event_times_of_other_types_compare_as_the_instants_they_are(
    group: Make, unit: str
) -> None:
    spine = group(
        "spine",
        frame("id at", (1, "01-02 00:00"), (2, "01-01 23:59:59.999999")).assign(k=0),
        primary_key=["id"],
        event_time="at",
    )
    times = pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True)
    seconds = times.astype("int64") // 10**9
    values = {"s": seconds, "ms": seconds * 1000, "date": [t.date() for t in times], "us": times}[
        unit
    ]
    right = group(
        "right", pd.DataFrame({"k": 0, "t": values, "v": [1, 2]}), primary_key=["k"], event_time="t"
    )
    found = everywhere(spine.select(["id"]).join(right.select_features(), on=["k"]))
    assert pairs(found, "v") == {1: 2, 2: 1}


@pytest.mark.parametrize("seed", first_quick([1, 2]))
def test_random_histories_join_as_duckdb_and_plain_python_join_them(group: Make, seed: int) -> None:
    draw = np.random.default_rng(seed)
    instants = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(
        draw.integers(0, 60, 400), "s"
    )
    left = pd.DataFrame({"id": range(400), "k": draw.integers(0, 8, 400), "at": instants})
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(draw.integers(0, 60, 150), "s")
    right = pd.DataFrame(
        {"k": draw.integers(0, 9, 150), "t": times, "v": draw.normal(size=150)}
    ).drop_duplicates(["k", "t"])
    spine = group("spine", left, primary_key=["id"], event_time="at")
    history = group("history", right, primary_key=["k"], event_time="t")
    found = everywhere(spine.select_all().join(history.select_features(), on=["k"]))
    same_rows(found, duckdb_asof(left, right, "k", "at", "t"), ["id"])
    rows = right.to_dict("records")
    brute = [last_before(rows, {"k": r.k}, "t", r.at) for r in left.itertuples()]
    assert pairs(found, "v") == {i: row and row["v"] for i, row in enumerate(brute)}


@pytest.mark.slow
def test_a_spine_keeps_every_row_whatever_is_joined(fs: FeatureStore, group: Make) -> None:
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(range(5), "h")
    spine = group(
        "spine",
        pd.DataFrame({"id": range(5), "k": [None, 1, 1, 2, 3], "at": times}).astype({"k": "Int64"}),
        primary_key=["id"],
        event_time="at",
    )
    query = spine.select(["id"])
    for name in ("one", "two", "three"):
        many = group(
            name,
            pd.DataFrame({"k": [1] * 50, "j": range(50), "t": times[0], f"v_{name}": 1}),
            primary_key=["k", "j"],
            event_time="t",
        )
        query = query.join(many.select([f"v_{name}"]), on=["k"])
    assert sorted(everywhere(query)["id"]) == [0, 1, 2, 3, 4]


def test_composite_keys_of_mixed_types_and_widths(group: Make) -> None:
    spine = group(
        "spine",
        frame("id at", *((i, "01-02 00:00") for i in range(4))).assign(
            k=pd.array([1, 1, 2, None], "Int32"),
            name=["a", "ab", "a", "a"],
            day=pd.to_datetime(["2024-01-01"] * 4).date,
        ),
        primary_key=["id"],
        event_time="at",
    )
    right = group(
        "right",
        frame("at", *(("01-01 00:00",),) * 3).assign(
            k=pd.array([1, 1, 2], "Int64"),
            name=["a", "b", "a"],
            day=pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02"]).date,
            v=[1, 2, 3],
        ),
        primary_key=["k", "name", "day"],
        event_time="at",
    )
    found = everywhere(spine.select(["id"]).join(right.select_features(), on=["k", "name", "day"]))
    assert pairs(found, "v") == {0: 1, 1: None, 2: None, 3: None}


def test_each_group_has_its_own_ttl_and_its_end_is_part_of_it(
    orders: FeatureGroup, group: Make
) -> None:
    rows = frame("customer at n", ("a", "01-01 00:00", 1))
    day = group("day", rows, primary_key=["customer"], event_time="at", ttl=86_400)
    long = group(
        "long",
        rows.rename(columns={"n": "m"}),
        primary_key=["customer"],
        event_time="at",
        ttl=10 * 86_400,
    )
    found = everywhere(
        orders.select(["id"])
        .join(day.select_features(), on=["customer"])
        .join(long.select_features(), on=["customer"])
    )
    assert pairs(found, "n") == {1: 1, 2: 1, 3: None, 4: None, 5: None}
    assert pairs(found, "m") == {1: 1, 2: 1, 3: 1, 4: None, 5: None}


@pytest.mark.slow
def test_of_rows_vouched_for_twice_the_last_ingested_matches(
    orders: FeatureGroup, scores: FeatureGroup
) -> None:
    scores.insert(frame("customer at score", ("a", "01-02 00:00", 5.0)), operation="insert")
    assert pairs(
        everywhere(orders.select(["id"]).join(scores.select_features(), on=["customer"])), "score"
    ) == {1: 5.0, 2: None, 3: 5.0, 4: None, 5: None}
    filtered = scores.select_features().filter(
        scores["score"] < 4.0
    )  # what the filter drops does not let the older one in
    assert pairs(
        everywhere(orders.select(["id"]).join(filtered, on=["customer"]), refused="broadcast"),
        "score",
    ) == {1: None, 2: None, 3: None, 4: None, 5: None}


@pytest.mark.parametrize("empty", first_quick(["both", "spine", "right"]))
def test_an_empty_side_is_a_side(
    fs: FeatureStore, orders: FeatureGroup, scores: FeatureGroup, empty: str
) -> None:
    spine = (
        orders.select(["id"]).filter(orders["id"] > 9)
        if empty != "right"
        else orders.select(["id"])
    )
    right = (
        scores.select_features().filter(scores["score"] > 99.0)
        if empty != "spine"
        else scores.select_features()
    )
    found = everywhere(spine.join(right, on=["customer"]))
    assert pairs(found, "score") == ({} if empty != "right" else dict.fromkeys(range(1, 6)))


def test_a_group_without_rows_matches_nothing(fs: FeatureStore, orders: FeatureGroup) -> None:
    features = [Feature("customer", "string"), Feature("at", "timestamp"), Feature("n", "bigint")]
    none = fs.create_feature_group(
        "none", primary_key=["customer"], event_time="at", features=features
    )
    assert pairs(
        everywhere(orders.select(["id"]).join(none.select_features(), on=["customer"])), "n"
    ) == dict.fromkeys(range(1, 6))


@pytest.mark.parametrize("unit", first_quick(["s", "ms", "date"]))
def test_the_spines_event_time_may_be_a_date_or_an_epoch(
    group: Make, scores: FeatureGroup, unit: str
) -> None:
    times = pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04"], utc=True)
    seconds = times.astype("int64") // 10**9
    values = {"s": seconds, "ms": seconds * 1000, "date": [t.date() for t in times]}[unit]
    spine = group(
        "spine",
        pd.DataFrame({"id": [1, 2, 3], "customer": "a", "t": values}),
        primary_key=["id"],
        event_time="t",
    )
    assert pairs(
        everywhere(spine.select(["id"]).join(scores.select_features(), on=["customer"])), "score"
    ) == {1: 2.0, 2: 2.0, 3: 3.0}


def test_a_key_that_is_nan_equals_nan(group: Make) -> None:
    times = pd.to_datetime([at("01-02 00:00")] * 3, utc=True)
    keys = pa.array([float("nan"), 1.0, -0.0])
    spine = group(
        "spine",
        pa.table({"id": [1, 2, 3], "x": keys, "at": times}),
        primary_key=["id"],
        event_time="at",
    )
    right = group(
        "right",
        pa.table({"x": keys, "at": times, "score": [5.0, 6.0, 7.0], "name": ["a", "a", "a"]}),
        primary_key=["x"],
        event_time="at",
    )
    scores = right.select(["score"]).filter(right["name"].like("a%"))
    found = everywhere(spine.select(["id"]).join(scores, on=["x"]))
    assert pairs(found, "score") == {1: 5.0, 2: 6.0, 3: 7.0}
