"""Training data in files, as Spark writes and reads them."""

from collections.abc import Mapping

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base.types import to_ddl
from spark_fs.errors import SparkFSError
from spark_fs.redact import get_safe_cause
from spark_fs.spec.training_dataset import FilesSpec
from spark_fs.tables.dataset_files import EMPTY_STRING, FORMATS
from spark_fs.tables.spark_errors import find_root_cause


def write_dataset(frame: DataFrame, files: FilesSpec, folder: str) -> None:
    """Write the rows, eagerly, into a folder."""
    form = FORMATS[files.format]
    if files.format == "orc":
        frame = _check_orc_times(frame)
    options = {**form.options, **files.options}
    writer = frame.write.format(form.name).mode("append").options(**options)
    try:
        writer.save(folder)
    except (PySparkException, Py4JJavaError) as error:
        raise SparkFSError(
            f"The training data could not be written as {files.format} to {files.location}:"
            f" {find_root_cause(error)}"
        ) from get_safe_cause(error)


def _check_orc_times(frame: DataFrame) -> DataFrame:
    """The rows*, which fail at a time that ORC would move by a second.

    Its library does so to the last millisecond before 1970.
    """

    def check_time(name: str) -> Column:
        column = F.col(f"`{name}`")
        micros = F.unix_micros(column)
        message = F.lit(
            f"ORC cannot hold a time of column {name} in the last millisecond before 1970: write"
            " another format."
        )
        failure = F.raise_error(message).cast("timestamp")
        return F.when((micros > -1000) & (micros < 0), failure).otherwise(column)

    times = [name for name, type_ in frame.dtypes if type_ == "timestamp"]
    return frame.withColumns({name: check_time(name) for name in times})


def read_dataset(
    spark: SparkSession, files: FilesSpec, part: str, types: Mapping[str, str]
) -> DataFrame:
    """The rows of one split*, with these columns and types."""
    form = FORMATS[files.format]
    folder = f"{files.location}/{part}" if files.parts else files.location
    options = {**form.options, **form.read_options, **files.options}
    reader = spark.read.format(form.name).options(**options)
    if not form.needs_schema:
        columns = []
        for name, type_ in types.items():
            columns.append(F.col(f"`{name}`").cast(to_ddl(type_)).alias(name))
        return reader.load(folder).select(*columns)
    schema = ", ".join(f"`{name}` {to_ddl(type_)}" for name, type_ in types.items())
    rows = reader.schema(schema).load(folder)
    restored = {}
    if "emptyValue" in form.read_options:
        for name, type_ in types.items():
            if type_ == "string":
                column = F.col(f"`{name}`")
                restored[name] = F.when(column == EMPTY_STRING, "").otherwise(column)
    return rows.withColumns(restored)
