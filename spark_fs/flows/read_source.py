"""The rows of a source that is not a feature group's."""

import os
from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from spark_fs.flows.spark_reads import collect_frame
from spark_fs.spec.external_source import SourceSpec
from spark_fs.tables import external


def read_source_rows(spark: SparkSession, source: SourceSpec, dataframe_type: str) -> Any:
    """Read a source by Spark.

    Args:
        spark: The session.
        source: The source.
        dataframe_type: "spark" for its DataFrame*, else eagerly another.
    """
    return collect_frame(external.read_source(spark, source, os.environ), dataframe_type)


def read_parquet(
    spark: SparkSession, path: str, options: Mapping[str, str] | None = None
) -> DataFrame:
    """Read Parquet files by Spark*, as external feature groups do.

    Every time is an instant, in UTC where the files say no zone. Times in nanoseconds, as pandas
    writes them, are read too, which Spark of itself refuses; those with parts of microseconds fail.

    Args:
        spark: The session; its settings stay as they are.
        path: A file, a folder or a URI.
        options: Those of Spark's reader.

    Returns:
        The rows.

    Raises:
        SparkFSError: They cannot be read.
        SchemaError: A column is in nanoseconds in some of the files alone.
    """
    source = SourceSpec("parquet", path, options or {})
    return external.read_source(spark, source, os.environ)
