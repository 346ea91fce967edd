"""Find the match of each row, with Arrow and NumPy alone: no Spark, so that any worker gives the same answer.

The rows of both sides lie in memory, one bucket of keys at a time. Key and time become one whole
number, since sorting by one number is several times faster than by two columns; then each left
row's match is a binary search.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
MISSING = -1  # the index of a match that is not there, and the code of a key with a null
_CODE_BITS = 62


class KeyedRows(NamedTuple):
    """One side: a code per key, and per row its time and, where rows of one key and time can meet, its rank among them.

    codes: equal for equal keys, ``NONE`` where the key has a null. times: microseconds; None for a
    side without time. ranks: the greater one wins a tie; None where there are no ties. known: when
    a row was known, in microseconds; None: always.
    """

    codes: Ints
    times: Ints | None = None
    ranks: Ints | None = None
    known_from: Ints | None = None

    @property
    def eligible_from(self) -> Ints | None:
        """The instant from which a row can be a match: its time, or when it became known if that is later."""
        return (
            self.times
            if self.known_from is None or self.times is None
            else np.maximum(self.times, self.known_from)
        )


def find_matches(left: KeyedRows, right: KeyedRows, ttl: int | None = None) -> Ints:
    """Per left row the index of its match on the right, ``NONE`` where there is none.

    Of the right rows of its key, not after its time and known by then, the match has the greatest
    time, and of equal ones the greatest rank. A left side without times gets the greatest of all. A
    match older than ``ttl`` microseconds is none.
    """
    if not len(right.codes):
        return np.full(len(left.codes), MISSING, np.int64)
    if right.known_from is None:
        order, found = _search_matches(
            left.codes, left.times, right.codes, right.times, right.ranks
        )
    else:
        order, found = _search_known_rows(left, right)
    matched = np.where(found < 0, MISSING, order[found])
    if ttl is not None and left.times is not None and right.times is not None:
        matched[(matched >= 0) & (left.times - right.times[matched] > ttl)] = MISSING
    return matched


def _search_matches(
    left_codes: Ints,
    left_times: Ints | None,
    right_codes: Ints,
    right_times: Ints | None,
    ranks: Ints | None,
) -> tuple[Ints, Ints]:
    """The order of the right rows by key, time and rank; and per left row the place of its match in this order."""
    keyed, wanted, first = _combine_key_time(left_codes, left_times, right_codes, right_times)
    order: Ints = np.argsort(keyed) if ranks is None else np.lexsort((ranks, keyed))
    ordered = keyed[order]
    found = np.searchsorted(ordered, wanted, side="right") - 1
    found[(left_codes < 0) | (ordered[found] < first)] = MISSING  # the row before is another key's
    return order, found


def _combine_key_time(
    left_codes: Ints, left_times: Ints | None, right_codes: Ints, right_times: Ints | None
) -> tuple[Ints, Ints, Ints]:
    """Key and time as one number: of the right rows, of the left rows, and the least that a left row's key can have."""
    if right_times is None:
        return right_codes, left_codes, left_codes
    least, greatest = int(right_times.min()), int(right_times.max())
    bits = (greatest - least).bit_length()
    if int(max(left_codes.max(initial=0), right_codes.max())).bit_length() + bits <= _CODE_BITS:
        ticks = right_times - least
        wanted = (
            np.full(len(left_codes), greatest - least)
            if left_times is None
            else np.clip(left_times, least - 1, greatest) - least
        )
    else:  # the distinct times, numbered
        distinct = np.unique(right_times)
        bits = len(distinct).bit_length()
        ticks = np.searchsorted(distinct, right_times)
        wanted = (
            np.full(len(left_codes), len(distinct) - 1)
            if left_times is None
            else np.searchsorted(distinct, left_times, side="right") - 1
        )
    first = left_codes << bits
    return (right_codes << bits) | ticks, first + wanted, first


def _search_known_rows(left: KeyedRows, right: KeyedRows) -> tuple[Ints, Ints]:
    """As ``_search``, of rows that count from the instant at which both their time has come and they are known.

    In the order of these instants the best row so far is a running maximum, since the ranks by time
    grow from key to key.
    """
    assert right.known_from is not None
    assert right.times is not None
    by_time = np.lexsort(
        (right.known_from if right.ranks is None else right.ranks, right.times, right.codes)
    )
    order, found = _search_matches(left.codes, left.times, right.codes, right.eligible_from, None)
    return by_time[np.maximum.accumulate(_get_positions(by_time)[order])], found


def find_best_before(rows: KeyedRows, bounds: Ints | None) -> Ints:
    """For each bound the index of the best of the rows that count before it, ``NONE`` where there is none; keys do not matter.

    The best has the greatest time, and of equal ones the greatest rank. Without bounds it is the
    best of all.
    """
    keys = [each for each in (rows.known_from, rows.ranks, rows.times) if each is not None] or [
        np.zeros(len(rows.codes), np.int64)
    ]
    by_time = np.lexsort(keys)
    at = rows.eligible_from
    if bounds is None or at is None:
        return by_time[-1:]
    order = np.argsort(at, kind="stable")
    best = by_time[np.maximum.accumulate(_get_positions(by_time)[order])]
    found = np.searchsorted(at[order], bounds, side="left") - 1
    return np.where(found < 0, MISSING, best[found])


def _get_positions(order: Ints) -> Ints:
    """The place of each row in an order."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def encode_keys(sides: Sequence[Sequence[pa.ChunkedArray]]) -> list[Ints]:
    """Per side a code for each row's key; a side is its key columns, in the same order and types on every side."""
    lengths = [len(side[0]) for side in sides]
    whole: Ints | None = None
    for part in zip(*sides, strict=True):
        coded, distinct = _encode_column(
            pa.chunked_array([chunk for column in part for chunk in column.chunks], part[0].type)
        )
        if whole is None:
            whole = coded
            continue
        missing = (whole < 0) | (coded < 0)
        if int(whole.max(initial=0) + 1).bit_length() + distinct.bit_length() > _CODE_BITS // 2:
            whole = np.unique(whole, return_inverse=True)[1].astype(np.int64)
        whole = whole * distinct + coded
        whole[missing] = MISSING
    assert whole is not None
    return np.split(whole, np.cumsum(lengths)[:-1])


def _encode_column(column: pa.ChunkedArray) -> tuple[Ints, int]:
    """A number for each value, ``NONE`` for null; and how many numbers there are."""
    if pa.types.is_integer(column.type) and len(column) > column.null_count:
        bounds = pc.min_max(column)
        least, greatest = bounds["min"].as_py(), bounds["max"].as_py()
        if greatest - least < max(4 * len(column), 1 << 16):
            numbers = pc.subtract(column, pa.scalar(least, column.type))
            return (
                pc.fill_null(numbers, MISSING).to_numpy().astype(np.int64, copy=False),
                greatest - least + 1,
            )
    encoded = column.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no chunk at all
        return np.empty(0, np.int64), 1
    return pc.fill_null(encoded.indices, MISSING).to_numpy().astype(np.int64), max(
        1, len(encoded.dictionary)
    )


def rank_rows(table: pa.Table, columns: Sequence[str]) -> Ints | None:
    """The place of each row when they are ordered by these columns, a null before every value; None without columns."""
    if not columns:
        return None
    order = pc.sort_indices(
        table, [(column, "ascending", "at_start") for column in columns]
    ).to_numpy()
    return _get_positions(order)
