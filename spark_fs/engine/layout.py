"""How the rows of a group lie in its table, and which part of the table rows of given values can touch."""

import re
from collections.abc import Callable
from functools import reduce
from operator import and_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs import types
from spark_fs.engine.asof import micros
from spark_fs.errors import SchemaError
from spark_fs.offline.history import FileFacts
from spark_fs.offline.staging import Layout, Staged
from spark_fs.spec.definitions import GroupSpec

NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
INDEXED = 32  # columns whose least and greatest values Delta keeps per file
_LISTED = 1_000  # partition values named one by one
_GRAINS: dict[str, tuple[str, Callable[[Column], Column]]] = {
    "_day": ("date", F.to_date),
    "_month": ("string", lambda time: F.date_format(time, "yyyy-MM")),
    "_year": ("int", F.year),
}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_BOUNDED = ("tinyint", "smallint", "int", "bigint", "string", "date", "timestamp")


def of(group: GroupSpec) -> Layout:
    """The layout of the group's table; SchemaError where a partition column is of a type that the name of a folder cannot hold."""
    for name in group.partition_key:
        if types.base(group.types.get(name, "")) in ("binary", *types.NESTED):
            raise SchemaError(
                f"Feature group {group} is partitioned by {name!r} of the type {group.type_of(name)}, which can name no folder: "
                "partition by another column."
            )
    return Layout(group.partition_columns, max(INDEXED, len(group.identity)))


def laid_out(rows: DataFrame, group: GroupSpec) -> DataFrame:
    """The rows* as the table holds them: the identity first, so that files are skipped by it, and in few files."""
    if group.event_time:
        instant = F.timestamp_micros(micros(F.col(group.event_time), group.type_of(group.event_time)))
        rows = rows.withColumns({c: _GRAINS[c][1](instant) for c in group.partition_columns if c in _GRAINS})
    rows = rows.withColumns({c: _partition_text(c) for c in group.partition_key if group.types.get(c) == "string"})
    ordered = rows.select(*group.identity, *(c for c in rows.columns if c not in group.identity))
    return ordered.coalesce(_files(rows))


def _partition_text(column: str) -> Column:
    """A text that partitions the table*, and a failure for one that Delta would take for null: the name of a folder says no more."""
    said = F.concat(
        F.lit(f"column {column!r}, which partitions the table, holds the text '"), F.col(column),
        F.lit("', which Delta reads as null: give null, or another text."),
    )
    return F.when(F.col(column).isin("", NO_PARTITION), F.raise_error(said).cast("string")).otherwise(F.col(column))


def _files(rows: DataFrame) -> int:
    return int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)


def pruned(staged: Staged, group: GroupSpec, table: str = "") -> Column:
    """A condition that every row of the table with an identity of the staged rows meets; Delta skips files by it."""
    parts = [F.lit(True)]
    for name in group.identity:
        type_ = group.type_of(name)
        if name in staged.bounds and type_ in _BOUNDED:
            low, high = (F.lit(bound).cast(type_) for bound in staged.bounds[name])
            if type_ == "timestamp":  # kept in whole milliseconds, rounded down
                high = high + F.make_dt_interval(secs=F.lit(0.001))
            parts.append(F.col(table + name).between(low, high))
    for name, values in staged.partitions.items():
        if (name in _GRAINS or name in group.identity) and None not in values and len(values) <= _LISTED:
            type_ = _GRAINS[name][0] if name in _GRAINS else group.type_of(name)
            parts.append(F.col(table + name).isin(*(F.lit(v).cast(type_) for v in sorted(map(str, values)))))
    return reduce(and_, parts)


def touches(staged: Staged, group: GroupSpec) -> Callable[[FileFacts], bool]:
    """Whether a file of the table may hold a row with an identity of the staged rows, by what the log tells of it.

    Both sides are Delta's own statistics of one column, so they are compared as they are: numbers, texts (in the order of
    their code points, as Delta's), dates and UTC instants in whole milliseconds rounded down, which only widens.
    """
    bounded = [c for c in group.identity if c in staged.bounds and group.type_of(c) in _BOUNDED]
    named = {c: values for c, values in staged.partitions.items() if c in _GRAINS or c in group.identity}

    def may_hold(file: FileFacts) -> bool:
        if any(c in file.partition and file.partition[c] not in values for c, values in named.items()):
            return False
        for column in bounded:
            low, high = staged.bounds[column]
            least, greatest = file.least.get(column), file.greatest.get(column)
            written = [low, high, least, greatest]
            if None in written or (group.type_of(column) == "timestamp" and not all(map(_INSTANT.fullmatch, written))):
                continue
            if high < least or greatest < low:
                return False
        return True

    return may_hold


def comparable(column: Column, type_: str) -> Column:
    """The column in a form that has an equality and a hash: a map, which has neither, is its entries in the order of their keys."""
    if "map<" not in type_:
        return column
    kind, inside = types.base(type_), types.parts(type_.partition("<")[2].removesuffix(">"))
    if kind == "array":
        return F.transform(column, lambda value: comparable(value, inside[0]))
    if kind == "map":
        entries = F.array_sort(F.map_entries(column), lambda one, other: F.when(one["key"] < other["key"], -1).otherwise(1))
        return F.transform(entries, lambda entry: F.struct(entry["key"], comparable(entry["value"], inside[1]).alias("value")))
    fields = [comparable(column[name], inner).alias(name) for name, _, inner in (part.partition(":") for part in inside)]
    return F.when(column.isNotNull(), F.struct(*fields))


def latest_ingested(rows: DataFrame, group: GroupSpec, ingested: str) -> DataFrame:
    """The rows*, of each identity the one ingested last."""
    newest: Any = F.max_by(F.struct("*"), F.col(ingested)).alias("__row")
    return rows.groupBy(*group.identity).agg(newest).select("__row.*")
