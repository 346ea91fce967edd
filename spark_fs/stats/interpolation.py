"""Quantiles between two ranks, linearly interpolated as ``numpy.percentile`` does."""

from collections.abc import Sequence

import numpy as np

from spark_fs.stats.sketches.quantiles import Doubles, Integers


def compute_quantiles(values: Doubles, rows: Integers, shares: Sequence[float]) -> list[float]:
    """The quantiles of weighted values.

    Args:
        values: in ascending order, at least one.
        rows: how many rows each value stands for.
        shares: the quantiles to compute, from 0 to 1.

    Returns:
        A quantile for each share.
    """
    ends = np.cumsum(rows)
    positions = (int(ends[-1]) - 1) * np.array(shares)
    ranks = np.floor(positions)
    below = _select_at_ranks(values, ends, ranks)
    above = _select_at_ranks(values, ends, ranks + 1)
    quantiles: list[float] = interpolate_linearly(below, above, positions - ranks).tolist()
    return quantiles


def _select_at_ranks(values: Doubles, ends: Integers, ranks: Doubles) -> Doubles:
    places = np.searchsorted(ends, ranks, side="right")
    return values[np.minimum(places, len(values) - 1)]


def interpolate_linearly(below: Doubles, above: Doubles, fractions: Doubles) -> Doubles:
    """The points between two values each, at a fraction of the way from the lower to the upper.

    Each is computed from the nearer of the two values. Where their distance is more than a double
    holds, both are weighted instead, so that the result of finite values is finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        distances = above - below
        from_below = below + distances * fractions
        from_above = above - distances * (1 - fractions)
        points = np.where(fractions >= 0.5, from_above, from_below)
        weighted = below * (1 - fractions) + above * fractions
    points = np.where(np.isfinite(distances), points, weighted)
    is_lower = (fractions == 0) | (below == above)  # nothing is to be added, not even infinity
    return np.where(is_lower, below, points)
