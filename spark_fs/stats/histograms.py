"""Histograms of columns: bins of equal width, the most frequent categories, or days to years."""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from spark_fs.base.times import DAY_MICROS, from_micros
from spark_fs.base.types import INTEGERS
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.column_values import ColumnKind, get_column_kind
from spark_fs.stats.sketches.quantiles import Doubles

BIN_COUNT = 20
TOP_COUNT = 20
MAX_INTEGER_BINS = 30  # of whole numbers: up to so many have a bin each
# at most so many bins of a histogram of times; above, longer ones
_MAX_DAY_BINS = 92
_MAX_MONTH_BINS = 120
_EXACT_DOUBLES = 1 << 53  # below it every whole number is a double
Bin = dict[str, Any]
Grain = Literal["day", "month", "year"]
_DATE_LENGTHS: Mapping[Grain, int] = {"day": 10, "month": 7, "year": 4}  # of YYYY-MM-DD


def build_histogram(state: ColumnState) -> list[Bin]:
    """The bins of a column that is not nested, as ``FeatureStatistics`` says; [] without values."""
    if not state.finite_count:
        return []
    return list(_HISTOGRAMS[get_column_kind(state.type)](state))


def compute_bin_edges(low: float, high: float, bins: int = BIN_COUNT) -> Doubles:
    """The bounds of bins of equal width, as ``numpy.histogram`` has them.

    Args:
        low: the least value.
        high: the greatest value; where it is the least one too, the bins span a width of 1.
        bins: how many.

    Returns:
        The bounds, one more than there are bins.
    """
    if low == high:
        low -= 0.5
        high += 0.5
    if math.isfinite(high - low):
        return np.linspace(low, high, bins + 1)
    fractions = np.arange(bins + 1) / bins
    return low * (1 - fractions) + high * fractions


def _build_numeric_bins(state: ColumnState) -> Iterator[Bin]:
    values, rows = state.weighted_points
    edges = _choose_edges(state, values)
    bin_count = len(edges) - 1
    bin_numbers = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bin_count - 1)
    counts = np.bincount(bin_numbers, rows, bin_count).astype(np.int64)
    bounds = edges.tolist()
    labels = _label_bins(state, bounds)
    for i, count in enumerate(counts.tolist()):
        yield {
            "value": labels[i],
            "low": bounds[i],
            "high": bounds[i + 1],
            "count": count,
            "ratio": count / state.value_count,
        }


def _has_bin_each(state: ColumnState) -> bool:
    """Whether each whole number of a column has a bin of its own."""
    if state.type not in INTEGERS or max(-state.low, state.high) >= _EXACT_DOUBLES:
        return False
    return bool(state.high - state.low < MAX_INTEGER_BINS)


def _label_bins(state: ColumnState, bounds: list[float]) -> list[str]:
    labels = [f"{bound:.6g}" for bound in bounds]
    if _has_bin_each(state):
        return [str(int(bound)) for bound in bounds[:-1]]
    return [f"{low} to {high}" for low, high in pairwise(labels)]


def _choose_edges(state: ColumnState, values: Doubles) -> Doubles:
    low = float(state.low)
    high = float(state.high)
    if _has_bin_each(state):
        return np.arange(state.low, state.high + 2).astype(np.float64)
    if not (math.isfinite(low) and math.isfinite(high)):
        low = float(values[0])
        high = float(values[-1])
    edges = compute_bin_edges(low, high)
    if edges[0] == edges[-1] or not (np.diff(edges) > 0).all():
        return np.array([low, high])  # neighbours, between which there is no room for bins
    return edges


def _list_top_categories(state: ColumnState) -> Iterator[Bin]:
    by_frequency = sorted(
        state.category_counts.items(), key=lambda category: (-category[1], str(category[0]))
    )
    for value, rows in by_frequency[:TOP_COUNT]:
        yield {"value": value, "count": rows, "ratio": rows / state.value_count}


def _build_time_bins(state: ColumnState) -> Iterator[Bin]:
    """By day, month or year, whichever leaves few enough bins; empty ones between are left out."""
    rows_by_day = {from_micros(day * DAY_MICROS): rows for day, rows in sorted(state.days.items())}
    grain = _choose_grain((max(rows_by_day) - min(rows_by_day)).days + 1)
    rows_by_start: dict[datetime, int] = {}
    for day, rows in rows_by_day.items():
        start = _compute_bin_start(day, grain)
        rows_by_start[start] = rows_by_start.get(start, 0) + rows
    for start, rows in rows_by_start.items():
        end = _compute_bin_end(start, grain)
        yield {
            "value": f"{start:%Y-%m-%d}"[: _DATE_LENGTHS[grain]],
            "low": start.isoformat(),
            "high": end and end.isoformat(),
            "count": rows,
            "ratio": rows / state.value_count,
        }


def _choose_grain(day_count: int) -> Grain:
    if day_count <= _MAX_DAY_BINS:
        return "day"
    if day_count / 30 <= _MAX_MONTH_BINS:
        return "month"
    return "year"


def _compute_bin_start(day: datetime, grain: Grain) -> datetime:
    if grain == "day":
        return day
    month = day.month if grain == "month" else 1
    return datetime(day.year, month, 1, tzinfo=UTC)


def _compute_bin_end(start: datetime, grain: Grain) -> datetime | None:
    """Where a bin ends, open; None behind the year 9999."""
    try:
        if grain == "day":
            return start + timedelta(days=1)
        if grain == "year":
            return datetime(start.year + 1, 1, 1, tzinfo=UTC)
        years, month = divmod(start.month, 12)
        return datetime(start.year + years, month + 1, 1, tzinfo=UTC)
    except (OverflowError, ValueError):
        return None


_HISTOGRAMS: Mapping[ColumnKind, Callable[[ColumnState], Iterator[Bin]]] = {
    "number": _build_numeric_bins,
    "time": _build_time_bins,
    "category": _list_top_categories,
}
