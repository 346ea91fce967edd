"""The built-in transformations: one row each. Adding one is adding a row.

A formula takes a number or an array of them alike, so training, batch and online compute the same bits; where an array needs a way of its
own (``columns.ARRAYS``) a test holds the two together. Nulls never reach a formula.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from spark_fs.transform.names import earlier_names_of, names_of
from spark_fs.types import from_literal, literal

State = Mapping[str, Any]
Formula = Callable[[Any], Any]
Need = Literal["range", "moments", "quantiles", "categories"]
QUARTILES = (0.25, 0.5, 0.75)
BINS = 10  # of equal width, as in Hopsworks
CATEGORIES = 10_000  # at most for one-hot columns


class Learned(Protocol):
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

    accepts: which features it takes. need: what it must know of the train split; None: nothing. learn: the state from that, as plain JSON.
    returns: the type of its outputs. formula: for a state, the function of one value. wide: whether it has an output for each category.
    """

    name: str
    accepts: Literal["number", "category"]
    need: Need | None
    learn: Callable[[Learned], dict[str, Any]]
    returns: str
    formula: Callable[[State], Formula]
    wide: bool = False


def _moved(state: State, by: str, over: float) -> Formula:
    """X - by, over a span where there is one: a constant feature has none."""
    low = state[by]
    return (lambda x: (x - low) / over) if over else (lambda x: x - low)


def _logarithm(_: State) -> Formula:
    return lambda x: math.log(x) if x > 0 else math.nan


def _binned(state: State) -> Formula:
    """The number of cuts below x; of a cut itself the lower bin. NaN is in no bin."""
    cuts = state["cuts"]
    return lambda x: None if x != x else bisect_left(cuts, x)


def _encoded(state: State) -> Formula:
    codes = {category: code for code, category in enumerate(categories(state))}
    return lambda x: codes.get(x, -1)


def _one_hot(state: State) -> Formula:
    known = categories(state)
    places = {category: place for place, category in enumerate(known)}
    none = (False,) * len(known)
    rows = [tuple(place == other for other in range(len(known))) for place in range(len(known))]
    return lambda x: rows[places[x]] if x in places else none


def _steps(low: float, high: float) -> list[float]:
    """The cuts between bins of equal width; none of a constant feature."""
    if low == high:
        return []
    width = (high - low) / BINS
    return [low + width * step for step in range(1, BINS)]


def _cut(learned: Learned) -> dict[str, Any]:
    return {"cuts": sorted(set(learned.quartiles))}


def _listed(learned: Learned) -> dict[str, Any]:
    return {"categories": [literal(category) for category in learned.categories]}


def _named(learned: Learned) -> dict[str, Any]:
    """The categories, and where versions that recorded no names would have named them otherwise, the names of their columns."""
    names = names_of(learned.feature, learned.categories)
    recorded = {} if names == earlier_names_of(learned.feature, learned.categories) else {"names": names}
    return _listed(learned) | recorded


def categories(state: State) -> list[Any]:
    """The categories of a state, in their order."""
    return [from_literal(category) for category in state["categories"]]


def column_names(feature: str, state: State) -> list[str]:
    """A name for the column of each category."""
    recorded: list[str] | None = state.get("names")
    return recorded if recorded is not None else earlier_names_of(feature, categories(state))


BUILTINS: dict[str, Builtin] = {
    row.name: row
    for row in (
        Builtin(
            "min_max_scaler", "number", "range", lambda s: {"min": s.low, "max": s.high}, "double",
            lambda s: _moved(s, "min", s["max"] - s["min"]),
        ),
        Builtin(
            "standard_scaler", "number", "moments", lambda s: {"mean": s.mean, "stddev": s.stddev}, "double",
            lambda s: _moved(s, "mean", s["stddev"]),
        ),
        Builtin(
            "robust_scaler", "number", "quantiles", lambda s: dict(zip(("p25", "p50", "p75"), s.quartiles, strict=True)), "double",
            lambda s: _moved(s, "p50", s["p75"] - s["p25"]),
        ),
        Builtin("log_transform", "number", None, lambda _: {}, "double", _logarithm),
        Builtin("equal_width_binner", "number", "range", lambda s: {"cuts": _steps(s.low, s.high)}, "bigint", _binned),
        Builtin("quantile_binner", "number", "quantiles", _cut, "bigint", _binned),
        Builtin("label_encoder", "category", "categories", _listed, "bigint", _encoded),
        Builtin("one_hot_encoder", "category", "categories", _named, "boolean", _one_hot, wide=True),
    )
}
