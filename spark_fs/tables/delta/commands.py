"""Reads and writes of the Delta tables by Spark; ``staging`` and ``transaction`` are beside it.

No other modules touch the tables. Every table holds one column beyond the group's own, the instant
of ingestion; between two rows of one identity the one ingested last is the row. The change data
feed is on from the first commit, since the sync reads it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import and_
from threading import RLock
from typing import Any
from uuid import uuid4

from delta.tables import DeltaTable
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base.types import to_ddl
from spark_fs.errors import ConflictError, SparkFSError
from spark_fs.redact import get_safe_cause
from spark_fs.tables.commits import Transaction
from spark_fs.tables.data_files import StoredFile
from spark_fs.tables.delta.log import find_damage
from spark_fs.tables.spark_errors import find_root_cause

_SETTING_PREFIX = "spark.databricks.delta."
# what a commit carries is set on the session, so one write at a time sets it
_SETTINGS_LOCK = RLock()


def read_table(spark: SparkSession, path: str, version: int | None = None) -> DataFrame:
    """The table*, at one of its versions or the newest; ingestion time included."""
    reader = spark.read.format("delta")
    with translate_errors(path, "read"):
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(path)


def read_changes(
    spark: SparkSession, path: str, first_version: int, last_version: int
) -> DataFrame:
    """What the versions first to last did*, both included.

    The rows have ``_change_type``, ``_commit_version`` and ``_commit_timestamp``.
    """
    feed = spark.read.format("delta").option("readChangeFeed", "true")
    with translate_errors(path, "read"):
        feed = feed.option("startingVersion", first_version)
        return feed.option("endingVersion", last_version).load(path)


def merge_rows(
    frame: DataFrame,
    path: str,
    keys: Sequence[str],
    prune_predicate: Column,
    update_predicate: Column,
    transaction: Transaction | None,
    metadata: Mapping[str, Any],
) -> tuple[int, int]:
    """Replace the rows of the same keys that differ, append the others, as one commit, eagerly.

    ``prune_predicate`` holds for every row ``t`` of the table that may be replaced, so that Delta
    leaves the other files alone; ``update_predicate`` for those that are. ``frame`` must give the
    same rows each time it is read. Returns how many rows were inserted and updated.
    """
    spark = frame.sparkSession
    once = {"merge.materializeSource": "none"}  # staged rows stay as they are, so they need no copy
    with _set_commit_metadata(spark, transaction, metadata), _session_settings(spark, once):
        table = DeltaTable.forPath(spark, path).alias("t")
        condition = reduce(and_, [*_match_keys(keys), prune_predicate])
        merge = table.merge(frame.alias("s"), condition)
        merge = merge.whenMatchedUpdateAll(update_predicate).whenNotMatchedInsertAll()
        counts = merge.execute().collect()[0]
    return int(counts["num_inserted_rows"]), int(counts["num_updated_rows"])


def append_rows(
    frame: DataFrame, path: str, transaction: Transaction | None, metadata: Mapping[str, Any]
) -> None:
    """Append rows to a table of their own columns, made when absent, as one commit, eagerly."""
    with (
        _set_commit_metadata(frame.sparkSession, transaction, metadata),
        translate_errors(path, "write"),
    ):
        frame.write.format("delta").mode("append").option("mergeSchema", "true").save(path)


def delete_rows(
    frame: DataFrame,
    path: str,
    keys: Sequence[str],
    prune_predicate: Column | None,
    metadata: Mapping[str, Any],
) -> int:
    """Delete the rows of the frame's keys, as one commit, eagerly; returns how many there were.

    ``prune_predicate`` holds for every row ``t`` of the table that may be deleted.
    """
    spark = frame.sparkSession
    with _set_commit_metadata(spark, None, metadata):
        table = DeltaTable.forPath(spark, path).alias("t")
        condition = reduce(and_, _match_keys(keys))
        if prune_predicate is not None:
            condition = condition & prune_predicate
        merge = table.merge(frame.alias("s"), condition)
        counts = merge.whenMatchedDelete().execute().collect()[0]
    return int(counts["num_deleted_rows"])


def _match_keys(keys: Sequence[str]) -> list[Column]:
    return [F.col(f"t.`{key}`") == F.col(f"s.`{key}`") for key in keys]


def add_columns(
    spark: SparkSession, path: str, types: Mapping[str, str], metadata: Mapping[str, Any]
) -> None:
    """Add nullable columns to the table, as one commit, eagerly."""
    columns = ", ".join(f"{_quote_name(name)} {to_ddl(type_)}" for name, type_ in types.items())
    with _set_commit_metadata(spark, None, metadata), translate_errors(path, "change"):
        spark.sql(f"ALTER TABLE delta.{_quote_name(path)} ADD COLUMNS ({columns})")


def optimize_table(
    spark: SparkSession, path: str, cluster_by: Sequence[str], metadata: Mapping[str, Any]
) -> Mapping[str, int]:
    """Rewrite small files into large ones, clustered by these columns, eagerly.

    The rows stay as they are.
    """
    with _set_commit_metadata(spark, None, metadata), translate_errors(path, "compaction"):
        optimizer = DeltaTable.forPath(spark, path).optimize()
        metrics = optimizer.executeZOrderBy(*cluster_by).collect()[0]["metrics"]
    return {"files_added": metrics["numFilesAdded"], "files_removed": metrics["numFilesRemoved"]}


def vacuum_table(
    spark: SparkSession,
    path: str,
    retention_hours: float,
    candidates: Sequence[StoredFile] | None = None,
) -> None:
    """Delete the files that no version younger than this needs, eagerly.

    Of these candidates alone, where they are given. Of its own accord Delta goes by a property of
    the table, whatever hours it is asked for, and knows of what left for a week alone.
    """
    settings = {
        "retentionDurationCheck.enabled": "false",
        "vacuum.retentionWindowIgnore.enabled": "false",
    }
    with _session_settings(spark, settings), translate_errors(path, "clean-up"):
        if candidates is None:
            DeltaTable.forPath(spark, path).vacuum(retention_hours)
            return
        inventory = f"inventory_{uuid4().hex}"
        _create_inventory(spark, path, candidates, inventory)
        listed = f"SELECT * FROM {inventory}"  # noqa: S608 # a name that was just made
        try:
            spark.sql(
                f"VACUUM delta.{_quote_name(path)} USING INVENTORY ({listed}) RETAIN"
                f" {retention_hours} HOURS"
            )
        finally:
            spark.catalog.dropTempView(inventory)


def _create_inventory(
    spark: SparkSession, path: str, files: Sequence[StoredFile], view_name: str
) -> None:
    """Make the view of the files from which a VACUUM chooses."""
    base: Any = spark._jvm.org.apache.hadoop.fs.Path(path)  # type: ignore[union-attr] # never None here
    file_system = base.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())
    root = file_system.makeQualified(base).toString()
    rows = []
    for file in files:
        modified_millis = int(file.modified_at.timestamp() * 1000)
        rows.append((f"{root}/{file.name}", file.bytes, False, modified_millis))
    schema = "path string, length long, isDir boolean, modificationTime long"
    spark.createDataFrame(rows, schema).createOrReplaceTempView(view_name)


def invalidate_cache(spark: SparkSession, path: str) -> None:
    """Let the session forget the table that was in a folder."""
    log: Any = spark._jvm.org.apache.spark.sql.delta.DeltaLog  # type: ignore[union-attr] # never None here
    log.invalidateCache(spark._jsparkSession, spark._jvm.org.apache.hadoop.fs.Path(path))  # type: ignore[union-attr] # as above


@contextmanager
def _set_commit_metadata(
    spark: SparkSession, transaction: Transaction | None, metadata: Mapping[str, Any]
) -> Iterator[None]:
    """What the next commit carries."""
    settings = {"commitInfo.userMetadata": json.dumps(metadata)}
    if transaction:
        settings["write.txnAppId"] = transaction.app_id
        settings["write.txnVersion"] = str(transaction.number)
    with _session_settings(spark, settings):
        yield


@contextmanager
def _session_settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    with _SETTINGS_LOCK:
        before = {name: spark.conf.get(_SETTING_PREFIX + name, None) for name in settings}
        for name, value in settings.items():
            spark.conf.set(_SETTING_PREFIX + name, value)
        try:
            yield
        finally:
            for name, old in before.items():
                if old is None:
                    spark.conf.unset(_SETTING_PREFIX + name)
                else:
                    spark.conf.set(_SETTING_PREFIX + name, old)


def _quote_name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@contextmanager
def translate_errors(path: str, operation: str) -> Iterator[None]:
    """Turn the errors of Spark, Delta and the store into ours.

    ConflictError where another writer was faster, else SparkFSError.
    """
    try:
        yield
    except (PySparkException, Py4JError, OSError) as error:
        if is_conflict(error):
            raise ConflictError(
                f"Another writer changed the table at {path} at the same time:"
                f" {find_root_cause(error)}"
            ) from get_safe_cause(error)
        reason = find_damage(path) or find_root_cause(error)
        raise SparkFSError(
            f"The {operation} of the table at {path} failed and the table is as it was: {reason}"
        ) from get_safe_cause(error)


def is_conflict(error: BaseException) -> bool:
    """Whether an error says that another writer was faster."""
    if isinstance(error, Py4JJavaError):
        name = str(error.java_exception.getClass().getName())
        is_delta = name.startswith("io.delta.exceptions.")
        return is_delta or name.endswith("FileAlreadyExistsException")
    # Delta's own classes share no root of their own
    return type(error).__module__.startswith("delta.exceptions")
