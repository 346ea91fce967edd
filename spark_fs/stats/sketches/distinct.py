"""A sketch of the distinct values of a column: those with the least hashes, with their rows.

A value among the least of all is among the least of every part that has it, so the sketch of the
whole is the same bits however it was put together. It is a uniform sample of the distinct values
(KMV: Bar-Yossef et al., Counting Distinct Elements in a Data Stream, 2002), which tells their
number, and because of the counts also which share of them comes once. Below ``SIZE`` distinct
values it holds them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.base.hashing import Hashes, hash_bytes, mix_bits
from spark_fs.stats.sketches.quantiles import Integers

FREQUENT_SIZE = 256  # strings
SIZE = 1024  # values; the number of distinct ones is then known to within 3% (one standard error)
Values = npt.NDArray[Any]  # of integers, of doubles, or of strings
_EMPTY_INT64 = np.empty(0, np.int64)


@dataclass(frozen=True)
class DistinctSketch:
    """The distinct values with the least hashes.

    Attributes:
        values: in the order of their hashes.
        counts: in how many rows each is.
        rows: how many rows have a value, of those that it does not hold too.
    """

    values: Values = field(default_factory=lambda: _EMPTY_INT64)
    counts: Integers = field(default_factory=lambda: _EMPTY_INT64)
    rows: int = 0

    @classmethod
    def from_counts(cls, values: Values, counts: Integers) -> Self:
        """The sketch of distinct values, with the number of rows of each."""
        hashes = hash_values(values)
        kept = _find_low_hashes(hashes)
        kept = kept[np.argsort(hashes[kept])][:SIZE]
        return cls(values[kept], counts[kept], int(counts.sum()))

    @classmethod
    def from_sorted(cls, sorted_values: Values) -> Self:
        """The sketch of sorted numbers."""
        if not len(sorted_values):
            return cls()
        is_new = sorted_values[1:] != sorted_values[:-1]
        starts = np.flatnonzero(np.concatenate([[True], is_new]))
        counts = np.diff(np.append(starts, len(sorted_values)))
        return cls.from_counts(sorted_values[starts], counts)

    @property
    def is_exact(self) -> bool:
        """Whether it holds every distinct value."""
        return len(self.values) < SIZE

    def merge(self, other: "DistinctSketch") -> "DistinctSketch":
        """The sketch of both parts together."""
        if not self.rows:
            return other
        if not other.rows:
            return self
        values = np.concatenate([self.values, other.values])
        _, first, group = np.unique(hash_values(values), return_index=True, return_inverse=True)
        counts = np.zeros(len(first), np.int64)
        np.add.at(counts, group, np.concatenate([self.counts, other.counts]))
        return DistinctSketch(values[first[:SIZE]], counts[:SIZE], self.rows + other.rows)

    @property
    def estimated_count(self) -> int:
        """About how many distinct values there are; exactly, where it holds them all."""
        if self.is_exact:
            return len(self.values)
        greatest_hash = int(hash_values(self.values[-1:])[0])
        share = (greatest_hash + 1) / 2**64
        return min(self.rows, max(SIZE, round((SIZE - 1) / share)))

    @property
    def singleton_count(self) -> float:
        """About how many values come in one row only."""
        singletons = float((self.counts == 1).sum())
        if self.is_exact:
            return singletons
        return self.estimated_count * singletons / len(self.counts)

    def estimate_entropy(self, heavy_hitters: Sequence[tuple[Any, int]]) -> float:
        """The entropy of the values, in nats.

        Where the sketch holds every value it needs no heavy hitters and is exact. Otherwise the
        other values are as the sample among them.

        Args:
            heavy_hitters: values that come often, with about how many rows each has.

        Returns:
            The entropy, at least 0.
        """
        if not self.rows:
            return 0.0
        if self.is_exact:
            return max(0.0, _compute_entropy(self.counts / self.rows))
        heavy_shares = np.array([rows for _, rows in heavy_hitters]) / self.rows
        entropy = _compute_entropy(heavy_shares) if len(heavy_shares) else 0.0
        rest_share = max(0.0, 1 - float(heavy_shares.sum()))
        heavy_values = np.array([value for value, _ in heavy_hitters], self.values.dtype)
        rest_counts = self.counts[~np.isin(self.values, heavy_values)]
        if rest_share and len(rest_counts):
            rest_value_count = self.estimated_count - len(heavy_shares)
            spread = _estimate_sampled_entropy(rest_counts, rest_value_count)
            entropy += rest_share * (spread - np.log(rest_share))
        return min(entropy, float(np.log(self.rows)))

    def sort_values(self) -> tuple[Values, Integers]:
        """The values it holds in their own order, with their rows."""
        order = np.argsort(self.values, kind="stable")
        return self.values[order], self.counts[order]


def _find_low_hashes(hashes: Hashes) -> npt.NDArray[np.intp]:
    """The places of the ``SIZE`` least hashes, and of some that are little more."""
    if len(hashes) <= 4 * SIZE:
        return np.arange(len(hashes))
    # hashes are spread evenly, so twice as many as are wanted lie below this
    low = np.flatnonzero(hashes < np.uint64(2**64 // len(hashes) * 2 * SIZE))
    return low if len(low) >= SIZE else np.argpartition(hashes, SIZE)[:SIZE]


def _compute_entropy(shares: npt.NDArray[np.float64]) -> float:
    return float(-(shares * np.log(shares)).sum())


def _estimate_sampled_entropy(sampled_counts: Integers, value_count: int) -> float:
    """The entropy of the choice among so many values, by their shares in a sample of them."""
    values_per_sampled = max(1.0, value_count / len(sampled_counts))
    sample_entropy = _compute_entropy(sampled_counts / sampled_counts.sum())
    return sample_entropy + float(np.log(values_per_sampled))


def hash_values(values: Values) -> Hashes:
    """A hash of each value; of numbers each has its own, so none is taken for another."""
    if values.dtype == object:
        bits = hash_bytes(pa.array(values, pa.string()))
    elif values.dtype == np.float64:
        bits = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    else:
        bits = values.astype(np.int64).view(np.uint64)
    return mix_bits(bits)


@dataclass(frozen=True)
class FrequentStrings:
    """The strings that come most often.

    Parts keep their most frequent strings and note the greatest number that they leave out (Misra,
    Gries: Finding Repeated Elements, 1982, and Agarwal et al.: Mergeable Summaries, 2012, for the
    bound).

    Attributes:
        row_counts: the number of rows of each.
        error_bound: by how much these numbers are too small at most.
    """

    row_counts: dict[str, int] = field(default_factory=dict)
    error_bound: int = 0

    @classmethod
    def from_counts(cls, row_counts: dict[str, int], error_bound: int = 0) -> Self:
        """The most frequent of these strings.

        Args:
            row_counts: the number of rows of each.
            error_bound: by how much these numbers may be too small already.

        Returns:
            At most ``FREQUENT_SIZE`` of them; of equally frequent ones the first in their order.
        """
        if len(row_counts) <= FREQUENT_SIZE:
            return cls(row_counts, error_bound)
        ordered = sorted(row_counts.items(), key=lambda item: (-item[1], item[0]))
        _, greatest_left_out = ordered[FREQUENT_SIZE]
        return cls(dict(ordered[:FREQUENT_SIZE]), error_bound + greatest_left_out)

    def merge(self, other: "FrequentStrings") -> "FrequentStrings":
        """The most frequent strings of both parts together."""
        summed = dict(self.row_counts)
        for string, rows in other.row_counts.items():
            summed[string] = summed.get(string, 0) + rows
        return FrequentStrings.from_counts(summed, self.error_bound + other.error_bound)
