"""Find the match of each row with Arrow and NumPy alone, so that any worker gives the same answer.

The rows of both sides lie in memory, one bucket of keys at a time. Key and time become one
integer, since sorting by one number is several times faster than by two columns; then each left
row's match is a binary search.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import decode_dictionaries

Ints = npt.NDArray[np.int64]
MISSING = -1  # the index of a match that does not exist, and the code of a key with a null
_NUMBER_BITS = 62


class KeyedRows(NamedTuple):
    """One side of a match: a code for each row's key, and what orders the rows of one key.

    codes: equal for equal keys, ``MISSING`` where the key has a null. times: microseconds; None for
    a side without time. ranks: the greater one wins between rows of one key and time; None where
    there are no such rows. known_from: when a row became known, in microseconds; None: always.
    """

    codes: Ints
    times: Ints | None = None
    ranks: Ints | None = None
    known_from: Ints | None = None

    @property
    def eligible_from(self) -> Ints | None:
        """The instant from which a row can match: its time, or when it became known if later."""
        if self.known_from is None or self.times is None:
            return self.times
        return np.maximum(self.times, self.known_from)


def find_matches(left: KeyedRows, right: KeyedRows, ttl: int | None = None) -> Ints:
    """Per left row the index of its match on the right: see ``SearchableRows.find_matches``."""
    return SearchableRows.from_rows(right).find_matches(left, ttl)


@dataclass(frozen=True)
class SearchableRows:
    """Right rows in the order in which matches are found by binary search.

    rows: as they were. scale: what makes one number of a key and a time. numbers: of the rows,
    ascending, by the instant from which each can match. best_rows: for each of them the index of
    the best row of its key up to it.
    """

    rows: KeyedRows
    scale: "_Scale"
    numbers: Ints
    best_rows: Ints

    @classmethod
    def from_rows(cls, rows: KeyedRows) -> Self:
        """Put rows in order."""
        times = rows.eligible_from
        scale = _Scale.from_rows(rows.codes, times)
        numbers = scale.combine(rows.codes, times)
        if rows.known_from is None and rows.ranks is not None:
            order: Ints = np.lexsort((rows.ranks, numbers))
        else:
            order = np.argsort(numbers)
        best_rows = order if rows.known_from is None else _find_best_known(rows, order)
        return cls(rows, scale, numbers[order], best_rows)

    def find_matches(self, left: KeyedRows, ttl: int | None = None) -> Ints:
        """Per left row the index of its match, ``MISSING`` where there is none.

        Of the rows of its key, not after its time and known by then, the match has the greatest
        time, and of equal ones the greatest rank. A left side without times gets the greatest of
        all. A match older than ``ttl`` microseconds does not count.
        """
        if not len(self.numbers):
            return np.full(len(left.codes), MISSING, np.int64)
        codes = np.where(left.codes > self.scale.greatest_code, MISSING, left.codes)
        positions = search_last(self.numbers, self.scale.combine(codes, left.times))
        is_of_other_key = self.numbers[positions] < self.scale.get_first_of_key(codes)
        has_no_match = (positions < 0) | (codes < 0) | is_of_other_key
        matches = np.where(has_no_match, MISSING, self.best_rows[positions])
        if ttl is not None and left.times is not None and self.rows.times is not None:
            too_old = left.times - self.rows.times[matches] > ttl
            matches[(matches >= 0) & too_old] = MISSING
        return matches


def _find_best_known(rows: KeyedRows, order: Ints) -> Ints:
    """The best row up to each place of an order by the instants from which rows can match.

    It is a running maximum, since the ranks by time grow from key to key.
    """
    assert rows.times is not None
    assert rows.known_from is not None
    ranks = rows.known_from if rows.ranks is None else rows.ranks
    by_time = np.lexsort((ranks, rows.times, rows.codes))
    best_so_far = np.maximum.accumulate(get_positions(by_time)[order])
    return by_time[best_so_far]


class _Scale(NamedTuple):
    """Makes one number of a key and a time, by the right rows: sorting by it is fastest.

    A time is a number of so many bits: the microseconds since the least where these leave room for
    the key, else its position among the distinct times; -1 is before the first. Without times every
    row has the same.
    """

    greatest_code: int
    bits: int = 0
    bounds: tuple[int, int] | None = None
    distinct_times: Ints | None = None

    @classmethod
    def from_rows(cls, codes: Ints, times: Ints | None) -> Self:
        greatest_code = int(codes.max(initial=0))
        if times is None or not len(times):
            return cls(greatest_code)
        bounds = int(times.min()), int(times.max())
        bits = (bounds[1] - bounds[0]).bit_length()
        if greatest_code.bit_length() + bits <= _NUMBER_BITS:
            return cls(greatest_code, bits, bounds)
        distinct_times = np.unique(times)
        return cls(greatest_code, len(distinct_times).bit_length(), bounds, distinct_times)

    def combine(self, codes: Ints, times: Ints | None) -> Ints:
        """The number of each key and time; without times of the greatest time."""
        if self.bounds is None:
            return codes
        if times is None:
            times = np.full(len(codes), self.bounds[1])
        return self.get_first_of_key(codes) + self._count_ticks(times, self.bounds)

    def get_first_of_key(self, codes: Ints) -> Ints:
        """The least number of a row of each key."""
        return codes << self.bits

    def _count_ticks(self, times: Ints, bounds: tuple[int, int]) -> Ints:
        if self.distinct_times is not None:
            return search_last(self.distinct_times, times)
        least, greatest = bounds
        return np.clip(times, least - 1, greatest) - least


def search_last(ascending: Ints, numbers: Ints) -> Ints:
    """For each number the position of the last that is not greater, -1 where there is none.

    Numbers are looked up in their order: the searches of neighbours read the same places, which is
    ten times as fast in 3,000,000 rows.
    """
    order = np.argsort(numbers)
    positions = np.empty(len(numbers), np.int64)
    positions[order] = np.searchsorted(ascending, numbers[order], side="right") - 1
    return positions


def find_best_before(rows: KeyedRows, bounds: Ints | None) -> Ints:
    """For each bound the index of the best row that counts before it, ``MISSING`` if there is none.

    The best has the greatest time, and of equal ones the greatest rank; keys do not matter. Without
    bounds it is the best of all.
    """
    sort_keys = []
    for key in (rows.known_from, rows.ranks, rows.times):
        if key is not None:
            sort_keys.append(key)
    by_time = np.lexsort(sort_keys or [np.zeros(len(rows.codes), np.int64)])
    eligible_from = rows.eligible_from
    if bounds is None or eligible_from is None:
        return by_time[-1:]
    order = np.argsort(eligible_from, kind="stable")
    time_positions = get_positions(by_time)[order]
    best_so_far = by_time[np.maximum.accumulate(time_positions)]
    positions = np.searchsorted(eligible_from[order], bounds, side="left") - 1
    return np.where(positions < 0, MISSING, best_so_far[positions])


def get_positions(order: Ints) -> Ints:
    """The position of each row in an order."""
    positions = np.empty(len(order), np.int64)
    positions[order] = np.arange(len(order))
    return positions


def rank_rows(table: pa.Table, columns: Sequence[str]) -> Ints | None:
    """The position of each row in the order of these columns, nulls first; None without columns."""
    if not columns:
        return None
    ranked = decode_dictionaries(table.select(list(columns)))
    sort_keys = [(column, "ascending", "at_start") for column in columns]
    return get_positions(pc.sort_indices(ranked, sort_keys).to_numpy())
