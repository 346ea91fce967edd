"""What transformations learn of a column, exactly, in parts that merge to the same bits.

The order of the merges is of no account. A sum of doubles is kept as an integer number of the least
unit that a double has, so it is exact, and a mean or a deviation does not depend on how the rows
were cut into parts. Quantiles are exact too: a first look counts the values by their leading bits,
a second one fetches those that lie where a quantile falls (a radix selection).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

import numpy as np

from spark_fs.stats.interpolation import interpolate_linearly
from spark_fs.stats.sketches.quantiles import Doubles, Integers

UNIT_EXPONENT = 1074  # every finite double is an integer multiple of 2 ** -1074
_BLOCK_ROWS = 1 << 15  # rows that stay in the processor's cache
# of a block's values are summed at once: with those of its length fewer than the 53 of a double
_BITS_PER_PASS = 36
# between these the square of a double is the sum of two doubles
_LARGE = 2.0**480
_SMALL = 2.0**-480
_SPLIT_FACTOR = 134_217_729.0  # 2 ** 27 + 1: cuts a double into two halves of 26 bits
_HUGE = 2.0**960  # from here on adding to a double may overflow
_CELL_SHIFT = np.uint64(46)  # leaves the sign, the exponent and six bits of the fraction
_CELL_COUNT = 1 << 18
_SIGN_BIT = np.uint64(1 << 63)


@dataclass(frozen=True)
class ExactProfile:
    """What is known exactly of a column or of a part of it; see ``ColumnState`` for sketches.

    Attributes:
        rows: how many rows it is of.
        nulls: how many of them hold nothing.
        non_finite: how many hold NaN or an infinity. All that follows is of the finite values.
        low: the least value.
        high: the greatest value.
        total: the exact sum, in units of 2 ** -1074.
        squares: the exact sum of the squares, in units of 2 ** -2148.
        cell_counts: how many values begin with each pattern of leading bits; None where no quantile
            is wanted.
        categories: the distinct values that are not null.
        category_counts: how often each of them comes; empty where that is not wanted.
    """

    rows: int = 0
    nulls: int = 0
    non_finite: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: int = 0
    squares: int = 0
    cell_counts: Integers | None = None
    categories: frozenset[Any] = frozenset()
    category_counts: Mapping[Any, int] = field(default_factory=dict)

    @classmethod
    def from_values(
        cls, values: Doubles, nulls: int, with_moments: bool, with_quantiles: bool
    ) -> Self:
        """The profile of some values.

        Args:
            values: those that are not null, as doubles.
            nulls: how many nulls are beside them.
            with_moments: whether the sums are wanted.
            with_quantiles: whether the counts by leading bits are wanted.

        Returns:
            The profile, without categories.
        """
        finite = _select_finite(values)
        rows = len(values) + nulls
        non_finite = len(values) - len(finite)
        cell_counts = None
        if with_quantiles:
            cell_counts = np.bincount(_compute_cells(finite), minlength=_CELL_COUNT)
        if not len(finite):
            return cls(rows, nulls, non_finite, cell_counts=cell_counts)
        return cls(
            rows,
            nulls,
            non_finite,
            low=float(finite.min()),
            high=float(finite.max()),
            total=sum_exactly(finite) if with_moments else 0,
            squares=sum_squares_exactly(finite) if with_moments else 0,
            cell_counts=cell_counts,
        )

    def merge(self, other: "ExactProfile") -> "ExactProfile":
        """The profile of both parts together."""
        return ExactProfile(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.non_finite + other.non_finite,
            min(self.low, other.low),
            max(self.high, other.high),
            self.total + other.total,
            self.squares + other.squares,
            _add_counts(self.cell_counts, other.cell_counts),
            self.categories | other.categories,
            _add_category_counts(self.category_counts, other.category_counts),
        )

    @property
    def finite_count(self) -> int:
        """How many values are finite numbers."""
        return self.rows - self.nulls - self.non_finite

    @property
    def mean(self) -> float:
        """The mean of the finite values, rounded once."""
        return self.total / (self.finite_count << UNIT_EXPONENT)

    @property
    def stddev(self) -> float:
        """The deviation of the population: the root of the exact variance."""
        return compute_stddev(self.finite_count, self.total, self.squares)

    def find_quantile_cells(self, shares: Sequence[float]) -> Integers:
        """The cells in which these quantiles lie."""
        assert self.cell_counts is not None
        below, above, _ = _find_ranks(self.finite_count, shares)
        ends = np.cumsum(self.cell_counts)
        return np.unique(np.searchsorted(ends, np.concatenate([below, above]), side="right"))

    def compute_quantiles(self, shares: Sequence[float], cell_values: Doubles) -> list[float]:
        """The quantiles, linearly interpolated as ``numpy.percentile`` does.

        Args:
            shares: the quantiles to compute, from 0 to 1.
            cell_values: all finite values that lie in ``find_quantile_cells(shares)``.

        Returns:
            A quantile for each share.
        """
        ranks_below, ranks_above, fractions = _find_ranks(self.finite_count, shares)
        ordered = np.sort(cell_values)
        below = self._select_at_ranks(ranks_below, ordered)
        above = self._select_at_ranks(ranks_above, ordered)
        quantiles: list[float] = interpolate_linearly(below, above, fractions).tolist()
        return quantiles

    def _select_at_ranks(self, ranks: Integers, ordered: Doubles) -> Doubles:
        """The values with these ranks among all, from the sorted values of their cells."""
        assert self.cell_counts is not None
        ends = np.cumsum(self.cell_counts)
        cells = np.searchsorted(ends, ranks, side="right")
        ranks_in_cells = ranks - (ends[cells] - self.cell_counts[cells])
        starts = np.searchsorted(_compute_cells(ordered), cells)
        return ordered[starts + ranks_in_cells]


def _add_counts(left: Integers | None, right: Integers | None) -> Integers | None:
    if left is None:
        return right
    if right is None:
        return left
    return left + right


def _add_category_counts(left: Mapping[Any, int], right: Mapping[Any, int]) -> Mapping[Any, int]:
    added = dict(left)
    for category, count in right.items():
        added[category] = added.get(category, 0) + count
    return added


def compute_stddev(count: int, total: int, squares: int) -> float:
    """The deviation of a population from its sums.

    Args:
        count: how many values there are, at least one.
        total: their sum, in units of 2 ** -1074.
        squares: the sum of their squares, in units of 2 ** -2148.

    Returns:
        The deviation; 0 where rounded sums leave less than that.
    """
    numerator = max(0, count * squares - total**2)
    denominator = count**2 << 2 * UNIT_EXPONENT
    # enough for the root to have more bits than a double
    missing_bits = 130 - numerator.bit_length() + denominator.bit_length()
    shift = max(0, missing_bits // 2)
    return math.isqrt((numerator << 2 * shift) // denominator) / (1 << shift)


def select_in_cells(values: Doubles, cells: Integers) -> Doubles:
    """The finite values that lie in these cells."""
    finite = _select_finite(values)
    selected: Doubles = finite[np.isin(_compute_cells(finite), cells)]
    return selected


def _select_finite(values: Doubles) -> Doubles:
    is_finite = np.isfinite(values)
    return values if is_finite.all() else values[is_finite]


def _compute_cells(values: Doubles) -> Integers:
    """The leading bits of each double, in a form that sorts as the doubles do."""
    bits = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    sortable = np.where(bits & _SIGN_BIT, ~bits, bits | _SIGN_BIT)
    return (sortable >> _CELL_SHIFT).astype(np.int64)


def _find_ranks(count: int, shares: Sequence[float]) -> tuple[Integers, Integers, Doubles]:
    """The ranks of the two values between which each quantile lies, and where between them."""
    positions = (count - 1) * np.array(shares)
    below = np.floor(positions).astype(np.int64)
    above = np.minimum(below + 1, count - 1)
    return below, above, positions - below


def sum_exactly(values: Doubles) -> int:
    """The sum of finite doubles in units of 2 ** -1074."""
    total = 0
    for start in range(0, len(values), _BLOCK_ROWS):
        total += _sum_block(values[start : start + _BLOCK_ROWS])
    return total


def _sum_block(remainder: Doubles) -> int:
    """The sum of a block.

    Again and again the leading bits of every value, which doubles add without rounding, are summed
    and taken away, until nothing is left.
    """
    is_huge = np.abs(remainder) > _HUGE
    total = 0
    if is_huge.any():
        total = sum(map(to_units, remainder[is_huge].tolist()))
        remainder = remainder[~is_huge]
    while len(remainder):
        largest = max(float(remainder.max()), -float(remainder.min()))
        if not largest > 0:
            break
        _, exponent = math.frexp(largest)
        unit = max(exponent - _BITS_PER_PASS, -UNIT_EXPONENT)
        rounding = math.ldexp(1.5, 52 + unit)  # to add and take it away rounds to units
        leading = (remainder + rounding) - rounding
        unit_count = int(math.ldexp(float(leading.sum()), -unit))
        total += unit_count << (unit + UNIT_EXPONENT)
        remainder = remainder - leading
    return total


def sum_squares_exactly(values: Doubles) -> int:
    """The sum of the squares of finite doubles in units of 2 ** -2148."""
    total = 0
    for start in range(0, len(values), _BLOCK_ROWS):
        block = values[start : start + _BLOCK_ROWS]
        size = np.abs(block)
        is_extreme = (size > _LARGE) | ((size < _SMALL) & (size > 0))
        if is_extreme.any():
            extremes = block[is_extreme].tolist()
            total += sum(to_units(value) ** 2 for value in extremes)
            block = block[~is_extreme]
        square = block * block
        rounding_errors = _compute_rounding_of_squares(block, square)
        total += (_sum_block(square) + _sum_block(rounding_errors)) << UNIT_EXPONENT
    return total


def _compute_rounding_of_squares(values: Doubles, squares: Doubles) -> Doubles:
    """By how much each square was rounded, from the two halves of each value (Dekker's product)."""
    upper = values * _SPLIT_FACTOR
    upper = upper - (upper - values)
    lower = values - upper
    return ((upper * upper - squares) + 2.0 * upper * lower) + lower * lower


def to_units(value: float) -> int:
    """A finite double in units of 2 ** -1074."""
    return int(Fraction(value) * (1 << UNIT_EXPONENT))
