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
_ANY_TYPE_AGGREGATIONS = ("count", "min", "max", "last", "distinct_count")  # without arithmetic
_COLLECTIONS = ("map", "array", "struct")


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

    Null values are not counted. The same rows in any batches and any order give the same bits.

    Args:
        events: The values, and when each became known.
        instants: The instants to aggregate at, with the columns ``by`` and ``at``.
        at: The column of the instants, a timestamp.
        by: The columns that identify an entity, in events and instants.
        windows: The length of each window by its name, such as ``{"4h": timedelta(hours=4)}``. The
            window of length w before t is [t - w, t).
        aggregations: Some of count, sum, mean, stddev (population), min, max, last (the value known
            last; of several at one instant the greatest) and distinct_count.

    Returns:
        A row for each of the instants, with the columns ``by``, ``at``, and
        ``<value>_<aggregation>_<window>`` for each of the windows. Where a window has no values,
        count and distinct_count are 0 and the others null.

    Raises:
        SettingsError: An aggregation is unknown, or a window is empty.
        SchemaError: The value cannot be aggregated so.
    """
    type_ = dict(events.frame.dtypes)[events.value]
    _check_arguments(events.value, type_, windows, aggregations)
    from_totals = [name for name in aggregations if type_ in INTEGERS and name in MOMENTS]
    changes = _list_changes(events, by, windows if from_totals else {})
    rows = instants.select(*by, at, F.unix_micros(at).alias("__micros"))
    rows = rows.unionByName(changes, allowMissingColumns=True)
    features = {}
    for window, length in windows.items():
        computed: dict[str, Column] = {}
        if len(from_totals) < len(aggregations):
            computed |= _compute_from_lists(by, length, type_ in NUMERIC_TYPES)
        if from_totals:
            computed |= _compute_running_totals(by, window)
        for aggregation in aggregations:
            features[f"{events.value}_{aggregation}_{window}"] = computed[aggregation]
    is_instant = F.col(at).isNotNull()
    return rows.withColumns(features).filter(is_instant).select(*by, at, *features)


def _check_arguments(
    value: str, type_: str, windows: Mapping[str, timedelta], aggregations: Sequence[str]
) -> None:
    for name, length in windows.items():
        if length <= timedelta(0):
            raise SettingsError(
                f"Window {name!r} is {length} long: give a length above zero, such as"
                " timedelta(hours=4)."
            )
    for aggregation in aggregations:
        if aggregation not in AGGREGATIONS:
            raise SettingsError(
                f"Aggregation {aggregation!r} is not known: use {', '.join(AGGREGATIONS)}."
            )
        if not _can_aggregate(type_, aggregation):
            raise SchemaError(
                f"Column {value!r} is {type_}, which has no {aggregation}: use"
                f" {', '.join(NUMERIC_TYPES)}, or cast it first."
            )


def _can_aggregate(type_: str, aggregation: str) -> bool:
    if type_ in NUMERIC_TYPES:
        return True
    return aggregation in _ANY_TYPE_AGGREGATIONS and get_base_type(type_) not in _COLLECTIONS


def _compute_running_totals(by: Sequence[str], window: str) -> dict[str, Column]:
    """The moments of integers from running totals, which are exact.

    A value enters the totals of every window when it becomes known and leaves those of one window
    when its length has passed, so the cost does not grow with the windows' length, as that of
    Spark's own range frames does.
    """
    in_order = Window.partitionBy(*by).orderBy("__micros")
    before = in_order.rangeBetween(Window.unboundedPreceding, -1)

    def sum_before(moment: Column) -> Column:
        total = F.sum(moment).over(before)
        return F.coalesce(total, F.lit(0))

    sign = F.col(f"__sign_{window}")
    value = F.col("__value").cast("bigint")
    count = sum_before(sign)
    total = sum_before(sign * value)
    squares = sum_before(sign * value * value)
    count_or_null = F.nullif(count, F.lit(0))
    variance = (count * squares - total * total).cast("double")
    deviation = F.sqrt(variance)
    return {
        "count": count,
        "sum": F.when(count > 0, total),
        "mean": total / count_or_null,
        "stddev": deviation / count_or_null,
    }


def _compute_from_lists(
    by: Sequence[str], length: timedelta, is_numeric: bool
) -> dict[str, Column]:
    """Every aggregation from the list of the values in the window.

    They are in their order of size, so that sums have one order too.
    """
    in_order = Window.partitionBy(*by).orderBy("__micros")
    window = in_order.rangeBetween(-(length // MICROSECOND), -1)
    entered = F.when(F.col("__enters"), F.struct("__micros", "__value"))
    entries = F.collect_list(entered).over(window)
    values = F.array_sort(F.transform(entries, lambda entry: entry["__value"]))
    count = F.size(values).cast("bigint")
    aggregations = {
        "count": count,
        "min": F.array_min(values),
        "max": F.array_max(values),
        "last": F.array_max(entries)["__value"],
        "distinct_count": F.size(F.array_distinct(values)).cast("bigint"),
    }
    if is_numeric:
        aggregations |= _compute_moments(values, count)
    return aggregations


def _compute_moments(values: Column, count: Column) -> dict[str, Column]:
    """The sum, mean and deviation of a list of numbers, summed from the first to the last."""
    count_or_null = F.nullif(count, F.lit(0))
    total = F.aggregate(values, F.lit(0.0), lambda sum_, value: sum_ + value.cast("double"))
    mean = total / count_or_null

    def add_square(sum_: Column, value: Column) -> Column:
        difference = value.cast("double") - mean
        return sum_ + difference * difference

    squares = F.aggregate(values, F.lit(0.0), add_square)
    return {
        "sum": F.when(count > 0, total),
        "mean": mean,
        "stddev": F.sqrt(squares / count_or_null),
    }


def _list_changes(events: Events, by: Sequence[str], windows: Mapping[str, timedelta]) -> DataFrame:
    """When each value becomes known, and when it leaves each of these windows*.

    Per window there is a sign: 1, -1, or 0 where the window stays as it is.
    """
    known_at = F.unix_micros(events.known_at)
    changes = [_build_change(known_at, timedelta(0), dict.fromkeys(windows, 1))]
    unchanged = dict.fromkeys(windows, 0)
    for window, length in windows.items():
        changes.append(_build_change(known_at, length, unchanged | {window: -1}))
    value = F.col(events.value)
    is_known = value.isNotNull() & F.col(events.known_at).isNotNull()
    inlined = F.inline(F.array(*changes))
    return events.frame.filter(is_known).select(*by, value.alias("__value"), inlined)


def _build_change(known_at: Column, delay: timedelta, signs: Mapping[str, int]) -> Column:
    """What changes so long after a value became known: a sign for each window."""
    micros = known_at + delay // MICROSECOND
    fields = [micros.alias("__micros"), F.lit(not delay).alias("__enters")]
    for window, sign in signs.items():
        sign_value = F.lit(sign).cast("bigint")
        fields.append(sign_value.alias(f"__sign_{window}"))
    return F.struct(*fields)
