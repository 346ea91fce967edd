"""From the state of a column to what is said of it."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from spark_fs.base.times import DAY_MICROS, LAST_MICROS, from_micros
from spark_fs.base.types import get_base_type
from spark_fs.spec.feature_statistics import FeatureStatistics, StatisticsConfig
from spark_fs.stats.column_state import ColumnState, get_column_kind
from spark_fs.stats.exact import Integers
from spark_fs.stats.sketches.quantiles import Doubles

BINS = TOP = 20
PERCENTILES = tuple(range(1, 100))
_MAX_DAY_BINS, _MAX_MONTH_BINS = 92, 120  # at most so many bins; above, longer ones
_HEAVY_SHARE = (
    0.02  # the share of rows from which a value is taken to be known well by a sketch of quantiles
)
ExactDistinct = tuple[int, float, float]  # distinct values, values that come once, entropy


def describe_column(
    name: str,
    state: ColumnState,
    config: StatisticsConfig,
    exact_distinct: ExactDistinct | None = None,
) -> FeatureStatistics:
    """What is said of a column; exact: its distinct values where they were counted one by one."""
    which = get_column_kind(state.type)
    found: dict[str, Any] = {
        "count": state.rows,
        "num_null_values": state.nulls,
        "completeness": state.value_count / state.rows if state.rows else 0.0,
    }
    if which == "nested":
        return FeatureStatistics(name, state.type, **found)
    found |= _describe_distinct(state, exact_distinct)
    found |= {"min": state.low, "max": state.high}
    if get_base_type(state.type) in ("float", "double"):
        found |= {"num_nan_values": state.nans, "num_infinite_values": state.above + state.below}
    if which == "number" and state.finite_count:
        found |= {"sum": state.sum, "mean": state.mean, "stddev": state.stddev}
    if which in ("number", "time") and state.finite_count:
        found |= {
            "percentiles": _to_column_type(compute_percentiles(state), state),
            "approximate": not state.is_exact,
        }
    if config.histograms:
        found["histogram"] = list(_HISTOGRAMS[which](state)) if state.finite_count else []
    return FeatureStatistics(name, state.type, **found)


def _describe_distinct(state: ColumnState, exact_distinct: ExactDistinct | None) -> dict[str, Any]:
    rows, sketch = state.value_count, state.distinct
    number, once = (
        (exact_distinct[0], exact_distinct[1])
        if exact_distinct
        else (sketch.estimated_count, sketch.singleton_count)
    )
    entropy = (
        exact_distinct[2]
        if exact_distinct
        else sketch.estimate_entropy(_find_heavy_hitters(state))
        if rows
        else 0.0
    )
    return {
        "approx_num_distinct_values": number,
        "exact_num_distinct_values": number if exact_distinct or sketch.is_exact else None,
        "distinctness": number / rows if rows else 0.0,
        "uniqueness": min(1.0, once / rows) if rows else 0.0,
        "entropy": entropy,
    }


def _find_heavy_hitters(state: ColumnState) -> list[tuple[Any, int]]:
    """Values that come often, with about their rows."""
    if state.distinct.is_exact:
        return []
    if state.frequent.row_counts:
        sure = max(state.frequent.error_bound * 2, state.value_count // 1000)
        return [(text, rows) for text, rows in state.frequent.row_counts.items() if rows > sure]
    values, rows = state.quantiles.weighted_points
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    summed = np.add.reduceat(rows, starts)
    heavy = summed > _HEAVY_SHARE * state.finite_count
    return list(zip(values[starts][heavy].tolist(), summed[heavy].tolist(), strict=True))


# -- percentiles


def compute_percentiles(state: ColumnState, percents: Sequence[float] = PERCENTILES) -> list[float]:
    """Percentiles of the finite values, linearly interpolated between the two nearest ranks."""
    values, rows = state.weighted_points
    return compute_quantiles(values, rows, [share / 100 for share in percents])


def compute_quantiles(values: Doubles, rows: Integers, shares: Sequence[float]) -> list[float]:
    """Quantiles of sorted values that each stand for some rows."""
    ends = np.cumsum(rows)
    place = (int(ends[-1]) - 1) * np.array(shares)
    low = np.floor(place)
    below, above = (
        values[np.minimum(np.searchsorted(ends, rank, side="right"), len(values) - 1)]
        for rank in (low, low + 1)
    )
    part = place - low
    with np.errstate(over="ignore", invalid="ignore"):
        apart = above - below
        found = np.where(part >= 0.5, above - apart * (1 - part), below + apart * part)
    wide = ~np.isfinite(apart)
    found[wide] = below[wide] * (1 - part[wide]) + above[wide] * part[wide]
    return [float(each) for each in np.where(below == above, below, found)]


def _to_column_type(values: list[float], state: ColumnState) -> list[Any]:
    """Percentiles as values of the column's type.

    Microseconds as doubles are rounded, from the year 2255 on by more than one, so they are held
    within the least and the greatest value.
    """
    if get_column_kind(state.type) != "time":
        return values
    instants = [from_micros(min(round(each), LAST_MICROS)) for each in values]
    times = [each.date() for each in instants] if state.type == "date" else instants
    return [min(max(each, state.low), state.high) for each in times]


# -- histograms


def compute_bin_edges(low: float, high: float, bins: int = BINS) -> Doubles:
    """The bounds of bins of equal width, as ``numpy.histogram`` has them; around a single value one of the width 1."""
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    parts = np.arange(bins + 1) / bins
    return (
        np.linspace(low, high, bins + 1)
        if math.isfinite(high - low)
        else low * (1 - parts) + high * parts
    )


def _build_numeric_bins(state: ColumnState) -> Iterator[dict[str, Any]]:
    values, rows = state.weighted_points
    low, high = float(state.low), float(state.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = float(values[0]), float(values[-1])
    bounds = compute_bin_edges(low, high)
    if (
        bounds[0] == bounds[-1] or not (np.diff(bounds) > 0).all()
    ):  # neighbours, between which there is no room for bins
        bounds = np.array([low, high])
    inside = np.clip(np.searchsorted(bounds, values, side="right") - 1, 0, len(bounds) - 2)
    counts = np.bincount(inside, rows, len(bounds) - 1)
    at, rows_of = bounds.tolist(), counts.astype(np.int64).tolist()
    written = [f"{each:.6g}" for each in at]
    for place, count in enumerate(rows_of):
        yield {
            "value": f"{written[place]} to {written[place + 1]}",
            "low": at[place],
            "high": at[place + 1],
            "count": count,
            "ratio": count / state.value_count,
        }


def _list_top_values(state: ColumnState) -> Iterator[dict[str, Any]]:
    for value, rows in sorted(
        state.category_counts.items(), key=lambda each: (-each[1], str(each[0]))
    )[:TOP]:
        yield {"value": value, "count": rows, "ratio": rows / state.value_count}


def _build_time_bins(state: ColumnState) -> Iterator[dict[str, Any]]:
    """By day, month or year, whichever leaves few enough bins; empty ones between are left out."""
    days = {from_micros(day * DAY_MICROS): rows for day, rows in sorted(state.days.items())}
    span = (max(days) - min(days)).days + 1
    grain = "day" if span <= _MAX_DAY_BINS else "month" if span / 30 <= _MAX_MONTH_BINS else "year"
    counted: dict[datetime, int] = {}
    for day, rows in days.items():
        start = (
            day
            if grain == "day"
            else datetime(day.year, day.month if grain == "month" else 1, 1, tzinfo=UTC)
        )
        counted[start] = counted.get(start, 0) + rows
    for start, rows in counted.items():
        end = _compute_bin_end(start, grain)
        text = f"{start:%Y-%m-%d}"[: {"day": 10, "month": 7, "year": 4}[grain]]
        yield {
            "value": text,
            "low": start.isoformat(),
            "high": end and end.isoformat(),
            "count": rows,
            "ratio": rows / state.value_count,
        }


def _compute_bin_end(start: datetime, grain: str) -> datetime | None:
    try:
        if grain == "day":
            return start + timedelta(days=1)
        years, month = divmod(start.month, 12) if grain == "month" else (1, 0)
        return datetime(start.year + years, month + 1, 1, tzinfo=UTC)
    except (OverflowError, ValueError):  # behind the year 9999
        return None


_HISTOGRAMS = {
    "number": _build_numeric_bins,
    "time": _build_time_bins,
    "category": _list_top_values,
}
