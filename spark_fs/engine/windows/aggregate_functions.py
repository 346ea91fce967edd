"""The functions of window features: a row of a table each.

A function is given windows among the events that count, and the feature; it gives a column with a
value for each window.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.types import FLOATS, INTEGERS, parse_decimal_sizes
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows import frequencies, occurrences
from spark_fs.engine.windows.ranks import RankedRanges
from spark_fs.engine.windows.series import Mask, SeriesWindows
from spark_fs.engine.windows.value_codes import encode_cells
from spark_fs.errors import SchemaError
from spark_fs.planning.window_plan import BoundFeature
from spark_fs.spec.window_features import Function
from spark_fs.stats.interpolation import interpolate_linearly

Compute = Callable[[SeriesWindows, BoundFeature], pa.Array]
_SECOND = 1e6  # microseconds


def count_events(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """How many events there are."""
    del feature
    return pa.array(windows.counts)


# -- of numbers


def compute_sums(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The sums, in the type that sums of the column have."""
    if feature.type in FLOATS:
        return pa.array(windows.rounded_sums, mask=windows.is_empty)
    if feature.type in INTEGERS:
        integers, overflows = windows.sums.to_integers()
        _check_overflow(overflows, feature)
        return pa.array(integers, mask=windows.is_empty)
    decimals, overflows = windows.sums.to_decimals(arrow_types.to_arrow_type(feature.result_type))
    _check_overflow(overflows, feature)
    rows = np.arange(len(decimals))
    return decimals.take(pa.array(rows, mask=windows.is_empty))


def _check_overflow(overflows: Mask, feature: BoundFeature) -> None:
    if overflows.any():
        raise SchemaError(
            f"Window feature {feature.name!r}: a sum of {feature.column!r} is too large for"
            f" {feature.result_type}. Cast the column to decimal(38,0) or double in the source."
        )


def compute_means(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The sums, rounded to doubles, divided by the counts."""
    sums = windows.rounded_sums / _get_unit_count(feature)
    return pa.array(sums / windows.divisors, mask=windows.is_empty)


def compute_variances(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The variances of the population."""
    variances = windows.variances / _get_unit_count(feature) ** 2
    return pa.array(variances, mask=windows.is_empty)


def compute_stddevs(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The deviations of the population."""
    variances = windows.variances / _get_unit_count(feature) ** 2
    return pa.array(np.sqrt(variances), mask=windows.is_empty)


def compute_percentiles(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The percentiles, linearly interpolated."""
    assert feature.argument is not None
    series = windows.series
    if not len(series.values):
        return pa.nulls(len(windows.at), pa.float64())
    positions = (windows.divisors - 1) * float(feature.argument)
    below = np.floor(positions).astype(np.int64)
    above = np.minimum(below + 1, windows.divisors - 1)
    values = series.doubles[series.positions_by_rank]
    low = values[_select_ranks(windows, series.ranked_ranges, below)]
    high = values[_select_ranks(windows, series.ranked_ranges, above)]
    percentiles = interpolate_linearly(low, high, positions - below)
    return pa.array(percentiles, mask=windows.is_empty)


def approximate_percentiles(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The middles of the cells in which the percentiles lie."""
    assert feature.argument is not None
    series = windows.series
    if not len(series.values):
        return pa.nulls(len(windows.at), pa.float64())
    places = np.ceil(windows.divisors * float(feature.argument)).astype(np.int64)
    codes, middles = encode_cells(series.doubles)
    ranges = series.make_ranked_ranges(codes)
    percentiles = middles[_select_ranks(windows, ranges, np.maximum(places, 1) - 1)]
    return pa.array(percentiles, mask=windows.is_empty)


def _select_ranks(windows: SeriesWindows, ranges: RankedRanges, positions: Ints) -> Ints:
    """The rank at a position of each window in order of size, 0 for an empty one."""
    ranks = ranges.select(windows.starts, windows.ends, positions)
    return np.where(windows.is_empty, 0, ranks)


# -- of values in order


def find_minima(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The least values."""
    del feature
    ranks = windows.series.extremes.find_least(windows.starts, windows.ends)
    return _take_ranked(windows, ranks)


def find_maxima(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The greatest values."""
    del feature
    ranks = windows.series.extremes.find_greatest(windows.starts, windows.ends)
    return _take_ranked(windows, ranks)


def _take_ranked(windows: SeriesWindows, ranks: Ints) -> pa.Array:
    """The values of these ranks, null where a window is empty."""
    return _take_values(windows, windows.series.positions_by_rank, ranks)


def _take_values(windows: SeriesWindows, positions: Ints, places: Ints) -> pa.Array:
    """The values whose positions stand at these places, null where a window is empty."""
    values = windows.series.values
    if not len(values):
        return pa.nulls(len(places), values.type)
    taken = positions[np.where(windows.is_empty, 0, places)]
    return values.take(pa.array(taken, mask=windows.is_empty))


def find_first_values(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The values known first, of several at one instant the least."""
    del feature
    return _take_values(windows, windows.series.order_by_value, windows.starts)


def find_last_values(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The values known last, of several at one instant the greatest."""
    del feature
    return _take_values(windows, windows.series.order_by_value, windows.ends - 1)


def compute_ages(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The seconds since the newest event."""
    del feature
    micros = windows.series.micros
    if not len(micros):
        return pa.nulls(len(windows.at), pa.float64())
    newest = micros[np.where(windows.is_empty, 0, windows.ends - 1)]
    return pa.array((windows.at - newest) / _SECOND, mask=windows.is_empty)


# -- of distinct values


def count_distinct_values(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """How many distinct values there are."""
    del feature
    codes, _ = windows.series.equal_codes
    return pa.array(occurrences.count_distinct(codes, windows.starts, windows.ends))


def list_most_frequent(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The most frequent values, of equally frequent ones the least first."""
    codes, distinct = windows.series.equal_codes
    length = int(feature.argument or 0)
    offsets, chosen = frequencies.find_most_frequent(codes, windows.starts, windows.ends, length)
    return _make_lists(offsets, distinct.take(pa.array(chosen)), windows)


def list_last_values(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The values known last, the newest first."""
    series = windows.series
    lengths = np.minimum(windows.counts, int(feature.argument or 0))
    offsets = occurrences.sum_before(lengths)
    places_in_lists = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    places = np.repeat(windows.ends - 1, lengths) - places_in_lists
    values = series.values.take(pa.array(series.order_by_value[places]))
    return _make_lists(offsets, values, windows)


def list_last_distinct(windows: SeriesWindows, feature: BoundFeature) -> pa.Array:
    """The distinct values that occurred last, the newest first."""
    codes, distinct = windows.series.equal_codes
    ordered_codes = codes[windows.series.order_by_value]
    length = int(feature.argument or 0)
    offsets, places = occurrences.find_last_distinct(
        ordered_codes, windows.starts, windows.ends, length
    )
    values = distinct.take(pa.array(ordered_codes[places]))
    return _make_lists(offsets, values, windows)


def _make_lists(offsets: Ints, values: pa.Array, windows: SeriesWindows) -> pa.Array:
    """Lists of values, null where a window is empty."""
    int_offsets = pa.array(offsets, pa.int32())
    return pa.ListArray.from_arrays(int_offsets, values, mask=pa.array(windows.is_empty))


# -- decimals


def _get_unit_count(feature: BoundFeature) -> float:
    """How many units of its sums make one: 1, or a power of ten for decimals."""
    if feature.type is None or not feature.type.startswith("decimal"):
        return 1.0
    _, scale = parse_decimal_sizes(feature.type)
    return 10.0**scale


FUNCTIONS: Mapping[Function, Compute] = {
    "count": count_events,
    "sum": compute_sums,
    "mean": compute_means,
    "stddev": compute_stddevs,
    "variance": compute_variances,
    "min": find_minima,
    "max": find_maxima,
    "first": find_first_values,
    "last": find_last_values,
    "distinct_count": count_distinct_values,
    "approx_distinct_count": count_distinct_values,
    "percentile": compute_percentiles,
    "approx_percentile": approximate_percentiles,
    "top_k": list_most_frequent,
    "last_n": list_last_values,
    "last_distinct_n": list_last_distinct,
    "time_since_last": compute_ages,
}
