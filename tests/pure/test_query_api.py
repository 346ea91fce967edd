"""Queries as code that was written for Hopsworks makes and reads them, over external files and a store of a release."""

import copy
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from releases.unpack import unpack

import spark_fs
from spark_fs import Feature
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import NotFoundError, QueryError, SettingsError, SparkFSError

from conftest import ROOT

SALES = pd.DataFrame(
    {
        "shop": [1, 1, 2, 2, 3],
        "at": pd.to_datetime([f"2024-01-0{day}" for day in (1, 2, 3, 4, 5)], utc=True),
        "day": [date(2024, 1, day) for day in (1, 2, 3, 4, 5)],
        "amount": [10.0, 20.0, 30.0, 40.0, None],
        "kind": ["food", "fuel", "food", "toys", "fuel"],
    }
)
SHOPS = pd.DataFrame(
    {
        "shop": [1, 2],
        "at": pd.to_datetime(["2024-01-01", "2024-01-04"], utc=True),
        "kind": ["small", "large"],
        "staff": [5, 50],
    }
)


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    """A store with two external groups over Parquet."""
    store = spark_fs.login({"home": tmp_path / "home"}).get_feature_store()
    for name, frame in (("sales", SALES), ("shops", SHOPS)):
        path = tmp_path / f"{name}.parquet"
        table = pa.Table.from_pandas(frame, preserve_index=False)
        pq.write_table(table, path, coerce_timestamps="us")
        store.create_external_feature_group(
            name, primary_key=["shop"], event_time="at", data_format="parquet", path=str(path)
        )
    return store


@pytest.fixture
def sales(fs: FeatureStore) -> ExternalFeatureGroup:
    return fs.get_external_feature_group("sales", 1)


@pytest.fixture
def shops(fs: FeatureStore) -> ExternalFeatureGroup:
    return fs.get_external_feature_group("shops", 1)


@pytest.fixture
def payments(tmp_path: Path) -> FeatureGroup:
    """A group of a store that a release left, with four commits."""
    home = tmp_path / "store"
    unpack(ROOT / "tests" / "releases" / "0.1.0.zip", home)
    return spark_fs.login({"home": home}).get_feature_store().get_feature_group("payments", 1)


def days(rows: pd.DataFrame) -> list[int]:
    """The days of January that rows are of, in order."""
    return sorted(when.day for when in rows["at"])


# -- columns


def test_a_column_is_an_attribute_an_item_and_a_feature(sales: Any) -> None:
    assert repr(sales.amount) == repr(sales["amount"]) == repr(sales.get_feature("amount"))
    assert sales.get_feature("amont") is None
    assert hasattr(sales, "kind")
    assert not hasattr(sales, "kinds")
    assert {"amount", "kind", "read"} <= set(dir(sales))
    assert sales.name == "sales"
    with pytest.raises(AttributeError, match="neither an attribute nor a column 'amont'; did you"):
        _ = sales.amont
    assert copy.copy(sales).amount.name == "amount"
    assert (sales.shop.primary, sales.amount.primary) == (True, False)


def test_columns_are_selected_by_name_as_features_or_one_alone(sales: Any) -> None:
    for chosen in ("kind", ["kind"], sales.kind, [sales.kind], Feature("kind")):
        assert [feature.name for feature in sales.select(chosen).features] == ["kind"]
    assert len(sales.select_except().features) == len(sales.select_except([]).features) == 5
    for left_out in ("day", ["day"], [sales.day]):
        names = [feature.name for feature in sales.select_except(left_out).features]
        assert names == ["shop", "at", "amount", "kind"]
    with pytest.warns(UserWarning, match="select_except leaves out 'dya', which .* does not have"):
        assert len(sales.select_except(["dya"]).features) == 5
    with pytest.raises(NotFoundError, match="'sales' version 1 'dya' does not exist"):
        sales.select("dya")


def test_names_in_capitals_are_those_of_the_columns(sales: Any, shops: Any) -> None:
    with pytest.warns(UserWarning, match="A selection has names in lower .*: 'Kind' is 'kind'"):
        assert sales.select(["Kind"]).features[0].name == "kind"
    with pytest.warns(UserWarning, match="A condition has names in lower .*'Amount' is 'amount'"):
        assert days(sales.filter(Feature("Amount") > 15).read("pandas")) == [2, 3, 4]
    with pytest.warns(UserWarning, match="'SHOP' is 'shop'"):
        query = sales.select(["at"]).join(shops.select("staff"), on=["SHOP"], join_type="inner")
    assert days(query.read("pandas")) == [1, 2, 4]


# -- conditions


@pytest.mark.parametrize(
    "when",
    [
        "2024-01-03",
        "2024/01/03",
        "20240103",
        "2024-01-03 00:00:00",
        date(2024, 1, 3),
        datetime(2024, 1, 3),
        pd.Timestamp("2024-01-03"),
        np.datetime64("2024-01-03"),
        1_704_240_000,
        1_704_240_000_000,
    ],
    ids=str,
)
def test_a_time_column_is_compared_with_a_time_in_any_form(sales: Any, when: Any) -> None:
    assert days(sales.filter(sales.at >= when).read("pandas")) == [3, 4, 5]
    assert days(sales.filter(sales.at.isin([when])).read("pandas")) == [3]
    assert days(sales.filter(Feature("at") < when).read("pandas")) == [1, 2]
    if not isinstance(when, int):
        assert days(sales.filter(sales.day > when).read("pandas")) == [4, 5]


def test_a_column_is_compared_by_its_name_alone(sales: Any, shops: Any) -> None:
    assert days(sales.filter(Feature("amount") > 15).read("pandas")) == [2, 3, 4]
    query = sales.select_all().join(shops.select(["staff"]))
    by_name = query.filter((Feature("staff") == 50) | Feature("kind").like("fo%"))
    by_group = query.filter((shops["staff"] == 50) | sales["kind"].like("fo%"))
    assert days(by_name.read("pandas")) == [1, 3, 4]
    assert by_name.to_string() == by_group.to_string()
    prefixed = sales.select_all().join(shops.select(["kind"]), prefix="shop_")
    assert days(prefixed.filter(Feature("shop_kind") == "large").read("pandas")) == [4]


def test_a_filter_is_exact_to_the_microsecond(sales: Any) -> None:
    for micros, found in ((0, [3, 4, 5]), (1, [4, 5])):
        when = datetime(2024, 1, 3, microsecond=micros, tzinfo=UTC)
        assert days(sales.filter(sales.at >= when).read("pandas")) == found
        assert days(sales.filter(sales.at >= when.isoformat()).read("pandas")) == found


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda sales, _: sales.filter(Feature("amont") > 1), "'amont' does not exist; did you"),
        (
            lambda sales, shops: (
                sales.select(["amount"])
                .join(shops.select(["staff"]))
                .filter(Feature("kind") == "x")
            ),
            r"'kind' could be of 'sales' version 1 and 'shops' version 1: take it from one",
        ),
        (lambda sales, _: sales.filter(Feature("amount").like("1%")), r"like\(\) compares strings"),
        (
            lambda sales, _: sales.filter(Feature("kind") > 1),
            "cannot be compared with 1: give a st",
        ),
        (
            lambda sales, _: sales.filter(sales.at > "soon"),
            "cannot be compared with 'soon': give a",
        ),
        (lambda sales, _: sales.filter(sales.at > 5), "cannot be compared with 5: give a datetime"),
        (lambda sales, _: sales.filter(sales.shop > sales.amount), "a column with a value"),
        (lambda sales, _: sales.filter("amount > 5"), "f='amount > 5' is not a Filter"),
    ],
    ids=["unknown", "of two", "like", "type", "no time", "no epoch", "column", "text"],
)
def test_what_is_wrong_with_a_condition_is_said_when_it_is_given(
    sales: Any, shops: Any, make: Callable[..., Any], text: str
) -> None:
    with pytest.raises(SparkFSError, match=text):
        make(sales, shops).read("pandas")


# -- rows


def test_rows_are_read_between_two_event_times(sales: Any) -> None:
    assert days(sales.read("pandas", start_time="2024-01-02", end_time="2024-01-04")) == [2, 3]
    assert days(sales.read(None, False, "pandas", None, "", "2024/01/03")) == [1, 2]
    query = sales.select(["at", "amount"])
    assert list(query.read(False, "pandas", {}, 1_704_240_000).columns) == ["at", "amount"]
    assert days(query.read(False, "pandas", None, 1_704_240_000)) == [3, 4, 5]
    assert days(query.limit(1).read("pandas", start_time="2024-01-05")) == [5]


def test_a_limit_bounds_the_rows_of_the_result(sales: Any, shops: Any) -> None:
    assert len(sales.select_all().limit(2).read("pandas")) == 2
    assert len(sales.select_all().limit(9).read("pandas")) == 5
    assert days(sales.select_all().limit(2).filter(sales.at >= "2024-01-05").read("pandas")) == [5]
    assert len(sales.select_all().limit(2).join(shops.select(["staff"])).read("pandas")) == 2
    assert sales.select_all().limit(2).to_string().endswith("LIMIT 2")
    assert len(sales.select_all().limit(2).show(4)) == 2
    with pytest.raises(QueryError, match=r"has limit\(2\), which is for a look at some rows"):
        sales.select_all().join(shops.select_all().limit(2))
    with pytest.raises(SettingsError, match=r"n=-1 is not a number of rows"):
        sales.select_all().limit(-1)


def test_rows_that_are_shown_come_back(sales: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert sales.select("kind").show(2).kind.tolist() == ["food", "fuel"]
    printed = capsys.readouterr().out
    assert "|food|" in printed
    assert "toys" not in printed


def test_frames_come_as_lists_of_python(sales: Any) -> None:
    query = sales.select(["shop", "kind"]).filter(sales.shop > 1)
    assert query.read(dataframe_type="python") == [[2, "food"], [2, "toys"], [3, "fuel"]]


# -- joins


def test_a_name_that_is_taken_gets_its_group_before_it(sales: Any, shops: Any) -> None:
    query = sales.select(["at", "kind"]).join(shops.select(["kind", "staff"]))
    with pytest.warns(
        UserWarning, match=r"so that 'kind' is 'shops_1_kind': give the join prefix="
    ):
        rows = query.read("pandas")
    assert list(rows.columns) == ["at", "kind", "shops_1_kind", "staff"]
    assert rows["shops_1_kind"].tolist() == ["small", "small", None, "large", None]
    assert query.get_ambiguous_features() == {"kind": {"sales version 1", "shops version 1"}}


def test_a_join_is_named_in_any_case(sales: Any, shops: Any) -> None:
    inner = sales.select(["at"]).join(shops.select("staff"), join_type="INNER", on=[])
    assert days(inner.read("pandas")) == [1, 2, 4]
    left = sales.select(["at"]).join(shops.select("staff"), "shop", [], [], "LEFT")
    assert days(left.read("pandas")) == [1, 2, 3, 4, 5]
    with pytest.raises(SettingsError, match="join_type 'sideways' is not known"):
        sales.select(["at"]).join(shops.select("staff"), join_type="sideways")


def test_a_query_tells_what_it_holds(sales: Any, shops: Any) -> None:
    query = sales.select(["kind"]).filter(sales.shop > 1).join(shops.select(["staff"]))
    assert [feature.name for feature in query.features] == ["kind", "staff"]
    assert [group.name for group in query.featuregroups] == ["sales", "shops"]
    assert repr(query.staff) == repr(query["staff"]) == repr(query.get_feature("staff"))
    assert query.filters is not None
    assert sales.select(["kind"]).filters is None
    assert len(query.joins) == 1
    assert not query.is_time_travel()
    assert not query.is_cache_feature_group_only()
    assert [f.name for f in query.append_feature("amount").features] == ["kind", "amount", "staff"]
    assert [f.name for f in query.append_feature(sales.kind).features] == ["kind", "staff"]
    with pytest.raises(AttributeError, match="'Query' object has no attribute 'colour'"):
        _ = query.colour


# -- commits


def test_commits_are_a_list_and_hopsworks_dict(payments: FeatureGroup) -> None:
    details = payments.commit_details()
    newest = details[0]
    assert [commit.version for commit in details] == [3, 2, 1, 0]
    record = details[newest.id]
    assert record == details[newest] == dict(details)[newest.id] == details.get(newest.id)
    stamp = datetime.strptime(record["committedOn"], "%Y%m%d%H%M%S%f").replace(tzinfo=UTC)
    assert int(stamp.timestamp() * 1_000) == newest.id == next(iter(details.keys()))
    assert record["rowsInserted"] == newest["rowsInserted"] == newest.inserted
    assert [row["rowsInserted"] for row in details.values()] == [c.inserted for c in details]
    assert len(payments.commit_details(2)) == len(payments.commit_details(limit=2)) == 2
    assert payments.commit_details("2000-01-01") == []
    with pytest.raises(SettingsError, match="limit=-1 is not a number of commits from 0 up"):
        payments.commit_details(-1)
    with pytest.raises(SettingsError, match="wallclock_time=3 is no instant, since numbers below"):
        payments.commit_details(3, 2)
    with pytest.raises(NotFoundError, match=r"No commit has the id 1700000000000: use one of keys"):
        details[1_700_000_000_000]
    assert payments.commit_details(details[1].committed_at)[0] == details[1]


def test_a_group_is_read_as_of_an_instant_in_any_form(payments: FeatureGroup) -> None:
    first = payments.commit_details()[-1]
    after = first.id + 1
    count = len(payments.as_of(0).read("pandas"))
    for when in (0, first, first.id, after, first["committedOn"], first.committed_at):
        assert len(payments.as_of(wallclock_time=when).read("pandas")) == count
        assert len(payments.read(when, dataframe_type="pandas")) == count
    newest = len(payments.read("pandas"))
    assert len(payments.as_of().read("pandas")) == len(payments.as_of("").read("pandas")) == newest
    assert payments.as_of(0).is_time_travel()
    assert not payments.as_of(None).is_time_travel()


# -- of a store of a release


def test_online_rows_are_filtered_and_joined_by_key(payments: FeatureGroup) -> None:
    fs = spark_fs.login({"home": Path(payments.location).parents[1]}).get_feature_store()
    cards = fs.get_feature_group("cards", 1)
    latest = cards.read("pandas").sort_values("known_at").drop_duplicates("card", keep="last")
    query = cards.select(["card", "limit_"]).filter(Feature("limit_") >= 200)
    found = query.read(online=True, dataframe_type="pandas")
    assert dict(found.values) == dict(
        latest.loc[latest["limit_"] >= 200, ["card", "limit_"]].values
    )
    joined = cards.select(["card"]).join(cards.select(["limit_"]), prefix="its_")
    rows = joined.read(True, "pandas")
    assert dict(rows.values) == dict(latest[["card", "limit_"]].values)
    assert cards.show(1, online=True).columns.tolist() == list(cards.schema)
    late = cards.read(online=True, dataframe_type="pandas", start_time="2024-01-11")
    assert sorted(late["card"]) == sorted(latest.loc[latest["known_at"] >= "2024-01-11", "card"])
    for refused, text in (
        (cards.as_of(0), "holds the latest rows of 'cards' version 1 alone: leave out as_of"),
        (cards.select_all().join(payments.select(["amount"]), on="card"), "is not online_enabled"),
    ):
        with pytest.raises(SparkFSError, match=text):
            refused.read(online=True)


def test_training_data_is_filtered_by_a_column_s_name_alone(payments: FeatureGroup) -> None:
    fs = spark_fs.login({"home": Path(payments.location).parents[1]}).get_feature_store()
    view = fs.get_feature_view("fraud", 1)
    few, _ = view.training_data(extra_filter=Feature("amount") > 10, primary_key=True)
    same, _ = view.training_data(extra_filter=payments["amount"] > 10, primary_key=True)
    pd.testing.assert_frame_equal(few, same)
    amounts = payments.read("pandas").set_index("id")["amount"]
    assert sorted(few["id"]) == sorted(amounts[amounts > 10].index)
    version = view.get_training_datasets()[-2].version
    again, _ = view.get_training_data(version, primary_key=True)
    pd.testing.assert_frame_equal(again, few)
    with pytest.raises(NotFoundError, match="Column of the query 'amont' does not exist"):
        view.training_data(extra_filter=Feature("amont") > 100)


def test_the_last_as_of_holds_for_every_group(payments: FeatureGroup) -> None:
    newest = payments.commit_details()[0].committed_at
    joined = (
        payments.select(["id"]).as_of(0).join(payments.select(["amount"]).as_of(1), prefix="b_")
    )
    assert len(joined.read("pandas")) == len(payments.as_of(0).read("pandas")) == 40
    for query in (joined.as_of(newest), joined.as_of(), payments.as_of(0).as_of(newest)):
        assert len(query.read("pandas")) == len(payments.read("pandas")) == 39
    assert not joined.as_of().is_time_travel()
