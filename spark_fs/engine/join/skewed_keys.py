"""Skewed keys, which hold so many rows that one bucket would be too large.

Each gets buckets of its own, one for each slice of time.

A left row goes into the slice of its instant, a right row into that of the instant from which it
counts. What a slice may need of the time before it is one row, the best so far; so every task adds
to each slice the best of its own rows before it, and the match, which takes the best of all, is
what it would be in one bucket. An event goes into every slice with an instant whose windows may
hold it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from spark_fs.base.hashing import Hashes
from spark_fs.engine.join import matching
from spark_fs.engine.join.matching import MISSING, Ints
from spark_fs.engine.join.shuffle import BucketNumbers

_LONGEST_REACH = 1 << 61  # microseconds: longer than time, and its sum with any instant fits


@dataclass(frozen=True)
class SkewedKeys:
    """The skewed keys of a shuffle.

    first_bucket: the number of their first bucket; all others come before. hashes: of each key.
    slice_bounds: for each key the instants in microseconds at which a new slice begins.
    """

    first_bucket: int
    hashes: tuple[int, ...] = ()
    slice_bounds: tuple[tuple[int, ...], ...] = ()

    @property
    def bucket_count(self) -> int:
        """How many buckets there are, with those of all other keys."""
        return self.first_bucket + sum(len(bounds) + 1 for bounds in self.slice_bounds)

    def get_slice_bounds(self, bucket: int) -> tuple[int | None, int | None]:
        """From which instant up to which a bucket has the rows of a skewed key; None: no bound."""
        start = self.first_bucket
        for bounds in self.slice_bounds:
            if start <= bucket <= start + len(bounds):
                edges = [None, *bounds, None]
                return edges[bucket - start], edges[bucket - start + 1]
            start += len(bounds) + 1
        return None, None

    def assign_left(
        self, hashes: Hashes, buckets: BucketNumbers, times: Ints | None
    ) -> BucketNumbers:
        """The bucket of each left row; without times its rows are spread evenly."""
        start = self.first_bucket
        for key, bounds in zip(self.hashes, self.slice_bounds, strict=True):
            rows = np.flatnonzero(hashes == np.uint64(key))
            if len(rows):
                buckets = buckets.astype(np.int32, copy=False)
                if times is None:
                    slices = np.arange(len(rows)) % (len(bounds) + 1)
                else:
                    slices = np.searchsorted(bounds, times[rows], side="right")
                buckets[rows] = start + slices
            start += len(bounds) + 1
        return buckets

    def assign_right(
        self, hashes: Hashes, buckets: BucketNumbers, rows: matching.KeyedRows, uses_time: bool
    ) -> tuple[Ints | None, BucketNumbers]:
        """Which right rows go to which bucket.

        Args:
            hashes: Of each row's key.
            buckets: Where each row goes if its key is not skewed.
            rows: The rows as the match sees them.
            uses_time: Whether the match looks at the left row's time.

        Returns:
            The indices of the rows (None: each, in order), and their buckets.
        """
        start = self.first_bucket
        own_buckets = buckets.astype(np.int32)
        row_parts = [np.arange(len(hashes))]
        bucket_parts = [own_buckets]
        for key, bounds in zip(self.hashes, self.slice_bounds, strict=True):
            key_rows = np.flatnonzero(hashes == np.uint64(key))
            if len(key_rows):
                candidates = _take_rows(rows, key_rows)
                own_slices, best_rows, best_slices = _slice_rows(candidates, bounds, uses_time)
                own_buckets[key_rows] = MISSING if own_slices is None else start + own_slices
                exists = best_rows != MISSING
                row_parts.append(key_rows[best_rows[exists]])
                bucket_parts.append((start + best_slices[exists]).astype(np.int32))
            start += len(bounds) + 1
        if len(row_parts) == 1:
            return None, buckets
        all_rows = np.concatenate(row_parts)
        all_buckets = np.concatenate(bucket_parts)
        is_sent = all_buckets != MISSING
        return all_rows[is_sent], all_buckets[is_sent]

    def assign_events(
        self, hashes: Hashes, buckets: BucketNumbers, times: Ints, reach: int | None
    ) -> tuple[Ints, BucketNumbers]:
        """Which events go to which bucket: to their own slice, and to all that reach them.

        Args:
            hashes: Of each event's key.
            buckets: Where each event goes if its key is not skewed.
            times: When each becomes known, in microseconds.
            reach: How many microseconds windows reach back at most; None: over all history.

        Returns:
            The indices of the events, and their buckets.
        """
        longest = _LONGEST_REACH if reach is None else min(reach, _LONGEST_REACH)
        start = self.first_bucket
        row_parts = [np.flatnonzero(~np.isin(hashes, np.array(self.hashes, np.uint64)))]
        bucket_parts = [buckets[row_parts[0]].astype(np.int32)]
        for key, bounds in zip(self.hashes, self.slice_bounds, strict=True):
            rows = np.flatnonzero(hashes == np.uint64(key))
            first = np.searchsorted(bounds, times[rows], side="right")
            last = np.searchsorted(bounds, times[rows] + longest, side="right")
            counts = last - first + 1
            row_parts.append(np.repeat(rows, counts))
            steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            bucket_parts.append((start + np.repeat(first, counts) + steps).astype(np.int32))
            start += len(bounds) + 1
        return np.concatenate(row_parts), np.concatenate(bucket_parts)

    def with_reach(self, reach: int | None) -> Self:
        """A copy whose slices are at least as long as windows reach back; None: without slices.

        So an event goes into two slices or three at most.
        """
        if reach is None:
            return type(self)(self.first_bucket)
        slice_bounds = []
        for bounds in self.slice_bounds:
            kept = list(bounds[:1])
            for bound in bounds[1:]:
                if bound - kept[-1] >= reach:
                    kept.append(bound)
            slice_bounds.append(tuple(kept))
        return replace(self, slice_bounds=tuple(slice_bounds))


def _take_rows(rows: matching.KeyedRows, indices: Ints) -> matching.KeyedRows:
    """Some of the rows."""
    parts = [None if part is None else part[indices] for part in rows]
    return matching.KeyedRows(*parts)  # type: ignore[arg-type] # codes are there


def _slice_rows(
    rows: matching.KeyedRows, bounds: tuple[int, ...], uses_time: bool
) -> tuple[Ints | None, Ints, Ints]:
    """Where the rows of one skewed key are needed.

    Returns:
        The slice of each row (None: no row is needed where it lies), the best rows before slices,
        and the slices to which these are added.
    """
    slice_count = len(bounds) + 1
    eligible_from = rows.eligible_from
    if uses_time and eligible_from is not None:
        slices = np.searchsorted(bounds, eligible_from, side="right")
        best_rows = matching.find_best_before(rows, np.array(bounds, np.int64))
        return slices, best_rows, np.arange(1, slice_count)
    best_rows = np.repeat(matching.find_best_before(rows, None), slice_count)
    return None, best_rows, np.arange(slice_count)


class KeySample(NamedTuple):
    """Some rows of one side.

    hashes: of each row's key. times: the instants in microseconds (None: no time). row_bytes: the
    bytes that one row stands for.
    """

    hashes: Hashes
    times: Ints | None
    row_bytes: float


def detect_skewed_keys(
    samples: Iterable[KeySample], first_bucket: int, bucket_bytes: int
) -> SkewedKeys:
    """The keys that by these samples hold more bytes than a bucket should."""
    sides = list(samples)
    timed_sides = []
    for side in sides:
        if side.times is not None:
            timed_sides.append((side.hashes, side.times))
    slice_bounds = {}
    for key, key_bytes in _sum_key_bytes(sides).items():
        if key_bytes > bucket_bytes:
            slice_count = int(key_bytes // bucket_bytes) + 1
            key_times = [times[hashes == np.uint64(key)] for hashes, times in timed_sides]
            slice_bounds[key] = _compute_slice_bounds(key_times, slice_count)
    return SkewedKeys(first_bucket, tuple(slice_bounds), tuple(slice_bounds.values()))


def _sum_key_bytes(samples: Iterable[KeySample]) -> dict[int, float]:
    """The bytes of each key's rows on all sides, by the hash of the key."""
    key_bytes: dict[int, float] = {}
    for side in samples:
        hashes, counts = np.unique(side.hashes, return_counts=True)
        for key, count in zip(hashes.tolist(), counts.tolist(), strict=True):
            side_bytes = count * side.row_bytes
            key_bytes[key] = key_bytes.get(key, 0.0) + side_bytes
    return key_bytes


def _compute_slice_bounds(times: Sequence[Ints], slice_count: int) -> tuple[int, ...]:
    """Instants that part the rows evenly.

    Without times any bounds do, since left rows are then spread by their position.
    """
    ordered = np.sort(np.concatenate([np.empty(0, np.int64), *times]))
    if not len(ordered):
        return tuple(range(1, slice_count))
    bounds = {int(ordered[len(ordered) * i // slice_count]) for i in range(1, slice_count)}
    return tuple(sorted(bounds))
