"""The events of an entity as they lie online, read where a window needs them."""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from struct import Struct
from typing import Any, NamedTuple

from spark_fs.base.types import FLOATS
from spark_fs.online.live.byte_layout import (
    GAP,
    HAS_COUNTS,
    HAS_NON_FINITE,
    HAS_PLACES,
    HAS_WEIGHTS,
    HEADER,
    RANK_CODES,
    SERIES,
    SINCE_EVER,
    WORD_BYTES,
    LiveSeries,
)

_NUMBER_BYTES = 4  # of a number of events, and of where something begins
_NUMBER = Struct("<I")


class Gap(NamedTuple):
    """Instants between which events were left out: no window begins or ends after first to last."""

    first: int
    last: int


class LiveEvents:
    """The events of one entity.

    fingerprint: of the windows that they are kept for. since: from when on all are there. count:
    how many there are. micros: when each became known, in order.
    """

    __slots__ = (
        "_starts_at",
        "_view",
        "count",
        "fingerprint",
        "gaps",
        "micros",
        "since",
        "stored",
    )

    def __init__(self, stored: bytes) -> None:
        """Read where things lie, and nothing of them."""
        self.stored = stored
        _, gap_count, count, self.fingerprint, self.since = HEADER.unpack_from(stored)
        self.count: int = count
        start = HEADER.size
        self.gaps: list[Gap] = []
        for _ in range(gap_count):
            self.gaps.append(Gap(*GAP.unpack_from(stored, start)))
            start += GAP.size
        self._view = memoryview(stored)
        self._starts_at = start + count * WORD_BYTES
        self.micros: Sequence[int] = self._view[start : self._starts_at].cast("q")

    def read_numbers(self, start: int, count: int, code: str) -> Sequence[Any]:
        """So many numbers of a struct code."""
        numbers = self._view[start : start + count * _WIDTHS[code]]
        cast: Sequence[Any] = numbers.cast(code)  # type: ignore[call-overload] # of any format
        return cast

    def find_series_start(self, number: int) -> int:
        """Where a series begins."""
        (start,) = _NUMBER.unpack_from(self.stored, self._starts_at + number * _NUMBER_BYTES)
        return int(start)

    def find_doubt(self, micros: int) -> Gap | None:
        """The instants between which a window may not begin or end, where this is one of them."""
        if micros < self.since:
            return Gap(SINCE_EVER, self.since - 1)
        for gap in self.gaps:
            if gap.first < micros <= gap.last:
                return gap
        return None


_WIDTHS = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "d": 8}


class SeriesEvents:
    """The events of a series; positions are those among all events."""

    def __init__(self, events: LiveEvents, number: int, series: LiveSeries) -> None:
        self.series = series
        self._events = events
        start = events.find_series_start(number)
        header = SERIES.unpack_from(events.stored, start)
        flags, self._rank_width, self._sum_width, self._square_width, self.exponent, *rest = header
        self._flags: int = flags
        self._value_count, self._distinct_count = rest
        self._positions = events.count + 1
        self._find_starts(start + SERIES.size)
        self.is_finite = not flags & HAS_NON_FINITE
        self._counts: Sequence[int] | None = None
        if flags & HAS_COUNTS:
            self._counts = events.read_numbers(start + SERIES.size, self._positions, "I")

    def _find_starts(self, start: int) -> None:
        """Tell where things lie, one after another, from a place on."""
        flags = self._flags
        number_bytes = self._positions * _NUMBER_BYTES
        self._sums_at = start + (number_bytes if flags & HAS_COUNTS else 0)
        self._squares_at = self._sums_at + self._positions * self._sum_width
        self._non_finite_at = self._squares_at + self._positions * self._square_width
        self._places_at = self._non_finite_at
        if flags & HAS_NON_FINITE:
            self._places_at += 3 * number_bytes
        self._instants_at = self._ranks_at = self._places_at
        if flags & HAS_PLACES:
            self._instants_at += number_bytes
            self._ranks_at = self._instants_at
            if self.series.has_instants:
                self._ranks_at += self._value_count * WORD_BYTES
        self._weights_at = self._ranks_at + self._value_count * self._rank_width
        self._doubles_at = self._weights_at
        if flags & HAS_WEIGHTS:
            self._doubles_at += self._value_count * _NUMBER_BYTES
        self._distinct_at = self._doubles_at
        if self.series.has_doubles:
            self._distinct_at += self._distinct_count * WORD_BYTES

    # -- what is before a position

    def count_between(self, start: int, end: int) -> int:
        """How many events are between two positions."""
        if self._counts is None:
            return end - start
        return self._counts[end] - self._counts[start]

    def sum_between(self, start: int, end: int) -> int:
        """Their sum, in units."""
        return self._subtract(self._sums_at, self._sum_width, start, end)

    def sum_squares_between(self, start: int, end: int) -> int:
        """The sum of their squares, in units squared."""
        return self._subtract(self._squares_at, self._square_width, start, end)

    def _subtract(self, origin: int, width: int, start: int, end: int) -> int:
        stored = self._events.stored
        place = origin + end * width
        upper = int.from_bytes(stored[place : place + width], "little", signed=True)
        place = origin + start * width
        return upper - int.from_bytes(stored[place : place + width], "little", signed=True)

    def count_non_finite(self, start: int, end: int) -> Sequence[int]:
        """How many of them are NaN, infinite, and infinite below zero, where any are."""
        numbers = self._events.read_numbers(self._non_finite_at, 3 * self._positions, "I")
        counts = []
        for kind in range(3):
            first = kind * self._positions
            counts.append(numbers[first + end] - numbers[first + start])
        return counts

    # -- values, by their places among those that are kept

    def find_places(self, start: int, end: int) -> tuple[int, int]:
        """The places of the first value of a window and of the one behind its last."""
        if not self._flags & HAS_PLACES:
            return start, end
        places = self._events.read_numbers(self._places_at, self._positions, "I")
        return places[start], places[end]

    def get_instant(self, place: int) -> int:
        """When the event of a value became known."""
        if not self._flags & HAS_PLACES:
            return int(self._events.micros[place])
        return int(self._events.read_numbers(self._instants_at, self._value_count, "q")[place])

    @property
    def ranks(self) -> Sequence[int]:
        """The rank of each value among the distinct ones, by instant and then by rank."""
        code = RANK_CODES[self._rank_width]
        return self._events.read_numbers(self._ranks_at, self._value_count, code)

    @property
    def weights(self) -> Sequence[int] | None:
        """For how many events each value stands; None: each for one."""
        if not self._flags & HAS_WEIGHTS:
            return None
        return self._events.read_numbers(self._weights_at, self._value_count, "I")

    def get_value(self, rank: int) -> Any:
        """The value of a rank."""
        value = self._distinct[rank]
        decode = self.series.decode
        return value if decode is None else decode(value)

    def get_equal_value(self, rank: int) -> Any:
        """The same, of zeros of both signs always 0.0."""
        value = self.get_value(rank)
        return value + 0.0 if self.series.type in FLOATS else value

    def get_double(self, rank: int) -> float:
        """The value of a rank as a double."""
        if self.series.has_doubles:
            doubles = self._events.read_numbers(self._doubles_at, self._distinct_count, "d")
            return float(doubles[rank])
        return float(self._distinct[rank])

    @cached_property
    def negative_zero(self) -> int | None:
        """The rank of -0.0 where 0.0 has one too, which is the next; they are equal."""
        if self.series.type not in FLOATS:
            return None
        zero = bisect_left(self._distinct, 0.0, hi=self._number_count)
        if zero + 1 < self._number_count and self._distinct[zero + 1] == 0:
            return zero
        return None

    @cached_property
    def _number_count(self) -> int:
        """How many distinct values are no NaN, which is the last."""
        last: int = self._distinct_count - 1
        has_nan: bool = last >= 0 and self._distinct[last] != self._distinct[last]
        return int(self._distinct_count - has_nan)

    @property
    def _distinct(self) -> Sequence[Any]:
        """The distinct values in their order, as they are kept."""
        code = self.series.fixed_code
        if code is not None:
            return self._events.read_numbers(self._distinct_at, self._distinct_count, code)
        return _Texts(self._events, self._distinct_at, self._distinct_count)


class _Texts(Sequence[bytes]):
    """Values of any length, each from where it begins to where the next does."""

    def __init__(self, events: LiveEvents, start: int, count: int) -> None:
        self._stored = bytes(events.stored)  # a driver may give a bytearray
        self._ends = events.read_numbers(start, count + 1, "I")
        self._start = start + (count + 1) * _NUMBER_BYTES

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, rank: Any) -> Any:
        start = self._start + self._ends[rank]
        return self._stored[start : self._start + self._ends[rank + 1]]
