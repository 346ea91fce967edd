"""A sketch of how numbers are spread: a few of them, each standing for a power of two of values.

The levels of KLL (Karnin, Lang, Liberty: Optimal Quantile Approximation in Streams, 2016), with two
differences. A part is sketched from its sorted values, which are already there: every 2**l-th of
them, so a first sketch errs by half a step and not at random. And which half of a level survives
follows from its values and not from a coin, so the same parts give the same sketch.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
SIZE = 1024  # values of the highest level; up to so many the sketch is exact
_MIN_CAPACITY = 8
_EMPTY = np.empty(0)
_HASH_MULTIPLIER = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class QuantileSketch:
    """Sorted values by levels; each of level l stands for 2**l.

    The rank of a value is known to within 0.5% of the number of values, mostly to within 0.1%
    (measured in ``benchmarks/feature_statistics.py``), and exactly while there are at most
    ``SIZE``.
    """

    levels: tuple[Doubles, ...] = ()

    @classmethod
    def from_sorted(cls, sorted_values: Doubles) -> Self:
        """The sketch of sorted finite values."""
        levels: dict[int, Doubles] = {}
        while len(sorted_values):
            level = max(0, (len(sorted_values) - 1) // SIZE).bit_length()
            step = 1 << level
            end = (len(sorted_values) >> level) * step
            levels[level] = sorted_values[step // 2 : end : step].copy()
            sorted_values = sorted_values[end:]
        level_count = max(levels, default=-1) + 1
        return cls(tuple(levels.get(level, _EMPTY) for level in range(level_count)))

    @property
    def value_count(self) -> int:
        """How many values it stands for."""
        return sum(len(values) << level for level, values in enumerate(self.levels))

    @property
    def is_exact(self) -> bool:
        """Whether it holds every value."""
        return len(self.levels) <= 1

    def merge(self, other: "QuantileSketch") -> "QuantileSketch":
        """The sketch of both parts together."""
        levels: list[Doubles] = []
        for level in range(max(len(self.levels), len(other.levels))):
            both = [_get_level(self, level), _get_level(other, level)]
            levels.append(np.sort(np.concatenate(both)))
        _compact_levels(levels)
        return QuantileSketch(tuple(levels))

    @cached_property
    def weighted_points(self) -> tuple[Doubles, Integers]:
        """The values it holds, sorted, and for how many each stands."""
        values = np.concatenate([_EMPTY, *self.levels])
        weights = [np.empty(0, np.int64)]
        for level, level_values in enumerate(self.levels):
            weights.append(np.full(len(level_values), 1 << level))
        order = np.argsort(values, kind="stable")
        return values[order], np.concatenate(weights)[order]


def _get_level(sketch: QuantileSketch, level: int) -> Doubles:
    return sketch.levels[level] if level < len(sketch.levels) else _EMPTY


def _compute_capacity(depth: int) -> int:
    """How many values a level holds that is so far below the highest."""
    return max(_MIN_CAPACITY, int(SIZE * (2 / 3) ** depth))


def _compact_levels(levels: list[Doubles]) -> None:
    """Move values to higher levels, in place, until all levels together hold few enough."""
    while sum(map(len, levels)) > sum(map(_compute_capacity, range(len(levels)))):
        level = _find_overfull_level(levels)
        if level + 1 == len(levels):
            levels.append(_EMPTY)
        kept, promoted = _split_level(levels[level])
        levels[level] = kept
        levels[level + 1] = np.sort(np.concatenate([levels[level + 1], promoted]))


def _find_overfull_level(levels: list[Doubles]) -> int:
    """The lowest level with more values than it holds; there is one, as all hold too many."""
    top = len(levels) - 1
    return next(
        level for level, values in enumerate(levels) if len(values) > _compute_capacity(top - level)
    )


def _split_level(values: Doubles) -> tuple[Doubles, Doubles]:
    """What stays of a level, and what goes to the next one.

    At most one value stays; of the others every second one goes, and stands for two then.
    """
    even_count = len(values) & ~1
    bits = int(values.view(np.uint64)[len(values) // 2])
    first = (bits * _HASH_MULTIPLIER >> 63) & 1
    return values[even_count:], values[first:even_count:2]
