"""Keys that hold so many rows that one bucket would be too large: each gets buckets of its own, one for each slice of time.

A left row goes into the slice of its instant, a right row into that of the instant from which it
counts. What a slice may need of the time before it is one row, the best so far; so every task adds
to each slice the best of its own rows before it, and the match, which takes the best of all, is
what it would be in one bucket.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spark_fs.engine.join import matching
from spark_fs.engine.join.matching import MISSING, Ints
from spark_fs.engine.join.shuffle import BucketNumbers, Hashes


@dataclass(frozen=True)
class SkewedKeys:
    """The hot keys of a shuffle.

    first: the number of their first bucket; all others come before. hashes: of each key. bounds:
    for each key the instants in microseconds at which a new slice begins.
    """

    first_bucket: int
    hashes: tuple[int, ...] = ()
    slice_bounds: tuple[tuple[int, ...], ...] = ()

    @property
    def bucket_count(self) -> int:
        """How many buckets there are, with those of all other keys."""
        return self.first_bucket + sum(len(bounds) + 1 for bounds in self.slice_bounds)

    def assign_left(
        self, hashes: Hashes, buckets: BucketNumbers, times: Ints | None
    ) -> BucketNumbers:
        """The bucket of each left row; without times its rows are spread evenly."""
        start = self.first_bucket
        for key, bounds in zip(self.hashes, self.slice_bounds, strict=True):
            rows = np.flatnonzero(hashes == np.uint64(key))
            if len(rows):
                buckets = buckets.astype(np.int32, copy=False)
                slices = (
                    np.arange(len(rows)) % (len(bounds) + 1)
                    if times is None
                    else np.searchsorted(bounds, times[rows], side="right")
                )
                buckets[rows] = start + slices
            start += len(bounds) + 1
        return buckets

    def assign_right(
        self, hashes: Hashes, buckets: BucketNumbers, rows: matching.KeyedRows, uses_time: bool
    ) -> tuple[Ints | None, BucketNumbers]:
        """Which right rows (None: each, in order) go to which bucket; timed: whether the match looks at the left row's time."""
        start = self.first_bucket
        taken, where = [np.arange(len(hashes))], [buckets.astype(np.int32)]
        for key, bounds in zip(self.hashes, self.slice_bounds, strict=True):
            mine = np.flatnonzero(hashes == np.uint64(key))
            if len(mine):
                few = matching.KeyedRows(*(None if part is None else part[mine] for part in rows))  # type: ignore[arg-type] # codes are there
                at = few.eligible_from
                if uses_time and at is not None:
                    where[0][mine] = start + np.searchsorted(bounds, at, side="right")
                    found, slices = (
                        matching.find_best_before(few, np.array(bounds, np.int64)),
                        np.arange(1, len(bounds) + 1),
                    )
                else:
                    where[0][mine] = MISSING
                    found, slices = (
                        np.repeat(matching.find_best_before(few, None), len(bounds) + 1),
                        np.arange(len(bounds) + 1),
                    )
                taken.append(mine[found[found != MISSING]])
                where.append((start + slices[found != MISSING]).astype(np.int32))
            start += len(bounds) + 1
        if len(taken) == 1:
            return None, buckets
        every, places = np.concatenate(taken), np.concatenate(where)
        return every[places != MISSING], places[places != MISSING]


class KeySample(NamedTuple):
    """Some rows of one side: the hash of each key, its instant (None: no time), and the bytes that one row stands for."""

    hashes: Hashes
    times: Ints | None
    row_bytes: float


def detect_skewed_keys(
    samples: Iterable[KeySample], first_bucket: int, bucket_bytes: int
) -> SkewedKeys:
    """The keys that by these samples hold more bytes than a bucket should."""
    sides = list(samples)
    size: dict[int, float] = {}
    for side in sides:
        for key, count in zip(*np.unique(side.hashes, return_counts=True), strict=True):
            size[int(key)] = size.get(int(key), 0.0) + float(count) * side.row_bytes
    hot = {
        key: int(bytes_ // bucket_bytes) + 1
        for key, bytes_ in size.items()
        if bytes_ > bucket_bytes
    }
    timed = [(side.hashes, side.times) for side in sides if side.times is not None]
    bounds = {
        key: _compute_slice_bounds(
            [times[hashes == np.uint64(key)] for hashes, times in timed], slices
        )
        for key, slices in hot.items()
    }
    return SkewedKeys(first_bucket, tuple(bounds), tuple(bounds.values()))


def _compute_slice_bounds(times: Sequence[Ints], slice_count: int) -> tuple[int, ...]:
    """Instants that part the rows evenly; without times any do, since left rows are then spread by their place."""
    every = np.sort(np.concatenate(times)) if times else np.empty(0, np.int64)
    if not len(every):
        return tuple(range(1, slice_count))
    return tuple(sorted({int(every[len(every) * i // slice_count]) for i in range(1, slice_count)}))
