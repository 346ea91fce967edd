"""From the state of a column to what is said of it."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from spark_fs.spec.statistics import FeatureStatistics, StatisticsConfig
from spark_fs.stats.column import DAY, Column, kind
from spark_fs.stats.exact import Numbers
from spark_fs.stats.quantiles import Doubles
from spark_fs.types import LAST, base, from_micros

BINS = TOP = 20
PERCENTILES = tuple(range(1, 100))
_DAYS, _MONTHS = 92, 120  # at most so many bins; above, longer ones
_HEAVY = 0.02  # the share of rows from which a value is taken to be known well by a sketch of quantiles
Exact = tuple[int, float, float]  # distinct values, values that come once, entropy


def described(name: str, column: Column, config: StatisticsConfig, exact: Exact | None = None) -> FeatureStatistics:
    """What is said of a column; exact: its distinct values where they were counted one by one."""
    which = kind(column.type)
    found: dict[str, Any] = {
        "count": column.rows, "num_null_values": column.nulls, "completeness": column.values / column.rows if column.rows else 0.0,
    }
    if which == "nested":
        return FeatureStatistics(name, column.type, **found)
    found |= _distinct(column, exact)
    found |= {"min": column.low, "max": column.high}
    if base(column.type) in ("float", "double"):
        found |= {"num_nan_values": column.nans, "num_infinite_values": column.above + column.below}
    if which == "number" and column.count:
        found |= {"sum": column.sum, "mean": column.mean, "stddev": column.stddev}
    if which in ("number", "time") and column.count:
        found |= {"percentiles": _typed(percentiles(column), column), "approximate": not column.exact}
    if config.histograms:
        found["histogram"] = list(_BINNED[which](column)) if column.count else []
    return FeatureStatistics(name, column.type, **found)


def _distinct(column: Column, exact: Exact | None) -> dict[str, Any]:
    rows, sketch = column.values, column.distinct
    number, once = (exact[0], exact[1]) if exact else (sketch.number, sketch.once)
    entropy = exact[2] if exact else sketch.entropy(_often(column)) if rows else 0.0
    return {
        "approx_num_distinct_values": number, "exact_num_distinct_values": number if exact or sketch.exact else None,
        "distinctness": number / rows if rows else 0.0, "uniqueness": min(1.0, once / rows) if rows else 0.0, "entropy": entropy,
    }


def _often(column: Column) -> list[tuple[Any, int]]:
    """Values that come often, with about their rows."""
    if column.distinct.exact:
        return []
    if column.frequent.rows:
        sure = max(column.frequent.slack * 2, column.values // 1000)
        return [(text, rows) for text, rows in column.frequent.rows.items() if rows > sure]
    values, rows = column.quantiles.points
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    summed = np.add.reduceat(rows, starts)
    heavy = summed > _HEAVY * column.count
    return list(zip(values[starts][heavy].tolist(), summed[heavy].tolist(), strict=True))


# -- percentiles


def percentiles(column: Column, shares: Sequence[float] = PERCENTILES) -> list[float]:
    """Percentiles of the finite values, linearly interpolated between the two nearest ranks."""
    values, rows = column.points
    return quantiles(values, rows, [share / 100 for share in shares])


def quantiles(values: Doubles, rows: Numbers, shares: Sequence[float]) -> list[float]:
    """Quantiles of sorted values that each stand for some rows."""
    ends = np.cumsum(rows)
    place = (int(ends[-1]) - 1) * np.array(shares)
    low = np.floor(place)
    below, above = (values[np.minimum(np.searchsorted(ends, rank, side="right"), len(values) - 1)] for rank in (low, low + 1))
    part = place - low
    with np.errstate(over="ignore", invalid="ignore"):
        apart = above - below
        found = np.where(part >= 0.5, above - apart * (1 - part), below + apart * part)
    wide = ~np.isfinite(apart)
    found[wide] = below[wide] * (1 - part[wide]) + above[wide] * part[wide]
    return [float(each) for each in np.where(below == above, below, found)]


def _typed(found: list[float], column: Column) -> list[Any]:
    """Percentiles as values of the column's type.

    Microseconds as doubles are rounded, from the year 2255 on by more than one, so they are held within the least and the greatest value.
    """
    if kind(column.type) != "time":
        return found
    instants = [from_micros(min(round(each), LAST)) for each in found]
    times = [each.date() for each in instants] if column.type == "date" else instants
    return [min(max(each, column.low), column.high) for each in times]


# -- histograms


def edges(low: float, high: float, bins: int = BINS) -> Doubles:
    """The bounds of bins of equal width, as ``numpy.histogram`` has them; around a single value one of the width 1."""
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    parts = np.arange(bins + 1) / bins
    return np.linspace(low, high, bins + 1) if math.isfinite(high - low) else low * (1 - parts) + high * parts


def _numeric(column: Column) -> Iterator[dict[str, Any]]:
    values, rows = column.points
    low, high = float(column.low), float(column.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = float(values[0]), float(values[-1])
    bounds = edges(low, high)
    if bounds[0] == bounds[-1] or not (np.diff(bounds) > 0).all():  # neighbours, between which there is no room for bins
        bounds = np.array([low, high])
    inside = np.clip(np.searchsorted(bounds, values, side="right") - 1, 0, len(bounds) - 2)
    counts = np.bincount(inside, rows, len(bounds) - 1)
    at, rows_of = bounds.tolist(), counts.astype(np.int64).tolist()
    written = [f"{each:.6g}" for each in at]
    for place, count in enumerate(rows_of):
        yield {"value": f"{written[place]} to {written[place + 1]}", "low": at[place], "high": at[place + 1], "count": count,
               "ratio": count / column.values}


def _top(column: Column) -> Iterator[dict[str, Any]]:
    for value, rows in sorted(column.counted.items(), key=lambda each: (-each[1], str(each[0])))[:TOP]:
        yield {"value": value, "count": rows, "ratio": rows / column.values}


def _days(column: Column) -> Iterator[dict[str, Any]]:
    """By day, month or year, whichever leaves few enough bins; empty ones between are left out."""
    days = {from_micros(day * DAY): rows for day, rows in sorted(column.days.items())}
    span = (max(days) - min(days)).days + 1
    grain = "day" if span <= _DAYS else "month" if span / 30 <= _MONTHS else "year"
    counted: dict[datetime, int] = {}
    for day, rows in days.items():
        start = day if grain == "day" else datetime(day.year, day.month if grain == "month" else 1, 1, tzinfo=UTC)
        counted[start] = counted.get(start, 0) + rows
    for start, rows in counted.items():
        end = _after(start, grain)
        text = f"{start:%Y-%m-%d}"[: {"day": 10, "month": 7, "year": 4}[grain]]
        yield {"value": text, "low": start.isoformat(), "high": end and end.isoformat(), "count": rows, "ratio": rows / column.values}


def _after(start: datetime, grain: str) -> datetime | None:
    try:
        if grain == "day":
            return start + timedelta(days=1)
        years, month = divmod(start.month, 12) if grain == "month" else (1, 0)
        return datetime(start.year + years, month + 1, 1, tzinfo=UTC)
    except (OverflowError, ValueError):  # behind the year 9999
        return None


_BINNED = {"number": _numeric, "time": _days, "category": _top}
