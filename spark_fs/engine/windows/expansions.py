"""The doubles nearest to numbers in limbs, and what these leave, mostly in floating point.

Each limb is a double, so a number is a sum of a few doubles. Adding two of them leaves what
rounding lost as a double as well: a few passes of such sums turn it into a leading double and
smaller and smaller ones. Where these leave a doubt (of how a tie is rounded), the limbs decide.
"""

import numpy as np

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.limbs import (
    Doubles,
    Flags,
    carry_up,
    find_leading,
    peel_doubles,
    round_leading,
)

_EXACT_BOUND = 1 << 53  # below this size integers are doubles
_WORD_BITS = 63
# exponents of units; see ``is_near_one``
_LEAST_UNIT = -900
_GREATEST_UNIT = 900
_SPLIT_FACTOR = 134_217_729.0  # 2 ** 27 + 1: cuts a double into two halves of 26 bits
_DOUBT = 2.0**-51  # a little more than the last bit of a double


def round_twice(limbs: Ints, width: int, exponent: int) -> tuple[Doubles, Doubles]:
    """The doubles nearest to numbers, and those nearest to what is left, ties to even.

    Args:
        limbs: whether canonical or not.
        width: of a limb, in bits.
        exponent: of the least limb's unit.

    Returns:
        Both; where a number is beyond the greatest double an infinity and 0.
    """
    sizes = _find_sizes(limbs)
    used = np.flatnonzero(sizes)
    if not len(used):
        return np.zeros(len(limbs[0])), np.zeros(len(limbs[0]))
    # a far larger or smaller number elsewhere costs nothing here
    limbs = limbs[used[0] : used[-1] + 1]
    sizes = sizes[used[0] : used[-1] + 1]
    exponent += int(used[0]) * width
    if not is_near_one(exponent, exponent + len(limbs) * width):
        return _round_by_limbs(limbs, width, exponent)
    terms = _to_terms(limbs, sizes, width, exponent)
    if len(terms) == 1:
        return terms[0], np.zeros_like(terms[0])
    high, low, is_doubtful = _round_terms(terms)
    rows = np.flatnonzero(is_doubtful)
    if len(rows):
        high[rows], low[rows] = _round_by_limbs(limbs[:, rows], width, exponent)
    return high, low


def is_near_one(least: int, greatest: int) -> bool:
    """Whether sums of limbs of units between these exponents neither overflow nor lose bits."""
    return least >= _LEAST_UNIT and greatest <= _GREATEST_UNIT


def _round_by_limbs(limbs: Ints, width: int, exponent: int) -> tuple[Doubles, Doubles]:
    limbs = limbs.copy()
    carry_up(limbs, width)
    high = round_leading(find_leading(limbs, width, exponent))
    is_finite = np.isfinite(high)
    peel_doubles(limbs, np.where(is_finite, high, 0.0), width, exponent)
    low = round_leading(find_leading(limbs, width, exponent))
    return high, np.where(is_finite, low, 0.0)


def _find_sizes(limbs: Ints) -> Ints:
    """The largest size of each limb among all numbers."""
    sizes: Ints = np.maximum(limbs.max(axis=1, initial=0), -limbs.min(axis=1, initial=0))
    return sizes


def _to_terms(limbs: Ints, sizes: Ints, width: int, exponent: int) -> list[Doubles]:
    """Limbs as doubles, the least first, without others that are 0 everywhere."""
    if sizes.max() >= _EXACT_BOUND:
        spare = np.zeros((_WORD_BITS // width, len(limbs[0])), np.int64)
        limbs = np.concatenate([limbs, spare])
        carry_up(limbs, width)
        sizes = _find_sizes(limbs)
    terms = []
    for place, limb in enumerate(limbs):
        if sizes[place] or place == 0:
            terms.append(limb * 2.0 ** (exponent + place * width))
    return terms


def _round_terms(terms: list[Doubles]) -> tuple[Doubles, Doubles, Flags]:
    """The nearest doubles to sums of two or more terms, those to the rest, and where it is unsure.

    Every step keeps the sum of all terms as it is: high + middle + low + rests.
    """
    high, rests = _add_upwards(terms)
    if len(rests) == 1:
        return high, rests[0], np.zeros(len(high), np.bool_)
    middle, rests = _add_upwards(rests)
    low, rests = _add_upwards(rests)
    high, middle = _add_to_multiple(high, middle)
    middle, low = _add_to_multiple(middle, low)
    is_doubtful = _is_near_tie(high, middle, low)
    sizes = sum((np.abs(rest) for rest in rests), np.zeros(1))
    if sizes.any():
        is_doubtful |= _is_near_tie(middle, low, sizes)
        is_doubtful |= sizes > np.abs(low) * (0.5 * _DOUBT)
    return high, middle, is_doubtful


def _add_upwards(terms: list[Doubles]) -> tuple[Doubles, list[Doubles]]:
    """Add up from the least term; beside the sum what each addition lost.

    A limb is a multiple of its unit, and what lies below it is less than 2 ** 53 of these. So is
    what an addition lost a multiple of the last bit of the sum below it, of which the losses before
    are half at most.
    """
    total = terms[0]
    rests = []
    for term in terms[1:]:
        total, rest = _add_to_multiple(term, total)
        rests.append(rest)
    return total, rests


def _add_to_multiple(left: Doubles, right: Doubles) -> tuple[Doubles, Doubles]:
    """As ``add_exactly``, in half the steps, where left is a multiple of the last bit of right."""
    total = left + right
    rounding = total - left
    np.subtract(right, rounding, out=rounding)
    return total, rounding


def _is_near_tie(rounded: Doubles, rest: Doubles, further: Doubles) -> Flags:
    """Whether a sum would be rounded to another double if the rest were a little larger.

    A tie is rounded to even where nothing further is left.
    """
    is_near: Flags = rounded + rest * (1.0 + _DOUBT) != rounded
    is_near &= further != 0
    return is_near


def add_exactly(left: Doubles, right: Doubles) -> tuple[Doubles, Doubles]:
    """The rounded sum of doubles, and what rounding has lost of it (Knuth's two-sum).

    Args:
        left: finite doubles.
        right: finite doubles.

    Returns:
        Both.
    """
    total = left + right
    right_share = total - left
    rounding = total - right_share
    np.subtract(left, rounding, out=rounding)
    np.subtract(right, right_share, out=right_share)
    rounding += right_share
    return total, rounding


def multiply_exactly(left: Doubles, right: Doubles) -> tuple[Doubles, Doubles]:
    """The rounded product of doubles, and what rounding has lost of it (Dekker's product).

    Args:
        left: doubles neither so large nor so small that their halves' products are none.
        right: likewise.

    Returns:
        Both.
    """
    product = left * right
    left_upper, left_lower = cut_halves(left)
    right_upper, right_lower = cut_halves(right)
    rounding = left_upper * right_upper
    rounding -= product
    left_upper *= right_lower
    rounding += left_upper
    right_upper *= left_lower
    rounding += right_upper
    left_lower *= right_lower
    rounding += left_lower
    return product, rounding


def square_exactly(values: Doubles) -> tuple[Doubles, Doubles]:
    """The rounded squares of doubles, and what rounding has lost of them."""
    square = values * values
    upper, lower = cut_halves(values)
    rounding = upper * upper
    rounding -= square
    upper *= 2.0
    upper *= lower
    rounding += upper
    lower *= lower
    rounding += lower
    return square, rounding


def cut_halves(values: Doubles) -> tuple[Doubles, Doubles]:
    """Doubles as sums of two of 26 bits each."""
    upper = values * _SPLIT_FACTOR
    rest = upper - values
    upper -= rest
    np.subtract(values, upper, out=rest)
    return upper, rest
