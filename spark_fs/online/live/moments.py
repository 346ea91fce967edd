"""Sums and variances of exact integers, rounded as the kernel of windows rounds them.

A sum is an integer in units of a power of two. What follows from it here is to the last bit what
``engine/windows`` says of the same numbers: the same steps, of one window and without NumPy.
"""

import math

_DOUBLE_BITS = 53
_LEADING_BITS = 62
_SPLIT_FACTOR = 134_217_729.0  # 2 ** 27 + 1: cuts a double into two halves of 26 bits
# As in engine/windows/exact_variances.py.
_LEAST_SHARE = 2.0**-45
_LEAST_SQUARES = 2.0**-800
_GREATEST_SQUARES = 2.0**800
_COUNT_BOUND = 1 << 26


def round_to_double(number: int, exponent: int) -> float:
    """The double nearest to an integer times a power of two; infinite beyond the greatest."""
    try:
        if exponent >= 0:
            return float(number << exponent)
        return number / (1 << -exponent)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def round_twice(number: int, exponent: int) -> tuple[float, float]:
    """The nearest double and, rounded likewise, what it leaves; 0 where it is infinite."""
    high = round_to_double(number, exponent)
    if not math.isfinite(high):
        return high, 0.0
    fraction, power = math.frexp(high)
    units = int(math.ldexp(fraction, _DOUBLE_BITS))
    shift = power - _DOUBLE_BITS - exponent
    units = units << shift if shift >= 0 else units >> -shift
    return high, round_to_double(number - units, exponent)


def compute_variance(count: int, total: int, squares: int, exponent: int) -> float:
    """The variance of a population.

    Args:
        count: How many values there are, at least one.
        total: Their sum.
        squares: The sum of their squares, in units of the square of that of the sum.
        exponent: Of two: the unit of the sum.
    """
    high_square, low_square = round_twice(squares, 2 * exponent)
    if count == 1 or high_square == 0:
        return 0.0
    high, low = round_twice(total, exponent)
    size = float(count)
    product, rest = _multiply_by_count(high_square, size)
    rest += low_square * size
    square, square_rest = _square_exactly(high)
    square_rest += 2.0 * high * low
    numerator, rounding = _add_exactly(product, -square)
    rounding += rest - square_rest
    numerator += rounding
    is_sure = numerator > product * _LEAST_SHARE and count < _COUNT_BOUND
    if is_sure and _LEAST_SQUARES < high_square < _GREATEST_SQUARES:
        return numerator / (size * size)
    return _divide_exactly(count * squares - total * total, size * size, 2 * exponent)


def _divide_exactly(number: int, divisor: float, exponent: int) -> float:
    """An integer times a power of two, rounded, divided by a double."""
    shift = max(0, number.bit_length() - _LEADING_BITS)
    leading = number >> shift
    if leading << shift != number:
        leading |= 1
    try:
        return math.ldexp(leading / divisor, exponent + shift)
    except OverflowError:
        return math.inf


def _multiply_by_count(value: float, count: float) -> tuple[float, float]:
    product = value * count
    upper, lower = _cut_halves(value)
    rest = upper * count - product
    return product, rest + lower * count


def _square_exactly(value: float) -> tuple[float, float]:
    square = value * value
    upper, lower = _cut_halves(value)
    rounding = upper * upper - square
    rounding += upper * 2.0 * lower
    return square, rounding + lower * lower


def _add_exactly(left: float, right: float) -> tuple[float, float]:
    total = left + right
    right_share = total - left
    rounding = left - (total - right_share)
    return total, rounding + (right - right_share)


def _cut_halves(value: float) -> tuple[float, float]:
    upper = value * _SPLIT_FACTOR
    upper -= upper - value
    return upper, value - upper
