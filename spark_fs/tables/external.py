"""Read rows that others keep: a Delta or Parquet path, a Spark table, a JDBC query."""

from collections.abc import Callable, Mapping

from pyspark.sql import DataFrame, DataFrameReader, SparkSession

from spark_fs.spec.external_source import SourceSpec
from spark_fs.tables.delta.commands import translate_errors


def _read_delta(reader: DataFrameReader, path: str) -> DataFrame:
    return reader.format("delta").load(path)


def _read_parquet(reader: DataFrameReader, path: str) -> DataFrame:
    return reader.parquet(path)


def _read_table(reader: DataFrameReader, name: str) -> DataFrame:
    return reader.table(name)


def _read_query(reader: DataFrameReader, query: str) -> DataFrame:
    return reader.format("jdbc").option("query", query).load()


_READERS: dict[str, Callable[[DataFrameReader, str], DataFrame]] = {
    "delta": _read_delta,
    "parquet": _read_parquet,
    "table": _read_table,
    "jdbc": _read_query,
}


def read_source(
    spark: SparkSession, source: SourceSpec, environment: Mapping[str, str]
) -> DataFrame:
    """The rows*, with the environment's values in the options.

    SparkFSError when the source cannot be opened.
    """
    reader = spark.read.options(**source.resolve_options(environment))
    operation = f"reading of the external source ({source.data_format})"
    with translate_errors(source.location, operation):
        return _READERS[source.data_format](reader, source.location)
