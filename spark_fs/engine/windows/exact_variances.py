"""Variances of windows, from the exact sums of their values and of the squares."""

import numpy as np

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.exact_parts import compute_rounding
from spark_fs.engine.windows.exact_sums import ExactSums
from spark_fs.engine.windows.limbs import (
    BLOCK_ROWS,
    Doubles,
    carry_up,
    find_leading,
    scale_doubles,
    to_magnitudes,
)

# Two doubles hold some 104 bits: where more than half of them cancel, the limbs are used.
_LEAST_SHARE = 2.0**-45
# sums of squares between which products of doubles neither overflow nor lose bits
_LEAST_SQUARES = 2.0**-800
_GREATEST_SQUARES = 2.0**800
_PIECE_BITS = 24  # the product of two pieces, and of a piece and a count, fits in 62 bits
_PIECE_MASK = (1 << _PIECE_BITS) - 1
_LIMB_BITS = 62  # of a topmost limb


def compute_variances(counts: Ints, sums: ExactSums, squares: ExactSums) -> Doubles:
    """The variances of populations.

    They are functions of the exact numbers alone, however these are kept.

    Args:
        counts: how many values each has.
        sums: of its values.
        squares: the sums of the squares.

    Returns:
        A variance for each, within a unit or so of its last place; exactly 0 for equal values and
        where there is none.
    """
    variances = np.empty(len(counts))
    for start in range(0, len(counts), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        block_counts = np.maximum(counts[block], 1)
        variances[block] = _compute_block(block_counts, sums, squares, block)
    return variances


def _compute_block(counts: Ints, sums: ExactSums, squares: ExactSums, block: slice) -> Doubles:
    high, low = sums.to_double_doubles()
    high_squares, low_squares = squares.to_double_doubles()
    total = high_squares[block]
    sizes = counts.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        quotients, rests = _divide_square(high[block], low[block], sizes)
        differences = _subtract_twice(total, low_squares[block], quotients, rests)
    is_sure = (differences > total * _LEAST_SHARE) & (total < _GREATEST_SQUARES)
    is_sure &= total > _LEAST_SQUARES
    is_zero = (counts == 1) | (total == 0)
    variances = np.where(is_zero, 0.0, differences / sizes)
    open_rows = np.flatnonzero(~(is_sure | is_zero))
    if len(open_rows):
        rows = open_rows + block.start
        variances[open_rows] = _compute_from_limbs(
            counts[open_rows], sums.take_rows(rows), squares.take_rows(rows)
        )
    return variances


def _divide_square(high: Doubles, low: Doubles, divisors: Doubles) -> tuple[Doubles, Doubles]:
    """The square of a sum of two doubles, divided, as a sum of two doubles."""
    product = high * high
    rounding = compute_rounding(high, high, product)
    rounding += 2.0 * high * low
    quotient = product / divisors
    taken = quotient * divisors
    rest = product - taken
    rest -= compute_rounding(quotient, divisors, taken)
    rest += rounding
    rest /= divisors
    return quotient, rest


def _subtract_twice(high: Doubles, low: Doubles, other: Doubles, other_low: Doubles) -> Doubles:
    """The difference of two sums of two doubles, rounded."""
    difference = high - other
    taken = high - difference
    rounding = (high - (difference + taken)) + (taken - other)
    return difference + (rounding + (low - other_low))


def _compute_from_limbs(counts: Ints, sums: ExactSums, squares: ExactSums) -> Doubles:
    """The variances from all bits: (count * squares - sums ** 2) / count ** 2."""
    exponent = 2 * sums.exponent
    offset, shift = divmod(squares.exponent - exponent, _PIECE_BITS)
    terms: dict[int, Ints] = {}
    for place, piece in _cut_pieces(squares, shift).items():
        terms[place + offset] = piece * counts
    roots = _cut_pieces(sums, 0)
    for place, piece in roots.items():
        for other_place, other in roots.items():
            terms[place + other_place] = terms.get(place + other_place, 0) - piece * other
    if not terms:
        return np.zeros(len(counts))
    lowest = min(terms)
    numerators = np.zeros((max(terms) - lowest + 1, len(counts)), np.int64)
    for place, term in terms.items():
        numerators[place - lowest] = term
    carry_up(numerators, _PIECE_BITS)
    leading = find_leading(numerators, _PIECE_BITS, exponent + lowest * _PIECE_BITS)
    sizes = counts.astype(np.float64)
    return scale_doubles(leading.magnitudes / (sizes * sizes), leading.exponents)


def _cut_pieces(sums: ExactSums, shift: int) -> dict[int, Ints]:
    """The magnitudes of sums, times a power of two, in pieces by their place; without zeros.

    Args:
        sums: what is cut.
        shift: the exponent of the power of two, less than the bits of a piece.

    Returns:
        Non-negative integers, each in units of 2 ** (24 * place) times that of the least limb.
    """
    magnitudes, _ = to_magnitudes(sums.limbs, sums.width)
    spare = -(-_LIMB_BITS // sums.width) - 1
    limbs = np.concatenate([magnitudes, np.zeros((spare, len(sums)), np.int64)])
    carry_up(limbs, sums.width)
    pieces = {}
    for place in range((len(limbs) * sums.width + shift) // _PIECE_BITS + 1):
        piece = _cut_piece(limbs, sums.width, place * _PIECE_BITS - shift)
        if piece.any():
            pieces[place] = piece
    return pieces


def _cut_piece(limbs: Ints, width: int, first_bit: int) -> Ints:
    """The bits of numbers from one on, as many as a piece has."""
    piece = np.zeros(limbs.shape[1], np.int64)
    for place, limb in enumerate(limbs):
        distance = place * width - first_bit
        if 0 <= distance < _PIECE_BITS:
            piece |= limb << distance
        elif -width < distance < 0:
            piece |= limb >> -distance
    return piece & _PIECE_MASK
