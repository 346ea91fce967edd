"""Values as callers give them, as plain Python: without NumPy's and pandas' scalars."""

import reprlib
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from spark_fs.base.arithmetic import is_nan

_PYTHON_TYPES = (int, str, float, bool, bytes, datetime, date, Decimal, list, dict, tuple)
_FINER_UNITS = ("ns]", "ps]", "fs]", "as]")  # than microseconds, of a NumPy type's name

_SHORT_REPR = reprlib.Repr()
_SHORT_REPR.maxstring = _SHORT_REPR.maxother = _SHORT_REPR.maxlong = 100


class UnfitError(ValueError):
    """No value of the type equals the one that was given; says which do."""


def to_python(value: Any) -> Any:
    """The Python value of a scalar of NumPy or pandas.

    Their missing values are None; any other value stays as it is.
    """
    if value is None or type(value) in _PYTHON_TYPES:
        return value
    kind = type(value).__name__
    if kind in ("NaTType", "NAType"):
        return None
    if kind == "Timestamp" and not getattr(value, "nanosecond", None):
        return value.to_pydatetime()
    if kind == "datetime64":
        return _from_datetime64(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value


def _from_datetime64(value: Any) -> Any:
    """A ``numpy.datetime64`` of any unit; as it is where no datetime equals it."""
    if is_nan(value):
        return None
    if value.dtype.name.endswith(_FINER_UNITS):
        micros = value.astype("datetime64[us]")
        if micros == value:
            value = micros
    item = value.item()
    return value if isinstance(item, int) else item


def is_number(value: Any) -> bool:
    """Whether it is a number, which True and False are not."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def format_value(value: object) -> str:
    """A value as an error shows it: shortened, or its type where it cannot be written."""
    try:
        return _SHORT_REPR.repr(value).replace("\n", " ")
    except Exception:  # an integer of thousands of digits, or a class of the caller's
        return f"<{type(value).__name__}>"
