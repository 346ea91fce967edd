"""Read rows that others keep: a path of files, a Spark table, a JDBC query."""

from collections.abc import Callable, Mapping
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from spark_fs.spec.external_source import FILE_FORMATS, SourceSpec
from spark_fs.tables.delta.commands import translate_errors
from spark_fs.tables.spark_frames import convert_types
from spark_fs.tables.spark_parquet import read_parquet

_Options = Mapping[str, str]
# The options of a format where the source says nothing else. Spark's times without a zone are those
# of the session, which may be set anew before its frame is read.
_DEFAULT_OPTIONS = {
    "csv": {"header": "true", "inferSchema": "true", "timeZone": "UTC"},
    "json": {"timeZone": "UTC"},
    "avro": {"datetimeRebaseMode": "CORRECTED"},
}


def _read_files(file_format: str, spark: SparkSession, path: str, options: _Options) -> DataFrame:
    return spark.read.options(**options).format(file_format).load(path)


def _read_table(spark: SparkSession, name: str, options: _Options) -> DataFrame:
    return spark.read.options(**options).table(name)


def _read_query(spark: SparkSession, query: str, options: _Options) -> DataFrame:
    return spark.read.options(**options).format("jdbc").option("query", query).load()


_READERS: dict[str, Callable[[SparkSession, str, _Options], DataFrame]] = {
    **{file_format: partial(_read_files, file_format) for file_format in FILE_FORMATS},
    "parquet": read_parquet,
    "table": _read_table,
    "jdbc": _read_query,
}


def read_source(
    spark: SparkSession, source: SourceSpec, environment: Mapping[str, str]
) -> DataFrame:
    """The rows*, with the environment's values in the options, and UTC's instants for all times.

    SparkFSError when the source cannot be opened.
    """
    defaults = _DEFAULT_OPTIONS.get(source.data_format, {})
    options = {**defaults, **source.resolve_options(environment)}
    operation = f"reading of the external source ({source.data_format})"
    with translate_errors(source.location, operation):
        return convert_types(_READERS[source.data_format](spark, source.location, options))
