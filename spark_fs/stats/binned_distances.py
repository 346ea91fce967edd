"""How far two states of a column lie apart, by the shares of their rows in common bins.

Formulas are those of Hopsworks' monitoring; the shares are of all rows, not of a histogram's bins.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.distances import Distribution, measure_drift
from spark_fs.stats.interpolation import compute_quantiles
from spark_fs.stats.sketches.quantiles import Doubles

_BY_VALUES = {
    "WASSERSTEIN": "wasserstein",
    "KOLMOGOROV_SMIRNOV": "kolmogorov_smirnov",
}


@dataclass(frozen=True)
class Binning:
    """How rows are put into bins.

    strategy: "EQUI_FREQUENCY" (quantiles of the reference), "EQUI_WIDTH" (between its least and
    greatest value), "CUSTOM_EDGES" or "CATEGORICAL". count: how many bins. epsilon: how many rows
    are added to each, so that none is empty. edges: of "CUSTOM_EDGES".
    """

    strategy: str
    count: int = 10
    epsilon: float = 1e-6
    edges: Sequence[float] = ()


def measure_distance(
    metric: str, detected: ColumnState, reference: ColumnState, binning: Binning
) -> float | None:
    """The distance of one column's detected rows from its reference; None where a side has none.

    Args:
        metric: "PSI", "KL_DIVERGENCE", "JS_DIVERGENCE" or "HELLINGER", by bins; "WASSERSTEIN" or
            "KOLMOGOROV_SMIRNOV", by all values.
        detected: The state of the column that may have moved.
        reference: The state that it is compared with.
        binning: How rows are put into bins.
    """
    if not detected.finite_count or not reference.finite_count:
        return None
    if metric in _BY_VALUES:
        return measure_drift(reference, detected).get(_BY_VALUES[metric])
    if binning.strategy == "CATEGORICAL":
        counts = _count_categories(detected, reference)
    else:
        edges = _choose_edges(reference, binning)
        counts = [_count_rows(state, edges) for state in (detected, reference)]
    shares = [(each + binning.epsilon) / (each + binning.epsilon).sum() for each in counts]
    return float(_FORMULAS[metric](*shares))


def _count_categories(detected: ColumnState, reference: ColumnState) -> list[Doubles]:
    counts: list[Mapping[Any, int]] = [state.category_counts for state in (detected, reference)]
    categories = sorted({*counts[0], *counts[1]}, key=str)
    return [np.array([float(each.get(name, 0)) for name in categories]) for each in counts]


def _choose_edges(reference: ColumnState, binning: Binning) -> Doubles:
    """The inner edges of the bins; the outermost are open."""
    rows = Distribution(*reference.weighted_points)
    if binning.strategy == "CUSTOM_EDGES":
        return np.unique(np.asarray(binning.edges, dtype=float))[1:-1]
    cuts = [cut / binning.count for cut in range(1, binning.count)]
    if binning.strategy == "EQUI_WIDTH":
        low, high = float(rows.values[0]), float(rows.values[-1])
        return np.unique([low + cut * (high - low) for cut in cuts])
    return np.unique(compute_quantiles(rows.values, rows.rows, cuts))


def _count_rows(state: ColumnState, edges: Doubles) -> Doubles:
    rows = Distribution(*state.weighted_points)
    shares = np.diff(np.concatenate([[0.0], rows.share_below(edges), [1.0]]))
    counts: Doubles = shares * rows.total_rows
    return counts


def _psi(detected: Doubles, reference: Doubles) -> float:
    return float(((detected - reference) * np.log(detected / reference)).sum())


def _kl_divergence(detected: Doubles, reference: Doubles) -> float:
    return float((detected * np.log(detected / reference)).sum())


def _js_divergence(detected: Doubles, reference: Doubles) -> float:
    middle = (detected + reference) / 2
    return (_kl_divergence(detected, middle) + _kl_divergence(reference, middle)) / 2


def _hellinger(detected: Doubles, reference: Doubles) -> float:
    return math.sqrt(((np.sqrt(detected) - np.sqrt(reference)) ** 2).sum() / 2)


_FORMULAS: Mapping[str, Callable[[Doubles, Doubles], float]] = {
    "PSI": _psi,
    "KL_DIVERGENCE": _kl_divergence,
    "JS_DIVERGENCE": _js_divergence,
    "HELLINGER": _hellinger,
}
