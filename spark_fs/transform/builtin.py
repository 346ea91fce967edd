"""The built-in transformations: one row each. Adding one is adding a row.

A formula takes a number or an array of them alike, so training, batch and online compute the same
bits; where an array needs a way of its own (``columns.ARRAYS``) a test holds the two together.
Nulls never reach a formula.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from spark_fs.base.types import from_literal, to_literal
from spark_fs.transform.category_names import make_category_names, make_legacy_category_names

State = Mapping[str, Any]
Formula = Callable[[Any], Any]
RequiredStatistic = Literal["range", "moments", "quantiles", "categories"]
QUARTILES = (0.25, 0.5, 0.75)
BINS = 10  # of equal width, as in Hopsworks
MAX_ONE_HOT_CATEGORIES = 10_000  # at most for one-hot columns


class TrainStatistics(Protocol):
    """What the train split says of one feature; of NaN and infinities it takes no notice."""

    feature: str
    low: float
    high: float

    @property
    def mean(self) -> float: ...  # noqa: D102 # as the class says
    @property
    def stddev(self) -> float: ...  # noqa: D102 # as the class says
    @property
    def quartiles(self) -> list[float]: ...  # noqa: D102 # as the class says
    @property
    def categories(self) -> list[Any]: ...  # noqa: D102 # as the class says


@dataclass(frozen=True)
class Builtin:
    """What a built-in learns, and its formula.

    accepts: which features it takes. need: what it must know of the train split; None: nothing.
    learn: the state from that, as plain JSON. returns: the type of its outputs. formula: for a
    state, the function of one value. wide: whether it has an output for each category.
    """

    name: str
    accepts: Literal["number", "category"]
    required_statistic: RequiredStatistic | None
    fit: Callable[[TrainStatistics], dict[str, Any]]
    returns: str
    formula: Callable[[State], Formula]
    multi_output: bool = False


def _shift_scale(state: State, center_key: str, scale: float) -> Formula:
    """X - by, over a span where there is one: a constant feature has none."""
    low = state[center_key]
    return (lambda x: (x - low) / scale) if scale else (lambda x: x - low)


def _make_logarithm(_: State) -> Formula:
    return lambda x: math.log(x) if x > 0 else math.nan


def _make_binner(state: State) -> Formula:
    """The number of cuts below x; of a cut itself the lower bin. NaN is in no bin."""
    cuts = state["cuts"]
    return lambda x: None if x != x else bisect_left(cuts, x)


def _make_label_encoder(state: State) -> Formula:
    codes = {category: code for code, category in enumerate(get_categories(state))}
    return lambda x: codes.get(x, -1)


def _make_one_hot_encoder(state: State) -> Formula:
    known = get_categories(state)
    places = {category: place for place, category in enumerate(known)}
    none = (False,) * len(known)
    rows = [tuple(place == other for other in range(len(known))) for place in range(len(known))]
    return lambda x: rows[places[x]] if x in places else none


def _compute_equal_width_cuts(low: float, high: float) -> list[float]:
    """The cuts between bins of equal width; none of a constant feature."""
    if low == high:
        return []
    width = (high - low) / BINS
    return [low + width * step for step in range(1, BINS)]


def _fit_quartile_cuts(statistics: TrainStatistics) -> dict[str, Any]:
    return {"cuts": sorted(set(statistics.quartiles))}


def _fit_categories(statistics: TrainStatistics) -> dict[str, Any]:
    return {"categories": [to_literal(category) for category in statistics.categories]}


def _fit_named_categories(statistics: TrainStatistics) -> dict[str, Any]:
    """The categories, and where versions that recorded no names would have named them otherwise, the names of their columns."""
    names = make_category_names(statistics.feature, statistics.categories)
    recorded = (
        {}
        if names == make_legacy_category_names(statistics.feature, statistics.categories)
        else {"names": names}
    )
    return _fit_categories(statistics) | recorded


def get_categories(state: State) -> list[Any]:
    """The categories of a state, in their order."""
    return [from_literal(category) for category in state["categories"]]


def get_column_names(feature: str, state: State) -> list[str]:
    """A name for the column of each category."""
    recorded: list[str] | None = state.get("names")
    return (
        recorded
        if recorded is not None
        else make_legacy_category_names(feature, get_categories(state))
    )


BUILTINS: dict[str, Builtin] = {
    row.name: row
    for row in (
        Builtin(
            "min_max_scaler",
            "number",
            "range",
            lambda s: {"min": s.low, "max": s.high},
            "double",
            lambda s: _shift_scale(s, "min", s["max"] - s["min"]),
        ),
        Builtin(
            "standard_scaler",
            "number",
            "moments",
            lambda s: {"mean": s.mean, "stddev": s.stddev},
            "double",
            lambda s: _shift_scale(s, "mean", s["stddev"]),
        ),
        Builtin(
            "robust_scaler",
            "number",
            "quantiles",
            lambda s: dict(zip(("p25", "p50", "p75"), s.quartiles, strict=True)),
            "double",
            lambda s: _shift_scale(s, "p50", s["p75"] - s["p25"]),
        ),
        Builtin("log_transform", "number", None, lambda _: {}, "double", _make_logarithm),
        Builtin(
            "equal_width_binner",
            "number",
            "range",
            lambda s: {"cuts": _compute_equal_width_cuts(s.low, s.high)},
            "bigint",
            _make_binner,
        ),
        Builtin(
            "quantile_binner", "number", "quantiles", _fit_quartile_cuts, "bigint", _make_binner
        ),
        Builtin(
            "label_encoder",
            "category",
            "categories",
            _fit_categories,
            "bigint",
            _make_label_encoder,
        ),
        Builtin(
            "one_hot_encoder",
            "category",
            "categories",
            _fit_named_categories,
            "boolean",
            _make_one_hot_encoder,
            multi_output=True,
        ),
    )
}
