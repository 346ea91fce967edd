"""The sign of zero, which the columns of MariaDB drop.

MariaDB makes 0.0 of -0.0, by whatever way it comes. There -0.0 is held as the negative number that
is nearest to zero, which for that is refused, as NaN is. MySQL holds -0.0 itself; the other number
is refused there too, since what reads a value does not ask which of the two servers it is from.
"""

STAND_INS = {"float": -(2.0**-149), "double": -(2.0**-1074)}


def decode_float(value: float) -> float:
    """A value of a FLOAT."""
    return -0.0 if value == STAND_INS["float"] else value


def decode_double(value: float) -> float:
    """A value of a DOUBLE."""
    return -0.0 if value == STAND_INS["double"] else value
