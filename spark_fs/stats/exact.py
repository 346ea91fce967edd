"""What is known of a column of numbers or categories, in parts that merge in any order to the same bits.

A sum of doubles is kept as a whole number of the least unit that a double has, so it is exact, and
a mean or a deviation does not depend on how the rows were cut into parts. Quantiles are exact too:
a first look counts the values by their leading bits, a second one fetches those that lie where a
quantile falls (a radix selection).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
UNIT_EXPONENT = 1074  # every finite double is a whole number of 2 ** -1074
_BLOCK_ROWS = 1 << 15  # rows that stay in the processor's cache
# of a block's values are summed at once: with those of its length fewer than the 53 of a double
_BITS_PER_PASS = 36
_LARGE, _SMALL = (
    2.0**480,
    2.0**-480,
)  # between these the square of a double is the sum of two doubles
_CELL_SHIFT = np.uint64(46)  # leaves the sign, the exponent and six bits of the fraction
_CELL_COUNT = 1 << 18
_SIGN_BIT = np.uint64(1 << 63)


@dataclass(frozen=True)
class ExactProfile:
    """A column, or a part of it: how many rows, nulls, and values that are no finite number; then what the finite ones are.

    total and squares: the exact sums of the values and of their squares, in units of 2 ** -1074 and
    2 ** -2148. cells: how many values begin with each pattern of leading bits; None where no
    quantile is wanted. categories: the distinct values that are not null.
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

    @classmethod
    def from_values(
        cls, values: Doubles, nulls: int, with_moments: bool, with_quantiles: bool
    ) -> Self:
        """Of values that are not null, as doubles, with the number of nulls beside them."""
        finite = _select_finite(values)
        odd = len(values) - len(finite)
        if not len(finite):
            return cls(
                len(values) + nulls,
                nulls,
                odd,
                cell_counts=np.zeros(_CELL_COUNT, np.int64) if with_quantiles else None,
            )
        sums = (sum_exactly(finite), sum_squares_exactly(finite)) if with_moments else (0, 0)
        return cls(
            len(values) + nulls,
            nulls,
            odd,
            float(finite.min()),
            float(finite.max()),
            *sums,
            np.bincount(_compute_cells(finite), minlength=_CELL_COUNT) if with_quantiles else None,
        )

    def merge(self, other: "ExactProfile") -> "ExactProfile":
        """The two parts together."""
        cells = (
            other.cell_counts
            if self.cell_counts is None
            else (
                self.cell_counts
                if other.cell_counts is None
                else self.cell_counts + other.cell_counts
            )
        )
        return ExactProfile(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.non_finite + other.non_finite,
            min(self.low, other.low),
            max(self.high, other.high),
            self.total + other.total,
            self.squares + other.squares,
            cells,
            self.categories | other.categories,
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
        ranks = [rank for share in shares for rank in _find_ranks(self.finite_count, share)[:2]]
        return np.unique(
            np.searchsorted(np.cumsum(self.cell_counts), np.array(ranks), side="right")
        )

    def compute_quantiles(self, shares: Sequence[float], cell_values: Doubles) -> list[float]:
        """The quantiles, linearly interpolated as ``numpy.percentile`` does; found: the values in ``wanted_cells``."""
        assert self.cell_counts is not None
        counts = self.cell_counts
        cell_values = np.sort(cell_values)
        cells = _compute_cells(cell_values)
        ends = np.cumsum(counts)

        def value_at_rank(rank: int) -> float:
            cell = np.searchsorted(ends, rank, side="right")
            rank_in_cell = rank - (ends[cell] - counts[cell])
            return float(cell_values[np.searchsorted(cells, cell) + rank_in_cell])

        return [
            _interpolate_linearly(value_at_rank(low), value_at_rank(high), part)
            for low, high, part in (_find_ranks(self.finite_count, share) for share in shares)
        ]


def compute_stddev(count: int, total: int, squares: int) -> float:
    """The deviation of so many values with these sums, in units of 2 ** -1074 and 2 ** -2148; 0 where rounded sums leave less than that."""
    above, below = max(0, count * squares - total**2), count**2 << 2 * UNIT_EXPONENT
    bits = max(
        0, (130 - above.bit_length() + below.bit_length()) // 2
    )  # enough for the root to have more bits than a double
    return math.isqrt((above << 2 * bits) // below) / (1 << bits)


def select_in_cells(values: Doubles, cells: Integers) -> Doubles:
    """The finite values that lie in these cells."""
    finite = _select_finite(values)
    found: Doubles = finite[np.isin(_compute_cells(finite), cells)]
    return found


def _select_finite(values: Doubles) -> Doubles:
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _compute_cells(values: Doubles) -> Integers:
    """The leading bits of each double, in a form that sorts as the doubles do."""
    bits = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    ordered = np.where(bits & _SIGN_BIT, ~bits, bits | _SIGN_BIT)
    return (ordered >> _CELL_SHIFT).astype(np.int64)


def _find_ranks(count: int, share: float) -> tuple[int, int, float]:
    """The ranks of the two values between which a quantile lies, and where between them."""
    place = (count - 1) * share
    low = math.floor(place)
    return low, min(low + 1, count - 1), place - low


def _interpolate_linearly(low: float, high: float, fraction: float) -> float:
    return (
        high - (high - low) * (1 - fraction) if fraction >= 0.5 else low + (high - low) * fraction
    )


def sum_exactly(values: Doubles) -> int:
    """The sum of finite doubles in units of 2 ** -1074."""
    return sum(
        _sum_block(values[at : at + _BLOCK_ROWS]) for at in range(0, len(values), _BLOCK_ROWS)
    )


def _sum_block(remainder: Doubles) -> int:
    """The sum of a block: again and again the leading bits of every value, which doubles add without rounding, until nothing is left."""
    huge = np.abs(remainder) > 2.0**960
    if huge.any():
        return sum(map(to_units, remainder[huge].tolist())) + _sum_block(remainder[~huge])
    total = 0
    while len(remainder) and (top := max(float(remainder.max()), -float(remainder.min()))) > 0:
        unit = max(math.frexp(top)[1] - _BITS_PER_PASS, -UNIT_EXPONENT)
        rounding = math.ldexp(1.5, 52 + unit)  # to add and take it away rounds to whole units
        leading = (remainder + rounding) - rounding
        total += int(math.ldexp(float(leading.sum()), -unit)) << (unit + UNIT_EXPONENT)
        remainder = remainder - leading
    return total


def sum_squares_exactly(values: Doubles) -> int:
    """The sum of the squares of finite doubles in units of 2 ** -2148."""
    total = 0
    for at in range(0, len(values), _BLOCK_ROWS):
        block = values[at : at + _BLOCK_ROWS]
        size = np.abs(block)
        odd = (size > _LARGE) | ((size < _SMALL) & (size > 0))
        if odd.any():
            total += sum(to_units(value) ** 2 for value in block[odd].tolist())
            block = block[~odd]
        square = block * block
        upper = (
            block * 134_217_729.0
        )  # Dekker's product: the two halves of each value tell by how much its square was rounded
        upper = upper - (upper - block)
        lower = block - upper
        rounded = ((upper * upper - square) + 2.0 * upper * lower) + lower * lower
        total += (_sum_block(square) + _sum_block(rounded)) << UNIT_EXPONENT
    return total


def to_units(value: float) -> int:
    """A finite double in units of 2 ** -1074."""
    return int(Fraction(value) * (1 << UNIT_EXPONENT))
