"""The built-in transformations: one row each. Adding one is adding a row.

A formula takes a number or an array of them alike, so training, batch and online compute the same
bits; where an array needs a way of its own, the row has an array formula, and a test holds the two
together. Nulls never reach a formula of values.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from spark_fs.base.literals import to_literal
from spark_fs.transform.array_values import to_masked_column, to_zero_filled_doubles
from spark_fs.transform.category_names import make_category_names, make_legacy_category_names
from spark_fs.transform.states import State, get_categories

Formula = Callable[[Any], Any]
# of an Arrow column, the feature type of its values, and the state; a column for each output
ArrayFormula = Callable[[Any, str, State], list[Any]]
RequiredStatistic = Literal["range", "moments", "quantiles", "categories"]
QUARTILES = (0.25, 0.5, 0.75)
BINS = 10  # of equal width, as in Hopsworks
MAX_ONE_HOT_CATEGORIES = 10_000  # at most for one-hot columns


class TrainStatistics(Protocol):
    """What the train split says of one feature; NaN and infinities are left out."""

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

    Attributes:
        name: the name of the function.
        accepts: which features it takes.
        required_statistic: what it must know of the train split; None: nothing.
        fit: the state from that, as plain JSON.
        returns: the type of its outputs.
        formula: for a state, the function of one value.
        array_formula: the outputs of a column, where the formula of one value does not take an
            array of doubles, or has other bits for it.
        multi_output: whether it has an output for each category.
    """

    name: str
    accepts: Literal["number", "category"]
    required_statistic: RequiredStatistic | None
    fit: Callable[[TrainStatistics], dict[str, Any]]
    returns: str
    formula: Callable[[State], Formula]
    array_formula: ArrayFormula | None = None
    multi_output: bool = False


# -- numbers moved and scaled


def _fit_range(statistics: TrainStatistics) -> dict[str, Any]:
    return {"min": statistics.low, "max": statistics.high}


def _fit_moments(statistics: TrainStatistics) -> dict[str, Any]:
    return {"mean": statistics.mean, "stddev": statistics.stddev}


def _fit_quartiles(statistics: TrainStatistics) -> dict[str, Any]:
    return dict(zip(("p25", "p50", "p75"), statistics.quartiles, strict=True))


def _make_min_max_scaler(state: State) -> Formula:
    return _make_scaler(state["min"], state["max"] - state["min"])


def _make_standard_scaler(state: State) -> Formula:
    return _make_scaler(state["mean"], state["stddev"])


def _make_robust_scaler(state: State) -> Formula:
    return _make_scaler(state["p50"], state["p75"] - state["p25"])


def _make_scaler(center: float, span: float) -> Formula:
    """X less its center, over a span where there is one: a constant feature has none."""
    if span:
        return lambda x: (x - center) / span
    return lambda x: x - center


# -- logarithms


def _fit_nothing(_: TrainStatistics) -> dict[str, Any]:
    return {}


def _make_logarithm(_: State) -> Formula:
    return lambda x: math.log(x) if x > 0 else math.nan


def _compute_logarithms(column: Any, type_: str, _: State) -> list[Any]:
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


def _fit_equal_width_cuts(statistics: TrainStatistics) -> dict[str, Any]:
    """The cuts between bins of equal width; none of a constant feature."""
    low = statistics.low
    high = statistics.high
    if low == high:
        return {"cuts": []}
    width = (high - low) / BINS
    return {"cuts": [low + width * step for step in range(1, BINS)]}


def _fit_quartile_cuts(statistics: TrainStatistics) -> dict[str, Any]:
    return {"cuts": sorted(set(statistics.quartiles))}


def _make_binner(state: State) -> Formula:
    """The number of cuts below x; of a cut itself the lower bin. NaN is in no bin."""
    cuts = state["cuts"]
    return lambda x: None if math.isnan(x) else bisect_left(cuts, x)


def _compute_bins(column: Any, type_: str, state: State) -> list[Any]:
    import numpy as np
    import pyarrow as pa

    values = to_zero_filled_doubles(column, type_)
    bins = np.searchsorted(np.array(state["cuts"], np.float64), values, side="left")
    mask = np.isnan(values) | column.is_null().to_numpy()
    return [pa.chunked_array([pa.array(bins, pa.int64(), mask=mask)], pa.int64())]


# -- categories


def _fit_categories(statistics: TrainStatistics) -> dict[str, Any]:
    return {"categories": [to_literal(category) for category in statistics.categories]}


def _fit_named_categories(statistics: TrainStatistics) -> dict[str, Any]:
    """The categories, with the names of their columns where earlier versions had others.

    States of versions that recorded no names stand for ``make_legacy_category_names``.
    """
    state = _fit_categories(statistics)
    names = make_category_names(statistics.feature, statistics.categories)
    if names != make_legacy_category_names(statistics.feature, statistics.categories):
        state["names"] = names
    return state


def _make_label_encoder(state: State) -> Formula:
    codes = {category: code for code, category in enumerate(get_categories(state))}
    return lambda x: codes.get(x, -1)


def _make_one_hot_encoder(state: State) -> Formula:
    categories = get_categories(state)
    no_category = (False,) * len(categories)
    rows: dict[Any, tuple[bool, ...]] = {}
    for code, category in enumerate(categories):
        rows[category] = (*no_category[:code], True, *no_category[code + 1 :])
    return lambda x: rows.get(x, no_category)


def _find_category_codes(column: Any, state: State) -> Any:
    """The number of each value's category; -1 of a value of no category."""
    import pyarrow as pa
    import pyarrow.compute as pc

    categories = pa.array(get_categories(state), column.type)
    return pc.fill_null(pc.index_in(column, categories), -1).to_numpy().astype("int64")


def _compute_labels(column: Any, _: str, state: State) -> list[Any]:
    import pyarrow as pa

    return [to_masked_column(_find_category_codes(column, state), column, pa.int64())]


def _compute_one_hot(column: Any, _: str, state: State) -> list[Any]:
    import numpy as np
    import pyarrow as pa

    codes = np.where(column.is_null().to_numpy(), -1, _find_category_codes(column, state))
    outputs = []
    for code in range(len(state["categories"])):
        outputs.append(pa.chunked_array([pa.array(codes == code)]))
    return outputs


_ROWS = (
    Builtin("min_max_scaler", "number", "range", _fit_range, "double", _make_min_max_scaler),
    Builtin("standard_scaler", "number", "moments", _fit_moments, "double", _make_standard_scaler),
    Builtin("robust_scaler", "number", "quantiles", _fit_quartiles, "double", _make_robust_scaler),
    Builtin(
        "log_transform",
        "number",
        None,
        _fit_nothing,
        "double",
        _make_logarithm,
        _compute_logarithms,
    ),
    Builtin(
        "equal_width_binner",
        "number",
        "range",
        _fit_equal_width_cuts,
        "bigint",
        _make_binner,
        _compute_bins,
    ),
    Builtin(
        "quantile_binner",
        "number",
        "quantiles",
        _fit_quartile_cuts,
        "bigint",
        _make_binner,
        _compute_bins,
    ),
    Builtin(
        "label_encoder",
        "category",
        "categories",
        _fit_categories,
        "bigint",
        _make_label_encoder,
        _compute_labels,
    ),
    Builtin(
        "one_hot_encoder",
        "category",
        "categories",
        _fit_named_categories,
        "boolean",
        _make_one_hot_encoder,
        _compute_one_hot,
        multi_output=True,
    ),
)
BUILTINS: dict[str, Builtin] = {row.name: row for row in _ROWS}
