"""The state of one column: all that its statistics follow from, of some rows, in parts that merge."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.times import DAY_MICROS, as_utc
from spark_fs.base.types import INTEGERS, NUMERIC, get_base_type
from spark_fs.stats.exact import (
    UNIT_EXPONENT,
    Integers,
    compute_stddev,
    sum_exactly,
    sum_squares_exactly,
    to_units,
)
from spark_fs.stats.sketches.distinct import FREQUENT_SIZE, DistinctSketch, FrequentStrings, Values
from spark_fs.stats.sketches.quantiles import Doubles, QuantileSketch

ColumnKind = Literal["number", "time", "category", "nested"]
_KINDS: Mapping[str, ColumnKind] = {
    **dict.fromkeys(NUMERIC, "number"),
    **dict.fromkeys(("date", "timestamp"), "time"),
    **dict.fromkeys(("string", "boolean"), "category"),
}
_LOW_32_BITS = np.int64(0xFFFFFFFF)


def get_column_kind(type_: str) -> ColumnKind:
    """What can be said of columns of a type; of nested values and bytes only how many there are."""
    return _KINDS.get(get_base_type(type_), "nested")


@dataclass(frozen=True)
class ColumnState:
    """A column of some rows.

    nulls: rows without a value. nans, above, below: those with NaN and the two infinities, which
    are in no other figure but those of distinct values. low, high: the least and greatest value, in
    the column's own type. total, squares: sums of the finite values and of their squares.
    quantiles: of finite numbers, or of times in microseconds. frequent: of texts. days: of times,
    the rows of each day since 1970.
    """

    type: str
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    above: int = 0
    below: int = 0
    low: Any = None
    high: Any = None
    total: int = 0
    squares: int = 0
    quantiles: QuantileSketch = field(default_factory=QuantileSketch)
    distinct: DistinctSketch = field(default_factory=DistinctSketch)
    frequent: FrequentStrings = field(default_factory=FrequentStrings)
    days: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: pa.ChunkedArray, type_: str) -> Self:
        """Of the values of a column, of this feature type."""
        nulls = values.null_count
        held = values.drop_null() if nulls else values
        return (
            cls(type_, len(values), nulls, **_PROFILERS[get_column_kind(type_)](held, type_))
            if len(held)
            else cls(type_, len(values), nulls)
        )

    @property
    def value_count(self) -> int:
        """How many rows have a value."""
        return self.rows - self.nulls

    @property
    def finite_count(self) -> int:
        """How many have a finite one."""
        return self.value_count - self.nans - self.above - self.below

    @property
    def mean(self) -> float:
        """The mean of the finite values."""
        return _compute_quotient(self.total, self.finite_count << UNIT_EXPONENT)

    @property
    def sum(self) -> float | int:
        """The sum of the finite values; a whole number of a column of these."""
        return (
            self.total >> UNIT_EXPONENT
            if get_base_type(self.type) in INTEGERS
            else _compute_quotient(self.total, 1 << UNIT_EXPONENT)
        )

    @property
    def stddev(self) -> float:
        """The deviation of the population."""
        if self.low == self.high:
            return 0.0
        return compute_stddev(self.finite_count, self.total, self.squares)

    def merge(self, other: "ColumnState") -> "ColumnState":
        """The two parts together."""
        days = Counter(self.days)
        days.update(other.days)
        return ColumnState(
            self.type,
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.nans + other.nans,
            self.above + other.above,
            self.below + other.below,
            _choose_known(min, self.low, other.low),
            _choose_known(max, self.high, other.high),
            self.total + other.total,
            self.squares + other.squares,
            self.quantiles.merge(other.quantiles),
            self.distinct.merge(other.distinct),
            self.frequent.merge(other.frequent),
            days,
        )

    @cached_property
    def weighted_points(self) -> tuple[Doubles, Integers]:
        """Finite numbers in their order, and how many rows each stands for: all of them, where few are distinct, else some."""
        if self.distinct.is_exact and self.distinct.values.dtype != object:
            values, rows = self.distinct.sort_values()
            finite = np.isfinite(values.astype(np.float64))
            return values[finite].astype(np.float64), rows[finite]
        return self.quantiles.weighted_points

    @property
    def category_counts(self) -> Mapping[Any, int]:
        """The rows of each category: of every one, or of the most frequent where there are many."""
        if not self.distinct.is_exact:
            return self.frequent.row_counts
        values = (
            self.distinct.values.astype(bool) if self.type == "boolean" else self.distinct.values
        )
        return dict(zip(values.tolist(), self.distinct.counts.tolist(), strict=True))

    def list_categories(self) -> tuple[str, ...]:
        """The distinct values, as Arrow writes them, in their order; of a column of few."""
        values = self.distinct.sort_values()[0]
        held = pa.array(values.astype(bool) if self.type == "boolean" else values)
        return tuple(held.cast(pa.string()).to_pylist())

    @property
    def is_exact(self) -> bool:
        """Whether percentiles, histogram and drift follow from every value, and not from a sketch."""
        return self.distinct.is_exact or self.quantiles.is_exact


def _choose_known(choose: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    return right if left is None else left if right is None else choose(left, right)


def to_doubles(column: pa.ChunkedArray) -> Doubles:
    """A column's values as doubles, NaN where there is none."""
    found: Doubles = pc.fill_null(column.cast(pa.float64()), math.nan).to_numpy()
    return found


def _compute_quotient(numerator: int, denominator: int) -> float:
    """A quotient, infinite where no double holds it."""
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


# -- what is made of values that are not null, by the kind of their column


def _profile_numbers(non_null: pa.ChunkedArray, type_: str) -> dict[str, Any]:
    if get_base_type(type_) in INTEGERS:
        whole: Values = non_null.to_numpy().astype(np.int64)
        ordered = np.sort(whole)
        return {
            "low": int(ordered[0]),
            "high": int(ordered[-1]),
            **_compute_moments(whole.astype(np.float64), _sum_integers(whole)),
            "quantiles": QuantileSketch.from_sorted(ordered.astype(np.float64)),
            "distinct": DistinctSketch.from_sorted(ordered),
        }
    values: Doubles = non_null.cast(pa.float64()).to_numpy()
    counts: dict[str, Any] = {}
    finite = values
    if not np.isfinite(values).all():
        counts = {
            "nans": int(np.isnan(values).sum()),
            "above": int(np.isposinf(values).sum()),
            "below": int(np.isneginf(values).sum()),
        }
        finite = values[np.isfinite(values)]
    ordered = np.sort(finite) + 0.0
    distinct = DistinctSketch.from_sorted(ordered)
    if counts:
        odd = (
            np.array([math.nan, math.inf, -math.inf]),
            np.array([counts["nans"], counts["above"], counts["below"]]),
        )
        distinct = distinct.merge(
            DistinctSketch.from_counts(odd[0][odd[1] > 0], odd[1][odd[1] > 0])
        )
    if get_base_type(type_) == "decimal":
        bounds = pc.min_max(non_null)
        texts = pc.value_counts(non_null.cast(pa.string()))
        distinct = _build_distinct_sketch(texts)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
    else:
        low, high = (float(ordered[0]), float(ordered[-1])) if len(ordered) else (None, None)
    return {
        **counts,
        "low": low,
        "high": high,
        **_compute_moments(finite, None),
        "quantiles": QuantileSketch.from_sorted(ordered),
        "distinct": distinct,
    }


def _profile_times(non_null: pa.ChunkedArray, type_: str) -> dict[str, Any]:
    bounds = pc.min_max(non_null)
    low, high = (
        bounds[side].as_py() if type_ == "date" else as_utc(bounds[side].as_py())
        for side in ("min", "max")
    )
    whole = (
        non_null.cast(pa.int32()).cast(pa.int64()) if type_ == "date" else non_null.cast(pa.int64())
    )
    micros = np.sort(whole.to_numpy()) * (DAY_MICROS if type_ == "date" else 1)
    days, rows = np.unique(micros // DAY_MICROS, return_counts=True)
    return {
        "low": low,
        "high": high,
        "quantiles": QuantileSketch.from_sorted(micros.astype(np.float64)),
        "distinct": DistinctSketch.from_sorted(micros),
        "days": dict(zip(days.tolist(), rows.tolist(), strict=True)),
    }


def _profile_categories(non_null: pa.ChunkedArray, type_: str) -> dict[str, Any]:
    if type_ == "boolean":
        true = pc.sum(non_null).as_py()
        rows = np.array([len(non_null) - true, true])
        present = np.flatnonzero(rows)
        return {
            "low": bool(present[0]),
            "high": bool(present[-1]),
            "distinct": DistinctSketch.from_counts(present, rows[present]),
        }
    counted = pc.value_counts(non_null)
    bounds = pc.min_max(counted.field("values").cast(pa.string()))
    most = counted.take(
        pc.sort_indices(counted.field("counts"), sort_keys=[("", "descending")])[
            : FREQUENT_SIZE + 1
        ]
    )
    often = dict(
        zip(most.field("values").to_pylist(), most.field("counts").to_pylist(), strict=True)
    )
    return {
        "low": bounds["min"].as_py(),
        "high": bounds["max"].as_py(),
        "distinct": _build_distinct_sketch(counted),
        "frequent": FrequentStrings.from_counts(often),
    }


def _profile_nested(non_null: pa.ChunkedArray, type_: str) -> dict[str, Any]:  # noqa: ARG001 # the others look at them
    return {}


_PROFILERS: Mapping[ColumnKind, Callable[[pa.ChunkedArray, str], dict[str, Any]]] = {
    "number": _profile_numbers,
    "time": _profile_times,
    "category": _profile_categories,
    "nested": _profile_nested,
}


def _build_distinct_sketch(value_counts: pa.StructArray) -> DistinctSketch:
    values = (
        value_counts.field("values").cast(pa.string()).to_numpy(zero_copy_only=False).astype(object)
    )
    return DistinctSketch.from_counts(values, value_counts.field("counts").to_numpy())


def _sum_integers(values: Values) -> int:
    """The exact sum of whole numbers of 64 bits."""
    return (int((values >> 32).sum()) << 32) + int((values & _LOW_32_BITS).sum())


def _compute_moments(values: Doubles, exact_total: int | None) -> dict[str, Any]:
    """The sums of values and squares, without rounding where doubles would overflow; whole: the sum, where it is known exactly."""
    if not len(values):
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        summed = float(values.sum())
        apart = values - summed / len(values)
        spread = float(apart.dot(apart))
    if not (math.isfinite(summed) and math.isfinite(spread)):
        return {"total": sum_exactly(values), "squares": sum_squares_exactly(values)}
    total = to_units(summed) if exact_total is None else exact_total << UNIT_EXPONENT
    return {
        "total": total,
        "squares": (to_units(spread) << UNIT_EXPONENT) + total**2 // len(values),
    }
