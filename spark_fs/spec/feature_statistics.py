"""Which statistics are made, and the statistics themselves; as values that come back from JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import InitVar, asdict, dataclass, field, fields
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Self

from spark_fs.base import json_values
from spark_fs.base.arithmetic import is_nan
from spark_fs.base.types import get_base_type
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import NotFoundError, SettingsError
from spark_fs.spec.record_format import select_known_fields

_FLAG_NAMES = ("enabled", "histograms", "correlations", "exact_uniqueness")
# figures that are one number, by the names of Hopsworks
CATEGORY_FIGURES = (
    "completeness",
    "num_non_null_values",
    "num_null_values",
    "distinctness",
    "entropy",
    "uniqueness",
    "approx_num_distinct_values",
    "exact_num_distinct_values",
)
NUMBER_FIGURES = ("mean", "max", "min", "sum", "std_dev", "count")
COMPARED_FIGURES = (*CATEGORY_FIGURES, *NUMBER_FIGURES)
_TAKEN_NAMES = ("kll", "histogram_bins")
HISTOGRAM_BINS = 20


@dataclass
class StatisticsConfig:
    """Which statistics are made.

    enabled: whether any are made on each insert. exact_uniqueness: whether the numbers of distinct
    values are exact. columns: of which columns; none means every one. kll, histogram_bins: taken
    for Hopsworks' sake: there is always a sketch of quantiles, and a histogram has 20 bins.
    """

    enabled: bool = True
    correlations: bool = False
    histograms: bool = True
    exact_uniqueness: bool = False
    columns: Sequence[str] = ()
    kll: InitVar[bool] = False
    histogram_bins: InitVar[int | None] = None

    def __post_init__(self, kll: bool, histogram_bins: int | None) -> None:
        self.columns = tuple(self.columns or ())
        if histogram_bins not in (None, HISTOGRAM_BINS):
            warn_user(
                f"statistics_config histogram_bins={histogram_bins!r} changes nothing: a histogram"
                f" has {HISTOGRAM_BINS} bins."
            )

    @classmethod
    def from_argument(cls, argument: Any) -> Self:
        """The configuration that a user gives.

        Args:
            argument: None or True for the default, False for no statistics, or a mapping of some of
                the fields.

        Raises:
            NotFoundError: a field does not exist.
            SettingsError: a value is not valid.
        """
        if argument is None or isinstance(argument, bool):
            return cls(enabled=argument is not False)
        if isinstance(argument, cls):
            return argument
        if not isinstance(argument, Mapping):
            raise SettingsError(
                f"statistics_config {argument!r} is not a mapping: give True, False, or some of"
                f" {', '.join(map(repr, _FIELD_NAMES))}."
            )
        for name, value in argument.items():
            if name in _TAKEN_NAMES:
                continue
            if name not in _FIELD_NAMES:
                remedy = "Leave it out, or use one of these."
                raise NotFoundError.for_name(
                    "Field of statistics_config", str(name), _FIELD_NAMES, remedy
                )
            if name in _FLAG_NAMES and not isinstance(value, bool):
                raise SettingsError(
                    f"statistics_config {name}={value!r} is not a boolean: give True or False."
                )
        columns = argument.get("columns") or ()
        if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
            raise SettingsError(
                f"statistics_config columns={columns!r} is not a list of names: give one, as in"
                " {'columns': ['amount']}."
            )
        return cls(**{**argument, "columns": tuple(columns)})

    def select_column_types(self, types: Mapping[str, str]) -> dict[str, str]:
        """The columns that statistics are made of, with their types.

        Args:
            types: the type of each column that there is.

        Raises:
            NotFoundError: a column of the configuration does not exist.
        """
        for name in self.columns:
            if name not in types:
                remedy = "Name columns that are there, or none for all."
                raise NotFoundError.for_name("Column of statistics_config", name, types, remedy)
        return {name: types[name] for name in self.columns or types}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


_FIELD_NAMES = tuple(field.name for field in fields(StatisticsConfig))


class FeatureCorrelations(Mapping[str, float]):
    """How strongly one feature correlates with others, by their names.

    Those whose correlation is not known are not in it.
    """

    def __init__(self, feature: str, other_features: Sequence[str], coefficients: Any) -> None:
        self.feature = feature
        self.other_features = other_features
        self.coefficients = coefficients

    @cached_property
    def _by_feature(self) -> dict[str, float]:
        by_feature = {}
        for other, value in zip(self.other_features, self.coefficients.tolist(), strict=True):
            if not is_nan(value) and other != self.feature:
                by_feature[other] = value
        return by_feature

    def __getitem__(self, name: str) -> float:
        return self._by_feature[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_feature)

    def __len__(self) -> int:
        return len(self._by_feature)

    def __repr__(self) -> str:
        return repr(self._by_feature)


@dataclass(frozen=True)
class FeatureStatistics:
    """The statistics of one feature. What its type does not have, or was not asked for, is None.

    count: rows, of which ``num_null_values`` hold nothing. completeness: the share that holds
    something. num_nan_values and num_infinite_values: of numbers; they count as values, and are in
    no other figure but those of distinct values. approx_num_distinct_values: to within 3% (one
    standard error), exact below 1,024. exact_num_distinct_values: where it is known. distinctness,
    uniqueness: distinct values, and values that come once, as shares of those that are not null;
    entropy in nats; all three follow from a sample of the distinct values where their exact number
    is not known. stddev: of the population. percentiles: the 1st to the 99th, linearly interpolated
    as ``numpy.percentile`` does; from a sketch where there are many values, then ``approximate`` is
    set and their ranks are true to within 0.5% of the rows. histogram: of numbers 20 bins of equal
    width, closed below and open above, the last closed, or one bin for each whole number where the
    greatest is less than 30 above the least; of strings and booleans the 20 most
    frequent values; of times days, months or years (UTC): each a mapping of ``value``, ``count``
    and ``ratio``, bins with ``low`` and ``high`` too. correlations: by the other feature's name.
    """

    feature_name: str
    feature_type: str
    count: int = 0
    num_null_values: int = 0
    num_nan_values: int | None = None
    num_infinite_values: int | None = None
    completeness: float = 0.0
    approx_num_distinct_values: int | None = None
    exact_num_distinct_values: int | None = None
    uniqueness: float | None = None
    distinctness: float | None = None
    entropy: float | None = None
    min: Any = None
    max: Any = None
    sum: float | int | None = None
    mean: float | None = None
    stddev: float | None = None
    percentiles: Sequence[Any] | None = None
    histogram: Sequence[Mapping[str, Any]] | None = None
    correlations: FeatureCorrelations | None = None
    approximate: bool = False

    @property
    def num_non_null_values(self) -> int:
        """The rows that hold something."""
        return self.count - self.num_null_values

    @property
    def std_dev(self) -> float | None:
        """The standard deviation of the population, as Hopsworks calls it."""
        return self.stddev

    @property
    def extended_statistics(self) -> dict[str, Any]:
        """The histogram and the correlations, where Hopsworks has them."""
        correlations = None if self.correlations is None else dict(self.correlations)
        return {"histogram": self.histogram, "correlations": correlations}

    def get_value(self, name: str) -> Any:
        """One figure by its name; NotFoundError for a name that does not exist."""
        figure = name.lower()
        if figure not in COMPARED_FIGURES:
            remedy = "Ask for one of these."
            raise NotFoundError.for_name("Figure", name, COMPARED_FIGURES, remedy)
        return getattr(self, figure)

    def to_json(self) -> dict[str, Any]:
        """As JSON, without the correlations.

        Times are in ISO 8601, decimals are strings, NaN and infinities are as Python writes them.
        """
        data = {name: getattr(self, name) for name in _JSON_FIELDS}
        if get_base_type(self.feature_type) in ("date", "timestamp", "decimal"):
            for name in ("min", "max", "percentiles"):
                data[name] = json_values.to_json(data[name])
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        subject = f"The statistics of {data.get('feature_name')!r}"
        values = select_known_fields(cls, subject, data)
        feature_type = data["feature_type"]
        for name in ("min", "max"):
            values[name] = json_values.from_json(feature_type, data[name])
        percentiles = data["percentiles"]
        values["percentiles"] = percentiles and [
            json_values.from_json(feature_type, percentile) for percentile in percentiles
        ]
        return cls(**values)


_FEATURE_FIELDS = tuple(field.name for field in fields(FeatureStatistics))
_JSON_FIELDS = tuple(name for name in _FEATURE_FIELDS if name != "correlations")
_FRAME_FIELDS = [name for name in _JSON_FIELDS if name not in ("percentiles", "histogram")]


@dataclass(frozen=True)
class Statistics:
    """The statistics of some rows at one commit, or of one split of a training dataset.

    computed_at: in UTC. commit: the version of the group's table; None where the rows have none.
    split_statistics: of a training dataset, those of every split. row_count: how many rows there
    are.
    """

    computed_at: datetime
    commit: int | None
    feature_descriptive_statistics: Sequence[FeatureStatistics] = field(default_factory=tuple)
    split: str | None = None
    split_statistics: Sequence["Statistics"] = ()

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return max((feature.count for feature in self.feature_descriptive_statistics), default=0)

    @property
    def computation_time(self) -> int:
        """When they were computed, in milliseconds since 1970, as Hopsworks has it."""
        return round(self.computed_at.timestamp() * 1_000)

    def __getitem__(self, feature_name: str) -> FeatureStatistics:
        by_name = {feature.feature_name: feature for feature in self.feature_descriptive_statistics}
        if feature_name not in by_name:
            raise NotFoundError.for_name(
                "Feature of these statistics", feature_name, by_name, "Ask for one that they cover."
            )
        return by_name[feature_name]

    def to_pandas(self) -> Any:
        """A frame with a row for each feature: every figure that is one number or string."""
        import pandas as pd

        get_figures = attrgetter(*_FRAME_FIELDS)
        rows = list(map(get_figures, self.feature_descriptive_statistics))
        return pd.DataFrame(rows, columns=_FRAME_FIELDS)

    def __repr__(self) -> str:
        source = f"split {self.split!r}" if self.split else f"commit {self.commit}"
        size = f"{len(self.feature_descriptive_statistics)} features, {self.row_count} rows"
        return f"Statistics({size}, {source}, {self.computed_at:%Y-%m-%d %H:%M:%S} UTC)"
