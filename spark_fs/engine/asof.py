"""The point-in-time match, as one union and one window of plain Spark SQL.

It needs no Python on the executors and spills like any sort. For each left row the window holds every candidate
of its key up to its own instant, and takes the last one: the greatest event time not after the left row's, and of
equal ones the last ingested. So each left row comes out exactly once.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

# Above this an epoch is in milliseconds: as seconds it would be the year 5138, as milliseconds it is 1973.
_MILLISECONDS_FROM = 100_000_000_000


class Side(NamedTuple):
    """A frame with its key columns and, where it has one, the name of its event time in microseconds."""

    frame: DataFrame
    keys: Sequence[str]
    time: str | None = None


def micros(column: Column, type_: str) -> Column:
    """An event time as microseconds since the epoch: a timestamp, a date (its midnight, UTC), or epoch seconds or milliseconds."""
    if type_ == "timestamp":
        return F.unix_micros(column)
    if type_ == "date":
        return F.unix_micros(column.cast("timestamp"))
    number = column.cast("bigint")
    return number * F.when(F.abs(number) < _MILLISECONDS_FROM, 1_000_000).otherwise(1_000)


def point_in_time(left: Side, right: Side, ingested: str, ttl_seconds: int | None = None) -> DataFrame:
    """The left rows*, each with the right columns of its match, null where there is none, or none of at most this age."""
    both = _events(left, "__left", 1, F.lit(0)).unionByName(
        _events(right, "__right", 0, F.unix_micros(F.col(ingested))), allowMissingColumns=True
    )
    keys = [f"__k{i}" for i in range(len(left.keys))]
    order = ("__time", "__side", "__tie")
    seen = Window.partitionBy(*keys).orderBy(*order).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    match = F.last("__right", ignorenulls=True).over(seen)
    if ttl_seconds is not None:
        match = F.when(F.col("__time") - match[right.time or ""] <= ttl_seconds * 1_000_000, match)
    matched = both.withColumn("__right", match)
    return matched.filter(F.col("__side") == 1).select("__left.*", "__right.*")


def by_key(left: Side, right: Side, ingested: str) -> DataFrame:
    """The left rows*, each with the one right row of its key: the greatest event time, of equal ones the last ingested."""
    order = [F.col(right.time)] if right.time else []
    keys = [F.col(mine).alias(f"__k{i}") for i, mine in enumerate(right.keys)]
    newest = F.max_by(F.struct("*"), F.struct(*order, F.col(ingested))).alias("__right")
    candidates = _known(right).groupBy(*keys).agg(newest)
    on = [left.frame[mine] == candidates[f"__k{i}"] for i, mine in enumerate(left.keys)]
    return left.frame.join(candidates, on=on, how="left").select(*left.frame.columns, "__right.*")


def _known(side: Side) -> DataFrame:
    """The rows that can match at all: a null key or event time equals nothing."""
    return side.frame.dropna(subset=[*side.keys, *([side.time] if side.time else [])])


def _events(side: Side, name: str, order: int, tie: Column) -> DataFrame:
    frame = side.frame if name == "__left" else _known(side)
    keys = [F.col(key).alias(f"__k{i}") for i, key in enumerate(side.keys)]
    return frame.select(
        *keys, F.col(side.time or "").alias("__time"), F.lit(order).alias("__side"), tie.cast("bigint").alias("__tie"),
        F.struct("*").alias(name),
    )
