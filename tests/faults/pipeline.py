"""A pipeline of one group, 24 rows an hour, for processes that are killed or that write side by side."""

import sys
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import spark_fs
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.project import FeatureStore

START, END = "2024-01-01", "2024-01-07"


def declare(fs: FeatureStore) -> FeatureGroup:
    """Partitioned by day, so that each chunk makes its own folder."""
    return fs.get_or_create_feature_group("hours", primary_key=["k"], event_time="t", partition_key=["day"])


def build(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """Fifty keys, each with one row an hour that follows from key and hour alone."""
    hours = int((end - start) / timedelta(hours=1))
    at = F.lit(start) + F.make_interval(hours=(F.col("id") % hours).cast("int"))
    return spark.range(50 * hours).select(F.floor(F.col("id") / hours).alias("k"), at.alias("t"), F.xxhash64("id", at).alias("v"))


def backfill(home: str) -> None:
    """Six chunks."""
    group = declare(spark_fs.login({"home": home}).get_feature_store())
    group.backfill(build, START, END, timedelta(days=1), progress=lambda job: print(job, flush=True))


def write(home: str, worker: str, commits: str) -> None:
    """So many commits: rows of the worker's own, and one row that all workers write."""
    fs = spark_fs.login({"home": home}).get_feature_store()
    group = fs.get_feature_group("shared", 1)
    for number in range(int(commits)):
        at = datetime.fromisoformat("2024-01-01T00:00:00+00:00") + timedelta(hours=number)
        rows = fs._stores.spark.createDataFrame([(int(worker), at, number), (0, at, int(worker))], "k long, t timestamp, v long")
        print(group.insert(rows)[0].summary, flush=True)


if __name__ == "__main__":
    {"backfill": backfill, "write": write}[sys.argv[1]](*sys.argv[2:])
