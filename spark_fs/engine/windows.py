"""Window features: what was known about an entity over the last hours, at given instants."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_fs.errors import SchemaError
from spark_fs.times import MICROSECOND

_WHOLE = ("tinyint", "smallint", "int", "bigint")


class Events(NamedTuple):
    """Rows with the instant at which each became known (a timestamp) and a value of whole numbers."""

    frame: DataFrame
    known_at: str
    value: str


def rolling(
    events: Events, instants: DataFrame, at: str, by: Sequence[str], windows: Mapping[str, timedelta]
) -> DataFrame:
    """Count, mean and population standard deviation* of an entity's values over each window before each instant.

    A window of length w before the instant t holds the values known in [t - w, t): what becomes known at t itself
    is not in it. ``instants`` has the columns ``by`` and ``at`` and gives one row of the result for each of its rows;
    the result adds ``<value>_count_<window>``, ``<value>_mean_<window>`` and ``<value>_stddev_<window>``, the last
    two null where the count is 0. Sums are exact, so the same rows in any batches give the same bits. Raises
    SchemaError when the value is not of a whole-number type.
    """
    type_ = dict(events.frame.dtypes)[events.value]
    if type_ not in _WHOLE:
        raise SchemaError(f"Column {events.value!r} is {type_}: rolling sums need whole numbers; cast or scale it first.")
    known = events.frame.select(
        *by, F.col(events.known_at).alias(at), F.col(events.value).cast("bigint").alias("__value"), F.lit(False).alias("__asked")
    )
    asked = instants.select(*by, at, F.lit(None).cast("bigint").alias("__value"), F.lit(True).alias("__asked"))
    both = known.unionByName(asked).withColumn("__micros", F.unix_micros(at))
    value = F.col("__value")
    features: dict[str, Column] = {}
    for name, length in windows.items():
        window = Window.partitionBy(*by).orderBy("__micros").rangeBetween(-(length // MICROSECOND), -1)
        count, total, squares = (f.over(window) for f in (F.count(value), F.sum(value), F.sum(value * value)))
        features |= {
            f"{events.value}_count_{name}": count,
            f"{events.value}_mean_{name}": total / count,
            f"{events.value}_stddev_{name}": F.sqrt((count * squares - total * total).cast("double")) / count,
        }
    return both.withColumns(features).filter("__asked").drop("__value", "__asked", "__micros")
