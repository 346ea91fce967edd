"""Feature vectors: as many as entries, in their order, equal to the query's latest rows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView
from spark_fs.errors import KeyValueError, NotFoundError, QueryError, SettingsError, SparkFSError

from conftest import ONLINE, online_store

DAY = pd.to_datetime(["2024-01-01"], utc=True)[0]


@pytest.fixture(scope="module", params=ONLINE)
def view(
    request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeatureView]:
    """Orders of customers who live in cities (a snowflake), with one label, over each online store in turn."""
    with online_store(request.param, tmp_path_factory.mktemp("orders")) as served:
        yield orders_view(served)


def orders_view(served: FeatureStore) -> FeatureView:
    """Three groups, synced, and the view over them."""
    orders = served.create_feature_group(
        "orders", primary_key=["id"], event_time="at", online_enabled=True
    )
    orders.insert(
        pd.DataFrame(
            {
                "id": [1, 2, 3],
                "at": DAY,
                "customer": ["a", "b", None],
                "price": [1.5, 2.5, 3.5],
                "paid": [1, 0, 1],
            }
        )
    )
    customers = served.create_feature_group(
        "customers", primary_key=["customer"], event_time="at", online_enabled=True
    )
    customers.insert(
        pd.DataFrame({"customer": ["a", "z"], "at": DAY, "city": ["x", "y"], "age": [30, 40]})
    )
    cities = served.create_feature_group("cities", primary_key=["city"], online_enabled=True)
    cities.insert(pd.DataFrame({"city": ["x", "y"], "people": [100, 200]}))
    for group in (orders, customers, cities):
        group.sync_online()
    joined = customers.select(["age"]).join(cities.select_features())
    query = orders.select(["price", "paid"]).join(joined, on=["customer"])
    return served.create_feature_view("orders", query, labels=["paid"])


def test_a_vector_follows_the_joins(view: FeatureView) -> None:
    assert list(view.schema) == ["price", "age", "people"]
    assert view.get_feature_vector({"id": 1}) == [1.5, 30, 100]


def test_a_key_without_a_match_gives_nulls_as_in_the_query(view: FeatureView) -> None:
    assert view.get_feature_vectors(entry=[{"id": 2}, {"id": 3}]) == [
        [2.5, None, None],
        [3.5, None, None],
    ]


def test_keys_and_times_are_those_of_a_batch(view: FeatureView) -> None:
    served = FeatureStore(view._stores)
    orders, customers, cities = (
        served.get_feature_group(name, 1) for name in ("orders", "customers", "cities")
    )
    joined = customers.select_all().join(cities.select_all())
    query = orders.select_all().join(joined, on=["customer"], prefix="c_")
    keyed = served.get_or_create_feature_view("keyed", query, version=1, labels=["paid"])
    names = ["id", "at", "customer", "price", "c_customer", "c_at", "c_city", "c_age", "city"]
    assert list(keyed.schema) == [*names, "people"]
    batch = keyed.get_batch_data()
    vectors = keyed.get_feature_vectors([{"id": key} for key in batch["id"]], return_type="pandas")
    pd.testing.assert_frame_equal(vectors, batch, check_exact=True)
    assert vectors["c_at"].isna().tolist() == [False, True, True]
    assert keyed.get_feature_vector({"id": 1, "customer": "z"})[2:5] == ["z", 1.5, "z"]
    missing = keyed.get_feature_vector({"id": 9}, allow_missing=True)
    assert missing == [9, *[None] * len(names)]


def test_as_many_vectors_as_entries_in_their_order(view: FeatureView) -> None:
    asked = [3, 1, 2, 1, 9, 3]
    found = view.get_feature_vectors(entry=[{"id": key} for key in asked], allow_missing=True)
    assert [vector[0] for vector in found] == [3.5, 1.5, 2.5, 1.5, None, 3.5]
    assert view.get_feature_vectors(entry=[]) == []


def test_a_key_of_the_entry_goes_before_the_stored_one(view: FeatureView) -> None:
    assert view.get_feature_vector({"id": 1, "customer": "z"}) == [1.5, 40, 200]


def test_a_passed_feature_wins_over_a_stored_one(view: FeatureView) -> None:
    assert view.get_feature_vector({"id": 1}, passed_features={"age": 31}) == [1.5, 31, 100]
    assert view.get_feature_vector({"id": 1}, passed_features={"price": None}) == [None, 30, 100]


def test_a_row_whose_features_are_all_passed_need_not_exist(view: FeatureView) -> None:
    assert view.get_feature_vector({"id": 99, "customer": "z"}, passed_features={"price": 7.0}) == [
        7.0,
        40,
        200,
    ]


def test_vectors_come_as_lists_numpy_or_pandas(view: FeatureView) -> None:
    assert view.get_feature_vector({"id": 1}, return_type="numpy").tolist() == [1.5, 30, 100]
    assert view.get_feature_vectors([{"id": 1}, {"id": 2}], return_type="numpy").shape == (2, 3)
    frame = view.get_feature_vectors([{"id": 1}, {"id": 2}], return_type="pandas")
    assert list(frame.columns) == ["price", "age", "people"]
    assert frame["price"].tolist() == [1.5, 2.5]
    with pytest.raises(
        SettingsError,
        match="return_type 'dask' is not known: use 'list', 'numpy', 'pandas' or 'polars'",
    ):
        view.get_feature_vector({"id": 1}, return_type="dask")


REFUSED: list[tuple[dict[str, object], dict[str, object], type[SparkFSError], str]] = [
    (
        {"id": 9},
        {},
        NotFoundError,
        (
            r"Feature group 'orders' version 1 has no online row for {'id': 9}: sync it, correct"
            r" the key, or ask with allow_missing"
        ),
    ),
    (
        {"id": 1, "customer": "q"},
        {},
        NotFoundError,
        "Feature group 'customers' version 1 has no online row for {'customer': 'q'}",
    ),
    (
        {},
        {},
        KeyValueError,
        (
            "The entry {} lacks 'id', by which feature group 'orders' version 1 is found: add it to"
            " the entry"
        ),
    ),
    ({"id": None}, {}, KeyValueError, "lacks 'id'"),
    (
        {"id": "1"},
        {},
        KeyValueError,
        "Key 'id' is '1', but its type is bigint: give a value of that type",
    ),
    ({"id": True}, {}, KeyValueError, "Key 'id' is True, but its type is bigint"),
    ({"id": 1, "idd": 2}, {}, NotFoundError, "Key 'idd' does not exist; did you mean 'id'?"),
    (
        {"id": 1},
        {"agee": 2},
        NotFoundError,
        "Passed feature 'agee' does not exist; did you mean 'age'?",
    ),
]


@pytest.mark.parametrize(("entry", "passed", "error", "text"), REFUSED)
def test_an_entry_that_cannot_be_served_says_why(
    view: FeatureView,
    entry: dict[str, object],
    passed: dict[str, object],
    error: type[SparkFSError],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        view.get_feature_vector(entry, passed_features=passed)


def test_a_key_is_a_value_and_never_sql(served: FeatureStore) -> None:
    names = served.create_feature_group("names", primary_key=["k"], online_enabled=True)
    evil = "x'; DROP TABLE names_1; -- \\"
    names.insert(pd.DataFrame({"k": [evil], "v": [1]}))
    names.sync_online()
    view = served.create_feature_view("names", names.select_features())
    assert view.get_feature_vector({"k": evil}) == [1]
    assert view.get_feature_vector({"k": "' OR '1'='1"}, allow_missing=True) == [None]


def test_a_numpy_key_is_a_number(view: FeatureView) -> None:
    assert view.get_feature_vector({"id": np.int64(1)}) == [1.5, 30, 100]


def test_a_spine_that_is_not_online_has_its_features_passed(served: FeatureStore) -> None:
    events = served.create_feature_group("events", primary_key=["id"])
    events.insert(pd.DataFrame({"id": [1], "customer": ["a"], "amount": [1.0]}))
    people = served.create_feature_group("people", primary_key=["customer"], online_enabled=True)
    people.insert(pd.DataFrame({"customer": ["a"], "age": [30]}))
    people.sync_online()
    view = served.create_feature_view(
        "events", events.select(["amount"]).join(people.select_features(), on=["customer"])
    )
    assert view.get_feature_vector({"customer": "a"}, passed_features={"amount": 2.0}) == [2.0, 30]
    with pytest.raises(
        QueryError,
        match=(
            "Feature 'amount' has no online value: feature group 'events' version 1 is not"
            " online_enabled"
        ),
    ):
        view.get_feature_vector({"customer": "a"})


def test_many_threads_share_one_view(view: FeatureView) -> None:
    view.init_serving()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: view.get_feature_vector({"id": n % 2 + 1}), range(200)))
    assert found == [[1.5, 30, 100], [2.5, None, None]] * 100


def test_before_the_first_sync_the_store_says_so(served: FeatureStore) -> None:
    group = served.create_feature_group("new", primary_key=["k"], online_enabled=True)
    group.insert(pd.DataFrame({"k": [1], "v": [1]}))
    view = served.create_feature_view("new", group.select_features())
    with pytest.raises(SparkFSError, match=r"run sync_online"):
        view.get_feature_vector({"k": 1})
