"""Two feature stores in one session: groups of one name hold the rows of their own store, whichever was read before."""

from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

import spark_fs
from spark_fs.errors import QueryError

from conftest import at, maker


@pytest.mark.slow
def test_each_store_has_its_own_rows(tmp_path: Path, spark: SparkSession) -> None:
    stores = {
        name: spark_fs.login({"home": tmp_path / name}).get_feature_store() for name in ("a", "b")
    }
    asked = pd.DataFrame({"k": [1, 2], "at": [at("02-01")] * 2})
    groups, queries, spines = {}, {}, {}
    for name, store in stores.items():
        rows = pd.DataFrame({"k": [1, 2], "at": [at("01-01")] * 2, "v": [f"{name}1", f"{name}2"]})
        groups[name] = maker(store)("g", rows, primary_key=["k"], event_time="at")
        spines[name] = store.create_spine(asked, primary_key=["k"], event_time="at")
        queries[name] = spines[name].select_all().join(groups[name].select(["v"]))
    lazy = {
        name: query.read() for name, query in queries.items()
    }  # both are plans before either runs
    views = {
        name: store.create_feature_view("f", groups[name].select(["v"]))
        for name, store in stores.items()
    }
    for name in ("a", "b", "a"):
        wanted = [f"{name}1", f"{name}2"]
        assert (
            sorted(lazy[name].toPandas()["v"])
            == sorted(queries[name].read("pandas")["v"])
            == wanted
        )
        assert (
            sorted(views[name].training_data()[0]["v"])
            == sorted(views[name].get_batch_data()["v"])
            == wanted
        )
    again = spark_fs.login({"home": tmp_path / "a"}).get_feature_store().get_feature_group("g", 1)
    assert sorted(spines["a"].select_all().join(again.select(["v"])).read("pandas")["v"]) == [
        "a1",
        "a2",
    ]
    with pytest.raises(QueryError, match="of another feature store"):
        spines["a"].select_all().join(groups["b"].select(["v"]))
    with pytest.raises(QueryError, match="of another feature store"):
        groups["a"].select_all().filter(spines["b"]["k"] > 1)
    with pytest.raises(QueryError, match="of another feature store"):
        spark_fs.select_features(
            groups["a"].select_all().join(groups["b"].select(["v"]), prefix="b_"), label="v"
        )
