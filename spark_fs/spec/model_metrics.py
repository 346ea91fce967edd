"""The metrics of a model."""

import math
from collections.abc import Mapping
from typing import Any

from spark_fs.errors import SettingsError


def check_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics as floats, of numbers or strings of them.

    Raises SettingsError for one that is not a finite number.
    """
    checked = {}
    for name, value in metrics.items():
        number = _to_number(value)
        if number is None:
            raise SettingsError(f"Metric {name!r} is {value!r}: give a finite number.")
        checked[name] = number
    return checked


def _to_number(value: Any) -> float | None:
    if isinstance(value, bool) or not (isinstance(value, str) or hasattr(value, "__float__")):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
