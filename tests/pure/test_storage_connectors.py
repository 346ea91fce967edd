"""Named sources: kept without secrets, and said as external groups take them."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import spark_fs
from spark_fs.api.feature_store import FeatureStore
from spark_fs.core.data_source import DataSource
from spark_fs.errors import AlreadyExistsError, NotFoundError, NotOfferedError, SettingsError
from spark_fs.spec.external_source import SourceSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.storage_connector import (
    HopsFSConnector,
    JdbcConnector,
    S3Connector,
    SnowflakeConnector,
    SqlConnector,
)

URL = "jdbc:mysql://host:3306/shop"
LOGIN = {"user": "reader", "password": "${SPARK_FS_SECRET_SHOP}"}


@pytest.fixture
def fs(tmp_path: Path) -> FeatureStore:
    return spark_fs.login({"home": tmp_path}).get_feature_store()


def test_a_connector_comes_back_as_it_was(fs: FeatureStore, tmp_path: Path) -> None:
    arguments = [{"name": name, "value": value} for name, value in LOGIN.items()]
    fs.create_storage_connector(JdbcConnector(None, "shop", fs.id, "orders", URL, arguments))
    again = spark_fs.login({"home": tmp_path}).get_feature_store().get_storage_connector("shop")
    assert isinstance(again, JdbcConnector)
    assert (again.name, again.description, again.type) == ("shop", "orders", "JDBC")
    assert again.spark_options() == {"url": URL, **LOGIN}
    assert again.describe_source(None, "", "SELECT 1 AS a", {"fetchsize": 10}) == (
        "jdbc",
        "SELECT 1 AS a",
        {"url": URL, **LOGIN, "fetchsize": 10},
    )
    with pytest.raises(AlreadyExistsError, match=r"Storage connector 'shop' exists already: use"):
        fs.create_storage_connector(again)
    with pytest.raises(NotFoundError, match=r"connector 'shp' does not exist; did you mean 'shop'"):
        fs.get_storage_connector("shp")
    assert [connector.name for connector in fs.get_storage_connectors()] == ["shop"]
    again.delete()
    assert fs.get_storage_connectors() == []


def test_a_connector_saves_itself_in_the_project_that_was_logged_in_to(fs: FeatureStore) -> None:
    HopsFSConnector(name="own", hopsfs_path="/data").save()
    assert fs.get_storage_connector("own").arguments == {"hopsfs_path": "/data"}


@pytest.mark.parametrize(
    "connector",
    [
        JdbcConnector(name="a", connection_string="jdbc:mysql://reader:hunter22@host/shop"),
        JdbcConnector(name="a", connection_string=URL, arguments={"password": "hunter22"}),
        SqlConnector(
            name="a", database_type="MYSQL", host="h", database="d", user="u", password="hunter22"
        ),
        S3Connector(name="a", bucket="b", access_key="AKIA123456", secret_key="hunter22hunter22"),
    ],
)
def test_no_secret_is_kept(fs: FeatureStore, connector: JdbcConnector) -> None:
    with pytest.raises(
        SettingsError,
        match=r"would be kept in the metadata database with a password or key in it: write",
    ):
        fs.create_storage_connector(connector)
    assert fs.get_storage_connectors() == []


def test_a_database_by_its_host(fs: FeatureStore) -> None:
    connector = SqlConnector(
        name="shop",
        database_type="POSTGRESQL",
        host="db",
        port=5433,
        database="shop",
        **LOGIN,
    )
    fs.create_storage_connector(connector)
    assert fs.get_storage_connector("shop").connector_options() == {
        "url": "jdbc:postgresql://db:5433/shop",
        **LOGIN,
    }
    with pytest.raises(SettingsError, match=r"is a database: give query=, an SQL query, and no pa"):
        connector.describe_source(None, "/data", None, None)
    with pytest.raises(SettingsError, match=r"data_format='parquet' is not what .* a database"):
        connector.describe_source("parquet", "", "SELECT 1", None)
    with pytest.raises(SettingsError, match=r"database_type='ORACLE' is not one of MYSQL, POSTGRE"):
        SqlConnector(name="o", database_type="ORACLE", host="h", database="d")


def test_a_bucket(fs: FeatureStore) -> None:
    fs.create_storage_connector(
        S3Connector(
            name="lake",
            bucket="lake",
            path="gold/",
            region="eu-north-1",
            access_key="${SPARK_FS_SECRET_KEY}",
            secret_key="${SPARK_FS_SECRET_SECRET}",
            arguments={"fs.s3a.endpoint": "https://minio:9000"},
        )
    )
    connector = fs.get_storage_connector("lake")
    options = {
        "fs.s3a.access.key": "${SPARK_FS_SECRET_KEY}",
        "fs.s3a.secret.key": "${SPARK_FS_SECRET_SECRET}",
        "fs.s3a.endpoint.region": "eu-north-1",
        "fs.s3a.endpoint": "https://minio:9000",
    }
    assert connector.describe_source("DELTA", "orders", None, None) == (
        "delta",
        "s3a://lake/gold/orders",
        options,
    )
    assert connector.describe_source(None, "s3a://other/x", "", None)[1] == "s3a://other/x"
    with pytest.raises(
        SettingsError, match=r"data_format='hudi' is not what .*: use 'delta', 'parquet', 'csv', 'j"
    ):
        connector.describe_source("hudi", "orders", None, None)
    with pytest.raises(SettingsError, match=r"is a folder, which takes no query: give path="):
        connector.describe_source(None, None, "SELECT 1", None)
    with pytest.raises(NotOfferedError, match=r"S3Connector\(iam_role=\) assumes a role"):
        S3Connector(name="r", bucket="b", iam_role="arn")


def test_a_folder_and_the_files_of_a_project(fs: FeatureStore, tmp_path: Path) -> None:
    folder = fs.create_storage_connector(HopsFSConnector(name="lake", hopsfs_path="/data/lake"))
    assert folder.describe_source(None, "orders", None, {}) == (
        "parquet",
        "/data/lake/orders",
        {},
    )
    own = fs.create_data_source(HopsFSConnector(name="own", dataset_name="Resources"))
    assert own.describe_source("delta", "x", None, None) == (
        "delta",
        str(tmp_path / "datasets" / "Resources" / "x"),
        {},
    )
    with pytest.raises(SettingsError, match=r"needs one of hopsfs_path= and dataset_name="):
        HopsFSConnector(name="none")


def test_an_external_group_is_made_of_a_connector(fs: FeatureStore, tmp_path: Path) -> None:
    """Of its name, of a data source or of its arguments; read without Spark."""
    frame = pd.DataFrame({"card": ["a", "b"], "limit": [100, 250]})
    frame.to_parquet(tmp_path / "cards.parquet")
    bank = fs.create_storage_connector(HopsFSConnector(name="bank", hopsfs_path=str(tmp_path)))
    path = "cards.parquet"
    source = DataSource(path=path, storage_connector=bank)
    groups = [
        fs.create_external_feature_group("g", bank, None, "parquet", path, None, 1, "d", ["card"]),
        fs.create_external_feature_group(
            "g", primary_key=["card"], storage_connector="bank", path=path
        ),
        fs.create_external_feature_group("g", primary_key=["card"], data_source=source),
        fs.create_on_demand_feature_group(
            "g", primary_key=["card"], data_source={"path": path, "storage_connector": bank}
        ),
    ]
    assert [group.version for group in groups] == [1, 2, 3, 4]
    for group in groups:
        pd.testing.assert_frame_equal(group.read("pandas"), frame)
    with pytest.raises(NotFoundError, match=r"connector 'bnk' does not exist; did you mean 'bank'"):
        fs.create_external_feature_group("g", primary_key=["card"], storage_connector="bnk")
    with pytest.raises(SettingsError, match=r"storage_connector=3 is no connector: give one of"):
        fs.create_external_feature_group("g", primary_key=["card"], storage_connector=3)


def test_a_release_that_cannot_read_a_format_is_told_so() -> None:
    group = GroupSpec("g", 1, primary_key=("a",), source=SourceSpec("csv", "/data"))
    assert group.to_json()["format_version"] == 2
    assert GroupSpec.from_json(group.to_json()) == group
    assert "format_version" not in replace(group, source=SourceSpec("delta", "/data")).to_json()


def test_a_data_source_says_what_its_connector_is_asked(fs: FeatureStore) -> None:
    fs.create_storage_connector(JdbcConnector(name="shop", connection_string=URL))
    source = fs.get_data_source("shop")
    source.table = "orders"
    assert source.describe_source(None, "", None, None) == (
        "jdbc",
        "SELECT * FROM orders",
        {"url": URL},
    )
    connector = fs.get_storage_connector("shop")
    by_query = DataSource("SELECT 1 AS a", storage_connector=connector)
    assert by_query.describe_source(None, "", "ignored", None)[1] == "SELECT 1 AS a"
    with pytest.raises(SettingsError, match=r"A DataSource needs storage_connector="):
        DataSource("SELECT 1").describe_source(None, "", None, None)
    with pytest.warns(UserWarning, match=r"DataSource\(spreadsheet_id=\) changes nothing"):
        DataSource(spreadsheet_id="x")


def test_sources_of_other_kinds_are_refused(fs: FeatureStore) -> None:
    with pytest.raises(
        NotOfferedError,
        match=r"^SnowflakeConnector reads Snowflake on Hopsworks, .*: use JdbcConnector with its",
    ):
        SnowflakeConnector(id=None, name="s", featurestore_id=fs.id)
    with pytest.raises(NotOfferedError, match=r"^JdbcConnector.get_tables lists tables"):
        JdbcConnector(name="shop", connection_string=URL).get_tables("shop")
    with pytest.raises(SettingsError, match=r"are no options: give a mapping, or a list of dicts"):
        JdbcConnector(name="shop", connection_string=URL, arguments=[{"user": "reader"}])
    with pytest.raises(SettingsError, match=r"arguments=5 is not a mapping of names or a list"):
        JdbcConnector(name="shop", connection_string=URL, arguments=5)
    with pytest.raises(SettingsError, match=r"'shop' is not saved yet: give it to create_storage"):
        JdbcConnector(name="shop", connection_string=URL).read("SELECT 1")
