"""Read rows that others keep: a path of files, a Spark table, a JDBC query."""

from collections.abc import Callable, Mapping
from functools import partial

from pyspark.sql import DataFrame, DataFrameReader, SparkSession

from spark_fs.spec.external_source import FILE_FORMATS, SourceSpec
from spark_fs.tables.delta.commands import translate_errors


def _read_files(file_format: str, reader: DataFrameReader, path: str) -> DataFrame:
    return reader.format(file_format).load(path)


def _read_table(reader: DataFrameReader, name: str) -> DataFrame:
    return reader.table(name)


def _read_query(reader: DataFrameReader, query: str) -> DataFrame:
    return reader.format("jdbc").option("query", query).load()


_READERS: dict[str, Callable[[DataFrameReader, str], DataFrame]] = {
    **{file_format: partial(_read_files, file_format) for file_format in FILE_FORMATS},
    "table": _read_table,
    "jdbc": _read_query,
}
# The options of a format where the source says nothing else.
_DEFAULT_OPTIONS = {"csv": {"header": "true", "inferSchema": "true"}}


def read_source(
    spark: SparkSession, source: SourceSpec, environment: Mapping[str, str]
) -> DataFrame:
    """The rows*, with the environment's values in the options.

    SparkFSError when the source cannot be opened.
    """
    defaults = _DEFAULT_OPTIONS.get(source.data_format, {})
    reader = spark.read.options(**{**defaults, **source.resolve_options(environment)})
    operation = f"reading of the external source ({source.data_format})"
    with translate_errors(source.location, operation):
        return _READERS[source.data_format](reader, source.location)
