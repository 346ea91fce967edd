"""How much a feature tells of a label, from tables of their values; and the order of mRMR.

The tables are of counts that parts add up; mRMR follows from how features correlate.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.column_values import get_column_kind, to_doubles
from spark_fs.stats.interpolation import compute_quantiles
from spark_fs.stats.sketches.quantiles import Doubles

MAX_FEATURE_BINS = 64  # of a feature of many rows, each with as many of them
MAX_CLASSES = 50  # a label of more distinct values is a number to predict, not a class
LABEL_BINS = 10  # of a number to predict
MIN_REDUNDANCY = 1e-3  # the least mean correlation that mRMR divides by
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Binning:
    """How values of a column become the numbers of bins; missing values are the last bin.

    Attributes:
        name: the column.
        edges: the bounds between bins, of a column of numbers.
        categories: the values as strings, each of which is a bin; none of a column of numbers.
    """

    name: str
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()

    @classmethod
    def from_state(
        cls, name: str, state: ColumnState, bin_count: int, each_value_is_bin: bool = False
    ) -> Self:
        """The bins of a column.

        Args:
            name: the column.
            state: its state.
            bin_count: how many bins numbers have, each with about as many rows.
            each_value_is_bin: whether each value is a bin of its own, even of numbers.

        Returns:
            Bins by edges, or by categories.
        """
        if each_value_is_bin or get_column_kind(state.type) == "category":
            return cls(name, categories=state.list_categories())
        values, rows = state.weighted_points
        if not len(values):
            return cls(name)
        shares = [cut / bin_count for cut in range(1, bin_count)]
        edges = np.unique(compute_quantiles(values, rows, shares))
        return cls(name, edges=tuple(edges.tolist()))

    @property
    def bin_count(self) -> int:
        """How many bins there are, with the one of missing values."""
        if self.categories:
            return len(self.categories) + 1
        return len(self.edges) + 2

    def assign_bins(self, column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """The bin of each value."""
        missing = self.bin_count - 1
        if self.categories:
            codes = pc.index_in(column.cast(pa.string()), pa.array(self.categories))
            return np.asarray(pc.fill_null(codes, missing).to_numpy(), np.int64)
        values = to_doubles(column)
        bins: npt.NDArray[np.int64] = np.searchsorted(np.array(self.edges), values, side="left")
        return np.where(np.isfinite(values), bins, missing)


@dataclass(frozen=True)
class ContingencyTables:
    """For each feature a table of its bins by the label's."""

    label: Binning
    features: tuple[Binning, ...]

    def count_rows(self, table: pa.Table) -> Counts:
        """The tables of some rows, one behind the other; rows without a label count nowhere."""
        label_bins = self.label.assign_bins(table.column(self.label.name))
        class_count = self.label.bin_count - 1
        has_label = label_bins < class_count
        all_have_label = bool(has_label.all())
        if not all_have_label:
            label_bins = label_bins[has_label]
        counts: list[Counts] = []
        for feature in self.features:
            bins = feature.assign_bins(table.column(feature.name))
            if not all_have_label:
                bins = bins[has_label]
            cell_count = feature.bin_count * class_count
            counts.append(np.bincount(bins * class_count + label_bins, minlength=cell_count))
        return np.concatenate(counts) if counts else np.empty(0, np.int64)

    def split_by_feature(self, counts: Counts) -> dict[str, Counts]:
        """The table (bins x classes) of each feature, the last row that of missing values."""
        class_count = self.label.bin_count - 1
        tables: dict[str, Counts] = {}
        start = 0
        for feature in self.features:
            end = start + feature.bin_count * class_count
            tables[feature.name] = counts[start:end].reshape(-1, class_count)
            start = end
        return tables


def compute_mutual_information(table: Counts) -> float:
    """In nats, with Miller's and Madow's correction for the bins that are there; at least 0."""
    table = _drop_empty_bins(table)
    rows = table.sum()
    if rows == 0:
        return 0.0
    joint = table / rows
    independent = np.outer(joint.sum(axis=1), joint.sum(axis=0))
    occurs = joint > 0
    information = float((joint[occurs] * np.log(joint[occurs] / independent[occurs])).sum())
    excess_cells = occurs.sum() - table.shape[0] - table.shape[1] + 1
    return max(0.0, information - float(excess_cells / (2 * rows)))


def compute_chi_squared(table: Counts | Doubles) -> float:
    """Pearson's statistic of the table."""
    table = _drop_empty_bins(table)
    if not table.size:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(((table - expected) ** 2 / expected).sum())


def _drop_empty_bins(table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The table without rows and columns that count nothing."""
    kept: npt.NDArray[Any] = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    return kept


def compute_auc(table: Counts, bins_are_ordered: bool) -> float:
    """The area under the ROC curve of one feature for a label of two classes.

    Args:
        table: the rows of each bin (bins x 2), the positive class last; those of one bin count as
            ties.
        bins_are_ordered: whether the bins are in an order; those of categories, and the one of
            missing values, are put in that of their rates.

    Returns:
        The area, at least 0.5: of the feature or of its negative, whichever tells more.
    """
    counts: Doubles = table[table.sum(axis=1) > 0].astype(float)
    if not counts.sum(axis=0).all():
        return 0.5
    if not bins_are_ordered:
        rates = counts[:, 1] / counts.sum(axis=1)
        counts = counts[np.argsort(rates, kind="stable")]
    area = compute_roc_area(counts[:, 0], counts[:, 1])
    return max(area, 1 - area)


def compute_roc_area(negatives: Counts | Doubles, positives: Counts | Doubles) -> float:
    """The area under the ROC curve of bins in the order of their scores.

    Args:
        negatives: the rows of the negative class in each bin.
        positives: the rows of the positive class; rows of one bin count as ties.

    Returns:
        The share of pairs of both classes in which the positive row has the greater score.
    """
    negatives_before = np.concatenate([[0], np.cumsum(negatives)[:-1]])
    ordered_pairs = (positives * (negatives_before + negatives / 2)).sum()
    return float(ordered_pairs / (negatives.sum() * positives.sum()))


def compute_f_statistic(strength: Doubles, rows: Doubles, class_count: int | None) -> Doubles:
    """F of each feature, as scikit-learn's ``f_classif`` and ``f_regression``.

    Args:
        strength: the correlation ratio of feature and label where the label has classes (F of an
            analysis of variance), else their correlation (F of a regression).
        rows: how many rows each is of.
        class_count: how many classes the label has; None for a number.

    Returns:
        The F statistics; 0 where there is none.
    """
    explained = np.clip(np.square(strength), 0, 1 - 1e-15)
    freedom = 1 if class_count is None else class_count - 1
    residual_freedom = np.maximum(rows - freedom - 1, 1)
    f: Doubles = explained / freedom / ((1 - explained) / residual_freedom)
    return np.nan_to_num(f, nan=0.0)


@dataclass(frozen=True)
class MrmrStep:
    """One choice of mRMR.

    Attributes:
        feature: the number of the feature.
        relevance: how much it tells of the label.
        redundancy: its mean absolute correlation with those chosen before.
        score: the quotient of both.
    """

    feature: int
    relevance: float
    redundancy: float
    score: float


def rank_by_mrmr(relevance: Doubles, correlations: Doubles, count: int) -> list[MrmrStep]:
    """The order in which features are chosen: most relevant, least redundant.

    The first is the most relevant; each next one has the greatest quotient of its F statistic and
    its mean absolute correlation with those that are chosen (FCQ of Zhao, Anand, Wang: Maximum
    Relevance and Minimum Redundancy Feature Selection Methods, 2019), which is at least
    ``MIN_REDUNDANCY``. Of equal ones the first wins.

    Args:
        relevance: the F statistic of each feature; features without one are not chosen.
        correlations: the correlation of each pair; NaN counts as 0.
        count: how many to choose at most.

    Returns:
        The choices in their order.
    """
    strength = np.nan_to_num(np.abs(correlations))
    steps: list[MrmrStep] = []
    summed_strength = np.zeros(len(relevance))
    is_left = relevance > 0
    while len(steps) < count and is_left.any():
        if steps:
            redundancy = np.maximum(summed_strength / len(steps), MIN_REDUNDANCY)
        else:
            redundancy = np.ones(len(relevance))
        scores = np.where(is_left, relevance / redundancy, -math.inf)
        best = int(scores.argmax())
        best_redundancy = float(redundancy[best]) if steps else 0.0
        steps.append(MrmrStep(best, float(relevance[best]), best_redundancy, float(scores[best])))
        is_left[best] = False
        summed_strength += strength[:, best]
    return steps
