"""How much a feature tells of a label, from tables of their values that parts add up; and mRMR, from how features hang together."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.stats.column import Column, doubles, kind
from spark_fs.stats.describe import quantiles
from spark_fs.stats.quantiles import Doubles

BINS = 64  # of a feature of many rows, each with as many of them
CLASSES = 50  # a label of more distinct values is a number to predict, not a class
LABEL_BINS = 10  # of a number to predict
FLOOR = 1e-3  # the least mean correlation that mRMR divides by
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cuts:
    """How values become whole numbers: by the bounds between bins, or as one of some texts; a missing value is one more bin."""

    name: str
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, column: Column, bins: int, classes: bool = False) -> Self:
        """Of a column, from its state; classes: each value is one, even of numbers."""
        if classes or kind(column.type) == "category":
            return cls(name, values=column.texts())
        values, rows = column.points
        found = np.unique(quantiles(values, rows, [cut / bins for cut in range(1, bins)])) if len(values) else np.empty(0)
        return cls(name, edges=tuple(found.tolist()))

    @property
    def count(self) -> int:
        """How many bins, with the one of missing values."""
        return (len(self.values) if self.values else len(self.edges) + 1) + 1

    def codes(self, column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """The bin of each value."""
        if self.values:
            found = pc.fill_null(pc.index_in(column.cast(pa.string()), pa.array(self.values)), len(self.values))
            return np.asarray(found.to_numpy(), np.int64)
        values = doubles(column)
        placed: npt.NDArray[np.int64] = np.searchsorted(np.array(self.edges), values, side="left")
        return np.where(np.isfinite(values), placed, self.count - 1)


@dataclass(frozen=True)
class Tables:
    """For each feature a table of its bins by the label's."""

    label: Cuts
    features: tuple[Cuts, ...]

    def counts(self, table: pa.Table) -> Counts:
        """The tables of some rows, one behind the other; rows without a label count nowhere."""
        label = self.label.codes(table.column(self.label.name))
        known = label < self.label.count - 1
        whole, width = bool(known.all()), self.label.count - 1
        label = label if whole else label[known]
        found = []
        for cuts in self.features:
            codes = cuts.codes(table.column(cuts.name))
            found.append(np.bincount((codes if whole else codes[known]) * width + label, minlength=cuts.count * width))
        return np.concatenate(found) if found else np.empty(0, np.int64)

    def split(self, counts: Counts) -> dict[str, Counts]:
        """The table (bins x classes) of each feature, the last row that of missing values."""
        width = self.label.count - 1
        ends = np.cumsum([cuts.count * width for cuts in self.features])
        parts = np.split(counts, ends[:-1]) if len(ends) else []
        return {cuts.name: part.reshape(-1, width) for cuts, part in zip(self.features, parts, strict=True)}


def mutual_information(table: Counts) -> float:
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


def chi_squared(table: Counts | Doubles) -> float:
    """Pearson's statistic of the table."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if not table.size:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum())


def auc(table: Counts, ordered: bool) -> float:
    """The area under the ROC curve of one feature for a label of two classes, at least 0.5; rows of one bin count as ties.

    ordered: whether the bins are in an order; those of categories, and the one of missing values, are put in that of their rates.
    """
    table = table[table.sum(axis=1) > 0].astype(float)
    negatives, positives = table.sum(axis=0)
    if not (negatives and positives):
        return 0.5
    if not ordered:
        table = table[np.argsort(table[:, 1] / table.sum(axis=1), kind="stable")]
    before = np.concatenate([[0], np.cumsum(table[:, 0])[:-1]])
    area = float((table[:, 1] * (before + table[:, 0] / 2)).sum() / (negatives * positives))
    return max(area, 1 - area)


def f_statistic(strength: Doubles, rows: Doubles, classes: int | None) -> Doubles:
    """F of an analysis of variance, from the correlation ratio of feature and label; of a regression (classes None) from their correlation.

    As scikit-learn's ``f_classif`` and ``f_regression``.
    """
    explained = np.clip(np.square(strength), 0, 1 - 1e-15)
    freedom = 1 if classes is None else classes - 1
    found: Doubles = explained / freedom / ((1 - explained) / np.maximum(rows - freedom - 1, 1))
    return np.nan_to_num(found, nan=0.0)


@dataclass(frozen=True)
class Step:
    """One choice of mRMR: the feature, its relevance, its mean absolute correlation with those chosen before, and their quotient."""

    feature: int
    relevance: float
    redundancy: float
    score: float


def mrmr(relevance: Doubles, related: Doubles, count: int) -> list[Step]:
    """The order in which features are chosen: most relevant, least redundant.

    The first is the most relevant; each next one has the greatest quotient of its F statistic and its mean absolute correlation with those
    that are chosen (FCQ of Zhao, Anand, Wang: Maximum Relevance and Minimum Redundancy Feature Selection Methods, 2019), which is at least
    ``FLOOR``. related: the correlation of each pair; NaN counts as 0. Of equal ones the first wins.
    """
    strength = np.nan_to_num(np.abs(related))
    steps: list[Step] = []
    summed, left = np.zeros(len(relevance)), relevance > 0
    while len(steps) < count and left.any():
        redundancy = np.maximum(summed / len(steps), FLOOR) if steps else np.ones(len(relevance))
        scores = np.where(left, relevance / redundancy, -math.inf)
        best = int(scores.argmax())
        steps.append(Step(best, float(relevance[best]), float(redundancy[best]) if steps else 0.0, float(scores[best])))
        left[best] = False
        summed += strength[:, best]
    return steps

