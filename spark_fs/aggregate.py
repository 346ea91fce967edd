"""The functions of window features, as in ``from spark_fs import aggregate as agg``.

Each call declares a feature of a source, or one for each window, for ``spark_fs.Aggregation``::

    agg.mean("amount", over=["4h", "7d"], where=payments["category"] == "food")

The window of length w at the instant t holds the events of the entity known in [t - w, t); a delay
d moves both ends back by d. Every function takes the same arguments:

- ``column``: a name, or a column of the source as ``source["amount"]``. Its nulls do not count.
- ``over``: the length of the window as "15m", "4h" or "7d", or a timedelta; a list: a feature for
  each; None: all history.
- ``where``: which events count, as ``source["category"] == "food"``: those for which it is true,
  not those for which it is null. None: all.
- ``delay``: a length, as "7d", by which both ends of the window lie further back; for values that
  are known later than their event. None: not at all.
- ``name``: that of the feature in lower snake case; where ``over`` is a list, it is followed by
  each length, as ``<name>_4h``. None: ``<column>_<function>_<over>``, as ``amount_mean_4h``, or
  without a column ``count_4h``. A window is spelled as it was given, a timedelta in the longest
  of d, h, m and s that it is whole in, all history as ``all``. What a function takes beside its
  column is part of the name: ``amount_p95_4h``, ``amount_approx_p95_4h``, ``category_top_3_4h``,
  ``amount_last_5_4h``, ``amount_last_distinct_5_4h``.

Every function raises SettingsError for an argument that is not valid, QueryError for a condition
that is not one, and InvalidNameError for a name that is not in lower snake case. What only the
source can tell, ``spark_fs.Aggregation`` checks: whether the column is there, and of a type that
the function takes.
"""

from __future__ import annotations

from typing import NoReturn

from spark_fs.api.feature import Feature, Filter
from spark_fs.api.window_functions import (
    Length,
    Over,
    WindowFunction,
    check_number,
    check_share,
    declare_windows,
    spell_share,
)

__all__ = [
    "approx_distinct_count",
    "approx_percentile",
    "count",
    "distinct_count",
    "first",
    "last",
    "last_distinct_n",
    "last_n",
    "max",
    "mean",
    "min",
    "percentile",
    "stddev",
    "sum",
    "time_since_last",
    "top_k",
    "variance",
]


def count(
    column: str | Feature | None = None,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Count the events, or the values of a column that are not null.

    Args:
        column: The column; None: every event counts.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_count_<over>``, or
            ``count_<over>``.

    Returns:
        A feature of type bigint; 0 for an empty window.
    """
    return declare_windows("count", column, over, where, delay, name)


def sum(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Add the values up, exactly, and round once.

    The same events give the same bits in any order. Any NaN, or infinities of both signs, give NaN.

    Args:
        column: The column, of numbers.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_sum_<over>``.

    Returns:
        A feature of type bigint for integers, double for floats, and for decimal(p,s)
        decimal(p+10,s) with 38 digits at most; null for an empty window. A sum of integers beyond
        bigint is an error when it is computed.
    """
    return declare_windows("sum", column, over, where, delay, name)


def mean(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the mean: the exact sum, rounded once, by the count.

    Args:
        column: The column, of numbers.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_mean_<over>``.

    Returns:
        A feature of type double, in the column's unit; null for an empty window.
    """
    return declare_windows("mean", column, over, where, delay, name)


def stddev(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the standard deviation of the population: the root of ``variance``.

    Args:
        column: The column, of numbers.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_stddev_<over>``.

    Returns:
        A feature of type double, in the column's unit; 0 for equal values, null for an empty
        window.
    """
    return declare_windows("stddev", column, over, where, delay, name)


def variance(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the variance of the population: divided by n, not by n - 1.

    Args:
        column: The column, of numbers.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_variance_<over>``.

    Returns:
        A feature of type double, in the square of the column's unit; 0 for equal values, null for
        an empty window.
    """
    return declare_windows("variance", column, over, where, delay, name)


def min(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the least value: strings by their bytes, false before true, NaN above all numbers.

    Args:
        column: The column, of any simple type.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_min_<over>``.

    Returns:
        A feature of the column's type; null for an empty window.
    """
    return declare_windows("min", column, over, where, delay, name)


def max(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the greatest value: strings by their bytes, true above false, NaN above all numbers.

    Args:
        column: The column, of any simple type.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_max_<over>``.

    Returns:
        A feature of the column's type; null for an empty window.
    """
    return declare_windows("max", column, over, where, delay, name)


def first(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the value known first; of several at one instant the least.

    Args:
        column: The column, of any simple type.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_first_<over>``.

    Returns:
        A feature of the column's type; null for an empty window.
    """
    return declare_windows("first", column, over, where, delay, name)


def last(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the value known last; of several at one instant the greatest.

    Args:
        column: The column, of any simple type.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_last_<over>``.

    Returns:
        A feature of the column's type; null for an empty window.
    """
    return declare_windows("last", column, over, where, delay, name)


def distinct_count(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Count the distinct values, exactly; 0.0 and -0.0 are one, and so are NaNs.

    Args:
        column: The column, of any simple type.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_distinct_count_<over>``.

    Returns:
        A feature of type bigint; 0 for an empty window.
    """
    return declare_windows("distinct_count", column, over, where, delay, name)


def approx_distinct_count(
    column: str | Feature,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Count the distinct values, about: exact for few, and a few percent off at most for many.

    It is cheaper to keep from day to day than ``distinct_count``. The same events give the same
    number in any order.

    Args:
        column: The column, of any simple type.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_approx_distinct_count_<over>``.

    Returns:
        A feature of type bigint; 0 for an empty window.
    """
    return declare_windows("approx_distinct_count", column, over, where, delay, name)


def percentile(
    column: str | Feature,
    share: float,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the value below which a share of the values lies, exactly.

    It lies at the place (n - 1) * share in the order of size, linearly between two values, as
    numpy.percentile has it by default.

    Args:
        column: The column, of numbers.
        share: From 0, the least, to 1, the greatest; 0.5 is the median.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_p95_<over>``.

    Returns:
        A feature of type double, in the column's unit; null for an empty window.
    """
    share = check_share("percentile", share)
    label = spell_share(share)
    return declare_windows("percentile", column, over, where, delay, name, share, label)


def approx_percentile(
    column: str | Feature,
    share: float,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the value below which a share of the values lies, less than 1 % off.

    It is cheaper to keep from day to day than ``percentile``. It is that of the nearest rank, the
    value at ceil(share * n) in the order of size, cut to six bits of its fraction.

    Args:
        column: The column, of numbers.
        share: From 0, the least, to 1, the greatest; 0.5 is the median.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_approx_p95_<over>``.

    Returns:
        A feature of type double, in the column's unit; null for an empty window.
    """
    share = check_share("approx_percentile", share)
    label = f"approx_{spell_share(share)}"
    return declare_windows("approx_percentile", column, over, where, delay, name, share, label)


def top_k(
    column: str | Feature,
    k: int,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the k most frequent values, the most frequent first.

    Of values as frequent as one another the lesser comes first.

    Args:
        column: The column, of any simple type.
        k: How many, from 1 to 1,000; fewer where there are fewer distinct ones.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_top_3_<over>``.

    Returns:
        A feature that is an array of the column's type; null for an empty window.
    """
    k = check_number("top_k", "k", k)
    return declare_windows("top_k", column, over, where, delay, name, k, f"top_{k}")


def last_n(
    column: str | Feature,
    n: int,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the n values known last, the newest first.

    Of several at one instant the greatest comes first.

    Args:
        column: The column, of any simple type.
        n: How many, from 1 to 1,000; fewer where there are fewer.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_last_3_<over>``.

    Returns:
        A feature that is an array of the column's type; null for an empty window.
    """
    n = check_number("last_n", "n", n)
    return declare_windows("last_n", column, over, where, delay, name, n, f"last_{n}")


def last_distinct_n(
    column: str | Feature,
    n: int,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the n distinct values that occurred last, the newest first.

    Args:
        column: The column, of any simple type.
        n: How many, from 1 to 1,000; fewer where there are fewer distinct ones.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_last_distinct_3_<over>``.

    Returns:
        A feature that is an array of the column's type; null for an empty window.
    """
    n = check_number("last_distinct_n", "n", n)
    return declare_windows(
        "last_distinct_n", column, over, where, delay, name, n, f"last_distinct_{n}"
    )


def time_since_last(
    column: str | Feature | None = None,
    *,
    over: Over,
    where: Filter | None = None,
    delay: Length | None = None,
    name: str | None = None,
) -> WindowFunction:
    """Take the time from the newest event in the window to the instant, in seconds.

    Args:
        column: The column: its newest value that is not null; None: the newest event.
        over: The length of the window, a list of lengths, or None for all history.
        where: Which events count; None: all.
        delay: By how much both ends of the window lie further back.
        name: The name of the feature; None: ``<column>_time_since_last_<over>``,
            or ``time_since_last_<over>``.

    Returns:
        A feature of type double, in seconds, above zero unless the aggregation is closed on both
        sides; null for an empty window.
    """
    return declare_windows("time_since_last", column, over, where, delay, name)


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(
        f"spark_fs.aggregate has no function {name!r}: use {', '.join(__all__)}; a median is"
        " percentile(column, 0.5)."
    )
