"""The files of external groups that Arrow reads exactly as Spark does, found without Spark.

Spark reads a Parquet folder with the schema of its first file, by path. Where anything could make
Spark and Arrow differ, there are no files but the reason why not, and Spark reads the rows.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from spark_fs.errors import SparkFSError, get_first_line
from spark_fs.spec.external_source import SourceSpec
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.parquet_schema import UnlikeSparkError, infer_types, to_utc_types
from spark_fs.tables.table_log import open_log

# The instant of ingestion of each row, before every event: nobody knows of it.
FIRST_INGESTION = datetime.min.replace(tzinfo=UTC)
_MAX_FILES = 10_000  # whose footers are read one by one
_PARALLEL_FOOTERS = 16
_PARTITION_TYPES = ("string", "date", "boolean", "tinyint", "smallint", "int", "bigint")
_SUMMARY_FILES = ("_metadata", "_common_metadata")


@dataclass(frozen=True)
class SourceFiles:
    """The files of a source, and the columns that Spark would find in it, with their types.

    Or, where Spark alone reads it, why.
    """

    files: Sequence[DataFile] | None = None
    types: Mapping[str, str] | None = None
    need_of_spark: str | None = None


def find_group_files(group: GroupSpec) -> SourceFiles:
    """The files with the rows of an external group, in the types of its features."""
    assert group.source
    found = find_source_files(group.source)
    if found.types is None:
        return found
    try:
        _check_group_types(group, found.types)
    except UnlikeSparkError as difference:
        return SourceFiles(need_of_spark=_explain(group.source, difference))
    return found


def find_source_files(source: SourceSpec) -> SourceFiles:
    """The files of a source, as they are now."""
    try:
        _check_location(source)
        if source.data_format == "delta":
            return _find_delta_files(source.location)
        return _find_parquet_files(source.location.removeprefix("file:"))
    except UnlikeSparkError as difference:
        return SourceFiles(need_of_spark=_explain(source, difference))
    except (SparkFSError, OSError, pa.ArrowException) as error:
        # Spark says what is wrong with it, or reads what this package does not know
        return SourceFiles(need_of_spark=_explain(source, get_first_line(error)))


def _explain(source: SourceSpec, reason: object) -> str:
    return f"Spark alone reads {source.location} as {source.data_format}: {reason}"


def _check_location(source: SourceSpec) -> None:
    if source.data_format not in ("delta", "parquet"):
        raise UnlikeSparkError("it is no folder of Parquet files or Delta table")
    if source.options:
        raise UnlikeSparkError(f"it has options of Spark's ({', '.join(source.options)})")
    if "://" in source.location:
        raise UnlikeSparkError("it is not on a disk of this machine")
    if any(letter in source.location for letter in "*?[]{}\\"):
        raise UnlikeSparkError("its path is a pattern")


def _check_group_types(group: GroupSpec, types: Mapping[str, str]) -> None:
    for name, type_ in group.types.items():
        if types.get(name) != type_:
            there = types.get(name, "not there")
            raise UnlikeSparkError(f"column {name!r} is {type_} in the group and {there} in it")
    if INGESTED_AT in types:
        raise UnlikeSparkError(f"it has a column {INGESTED_AT!r}")
    if group.event_time and group.get_column_type(group.event_time) == "bigint":
        raise UnlikeSparkError("its event time is an epoch, of which Spark checks the unit")


def _note_ingestion(file: DataFile) -> DataFile:
    ingested = {INGESTED_AT: FIRST_INGESTION.isoformat()}
    return file._replace(partition_values={**file.partition_values, **ingested})


# -- Delta


def _find_delta_files(path: str) -> SourceFiles:
    log = open_log(path)
    if log.version == NO_TABLE:
        raise UnlikeSparkError("there is no table")
    types = to_utc_types(log.column_types)
    for name in log.partition_columns:
        if types[name] not in _PARTITION_TYPES:
            raise UnlikeSparkError(f"{name!r}, by which it is partitioned, is {types[name]}")
    files = log.list_files()
    for file in files:
        if not file.readable_as_is or file.row_count is None:
            raise UnlikeSparkError(
                "not every file of it is read as it is (deletion vectors, renamed or widened"
                " columns, or no statistics)"
            )
    return SourceFiles([_note_ingestion(file) for file in files], types)


# -- Parquet


def _find_parquet_files(path: str) -> SourceFiles:
    paths = _list_parquet_files(path)
    if not paths:
        raise UnlikeSparkError("no file is there")
    if len(paths) > _MAX_FILES:
        raise UnlikeSparkError(f"it has more than {_MAX_FILES:,} files")
    with ThreadPoolExecutor(_PARALLEL_FOOTERS) as pool:
        footers = list(pool.map(pq.read_metadata, paths))
    types = infer_types(footers[0])
    by_lower_name = {name.lower(): name for name in types}
    for footer in footers[1:]:
        for name, type_ in infer_types(footer).items():
            known_name = by_lower_name.get(name.lower())
            if known_name is not None and (known_name, types[known_name]) != (name, type_):
                raise UnlikeSparkError(
                    f"column {known_name!r} is {types[known_name]} in one file, and another has"
                    f" {name!r}, which is {type_}"
                )
    files = []
    for file_path, footer in zip(paths, footers, strict=True):
        file = DataFile(file_path, os.path.getsize(file_path), footer.num_rows, {}, {}, {}, True)
        files.append(_note_ingestion(file))
    return SourceFiles(files, to_utc_types(types))


def _list_parquet_files(path: str) -> list[str]:
    """The files that Spark would read of a folder, in the order of their paths."""
    if os.path.isfile(path):
        return [path]
    return sorted(_iter_visible_files(path))


def _iter_visible_files(path: str) -> Iterator[str]:
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(_SUMMARY_FILES) or entry.name == "_delta_log":
                raise UnlikeSparkError(f"it has {entry.name}")
            is_hidden = entry.name.startswith("_") and "=" not in entry.name
            if is_hidden or entry.name.startswith(".") or entry.name.endswith("._COPYING_"):
                continue
            if entry.is_dir():
                raise UnlikeSparkError(f"it has folders, such as {entry.name}")
            yield entry.path
