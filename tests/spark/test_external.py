"""Groups over rows that others keep: a Delta or Parquet path, a Spark table, a JDBC query."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import mysql.connector
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from spark_fs import Feature
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import (
    NotFoundError,
    NotOfferedError,
    QueryError,
    SettingsError,
    SparkFSError,
)
from spark_fs.storage_connector import HopsFSConnector, JdbcConnector

from conftest import SERVERS, first_quick
from oracles import same_rows

DAY = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
RATES = pd.DataFrame({"k": [1, 1, 2], "at": DAY, "rate": [1.0, 2.0, 3.0]})
Make = Callable[..., FeatureGroup]


@pytest.fixture
def spine(group: Make) -> FeatureGroup:
    frame = pd.DataFrame({"k": [1, 1, 2], "t": [DAY[0], DAY[2], DAY[0]], "label": [0, 1, 0]})
    return group("spine", frame, primary_key=["k"], event_time="t")


@pytest.mark.slow
@pytest.mark.parametrize("data_format", first_quick(["delta", "parquet", "table"]))
def test_rows_of_a_path_or_table_are_read_and_joined(
    fs: FeatureStore, spark: SparkSession, spine: FeatureGroup, tmp_path: Path, data_format: str
) -> None:
    place = str(tmp_path / "rates")
    spark.createDataFrame(RATES).write.format(
        "parquet" if data_format == "parquet" else "delta"
    ).save(place)
    where = {"query": f"delta.`{place}`"} if data_format == "table" else {"path": place}
    fs.create_external_feature_group(
        "rates", primary_key=["k"], event_time="at", data_format=data_format, **where
    )  # type: ignore[arg-type] # texts
    rates = fs.get_external_feature_group("rates", 1)
    assert (rates.schema, rates.location) == (
        {"k": "bigint", "at": "timestamp", "rate": "double"},
        next(iter(where.values())),
    )
    same_rows(rates.read("pandas"), RATES, ["k", "at"])
    joined = spine.select_all().join(rates.select_features()).read("pandas").sort_values(["k", "t"])
    assert joined["rate"].fillna(-1).tolist() == [1.0, 2.0, -1.0]
    view = fs.create_feature_view(
        "v", spine.select_all().join(rates.select(["rate"])), labels=["label"]
    )
    assert len(view.train_test_split(train_end="2025-01-01")[0]) == 3
    assert (
        [g.name for g in fs.get_feature_groups()],
        [g.name for g in fs.get_external_feature_groups()],
    ) == (["spine"], ["rates"])


# MariaDB's driver of Java speaks TLS only where it is told to, which caching_sha2_password needs.
JDBC_OPTIONS = {"mysql": "permitMysqlScheme", "mysql9": "permitMysqlScheme&sslMode=trust"}


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.slow
def test_the_star_schema_of_a_database_is_a_source(
    fs: FeatureStore, spine: FeatureGroup, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    server, database = urlsplit(SERVERS[kind]), f"t_{uuid4().hex}"
    with (
        mysql.connector.connect(
            host=server.hostname, port=server.port, user=server.username, password=server.password
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"CREATE DATABASE {database}")
        cursor.execute(f"CREATE TABLE {database}.dim_shop (shop INT PRIMARY KEY, city VARCHAR(20))")
        cursor.execute(
            f"CREATE TABLE {database}.fact (k INT, at DATETIME(6), shop INT, amount DECIMAL(10,2))"
        )
        cursor.execute(f"INSERT INTO {database}.dim_shop VALUES (1, 'Bern'), (2, 'Zürich')")
        cursor.execute(
            f"INSERT INTO {database}.fact VALUES (1, '2024-01-01 00:00:00.000001', 1, 9.99), (1,"
            " '2024-01-02', 2, 5)"
        )
        connection.commit()
        monkeypatch.setenv("SPARK_FS_SECRET_SHOP", str(server.password))
        shop = JdbcConnector(
            name="shop",
            connection_string=(
                f"jdbc:mysql://{server.hostname}:{server.port}/{database}?{JDBC_OPTIONS[kind]}"
            ),
            arguments={
                "driver": "org.mariadb.jdbc.Driver",
                "user": str(server.username),
                "password": "${SPARK_FS_SECRET_SHOP}",
            },
        )
        fs.create_storage_connector(shop)
        sales = fs.create_external_feature_group(
            "sales",
            primary_key=["k"],
            event_time="at",
            storage_connector=fs.get_storage_connector("shop"),
            query="SELECT k, at, city, amount FROM fact JOIN dim_shop USING (shop)",
        )
        assert shop.read("SELECT count(*) AS n FROM fact").collect()[0].n == 2
        assert sales.schema == {
            "k": "int",
            "at": "timestamp",
            "city": "string",
            "amount": "decimal(10,2)",
        }
        found = (
            spine.select_all().join(sales.select(["city"])).read("pandas").sort_values(["k", "t"])
        )
        assert found["city"].fillna("-").tolist() == ["-", "Zürich", "-"]
        assert sales.read("pandas")["at"].min() == pd.Timestamp(
            "2024-01-01 00:00:00.000001", tz="UTC"
        )
        monkeypatch.delenv("SPARK_FS_SECRET_SHOP")
        with pytest.raises(
            SettingsError,
            match=(
                r"The environment variable SPARK_FS_SECRET_SHOP of an external feature group is not"
                r" set: export it"
            ),
        ):
            sales.read()
        cursor.execute(f"DROP DATABASE {database}")


@pytest.mark.parametrize("data_format", ["csv", "json", "orc", "avro"])
def test_files_of_other_formats_are_read_by_spark(
    fs: FeatureStore, spark: SparkSession, tmp_path: Path, data_format: str
) -> None:
    writer = spark.createDataFrame(RATES).write
    writer.options(header=True).format(data_format).save(str(tmp_path / "rates"))
    connector = fs.create_storage_connector(HopsFSConnector(name="lake", hopsfs_path=str(tmp_path)))
    declared = [Feature("k", "bigint"), Feature("at", "timestamp"), Feature("rate", "double")]
    rates = fs.create_external_feature_group(
        "rates",
        primary_key=["k"],
        event_time="at",
        storage_connector=connector,
        data_format=data_format,
        path="rates",
        features=declared,
    )
    same_rows(rates.read("pandas"), RATES, ["k", "at"])
    assert connector.read(data_format=data_format, path="rates").count() == 3


def test_a_database_is_a_named_source(
    fs: FeatureStore, spark: SparkSession, spine: FeatureGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Derby's, which Spark brings with it."""
    url = f"jdbc:derby:memory:{uuid4().hex}"
    driver = {"driver": "org.apache.derby.jdbc.EmbeddedDriver"}
    writer = spark.createDataFrame(RATES).write.format("jdbc").options(dbtable="rates", **driver)
    writer.option("url", f"{url};create=true").save()
    monkeypatch.setenv("SPARK_FS_SECRET_SHOP", "hunter22hunter22")
    arguments = {**driver, "user": "app", "password": "${SPARK_FS_SECRET_SHOP}"}
    fs.create_storage_connector(
        JdbcConnector(name="shop", connection_string=url, arguments=arguments)
    )
    query = 'SELECT "k", "at", "rate" FROM rates'
    rates = fs.create_external_feature_group(
        "rates",
        fs.get_storage_connector("shop"),
        query,
        primary_key=["k"],
        event_time="at",
    )
    same_rows(rates.read("pandas"), RATES, ["k", "at"])
    joined = spine.select_all().join(rates.select(["rate"])).read("pandas").sort_values(["k", "t"])
    assert joined["rate"].fillna(-1).tolist() == [1.0, 2.0, -1.0]
    same_rows(
        fs.get_storage_connector("shop").read(query, dataframe_type="pandas"), RATES, ["k", "at"]
    )


def test_what_cannot_be_a_source_is_refused(fs: FeatureStore, tmp_path: Path) -> None:
    bad: list[tuple[dict[str, object], type[SparkFSError], str]] = [
        (
            {"data_format": "excel", "path": "x"},
            SettingsError,
            "data_format 'excel' is not known: use 'delta', 'parquet', 'csv', 'json', 'orc', 'avro', 'table'",
        ),
        ({"data_format": "delta"}, SettingsError, "needs path=, or query="),
        (
            {"data_format": "jdbc", "query": "SELECT 1", "options": {"password": "secret"}},
            SettingsError,
            r"Option 'password' would be kept .* write '\$\{SPARK_FS_SECRET_NAME\}'",
        ),
        (
            {"data_format": "parquet", "path": str(tmp_path / "none")},
            SparkFSError,
            r"reading of the external source \(parquet\)",
        ),
        (
            {"data_format": "table", "query": "no.such.table"},
            SparkFSError,
            r"reading of the external source \(table\)",
        ),
    ]
    for arguments, error, text in bad:
        with pytest.raises(error, match=text):
            fs.create_external_feature_group("x", primary_key=["k"], **arguments)  # type: ignore[arg-type] # the case's own
    assert fs.get_external_feature_groups() == []


def test_an_external_group_is_neither_written_nor_travelled_in(
    fs: FeatureStore, spark: SparkSession, tmp_path: Path
) -> None:
    rates = fs.create_external_feature_group(
        "rates",
        primary_key=["k"],
        data_format="parquet",
        path="later",
        features=[Feature("k", "int")],
    )
    with pytest.raises(
        QueryError, match=r"External feature group 'rates' version 1 has no history of commits"
    ):
        rates.select_all().as_of(1)
    same = fs.get_feature_group("rates")
    assert isinstance(same, ExternalFeatureGroup)
    assert same.save() is None
    with pytest.raises(NotOfferedError, match="with online_enabled=True, and call sync_online"):
        same.insert([{"k": 1}])
    with pytest.raises(NotFoundError, match=r"is an external one: use get_external_feature_group"):
        fs.get_or_create_feature_group("rates", 1, primary_key=["k"])
    rates.delete()
    with pytest.raises(NotFoundError, match=r"'rates' does not exist"):
        fs.get_external_feature_group("rates")
