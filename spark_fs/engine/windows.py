"""Window features: what was known about an entity over the last hours, at given instants."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_fs.errors import SchemaError
from spark_fs.types import MICROSECOND

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

    A value enters the running totals of every window when it becomes known and leaves those of one window when its
    length has passed, so the cost does not grow with the windows' length, as that of Spark's own range frames does.
    """
    type_ = dict(events.frame.dtypes)[events.value]
    if type_ not in _WHOLE:
        raise SchemaError(f"Column {events.value!r} is {type_}: rolling sums need whole numbers; cast or scale it first.")
    asked = instants.select(*by, at, F.unix_micros(at).alias("__micros"))
    both = asked.unionByName(_changes(events, by, windows), allowMissingColumns=True)
    before = Window.partitionBy(*by).orderBy("__micros").rangeBetween(Window.unboundedPreceding, -1)
    value = F.col("__value")
    features: dict[str, Column] = {}
    for name in windows:
        sign = F.col(f"__sign_{name}")
        moments = (sign, sign * value, sign * value * value)
        count, total, squares = (F.coalesce(F.sum(moment).over(before), F.lit(0)) for moment in moments)
        features |= {
            f"{events.value}_count_{name}": count,
            f"{events.value}_mean_{name}": total / F.nullif(count, F.lit(0)),
            f"{events.value}_stddev_{name}": F.sqrt((count * squares - total * total).cast("double")) / F.nullif(count, F.lit(0)),
        }
    return both.withColumns(features).filter(F.col(at).isNotNull()).select(*by, at, *features)


def _changes(events: Events, by: Sequence[str], windows: Mapping[str, timedelta]) -> DataFrame:
    """When each value enters the windows and leaves each of them*: per window 1, -1, or 0 where it stays as it is."""

    def change(delay: timedelta, signs: Mapping[str, int]) -> Column:
        when = F.unix_micros(events.known_at) + delay // MICROSECOND
        signed = (F.lit(signs.get(name, 0)).cast("bigint").alias(f"__sign_{name}") for name in windows)
        return F.struct(when.alias("__micros"), *signed)

    enters = change(timedelta(0), dict.fromkeys(windows, 1))
    leaves = [change(length, {name: -1}) for name, length in windows.items()]
    seen = events.frame.filter(F.col(events.value).isNotNull() & F.col(events.known_at).isNotNull())
    value = F.col(events.value).cast("bigint").alias("__value")
    return seen.select(*by, value, F.inline(F.array(enters, *leaves)))
