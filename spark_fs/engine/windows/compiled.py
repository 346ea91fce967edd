"""Loops over many events and windows, compiled by numba: threads run them beside each other.

Each does in one pass, and without the interpreter's lock, what NumPy does in dozens of short ones,
and gives the same bits. ``loops`` says when they are used.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import config, njit, types

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.limbs import Doubles, Flags

if vars(config)["DISABLE_JIT"]:  # then Python would run them, a hundred times slower than NumPy
    raise ImportError("NUMBA_DISABLE_JIT is set.")

F = TypeVar("F", bound=Callable[..., Any])
_CHUNK = 512  # rows whose terms stay in the first cache
_DOUBT = 2.0**-51  # as in ``expansions``
_SPLIT_FACTOR = 134_217_729.0
# as in ``exact_variances``
_LEAST_SHARE = 2.0**-45
_LEAST_SQUARES = 2.0**-800
_GREATEST_SQUARES = 2.0**800
_COUNT_BOUND = 1 << 26
_PASSES = 3  # after which a sum of terms is two doubles and a rest that says whether they are sure

_INTS = types.Array(types.int64, 1, "C")
_READ_INTS = types.Array(types.int64, 1, "C", readonly=True)
_DOUBLES = types.Array(types.float64, 1, "C")
_READ_DOUBLES = types.Array(types.float64, 1, "C", readonly=True)
_READ_LIMBS = types.Array(types.int64, 2, "C", readonly=True)
_FLAGS = types.Array(types.boolean, 1, "C")


def _compile(*arguments: Any, result: Any = types.void) -> Callable[[F], F]:
    """Compile for these types, or take what an earlier process compiled."""
    signature = result(*arguments)

    def compile_function(function: F) -> F:
        try:
            compiled: F = njit(signature, nogil=True, cache=True)(function)
        except (RuntimeError, OSError):  # there is no folder, or no room, to keep it in
            compiled = njit(signature, nogil=True)(function)
        return compiled

    return compile_function


_inline = njit(nogil=True)  # compiled into the functions that call it


@_compile(_READ_INTS, _READ_INTS, result=_INTS)
def find_edges(numbers: Ints, wanted: Ints) -> Ints:
    """``searchsorted`` of ascending numbers among ascending ones, by walking along both."""
    edges = np.empty(len(wanted), np.int64)
    place = 0
    before = 0
    while place < len(wanted) and before < len(numbers):
        edges[place] = before
        is_before = numbers[before] < wanted[place]  # no branch, since none could be foreseen
        before += is_before
        place += not is_before
    edges[place:] = len(numbers)
    return edges


@_compile(_DOUBLES, types.float64, types.float64, _INTS, result=types.boolean)
def peel_limb(rest: Doubles, unit: float, inverse: float, limb: Ints) -> bool:
    """Move whole units from doubles to integers, towards 0, in place; whether anything is left."""
    is_left = False
    for row in range(len(rest)):
        units = np.trunc(rest[row] * inverse)
        rest[row] -= units * unit
        limb[row] += np.int64(units)
        is_left |= rest[row] != 0.0
    return is_left


@_compile(_READ_DOUBLES, _DOUBLES, _DOUBLES)
def square_exactly(values: Doubles, squares: Doubles, roundings: Doubles) -> None:
    """As ``expansions.square_exactly``."""
    for row in range(len(values)):
        value = values[row]
        square = value * value
        upper = value * _SPLIT_FACTOR
        upper -= upper - value
        lower = value - upper
        rounding = upper * upper - square
        rounding += (upper * 2.0) * lower
        rounding += lower * lower
        squares[row] = square
        roundings[row] = rounding


@_inline
def _gather_differences(limbs: Ints, starts: Ints, ends: Ints, differences: Ints) -> None:
    """The limbs of the sums of some ranges, and above them an empty one."""
    for place in range(len(limbs)):
        limb = limbs[place]
        difference = differences[place]
        for row in range(len(starts)):
            difference[row] = limb[ends[row]] - limb[starts[row]]
    differences[len(limbs), :] = 0


@_inline
def _carry_up(limbs: Ints, width: int) -> None:
    """As ``limbs.carry_up``."""
    for place in range(len(limbs) - 1):
        lower = limbs[place]
        upper = limbs[place + 1]
        for row in range(len(lower)):
            carry = lower[row] >> width
            upper[row] += carry
            lower[row] -= carry << width


@_inline
def _add_upwards(terms: Doubles, count: int, total: Doubles) -> None:
    """Add up some terms from the least; in their place, one fewer, what each addition lost.

    As ``expansions``, and for the same reasons, without any rounding.
    """
    total[:] = 0.0
    for place in range(count):
        term = terms[place]
        loss = terms[max(place - 1, 0)]
        for row in range(len(total)):
            added = term[row] + total[row]
            loss[row] = total[row] - (added - term[row])
            total[row] = added


@_inline
def _add_sizes(terms: Doubles, count: int, sizes: Doubles) -> None:
    """Add up the sizes of some terms."""
    sizes[:] = 0.0
    for place in range(count):
        term = terms[place]
        for row in range(len(sizes)):
            sizes[row] += abs(term[row])


@_compile(_READ_LIMBS, _READ_INTS, _READ_INTS, types.int64, types.int64, _DOUBLES, _DOUBLES, _FLAGS)
def round_differences(
    limbs: Ints,
    starts: Ints,
    ends: Ints,
    width: int,
    exponent: int,
    high: Doubles,
    low: Doubles,
    is_doubtful: Flags,
) -> None:
    """As ``expansions.round_twice`` of the sums of ranges, without those in doubt.

    Args:
        limbs: Of the sums before each row, the least first.
        starts: The first row of each range.
        ends: The row behind its last.
        width: Of a limb, in bits.
        exponent: Of the least limb's unit; no unit may be far from 1.
        high: Gets the nearest doubles.
        low: Gets those nearest to what they leave.
        is_doubtful: Gets whether the limbs have to decide.
    """
    count = len(limbs) + 1
    differences = np.empty((count, _CHUNK), np.int64)
    terms = np.empty((count, _CHUNK))
    totals = np.empty((_PASSES, _CHUNK))
    sizes = np.empty(_CHUNK)
    for first in range(0, len(starts), _CHUNK):
        behind = min(first + _CHUNK, len(starts))
        _gather_differences(limbs, starts[first:behind], ends[first:behind], differences)
        _carry_up(differences, width)
        for place in range(count):
            terms[place] = differences[place] * 2.0 ** (exponent + place * width)
        for step in range(_PASSES):
            _add_upwards(terms, count - step, totals[step])
        _add_sizes(terms, count - _PASSES, sizes)
        for row in range(behind - first):
            total = totals[0, row] + totals[1, row]
            rest = totals[1, row] - (total - totals[0, row])
            second = rest + totals[2, row]
            third = totals[2, row] - (second - rest)
            in_doubt = (total + second * (1.0 + _DOUBT) != total) & (third != 0.0)
            in_doubt |= (second + third * (1.0 + _DOUBT) != second) & (sizes[row] != 0.0)
            in_doubt |= sizes[row] > abs(third) * (0.5 * _DOUBT)
            high[first + row] = total
            low[first + row] = second
            is_doubtful[first + row] = in_doubt


@_compile(
    _READ_INTS,
    _READ_DOUBLES,
    _READ_DOUBLES,
    _READ_DOUBLES,
    _READ_DOUBLES,
    _DOUBLES,
    _FLAGS,
)
def estimate_variances(
    counts: Ints,
    sums: Doubles,
    sum_rests: Doubles,
    squares: Doubles,
    square_rests: Doubles,
    variances: Doubles,
    is_sure: Flags,
) -> None:
    """As ``exact_variances`` estimates them from two doubles for each sum.

    Args:
        counts: How many values each has, 1 at least.
        sums: Of its values.
        sum_rests: What these leave.
        squares: The sums of the squares.
        square_rests: What these leave.
        variances: Gets the variances.
        is_sure: Gets whether they are good enough.
    """
    for row in range(len(counts)):
        size = np.float64(counts[row])
        value = squares[row]
        total = value * size
        upper = value * _SPLIT_FACTOR
        upper -= upper - value
        total_rest = (upper * size - total) + (value - upper) * size
        total_rest += square_rests[row] * size
        high = sums[row]
        square = high * high
        upper = high * _SPLIT_FACTOR
        upper -= upper - high
        lower = high - upper
        square_rest = upper * upper - square
        square_rest += (upper * 2.0) * lower
        square_rest += lower * lower
        square_rest += 2.0 * high * sum_rests[row]
        numerator = total - square
        taken = numerator - total
        rounding = (total - (numerator - taken)) + (-square - taken)
        rounding += total_rest - square_rest
        numerator += rounding
        is_good = numerator > total * _LEAST_SHARE
        is_good &= (value < _GREATEST_SQUARES) & (value > _LEAST_SQUARES)
        is_good &= counts[row] < _COUNT_BOUND
        is_zero = (counts[row] == 1) | (value == 0.0)
        variances[row] = 0.0 if is_zero else numerator / (size * size)
        is_sure[row] = is_good | is_zero
