"""How much a feature tells of a label, from tables of their values that parts add up; and mRMR, from how features hang together."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.stats.column_state import ColumnState, get_column_kind, to_doubles
from spark_fs.stats.describe import compute_quantiles
from spark_fs.stats.sketches.quantiles import Doubles

MAX_FEATURE_BINS = 64  # of a feature of many rows, each with as many of them
MAX_CLASSES = 50  # a label of more distinct values is a number to predict, not a class
LABEL_BINS = 10  # of a number to predict
MIN_REDUNDANCY = 1e-3  # the least mean correlation that mRMR divides by
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Binning:
    """How values become whole numbers: by the bounds between bins, or as one of some texts; a missing value is one more bin."""

    name: str
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @classmethod
    def from_state(
        cls, name: str, state: ColumnState, bin_count: int, each_value_is_bin: bool = False
    ) -> Self:
        """Of a column, from its state; classes: each value is one, even of numbers."""
        if each_value_is_bin or get_column_kind(state.type) == "category":
            return cls(name, categories=state.list_categories())
        values, rows = state.weighted_points
        found = (
            np.unique(
                compute_quantiles(values, rows, [cut / bin_count for cut in range(1, bin_count)])
            )
            if len(values)
            else np.empty(0)
        )
        return cls(name, edges=tuple(found.tolist()))

    @property
    def bin_count(self) -> int:
        """How many bins, with the one of missing values."""
        return (len(self.categories) if self.categories else len(self.edges) + 1) + 1

    def assign_bins(self, column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """The bin of each value."""
        if self.categories:
            found = pc.fill_null(
                pc.index_in(column.cast(pa.string()), pa.array(self.categories)),
                len(self.categories),
            )
            return np.asarray(found.to_numpy(), np.int64)
        values = to_doubles(column)
        placed: npt.NDArray[np.int64] = np.searchsorted(np.array(self.edges), values, side="left")
        return np.where(np.isfinite(values), placed, self.bin_count - 1)


@dataclass(frozen=True)
class ContingencyTables:
    """For each feature a table of its bins by the label's."""

    label: Binning
    features: tuple[Binning, ...]

    def count_rows(self, table: pa.Table) -> Counts:
        """The tables of some rows, one behind the other; rows without a label count nowhere."""
        label = self.label.assign_bins(table.column(self.label.name))
        known = label < self.label.bin_count - 1
        whole, width = bool(known.all()), self.label.bin_count - 1
        label = label if whole else label[known]
        found = []
        for cuts in self.features:
            codes = cuts.assign_bins(table.column(cuts.name))
            found.append(
                np.bincount(
                    (codes if whole else codes[known]) * width + label,
                    minlength=cuts.bin_count * width,
                )
            )
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def split_by_feature(self, counts: Counts) -> dict[str, Counts]:
        """The table (bins x classes) of each feature, the last row that of missing values."""
        width = self.label.bin_count - 1
        ends = np.cumsum([cuts.bin_count * width for cuts in self.features])
        parts = np.split(counts, ends[:-1]) if len(ends) else []
        return {
            cuts.name: part.reshape(-1, width)
            for cuts, part in zip(self.features, parts, strict=True)
        }


def compute_mutual_information(table: Counts) -> float:
    """In nats, with Miller's and Madow's correction for the bins that are there; 0 where it would be negative."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows = table.sum()
    if rows == 0:
        return 0.0
    joint = table / rows
    apart = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    held = joint > 0
    found = float((joint[held] * np.log(joint[held] / apart[held])).sum())
    bias = (held.sum() - table.shape[0] - table.shape[1] + 1) / (2 * rows)
    return max(0.0, found - float(bias))


def compute_chi_squared(table: Counts | Doubles) -> float:
    """Pearson's statistic of the table."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if not table.size:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum())


def compute_auc(table: Counts, bins_are_ordered: bool) -> float:
    """The area under the ROC curve of one feature for a label of two classes, at least 0.5; rows of one bin count as ties.

    ordered: whether the bins are in an order; those of categories, and the one of missing values,
    are put in that of their rates.
    """
    table = table[table.sum(axis=1) > 0].astype(float)
    negatives, positives = table.sum(axis=0)
    if not (negatives and positives):
        return 0.5
    if not bins_are_ordered:
        table = table[np.argsort(table[:, 1] / table.sum(axis=1), kind="stable")]
    area = compute_roc_area(table[:, 0], table[:, 1])
    return max(area, 1 - area)


def compute_roc_area(negatives: Counts | Doubles, positives: Counts | Doubles) -> float:
    """The area under the ROC curve of ordered bins of rows; rows of one bin count as ties."""
    negatives_before = np.concatenate([[0], np.cumsum(negatives)[:-1]])
    ordered_pairs = (positives * (negatives_before + negatives / 2)).sum()
    return float(ordered_pairs / (negatives.sum() * positives.sum()))


def compute_f_statistic(strength: Doubles, rows: Doubles, class_count: int | None) -> Doubles:
    """F of an analysis of variance, from the correlation ratio of feature and label; of a regression (classes None) from their correlation.

    As scikit-learn's ``f_classif`` and ``f_regression``.
    """
    explained = np.clip(np.square(strength), 0, 1 - 1e-15)
    freedom = 1 if class_count is None else class_count - 1
    found: Doubles = explained / freedom / ((1 - explained) / np.maximum(rows - freedom - 1, 1))
    return np.nan_to_num(found, nan=0.0)


@dataclass(frozen=True)
class MrmrStep:
    """One choice of mRMR: the feature, its relevance, its mean absolute correlation with those chosen before, and their quotient."""

    feature: int
    relevance: float
    redundancy: float
    score: float


def rank_by_mrmr(relevance: Doubles, correlations: Doubles, count: int) -> list[MrmrStep]:
    """The order in which features are chosen: most relevant, least redundant.

    The first is the most relevant; each next one has the greatest quotient of its F statistic and
    its mean absolute correlation with those that are chosen (FCQ of Zhao, Anand, Wang: Maximum
    Relevance and Minimum Redundancy Feature Selection Methods, 2019), which is at least ``FLOOR``.
    related: the correlation of each pair; NaN counts as 0. Of equal ones the first wins.
    """
    strength = np.nan_to_num(np.abs(correlations))
    steps: list[MrmrStep] = []
    summed, left = np.zeros(len(relevance)), relevance > 0
    while len(steps) < count and left.any():
        redundancy = (
            np.maximum(summed / len(steps), MIN_REDUNDANCY) if steps else np.ones(len(relevance))
        )
        scores = np.where(left, relevance / redundancy, -math.inf)
        best = int(scores.argmax())
        steps.append(
            MrmrStep(
                best,
                float(relevance[best]),
                float(redundancy[best]) if steps else 0.0,
                float(scores[best]),
            )
        )
        left[best] = False
        summed += strength[:, best]
    return steps
