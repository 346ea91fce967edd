"""The rows of a source that is not a feature group's."""

import os
from typing import Any

from pyspark.sql import SparkSession

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
