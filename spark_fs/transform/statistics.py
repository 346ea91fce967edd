"""What a user's transformation is told of the train split, by Hopsworks' names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from spark_fs.base.literals import from_literal
from spark_fs.spec.transformation import FunctionSpec

_NAMES = (
    "count",
    "completeness",
    "num_non_null_values",
    "num_null_values",
    "approx_num_distinct_values",
    "exact_num_distinct_values",
    "min",
    "max",
    "sum",
    "mean",
    "std_dev",
    "percentiles",
    "distinctness",
    "entropy",
    "uniqueness",
    "correlations",
    "histogram",
    "kll",
    "unique_values",
)
_OTHER_NAMES = {"stddev": "std_dev"}
# what the states of built-in functions have under a name of their own
_STATE_NAMES = {"categories": "unique_values"}


class FeatureTransformationStatistics:
    """What the train split says of one feature; None where it is not known.

    Of numbers: count, completeness, num_non_null_values, num_null_values, min, max, sum, mean,
    std_dev (of the population; also stddev) and percentiles, a list of 99. Of strings, booleans and
    dates the counts, and unique_values, histogram, exact_num_distinct_values, distinctness,
    uniqueness and entropy.
    """

    count: int | None
    completeness: float | None
    num_non_null_values: int | None
    num_null_values: int | None
    approx_num_distinct_values: int | None
    exact_num_distinct_values: int | None
    min: float | None
    max: float | None
    sum: float | None
    mean: float | None
    std_dev: float | None
    percentiles: list[float] | None
    distinctness: float | None
    entropy: float | None
    uniqueness: float | None
    correlations: Any
    histogram: list[dict[str, Any]] | None
    kll: Any
    unique_values: list[Any] | None

    def __init__(
        self,
        feature_name: str,
        extended_statistics: Mapping[str, Any] | str | None = None,
        **statistics: Any,
    ) -> None:
        self.feature_name = feature_name
        extended = extended_statistics or {}
        if isinstance(extended, str):
            extended = json.loads(extended)
        given: dict[str, Any] = {**extended, **statistics}
        known: dict[str, Any] = dict.fromkeys(_NAMES)
        for name, value in given.items():
            plain = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()  # as numNullValues
            known[_OTHER_NAMES.get(plain, plain)] = value
        for name in _NAMES:
            setattr(self, name, known[name])

    @property
    def stddev(self) -> float | None:
        """The same as std_dev."""
        return self.std_dev

    def __repr__(self) -> str:
        known = {name: getattr(self, name) for name in _NAMES}
        shown = [f"{name}={value!r}" for name, value in known.items() if value is not None]
        return f"FeatureTransformationStatistics({', '.join([repr(self.feature_name), *shown])})"


class TransformationStatistics:
    """What a function asks to be told of the train split, as the default of ``statistics``.

    Each feature is an attribute of its name, as in ``statistics.amount.mean``.

    Args:
        *features: The arguments of the function that it wants to know of.
    """

    def __init__(self, *features: str) -> None:
        self._features = features
        for feature in features:
            setattr(self, feature, FeatureTransformationStatistics(feature))

    def __getattr__(self, feature: str) -> FeatureTransformationStatistics:
        if feature.startswith("_"):  # while it is copied or unpickled
            raise AttributeError(feature)
        raise AttributeError(
            f"These statistics are of {', '.join(self._features) or 'no feature'}, not of"
            f" {feature!r}: name it in TransformationStatistics(...)."
        )

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features."""
        return self._features

    def set_statistics(
        self, feature_name: str, statistics: Mapping[str, Any] | FeatureTransformationStatistics
    ) -> None:
        """Say what is known of a feature."""
        if not isinstance(statistics, FeatureTransformationStatistics):
            known = {"feature_name": feature_name, **statistics}
            statistics = FeatureTransformationStatistics(**known)
        if feature_name not in self._features:
            self._features = (*self._features, feature_name)
        setattr(self, feature_name, statistics)

    def __repr__(self) -> str:
        return ",\n ".join(repr(getattr(self, feature)) for feature in self._features)


def describe_state(function: FunctionSpec, state: Mapping[str, Any]) -> TransformationStatistics:
    """What a function learned, as far as its state has it."""
    if not function.is_builtin:
        return build_statistics(state.get("statistics", {}))
    known = {_STATE_NAMES.get(name, name): value for name, value in state.items()}
    return build_statistics({function.arguments[0]: known})


def build_statistics(state: Mapping[str, Mapping[str, Any]]) -> TransformationStatistics:
    """The statistics of a state, by the arguments of a function."""
    statistics = TransformationStatistics(*state)
    for argument, known in state.items():
        values = dict(known)
        if values.get("unique_values") is not None:
            values["unique_values"] = [from_literal(value) for value in values["unique_values"]]
        if values.get("histogram") is not None:
            values["histogram"] = [
                {**bar, "value": from_literal(bar["value"])} for bar in values["histogram"]
            ]
        statistics.set_statistics(argument, values)
    return statistics
