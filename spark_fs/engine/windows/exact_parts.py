"""Numbers and their squares as doubles whose sums are exact."""

from itertools import combinations_with_replacement

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_fs.base.types import get_base_type, parse_decimal_sizes
from spark_fs.engine.windows.exact_sums import Part
from spark_fs.engine.windows.expansions import multiply_exactly, square_exactly
from spark_fs.engine.windows.limbs import Doubles, Flags, cut_blocks
from spark_fs.engine.windows.loops import get_compiled

Words = NDArray[np.uint64]

_PIECE_BITS = 53  # that a double holds
_PIECE_MASK = np.uint64((1 << _PIECE_BITS) - 1)
# Products of doubles up to these sizes are the sums of two doubles; others are moved by powers of
# two into bands of such sizes.
_BAND_EXPONENT = 200
_BAND_CENTERS = (-1200, -800, -400, 0, 400, 800, 1200)


def split_numbers(column: pa.Array | pa.ChunkedArray, type_: str) -> list[Doubles]:
    """Numbers as arrays of doubles whose exact sums, element by element, they are.

    Args:
        column: finite numbers; nulls count as 0.
        type_: a type of numbers.

    Returns:
        One array where doubles hold the numbers, more where they do not. Decimals are in units of
        their last digit.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    base_type = get_base_type(type_)
    if base_type == "decimal":
        precision, scale = parse_decimal_sizes(type_)
        return _split_decimals(column.cast(pa.decimal128(precision, scale)))
    if base_type == "bigint":
        return _split_integers(column.cast(pa.int64()))
    column = column.cast(pa.float64())
    return [_fill_nulls(column).to_numpy(zero_copy_only=False)]


def _fill_nulls(column: pa.Array) -> pa.Array:
    if not column.null_count:
        return column
    return column.fill_null(pa.scalar(0, column.type))


def _split_integers(column: pa.Array) -> list[Doubles]:
    integers = _fill_nulls(column).to_numpy(zero_copy_only=False)
    magnitudes = np.abs(integers).view(np.uint64)  # of -(2 ** 63) too
    return _sign_pieces(
        [magnitudes & _PIECE_MASK, magnitudes >> np.uint64(_PIECE_BITS)], integers < 0
    )


def _split_decimals(column: pa.Array) -> list[Doubles]:
    column = _fill_nulls(column)
    words = np.frombuffer(column.buffers()[1], np.uint64)
    low = words[2 * column.offset :: 2][: len(column)]
    high = words[2 * column.offset + 1 :: 2][: len(column)]
    is_negative = high.view(np.int64) < 0
    high = np.where(is_negative, ~high + (low == 0), high)
    low = np.where(is_negative, -low, low)
    if not high.any():
        return _sign_pieces([low & _PIECE_MASK, low >> np.uint64(_PIECE_BITS)], is_negative)
    carried = np.uint64(2 * _PIECE_BITS - 64)  # bits of the upper word in the middle piece
    middle = (low >> np.uint64(_PIECE_BITS)) | (high << np.uint64(64 - _PIECE_BITS))
    return _sign_pieces([low & _PIECE_MASK, middle & _PIECE_MASK, high >> carried], is_negative)


def _sign_pieces(pieces: list[Words], is_negative: Flags) -> list[Doubles]:
    """Pieces of the magnitudes of integers, the least first, as doubles; without those all 0."""
    parts = []
    for place, piece in enumerate(pieces):
        if place and not piece.any():
            continue
        values = piece.astype(np.float64)
        values *= 2.0 ** (place * _PIECE_BITS)
        parts.append(np.negative(values, out=values, where=is_negative))
    return parts


def split_squares(parts: list[Doubles]) -> list[Part]:
    """The squares of numbers as parts whose exact sums, element by element, they are.

    Args:
        parts: doubles whose exact sums are the numbers.

    Returns:
        Their products, each with what rounding has lost of it.
    """
    bands = [band for part in parts for band in _split_bands(part)]
    squares = []
    for left, right in combinations_with_replacement(bands, 2):
        factor = 1.0 if left is right else 2.0
        products = _multiply_in_blocks(left.values, right.values, factor)
        exponent = left.exponent + right.exponent
        squares += [Part(half, exponent) for half in products if half.any()]
    return squares or [Part(np.zeros(len(parts[0])))]


def _multiply_in_blocks(left: Doubles, right: Doubles, factor: float) -> tuple[Doubles, Doubles]:
    products = np.empty_like(left)
    roundings = np.empty_like(left)
    compiled = get_compiled()
    if compiled is not None and left is right:
        compiled.square_exactly(left, products, roundings)
        return products, roundings
    for block in cut_blocks(len(left)):
        if left is right:
            product, rounding = square_exactly(left[block])
        else:
            product, rounding = multiply_exactly(left[block], right[block])
        np.multiply(product, factor, out=products[block])
        np.multiply(rounding, factor, out=roundings[block])
    return products, roundings


def _split_bands(values: Doubles) -> list[Part]:
    """Doubles as parts whose products are the sums of two doubles."""
    sizes = np.abs(values)
    largest = sizes.max(initial=0.0)
    least = np.where(sizes > 0, sizes, 1.0).min(initial=1.0)
    if largest < 2.0**_BAND_EXPONENT and least >= 2.0**-_BAND_EXPONENT:
        return [Part(values)]
    _, exponents = np.frexp(values)
    bands = []
    for center in _BAND_CENTERS:
        distances = exponents - center
        is_inside = (distances > -_BAND_EXPONENT) & (distances <= _BAND_EXPONENT)
        band = np.where(is_inside, values, 0.0)
        if band.any():
            bands.append(Part(np.ldexp(band, -center), center))
    return bands
