"""Two idioms of arithmetic by their names."""

from typing import Any


def is_nan(value: Any) -> bool:
    """Whether a value is NaN, or pandas' or NumPy's NaT: only these do not equal themselves."""
    return bool(value != value)


def ceil_divide(dividend: int, divisor: int) -> int:
    """The quotient of two integers, rounded up; the divisor is above zero."""
    return -(-dividend // divisor)
