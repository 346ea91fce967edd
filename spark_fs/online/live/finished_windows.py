"""The functions of windows, of the events of one entity as they lie online: a row of a table each.

They give to the last bit what ``engine/windows/aggregate_functions.py`` gives, without NumPy.
"""

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal
from typing import Any

from spark_fs.base.types import FLOATS, INTEGERS, parse_decimal_sizes
from spark_fs.errors import SchemaError
from spark_fs.online.live.events import SeriesEvents
from spark_fs.online.live.moments import compute_variance, round_to_double
from spark_fs.planning.window_plan import BoundFeature
from spark_fs.spec.window_features import Function

_SECOND = 1e6  # microseconds
_INT64_BOUND = 1 << 63
_WIDE = Context(prec=80)  # digits, more than a sum of decimals has
_CELL_SHIFT = 46  # as in engine/windows/value_codes.py: sign, exponent, six bits of the fraction
_HALF_CELL = 1 << (_CELL_SHIFT - 1)
_INFINITE_CELL = 0x7FF << 6


class LiveWindow:
    """A window of a series: the events between two positions, and the instant that it is of."""

    def __init__(self, events: SeriesEvents, start: int, end: int, at: int) -> None:
        self.events = events
        self.at = at
        self._start = start
        self._end = end
        self.count = events.count_between(start, end)
        self._total: int | None = None
        self._variance: float | None = None

    @property
    def total(self) -> int:
        """The exact sum, in units, read once."""
        if self._total is None:
            self._total = self.events.sum_between(self._start, self._end)
        return self._total

    @property
    def places(self) -> tuple[int, int]:
        """The places of its values."""
        return self.events.find_places(self._start, self._end)

    def find_special_sum(self) -> float | None:
        """What NaN and infinities make of a sum; None where there are none."""
        if self.events.is_finite:
            return None
        counts = self.events.count_non_finite(self._start, self._end)
        if not any(counts):
            return None
        nans, positive, negative = counts
        if nans or (positive and negative):
            return math.nan
        return math.inf if positive else -math.inf

    @property
    def rounded_sum(self) -> float:
        """The sum, rounded once."""
        special = self.find_special_sum()
        if special is not None:
            return special
        return round_to_double(self.total, self.events.exponent)

    @property
    def variance(self) -> float:
        """The variance in units of the sum, computed once; NaN with NaN or an infinity in it."""
        if self._variance is None:
            self._variance = math.nan
            if self.find_special_sum() is None:
                squares = self.events.sum_squares_between(self._start, self._end)
                exponent = self.events.exponent
                self._variance = compute_variance(self.count, self.total, squares, exponent)
        return self._variance

    def iter_ranks(self) -> Iterable[tuple[int, int]]:
        """The rank of each value, and for how many events it stands."""
        start, end = self.places
        ranks = self.events.ranks[start:end]
        if self.events.weights is None:
            return ((rank, 1) for rank in ranks)
        return zip(ranks, self.events.weights[start:end], strict=True)

    def count_by_rank(self) -> dict[int, int]:
        """How often each value occurs, equal ones as one, in no order."""
        counts: dict[int, int] = {}
        zero = self.events.negative_zero
        for rank, weight in self.iter_ranks():
            code = rank + 1 if rank == zero else rank
            counts[code] = counts.get(code, 0) + weight
        return counts

    def select_ranks(self, positions: Iterable[int]) -> list[int]:
        """The ranks at ascending positions in order of size."""
        ordered = iter(sorted(self.iter_ranks()))
        selected = []
        rank = covered = 0
        for position in positions:
            while covered <= position:
                rank, weight = next(ordered)
                covered += weight
            selected.append(rank)
        return selected


Compute = Callable[[LiveWindow, BoundFeature], Any]


def count_events(window: LiveWindow, feature: BoundFeature) -> int:
    """How many events there are."""
    del feature
    return window.count


# -- of numbers


def compute_sum(window: LiveWindow, feature: BoundFeature) -> Any:
    """The sum, in the type that sums of the column have."""
    if feature.type in FLOATS:
        return window.rounded_sum
    total = window.total
    if feature.type in INTEGERS:
        if not -_INT64_BOUND <= total < _INT64_BOUND:
            raise _make_overflow_error(feature)
        return total
    precision, scale = parse_decimal_sizes(feature.result_type)
    if abs(total) >= 10**precision:
        raise _make_overflow_error(feature)
    return Decimal(total).scaleb(-scale, _WIDE)


def _make_overflow_error(feature: BoundFeature) -> SchemaError:
    return SchemaError(
        f"Window feature {feature.name!r}: a sum of {feature.column!r} is too large for"
        f" {feature.result_type}. Cast the column to decimal(38,0) or double in the source."
    )


def compute_mean(window: LiveWindow, feature: BoundFeature) -> float:
    """The sum, rounded to a double, divided by the count."""
    return window.rounded_sum / _get_unit_count(feature) / window.count


def compute_population_variance(window: LiveWindow, feature: BoundFeature) -> float:
    """The variance of the population."""
    return window.variance / _get_unit_count(feature) ** 2


def compute_stddev(window: LiveWindow, feature: BoundFeature) -> float:
    """The deviation of the population."""
    return math.sqrt(window.variance / _get_unit_count(feature) ** 2)


def _get_unit_count(feature: BoundFeature) -> float:
    """How many units of its sums make one: 1, or a power of ten for decimals."""
    if feature.type is None or not feature.type.startswith("decimal"):
        return 1.0
    _, scale = parse_decimal_sizes(feature.type)
    return 10.0**scale


def compute_percentile(window: LiveWindow, feature: BoundFeature) -> float:
    """The percentile, linearly interpolated."""
    assert feature.argument is not None
    position = (window.count - 1) * float(feature.argument)
    below = math.floor(position)
    above = min(below + 1, window.count - 1)
    low, high = map(window.events.get_double, window.select_ranks((below, above)))
    return _interpolate(low, high, position - below)


def _interpolate(below: float, above: float, fraction: float) -> float:
    """As ``stats.interpolation.interpolate_linearly``."""
    if fraction == 0 or below == above:
        return below
    distance = above - below
    if not math.isfinite(distance):
        return below * (1 - fraction) + above * fraction
    if fraction >= 0.5:
        return above - distance * (1 - fraction)
    return below + distance * fraction


def approximate_percentile(window: LiveWindow, feature: BoundFeature) -> float:
    """The middle of the cell in which the percentile lies."""
    assert feature.argument is not None
    place = math.ceil(window.count * float(feature.argument))
    (rank,) = window.select_ranks((max(place, 1) - 1,))
    return _find_cell_middle(window.events.get_double(rank))


def _find_cell_middle(value: float) -> float:
    if value == 0 or math.isnan(value):
        return math.nan if math.isnan(value) else 0.0
    (bits,) = struct.unpack("<q", struct.pack("<d", abs(value)))
    cell = bits >> _CELL_SHIFT
    middle_bits = cell << _CELL_SHIFT
    if cell != _INFINITE_CELL:
        middle_bits += _HALF_CELL
    (middle,) = struct.unpack("<d", struct.pack("<q", middle_bits))
    return math.copysign(middle, value)


# -- of values in order


def find_least(window: LiveWindow, feature: BoundFeature) -> Any:
    """The least value."""
    del feature
    start, end = window.places
    return window.events.get_value(min(window.events.ranks[start:end]))


def find_greatest(window: LiveWindow, feature: BoundFeature) -> Any:
    """The greatest value."""
    del feature
    start, end = window.places
    return window.events.get_value(max(window.events.ranks[start:end]))


def find_first_value(window: LiveWindow, feature: BoundFeature) -> Any:
    """The value known first, of several at one instant the least."""
    del feature
    return window.events.get_value(window.events.ranks[window.places[0]])


def find_last_value(window: LiveWindow, feature: BoundFeature) -> Any:
    """The value known last, of several at one instant the greatest."""
    del feature
    return window.events.get_value(window.events.ranks[window.places[1] - 1])


def compute_age(window: LiveWindow, feature: BoundFeature) -> float:
    """The seconds since the newest event."""
    del feature
    newest = window.events.get_instant(window.places[1] - 1)
    return (window.at - newest) / _SECOND


# -- of distinct values


def count_distinct(window: LiveWindow, feature: BoundFeature) -> int:
    """How many distinct values there are."""
    del feature
    return len(window.count_by_rank())


def list_most_frequent(window: LiveWindow, feature: BoundFeature) -> list[Any]:
    """The most frequent values, of equally frequent ones the least first."""
    counts = window.count_by_rank()
    ranks = sorted(counts, key=lambda rank: (-counts[rank], rank))
    return _list_equal_values(window, ranks[: int(feature.argument or 0)])


def list_last_values(window: LiveWindow, feature: BoundFeature) -> list[Any]:
    """The values known last, the newest first."""
    start, end = window.places
    first = max(start, end - int(feature.argument or 0))
    ranks = window.events.ranks[first:end]
    return [window.events.get_value(rank) for rank in reversed(ranks)]


def list_last_distinct(window: LiveWindow, feature: BoundFeature) -> list[Any]:
    """The distinct values that occurred last, the newest first."""
    start, end = window.places
    zero = window.events.negative_zero
    codes: dict[int, None] = {}
    for rank in reversed(window.events.ranks[start:end]):
        codes.setdefault(rank + 1 if rank == zero else rank)
    return _list_equal_values(window, list(codes)[: int(feature.argument or 0)])


def _list_equal_values(window: LiveWindow, ranks: Iterable[int]) -> list[Any]:
    return [window.events.get_equal_value(rank) for rank in ranks]


FUNCTIONS: Mapping[Function, Compute] = {
    "count": count_events,
    "sum": compute_sum,
    "mean": compute_mean,
    "stddev": compute_stddev,
    "variance": compute_population_variance,
    "min": find_least,
    "max": find_greatest,
    "first": find_first_value,
    "last": find_last_value,
    "distinct_count": count_distinct,
    "approx_distinct_count": count_distinct,
    "percentile": compute_percentile,
    "approx_percentile": approximate_percentile,
    "top_k": list_most_frequent,
    "last_n": list_last_values,
    "last_distinct_n": list_last_distinct,
    "time_since_last": compute_age,
}
OF_EMPTY: tuple[Function, ...] = ("count", "distinct_count", "approx_distinct_count")  # 0, not null
