"""From the state of a column to its statistics: one row of a table for each figure.

To add a figure of one number, add a field to ``FeatureStatistics`` and a row to ``STATISTICS``; the
pages show it under its label.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from spark_fs.base.times import LAST_MICROS, from_micros
from spark_fs.base.types import get_base_type
from spark_fs.spec.feature_statistics import FeatureStatistics, StatisticsConfig
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.column_values import get_column_kind
from spark_fs.stats.histograms import build_histogram
from spark_fs.stats.interpolation import compute_quantiles

PERCENTILES = tuple(range(1, 100))
# the share of rows from which a value is taken to be known well by a sketch of quantiles
_HEAVY_SHARE = 0.02
ExactDistinct = tuple[int, float, float]  # distinct values, values that come once, entropy
RowCounts = Mapping[int, int]  # by a number of rows, how many values come in so many


@dataclass(frozen=True)
class DescribedColumn:
    """A column whose figures are computed: its state, and what was counted one by one."""

    state: ColumnState
    exact_distinct: ExactDistinct | None = None

    @property
    def distinct_is_exact(self) -> bool:
        """Whether the number of distinct values is known and not estimated."""
        return self.exact_distinct is not None or self.state.distinct.is_exact

    @cached_property
    def distinct_count(self) -> int:
        """How many distinct values there are."""
        if self.exact_distinct is not None:
            return self.exact_distinct[0]
        return self.state.distinct.estimated_count

    @property
    def singleton_count(self) -> float:
        """How many values come in one row only."""
        if self.exact_distinct is not None:
            return self.exact_distinct[1]
        return self.state.distinct.singleton_count

    @property
    def entropy(self) -> float:
        """The entropy of the values, in nats."""
        if self.exact_distinct is not None:
            return self.exact_distinct[2]
        if not self.state.value_count:
            return 0.0
        return self.state.distinct.estimate_entropy(_find_heavy_hitters(self.state))


StatePredicate = Callable[[ColumnState], bool]


def _is_any(_: ColumnState) -> bool:
    return True


def _has_order(state: ColumnState) -> bool:
    return get_column_kind(state.type) != "nested"


def _is_floating_point(state: ColumnState) -> bool:
    return get_base_type(state.type) in ("float", "double")


def _has_finite_numbers(state: ColumnState) -> bool:
    return get_column_kind(state.type) == "number" and state.finite_count > 0


@dataclass(frozen=True)
class Statistic:
    """A figure of a column: one field of ``FeatureStatistics``, and how a page shows it.

    Attributes:
        name: the field.
        label: what a page calls it.
        applies_to: the states that have it; for others it is left at its default.
        compute: the figure, from the column.
        format: a share is shown in percent; a number, time or text as it is.
    """

    name: str
    label: str
    applies_to: StatePredicate
    compute: Callable[[DescribedColumn], Any]
    format: Literal["value", "share"] = "value"


STATISTICS = (
    Statistic("count", "rows", _is_any, lambda c: c.state.rows),
    Statistic("num_null_values", "nulls", _is_any, lambda c: c.state.nulls),
    Statistic("num_nan_values", "NaN", _is_floating_point, lambda c: c.state.nans),
    Statistic(
        "num_infinite_values",
        "infinite",
        _is_floating_point,
        lambda c: c.state.above + c.state.below,
    ),
    Statistic(
        "completeness",
        "complete",
        _is_any,
        lambda c: _compute_share(c.state.value_count, c.state.rows),
        "share",
    ),
    Statistic("approx_num_distinct_values", "distinct", _has_order, lambda c: c.distinct_count),
    Statistic(
        "exact_num_distinct_values",
        "distinct exactly",
        _has_order,
        lambda c: c.distinct_count if c.distinct_is_exact else None,
    ),
    Statistic(
        "distinctness",
        "distinctness",
        _has_order,
        lambda c: _compute_share(c.distinct_count, c.state.value_count),
        "share",
    ),
    Statistic(
        "uniqueness",
        "uniqueness",
        _has_order,
        lambda c: min(1.0, _compute_share(c.singleton_count, c.state.value_count)),
        "share",
    ),
    Statistic("entropy", "entropy, nats", _has_order, lambda c: c.entropy),
    Statistic("min", "minimum", _has_order, lambda c: c.state.low),
    Statistic("max", "maximum", _has_order, lambda c: c.state.high),
    Statistic("sum", "sum", _has_finite_numbers, lambda c: c.state.sum),
    Statistic("mean", "mean", _has_finite_numbers, lambda c: c.state.mean),
    Statistic("stddev", "standard deviation", _has_finite_numbers, lambda c: c.state.stddev),
)


def describe_column(
    name: str,
    state: ColumnState,
    config: StatisticsConfig,
    exact_distinct: ExactDistinct | None = None,
) -> FeatureStatistics:
    """The statistics of a column.

    Args:
        name: the name of the feature.
        state: the state of its column.
        config: which statistics are wanted.
        exact_distinct: its distinct values where they were counted one by one.

    Returns:
        The statistics, without correlations.
    """
    column = DescribedColumn(state, exact_distinct)
    figures: dict[str, Any] = {}
    for statistic in STATISTICS:
        if statistic.applies_to(state):
            figures[statistic.name] = statistic.compute(column)
    kind = get_column_kind(state.type)
    if kind in ("number", "time") and state.finite_count:
        figures["percentiles"] = _to_column_type(compute_percentiles(state), state)
        figures["approximate"] = not state.is_exact
    if kind != "nested" and config.histograms:
        figures["histogram"] = build_histogram(state)
    return FeatureStatistics(name, state.type, **figures)


def summarize_counts(row_counts: RowCounts) -> ExactDistinct:
    """What follows from values that were counted one by one, whatever the order they came in."""
    distinct_count = sum(row_counts.values())
    if not distinct_count:
        return 0, 0.0, 0.0
    total = sum(rows * values for rows, values in row_counts.items())
    weighted_logs = math.fsum(rows * values * math.log(rows) for rows, values in row_counts.items())
    entropy = math.log(total) - weighted_logs / total
    return distinct_count, float(row_counts.get(1, 0)), max(0.0, entropy)


def _compute_share(part: float, whole: int) -> float:
    """The share that a part has of the whole; 0 of nothing."""
    return part / whole if whole else 0.0


def _find_heavy_hitters(state: ColumnState) -> list[tuple[Any, int]]:
    """Values that come often, with about their rows."""
    if state.distinct.is_exact:
        return []
    if state.frequent.row_counts:
        sure_rows = max(state.frequent.error_bound * 2, state.value_count // 1000)
        return [item for item in state.frequent.row_counts.items() if item[1] > sure_rows]
    values, rows = state.quantiles.weighted_points
    is_new = values[1:] != values[:-1]
    starts = np.flatnonzero(np.concatenate([[True], is_new]))
    summed = np.add.reduceat(rows, starts)
    is_heavy = summed > _HEAVY_SHARE * state.finite_count
    return list(zip(values[starts][is_heavy].tolist(), summed[is_heavy].tolist(), strict=True))


# -- percentiles


def compute_percentiles(state: ColumnState, percents: Sequence[float] = PERCENTILES) -> list[float]:
    """Percentiles of the finite values, linearly interpolated between the two nearest ranks."""
    values, rows = state.weighted_points
    return compute_quantiles(values, rows, [percent / 100 for percent in percents])


def _to_column_type(values: list[float], state: ColumnState) -> list[Any]:
    """Percentiles as values of the column's type.

    Microseconds as doubles are rounded, from the year 2255 on by more than one, so they are held
    within the least and the greatest value.
    """
    if get_column_kind(state.type) != "time":
        return values
    times: list[Any] = []
    for micros in values:
        instant = from_micros(min(round(micros), LAST_MICROS))
        time = instant.date() if state.type == "date" else instant
        times.append(min(max(time, state.low), state.high))
    return times
