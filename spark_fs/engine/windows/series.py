"""The events that one or more features count, with what their functions share."""

from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.types import FLOATS
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.edges import OrderedEvents, Windows
from spark_fs.engine.windows.exact_parts import split_numbers, split_squares
from spark_fs.engine.windows.exact_sums import ExactPrefix, ExactSums
from spark_fs.engine.windows.exact_variances import compute_variances
from spark_fs.engine.windows.extremes import RangeExtremes
from spark_fs.engine.windows.occurrences import sum_before
from spark_fs.engine.windows.ranks import RankedRanges
from spark_fs.engine.windows.value_codes import encode_equal, rank_values
from spark_fs.stats.sketches.quantiles import Doubles

Mask = npt.NDArray[np.bool_]


class Series:
    """The events of a column whose value is not null and whose condition holds, in order.

    Its windows count positions among these alone.

    column: the values of all events; None: the events themselves. type: of the column. is_counted:
    which of all events count by their condition; None: all.
    """

    def __init__(
        self,
        events: OrderedEvents,
        column: pa.ChunkedArray | None,
        type_: str | None,
        is_counted: Mask | None,
    ) -> None:
        self.type = type_
        self._events = events
        self._column = column
        is_present = _combine_masks(column, is_counted)
        self._is_present = None if is_present is None else is_present[events.order]

    def find_windows(self, windows: Windows) -> Windows:
        """The same windows by positions in this series."""
        counts = self._counts_before
        if counts is None:
            return windows
        return Windows(counts[windows.starts], counts[windows.ends], windows.at)

    @cached_property
    def _counts_before(self) -> Ints | None:
        """How many events of the series come before each of all events; None: as many."""
        if self._is_present is None:
            return None
        return sum_before(self._is_present)

    @cached_property
    def weights_before(self) -> Ints | None:
        """For how many events those before each of the series stand; None: each for itself."""
        return None

    @cached_property
    def _rows(self) -> Ints:
        """The row of each event of the series."""
        return self._select_present(self._events.order)

    def _select_present(self, ordered: Ints) -> Ints:
        if self._is_present is None:
            return ordered
        return ordered.compress(self._is_present)

    @cached_property
    def _numbers(self) -> Ints:
        """The number of each event's entity and time."""
        return self._select_present(self._events.numbers)

    @cached_property
    def micros(self) -> Ints:
        """When each event became known."""
        return self._select_present(self._events.micros)

    @cached_property
    def values(self) -> pa.Array:
        """The value of each event."""
        assert self._column is not None
        taken = self._column.take(pa.array(self._rows))
        return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken

    # -- numbers

    @cached_property
    def doubles(self) -> Doubles:
        """The value of each event as a double."""
        rounded = self.values.cast(pa.float64(), safe=False)  # of large integers the nearest
        doubles: Doubles = rounded.to_numpy(zero_copy_only=False)
        return doubles

    @cached_property
    def non_finite(self) -> "NonFiniteCounts | None":
        """How many values before each event are no finite numbers; None where all are."""
        if self.type not in FLOATS:
            return None
        if np.isfinite(self.doubles).all():
            return None
        return NonFiniteCounts.from_doubles(self.doubles)

    @cached_property
    def _parts(self) -> list[Doubles]:
        """Doubles whose sum is the value of each event, 0 where that is no finite number."""
        assert self.type is not None
        values = self.values
        if self.non_finite is not None:
            values = pa.array(np.where(np.isfinite(self.doubles), self.doubles, 0.0))
        return split_numbers(values, self.type)

    @cached_property
    def sums(self) -> ExactPrefix:
        """The sums of the values before each event."""
        return ExactPrefix.from_parts(self._parts)

    @cached_property
    def squares(self) -> ExactPrefix:
        """The sums of their squares."""
        return ExactPrefix.from_parts(split_squares(self._parts))

    # -- order and equality

    @cached_property
    def extremes(self) -> RangeExtremes:
        """The least and the greatest rank of any stretch of events."""
        return RangeExtremes(self.ranks)

    @cached_property
    def ranked_ranges(self) -> RankedRanges:
        """The ranks of any stretch of events, in their order."""
        return self.make_ranked_ranges(self.ranks)

    def make_ranked_ranges(self, ranks: Ints) -> RankedRanges:
        """Ranks of the events, one for each, in the order of any stretch of one entity's."""
        return RankedRanges(ranks, self._events.find_entity_starts(self._numbers))

    @cached_property
    def ranks(self) -> Ints:
        """The rank of each value among all."""
        assert self.type is not None
        return rank_values(self.values, self.type)

    @cached_property
    def positions_by_rank(self) -> Ints:
        """For each rank the position of an event that has it."""
        positions = np.zeros(int(self.ranks.max(initial=-1)) + 1, np.int64)
        positions[self.ranks] = np.arange(len(self.ranks))
        return positions

    @cached_property
    def equal_codes(self) -> tuple[Ints, pa.Array]:
        """A code for each value, equal for equal ones, and the value of each code."""
        assert self.type is not None
        return encode_equal(self.values, self.type)

    @cached_property
    def order_by_value(self) -> Ints:
        """The positions of the events by entity, time, and then value."""
        is_tied = self._numbers[1:] == self._numbers[:-1]
        if not is_tied.any():
            return np.arange(len(is_tied) + 1) if len(self._numbers) else self._numbers
        return np.lexsort((self.ranks, self._numbers))


class SeriesWindows:
    """Windows among the events of a series, with what functions over the same windows share."""

    def __init__(self, series: Series, windows: Windows) -> None:
        self.series = series
        self.starts, self.ends, self.at = series.find_windows(windows)
        self.is_empty: Mask = self.starts == self.ends

    @cached_property
    def counts(self) -> Ints:
        """How many events each window holds."""
        weights = self.series.weights_before
        if weights is None:
            return self.ends - self.starts
        return weights[self.ends] - weights[self.starts]

    @cached_property
    def divisors(self) -> Ints:
        """How many events each window holds, 1 for an empty one."""
        return np.maximum(self.counts, 1)

    @cached_property
    def sums(self) -> ExactSums:
        """The exact sum of each window."""
        return self.series.sums.sum_between(self.starts, self.ends)

    @cached_property
    def squares(self) -> ExactSums:
        """The exact sum of the squares of each window."""
        return self.series.squares.sum_between(self.starts, self.ends)

    @cached_property
    def rounded_sums(self) -> Doubles:
        """The sum of each window, rounded once, with what NaN and infinities make of it."""
        doubles = self.sums.to_doubles()
        if self.series.non_finite is None:
            return doubles
        return self.series.non_finite.correct_sums(doubles, self.starts, self.ends)

    @cached_property
    def variances(self) -> Doubles:
        """The variance of each window, NaN where it holds NaN or an infinity."""
        variances = compute_variances(self.divisors, self.sums, self.squares)
        if self.series.non_finite is not None:
            is_undefined = self.series.non_finite.find_windows(self.starts, self.ends)
            variances[is_undefined] = np.nan
        return variances


class NonFiniteCounts:
    """How many NaN and infinities there are before each of some values."""

    def __init__(self, nans: Ints, positive: Ints, negative: Ints) -> None:
        """Keep how many there are before each value: NaN, infinities, and those below zero."""
        self._nans = nans
        self._positive = positive
        self._negative = negative

    @classmethod
    def from_doubles(cls, doubles: Doubles) -> Self:
        """Of these values."""
        return cls(
            sum_before(np.isnan(doubles)),
            sum_before(doubles == np.inf),
            sum_before(doubles == -np.inf),
        )

    def correct_sums(self, sums: Doubles, starts: Ints, ends: Ints) -> Doubles:
        """What the sums of windows are with these values in them."""
        has_nan = self._nans[ends] > self._nans[starts]
        has_positive = self._positive[ends] > self._positive[starts]
        has_negative = self._negative[ends] > self._negative[starts]
        corrected = np.where(has_positive, np.inf, sums)
        corrected = np.where(has_negative, -np.inf, corrected)
        return np.where(has_nan | (has_positive & has_negative), np.nan, corrected)

    def find_windows(self, starts: Ints, ends: Ints) -> Mask:
        """Whether each window holds any of them."""
        sums = self.correct_sums(np.zeros(len(starts)), starts, ends)
        has_any: Mask = ~np.isfinite(sums)
        return has_any


def _combine_masks(column: pa.ChunkedArray | None, is_counted: Mask | None) -> Mask | None:
    """Which events count: those with a value that meet the condition; None: all."""
    if column is None or not column.null_count:
        return is_counted
    is_valid: Mask = pc.is_valid(column).to_numpy()
    if is_counted is None:
        return is_valid
    return is_valid & is_counted
