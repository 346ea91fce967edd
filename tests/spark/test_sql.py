"""SQL over the groups of a store, compared with DuckDB over the same frames."""

from collections.abc import Callable

import duckdb
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.errors import NotFoundError, QueryError, SettingsError

from conftest import SERVERS, at, online_store

PAYMENTS = pd.DataFrame(
    {
        "id": [1, 2, 3],
        "card": ["a", "b", "a"],
        "at": [at("01-01"), at("01-02"), at("01-03")],
        "amount": [1.5, 2.5, None],
    }
)
CARDS = pd.DataFrame({"card": ["a", "b"], "limit": [100, 2**53 + 1]})
RIGHT = [
    "SELECT * FROM payments_1 ORDER BY id",
    "select card, count(*) n, sum(amount) total from payments_1 group by card order by card",
    (
        'WITH large AS (SELECT * FROM payments_1 WHERE amount > 2) SELECT l.id, c."limit" FROM'
        " large l JOIN cards_1 c ON l.card = c.card"
    ),
    "(SELECT id FROM payments_1) UNION ALL (SELECT 9 AS id) ORDER BY id",
    (
        "-- a remark about cards_1\nSELECT id FROM PAYMENTS_1 WHERE card IN (SELECT card FROM"
        " cards_1) ORDER BY id"
    ),
    "/* DROP TABLE payments_1; */ SELECT 'DELETE FROM payments_1' AS said",
]


def fill(fs: FeatureStore, group: Callable[..., FeatureGroup]) -> None:
    group("payments", PAYMENTS, primary_key=["id"], event_time="at", online_enabled=True)
    group("cards", CARDS, primary_key=["card"])
    fs.create_feature_group("empty", primary_key=["id"])


@pytest.mark.parametrize("query", RIGHT)
def test_a_select_gives_what_duckdb_gives(fs: FeatureStore, query: str) -> None:
    with duckdb.connect() as oracle:
        oracle.execute("SET TimeZone = 'UTC'")
        oracle.register("payments_1", PAYMENTS)
        oracle.register("cards_1", CARDS)
        wanted = oracle.execute(query).df()
    found = fs.sql(query.replace('"', "`"), dataframe_type="pandas")
    assert list(found.columns) == list(wanted.columns)
    assert (
        found.astype(object).where(found.notna(), None).values.tolist()
        == wanted.astype(object).where(wanted.notna(), None).values.tolist()
    )


def test_names_are_known_to_the_call_alone(spark: SparkSession, fs: FeatureStore) -> None:
    spark.createDataFrame([(7,)], "id bigint").createOrReplaceTempView("payments_1")
    try:
        found = fs.sql("SELECT id FROM payments_1 ORDER BY id")
        assert isinstance(found, DataFrame)
        assert [row.id for row in found.collect()] == [1, 2, 3]
        assert [
            row.id for row in found.join(spark.createDataFrame([(2,)], "id bigint"), "id").collect()
        ] == [2]  # it goes on with frames of the session
        assert spark.table("payments_1").collect()[0].id == 7
        assert not spark.catalog.tableExists("cards_1")
        assert SparkSession.getActiveSession() is spark
    finally:
        spark.catalog.dropTempView("payments_1")


@pytest.mark.slow
def test_sql_over_the_online_rows(spark: SparkSession, fs: FeatureStore) -> None:
    group = fs.get_feature_group("payments", 1)
    group.sync_online()
    group.insert(PAYMENTS.assign(amount=[9.0] * 3))
    query = "SELECT sum(amount) AS total FROM payments_1"
    assert fs.sql(query, online=True).collect()[0].total == 4.0
    assert fs.sql(query).collect()[0].total == 27.0
    assert SparkSession.getActiveSession() is spark
    assert not spark.catalog.tableExists("payments_1")
    assert group.read(online=True).orderBy("id").collect()[0].asDict() == PAYMENTS.iloc[
        0
    ].to_dict() | {"at": at("01-01").replace(tzinfo=None)}
    with pytest.raises(SettingsError, match="'cards' version 1 is not online_enabled"):
        fs.sql("SELECT * FROM cards_1", online=True)


@pytest.mark.slow
def test_a_wallclock_time_reads_what_was_there(fs: FeatureStore) -> None:
    group = fs.get_feature_group("payments", 1)
    group.insert(PAYMENTS.assign(amount=[9.0] * 3))
    assert group.read(0, dataframe_type="pandas")["amount"].sum() == 4.0
    assert group.read("pandas")["amount"].sum() == 27.0
    assert isinstance(group.read(), DataFrame)


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE payments_1",
        "DELETE FROM payments_1",
        "INSERT INTO payments_1 SELECT * FROM payments_1",
        "UPDATE payments_1 SET id = 1",
        "SET spark.x = 1",
        "SHOW TABLES",
        "CREATE TABLE t AS SELECT * FROM payments_1",
        "WITH x AS (SELECT 1 AS id) INSERT INTO payments_1 SELECT * FROM x",
        "FROM payments_1 INSERT INTO a SELECT * INSERT INTO b SELECT *",
        "MERGE INTO payments_1 USING cards_1 ON true WHEN MATCHED THEN DELETE",
        "INSERT OVERWRITE DIRECTORY '/tmp/x' USING parquet SELECT 1",
        "EXPLAIN SELECT 1",
        "CACHE TABLE payments_1",
        "WITH x AS (SELECT 1 AS id) FROM x INSERT INTO payments_1 SELECT *",
        "TRUNCATE TABLE payments_1",
        "USE default",
        "VACUUM payments_1",
    ],
)
def test_what_is_no_select_is_refused(fs: FeatureStore, query: str) -> None:
    with pytest.raises(
        QueryError,
        match=(
            r"is not a SELECT, and sql only reads: use insert or delete_records\.|The SQL is not"
            r" understood"
        ),
    ):
        fs.sql(query)
    assert len(fs.get_feature_group("payments", 1).read("pandas")) == 3


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1; DROP TABLE payments_1", "The SQL is not understood"),
        ("SELEC 1", "The SQL is not understood"),
        ("", "The SQL is not understood|is not a SELECT"),
        ("SELECT nope FROM payments_1", "The SQL cannot be run: .*nope"),
        ("SELECT * FROM empty_1", "Feature group 'empty' version 1 has no schema yet"),
        (
            "SELECT sum(card) + 'x' FROM payments_1 GROUP BY nope(1)",
            "The SQL cannot be run: .*nope",
        ),
    ],
)
def test_what_cannot_be_run_says_why(fs: FeatureStore, query: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        fs.sql(query)


@pytest.mark.parametrize("name", ["paymnts_1", "payments", "payments_2", "PAYMENT_1"])
def test_a_name_that_is_no_group_gets_the_nearest(fs: FeatureStore, name: str) -> None:
    with pytest.raises(
        NotFoundError,
        match=(
            rf"^Table '{name.lower()}' does not exist; did you mean 'payments_1'.*\? A feature"
            r" group is called <name>_<version> in SQL\."
        ),
    ):
        fs.sql(f"SELECT * FROM {name}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
def test_rows_of_a_server_are_read_too(spark: SparkSession, tmp_path: object, kind: str) -> None:
    with online_store(kind, tmp_path) as fs:  # type: ignore[arg-type] # a path
        group = fs.create_feature_group(
            "payments", primary_key=["id"], event_time="at", online_enabled=True
        )
        group.insert(PAYMENTS)
        group.sync_online()
        found = group.read("pandas", online=True).sort_values("id").reset_index(drop=True)
        wanted = group.read("pandas").sort_values("id").reset_index(drop=True)
        pd.testing.assert_frame_equal(found, wanted)
