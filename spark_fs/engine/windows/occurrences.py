"""Distinct values of many ranges: how many there are, and which occurred last."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.ranks import RankedRanges


class Lists(NamedTuple):
    """A list for each range: that of range i is ``items[offsets[i] : offsets[i + 1]]``."""

    offsets: Ints
    items: Ints


def count_distinct(codes: Ints, starts: Ints, ends: Ints) -> Ints:
    """How many distinct codes each range has.

    A place counts if the one before it with the same code lies outside of the range. Where ranges
    move on (sorted starts and ends, as windows of one length have), each place is a repetition in
    one run of ranges, and a running sum gives their number; others take a step for each bit.

    Args:
        codes: The codes, at least 0.
        starts: Where each range begins.
        ends: Where it ends; this place is not in it.
    """
    previous = find_previous(codes)
    if not _are_sorted(starts) or not _are_sorted(ends):
        order = np.lexsort((ends, starts))
        if not _are_sorted(ends[order]):
            return RankedRanges(previous + 1).count_below(starts, ends, starts + 1)
        counts = np.empty(len(starts), np.int64)
        counts[order] = _count_distinct_sorted(previous, starts[order], ends[order])
        return counts
    return _count_distinct_sorted(previous, starts, ends)


def find_last_distinct(codes: Ints, starts: Ints, ends: Ints, n: int) -> Lists:
    """Where the n distinct codes that occurred last in each range have their last places.

    Args:
        codes: The codes, at least 0.
        starts: Where each range begins.
        ends: Where it ends; this place is not in it.
        n: How many codes at most.

    Returns:
        For each range the places, the last first.
    """
    previous = find_previous(codes)
    places = np.arange(len(codes) + 1)
    latest = places - 1  # for each end of a range the last place before it: the first of its list
    rows = np.empty((len(starts), n), np.int64)
    for column in range(n):
        rows[:, column] = latest[ends]
        latest = _find_next_latest(latest, previous, places)
    is_within = rows >= starts[:, None]
    return Lists(sum_before(is_within.sum(axis=1)), rows.ravel().compress(is_within.ravel()))


def find_previous(codes: Ints) -> Ints:
    """The place before each that has the same code; -1 where there is none."""
    bits = len(codes).bit_length()
    combined = np.sort((codes << bits) | np.arange(len(codes)))
    places = combined & ((1 << bits) - 1)
    in_order = combined >> bits
    is_same = in_order[1:] == in_order[:-1]
    previous = np.full(len(codes), -1)
    previous[places[1:]] = np.where(is_same, places[:-1], -1)
    return previous


def _find_next_latest(latest: Ints, previous: Ints, places: Ints) -> Ints:
    """For each end of a range the next item of the list of the last places of distinct codes.

    The list before an end is that before the end one place earlier, with the new place put first
    and the previous one of the same code taken out. So an item is the one that stood one further in
    front, if the one taken out stood further behind; else it stays what it was at the end before.
    """
    shifted = np.empty_like(latest)
    shifted[0] = -1
    shifted[1:] = latest[:-1]
    moves = np.zeros(len(latest), np.bool_)
    np.greater(shifted[1:], previous, out=moves[1:])
    return shifted[np.maximum.accumulate(np.where(moves, places, 0))]


def _count_distinct_sorted(previous: Ints, starts: Ints, ends: Ints) -> Ints:
    repeated = np.flatnonzero(previous >= 0)
    # A place is a repetition from the first range that has it to the last one that has the place
    # before it with the same code.
    first_ranges = count_up_to(ends, len(previous))[repeated]
    last_ranges = count_up_to(starts, len(previous))[previous[repeated]]
    is_repetition = first_ranges < last_ranges
    changes = np.bincount(first_ranges.compress(is_repetition), minlength=len(starts) + 1)
    changes -= np.bincount(last_ranges.compress(is_repetition), minlength=len(starts) + 1)
    repetitions = np.cumsum(changes)[:-1]
    return ends - starts - repetitions


def count_up_to(numbers: Ints, size: int) -> Ints:
    """For each integer from 0 to size how many of the numbers, from 0 to size, are at most it."""
    return np.cumsum(np.bincount(numbers, minlength=size + 1))


def _are_sorted(numbers: Ints) -> bool:
    return bool((numbers[1:] >= numbers[:-1]).all())


def sum_before(numbers: Ints | npt.NDArray[np.bool_]) -> Ints:
    """The sum of the numbers before each, and of all; of lengths, where each list begins."""
    sums = np.zeros(len(numbers) + 1, np.int64)
    np.cumsum(numbers, out=sums[1:])
    return sums
