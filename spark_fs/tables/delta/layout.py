"""How the rows of a group lie in its table, and which part of the table rows of given values can touch."""

import re
from collections.abc import Callable
from functools import reduce
from operator import and_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base import types
from spark_fs.base.types import INTEGERS
from spark_fs.errors import SchemaError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.delta.history import DataFile
from spark_fs.tables.delta.staging import StagedFiles, TableLayout
from spark_fs.tables.event_times import convert_to_micros

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
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
    """The layout of the group's table; SchemaError where a partition column is of a type that the name of a folder cannot hold."""
    for name in group.partition_key:
        if types.get_base_type(group.types.get(name, "")) in ("binary", *types.NESTED):
            raise SchemaError(
                f"Feature group {group} is partitioned by {name!r} of the type"
                f" {group.get_column_type(name)}, which can name no folder: partition by another"
                " column."
            )
    return TableLayout(group.partition_columns, max(INDEXED_COLUMNS, len(group.identity)))


def prepare_rows(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """The rows* as the table holds them: the identity first, so that files are skipped by it, and in few files."""
    if group.event_time:
        instant = F.timestamp_micros(
            convert_to_micros(F.col(group.event_time), group.get_column_type(group.event_time))
        )
        rows = rows.withColumns(
            {
                c: _TIME_PARTITIONS[c][1](instant)
                for c in group.partition_columns
                if c in _TIME_PARTITIONS
            }
        )
    rows = rows.withColumns(
        {
            c: _check_partition_value(c)
            for c in group.partition_key
            if group.types.get(c) == "string"
        }
    )
    ordered = rows.select(*group.identity, *(c for c in rows.columns if c not in group.identity))
    return ordered.coalesce(_count_files(rows))


def _check_partition_value(column: str) -> Column:
    """A text that partitions the table*, and a failure for one that Delta would take for null: the name of a folder says no more."""
    said = F.concat(
        F.lit(f"column {column!r}, which partitions the table, holds the text '"),
        F.col(column),
        F.lit("', which Delta reads as null: give null, or another text."),
    )
    return F.when(
        F.col(column).isin("", NULL_PARTITION), F.raise_error(said).cast("string")
    ).otherwise(F.col(column))


def _count_files(rows: DataFrame) -> int:
    return int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)


def build_prune_predicate(staged: StagedFiles, group: GroupSpec, column_prefix: str = "") -> Column:
    """A condition that every row of the table with an identity of the staged rows meets; Delta skips files by it."""
    parts = [F.lit(True)]
    for name in group.identity:
        type_ = group.get_column_type(name)
        if name in staged.bounds and type_ in _BOUNDED_TYPES:
            low, high = (F.lit(bound).cast(type_) for bound in staged.bounds[name])
            if type_ == "timestamp":  # kept in whole milliseconds, rounded down
                high = high + F.make_dt_interval(secs=F.lit(0.001))
            parts.append(F.col(column_prefix + name).between(low, high))
    for name, values in staged.partitions.items():
        if (
            (name in _TIME_PARTITIONS or name in group.identity)
            and None not in values
            and len(values) <= _MAX_PARTITION_VALUES
        ):
            type_ = (
                _TIME_PARTITIONS[name][0]
                if name in _TIME_PARTITIONS
                else group.get_column_type(name)
            )
            parts.append(
                F.col(column_prefix + name).isin(
                    *(F.lit(v).cast(type_) for v in sorted(map(str, values)))
                )
            )
    return reduce(and_, parts)


def build_file_predicate(staged: StagedFiles, group: GroupSpec) -> Callable[[DataFile], bool]:
    """Whether a file of the table may hold a row with an identity of the staged rows, by what the log tells of it.

    Both sides are Delta's own statistics of one column, so they are compared as they are: numbers,
    texts (in the order of their code points, as Delta's), dates and UTC instants in whole
    milliseconds rounded down, which only widens.
    """
    bounded = [
        c
        for c in group.identity
        if c in staged.bounds and group.get_column_type(c) in _BOUNDED_TYPES
    ]
    named = {
        c: values
        for c, values in staged.partitions.items()
        if c in _TIME_PARTITIONS or c in group.identity
    }

    def may_contain(file: DataFile) -> bool:
        if any(
            c in file.partition_values and file.partition_values[c] not in values
            for c, values in named.items()
        ):
            return False
        for column in bounded:
            low, high = staged.bounds[column]
            least, greatest = file.min_values.get(column), file.max_values.get(column)
            written = [low, high, least, greatest]
            if None in written or (
                group.get_column_type(column) == "timestamp"
                and not all(map(_TIMESTAMP_PATTERN.fullmatch, written))
            ):
                continue
            if high < least or greatest < low:
                return False
        return True

    return may_contain


def to_comparable(column: Column, type_: str) -> Column:
    """The column in a form that has an equality and a hash: a map, which has neither, is its entries in the order of their keys."""
    if "map<" not in type_:
        return column
    kind, inside = (
        types.get_base_type(type_),
        types.split_types(type_.partition("<")[2].removesuffix(">")),
    )
    if kind == "array":
        return F.transform(column, lambda value: to_comparable(value, inside[0]))
    if kind == "map":
        entries = F.array_sort(
            F.map_entries(column),
            lambda one, other: F.when(one["key"] < other["key"], -1).otherwise(1),
        )
        return F.transform(
            entries,
            lambda entry: F.struct(
                entry["key"], to_comparable(entry["value"], inside[1]).alias("value")
            ),
        )
    fields = [
        to_comparable(column[name], inner).alias(name)
        for name, _, inner in (part.partition(":") for part in inside)
    ]
    return F.when(column.isNotNull(), F.struct(*fields))


def keep_latest_ingested(rows: DataFrame, group: GroupSpec, ingested_column: str) -> DataFrame:
    """The rows*, of each identity the one ingested last."""
    newest: Any = F.max_by(F.struct("*"), F.col(ingested_column)).alias("__row")
    return rows.groupBy(*group.identity).agg(newest).select("__row.*")
