"""A sketch of the distinct values of a column: those with the least hashes, each with the exact number of its rows.

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

from spark_fs.base.arrow_types import hash_bytes

FREQUENT_SIZE = 256  # texts
SIZE = 1024  # values; the number of distinct ones is then known to within 3% (one standard error)
Hashes = npt.NDArray[np.uint64]
Values = npt.NDArray[Any]  # of whole numbers, of doubles, or of texts
_EMPTY_INT64 = np.empty(0, np.int64)


@dataclass(frozen=True)
class DistinctSketch:
    """values: in the order of their hashes. counts: in how many rows each is. rows: how many rows have a value."""

    values: Values = field(default_factory=lambda: _EMPTY_INT64)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: _EMPTY_INT64)
    rows: int = 0

    @classmethod
    def from_counts(cls, values: Values, counts: npt.NDArray[np.int64]) -> Self:
        """Of distinct values, with the number of rows of each."""
        hashes = hash_values(values)
        kept = (
            np.argpartition(hashes, SIZE)[:SIZE] if len(hashes) > SIZE else np.arange(len(hashes))
        )
        kept = kept[np.argsort(hashes[kept])]
        return cls(values[kept], counts[kept], int(counts.sum()))

    @classmethod
    def from_sorted(cls, sorted_values: Values) -> Self:
        """Of sorted numbers."""
        if not len(sorted_values):
            return cls()
        starts = np.flatnonzero(np.concatenate([[True], sorted_values[1:] != sorted_values[:-1]]))
        return cls.from_counts(
            sorted_values[starts], np.diff(np.append(starts, len(sorted_values)))
        )

    @property
    def is_exact(self) -> bool:
        """Whether it holds every distinct value."""
        return len(self.values) < SIZE

    def merge(self, other: "DistinctSketch") -> "DistinctSketch":
        """The two parts together."""
        if not self.rows or not other.rows:
            return self if self.rows else other
        values = np.concatenate([self.values, other.values])
        _, first, place = np.unique(hash_values(values), return_index=True, return_inverse=True)
        counts = np.zeros(len(first), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        return DistinctSketch(values[first[:SIZE]], counts[:SIZE], self.rows + other.rows)

    @property
    def estimated_count(self) -> int:
        """About how many distinct values there are; exactly, where it holds them all."""
        if self.is_exact:
            return len(self.values)
        share = (int(hash_values(self.values[-1:])[0]) + 1) / 2**64
        return min(self.rows, max(SIZE, round((SIZE - 1) / share)))

    @property
    def singleton_count(self) -> float:
        """About how many values come in one row only."""
        found = float((self.counts == 1).sum())
        return found if self.is_exact else self.estimated_count * found / len(self.counts)

    def estimate_entropy(self, heavy_hitters: Sequence[tuple[Any, int]]) -> float:
        """The entropy of the values, in nats; frequent: values that come often, with about how many rows each has.

        Where it holds every value it needs none and is exact. Otherwise the other values are as the
        sample among them.
        """
        if not self.rows:
            return 0.0
        if self.is_exact:
            shares = self.counts / self.rows
            return max(0.0, float(-(shares * np.log(shares)).sum()))
        heavy = np.array([rows for _, rows in heavy_hitters]) / self.rows
        others = self.counts[
            ~np.isin(
                self.values, np.array([value for value, _ in heavy_hitters], self.values.dtype)
            )
        ]
        rest = max(0.0, 1 - float(heavy.sum()))
        found = float(-(heavy * np.log(heavy)).sum()) if len(heavy) else 0.0
        if rest and len(
            others
        ):  # the entropy of the choice among the other values, by their shares in the sample
            within = others / others.sum()
            spread = float(-(within * np.log(within)).sum()) + np.log(
                max(1.0, (self.estimated_count - len(heavy)) / len(others))
            )
            found += rest * (spread - np.log(rest))
        return min(found, float(np.log(self.rows)))

    def sort_values(self) -> tuple[Values, npt.NDArray[np.int64]]:
        """The values it holds in their own order, with their rows."""
        order = np.argsort(self.values, kind="stable")
        return self.values[order], self.counts[order]


def hash_values(values: Values) -> Hashes:
    """A hash of each value; of numbers each has its own (the finalizer of SplitMix64), so none is taken for another."""
    if values.dtype == object:
        bits = hash_bytes(pa.array(values, pa.string()))
    elif values.dtype == np.float64:
        bits = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    else:
        bits = values.astype(np.int64).view(np.uint64)
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found: Hashes = bits ^ (bits >> np.uint64(31))
    return found


@dataclass(frozen=True)
class FrequentStrings:
    """The texts that come most often, with the number of their rows, which is at most ``slack`` too small.

    Parts keep their most frequent texts and note the greatest number that they leave out (Misra,
    Gries: Finding Repeated Elements, 1982, and Agarwal et al.: Mergeable Summaries, 2012, for the
    bound).
    """

    row_counts: dict[str, int] = field(default_factory=dict)
    error_bound: int = 0

    @classmethod
    def from_counts(cls, row_counts: dict[str, int], error_bound: int = 0) -> Self:
        """The most frequent of these."""
        if len(row_counts) <= FREQUENT_SIZE:
            return cls(row_counts, error_bound)
        ordered = sorted(row_counts.items(), key=lambda item: (-item[1], item[0]))
        return cls(dict(ordered[:FREQUENT_SIZE]), error_bound + ordered[FREQUENT_SIZE][1])

    def merge(self, other: "FrequentStrings") -> "FrequentStrings":
        """The two parts together."""
        summed = dict(self.row_counts)
        for text, rows in other.row_counts.items():
            summed[text] = summed.get(text, 0) + rows
        return FrequentStrings.from_counts(summed, self.error_bound + other.error_bound)
