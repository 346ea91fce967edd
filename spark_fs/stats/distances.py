"""How far the values of a column have moved from those of a reference, from the states of both."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, rel_entr

from spark_fs.stats.column_state import ColumnState, get_column_kind
from spark_fs.stats.describe import compute_quantiles
from spark_fs.stats.exact import Integers
from spark_fs.stats.scores import compute_chi_squared
from spark_fs.stats.sketches.quantiles import Doubles

BINS = 10  # of the reference, each with as many of its rows
MAX_CATEGORIES = 50  # of both sides, the most frequent; the others are one
# of the rows of both sides: what comes less often is one category, so that texts that never repeat
# do not drift
RARE_SHARE = 0.005
MIN_SHARE = (
    1e-4  # the least share that a bin counts for in PSI, since a share of 0 would make it infinite
)

Measures = dict[str, float]


@dataclass(frozen=True)
class _Distribution:
    """Sorted values and for how many rows each stands."""

    values: Doubles
    rows: Integers

    @property
    def total_rows(self) -> int:
        return int(self.rows.sum())

    def share_below(self, bounds: Doubles, side: str = "right") -> Doubles:
        """The share of rows at or below some values, or below them with side "left"."""
        ends = np.concatenate([[0], np.cumsum(self.rows)])
        return ends[np.searchsorted(self.values, bounds, side=side)] / self.total_rows  # type: ignore[call-overload] # "left" or "right"


def measure_drift(reference: ColumnState, current: ColumnState) -> Measures:
    """What can be measured between two states of one column.

    null_share: how much greater the share of nulls is. psi: the population stability index, natural
    logarithm, over the deciles of the reference, or over categories, of which the rare ones are
    one; shares below 1e-4 count as that. jensen_shannon: the distance (the root of the divergence,
    to base 2) over the same bins. kolmogorov_smirnov: the greatest difference of the distribution
    functions. wasserstein: the first Wasserstein distance, in the feature's own unit (of times:
    seconds). mean_shift: the difference of the means in standard deviations of the reference.
    chi_squared, chi_squared_p_value: of the table of both sides' categories. Numbers are the finite
    ones. Where a side has no value only the nulls are compared, if it has rows.
    """
    found = (
        {"null_share": _compute_null_share(current) - _compute_null_share(reference)}
        if reference.rows and current.rows
        else {}
    )
    if reference.finite_count and current.finite_count:
        found |= (
            _measure_categories(reference, current)
            if get_column_kind(reference.type) == "category"
            else {}
        )
        found |= (
            _measure_numbers(reference, current)
            if get_column_kind(reference.type) in ("number", "time")
            else {}
        )
    return found


def _compute_null_share(state: ColumnState) -> float:
    return state.nulls / state.rows


def _measure_numbers(reference: ColumnState, current: ColumnState) -> Measures:
    before, now = (_Distribution(*column.weighted_points) for column in (reference, current))
    edges = np.unique(
        compute_quantiles(before.values, before.rows, [cut / BINS for cut in range(1, BINS)])
    )
    shares = [
        np.diff(np.concatenate([[0.0], side.share_below(edges), [1.0]])) for side in (before, now)
    ]
    every = np.union1d(before.values, now.values)
    apart = np.abs(before.share_below(every) - now.share_below(every))
    unit = 1e-6 if get_column_kind(reference.type) == "time" else 1.0
    found = {
        **_compare_bins(*shares),
        "kolmogorov_smirnov": float(apart.max()),
        "wasserstein": float((apart[:-1] * np.diff(every)).sum()) * unit,
    }
    if get_column_kind(reference.type) == "number":
        moved = current.mean - reference.mean
        found["mean_shift"] = (
            moved / reference.stddev
            if reference.stddev
            else 0.0
            if moved == 0
            else math.copysign(math.inf, moved)
        )
    return found


def _measure_categories(reference: ColumnState, current: ColumnState) -> Measures:
    sides = reference.category_counts, current.category_counts
    together = {
        value: sum(side.get(value, 0) for side in sides) for value in (*sides[0], *sides[1])
    }
    rare = RARE_SHARE * (reference.value_count + current.value_count)
    most = [
        value
        for value in sorted(together, key=lambda value: (-together[value], str(value)))[
            :MAX_CATEGORIES
        ]
        if together[value] >= rare
    ]
    table = np.array(
        [[side.get(value, 0) for value in most] for side in sides], dtype=float
    ).reshape(2, len(most))
    others = np.array(
        [
            [max(0, column.value_count - side)]
            for column, side in zip((reference, current), table.sum(axis=1), strict=True)
        ]
    )
    table = np.hstack([table, others]) if others.any() else table
    shares = table / table.sum(axis=1, keepdims=True)
    statistic = compute_chi_squared(table)
    freedom = table.shape[1] - 1
    return {
        **_compare_bins(*shares),
        "chi_squared": statistic,
        "chi_squared_p_value": float(chdtrc(freedom, statistic)) if freedom else 1.0,
    }


def _compare_bins(reference: Doubles, current: Doubles) -> Measures:
    before, now = (np.maximum(side, MIN_SHARE) for side in (reference, current))
    middle = (reference + current) / 2
    divergence = max(
        0.0,
        float(rel_entr(reference, middle).sum() + rel_entr(current, middle).sum())
        / 2
        / math.log(2),
    )
    return {
        "psi": float(((now - before) * np.log(now / before)).sum()),
        "jensen_shannon": math.sqrt(divergence),
    }
