"""Rank candidates for a label by what was learned of them.

It says which are left out, in which order the others are chosen, and why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spark_fs.base.types import INTEGERS, get_base_type
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.errors import SettingsError
from spark_fs.spec.feature_selection import CandidateScore, SelectionRequest, Task
from spark_fs.stats import scores
from spark_fs.stats.association import MAX_CATEGORIES
from spark_fs.stats.binning import MAX_CLASSES, Counts
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.column_values import get_column_kind
from spark_fs.stats.mrmr import MrmrStep, rank_by_mrmr
from spark_fs.stats.sketches.quantiles import Doubles

NOT_CHOSEN = "not among the best"  # the reason of a candidate that others outrank
_LISTED_EXCLUSIONS = 5  # candidates that an error names


@dataclass(frozen=True)
class Associations:
    """How strongly features correlate, and how many rows have a value of both of a pair."""

    features: tuple[str, ...]
    strength: Doubles
    pair_counts: Doubles


# -- which candidates are looked at


def filter_candidates(
    states: ColumnStates, request: SelectionRequest
) -> tuple[Task, list[str], list[CandidateScore]]:
    """The task, the candidates that are looked at, and those that are not, with the reason.

    Raises:
        SettingsError: The label cannot be predicted so, or no candidate is left.
    """
    label = states[request.label]
    task = request.task or _infer_task(request.label, label)
    if task == "classification":
        _check_classes(request.label, label)
    candidates: list[str] = []
    excluded: list[CandidateScore] = []
    for name, column in states.items():
        if name == request.label:
            continue
        reason = _find_exclusion_reason(column, request)
        if reason:
            null_share = column.nulls / column.rows if column.rows else 1.0
            excluded.append(CandidateScore(name, reason, null_share=null_share))
        else:
            candidates.append(name)
    if not candidates:
        reasons = [f"{score.feature} is {score.reason}" for score in excluded]
        listed = "; ".join(reasons[:_LISTED_EXCLUSIONS]) or "the query has no other column"
        raise SettingsError(f"No candidate for label {request.label!r} is left: {listed}.")
    return task, candidates, excluded


def _check_classes(name: str, label: ColumnState) -> None:
    values = label.distinct
    if not values.is_exact or not 2 <= len(values.values) <= MAX_CLASSES:
        raise SettingsError(
            f"Label {name!r} has {values.estimated_count:,} distinct values:"
            f" classes are 2 to {MAX_CLASSES}. Choose another label, or task='regression' for a"
            " number."
        )


def _infer_task(name: str, label: ColumnState) -> Task:
    kind = get_column_kind(label.type)
    if kind not in ("number", "category"):
        raise SettingsError(
            f"Label {name!r} is {label.type}: predict a number, a string or a boolean."
        )
    value_count = len(label.distinct.values)
    is_integer = get_base_type(label.type) in INTEGERS
    if not label.distinct.is_exact or value_count > MAX_CLASSES:
        return "regression"
    if kind == "category" or is_integer or value_count == 2:
        return "classification"
    return "regression"


def _find_exclusion_reason(column: ColumnState, request: SelectionRequest) -> str:
    """Why a column is not looked at; empty where it is."""
    kind = get_column_kind(column.type)
    if kind not in ("number", "category"):
        return f"{column.type}, which has no order or classes to score: make numbers of it"
    if not column.value_count:
        return "without a value"
    null_share = 1 - column.value_count / column.rows
    if null_share > request.max_null_share:
        return f"mostly null: {null_share:.1%} of its rows"
    if column.low == column.high:
        return f"constant: {column.low!r}"
    if kind == "category" and _has_many_categories(column):
        count = column.distinct.estimated_count
        return f"of {count:,} categories, more than {MAX_CATEGORIES}: encode it first"
    return ""


def _has_many_categories(column: ColumnState) -> bool:
    return not column.distinct.is_exact or len(column.distinct.values) > MAX_CATEGORIES


# -- the scores, and the choice


def rank_candidates(
    states: ColumnStates,
    names: Sequence[str],
    associations: Associations,
    tables: Mapping[str, Counts],
    task: Task,
    request: SelectionRequest,
) -> list[CandidateScore]:
    """Each candidate with its scores; the chosen ones have a rank.

    Args:
        states: The states of the columns, the label among them.
        names: The candidates.
        associations: Those of the candidates and the label.
        tables: The contingency table of each candidate with the label.
        task: What is predicted.
        request: What is searched for.
    """
    index_by_feature = {feature: index for index, feature in enumerate(associations.features)}
    indices = np.array([index_by_feature[name] for name in names])
    label_index = index_by_feature[request.label]
    strength = np.nan_to_num(np.abs(associations.strength[label_index, indices]))
    class_count = None
    if task == "classification":
        class_count = len(states[request.label].distinct.values)
    pair_counts = associations.pair_counts[label_index, indices]
    f_values = scores.compute_f_statistic(strength, pair_counts, class_count)
    candidates = []
    for position, name in enumerate(names):
        f_value = float(f_values[position])
        association = float(strength[position])
        candidate = _score_table(name, states[name], tables[name], class_count)
        candidate = replace(candidate, f=f_value, strength=association)
        candidates.append(_mark_leak(candidate, request))
    correlations = associations.strength[np.ix_(indices, indices)]
    steps = _choose_candidates(candidates, correlations, request)
    for rank, step in enumerate(steps, 1):
        candidate = candidates[step.feature]
        reason = _explain_rank(candidate, step, rank, request)
        candidates[step.feature] = replace(
            candidate, rank=rank, value=step.score, redundancy=step.redundancy, reason=reason
        )
    return candidates


def _score_table(
    name: str, column: ColumnState, table: Counts, class_count: int | None
) -> CandidateScore:
    """A candidate with the scores that follow from its contingency table."""
    auc = None
    if class_count == 2:
        is_number = get_column_kind(column.type) == "number"
        ordered_table = _move_missing_bin(table) if is_number else table
        auc = scores.compute_auc(ordered_table, is_number)
    mutual_information = scores.compute_mutual_information(table)
    chi_squared = scores.compute_chi_squared(table)
    return CandidateScore(
        name,
        NOT_CHOSEN,
        mutual_information=mutual_information,
        chi_squared=chi_squared,
        auc=auc,
        null_share=column.nulls / column.rows,
    )


def _move_missing_bin(table: Counts) -> Counts:
    """The bins of numbers with that of missing values first, as one more value below all others."""
    return np.vstack([table[-1:], table[:-1]])


def _mark_leak(candidate: CandidateScore, request: SelectionRequest) -> CandidateScore:
    """The candidate, marked as a leak with the reason where it predicts the label too well."""
    auc = candidate.auc
    if auc is not None and auc >= request.leak:
        reason = f"possible leak: it alone predicts the label with an AUC of {auc:.4f}"
        return replace(candidate, leaks=True, reason=reason)
    strength = candidate.strength
    if strength is not None and strength >= request.leak:
        reason = f"possible leak: its correlation with the label is {strength:.4f}"
        return replace(candidate, leaks=True, reason=reason)
    return candidate


def _choose_candidates(
    candidates: Sequence[CandidateScore], correlations: Doubles, request: SelectionRequest
) -> list[MrmrStep]:
    """The chosen candidates in the order of their choice; none that leaks."""
    if request.method == "mrmr":
        relevance = [0.0 if candidate.leaks else candidate.f for candidate in candidates]
        return rank_by_mrmr(np.array(relevance, dtype=float), correlations, request.k)
    score = "f" if request.method == "importance" else request.score
    values: dict[int, float] = {}
    for index, candidate in enumerate(candidates):
        if candidate.leaks:
            continue
        value = getattr(candidate, score)
        if value is None:
            raise SettingsError(
                f"score={score!r} needs a label of two classes: use 'f', 'mutual_information' or"
                " 'chi_squared'."
            )
        values[index] = float(value)
    best = sorted(values, key=lambda index: (-values[index], index))[: request.k]
    return [MrmrStep(index, values[index], 0.0, values[index]) for index in best]


def _explain_rank(
    candidate: CandidateScore, step: MrmrStep, rank: int, request: SelectionRequest
) -> str:
    if request.method == "k_best":
        return f"rank {rank} by {request.score}"
    if request.method == "importance":
        return f"rank {rank} by f"
    if rank == 1:
        return "most relevant"
    return (
        f"F {candidate.f:.4g} for a mean correlation of {step.redundancy:.3f} with those before it"
    )
