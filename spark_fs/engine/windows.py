"""Window features: what was known about an entity over the last hours or days, at given instants.

A sliding window of length w before the instant t holds the values known in [t - w, t): what becomes
known at t itself is not in it, so no feature sees the row that it is joined to.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_fs.base.times import MICROSECOND
from spark_fs.base.types import FLOATS, INTEGERS, get_base_type
from spark_fs.errors import SchemaError, SettingsError

NUMERIC_TYPES = (*INTEGERS, *FLOATS)
MOMENTS = ("count", "sum", "mean", "stddev")
AGGREGATIONS = (*MOMENTS, "min", "max", "last", "distinct_count")
_ANY_TYPE_AGGREGATIONS = (
    "count",
    "min",
    "max",
    "last",
    "distinct_count",
)  # these need no arithmetic


class Events(NamedTuple):
    """Rows with the instant at which each became known (a timestamp) and a value."""

    frame: DataFrame
    known_at: str
    value: str


def rolling(
    events: Events,
    instants: DataFrame,
    at: str,
    by: Sequence[str],
    windows: Mapping[str, timedelta],
    aggregations: Sequence[str] = ("count", "mean", "stddev"),
) -> DataFrame:
    """Aggregations* of an entity's values over each sliding window before each instant.

    ``instants`` has the columns ``by`` and ``at`` (a timestamp) and gives one row of the result for
    each of its rows; the result adds ``<value>_<aggregation>_<window>`` for each of the windows,
    such as ``{"4h": timedelta(hours=4)}``. aggregations: count, sum, mean, stddev (population),
    min, max, last (the value known last; of several at one instant the greatest) and
    distinct_count. Null values are not counted; where there are none, count and distinct_count are
    0 and the others null. The same rows in any batches and any order give the same bits. Raises
    SettingsError for an unknown aggregation or an empty window, SchemaError for a value that cannot
    be aggregated so.
    """
    type_ = dict(events.frame.dtypes)[events.value]
    _check_arguments(events.value, type_, windows, aggregations)
    whole = type_ in INTEGERS
    totals = [a for a in aggregations if whole and a in MOMENTS]
    asked = instants.select(*by, at, F.unix_micros(at).alias("__micros"))
    both = asked.unionByName(
        _list_changes(events, by, windows if totals else {}), allowMissingColumns=True
    )
    features: dict[str, Column] = {}
    for name, length in windows.items():
        found = _compute_running_totals(by, name) if totals else {}
        if len(totals) < len(aggregations):
            found = _compute_from_lists(by, length, type_ in NUMERIC_TYPES) | found
        features |= {f"{events.value}_{a}_{name}": found[a] for a in aggregations}
    return both.withColumns(features).filter(F.col(at).isNotNull()).select(*by, at, *features)


def _check_arguments(
    value: str, type_: str, windows: Mapping[str, timedelta], aggregations: Sequence[str]
) -> None:
    for name, length in windows.items():
        if length <= timedelta(0):
            raise SettingsError(
                f"Window {name!r} is {length} long: give a length above zero, such as"
                " timedelta(hours=4)."
            )
    for each in aggregations:
        if each not in AGGREGATIONS:
            raise SettingsError(
                f"Aggregation {each!r} is not known: use {', '.join(AGGREGATIONS)}."
            )
        if type_ not in NUMERIC_TYPES and (
            each not in _ANY_TYPE_AGGREGATIONS or get_base_type(type_) in ("map", "array", "struct")
        ):
            raise SchemaError(
                f"Column {value!r} is {type_}, which has no {each}: use {', '.join(NUMERIC_TYPES)},"
                " or cast it first."
            )


def _compute_running_totals(by: Sequence[str], window: str) -> dict[str, Column]:
    """The moments of whole numbers from running totals, which are exact.

    A value enters the totals of every window when it becomes known and leaves those of one window
    when its length has passed, so the cost does not grow with the windows' length, as that of
    Spark's own range frames does.
    """
    before = Window.partitionBy(*by).orderBy("__micros").rangeBetween(Window.unboundedPreceding, -1)
    sign, value = F.col(f"__sign_{window}"), F.col("__value").cast("bigint")
    moments = (sign, sign * value, sign * value * value)
    count, total, squares = (F.coalesce(F.sum(moment).over(before), F.lit(0)) for moment in moments)
    some = F.nullif(count, F.lit(0))
    return {
        "count": count,
        "sum": F.when(count > 0, total),
        "mean": total / some,
        "stddev": F.sqrt((count * squares - total * total).cast("double")) / some,
    }


def _compute_from_lists(by: Sequence[str], length: timedelta, numeric: bool) -> dict[str, Column]:
    """Every aggregation from the list of the values in the window, in their order of size, so that sums have one order too."""
    frame = Window.partitionBy(*by).orderBy("__micros").rangeBetween(-(length // MICROSECOND), -1)
    seen = F.collect_list(F.when(F.col("__enters"), F.struct("__micros", "__value"))).over(frame)
    values = F.array_sort(F.transform(seen, lambda each: each["__value"]))
    count = F.size(values).cast("bigint")
    some = F.nullif(count, F.lit(0))
    found = {
        "count": count,
        "min": F.array_min(values),
        "max": F.array_max(values),
        "last": F.array_max(seen)["__value"],
        "distinct_count": F.size(F.array_distinct(values)).cast("bigint"),
    }
    if not numeric:
        return found
    total = F.aggregate(values, F.lit(0.0), lambda sum_, each: sum_ + each.cast("double"))
    mean = total / some
    squares = F.aggregate(
        values,
        F.lit(0.0),
        lambda sum_, each: sum_ + (each.cast("double") - mean) * (each.cast("double") - mean),
    )
    return found | {"sum": F.when(count > 0, total), "mean": mean, "stddev": F.sqrt(squares / some)}


def _list_changes(events: Events, by: Sequence[str], windows: Mapping[str, timedelta]) -> DataFrame:
    """When each value becomes known, and when it leaves each of these windows*: per window 1, -1, or 0 where it stays as it is."""

    def build_change(delay: timedelta, signs: Mapping[str, int]) -> Column:
        when = F.unix_micros(events.known_at) + delay // MICROSECOND
        signed = (
            F.lit(signs.get(name, 0)).cast("bigint").alias(f"__sign_{name}") for name in windows
        )
        return F.struct(when.alias("__micros"), F.lit(not delay).alias("__enters"), *signed)

    enters = build_change(timedelta(0), dict.fromkeys(windows, 1))
    leaves = [build_change(length, {name: -1}) for name, length in windows.items()]
    seen = events.frame.filter(F.col(events.value).isNotNull() & F.col(events.known_at).isNotNull())
    return seen.select(
        *by, F.col(events.value).alias("__value"), F.inline(F.array(enters, *leaves))
    )
