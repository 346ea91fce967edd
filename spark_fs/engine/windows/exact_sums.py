"""Sums of doubles and decimals over any range of rows, exact and rounded once.

A prefix sum in doubles would lose bits, and the sum of a window would depend on what lies before
it. So every number is cut into limbs, integers on a common grid, whose prefix sums are exact; the
sum of a range is a difference of two of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.expansions import is_near_one, round_twice
from spark_fs.engine.windows.limbs import (
    Doubles,
    Flags,
    carry_up,
    choose_width,
    cut_blocks,
    find_exponent,
    peel_doubles,
    peel_limb,
    to_magnitudes,
)
from spark_fs.engine.windows.loops import get_compiled

_WORD_BITS = 64
_INT64_BOUND = 2.0**63
_DECIMAL_BOUND = 2.0**127
# to_parts moves what is beyond doubles by so many powers of two
_FAR_EXPONENT = 1200
# of the greatest and the least double's bits
_GREATEST_EXPONENT = 1023
_LEAST_EXPONENT = -1074


class Part(NamedTuple):
    """Numbers as doubles times a power of two, for what lies beyond the doubles' own range."""

    values: Doubles
    exponent: int = 0


class ExactSums:
    """Numbers that are sums, exactly.

    width: of a limb, in bits. exponent: of the least limb's unit.
    """

    def __init__(self, limbs: Ints, width: int, exponent: int) -> None:
        """Keep a row for each limb, the least first, canonical or not."""
        self._limbs = limbs
        self.width = width
        self.exponent = exponent

    @property
    def limbs(self) -> Ints:
        """A row for each limb, the least first, canonical or not."""
        return self._limbs

    def __len__(self) -> int:
        return len(self.limbs[0])

    def take_rows(self, rows: Ints | slice) -> "ExactSums":
        """Some of the sums."""
        return ExactSums(self.limbs[:, rows], self.width, self.exponent)

    def to_doubles(self) -> Doubles:
        """The nearest doubles, ties to even; infinite beyond the greatest double."""
        return self._halves[0]

    def to_double_doubles(self) -> tuple[Doubles, Doubles]:
        """The nearest doubles and, rounded likewise, what they leave; 0 where they are infinite."""
        return self._halves

    @cached_property
    def _halves(self) -> tuple[Doubles, Doubles]:
        high = np.empty(len(self))
        low = np.empty(len(self))
        for block in cut_blocks(len(self)):
            halves = round_twice(self.limbs[:, block], self.width, self.exponent)
            high[block], low[block] = halves
        return high, low

    def make_canonical(self) -> "ExactSums":
        """The same sums with canonical limbs."""
        limbs = self.limbs.copy()
        carry_up(limbs, self.width)
        return ExactSums(limbs, self.width, self.exponent)

    def _subtract(self, doubles: Doubles) -> "ExactSums":
        """The sums less doubles that are whole multiples of the least unit."""
        limbs = self.limbs.copy()
        for block in cut_blocks(len(self)):
            peel_doubles(limbs[:, block], doubles[block], self.width, self.exponent)
        return ExactSums(limbs, self.width, self.exponent)

    def to_parts(self) -> list[Part]:
        """Doubles whose sum is the exact one, the greatest first, none overlapping another.

        Their exponents are 0, except for what is beyond doubles. The parts of a sum that are not 0
        depend on its value alone.
        """
        parts = []
        rest = self
        for exponent in self._list_part_exponents():
            while True:
                values = rest._round_to_part(exponent)
                if not values.any():
                    break
                parts.append(Part(values, exponent))
                rest = rest._move(-exponent)._subtract(values)._move(exponent)
        return parts or [Part(np.zeros(len(self)))]

    def _list_part_exponents(self) -> list[int]:
        """Which powers of two parts are moved by: none where doubles reach far enough."""
        exponents = [0]
        if self.exponent + (len(self.limbs) - 1) * self.width + _WORD_BITS > _GREATEST_EXPONENT:
            exponents.insert(0, _FAR_EXPONENT)
        if self.exponent < _LEAST_EXPONENT:
            exponents.append(-_FAR_EXPONENT)
        return exponents

    def _round_to_part(self, exponent: int) -> Doubles:
        """The nearest doubles times this power of two; of the highest only what else overflows."""
        values = self._move(-exponent).to_doubles()
        if exponent > 0:
            return np.where(np.isinf(self.to_doubles()), values, 0.0)
        return values

    def _move(self, exponent: int) -> "ExactSums":
        """The sums times a power of two."""
        if not exponent:
            return self
        return ExactSums(self.limbs, self.width, self.exponent + exponent)

    def to_integers(self) -> tuple[Ints, Flags]:
        """The sums as 64-bit integers, which they must be, and where they are too large."""
        high, low = self.to_double_doubles()
        overflows = (high > _INT64_BOUND) | ((high == _INT64_BOUND) & (low >= 0))
        underflows = (high < -_INT64_BOUND) | ((high == -_INT64_BOUND) & (low < 0))
        total = np.zeros(len(self), np.int64)
        for place, limb in enumerate(self.make_canonical().limbs):
            total += _shift_into_word(limb, self.exponent + place * self.width)
        return total, overflows | underflows

    def to_decimals(self, type_: pa.Decimal128Type) -> tuple[pa.Array, Flags]:
        """The sums, whole multiples of 1, as unscaled values of decimals.

        Args:
            type_: of the decimals.

        Returns:
            The decimals, and which sums have more digits than the type; the value is 0 there.
        """
        limbs, is_negative = to_magnitudes(self.make_canonical().limbs, self.width)
        low = np.zeros(len(self), np.uint64)
        high = np.zeros(len(self), np.uint64)
        for place, limb in enumerate(limbs):
            shift = self.exponent + place * self.width
            added = _shift_into_word(limb, shift).view(np.uint64)
            low += added
            high += _shift_into_word(limb, shift - _WORD_BITS).view(np.uint64)
            high += low < added
        overflows = np.abs(self.to_doubles()) >= _DECIMAL_BOUND
        bound_high, bound_low = divmod(10**type_.precision, 1 << _WORD_BITS)
        overflows |= (high > bound_high) | ((high == bound_high) & (low >= bound_low))
        words = np.empty((len(self), 2), np.uint64)
        words[:, 0] = np.where(is_negative, -low, low)
        words[:, 1] = np.where(is_negative, ~high + (low == 0), high)
        words[overflows] = 0
        buffers = [None, pa.py_buffer(words)]
        return pa.Array.from_buffers(type_, len(self), buffers), overflows


def _shift_into_word(limb: Ints, shift: int) -> Ints:
    """The 64 bits of a number times a power of two that lie from the unit on."""
    if shift >= _WORD_BITS:
        return np.zeros_like(limb)
    if shift >= 0:
        return limb << shift
    return limb >> min(-shift, _WORD_BITS - 1)


@dataclass(frozen=True)
class ExactPrefix:
    """The sums of the first rows, exactly: one more than there are rows.

    limbs: of the sums, the least first, each as the one before it and not canonical; None where all
    are 0. width: of a limb, in bits. exponent: of the least limb's unit. rows: how many there are.
    """

    limbs: tuple[Ints | None, ...]
    width: int
    exponent: int
    rows: int

    @classmethod
    def from_parts(cls, parts: Sequence[Doubles | Part]) -> Self:
        """The prefix sums of numbers.

        Args:
            parts: at least one: arrays of finite doubles whose sums, element by element, are the
                numbers.

        Returns:
            The sums.
        """
        scaled = [part if isinstance(part, Part) else Part(part) for part in parts]
        rows = len(scaled[0].values)
        width = choose_width(rows * len(scaled))
        tops = [_find_top(part) for part in scaled]
        top = max((top for top in tops if top is not None), default=0)
        places: dict[int, Ints] = {}
        blocks = cut_blocks(rows) if get_compiled() is None else [slice(0, rows)]
        for block in blocks:
            for values, exponent in scaled:
                _add_limbs(places, values, block, top - exponent, width)
            for limb in places.values():
                _accumulate_block(limb, block)
        count = max(places, default=0) + 1
        limbs = tuple(places.get(place) for place in reversed(range(count)))
        return cls(limbs, width, top - count * width, rows)

    def sum_between(self, starts: Ints, ends: Ints) -> ExactSums:
        """The sums of ranges of rows.

        Args:
            starts: the first row of each range.
            ends: the row behind its last.

        Returns:
            A sum for each range.
        """
        return _RangeSums(self, starts, ends)

    def gather_limbs(self, starts: Ints, ends: Ints) -> Ints:
        """The limbs of the sums of ranges of rows, as ``sum_between`` takes these."""
        sums = np.zeros((len(self.limbs), len(starts)), np.int64)
        for block in cut_blocks(len(starts)):
            for place, limb in enumerate(self.limbs):
                if limb is not None:
                    np.subtract(limb[ends[block]], limb[starts[block]], out=sums[place, block])
        return sums

    @cached_property
    def matrix(self) -> Ints | None:
        """The limbs as compiled loops take them; None where NumPy has to round their sums."""
        present = [limb for limb in self.limbs if limb is not None]
        top = self.exponent + (len(self.limbs) + 1) * self.width
        if len(present) < len(self.limbs) or not is_near_one(self.exponent, top):
            return None
        return np.array(present)


class _RangeSums(ExactSums):
    """The sums of ranges of rows, whose limbs are gathered when they are asked for."""

    def __init__(self, prefix: ExactPrefix, starts: Ints, ends: Ints) -> None:
        """Of these prefix sums from where on, and up to where."""
        self.width = prefix.width
        self.exponent = prefix.exponent
        self._prefix = prefix
        self._starts = np.ascontiguousarray(starts)
        self._ends = np.ascontiguousarray(ends)

    def __len__(self) -> int:
        return len(self._starts)

    @cached_property
    def limbs(self) -> Ints:
        """A row for each limb, the least first."""
        return self._prefix.gather_limbs(self._starts, self._ends)

    def take_rows(self, rows: Ints | slice) -> ExactSums:
        """Some of the sums."""
        limbs = self._prefix.gather_limbs(self._starts[rows], self._ends[rows])
        return ExactSums(limbs, self.width, self.exponent)

    @cached_property
    def _halves(self) -> tuple[Doubles, Doubles]:
        compiled = get_compiled()
        if compiled is None or self._prefix.matrix is None:
            return super()._halves
        high = np.empty(len(self))
        low = np.empty(len(self))
        is_doubtful = np.empty(len(self), np.bool_)
        grid = (self.width, self.exponent)
        ranges = (self._starts, self._ends)
        compiled.round_differences(self._prefix.matrix, *ranges, *grid, high, low, is_doubtful)
        rows = np.flatnonzero(is_doubtful)
        if len(rows):
            high[rows], low[rows] = self.take_rows(rows)._halves
        return high, low


def _find_top(part: Part) -> int | None:
    exponent = find_exponent(part.values)
    return None if exponent is None else exponent + part.exponent


def _add_limbs(
    places: dict[int, Ints], values: Doubles, block: slice, top: int, width: int
) -> None:
    """Add the limbs of a block to those that there are, by their place below the top.

    Args:
        places: the limbs, of one row more than there are values.
        values: to add.
        block: which of them.
        top: the exponent of two above all numbers, as the values count it.
        width: of a limb, in bits.
    """
    rest = values[block]
    target = slice(block.start + 1, block.start + 1 + len(rest))
    compiled = get_compiled()
    if compiled is not None:
        rest = rest.copy()
    while (exponent := find_exponent(rest)) is not None:
        place = (top - exponent) // width
        unit = top - (place + 1) * width
        if place not in places:
            places[place] = np.zeros(len(values) + 1, np.int64)
        if compiled is not None and is_near_one(unit, unit):
            compiled.peel_limb(rest, 2.0**unit, 2.0**-unit, places[place][target])
            continue
        limb, rest = peel_limb(rest, unit)
        places[place][target] += limb


def _accumulate_block(limb: Ints, block: slice) -> None:
    sums = limb[block.start + 1 : block.stop + 1]
    np.cumsum(sums, out=sums)
    sums += limb[block.start]
