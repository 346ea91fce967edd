"""What is known of a column of numbers or categories, in parts that merge in any order to the same bits.

A sum of doubles is kept as a whole number of the least unit that a double has, so it is exact, and a mean or a deviation does not depend on
how the rows were cut into parts. Quantiles are exact too: a first look counts the values by their leading bits, a second one fetches those
that lie where a quantile falls (a radix selection).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
UNIT = 1074  # every finite double is a whole number of 2 ** -1074
_BLOCK = 1 << 15  # rows that stay in the processor's cache
_BITS = 36  # of a block's values are summed at once: with those of its length fewer than the 53 of a double
_LARGE, _SMALL = 2.0**480, 2.0**-480  # between these the square of a double is the sum of two doubles
_SHIFT = np.uint64(46)  # leaves the sign, the exponent and six bits of the fraction
_CELLS = 1 << 18
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True)
class Profile:
    """A column, or a part of it: how many rows, nulls, and values that are no finite number; then what the finite ones are.

    total and squares: the exact sums of the values and of their squares, in units of 2 ** -1074 and 2 ** -2148. cells: how many values
    begin with each pattern of leading bits; None where no quantile is wanted. categories: the distinct values that are not null.
    """

    rows: int = 0
    nulls: int = 0
    odd: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: int = 0
    squares: int = 0
    cells: Numbers | None = None
    categories: frozenset[Any] = frozenset()

    @classmethod
    def of(cls, values: Doubles, nulls: int, moments: bool, quantiles: bool) -> Self:
        """Of values that are not null, as doubles, with the number of nulls beside them."""
        finite = _finite(values)
        odd = len(values) - len(finite)
        if not len(finite):
            return cls(len(values) + nulls, nulls, odd, cells=np.zeros(_CELLS, np.int64) if quantiles else None)
        sums = (exact_sum(finite), exact_squares(finite)) if moments else (0, 0)
        return cls(
            len(values) + nulls, nulls, odd, float(finite.min()), float(finite.max()), *sums,
            np.bincount(_cells(finite), minlength=_CELLS) if quantiles else None,
        )

    def merge(self, other: "Profile") -> "Profile":
        """The two parts together."""
        cells = other.cells if self.cells is None else self.cells if other.cells is None else self.cells + other.cells
        return Profile(
            self.rows + other.rows, self.nulls + other.nulls, self.odd + other.odd, min(self.low, other.low), max(self.high, other.high),
            self.total + other.total, self.squares + other.squares, cells, self.categories | other.categories,
        )

    @property
    def count(self) -> int:
        """How many values are finite numbers."""
        return self.rows - self.nulls - self.odd

    @property
    def mean(self) -> float:
        """The mean of the finite values, rounded once."""
        return self.total / (self.count << UNIT)

    @property
    def stddev(self) -> float:
        """The deviation of the population: the root of the exact variance."""
        return deviation(self.count, self.total, self.squares)

    def wanted_cells(self, shares: Sequence[float]) -> Numbers:
        """The cells in which these quantiles lie."""
        assert self.cells is not None
        ranks = [rank for share in shares for rank in _ranks(self.count, share)[:2]]
        return np.unique(np.searchsorted(np.cumsum(self.cells), np.array(ranks), side="right"))

    def quantiles(self, shares: Sequence[float], found: Doubles) -> list[float]:
        """The quantiles, linearly interpolated as ``numpy.percentile`` does; found: the values in ``wanted_cells``."""
        assert self.cells is not None
        found = np.sort(found)
        cells, ends = _cells(found), np.cumsum(self.cells)

        def value(rank: int) -> float:
            cell = np.searchsorted(ends, rank, side="right")
            return float(found[np.searchsorted(cells, cell) + rank - (ends[cell] - self.cells[cell])])  # type: ignore[index] # there are cells

        return [_between(value(low), value(high), part) for low, high, part in (_ranks(self.count, share) for share in shares)]


def deviation(count: int, total: int, squares: int) -> float:
    """The deviation of so many values with these sums, in units of 2 ** -1074 and 2 ** -2148; 0 where rounded sums leave less than that."""
    above, below = max(0, count * squares - total**2), count**2 << 2 * UNIT
    bits = max(0, (130 - above.bit_length() + below.bit_length()) // 2)  # enough for the root to have more bits than a double
    return math.isqrt((above << 2 * bits) // below) / (1 << bits)


def in_cells(values: Doubles, wanted: Numbers) -> Doubles:
    """The finite values that lie in these cells."""
    finite = _finite(values)
    found: Doubles = finite[np.isin(_cells(finite), wanted)]
    return found


def _finite(values: Doubles) -> Doubles:
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _cells(values: Doubles) -> Numbers:
    """The leading bits of each double, in a form that sorts as the doubles do."""
    bits = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    ordered = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return (ordered >> _SHIFT).astype(np.int64)


def _ranks(count: int, share: float) -> tuple[int, int, float]:
    """The ranks of the two values between which a quantile lies, and where between them."""
    place = (count - 1) * share
    low = math.floor(place)
    return low, min(low + 1, count - 1), place - low


def _between(low: float, high: float, part: float) -> float:
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def exact_sum(values: Doubles) -> int:
    """The sum of finite doubles in units of 2 ** -1074."""
    return sum(_summed(values[at : at + _BLOCK]) for at in range(0, len(values), _BLOCK))


def _summed(rest: Doubles) -> int:
    """The sum of a block: again and again the leading bits of every value, which doubles add without rounding, until nothing is left."""
    huge = np.abs(rest) > 2.0**960
    if huge.any():
        return sum(map(units, rest[huge].tolist())) + _summed(rest[~huge])
    total = 0
    while len(rest) and (top := max(float(rest.max()), -float(rest.min()))) > 0:
        unit = max(math.frexp(top)[1] - _BITS, -UNIT)
        rounding = math.ldexp(1.5, 52 + unit)  # to add and take it away rounds to whole units
        leading = (rest + rounding) - rounding
        total += int(math.ldexp(float(leading.sum()), -unit)) << (unit + UNIT)
        rest = rest - leading
    return total


def exact_squares(values: Doubles) -> int:
    """The sum of the squares of finite doubles in units of 2 ** -2148."""
    total = 0
    for at in range(0, len(values), _BLOCK):
        block = values[at : at + _BLOCK]
        size = np.abs(block)
        odd = (size > _LARGE) | ((size < _SMALL) & (size > 0))
        if odd.any():
            total += sum(units(value) ** 2 for value in block[odd].tolist())
            block = block[~odd]
        square = block * block
        upper = block * 134_217_729.0  # Dekker's product: the two halves of each value tell by how much its square was rounded
        upper = upper - (upper - block)
        lower = block - upper
        rounded = ((upper * upper - square) + 2.0 * upper * lower) + lower * lower
        total += (_summed(square) + _summed(rounded)) << UNIT
    return total


def units(value: float) -> int:
    """A finite double in units of 2 ** -1074."""
    return int(Fraction(value) * (1 << UNIT))
