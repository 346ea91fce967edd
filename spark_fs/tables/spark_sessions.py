"""Copies of a Spark session, so that the session itself stays as its owner set it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession


@contextmanager
def copy_session(spark: SparkSession) -> Iterator[SparkSession]:
    """A session beside another on the same context, with its settings and views.

    What is named in it is known to no other. Making a frame lets its session be the active one, so
    the other is that again at the end.
    """
    classes = SparkSession._get_j_spark_session_class(spark.sparkContext._jvm)
    try:
        yield SparkSession(spark.sparkContext, spark._jsparkSession.cloneSession())
    finally:
        SparkSession._activeSession = spark
        classes.setActiveSession(spark._jsparkSession)


def move_frame(frame: DataFrame, spark: SparkSession) -> DataFrame:
    """A frame* of another session as one of this one; its files are read as the other does."""
    jvm: Any = spark._jvm
    plan: Any = frame._jdf.queryExecution().analyzed()
    datasets = jvm.org.apache.spark.sql.classic.Dataset
    return DataFrame(datasets.ofRows(spark._jsparkSession, plan), spark)
