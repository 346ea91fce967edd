"""From the values of a column to the figures of its state, by the kind of the column."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.times import DAY_MICROS, as_utc
from spark_fs.base.types import INTEGERS, NUMERIC, get_base_type
from spark_fs.stats.exact import UNIT_EXPONENT, sum_exactly, sum_squares_exactly, to_units
from spark_fs.stats.sketches.distinct import FREQUENT_SIZE, DistinctSketch, FrequentStrings, Values
from spark_fs.stats.sketches.quantiles import Doubles, QuantileSketch

ColumnKind = Literal["number", "time", "category", "nested"]
_KINDS: Mapping[str, ColumnKind] = {
    **dict.fromkeys(NUMERIC, "number"),
    **dict.fromkeys(("date", "timestamp"), "time"),
    **dict.fromkeys(("string", "boolean"), "category"),
}
_LOW_32_BITS = np.int64(0xFFFFFFFF)
StateFields = dict[str, Any]  # some fields of ColumnState


def get_column_kind(type_: str) -> ColumnKind:
    """What can be said of columns of a type; of nested values and bytes only their number."""
    return _KINDS.get(get_base_type(type_), "nested")


def to_doubles(column: pa.ChunkedArray) -> Doubles:
    """A column's values as doubles, NaN where there is none; large integers are rounded."""
    values = column if pa.types.is_float64(column.type) else column.cast(pa.float64(), safe=False)
    if values.null_count:
        values = pc.fill_null(values, math.nan)
    doubles: Doubles = values.to_numpy()
    return doubles


def measure_values(non_null: pa.ChunkedArray, type_: str) -> StateFields:
    """The fields of a column's state that follow from its values.

    Args:
        non_null: the values that are not null, at least one.
        type_: their feature type.

    Returns:
        Fields of ``ColumnState``; what has no place in the kind of the column is left out.
    """
    return _MEASURES[get_column_kind(type_)](non_null, type_)


def _measure_numbers(non_null: pa.ChunkedArray, type_: str) -> StateFields:
    base_type = get_base_type(type_)
    if base_type in INTEGERS:
        return _measure_integers(non_null)
    fields = _measure_doubles(non_null.cast(pa.float64()).to_numpy())
    if base_type == "decimal":
        strings = pc.value_counts(non_null.cast(pa.string()))
        bounds = pc.min_max(non_null)
        fields["distinct"] = _build_distinct_sketch(strings)
        fields["low"] = bounds["min"].as_py()
        fields["high"] = bounds["max"].as_py()
    return fields


def _measure_doubles(values: Doubles) -> StateFields:
    is_finite = np.isfinite(values)
    finite = values if is_finite.all() else values[is_finite]
    ordered = np.sort(finite) + 0.0  # -0.0 becomes 0.0
    fields: StateFields = {"quantiles": QuantileSketch.from_sorted(ordered)}
    fields |= _compute_moments(finite, None)
    distinct = DistinctSketch.from_sorted(ordered)
    if len(finite) < len(values):
        non_finite_counts = _count_non_finite(values)
        fields |= non_finite_counts
        distinct = distinct.merge(_sketch_non_finite(non_finite_counts))
    fields["distinct"] = distinct
    if len(ordered):
        fields["low"] = float(ordered[0])
        fields["high"] = float(ordered[-1])
    return fields


def _measure_integers(non_null: pa.ChunkedArray) -> StateFields:
    integers: Values = non_null.to_numpy().astype(np.int64)
    ordered = np.sort(integers)
    return {
        "low": int(ordered[0]),
        "high": int(ordered[-1]),
        **_compute_moments(integers.astype(np.float64), _sum_integers(integers)),
        "quantiles": QuantileSketch.from_sorted(ordered.astype(np.float64)),
        "distinct": DistinctSketch.from_sorted(ordered),
    }


def _count_non_finite(values: Doubles) -> dict[str, int]:
    return {
        "nans": int(np.isnan(values).sum()),
        "above": int(np.isposinf(values).sum()),
        "below": int(np.isneginf(values).sum()),
    }


def _sketch_non_finite(counts: Mapping[str, int]) -> DistinctSketch:
    """NaN and the infinities that are there, as distinct values."""
    values = np.array([math.nan, math.inf, -math.inf])
    rows = np.array([counts["nans"], counts["above"], counts["below"]])
    return DistinctSketch.from_counts(values[rows > 0], rows[rows > 0])


def _measure_times(non_null: pa.ChunkedArray, type_: str) -> StateFields:
    bounds = pc.min_max(non_null)
    low = bounds["min"].as_py()
    high = bounds["max"].as_py()
    if type_ == "date":
        days_since_1970 = non_null.cast(pa.int32()).cast(pa.int64()).to_numpy()
        micros = np.sort(days_since_1970) * DAY_MICROS
    else:
        low = as_utc(low)
        high = as_utc(high)
        micros = np.sort(non_null.cast(pa.int64()).to_numpy())
    days, rows = np.unique(micros // DAY_MICROS, return_counts=True)
    return {
        "low": low,
        "high": high,
        "quantiles": QuantileSketch.from_sorted(micros.astype(np.float64)),
        "distinct": DistinctSketch.from_sorted(micros),
        "days": dict(zip(days.tolist(), rows.tolist(), strict=True)),
    }


def _measure_categories(non_null: pa.ChunkedArray, type_: str) -> StateFields:
    if type_ == "boolean":
        return _measure_booleans(non_null)
    value_counts = pc.value_counts(non_null)
    bounds = pc.min_max(value_counts.field("values").cast(pa.string()))
    by_frequency = pc.sort_indices(value_counts.field("counts"), sort_keys=[("", "descending")])
    # one more than are kept, which tells how many rows a string has that is left out
    most_frequent = value_counts.take(by_frequency[: FREQUENT_SIZE + 1])
    strings = most_frequent.field("values").to_pylist()
    rows = most_frequent.field("counts").to_pylist()
    return {
        "low": bounds["min"].as_py(),
        "high": bounds["max"].as_py(),
        "distinct": _build_distinct_sketch(value_counts),
        "frequent": FrequentStrings.from_counts(dict(zip(strings, rows, strict=True))),
    }


def _measure_booleans(non_null: pa.ChunkedArray) -> StateFields:
    true_count = pc.sum(non_null).as_py()
    rows = np.array([len(non_null) - true_count, true_count])
    present = np.flatnonzero(rows)
    return {
        "low": bool(present[0]),
        "high": bool(present[-1]),
        "distinct": DistinctSketch.from_counts(present, rows[present]),
    }


def _measure_nested(non_null: pa.ChunkedArray, type_: str) -> StateFields:  # noqa: ARG001 # the others look at them
    return {}


_MEASURES: Mapping[ColumnKind, Callable[[pa.ChunkedArray, str], StateFields]] = {
    "number": _measure_numbers,
    "time": _measure_times,
    "category": _measure_categories,
    "nested": _measure_nested,
}


def _build_distinct_sketch(value_counts: pa.StructArray) -> DistinctSketch:
    strings = value_counts.field("values").cast(pa.string()).to_numpy(zero_copy_only=False)
    return DistinctSketch.from_counts(
        strings.astype(object), value_counts.field("counts").to_numpy()
    )


def _sum_integers(values: Values) -> int:
    """The exact sum of integers of 64 bits."""
    high_sum = int((values >> 32).sum())
    low_sum = int((values & _LOW_32_BITS).sum())
    return (high_sum << 32) + low_sum


def _compute_moments(values: Doubles, exact_total: int | None) -> StateFields:
    """The sums of finite values and of their squares.

    They are summed without rounding where doubles would overflow. exact_total is the sum where it
    is known exactly.
    """
    if not len(values):
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(values.sum())
        deviations = values - total / len(values)
        # not by ``dot``, whose last bits depend on how many threads it takes
        squared_deviations = float(np.square(deviations, out=deviations).sum())
    if not (math.isfinite(total) and math.isfinite(squared_deviations)):
        return {"total": sum_exactly(values), "squares": sum_squares_exactly(values)}
    total_units = to_units(total) if exact_total is None else exact_total << UNIT_EXPONENT
    squared_units = to_units(squared_deviations) << UNIT_EXPONENT
    return {"total": total_units, "squares": squared_units + total_units**2 // len(values)}
