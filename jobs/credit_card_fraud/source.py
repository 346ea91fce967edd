"""The source tables, as an operational database would give them: what ``generate.py`` wrote."""

import os
from datetime import datetime
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.errors import SetupError


def table(spark: SparkSession, name: str) -> DataFrame:
    """One of transactions, cards and profiles, from the folder that FRAUD_SOURCE names."""
    folder = Path(os.environ.get("FRAUD_SOURCE", ".fraud/source")) / name
    if not folder.is_dir():
        raise SetupError(
            f"{folder} is not there: make it with jobs/credit_card_fraud/generate.py --out, and"
            " name its folder in FRAUD_SOURCE."
        )
    return spark.read.parquet(str(folder))


def transactions(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The transactions of [start, end), in UTC."""
    made = table(spark, "transactions").withColumnRenamed("trans_date_trans_time", "datetime")
    return made.filter((F.col("datetime") >= F.lit(start)) & (F.col("datetime") < F.lit(end)))


def updated(spark: SparkSession, name: str, end: datetime) -> DataFrame:
    """What was known of cards or profiles before an instant, every version of it."""
    return table(spark, name).filter(F.col("updated_at") < F.lit(end))
