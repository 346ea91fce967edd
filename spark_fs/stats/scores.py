"""How much a feature tells of a label, from a contingency table of their values."""

from typing import Any

import numpy as np
import numpy.typing as npt

from spark_fs.stats.binning import Counts
from spark_fs.stats.sketches.quantiles import Doubles


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
