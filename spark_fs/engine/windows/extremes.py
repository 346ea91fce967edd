"""The least and the greatest of many ranges of an array, whatever the ranges' lengths."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from spark_fs.engine.join.matching import Ints

_INT32 = np.iinfo(np.int32)
_Fold = Callable[..., npt.NDArray[np.signedinteger]]


class RangeExtremes:
    """The extremes of ranges of ranks.

    A range is covered by two stretches of one power of two, and the extremes of all stretches of
    one length come from those of half of it (a sparse table). Ranges are answered length by length,
    so that one level of the table is in memory at a time: 4 bytes a rank, not 4 a level.
    """

    def __init__(self, ranks: Ints) -> None:
        self._ranks = shrink_integers(ranks)

    def find_least(self, starts: Ints, ends: Ints) -> Ints:
        """The least rank of each range; 0 of an empty one.

        Args:
            starts: Where each range begins.
            ends: Where it ends; this place is not in it.
        """
        return _fold_ranges(self._ranks, starts, ends, np.minimum)

    def find_greatest(self, starts: Ints, ends: Ints) -> Ints:
        """The greatest rank of each range; 0 of an empty one.

        Args:
            starts: Where each range begins.
            ends: Where it ends; this place is not in it.
        """
        return _fold_ranges(self._ranks, starts, ends, np.maximum)


def shrink_integers(numbers: Ints) -> npt.NDArray[np.signedinteger]:
    """The same integers in 32 bits each where they fit: less memory, more in the cache."""
    least = numbers.min(initial=0)
    greatest = numbers.max(initial=0)
    if _INT32.min <= least and greatest <= _INT32.max:
        return numbers.astype(np.int32)
    return numbers


def _fold_ranges(
    ranks: npt.NDArray[np.signedinteger], starts: Ints, ends: Ints, fold: _Fold
) -> Ints:
    folded = np.zeros(len(starts), np.int64)
    bit_lengths = _count_bits(ends - starts)
    order = np.argsort(bit_lengths, kind="stable")  # a radix sort, since they are bytes
    counts = np.bincount(bit_lengths)
    first = counts[:1].sum()  # the empty ranges
    stretch = 1
    for count in counts[1:]:
        chosen = order[first : first + count]
        left = ranks[starts[chosen]]
        right = ranks[ends[chosen] - stretch]
        folded[chosen] = fold(left, right)
        first += count
        if first < len(order):
            ranks = fold(ranks[:-stretch], ranks[stretch:])
            stretch *= 2
    return folded


def _count_bits(lengths: Ints) -> npt.NDArray[np.uint8]:
    """The bits of each length, from the exponent of the double that equals it."""
    exponents = (lengths.astype(np.float64).view(np.int64) >> 52) - 1022
    bits: npt.NDArray[np.uint8] = np.maximum(exponents, 0).astype(np.uint8)
    return bits
