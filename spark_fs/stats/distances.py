"""How far the values of a column have moved from those of a reference, from the states of both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import chdtrc, rel_entr

from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.column_values import get_column_kind
from spark_fs.stats.interpolation import compute_quantiles
from spark_fs.stats.scores import compute_chi_squared
from spark_fs.stats.sketches.quantiles import Doubles, Integers

BINS = 10  # of the reference, each with as many of its rows
MAX_CATEGORIES = 50  # of both sides, the most frequent; the others are one
# of the rows of both sides: what comes less often is one category, so that strings that never
# repeat do not drift
RARE_SHARE = 0.005
# the least share that a bin counts for in PSI, since a share of 0 would make it infinite
MIN_SHARE = 1e-4

Measures = dict[str, float]


@dataclass(frozen=True)
class Distribution:
    """Sorted values and for how many rows each stands."""

    values: Doubles
    rows: Integers

    @property
    def total_rows(self) -> int:
        """How many rows there are."""
        return int(self.rows.sum())

    def share_below(self, bounds: Doubles, side: Literal["left", "right"] = "right") -> Doubles:
        """The share of rows at or below some values, or below them with side "left"."""
        ends = np.concatenate([[0], np.cumsum(self.rows)])
        shares: Doubles = ends[np.searchsorted(self.values, bounds, side=side)] / self.total_rows
        return shares


def measure_drift(reference: ColumnState, current: ColumnState) -> Measures:
    """What can be measured between two states of one column.

    null_share: how much greater the share of nulls is. psi: the population stability index, natural
    logarithm, over the deciles of the reference, or over categories, of which the rare ones are
    one; shares below 1e-4 count as that. jensen_shannon: the distance (the root of the divergence,
    to base 2) over the same bins. kolmogorov_smirnov: the greatest difference of the distribution
    functions. wasserstein: the first Wasserstein distance, in the feature's own unit (of times:
    seconds). mean_shift: the difference of the means in standard deviations of the reference.
    chi_squared, chi_squared_p_value: of the table of both sides' categories. Numbers are the finite
    ones.

    Args:
        reference: the state to compare with.
        current: the state that may have drifted.

    Returns:
        The measures by their names; where a side has no value only that of the nulls, if both have
        rows.
    """
    measures: Measures = {}
    if reference.rows and current.rows:
        measures["null_share"] = _compute_null_share(current) - _compute_null_share(reference)
    if reference.finite_count and current.finite_count:
        kind = get_column_kind(reference.type)
        if kind == "category":
            measures |= _measure_categories(reference, current)
        elif kind in ("number", "time"):
            measures |= _measure_numbers(reference, current)
    return measures


def _compute_null_share(state: ColumnState) -> float:
    return state.nulls / state.rows


def _measure_numbers(reference: ColumnState, current: ColumnState) -> Measures:
    before = Distribution(*reference.weighted_points)
    now = Distribution(*current.weighted_points)
    deciles = [cut / BINS for cut in range(1, BINS)]
    edges = np.unique(compute_quantiles(before.values, before.rows, deciles))
    measures = _compare_bins(_compute_bin_shares(before, edges), _compute_bin_shares(now, edges))
    kind = get_column_kind(reference.type)
    unit = 1e-6 if kind == "time" else 1.0  # times are microseconds
    measures |= _compare_distributions(before, now, unit)
    if kind == "number":
        measures["mean_shift"] = _compute_mean_shift(reference, current)
    return measures


def _compare_distributions(before: Distribution, now: Distribution, unit: float) -> Measures:
    values = np.union1d(before.values, now.values)
    distances = np.abs(before.share_below(values) - now.share_below(values))
    return {
        "kolmogorov_smirnov": float(distances.max()),
        "wasserstein": float((distances[:-1] * np.diff(values)).sum()) * unit,
    }


def _compute_bin_shares(distribution: Distribution, edges: Doubles) -> Doubles:
    return np.diff(np.concatenate([[0.0], distribution.share_below(edges), [1.0]]))


def _compute_mean_shift(reference: ColumnState, current: ColumnState) -> float:
    """In deviations of the reference; infinite where it has none and the mean moved."""
    shift = current.mean - reference.mean
    if reference.stddev:
        return shift / reference.stddev
    return 0.0 if shift == 0 else math.copysign(math.inf, shift)


def _measure_categories(reference: ColumnState, current: ColumnState) -> Measures:
    table = _count_categories(reference, current)
    shares = table / table.sum(axis=1, keepdims=True)
    statistic = compute_chi_squared(table)
    freedom = table.shape[1] - 1
    p_value = 1.0
    if freedom:
        p_value = float(chdtrc(freedom, statistic))
    return {
        **_compare_bins(shares[0], shares[1]),
        "chi_squared": statistic,
        "chi_squared_p_value": p_value,
    }


def _count_categories(reference: ColumnState, current: ColumnState) -> Doubles:
    """The rows of each category (sides x categories); the last column is the rare ones, if any."""
    states = (reference, current)
    counts_by_side = [state.category_counts for state in states]
    rare_rows = RARE_SHARE * (reference.value_count + current.value_count)
    categories = _choose_categories(counts_by_side, rare_rows)
    table = np.empty((2, len(categories)))
    rest = np.empty((2, 1))
    for side, counts in enumerate(counts_by_side):
        table[side] = [counts.get(category, 0) for category in categories]
        rest[side] = max(0, states[side].value_count - table[side].sum())
    return np.hstack([table, rest]) if rest.any() else table


def _choose_categories(counts_by_side: Sequence[Mapping[Any, int]], rare_rows: float) -> list[Any]:
    """The categories that are not rare, the most frequent of both sides first."""
    totals: dict[Any, int] = {}
    for counts in counts_by_side:
        for category, rows in counts.items():
            totals[category] = totals.get(category, 0) + rows
    by_frequency = sorted(totals, key=lambda category: (-totals[category], str(category)))
    most_frequent = by_frequency[:MAX_CATEGORIES]
    return [category for category in most_frequent if totals[category] >= rare_rows]


def _compare_bins(reference: Doubles, current: Doubles) -> Measures:
    before = np.maximum(reference, MIN_SHARE)
    now = np.maximum(current, MIN_SHARE)
    middle = (reference + current) / 2
    nats = float(rel_entr(reference, middle).sum() + rel_entr(current, middle).sum())
    divergence = max(0.0, nats / 2 / math.log(2))
    return {
        "psi": float(((now - before) * np.log(now / before)).sum()),
        "jensen_shannon": math.sqrt(divergence),
    }
