"""Parquet files of others as Spark reads them, times in nanoseconds too, as pandas writes them.

Spark has no such type. Where a setting of the session says so, it reads them as integers, of which
the files' footers tell which are times. So a copy of the session reads files: that the setting is
on changes nothing for its owner, and holds for as long as there is a frame of these files.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_fs.errors import SchemaError
from spark_fs.tables.spark_frames import convert_types
from spark_fs.tables.spark_sessions import copy_session, move_frame

_ILLEGAL_TYPE = "PARQUET_TYPE_ILLEGAL"  # the condition of Spark's error
_NANOS_AS_INTEGERS = "spark.sql.legacy.parquet.nanosAsLong"
# What else would let two sessions read other types or values of one file.
_SETTINGS = {
    _NANOS_AS_INTEGERS: "false",
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.session.timeZone": "UTC",  # that of times without a zone, from here on
}
# Of files that Spark did not write; those that it wrote say which calendar they have.
_OPTIONS = {"datetimeRebaseMode": "CORRECTED", "int96RebaseMode": "CORRECTED", "timeZone": "UTC"}
_PARALLEL_FOOTERS = 16
_NANOS_OF_MICRO = 1_000
# Of each column, in lower case, which of its leaves are times in nanoseconds.
_NanosecondLeaves = dict[str, tuple[bool, ...]]


def read_parquet(spark: SparkSession, path: str, options: Mapping[str, str]) -> DataFrame:
    """The rows* of a Parquet file or folder; times in nanoseconds as instants.

    Args:
        spark: The session.
        path: Where they are.
        options: Those of Spark's reader.

    Raises:
        PySparkException: They cannot be read.
        SchemaError: A column is of a type that Spark does not read, or is in nanoseconds in some
            of the files alone.
    """
    options = {**_OPTIONS, **options}
    with copy_session(spark) as session:
        for name, value in _SETTINGS.items():
            session.conf.set(name, value)
        reader = session.read.options(**options)
        try:
            frame = reader.format("parquet").load(path)
        except AnalysisException as error:
            if error.getCondition() != _ILLEGAL_TYPE:
                raise
            frame = _read_nanoseconds(session, path, options)
        frame = convert_types(frame)
    return move_frame(frame, spark)


def _read_nanoseconds(session: SparkSession, path: str, options: Mapping[str, str]) -> DataFrame:
    session.conf.set(_NANOS_AS_INTEGERS, "true")
    reader = session.read.options(**options)
    read_schema = _SchemaReader(session, options)
    try:
        frame = reader.format("parquet").load(path)
    except AnalysisException as error:
        if error.getCondition() != _ILLEGAL_TYPE:
            raise
        files = reader.format("binaryFile").load(path).inputFiles()
        raise _make_type_error(error, path, map(read_schema, sorted(files))) from None
    files = frame.inputFiles()
    with ThreadPoolExecutor(_PARALLEL_FOOTERS) as pool:
        schemas = list(pool.map(read_schema, files))
    leaves = _find_nanoseconds(files, schemas)
    columns = []
    for field in frame.schema.fields:
        column = F.col(f"`{field.name}`")
        column_leaves = leaves.get(field.name.lower(), ())
        if any(column_leaves):
            converter = _LeafConverter(field.name, path, iter(column_leaves))
            column = converter.convert(column, field.dataType)
        columns.append(column.alias(field.name))
    return frame.select(*columns)


# -- which columns


def _find_nanoseconds(files: Sequence[str], schemas: Sequence[Any]) -> _NanosecondLeaves:
    """The columns of the files that have times in nanoseconds, by their Parquet schemas.

    SchemaError for a column that has them in some of the files alone: as integers, Spark would take
    the one unit for the other.
    """
    known: dict[str, _NanosecondLeaves] = {}
    found: _NanosecondLeaves = {}
    for file, schema in zip(files, schemas, strict=True):
        text = str(schema)
        if text in known:
            continue
        known[text] = _list_leaves(schema)
        for name, leaves in known[text].items():
            others = found.setdefault(name, leaves)
            if leaves != others and any(leaves + others):
                raise SchemaError(
                    f"Column {name!r} is in nanoseconds in some files and not in others, such as"
                    f" {file}: write them with one unit of time."
                )
    return found


def _make_type_error(
    error: AnalysisException, path: str, schemas: Iterable[Any]
) -> AnalysisException | SchemaError:
    """The error for a type that Spark does not read, with the name of the column."""
    parquet_type = (error.getMessageParameters() or {}).get("parquetType", "")
    for schema in schemas:
        for column in schema.getColumns():
            annotation = column.getPrimitiveType().getLogicalTypeAnnotation()
            if annotation is not None and str(annotation) in parquet_type:
                return SchemaError(
                    f"Column {'.'.join(column.getPath())!r} of {path} is of the Parquet type"
                    f" {parquet_type}, which Spark does not read: write it as another type."
                )
    return error


class _SchemaReader:
    """Reads the Parquet schema of a file, by the file systems and keys that Spark has."""

    def __init__(self, session: SparkSession, options: Mapping[str, str]) -> None:
        self._jvm: Any = session._jvm
        self._conf: Any = session._jsparkSession.sessionState().newHadoopConf()
        for name, value in options.items():
            self._conf.set(name, value)

    def __call__(self, file: str) -> Any:
        path = self._jvm.org.apache.hadoop.fs.Path(self._jvm.java.net.URI(file))
        parquet = self._jvm.org.apache.parquet.hadoop
        reader = parquet.ParquetFileReader.open(
            parquet.util.HadoopInputFile.fromPath(path, self._conf)
        )
        try:
            return reader.getFileMetaData().getSchema()
        finally:
            reader.close()


def _list_leaves(schema: Any) -> _NanosecondLeaves:
    """Of each column, in the order of its leaves, which are times in nanoseconds."""
    leaves: dict[str, list[bool]] = {}
    for column in schema.getColumns():
        annotation = column.getPrimitiveType().getLogicalTypeAnnotation()
        is_nanoseconds = str(annotation).startswith("TIMESTAMP(NANOS")
        leaves.setdefault(column.getPath()[0].lower(), []).append(is_nanoseconds)
    return {name: tuple(values) for name, values in leaves.items()}


# -- their values


class _LeafConverter:
    """Makes instants of a column's integers that are times in nanoseconds.

    leaves: which are, in the order of Parquet's leaves, which is that of Spark's types.
    """

    def __init__(self, name: str, path: str, leaves: Iterator[bool]) -> None:
        self._name = name
        self._path = path
        self._leaves = leaves

    def convert(self, column: Column, type_: T.DataType) -> Column:
        """The column, or one that it is made of, with instants."""
        if isinstance(type_, T.ArrayType):
            return F.transform(column, lambda value: self.convert(value, type_.elementType))
        if isinstance(type_, T.MapType):
            return F.map_from_entries(
                F.transform(
                    F.map_entries(column),
                    lambda entry: F.struct(
                        self.convert(entry["key"], type_.keyType).alias("key"),
                        self.convert(entry["value"], type_.valueType).alias("value"),
                    ),
                )
            )
        if isinstance(type_, T.StructType):
            fields = []
            for field in type_.fields:
                fields.append(self.convert(column[field.name], field.dataType).alias(field.name))
            return F.when(column.isNotNull(), F.struct(*fields))
        return self._to_instant(column) if next(self._leaves) else column

    def _to_instant(self, column: Column) -> Column:
        """An instant, or a failure for parts of microseconds."""
        message = F.concat(
            F.lit(f"Column {self._name!r} of {self._path} holds "),
            column.cast("string"),
            F.lit(
                " nanoseconds since 1970, with parts of microseconds. Times are kept to the"
                " microsecond: round those of the file first."
            ),
        )
        failure = F.raise_error(message).cast("timestamp")
        micros = F.call_function("div", column, F.lit(_NANOS_OF_MICRO))
        has_parts = column % _NANOS_OF_MICRO != 0
        return F.when(has_parts, failure).otherwise(F.timestamp_micros(micros))
