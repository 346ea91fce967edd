"""Training data in files, as Arrow writes and reads them: the same values that Spark would."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spark_fs.errors import SparkFSError
from spark_fs.spec.training_dataset import FilesSpec


def explain_need_of_spark(files: FilesSpec) -> str | None:
    """Why Spark alone writes and reads such files; None: Arrow does so too."""
    if files.options:
        return f"write_options {', '.join(map(repr, files.options))} are for Spark's writer"
    if files.format != "parquet":
        return f"Spark alone writes and reads {files.format}"
    return None


def open_writer(sink: Any, schema: pa.Schema) -> Any:
    """What writes tables of a schema into a file, as a context manager."""
    return pq.ParquetWriter(sink, schema)


def read_files(file_format: str, paths: Sequence[str], types: Mapping[str, str]) -> pa.Table:
    """The rows of files, eagerly, with these columns and types."""
    raise SparkFSError(f"{file_format} {paths} {types}")
