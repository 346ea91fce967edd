"""Large integers as arrays of limbs: what exact sums of doubles are kept in.

A number is a sum of limbs, each in a unit of its own: those of a grid, every unit 2 ** width times
the one below. Many numbers side by side are a matrix of 64-bit integers with a row for each limb,
the least first. It is canonical when all limbs lie in [0, 2 ** width), the topmost aside, which
bears the sign.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spark_fs.engine.join.matching import Ints

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

BLOCK_ROWS = 1 << 13  # rows that stay in the processor's cache
_MAX_WIDTH = 52  # bits that a double holds exactly
_LEADING_BITS = 62  # more than a double has, and room in 64 bits for the sign and a carry
_LEAST_FACTOR = -900  # the exponent of units down to which a unit and its inverse are doubles
_LEAST_EXPONENT = -1074  # of a double's last bit
_FRACTION_BITS = 52
_EXPONENT_BIAS = 1023


class Leading(NamedTuple):
    """The leading bits of numbers.

    magnitudes: without their sign, below 2 ** 62. Where not all bits had room, at least 61 of them
    did, and the last one is set if any below it is: so it rounds as the whole does. exponents: of
    two, to multiply it with. is_negative: the sign.
    """

    magnitudes: Ints
    exponents: Ints
    is_negative: Flags


def cut_blocks(rows: int) -> list[slice]:
    """Rows in blocks, one after another."""
    return [slice(start, start + BLOCK_ROWS) for start in range(0, rows, BLOCK_ROWS)]


def choose_width(count: int) -> int:
    """How many bits a limb has so that so many of them add up to fewer than 62."""
    return min(_MAX_WIDTH, _LEADING_BITS - 1 - count.bit_length())


def find_exponent(values: Doubles) -> int | None:
    """The least exponent of two above the sizes of all values; None where all are 0."""
    if not len(values):
        return None
    largest = max(float(values.max()), -float(values.min()))
    if largest == 0:
        return None
    _, exponent = math.frexp(largest)
    return exponent


def peel_limb(rest: Doubles, exponent: int) -> tuple[Ints, Doubles]:
    """Cut the leading bits off doubles, without any rounding.

    Args:
        rest: finite doubles, less than 2 ** 62 times the unit.
        exponent: of two: the unit.

    Returns:
        How many whole units each has, towards 0, and what is left of it.
    """
    if exponent < _LEAST_FACTOR:
        units = np.trunc(np.ldexp(rest, -exponent))
        return units.astype(np.int64), rest - np.ldexp(units, exponent)
    units = rest * 2.0**-exponent
    np.trunc(units, out=units)
    limb = units.astype(np.int64)
    units *= 2.0**exponent
    return limb, np.subtract(rest, units, out=units)


def carry_up(limbs: Ints, width: int) -> None:
    """Make limbs canonical, in place."""
    for lower, upper in pairwise(limbs):
        carry = lower >> width
        upper += carry
        carry <<= width
        lower -= carry


def peel_doubles(limbs: Ints, rest: Doubles, width: int, exponent: int) -> None:
    """Subtract doubles from limbs, in place, and make these canonical.

    Args:
        limbs: to subtract from.
        rest: whole multiples of the least unit.
        width: of a limb, in bits.
        exponent: of the least limb's unit.
    """
    for place in reversed(range(len(limbs))):
        above = find_exponent(rest)
        if above is None:
            break
        unit = exponent + place * width
        if unit < above:
            limb, rest = peel_limb(rest, unit)
            limbs[place] -= limb
    carry_up(limbs, width)


def to_magnitudes(limbs: Ints, width: int) -> tuple[Ints, Flags]:
    """Canonical limbs without their sign, and where that was a minus."""
    is_negative = limbs[-1] < 0
    if not is_negative.any():
        return limbs, is_negative
    magnitudes = np.where(is_negative, -limbs, limbs)
    carry_up(magnitudes, width)
    return magnitudes, is_negative


def find_leading(limbs: Ints, width: int, exponent: int) -> Leading:
    """The leading bits of numbers.

    Args:
        limbs: canonical.
        width: of a limb, in bits.
        exponent: of the least limb's unit.

    Returns:
        Enough bits to round to a double.
    """
    magnitudes, is_negative = to_magnitudes(limbs, width)
    leading = magnitudes[-1].copy()
    exponents = np.full(len(leading), exponent + (len(limbs) - 1) * width)
    lost = np.zeros_like(leading)
    for limb in magnitudes[-2::-1]:
        taken = np.clip(_LEADING_BITS - _count_bits(leading), 0, width)
        left = width - taken
        leading <<= taken
        upper = limb >> left
        leading |= upper
        upper <<= left
        lost |= limb ^ upper
        exponents -= taken
    leading |= lost != 0
    return Leading(leading, exponents, is_negative)


def _count_bits(numbers: Ints) -> Ints:
    """How many bits numbers have, or one more; far below 0 for 0."""
    exponents = numbers.astype(np.float64).view(np.int64) >> _FRACTION_BITS
    return exponents - (_EXPONENT_BIAS - 1)


def round_leading(leading: Leading) -> Doubles:
    """The doubles nearest to numbers, ties to even; infinite beyond the greatest double."""
    magnitudes, exponents, is_negative = leading
    if len(exponents) and exponents.min() < _LEAST_EXPONENT:
        magnitudes, exponents = _round_subnormals(magnitudes, exponents)
    values = scale_doubles(magnitudes.astype(np.float64), exponents)
    return np.negative(values, out=values, where=is_negative)


def _round_subnormals(magnitudes: Ints, exponents: Ints) -> tuple[Ints, Ints]:
    """Round those numbers that would be subnormal to units of the least double, ties to even."""
    dropped = _LEAST_EXPONENT - exponents
    is_subnormal = (dropped > 0) & (_count_bits(magnitudes) <= _FRACTION_BITS + dropped)
    dropped = np.clip(dropped, 1, _LEADING_BITS + 1)
    kept = magnitudes >> dropped
    below = magnitudes - (kept << dropped)
    half = np.int64(1) << (dropped - 1)
    kept += (below > half) | ((below == half) & (kept & 1 == 1))
    return (
        np.where(is_subnormal, kept, magnitudes),
        np.where(is_subnormal, _LEAST_EXPONENT, exponents),
    )


def scale_doubles(values: Doubles, exponents: Ints) -> Doubles:
    """Doubles times powers of two; infinite beyond the greatest."""
    if not len(values):
        return values
    if exponents.min() > -_EXPONENT_BIAS and exponents.max() <= _EXPONENT_BIAS:
        factors = ((exponents + _EXPONENT_BIAS) << _FRACTION_BITS).view(np.float64)
        with np.errstate(over="ignore", under="ignore"):
            return values * factors
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(values, exponents)
