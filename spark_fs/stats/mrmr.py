"""The order in which mRMR chooses features: most relevant for a label, least redundant."""

import math
from dataclasses import dataclass

import numpy as np

from spark_fs.stats.sketches.quantiles import Doubles

MIN_REDUNDANCY = 1e-3  # the least mean correlation that mRMR divides by


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
