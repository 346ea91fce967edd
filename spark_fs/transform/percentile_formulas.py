"""Transformations by the percentiles of the train split, with Hopsworks' formulas.

A percentile is linearly interpolated, the first of the 99 is the 1st. What is computed of a number
here is computed of an array by the same operations in the same order.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from spark_fs.errors import SettingsError
from spark_fs.transform.array_values import to_masked_column, to_zero_filled_doubles
from spark_fs.transform.learning import PERCENTILES, Formula, Options, TrainStatistics
from spark_fs.transform.states import State


def fit_percentiles(statistics: TrainStatistics, _: Options) -> dict[str, Any]:
    """The 99 percentiles."""
    return {"percentiles": statistics.compute_quantiles(PERCENTILES)}


# -- the place in the distribution of the train split, from 0 to 1


def make_quantile_transformer(state: State) -> Formula:
    """Where x lies between the percentiles, linearly interpolated; of a constant feature 0.5."""
    knots, places = _list_knots(state["percentiles"])
    last = len(knots) - 1
    if not last:
        return lambda x: x if x != x else 0.5
    slopes = _compute_slopes(knots, places)

    def transform(x: float) -> float:
        if x != x:
            return x
        if x <= knots[0]:
            return places[0]
        if x >= knots[last]:
            return places[last]
        segment = bisect_right(knots, x) - 1
        return slopes[segment] * (x - knots[segment]) + places[segment]

    return transform


def compute_quantile_places(column: Any, type_: str, state: State) -> list[Any]:
    """The same of a column."""
    import numpy as np
    import pyarrow as pa

    values = to_zero_filled_doubles(column, type_)
    knots, places = _list_knots(state["percentiles"])
    last = len(knots) - 1
    if last:
        with np.errstate(all="ignore"):
            slopes = np.array([*_compute_slopes(knots, places), 0.0])
            segments = np.clip(np.searchsorted(knots, values, side="right") - 1, 0, last)
            starts = np.array(knots)[segments]
            inner = slopes[segments] * (values - starts) + np.array(places)[segments]
        placed = np.where(values <= knots[0], places[0], inner)
        placed = np.where(values >= knots[last], places[last], placed)
    else:
        placed = np.full(len(values), 0.5)
    placed = np.where(np.isnan(values), values, placed)
    return [to_masked_column(placed, column, pa.float64())]


def _list_knots(percentiles: Sequence[float]) -> tuple[list[float], list[float]]:
    """The percentiles that are above those before them, and their places from 0 to 1."""
    span = len(percentiles) - 1
    knots: list[float] = []
    places: list[float] = []
    for number, percentile in enumerate(percentiles):
        if not knots or percentile > knots[-1]:
            knots.append(percentile)
            places.append(number / span)
    return knots, places


def _compute_slopes(knots: Sequence[float], places: Sequence[float]) -> list[float]:
    slopes: list[float] = []
    for start in range(len(knots) - 1):
        rise = places[start + 1] - places[start]
        slopes.append(rise / (knots[start + 1] - knots[start]))
    return slopes


def make_rank_normalizer(state: State) -> Formula:
    """The share of the percentiles that are not above x."""
    percentiles = state["percentiles"]
    count = len(percentiles)
    return lambda x: x if x != x else bisect_right(percentiles, x) / count


def compute_ranks(column: Any, type_: str, state: State) -> list[Any]:
    """The same of a column."""
    import numpy as np
    import pyarrow as pa

    values = to_zero_filled_doubles(column, type_)
    percentiles = np.array(state["percentiles"], np.float64)
    ranks = np.searchsorted(percentiles, values, side="right") / len(percentiles)
    ranks = np.where(np.isnan(values), values, ranks)
    return [to_masked_column(ranks, column, pa.float64())]


# -- values that are clipped


def list_clip_shares(options: Options) -> tuple[float, ...]:
    """The two quantiles that values are clipped to; SettingsError where they do not differ."""
    low = options["p_low"]
    high = options["p_high"]
    if not low < high:
        raise SettingsError(
            f"Transformation 'winsorize' clips from p_low={low:g} to p_high={high:g} percent: let"
            " p_low be less than p_high."
        )
    return (low / 100, high / 100)


def fit_clip_bounds(statistics: TrainStatistics, options: Options) -> dict[str, Any]:
    """The values that clipping begins at."""
    low, high = statistics.compute_quantiles(list_clip_shares(options))
    return {"low": low, "high": high}


def make_winsorizer(state: State) -> Formula:
    """X, or the nearer bound; NaN stays NaN."""
    low: float = state["low"]
    high: float = state["high"]

    def clip(x: float) -> float:
        if x < low:
            return low
        return high if x > high else x

    return clip


def compute_clipped(column: Any, type_: str, state: State) -> list[Any]:
    """The same of a column."""
    import numpy as np
    import pyarrow as pa

    values = to_zero_filled_doubles(column, type_)
    clipped = np.where(values < state["low"], state["low"], values)
    clipped = np.where(values > state["high"], state["high"], clipped)
    return [to_masked_column(clipped, column, pa.float64())]
