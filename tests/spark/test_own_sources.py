"""``spark-fs init --source`` over what Spark reads, and the readers that it writes."""

import os
import runpy
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import mysql.connector
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from sqlalchemy.engine import make_url

from spark_fs.cli import own_source, projects
from spark_fs.errors import SchemaError, SettingsError
from spark_fs.flows.look_at_source import SourceLook, look_at_file
from spark_fs.flows.look_at_spark_source import look_at_spark_source
from spark_fs.flows.propose_pipeline import propose_pipeline

ORDERS = pd.DataFrame(
    {
        "order_id": [7, 8, 9],
        "shop": ["a", "b", "a"],
        "ordered_at": pd.to_datetime(
            ["2024-01-01 10:00", "2024-01-02", "2024-01-02 00:00:00.000001"], format="ISO8601"
        ),
        "amount": [1.5, None, 95.0],
        "note": ['one, "two"', None, "line\nbreak"],
    }
)
MYSQL = os.environ.get("SPARK_FS_TEST_MYSQL")
DAY = (datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC))


def read_day(spark: SparkSession, look: SourceLook, folder: Path) -> pd.DataFrame:
    """What the reader of a new project gives of the second of January."""
    proposal = propose_pipeline(look, ["shop"], "ordered_at")
    values = own_source.describe_project("shop", proposal)
    (template,) = Path(projects.__file__).parent.glob("own_project/package/source.py.jinja")
    projects._write_template(template, folder / "source.py", values)
    module = runpy.run_path(str(folder / "source.py"))
    rows = module[proposal.events](spark, *DAY).toPandas()
    return rows.sort_values("order_id", ignore_index=True)


def check_day(rows: pd.DataFrame) -> None:
    expected = ORDERS.iloc[1:].reset_index(drop=True)
    times = [time.isoformat() for time in rows["ordered_at"]]
    assert times == [time.isoformat() for time in expected["ordered_at"]]
    for name in ("order_id", "shop", "amount", "note"):
        values = rows[name].astype(object).where(rows[name].notna(), None).tolist()
        assert values == expected[name].astype(object).where(expected[name].notna(), None).tolist()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_the_reader_of_a_file_gives_the_rows_of_a_day(
    spark: SparkSession, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"orders{suffix}"
    if suffix == ".parquet":
        ORDERS.to_parquet(file)
    elif suffix == ".jsonl":
        ORDERS.to_json(file, orient="records", lines=True, date_format="iso", date_unit="us")
    else:
        ORDERS.to_csv(file, index=False, sep="\t" if suffix == ".tsv" else ",")
    check_day(read_day(spark, look_at_file(file), tmp_path))


def test_a_value_of_another_type_is_an_error_and_no_null(
    spark: SparkSession, tmp_path: Path
) -> None:
    file = tmp_path / "orders.csv"
    ORDERS.to_csv(file, index=False)
    look = look_at_file(file)
    file.write_text(file.read_text().replace("95.0", "ninety"))
    with pytest.raises(Exception, match="MALFORMED"):
        read_day(spark, look, tmp_path)


def test_a_url_and_a_table_are_looked_at_by_spark(spark: SparkSession, tmp_path: Path) -> None:
    spark.createDataFrame(ORDERS).write.parquet(str(tmp_path / "orders"))
    check_day(read_day(spark, look_at_spark_source(spark, f"file://{tmp_path}/orders"), tmp_path))
    spark.createDataFrame(ORDERS).createOrReplaceTempView("own_orders")
    check_day(read_day(spark, look_at_spark_source(spark, "table:own_orders"), tmp_path))
    with pytest.raises(SchemaError, match=r"table:absent cannot be read by Spark: .*absent"):
        look_at_spark_source(spark, "table:absent")
    with pytest.raises(SettingsError, match="--table t names a table of a database"):
        look_at_spark_source(spark, "table:own_orders", "t")


@pytest.mark.skipif(not MYSQL, reason="no MySQL: make mysql-up")
def test_a_table_of_a_database(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_url(str(MYSQL))
    database = f"shop_{uuid4().hex[:8]}"
    login = {"user": server.username, "password": server.password}
    connection = mysql.connector.connect(host=server.host, port=server.port, **login)
    cursor = connection.cursor()
    cursor.execute(f"CREATE DATABASE {database}")
    try:
        cursor.execute(
            f"CREATE TABLE {database}.orders (order_id INT, shop VARCHAR(9), ordered_at DATETIME(6),"
            " amount DOUBLE, note TEXT)"
        )
        cursor.executemany(
            f"INSERT INTO {database}.orders VALUES (%s, %s, %s, %s, %s)",
            ORDERS.astype(object).where(ORDERS.notna(), None).values.tolist(),
        )
        connection.commit()
        address = f"jdbc:mysql://{server.host}:{server.port}/{database}"
        with pytest.raises(SettingsError, match="name its table"):
            look_at_spark_source(spark, address)
        monkeypatch.delenv("SOURCE_USER", raising=False)
        with pytest.raises(SettingsError, match="SOURCE_USER is not set"):
            look_at_spark_source(spark, address, "orders")
        monkeypatch.setenv("SOURCE_USER", str(server.username))
        monkeypatch.setenv("SOURCE_PASSWORD", str(server.password))
        check_day(read_day(spark, look_at_spark_source(spark, address, "orders"), tmp_path))
    finally:
        cursor.execute(f"DROP DATABASE {database}")
        connection.close()
