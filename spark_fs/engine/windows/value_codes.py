"""Numbers for the values of a column: in their order of size, equal for equal ones, or by cells."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import to_arrow_type
from spark_fs.base.types import FLOATS, get_base_type
from spark_fs.engine.join.matching import Ints

Doubles = npt.NDArray[np.float64]
_BYTES = ("string", "binary")
_AS_BYTES = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
_SIGN_BIT = np.int64(np.iinfo(np.int64).min)
_MAGNITUDE = np.int64(np.iinfo(np.int64).max)  # all bits but the sign
_NAN = np.nan
_TABLE_FACTOR = (
    4  # a table of all values between the least and the greatest beats a sort up to here
)
_CELL_SHIFT = 46  # leaves the sign, the exponent and six bits of the fraction
_HALF_CELL = np.int64(1 << (_CELL_SHIFT - 1))
_INFINITE_CELL = np.int64(0x7FF << 6)  # the exponent of infinities and NaN


class Codes(NamedTuple):
    """A code for each value, in order of the values, and the value of each code."""

    codes: Ints
    distinct: pa.Array


class Cells(NamedTuple):
    """The number of each double's cell, in order of size, and the middle of each cell."""

    codes: Ints
    middles: Doubles


def rank_values(column: pa.Array, type_: str) -> Ints:
    """The dense rank of each value: 0 for the least, the same for the same.

    Numbers are in order of size, with -0.0 before 0.0 and NaN last; strings and binary in that of
    their bytes; false is before true.

    Args:
        column: The values, without nulls.
        type_: Their type.
    """
    column = _cast_column(column, type_)
    if type_ in _BYTES:
        return _encode_bytes(column).codes
    if type_ in FLOATS:
        return rank_densely(_order_doubles(_to_doubles(column)))
    return rank_densely(_order_integers(column, type_))


def encode_equal(column: pa.Array, type_: str) -> Codes:
    """A code for each value, equal for equal ones, in their order.

    Zeros of both signs are one value, 0.0, and so are all NaN.

    Args:
        column: The values, without nulls.
        type_: Their type.
    """
    column = _cast_column(column, type_)
    if type_ in _BYTES:
        return _encode_bytes(column)
    if type_ in FLOATS:
        doubles = _to_doubles(column)
        doubles[doubles == 0.0] = 0.0  # of both signs
        doubles[np.isnan(doubles)] = _NAN
        codes = rank_densely(_order_doubles(doubles))
        distinct = doubles[find_example_of_each(codes)]
        return Codes(codes, pa.array(distinct).cast(to_arrow_type(type_)))
    codes = rank_densely(_order_integers(column, type_))
    return Codes(codes, column.take(pa.array(find_example_of_each(codes))))


def encode_cells(doubles: Doubles) -> Cells:
    """The cells of doubles: their sign, exponent and six bits of their fraction.

    A cell's middle is within 0.8% of its values. Zero, each infinity and NaN have their own cells.
    """
    bits = np.where(np.isnan(doubles), _NAN, doubles).view(np.int64)
    magnitudes = bits & _MAGNITUDE
    cells = (magnitudes >> _CELL_SHIFT) + 1
    cells[magnitudes == 0] = 0
    np.negative(cells, out=cells, where=bits < 0)
    codes = rank_densely(cells)
    distinct = cells[find_example_of_each(codes)]
    return Cells(codes, _find_middles(distinct))


def rank_densely(numbers: Ints) -> Ints:
    """The dense rank of each number: 0 for the least, the same for the same."""
    if not len(numbers):
        return np.empty(0, np.int64)
    least = int(numbers.min())
    span = int(numbers.max()) - least + 1
    if span <= _TABLE_FACTOR * len(numbers):
        places = numbers - least
        is_present = np.zeros(span, np.bool_)
        is_present[places] = True
        ranks_by_place = np.cumsum(is_present) - 1
        return ranks_by_place[places]
    order = np.argsort(numbers)
    in_order = numbers[order]
    is_greater = np.empty(len(numbers), np.bool_)
    is_greater[0] = False
    np.not_equal(in_order[1:], in_order[:-1], out=is_greater[1:])
    ranks = np.empty(len(numbers), np.int64)
    ranks[order] = np.cumsum(is_greater)
    return ranks


def find_example_of_each(codes: Ints) -> Ints:
    """The position of a value with each of the codes, or of the ranks, which are dense."""
    positions = np.empty(int(codes.max(initial=-1)) + 1, np.int64)
    positions[codes] = np.arange(len(codes))
    return positions


def _find_middles(cells: Ints) -> Doubles:
    magnitudes = np.abs(cells) - 1
    bits = (magnitudes << _CELL_SHIFT) + _HALF_CELL
    bits[magnitudes == _INFINITE_CELL] -= _HALF_CELL
    middles = bits.view(np.float64).copy()
    middles[cells == 0] = 0.0
    middles[magnitudes > _INFINITE_CELL] = _NAN
    return np.where(cells < 0, -middles, middles)


def _cast_column(column: pa.Array, type_: str) -> pa.Array:
    wanted = to_arrow_type(type_)
    if column.type == wanted or (type_ in _BYTES and column.type in _AS_BYTES):
        return column
    return column.cast(wanted)


def _encode_bytes(column: pa.Array) -> Codes:
    encoded = column.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)  # by bytes
    ranks = np.empty(len(order), np.int64)
    ranks[order.to_numpy()] = np.arange(len(order))
    return Codes(ranks[encoded.indices.to_numpy()], encoded.dictionary.take(order))


def _to_doubles(column: pa.Array) -> Doubles:
    with np.errstate(invalid="ignore"):  # some NaN warn when they are cast
        doubles: Doubles = column.to_numpy().astype(np.float64)
    return doubles


def _order_doubles(doubles: Doubles) -> Ints:
    """Integers in the order of doubles; the bits of negative ones grow as these fall."""
    bits = np.where(np.isnan(doubles), _NAN, doubles).view(np.int64)
    return np.where(bits < 0, bits ^ _MAGNITUDE, bits)


def _order_integers(column: pa.Array, type_: str) -> Ints:
    """Integers in the order of values of any type but floats, strings and binary."""
    if type_ == "boolean":
        column = column.cast(pa.int8())
    if type_ == "date":
        column = column.view(pa.int32())
    if type_ == "timestamp":
        column = column.view(pa.int64())
    if get_base_type(type_) == "decimal":
        return _order_decimals(column)
    integers: Ints = column.to_numpy().astype(np.int64)
    return integers


def _order_decimals(column: pa.Array) -> Ints:
    """Integers in the order of decimals, which Arrow holds as two words, the lower one first."""
    words = np.frombuffer(column.buffers()[1], np.int64)
    words = words[2 * column.offset : 2 * (column.offset + len(column))]
    low = words[::2]
    high = words[1::2]
    if np.array_equal(high, low >> 63):
        return low.copy()
    low_ranks = rank_densely(low ^ _SIGN_BIT)  # the lower word has no sign
    return rank_densely(high) * (int(low_ranks.max()) + 1) + low_ranks
