"""Variances of windows, from the exact sums of their values and of the squares."""

import numpy as np

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.exact_sums import ExactSums
from spark_fs.engine.windows.expansions import add_exactly, cut_halves, square_exactly
from spark_fs.engine.windows.limbs import (
    Doubles,
    Flags,
    carry_up,
    cut_blocks,
    find_leading,
    scale_doubles,
    to_magnitudes,
)
from spark_fs.engine.windows.loops import get_compiled

# Two doubles hold some 104 bits: where more than half of them cancel, the limbs are used.
_LEAST_SHARE = 2.0**-45
# sums of squares between which products of doubles neither overflow nor lose bits
_LEAST_SQUARES = 2.0**-800
_GREATEST_SQUARES = 2.0**800
_COUNT_BOUND = 1 << 26  # below it the product of a count and half a double is exact
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
        A variance for each, within two units of its last place; exactly 0 for equal values and
        where there is none.
    """
    counts = np.maximum(counts, 1)
    variances = np.empty(len(counts))
    is_sure = np.empty(len(counts), np.bool_)
    compiled = get_compiled()
    if compiled is not None:
        halves = (*sums.to_double_doubles(), *squares.to_double_doubles())
        compiled.estimate_variances(counts, *halves, variances, is_sure)
    else:
        for block in cut_blocks(len(counts)):
            estimates = _estimate_block(counts[block], sums, squares, block)
            variances[block], is_sure[block] = estimates
    rows = np.flatnonzero(~is_sure)
    if len(rows):
        variances[rows] = _compute_from_limbs(
            counts[rows], sums.take_rows(rows), squares.take_rows(rows)
        )
    return variances


def _estimate_block(
    counts: Ints, sums: ExactSums, squares: ExactSums, block: slice
) -> tuple[Doubles, Flags]:
    """Variances from two doubles for each sum, and where these are good enough."""
    high, low = (half[block] for half in sums.to_double_doubles())
    high_square, low_square = (half[block] for half in squares.to_double_doubles())
    sizes = counts.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        total, total_rest = _multiply_by_counts(high_square, sizes)
        total_rest += low_square * sizes
        square, square_rest = square_exactly(high)
        square_rest += 2.0 * high * low
        numerators, rounding = add_exactly(total, -square)
        rounding += total_rest - square_rest
        numerators += rounding
        is_sure = numerators > total * _LEAST_SHARE
    is_sure &= high_square < _GREATEST_SQUARES
    is_sure &= high_square > _LEAST_SQUARES
    is_sure &= counts < _COUNT_BOUND
    is_zero = (counts == 1) | (high_square == 0)
    numerators[is_zero] = 0.0
    sizes *= sizes
    numerators /= sizes
    return numerators, is_sure | is_zero


def _multiply_by_counts(values: Doubles, counts: Doubles) -> tuple[Doubles, Doubles]:
    """The rounded products of doubles and small whole numbers, and what rounding lost of them."""
    product = values * counts
    upper, lower = cut_halves(values)
    upper *= counts
    upper -= product
    lower *= counts
    upper += lower
    return product, upper


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
    magnitudes, _ = to_magnitudes(sums.make_canonical().limbs, sums.width)
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
