"""Readings of five hundred meters, one an hour, some of them late; the meters themselves; and a view of both.

Every row follows from its number alone, so what a store should hold can be said without one. TOY_ARRIVED: the instant up to which rows have
come in; without it every row has.
"""

import os
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_store import FeatureStore
from spark_fs.api.feature_view import FeatureView

METERS = 500
LATEST = timedelta(hours=4)  # no row is later
HOUR = 3_600


def source(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The readings of [start, end) that have arrived, in UTC."""
    first, last = int(start.timestamp()) // HOUR, -(-int(end.timestamp()) // HOUR)
    number, hour = F.col("id"), F.floor(F.col("id") / METERS)
    second = hour * HOUR + F.pmod(number * 7_919, F.lit(HOUR))
    late = F.when(
        F.pmod(number * 31, F.lit(10)) == 0, F.pmod(number * 104_729, F.lit(4 * HOUR))
    ).otherwise(F.lit(0))
    rows = spark.range(first * METERS, last * METERS).select(
        F.pmod(number, F.lit(METERS)).alias("meter"),
        F.timestamp_seconds(second).alias("read_at"),
        F.timestamp_seconds(second + late).alias("arrived"),
        *((F.pmod(number * (i + 2), F.lit(1_009)) / 8).alias(f"v{i}") for i in range(5)),
        F.pmod(number * 13, F.lit(2)).cast("int").alias("label"),
    )
    arrived = os.environ.get("TOY_ARRIVED")
    rows = rows.filter((F.col("read_at") >= F.lit(start)) & (F.col("read_at") < F.lit(end)))
    return rows.filter(F.col("arrived") < F.to_timestamp(F.lit(arrived))) if arrived else rows


def expected(start: str, end: str, arrived: str | None = None) -> pd.DataFrame:
    """The same rows by NumPy."""
    low, high = (int(pd.Timestamp(each, tz="UTC").timestamp()) for each in (start, end))
    number = np.arange(low // HOUR * METERS, -(-high // HOUR) * METERS)
    second = number // METERS * HOUR + number * 7_919 % HOUR
    late = np.where(number * 31 % 10 == 0, number * 104_729 % (4 * HOUR), 0)
    kept = (second >= low) & (second < high)
    if arrived:
        kept &= second + late < int(pd.Timestamp(arrived, tz="UTC").timestamp())
    columns = {f"v{i}": number * (i + 2) % 1_009 / 8 for i in range(5)}
    frame = pd.DataFrame(
        {
            "meter": number % METERS,
            "read_at": pd.to_datetime(second, unit="s", utc=True),
            **columns,
            "label": number * 13 % 2,
        }
    )
    return frame[kept]


def readings(fs: FeatureStore) -> FeatureGroup:
    """What was read."""
    return fs.get_or_create_feature_group(
        "readings",
        primary_key=["meter"],
        event_time="read_at",
        partition_key=["day"],
        online_enabled=True,
        expectation_suite={
            "name": "sane",
            "expectations": [
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "v0"}}
            ],
        },
    )


def meters(fs: FeatureStore) -> FeatureGroup:
    """Where the meters are; they have no history."""
    return fs.get_or_create_feature_group("meters", primary_key=["meter"], online_enabled=True)


def build_readings(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The readings of an interval."""
    return source(spark, start, end).drop("arrived")


def build_meters(spark: SparkSession, _start: datetime, _end: datetime) -> DataFrame:
    """Every meter."""
    return spark.range(METERS).select(
        F.col("id").alias("meter"), F.concat(F.lit("zone_"), F.col("id") % 7).alias("zone")
    )


PIPELINE = {readings: build_readings, meters: build_meters}


def view(fs: FeatureStore) -> FeatureView:
    """Readings with their meters' zones."""
    query = (
        readings(fs)
        .select(["v0", "v1", "v2", "v3", "v4", "label"])
        .join(meters(fs).select(["zone"]))
    )
    functions = {
        "v0": fs.get_transformation_function("standard_scaler"),
        "zone": fs.get_transformation_function("one_hot_encoder"),
    }
    return fs.get_or_create_feature_view(
        "toy", query, labels=["label"], transformation_functions=functions
    )
