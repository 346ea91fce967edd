"""Read rows that others keep: a Delta or Parquet path, a Spark table, a JDBC query."""

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame, DataFrameReader, SparkSession

from spark_fs.spec.external_source import SourceSpec
from spark_fs.tables.delta.commands import translate_errors

_READERS: dict[str, Callable[[DataFrameReader, str], DataFrame]] = {
    "delta": lambda reader, path: reader.format("delta").load(path),
    "parquet": lambda reader, path: reader.parquet(path),
    "table": lambda reader, name: reader.table(name),
    "jdbc": lambda reader, query: reader.format("jdbc").option("query", query).load(),
}


def read_source(
    spark: SparkSession, source: SourceSpec, environment: Mapping[str, str]
) -> DataFrame:
    """The rows*, with the environment's values in the options; SparkFSError when the source cannot be opened."""
    reader = spark.read.options(**source.resolve_options(environment))
    with translate_errors(
        source.location, f"reading of the external source ({source.data_format})"
    ):
        return _READERS[source.data_format](reader, source.location)
