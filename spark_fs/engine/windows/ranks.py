"""Ranges of an array in order of size: the rank at a position, and how many lie below a bound."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.value_codes import rank_densely

_BLOCK = 1 << 13  # ranges that go through all levels together, so that they stay in the cache
_Narrow = npt.NDArray[np.int32]


class _Level(NamedTuple):
    """One bit of the ranks: how many before each place have a 0 there, and how many of all."""

    zeros_before: _Narrow
    zeros: np.int32


class RankedRanges:
    """A wavelet matrix (Claude, Navarro and Ordóñez, 2015) of ranks, for ranges within keys.

    Level by level, from the highest bit, the ranks are parted by that bit, zeros first; a range
    stays a range in both parts. A range costs a step for each bit, whatever its length. The ranks
    are first numbered within their key, so that there are no more bits than the longest key needs.
    """

    def __init__(self, ranks: Ints, key_starts: Ints | None = None) -> None:
        """Number the ranks within keys.

        Args:
            ranks: The ranks, as ``rank_values`` gives them.
            key_starts: Where each key begins, in order, the first at 0. None: all are of one key.
        """
        if key_starts is None:
            key_starts = np.zeros(1, np.int64)
        keys = np.zeros(len(ranks) + 1, np.int64)
        keys[: len(ranks)] = np.repeat(
            np.arange(len(key_starts)), np.diff(key_starts, append=len(ranks))
        )
        self._keys = keys
        self._span = int(ranks.max(initial=0)) + 1
        combined = keys[:-1] * self._span + ranks
        numbers = rank_densely(combined)
        self._distinct = np.empty(int(numbers.max(initial=-1)) + 1, np.int64)
        self._distinct[numbers] = combined
        self._first_numbers = np.searchsorted(
            self._distinct, np.arange(len(key_starts)) * self._span
        )
        local_ranks = numbers - self._first_numbers[keys[:-1]]
        self._local_ranks = local_ranks.astype(np.int32)
        self._bits = int(self._local_ranks.max(initial=0)).bit_length()

    def select(self, starts: Ints, ends: Ints, positions: Ints) -> Ints:
        """The rank at a position of each range in order of size; any number for an empty range.

        Args:
            starts: Where each range begins.
            ends: Where it ends; this place is not in it.
            positions: The position, 0 for the least rank and below the range's length.
        """
        selected = np.empty(len(starts), np.int64)
        for first in range(0, len(starts), _BLOCK):
            block = slice(first, first + _BLOCK)
            selected[block] = self._select_block(starts[block], ends[block], positions[block])
        keys = self._keys[starts]
        places = self._first_numbers[keys] + selected
        last_place = max(len(self._distinct) - 1, 0)
        distinct = np.append(self._distinct, 0)
        ranks: Ints = distinct[np.minimum(places, last_place)] - keys * self._span
        return ranks

    def count_below(self, starts: Ints, ends: Ints, bounds: Ints) -> Ints:
        """How many ranks of each range are less than its bound.

        Args:
            starts: Where each range begins.
            ends: Where it ends; this place is not in it.
            bounds: The bounds.
        """
        keys = self._keys[starts]
        combined = keys * self._span + np.clip(bounds, 0, self._span)
        local_bounds = np.searchsorted(self._distinct, combined) - self._first_numbers[keys]
        counts = np.empty(len(starts), np.int64)
        for first in range(0, len(starts), _BLOCK):
            block = slice(first, first + _BLOCK)
            counts[block] = self._count_block(starts[block], ends[block], local_bounds[block])
        return counts

    @cached_property
    def _levels(self) -> list[_Level]:
        """The levels of the matrix, the highest bit first."""
        levels = []
        ranks = self._local_ranks
        for bit in reversed(range(self._bits)):
            is_zero = ranks & (1 << bit) == 0
            zeros_before = np.zeros(len(ranks) + 1, np.int32)
            np.cumsum(is_zero, out=zeros_before[1:])
            levels.append(_Level(zeros_before, zeros_before[-1]))
            ranks = np.concatenate([ranks.compress(is_zero), ranks.compress(~is_zero)])
        return levels

    def _select_block(self, starts: Ints, ends: Ints, positions: Ints) -> _Narrow:
        selected = np.zeros(len(starts), np.int32)
        first = starts.astype(np.int32)
        last = ends.astype(np.int32)
        position = positions.astype(np.int32)
        for level in self._levels:
            zeros_to_first = level.zeros_before.take(first)
            zeros_to_last = level.zeros_before.take(last)
            zeros = zeros_to_last - zeros_to_first
            is_one = position >= zeros
            selected += selected
            selected += is_one
            position -= zeros * is_one
            first = np.where(is_one, first - zeros_to_first + level.zeros, zeros_to_first)
            last = np.where(is_one, last - zeros_to_last + level.zeros, zeros_to_last)
        return selected

    def _count_block(self, starts: Ints, ends: Ints, bounds: Ints) -> _Narrow:
        first = starts.astype(np.int32)
        last = ends.astype(np.int32)
        # A bound that has more bits than the ranks is above them all.
        is_above = bounds >> self._bits > 0
        counts = (last - first) * is_above
        last = np.where(is_above, first, last)
        bound = bounds.astype(np.int32)
        for bit, level in zip(reversed(range(self._bits)), self._levels, strict=True):
            zeros_to_first = level.zeros_before.take(first)
            zeros_to_last = level.zeros_before.take(last)
            is_one = bound & (1 << bit) != 0
            counts += (zeros_to_last - zeros_to_first) * is_one
            first = np.where(is_one, first - zeros_to_first + level.zeros, zeros_to_first)
            last = np.where(is_one, last - zeros_to_last + level.zeros, zeros_to_last)
        return counts
