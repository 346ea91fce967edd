"""Rows that Spark alone reads, to be profiled: which rows*, and their values counted one by one."""

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_fs.base import arrow_types
from spark_fs.base.times import Interval
from spark_fs.base.types import to_ddl
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.spark_runner import SparkRows
from spark_fs.flows import group_rows
from spark_fs.flows.latest_rows import filter_upserts
from spark_fs.stats.describe import RowCounts
from spark_fs.tables.table import GroupTable

_COLUMNS_PER_JOB = 20  # columns whose distinct values one job of Spark's counts


def read_window(
    table: GroupTable, interval: Interval, event_time: str, types: Mapping[str, str]
) -> DataFrame:
    """The rows* of a group in an interval."""
    with_duplicates = not table.group.keep_corrections
    frame = group_rows.read_group(table, table.version, with_duplicates)
    time = F.col(f"`{event_time}`")
    if interval.start:
        frame = frame.filter(time >= F.lit(interval.start))
    if interval.end:
        frame = frame.filter(time < F.lit(interval.end))
    return frame.select(*types)


def read_written(
    table: GroupTable, before: int | None, last: int, types: Mapping[str, str]
) -> DataFrame:
    """The rows* that were written after a commit (None: from the first on), up to the last."""
    changes = group_rows.read_changes(table, before, last)
    return filter_upserts(changes).select(*types)


def cast_columns(frame: DataFrame, types: Mapping[str, str]) -> DataFrame:
    """These columns of a DataFrame*, in these types."""
    columns = [F.col(f"`{name}`").cast(to_ddl(type_)) for name, type_ in types.items()]
    return frame.select(*columns)


def to_relation(frame: DataFrame, types: Mapping[str, str]) -> ArrowRelation:
    """The rows of a DataFrame* as tables of tasks."""
    return ArrowRelation.from_rows(SparkRows(frame), arrow_types.to_arrow_schema(types))


def count_columns(frame: DataFrame, names: Sequence[str]) -> dict[str, RowCounts]:
    """Count the values of columns one by one, eagerly.

    Returns:
        Of each column by a number of rows, how many values come in so many.
    """
    counts: dict[str, dict[int, int]] = {name: {} for name in names}
    for start in range(0, len(names), _COLUMNS_PER_JOB):
        job_names = names[start : start + _COLUMNS_PER_JOB]
        counted = [_count_values(frame, name) for name in job_names]
        for name, rows, values in reduce(DataFrame.unionAll, counted).collect():
            counts[name][rows] = values
    return dict(counts)


def _count_values(frame: DataFrame, name: str) -> DataFrame:
    """The column's name, and by numbers of rows how many values come in so many*."""
    value = F.col(f"`{name}`").alias("value")
    values = frame.select(value).filter(F.col("value").isNotNull())
    row_counts = values.groupBy("value").agg(F.count("*").alias("rows"))
    counted = row_counts.groupBy("rows").agg(F.count("*").alias("values"))
    return counted.select(F.lit(name), "rows", "values")
