"""Reads and writes of the Delta tables: the only module that touches them.

Every table holds one column beyond the group's own, the instant of ingestion; between two rows of one identity
the one ingested last is the row. The change data feed is on from the first commit, since the sync reads it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import and_
from threading import Lock
from typing import Any, NamedTuple

from delta.tables import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.errors import SparkFSError

INGESTED_AT = "_ingested_at"
_WRITES = Lock()  # the transaction id of a commit is a setting of the session, so one write at a time sets it


class Bounds(NamedTuple):
    """The least and greatest value of a column, both included."""

    column: str
    low: Any
    high: Any


class Transaction(NamedTuple):
    """An id and a number committed with the data; a number not above the last one writes nothing."""

    app_id: str
    number: int


def exists(spark: SparkSession, path: str) -> bool:
    """Whether a Delta table is there."""
    return DeltaTable.isDeltaTable(spark, path)


def read(spark: SparkSession, path: str, version: int | None = None) -> DataFrame:
    """The table*, at one of its versions or the newest; ingestion time included."""
    reader = spark.read.format("delta")
    return (reader if version is None else reader.option("versionAsOf", version)).load(path)


def read_changes(spark: SparkSession, path: str, first: int, last: int) -> DataFrame:
    """The rows* inserted or updated by the versions first to last, both included, with ``_commit_version``."""
    feed = spark.read.format("delta").option("readChangeFeed", "true")
    changes = feed.option("startingVersion", first).option("endingVersion", last).load(path)
    return changes.filter(F.col("_change_type").isin("insert", "update_postimage"))


def append(
    frame: DataFrame, path: str, partition_by: Sequence[str] = (), transaction: Transaction | None = None
) -> None:
    """Append the frame as one commit, eagerly; creates the table when it is absent."""
    spark = frame.sparkSession
    writer = frame.write.format("delta").mode("append").partitionBy(*partition_by)
    with _transaction(spark, transaction), _translated(path):
        writer.option("delta.enableChangeDataFeed", "true").save(path)


def merge(
    frame: DataFrame, path: str, keys: Sequence[str], bounds: Bounds | None, transaction: Transaction | None = None
) -> None:
    """Replace the rows of the same keys and append the others as one commit, eagerly.

    ``bounds`` hold for every row that may be replaced, so that Delta leaves the other files alone.
    """
    spark = frame.sparkSession
    matched = [F.col(f"t.`{key}`") == F.col(f"s.`{key}`") for key in keys]
    if bounds:
        matched.append(F.col(f"t.`{bounds.column}`").between(bounds.low, bounds.high))
    target = DeltaTable.forPath(spark, path).alias("t")
    with _transaction(spark, transaction), _translated(path):
        merged = target.merge(frame.alias("s"), reduce(and_, matched))
        merged.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()


@contextmanager
def _transaction(spark: SparkSession, transaction: Transaction | None) -> Iterator[None]:
    if transaction is None:
        yield
        return
    prefix = "spark.databricks.delta.write."
    with _WRITES:
        spark.conf.set(prefix + "txnAppId", transaction.app_id)
        spark.conf.set(prefix + "txnVersion", transaction.number)
        try:
            yield
        finally:
            spark.conf.unset(prefix + "txnAppId")
            spark.conf.unset(prefix + "txnVersion")


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except PySparkException as error:
        reason = str(error).splitlines()[0]
        raise SparkFSError(f"The write to {path} failed and the table is as it was: {reason}") from error
