"""Transformations of numbers: scaled, in logarithms, in bins.

A formula takes a number or an array of them alike, but where an array needs a way of its own.
"""

import math
from bisect import bisect_left
from typing import Any

from spark_fs.transform.array_values import to_masked_column, to_zero_filled_doubles
from spark_fs.transform.learning import QUARTILES, Formula, Options, TrainStatistics
from spark_fs.transform.states import State

# -- numbers moved and scaled


def fit_range(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The least and the greatest value."""
    return {"min": statistics.low, "max": statistics.high}


def fit_moments(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The mean and the population's deviation."""
    return {"mean": statistics.mean, "stddev": statistics.stddev}


def fit_quartiles(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The quartiles."""
    return dict(zip(("p25", "p50", "p75"), statistics.compute_quantiles(QUARTILES), strict=True))


def make_min_max_scaler(state: State) -> Formula:
    """From 0 at the least value to 1 at the greatest."""
    return _make_scaler(state["min"], state["max"] - state["min"])


def make_standard_scaler(state: State) -> Formula:
    """By how many deviations x is above the mean."""
    return _make_scaler(state["mean"], state["stddev"])


def make_robust_scaler(state: State) -> Formula:
    """By how many interquartile ranges x is above the median."""
    return _make_scaler(state["p50"], state["p75"] - state["p25"])


def _make_scaler(center: float, span: float) -> Formula:
    """X less its center, over a span where there is one: a constant feature has none."""
    if span:
        return lambda x: (x - center) / span
    return lambda x: x - center


# -- logarithms


def make_logarithm(_: State) -> Formula:
    """The natural logarithm; NaN where x is not above 0."""
    return lambda x: math.log(x) if x > 0 else math.nan


def compute_logarithms(column: Any, type_: str, _: State) -> list[Any]:
    """By the machine's own logarithm, as ``math.log`` is.

    NumPy's differs from it in the last bit on some processors.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values = to_zero_filled_doubles(column, type_)
    positive = pa.array(np.where(values > 0, values, np.nan))
    return [to_masked_column(pc.ln(positive).to_numpy(), column, pa.float64())]


# -- bins


def fit_equal_width_cuts(statistics: TrainStatistics, options: Options) -> dict[str, Any]:
    """The cuts between bins of equal width; none of a constant feature."""
    low = statistics.low
    high = statistics.high
    if low == high:
        return {"cuts": []}
    bin_count = options["n_bins"]
    width = (high - low) / bin_count
    return {"cuts": [low + width * step for step in range(1, bin_count)]}


def fit_quartile_cuts(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The quartiles that differ."""
    return {"cuts": sorted(set(statistics.compute_quantiles(QUARTILES)))}


def make_binner(state: State) -> Formula:
    """The number of cuts below x; of a cut itself the lower bin. NaN is in no bin."""
    cuts = state["cuts"]
    return lambda x: None if math.isnan(x) else bisect_left(cuts, x)


def compute_bins(column: Any, type_: str, state: State) -> list[Any]:
    """The bins of a column."""
    import numpy as np
    import pyarrow as pa

    values = to_zero_filled_doubles(column, type_)
    bins = np.searchsorted(np.array(state["cuts"], np.float64), values, side="left")
    mask = np.isnan(values) | column.is_null().to_numpy()
    return [pa.chunked_array([pa.array(bins, pa.int64(), mask=mask)], pa.int64())]
