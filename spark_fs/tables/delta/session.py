"""The Spark session: the caller's where there is one, else one of our own."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_fs.errors import SetupError, get_first_line
from spark_fs.redact import SENSITIVE_NAMES, get_safe_cause
from spark_fs.tables.delta import jvm
from spark_fs.tables.delta.class_archive import list_archive_options
from spark_fs.tables.delta.jars import resolve_jars
from spark_fs.tables.delta.java import find_java
from spark_fs.tables.delta.jvm import defer_signals

_JAVA_OPTIONS = "spark.driver.extraJavaOptions"
# What a session must have been started with to read and write the tables at all.
_STATIC_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
# What is set on whatever session is used.
_RUNTIME_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Spark's own choice, INT96, is larger, slower and deprecated
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Delta refuses versions older than the retention of deleted files, a week; training data and
    # ``as_of`` read them for ever.
    "spark.databricks.delta.vacuum.enforceTimeTravelWithinDeletedFileRetentionDuration": "false",
}
_REQUIRED_SETTINGS = _STATIC_SETTINGS | _RUNTIME_SETTINGS
# What suits one machine. Measured on two cores: a MERGE on a small table takes 16 s with Spark's
# 200 shuffle partitions and Delta's 50 snapshot partitions, and 2 s with these.
_LOCAL_SETTINGS = {
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": str(2 * (os.cpu_count() or 1)),
    # a clean-up lists folders with this many tasks
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "16",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "4g",
    "spark.redaction.regex": f"(?i){SENSITIVE_NAMES}",  # in Spark's own pages, logs and events
    # tables are their owner's, who may say otherwise
    "spark.hadoop.fs.permissions.umask-mode": "077",
    _JAVA_OPTIONS: (
        f"-Dlog4j2.configurationFile=file:{Path(__file__).with_name('log4j2.properties')}"
    ),
}


def get_session(settings: Mapping[str, object]) -> SparkSession:
    """The active session, or a new one with these settings.

    SetupError where Java, the jars or Delta are missing. Under spark-submit the master, the memory
    and the jars are those of the command and its properties file. The session's time zone is set to
    UTC in either case: event times are read and written as UTC instants.
    """
    session = SparkSession.getActiveSession() or _build_session(settings)
    for name, needed in _STATIC_SETTINGS.items():
        if needed not in (session.conf.get(name, "") or ""):
            raise SetupError(
                f"The active Spark session has no Delta Lake: {name} must hold {needed}. Stop that"
                " session and let spark_fs start its own, or start it with Delta's extension,"
                " catalog and jars."
            )
    for name, value in _RUNTIME_SETTINGS.items():
        session.conf.set(name, value)
    return session


def is_submitted() -> bool:
    """Whether spark-submit or pyspark runs this process, whose session is then theirs."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _build_session(settings: Mapping[str, object]) -> SparkSession:
    java = find_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    submitted = is_submitted()
    builder = SparkSession.builder.appName("spark_fs")
    configuration = dict(_REQUIRED_SETTINGS)
    if not submitted:
        configuration |= _LOCAL_SETTINGS
        configuration["spark.master"] = "local[*]"
        java_options = [configuration[_JAVA_OPTIONS], *list_archive_options(java)]
        configuration[_JAVA_OPTIONS] = " ".join(java_options)
        configuration["spark.jars"] = ",".join(map(str, resolve_jars()))
    configuration |= {name: str(value) for name, value in settings.items()}
    for name, value in configuration.items():
        builder = builder.config(name, value)
    try:
        with defer_signals():
            if not submitted:
                jvm.start_jvm(configuration)
            return builder.getOrCreate()
    except (PySparkException, RuntimeError) as error:
        raise SetupError(
            f"Spark could not be started: {get_first_line(error)}"
        ) from get_safe_cause(error)
