"""The state of one column: all that its statistics follow from, in parts that merge.

It counts and sums exactly, and holds sketches of what would grow with the rows: quantiles, distinct
values, frequent strings. What transformations learn is kept without sketches: see ``ExactProfile``.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from spark_fs.base.types import INTEGERS, get_base_type
from spark_fs.stats.column_values import measure_values
from spark_fs.stats.exact import UNIT_EXPONENT, compute_stddev
from spark_fs.stats.sketches.distinct import DistinctSketch, FrequentStrings
from spark_fs.stats.sketches.quantiles import Doubles, Integers, QuantileSketch


@dataclass(frozen=True)
class ColumnState:
    """A column of some rows.

    Attributes:
        type: the feature type.
        rows: how many rows there are.
        nulls: rows without a value.
        nans: rows with NaN; these and those with infinities are in no other figure but those of
            distinct values.
        above: rows with the positive infinity.
        below: rows with the negative infinity.
        low: the least value, in the column's own type.
        high: the greatest value, in the column's own type.
        total: the sum of the finite values, in units of 2 ** -1074.
        squares: the sum of their squares, in units of 2 ** -2148.
        quantiles: of finite numbers, or of times in microseconds since 1970.
        distinct: the distinct values.
        frequent: of strings, those that come most often.
        days: of times, the rows of each day since 1970.
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
        """The state of the values of a column, of this feature type."""
        nulls = values.null_count
        non_null = values.drop_null() if nulls else values
        if not len(non_null):
            return cls(type_, len(values), nulls)
        return cls(type_, len(values), nulls, **measure_values(non_null, type_))

    @property
    def value_count(self) -> int:
        """How many rows have a value."""
        return self.rows - self.nulls

    @property
    def finite_count(self) -> int:
        """How many rows have a finite value."""
        return self.value_count - self.nans - self.above - self.below

    @property
    def mean(self) -> float:
        """The mean of the finite values."""
        return _divide(self.total, self.finite_count << UNIT_EXPONENT)

    @property
    def sum(self) -> float | int:
        """The sum of the finite values; an integer for a column of integers."""
        if get_base_type(self.type) in INTEGERS:
            return self.total >> UNIT_EXPONENT
        return _divide(self.total, 1 << UNIT_EXPONENT)

    @property
    def stddev(self) -> float:
        """The deviation of the population."""
        if self.low == self.high:
            return 0.0
        return compute_stddev(self.finite_count, self.total, self.squares)

    def merge(self, other: "ColumnState") -> "ColumnState":
        """The state of both parts together."""
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
        """Finite numbers in their order, and how many rows each stands for.

        They are all numbers where few are distinct, else some of them.
        """
        if self.distinct.is_exact and self.distinct.values.dtype != object:
            values, rows = self.distinct.sort_values()
            doubles = values.astype(np.float64)
            finite = np.isfinite(doubles)
            return doubles[finite], rows[finite]
        return self.quantiles.weighted_points

    @property
    def category_counts(self) -> Mapping[Any, int]:
        """The rows of each category: of every one, or of the most frequent where there are many."""
        if not self.distinct.is_exact:
            return self.frequent.row_counts
        values = self.distinct.values
        if self.type == "boolean":
            values = values.astype(bool)
        return dict(zip(values.tolist(), self.distinct.counts.tolist(), strict=True))

    def list_categories(self) -> tuple[str, ...]:
        """The distinct values, as Arrow writes them, in their order; of a column of few."""
        values, _ = self.distinct.sort_values()
        if self.type == "boolean":
            values = values.astype(bool)
        return tuple(pa.array(values).cast(pa.string()).to_pylist())

    @property
    def is_exact(self) -> bool:
        """Whether percentiles, histogram and drift follow from every value, not from a sketch."""
        return self.distinct.is_exact or self.quantiles.is_exact


def _choose_known(choose: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """The least or the greatest of two values of which either may be None."""
    if left is None:
        return right
    if right is None:
        return left
    return choose(left, right)


def _divide(numerator: int, denominator: int) -> float:
    """A quotient, infinite where no double holds it."""
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf
