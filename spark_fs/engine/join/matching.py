"""Find the match of each row with Arrow and NumPy alone, so that any worker gives the same answer.

The rows of both sides lie in memory, one bucket of keys at a time. Key and time become one
integer, since sorting by one number is several times faster than by two columns; then each left
row's match is a binary search.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
MISSING = -1  # the index of a match that does not exist, and the code of a key with a null
_CODE_BITS = 62


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
    """Per left row the index of its match on the right, ``MISSING`` where there is none.

    Of the right rows of its key, not after its time and known by then, the match has the greatest
    time, and of equal ones the greatest rank. A left side without times gets the greatest of all.
    A match older than ``ttl`` microseconds does not count.
    """
    if not len(right.codes):
        return np.full(len(left.codes), MISSING, np.int64)
    if right.known_from is None:
        order, positions = _search_matches(
            left.codes, left.times, right.codes, right.times, right.ranks
        )
    else:
        order, positions = _search_known_rows(left, right)
    matches = np.where(positions < 0, MISSING, order[positions])
    if ttl is not None and left.times is not None and right.times is not None:
        too_old = left.times - right.times[matches] > ttl
        matches[(matches >= 0) & too_old] = MISSING
    return matches


def _search_matches(
    left_codes: Ints,
    left_times: Ints | None,
    right_codes: Ints,
    right_times: Ints | None,
    ranks: Ints | None,
) -> tuple[Ints, Ints]:
    """The order of the right rows by key, time and rank, and where in it each match stands."""
    right_numbers, left_numbers, first_of_key = _combine_key_time(
        left_codes, left_times, right_codes, right_times
    )
    if ranks is None:
        order: Ints = np.argsort(right_numbers)
    else:
        order = np.lexsort((ranks, right_numbers))
    ordered = right_numbers[order]
    positions = np.searchsorted(ordered, left_numbers, side="right") - 1
    is_of_other_key = ordered[positions] < first_of_key
    positions[(left_codes < 0) | is_of_other_key] = MISSING
    return order, positions


def _combine_key_time(
    left_codes: Ints, left_times: Ints | None, right_codes: Ints, right_times: Ints | None
) -> tuple[Ints, Ints, Ints]:
    """Key and time as one number.

    Returns:
        The numbers of the right rows, those of the left rows, and the least number that a left
        row's key can have.
    """
    if right_times is None:
        return right_codes, left_codes, left_codes
    least = int(right_times.min())
    greatest = int(right_times.max())
    greatest_code = int(max(left_codes.max(initial=0), right_codes.max()))
    if greatest_code.bit_length() + (greatest - least).bit_length() <= _CODE_BITS:
        ticks = _count_micros(left_times, right_times, (least, greatest), len(left_codes))
    else:
        ticks = _number_times(left_times, right_times, len(left_codes))
    first_of_key = left_codes << ticks.bits
    return (right_codes << ticks.bits) | ticks.right, first_of_key + ticks.left, first_of_key


class _Ticks(NamedTuple):
    """The times of both sides as numbers of so many bits; -1 is before the right side's first.

    A left side without times has the last of the right side.
    """

    left: Ints
    right: Ints
    bits: int


def _count_micros(
    left_times: Ints | None, right_times: Ints, bounds: tuple[int, int], left_count: int
) -> _Ticks:
    """The microseconds since the first time of the right side, whose bounds are given."""
    least, greatest = bounds
    span = greatest - least
    if left_times is None:
        left_ticks = np.full(left_count, span)
    else:
        left_ticks = np.clip(left_times, least - 1, greatest) - least
    return _Ticks(left_ticks, right_times - least, span.bit_length())


def _number_times(left_times: Ints | None, right_times: Ints, left_count: int) -> _Ticks:
    """The numbers of the right side's distinct times."""
    distinct_times = np.unique(right_times)
    right_ticks = np.searchsorted(distinct_times, right_times)
    if left_times is None:
        left_ticks = np.full(left_count, len(distinct_times) - 1)
    else:
        left_ticks = np.searchsorted(distinct_times, left_times, side="right") - 1
    return _Ticks(left_ticks, right_ticks, len(distinct_times).bit_length())


def _search_known_rows(left: KeyedRows, right: KeyedRows) -> tuple[Ints, Ints]:
    """As ``_search_matches``, of rows that count once their time has come and they are known.

    In the order of these instants the best row so far is a running maximum, since the ranks by time
    grow from key to key.
    """
    assert right.known_from is not None
    assert right.times is not None
    ranks = right.known_from if right.ranks is None else right.ranks
    by_time = np.lexsort((ranks, right.times, right.codes))
    order, positions = _search_matches(
        left.codes, left.times, right.codes, right.eligible_from, None
    )
    best_so_far = np.maximum.accumulate(get_positions(by_time)[order])
    return by_time[best_so_far], positions


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


def encode_keys(sides: Sequence[Sequence[pa.ChunkedArray]]) -> list[Ints]:
    """Per side a code for each row's key.

    Args:
        sides: The key columns of each side, in the same order and types on every side.
    """
    lengths = [len(side[0]) for side in sides]
    codes: Ints | None = None
    for columns in zip(*sides, strict=True):
        chunks = [chunk for column in columns for chunk in column.chunks]
        column = pa.chunked_array(chunks, columns[0].type)
        column_codes, code_count = _encode_column(column)
        codes = column_codes if codes is None else _combine_codes(codes, column_codes, code_count)
    assert codes is not None
    return np.split(codes, np.cumsum(lengths)[:-1])


def _combine_codes(codes: Ints, column_codes: Ints, code_count: int) -> Ints:
    """The codes of keys with one more column, which has so many codes."""
    has_null = (codes < 0) | (column_codes < 0)
    key_bits = int(codes.max(initial=0) + 1).bit_length()
    if key_bits + code_count.bit_length() > _CODE_BITS // 2:
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    combined = codes * code_count + column_codes
    combined[has_null] = MISSING
    return combined


def _encode_column(column: pa.ChunkedArray) -> tuple[Ints, int]:
    """A code for each value, ``MISSING`` for null; and how many codes there are."""
    if pa.types.is_integer(column.type) and len(column) > column.null_count:
        bounds = pc.min_max(column)
        least = bounds["min"].as_py()
        span = bounds["max"].as_py() - least
        if span < max(4 * len(column), 1 << 16):
            offsets = pc.subtract(column, pa.scalar(least, column.type))
            codes = pc.fill_null(offsets, MISSING).to_numpy()
            return codes.astype(np.int64, copy=False), span + 1
    encoded = column.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):  # no chunk at all
        return np.empty(0, np.int64), 1
    codes = pc.fill_null(encoded.indices, MISSING).to_numpy().astype(np.int64)
    return codes, max(1, len(encoded.dictionary))


def rank_rows(table: pa.Table, columns: Sequence[str]) -> Ints | None:
    """The position of each row in the order of these columns, nulls first; None without columns."""
    if not columns:
        return None
    sort_keys = [(column, "ascending", "at_start") for column in columns]
    return get_positions(pc.sort_indices(table, sort_keys).to_numpy())
