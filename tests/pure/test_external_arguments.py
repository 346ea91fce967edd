"""External groups as code that was written for Hopsworks declares them: by connectors and data sources."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.core.data_source import DataSource
from spark_fs.errors import NotOfferedError, SettingsError
from spark_fs.storage_connector import HopsFSConnector

RATES = pd.DataFrame({"k": [1, 2], "rate": [1.0, 2.0]})
KEYS: dict[str, Any] = {"primary_key": ["k"]}


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    folder = tmp_path / "lake"
    folder.mkdir()
    RATES.to_parquet(folder / "rates.parquet")
    store = spark_fs.login({"home": tmp_path / "store", "engine": "local"}).get_feature_store()
    store.create_storage_connector(HopsFSConnector(name="lake", hopsfs_path=str(folder)))
    return store


@pytest.mark.parametrize("by_source", [False, True], ids=["connector", "data source"])
def test_the_rows_of_a_connector_are_read(fs: FeatureStore, by_source: bool) -> None:
    connector = fs.get_storage_connector("lake")
    place: dict[str, Any] = {"data_format": "parquet", "path": "rates.parquet"}
    if by_source:
        source = DataSource(
            storage_connector=connector, path=place.pop("path"), format=place.pop("data_format")
        )
        rates = fs.create_external_feature_group("rates", data_source=source, **KEYS)
    else:
        rates = fs.create_external_feature_group("rates", connector, None, **place, **KEYS)
    rates.save()
    pd.testing.assert_frame_equal(rates.read("pandas"), RATES)
    assert (rates.version, rates.data_format, rates.options) == (1, "parquet", {})
    same = fs.get_feature_group("rates", 1)
    assert same.location == rates.location
    assert fs.get_on_demand_feature_group("rates", 1).location == rates.location
    assert [group.name for group in fs.get_on_demand_feature_groups("rates")] == ["rates"]


def test_the_older_name_takes_the_older_order(fs: FeatureStore) -> None:
    connector = fs.get_storage_connector("lake")
    rates = fs.create_on_demand_feature_group(
        "rates", connector, None, "parquet", "rates.parquet", None, 3, "what it costs", ["k"]
    )
    assert (rates.version, rates.description, rates.primary_key) == (3, "what it costs", ["k"])


def test_what_says_not_where_rows_are_is_refused(fs: FeatureStore) -> None:
    with pytest.raises(SettingsError, match="storage_connector=3 is no connector: give one of"):
        fs.create_external_feature_group("x", 3, **KEYS)
    with pytest.raises(SettingsError, match="is a folder, which takes no query: give path="):
        fs.create_external_feature_group("x", fs.get_storage_connector("lake"), "SELECT 1", **KEYS)
    with pytest.raises(NotOfferedError, match=r"online_enabled=True\) serves rows that are"):
        fs.create_external_feature_group("x", path="y", online_enabled=True, **KEYS)


def test_what_changes_nothing_is_named(fs: FeatureStore) -> None:
    with pytest.warns(UserWarning, match=r"statistics_config=\) changes nothing: the rows of an"):
        fs.create_external_feature_group(
            "x",
            path="y",
            statistics_config={"enabled": True},
            features=[spark_fs.Feature("k", "bigint")],
            **KEYS,
        )
