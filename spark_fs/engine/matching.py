"""Find the match of each row, with Arrow and NumPy alone: no Spark, so that any worker gives the same answer.

The rows of both sides lie in memory, one bucket of keys at a time. Key and time become one whole number, since
sorting by one number is several times faster than by two columns; then each left row's match is a binary search.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
NONE = -1  # the index of a match that is not there, and the code of a key with a null
_BITS = 62


class Rows(NamedTuple):
    """One side: a code per key, and per row its time and, where rows of one key and time can meet, its rank among them.

    codes: equal for equal keys, ``NONE`` where the key has a null. times: microseconds; None for a side without time.
    ranks: the greater one wins a tie; None where there are no ties. known: when a row was known, in microseconds; None: always.
    """

    codes: Ints
    times: Ints | None = None
    ranks: Ints | None = None
    known: Ints | None = None

    @property
    def counts_from(self) -> Ints | None:
        """The instant from which a row can be a match: its time, or when it became known if that is later."""
        return self.times if self.known is None or self.times is None else np.maximum(self.times, self.known)


def find(left: Rows, right: Rows, ttl: int | None = None) -> Ints:
    """Per left row the index of its match on the right, ``NONE`` where there is none.

    Of the right rows of its key, not after its time and known by then, the match has the greatest time, and of equal ones the greatest
    rank. A left side without times gets the greatest of all. A match older than ``ttl`` microseconds is none.
    """
    if not len(right.codes):
        return np.full(len(left.codes), NONE, np.int64)
    if right.known is None:
        order, found = _search(left.codes, left.times, right.codes, right.times, right.ranks)
    else:
        order, found = _search_known(left, right)
    matched = np.where(found < 0, NONE, order[found])
    if ttl is not None and left.times is not None and right.times is not None:
        matched[(matched >= 0) & (left.times - right.times[matched] > ttl)] = NONE
    return matched


def _search(codes: Ints, times: Ints | None, others: Ints, other_times: Ints | None, ranks: Ints | None) -> tuple[Ints, Ints]:
    """The order of the right rows by key, time and rank; and per left row the place of its match in this order."""
    keyed, wanted, first = _combined(codes, times, others, other_times)
    order: Ints = np.argsort(keyed) if ranks is None else np.lexsort((ranks, keyed))
    ordered = keyed[order]
    found = np.searchsorted(ordered, wanted, side="right") - 1
    found[(codes < 0) | (ordered[found] < first)] = NONE  # the row before is another key's
    return order, found


def _combined(codes: Ints, times: Ints | None, others: Ints, other_times: Ints | None) -> tuple[Ints, Ints, Ints]:
    """Key and time as one number: of the right rows, of the left rows, and the least that a left row's key can have."""
    if other_times is None:
        return others, codes, codes
    least, greatest = int(other_times.min()), int(other_times.max())
    bits = (greatest - least).bit_length()
    if int(max(codes.max(initial=0), others.max())).bit_length() + bits <= _BITS:
        ticks = other_times - least
        wanted = np.full(len(codes), greatest - least) if times is None else np.clip(times, least - 1, greatest) - least
    else:  # the distinct times, numbered
        distinct = np.unique(other_times)
        bits = len(distinct).bit_length()
        ticks = np.searchsorted(distinct, other_times)
        wanted = np.full(len(codes), len(distinct) - 1) if times is None else np.searchsorted(distinct, times, side="right") - 1
    first = codes << bits
    return (others << bits) | ticks, first + wanted, first


def _search_known(left: Rows, right: Rows) -> tuple[Ints, Ints]:
    """As ``_search``, of rows that count from the instant at which both their time has come and they are known.

    In the order of these instants the best row so far is a running maximum, since the ranks by time grow from key to key.
    """
    assert right.known is not None
    assert right.times is not None
    by_time = np.lexsort((right.known if right.ranks is None else right.ranks, right.times, right.codes))
    order, found = _search(left.codes, left.times, right.codes, right.counts_from, None)
    return by_time[np.maximum.accumulate(_places(by_time)[order])], found


def best_before(rows: Rows, bounds: Ints | None) -> Ints:
    """For each bound the index of the best of the rows that count before it, ``NONE`` where there is none; keys do not matter.

    The best has the greatest time, and of equal ones the greatest rank. Without bounds it is the best of all.
    """
    keys = [each for each in (rows.known, rows.ranks, rows.times) if each is not None] or [np.zeros(len(rows.codes), np.int64)]
    by_time = np.lexsort(keys)
    at = rows.counts_from
    if bounds is None or at is None:
        return by_time[-1:]
    order = np.argsort(at, kind="stable")
    best = by_time[np.maximum.accumulate(_places(by_time)[order])]
    found = np.searchsorted(at[order], bounds, side="left") - 1
    return np.where(found < 0, NONE, best[found])


def _places(order: Ints) -> Ints:
    """The place of each row in an order."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def codes(sides: Sequence[Sequence[pa.ChunkedArray]]) -> list[Ints]:
    """Per side a code for each row's key; a side is its key columns, in the same order and types on every side."""
    lengths = [len(side[0]) for side in sides]
    whole: Ints | None = None
    for part in zip(*sides, strict=True):
        coded, distinct = _coded(pa.chunked_array([chunk for column in part for chunk in column.chunks], part[0].type))
        if whole is None:
            whole = coded
            continue
        missing = (whole < 0) | (coded < 0)
        if int(whole.max(initial=0) + 1).bit_length() + distinct.bit_length() > _BITS // 2:
            whole = np.unique(whole, return_inverse=True)[1].astype(np.int64)
        whole = whole * distinct + coded
        whole[missing] = NONE
    assert whole is not None
    return np.split(whole, np.cumsum(lengths)[:-1])


def _coded(column: pa.ChunkedArray) -> tuple[Ints, int]:
    """A number for each value, ``NONE`` for null; and how many numbers there are."""
    if pa.types.is_integer(column.type) and len(column) > column.null_count:
        bounds = pc.min_max(column)
        least, greatest = bounds["min"].as_py(), bounds["max"].as_py()
        if greatest - least < max(4 * len(column), 1 << 16):
            numbers = pc.subtract(column, pa.scalar(least, column.type))
            return pc.fill_null(numbers, NONE).to_numpy().astype(np.int64, copy=False), greatest - least + 1
    encoded = column.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no chunk at all
        return np.empty(0, np.int64), 1
    return pc.fill_null(encoded.indices, NONE).to_numpy().astype(np.int64), max(1, len(encoded.dictionary))


def ranks(table: pa.Table, columns: Sequence[str]) -> Ints | None:
    """The place of each row when they are ordered by these columns, a null before every value; None without columns."""
    if not columns:
        return None
    order = pc.sort_indices(table, [(column, "ascending", "at_start") for column in columns]).to_numpy()
    return _places(order)
