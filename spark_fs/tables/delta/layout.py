"""How a group's rows lie in its table, and which part of it rows of given values can touch."""

import re
from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base import types
from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.types import INTEGERS
from spark_fs.errors import SchemaError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.delta.file_partitions import NULL_PARTITION, PARTITION_TYPES, PartitionColumn
from spark_fs.tables.delta.worker_files import FileLayout
from spark_fs.tables.spark_event_times import convert_to_micros
from spark_fs.tables.staged_files import StagedFiles
from spark_fs.tables.table_write import TableLayout

INDEXED_COLUMNS = 32  # columns whose least and greatest values Delta keeps per file
_MAX_PARTITION_VALUES = 1_000  # partition values named one by one
_TIME_PARTITIONS: dict[str, tuple[str, Callable[[Column], Column]]] = {
    "_day": ("date", F.to_date),
    "_month": ("string", lambda time: F.date_format(time, "yyyy-MM")),
    "_year": ("int", F.year),
}
_TIMESTAMP_PATTERN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_BOUNDED_TYPES = (*INTEGERS, "string", "date", "timestamp")


def build_layout(group: GroupSpec) -> TableLayout:
    """The layout of the group's table.

    SchemaError where a partition column is of a type that the name of a folder cannot hold.
    """
    for name in group.partition_key:
        if types.get_base_type(group.types.get(name, "")) in ("binary", *types.NESTED):
            raise SchemaError(
                f"Feature group {group} is partitioned by {name!r} of the type"
                f" {group.get_column_type(name)}, which can name no folder: partition by another"
                " column."
            )
    return TableLayout(group.partition_columns, max(INDEXED_COLUMNS, len(group.identity)))


def prepare_rows(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """The rows* as the table holds them.

    The identity comes first, so that files are skipped by it, and the files are few.
    """
    if group.event_time:
        event_time = F.col(group.event_time)
        micros = convert_to_micros(event_time, group.get_column_type(group.event_time))
        instant = F.timestamp_micros(micros)
        partitions = {}
        for column in group.partition_columns:
            if column in _TIME_PARTITIONS:
                _, truncate = _TIME_PARTITIONS[column]
                partitions[column] = truncate(instant)
        rows = rows.withColumns(partitions)
    checked = {}
    for column in group.partition_key:
        if group.types.get(column) == "string":
            checked[column] = _check_partition_value(column)
    rows = rows.withColumns(checked)
    others = [column for column in rows.columns if column not in group.identity]
    return rows.select(*group.identity, *others).coalesce(_count_files(rows))


def build_file_layout(group: GroupSpec, path: str, ingestion: tuple[str, int]) -> FileLayout | None:
    """How workers make the files of the group's table; None where only Spark can.

    Args:
        group: The group, with its columns.
        path: The folder of its table.
        ingestion: The column of the ingestion time, and the instant in microseconds.
    """
    table_layout = build_layout(group)
    partitions = []
    for name in table_layout.partition_by:
        source = name
        grain = None
        if name in _TIME_PARTITIONS:
            source = group.event_time or name
            grain = name.removeprefix("_")
        type_ = group.get_column_type(source)
        if grain is None and type_ not in PARTITION_TYPES:
            return None
        partitions.append(PartitionColumn(name, source, type_, grain))
    identity_types = {name: group.types[name] for name in group.identity}
    columns = {}
    for name, type_ in {**identity_types, **group.types}.items():
        if name not in table_layout.partition_by:
            columns[name] = type_
    if not all(map(_is_flat, columns.values())):
        return None
    schema = to_arrow_schema({**columns, ingestion[0]: "timestamp"})
    return FileLayout(path, schema, tuple(partitions), ingestion, table_layout.indexed_columns)


def _is_flat(type_: str) -> bool:
    """Whether values are single, or lists of single ones: Delta has no statistics within those."""
    if types.get_base_type(type_) == "array":
        type_ = types.get_inner_types(type_)[0][1]
    return types.get_base_type(type_) in types.TYPES_BY_NAME


def _check_partition_value(column: str) -> Column:
    """A string that partitions the table*, and a failure for one that Delta would take for null.

    The name of a folder says no more.
    """
    message = F.concat(
        F.lit(f"column {column!r}, which partitions the table, holds the string '"),
        F.col(column),
        F.lit("', which Delta reads as null: give null, or another string."),
    )
    reads_as_null = F.col(column).isin("", NULL_PARTITION)
    failure = F.raise_error(message).cast("string")
    return F.when(reads_as_null, failure).otherwise(F.col(column))


def _count_files(rows: DataFrame) -> int:
    return int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)


def build_prune_predicate(staged: StagedFiles, group: GroupSpec, column_prefix: str = "") -> Column:
    """A condition that each row of the table with an identity of the staged rows meets.

    Delta skips files by it.
    """
    predicate = F.lit(True)
    for name in group.identity:
        type_ = group.get_column_type(name)
        if name in staged.bounds and type_ in _BOUNDED_TYPES:
            low, high = (F.lit(bound).cast(type_) for bound in staged.bounds[name])
            if type_ == "timestamp":  # kept in whole milliseconds, rounded down
                high = high + F.make_dt_interval(secs=F.lit(0.001))
            predicate = predicate & F.col(column_prefix + name).between(low, high)
    for name, values in _get_known_partitions(staged, group).items():
        if None in values or len(values) > _MAX_PARTITION_VALUES:
            continue
        type_ = _get_partition_type(name, group)
        literals = [F.lit(value).cast(type_) for value in sorted(map(str, values))]
        predicate = predicate & F.col(column_prefix + name).isin(*literals)
    return predicate


def _get_known_partitions(staged: StagedFiles, group: GroupSpec) -> dict[str, set[str | None]]:
    """The values of the partition columns that follow from a row's identity."""
    return {
        name: values
        for name, values in staged.partitions.items()
        if name in _TIME_PARTITIONS or name in group.identity
    }


def _get_partition_type(name: str, group: GroupSpec) -> str:
    if name in _TIME_PARTITIONS:
        return _TIME_PARTITIONS[name][0]
    return group.get_column_type(name)


def build_file_predicate(staged: StagedFiles, group: GroupSpec) -> Callable[[DataFile], bool]:
    """Whether a file of the table may hold a row with an identity of the staged rows.

    That is told by what the log says of the file. Both sides are Delta's own statistics of one
    column, so they are compared as they are: numbers, strings (in the order of their code points,
    as Delta's), dates and UTC instants in whole milliseconds rounded down, which only widens.
    """
    bounds = {}
    for name in group.identity:
        if name in staged.bounds and group.get_column_type(name) in _BOUNDED_TYPES:
            bounds[name] = staged.bounds[name]
    partitions = _get_known_partitions(staged, group)

    def may_contain(file: DataFile) -> bool:
        for name, values in partitions.items():
            if name in file.partition_values and file.partition_values[name] not in values:
                return False
        for name, (low, high) in bounds.items():
            file_low = file.min_values.get(name)
            file_high = file.max_values.get(name)
            written = [low, high, file_low, file_high]
            if None in written:
                continue
            is_time = group.get_column_type(name) == "timestamp"
            if is_time and not all(map(_TIMESTAMP_PATTERN.fullmatch, written)):
                continue
            if high < file_low or file_high < low:
                return False
        return True

    return may_contain
