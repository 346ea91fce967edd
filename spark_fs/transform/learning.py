"""What a built-in transformation may know of the train split, and what its formula is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from spark_fs.transform.states import State

Formula = Callable[[Any], Any]
# of an Arrow column, the feature type of its values, and the state; a column for each output
ArrayFormula = Callable[[Any, str, State], list[Any]]
# what is set of a transformation beside its features, by name
Options = Mapping[str, Any]
# "description": all that statistics say of numbers; "counts": how often each category comes
RequiredStatistic = Literal[
    "range", "moments", "quantiles", "categories", "counts", "description", "rows"
]
QUANTILE_STATISTICS = ("quantiles", "description")
CATEGORY_STATISTICS = ("categories", "counts")
QUARTILES = (0.25, 0.5, 0.75)
PERCENTILES = tuple(percent / 100 for percent in range(1, 100))


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
    def categories(self) -> list[Any]: ...  # noqa: D102 # as the class says
    @property
    def frequent_categories(self) -> list[Any]: ...  # noqa: D102 # the most frequent first
    def compute_quantiles(self, shares: Sequence[float]) -> list[float]: ...  # noqa: D102 # as named


def fit_nothing(_: TrainStatistics, __: Options) -> dict[str, Any]:
    """The state of what learns nothing."""
    return {}
