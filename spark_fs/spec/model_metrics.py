"""The metrics of a model."""

import math
from collections.abc import Mapping
from typing import Any

from spark_fs.errors import SettingsError


def check_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics as floats; SettingsError for one that is not a finite number."""
    checked = {}
    for name, value in metrics.items():
        if not _is_finite_number(value):
            raise SettingsError(f"Metric {name!r} is {value!r}: give a finite number.")
        checked[name] = float(value)
    return checked


def _is_finite_number(value: Any) -> bool:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        return False
    return math.isfinite(float(value))
