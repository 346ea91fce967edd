"""Rank candidates for a label, from what was learned of them: which are left out, in which order the others are chosen, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from spark_fs.base.types import INTEGERS, get_base_type
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.errors import SettingsError, SetupError
from spark_fs.spec.feature_selection import CandidateScore, ModelScore, SelectionRequest, Task
from spark_fs.stats import scores
from spark_fs.stats.association import MAX_CATEGORIES
from spark_fs.stats.column_state import ColumnState, get_column_kind, to_doubles
from spark_fs.stats.scores import MAX_CLASSES, Binning, Counts
from spark_fs.stats.sketches.quantiles import Doubles

_BOOSTING_ROUNDS, _TREE_DEPTH = 100, 4  # of the models that features are measured by
_HELD_OUT_SHARE = 0.3
_TOLERANCE = 0.001  # a set is as good as the best when its metric is this near


@dataclass(frozen=True)
class Associations:
    """How strongly features hang together, and in how many rows each pair is there."""

    features: tuple[str, ...]
    strength: Doubles
    pair_counts: Doubles


def filter_candidates(
    states: ColumnStates, request: SelectionRequest
) -> tuple[Task, list[str], list[CandidateScore]]:
    """The task, the candidates that are looked at, and those that are not, with the reason. SettingsError where none is left."""
    label = states[request.label]
    task = request.task or _infer_task(request.label, label)
    if task == "classification" and not (
        label.distinct.is_exact and 2 <= len(label.distinct.values) <= MAX_CLASSES
    ):
        raise SettingsError(
            f"Label {request.label!r} has {label.distinct.estimated_count:,} distinct values:"
            f" classes are 2 to {MAX_CLASSES}. Choose another label, or task='regression' for a"
            " number."
        )
    left, out = [], list[CandidateScore]()
    for name, column in states.items():
        if name == request.label:
            continue
        why = _find_exclusion_reason(column, request)
        share = column.nulls / column.rows if column.rows else 1.0
        if why:
            out.append(CandidateScore(name, why, null_share=share))
        else:
            left.append(name)
    if not left:
        told = "; ".join(f"{each.feature} is {each.reason}" for each in out[:5])
        raise SettingsError(
            f"No candidate for label {request.label!r} is left:"
            f" {told or 'the query has no other column'}."
        )
    return task, left, out


def _infer_task(name: str, label: ColumnState) -> Task:
    if get_column_kind(label.type) not in ("number", "category"):
        raise SettingsError(
            f"Label {name!r} is {label.type}: predict a number, a text or a boolean."
        )
    few = label.distinct.is_exact and len(label.distinct.values) <= MAX_CLASSES
    whole = (
        get_column_kind(label.type) == "category"
        or get_base_type(label.type) in INTEGERS
        or len(label.distinct.values) == 2
    )
    return "classification" if few and whole else "regression"


def _find_exclusion_reason(column: ColumnState, request: SelectionRequest) -> str:
    if get_column_kind(column.type) not in ("number", "category"):
        return f"{column.type}, which has no order or classes to score: make numbers of it"
    if not column.value_count:
        return "without a value"
    if 1 - column.value_count / column.rows > request.max_null_share:
        return f"mostly null: {1 - column.value_count / column.rows:.1%} of its rows"
    if column.low == column.high:
        return f"constant: {column.low!r}"
    if get_column_kind(column.type) == "category" and not (
        column.distinct.is_exact and len(column.distinct.values) <= MAX_CATEGORIES
    ):
        return f"of {column.distinct.estimated_count:,} categories, more than {MAX_CATEGORIES}: encode it first"
    return ""


def rank_candidates(
    states: ColumnStates,
    names: Sequence[str],
    associations: Associations,
    tables: Mapping[str, Counts],
    task: Task,
    request: SelectionRequest,
) -> list[CandidateScore]:
    """Each candidate with its scores; the chosen ones with their rank, those that look like leaks without."""
    place = {name: at for at, name in enumerate(associations.features)}
    at = np.array([place[name] for name in names])
    mine = place[request.label]
    strength = np.nan_to_num(np.abs(associations.strength[mine, at]))
    classes = len(states[request.label].distinct.values) if task == "classification" else None
    f = scores.compute_f_statistic(strength, associations.pair_counts[mine, at], classes)
    found = []
    for number, name in enumerate(names):
        table, column = tables[name], states[name]
        binary = classes == 2
        one = CandidateScore(
            name,
            "not among the best",
            None,
            None,
            float(f[number]),
            scores.compute_mutual_information(table),
            scores.compute_chi_squared(table),
            (
                scores.compute_auc(
                    _move_missing_bin(table, get_column_kind(column.type)),
                    get_column_kind(column.type) == "number",
                )
                if binary
                else None
            ),
            float(strength[number]),
            null_share=column.nulls / column.rows,
        )
        found.append(replace(one, reason=_detect_leak(one, request) or one.reason))
    good = [number for number, each in enumerate(found) if not each.leaks]
    for rank, step in enumerate(
        _choose_candidates(found, good, associations.strength[np.ix_(at, at)], request), 1
    ):
        found[step.feature] = replace(
            found[step.feature],
            rank=rank,
            value=step.score,
            redundancy=step.redundancy,
            reason=_explain_rank(found[step.feature], step, rank, request),
        )
    return found


def _move_missing_bin(table: Counts, column_kind: str) -> Counts:
    """The bins with that of missing values at its rate's place: of numbers it is first, as one more value below all others."""
    return np.vstack([table[-1:], table[:-1]]) if column_kind == "number" else table


def _detect_leak(candidate: CandidateScore, request: SelectionRequest) -> str:
    if candidate.auc is not None and candidate.auc >= request.leak:
        return f"leak? it alone tells the label with an AUC of {candidate.auc:.4f}"
    if candidate.strength is not None and candidate.strength >= request.leak:
        return f"leak? it hangs together with the label by {candidate.strength:.4f}"
    return ""


def _choose_candidates(
    scored: Sequence[CandidateScore],
    eligible: Sequence[int],
    strength: Doubles,
    request: SelectionRequest,
) -> list[scores.MrmrStep]:
    """The chosen candidates in the order of their choice."""
    if request.method == "mrmr":
        relevance = np.array([0.0 if each.leaks else each.f for each in scored], dtype=float)
        return scores.rank_by_mrmr(relevance, strength, request.k)
    by = "f" if request.method == "importance" else request.score
    if any(getattr(scored[number], by) is None for number in eligible):
        raise SettingsError(
            f"score={by!r} needs a label of two classes: use 'f', 'mutual_information' or"
            " 'chi_squared'."
        )
    values = {number: float(getattr(scored[number], by)) for number in eligible}
    best = sorted(values, key=lambda number: (-values[number], number))[: request.k]
    return [scores.MrmrStep(number, values[number], 0.0, values[number]) for number in best]


def _explain_rank(
    candidate: CandidateScore, step: scores.MrmrStep, rank: int, request: SelectionRequest
) -> str:
    if request.method != "mrmr":
        return f"rank {rank} by {request.score if request.method == 'k_best' else 'f'}"
    return (
        "most relevant"
        if rank == 1
        else (
            f"F {candidate.f:.4g} for a mean correlation of {step.redundancy:.3f} with those"
            " before it"
        )
    )


# -- models


@dataclass(frozen=True)
class TrainingSample:
    """Rows that models are trained on and measured by: features (rows x features), the label, and which rows are held out."""

    names: tuple[str, ...]
    features: Doubles
    label: Doubles
    held_out: Any
    task: Task
    class_count: int
    seed: int

    @classmethod
    def from_table(
        cls,
        table: pa.Table,
        states: ColumnStates,
        names: Sequence[str],
        task: Task,
        request: SelectionRequest,
    ) -> "TrainingSample":
        """Of sampled rows, without those that have no label."""
        label = Binning.from_state(
            request.label, states[request.label], scores.LABEL_BINS, task == "classification"
        )
        codes = label.assign_bins(table.column(request.label))
        known = codes < label.bin_count - 1
        target = (
            codes.astype(float)
            if task == "classification"
            else _to_numbers(table.column(request.label))
        )
        columns = [
            (
                _to_numbers(table.column(name))
                if get_column_kind(states[name].type) == "number"
                else _to_codes(states[name], name, table)
            )
            for name in names
        ]
        held = np.random.default_rng(request.seed).random(int(known.sum())) < _HELD_OUT_SHARE
        matrix = np.column_stack(columns)[known] if columns else np.empty((int(known.sum()), 0))
        if held.all() or not held.any() or len(np.unique(target[known][~held])) < 2:
            raise SettingsError(
                f"The sample of {int(known.sum())} rows is too small to train on: raise"
                f" sample={request.sample}."
            )
        return cls(
            tuple(names), matrix, target[known], held, task, label.bin_count - 1, request.seed
        )

    @property
    def metric(self) -> str:
        """What models are measured by."""
        return "r2" if self.task == "regression" else "auc" if self.class_count == 2 else "accuracy"

    def fit_model(self, names: Sequence[str]) -> Any:
        """A model of these features, of the rows that are not held out."""
        xgboost = _load_xgboost()
        kind_ = xgboost.XGBRegressor if self.task == "regression" else xgboost.XGBClassifier
        model = kind_(
            n_estimators=_BOOSTING_ROUNDS,
            max_depth=_TREE_DEPTH,
            learning_rate=0.1,
            tree_method="hist",
            random_state=self.seed,
            importance_type="gain",
        )
        return model.fit(self._select_features(names)[~self.held_out], self.label[~self.held_out])

    def score_model(self, names: Sequence[str]) -> float:
        """How good a model of these features is on the rows that are held out."""
        model, rows, truth = (
            self.fit_model(names),
            self._select_features(names)[self.held_out],
            self.label[self.held_out],
        )
        if self.task == "regression":
            return float(
                1
                - np.square(truth - model.predict(rows)).sum()
                / np.square(truth - truth.mean()).sum()
            )
        if self.class_count == 2:
            return _compute_auc(model.predict_proba(rows)[:, 1], truth)
        return float((model.predict(rows) == truth).mean())

    def _select_features(self, names: Sequence[str]) -> Doubles:
        return self.features[:, [self.names.index(name) for name in names]]


def rank_by_importance(
    scored: Sequence[CandidateScore], sample: TrainingSample, k: int
) -> list[CandidateScore]:
    """The candidates ranked by their gain in a model of all of them."""
    gains = dict(
        zip(
            sample.names,
            map(float, sample.fit_model(sample.names).feature_importances_),
            strict=True,
        )
    )
    best = sorted(gains, key=lambda name: -gains[name])[:k]
    found = []
    for each in scored:
        gain = gains.get(each.feature)
        rank = best.index(each.feature) + 1 if each.feature in best and gain else None
        reason = (
            f"{gain:.1%} of the gain of a model of all"
            if rank
            else each.reason
            if gain is None
            else "not among the best"
        )
        found.append(
            replace(each, importance=gain, rank=rank, value=gain, reason=reason, redundancy=None)
        )
    return found


def evaluate_models(
    sample: TrainingSample, chosen: Sequence[str], baseline: Sequence[str]
) -> tuple[list[ModelScore], int]:
    """How good models are step by step, and how many of the chosen features the least set has that is as good as the best."""
    steps = []
    there = [name for name in baseline if name in sample.names]
    if there:
        steps.append(ModelScore("baseline", len(there), sample.score_model(there)))
    sizes = sorted(
        {*(round(len(chosen) * part / 10) for part in range(1, 11)), 1, len(chosen)} - {0}
    )
    metrics = {size: sample.score_model(chosen[:size]) for size in sizes}
    steps += [ModelScore(f"the first {size}", size, metric) for size, metric in metrics.items()]
    best = max(metrics.values())
    return steps, min(size for size, metric in metrics.items() if metric >= best - _TOLERANCE)


def _to_numbers(column: pa.ChunkedArray) -> Doubles:
    found = to_doubles(column)
    return np.where(np.isfinite(found), found, np.nan)


def _to_codes(state: ColumnState, name: str, table: pa.Table) -> Doubles:
    cuts = Binning.from_state(name, state, 2)
    codes = cuts.assign_bins(table.column(name))
    return np.where(codes < cuts.bin_count - 1, codes, np.nan)


def _compute_auc(predicted: Doubles, truth: Doubles) -> float:
    order = np.argsort(predicted, kind="stable")
    _, place, size = np.unique(predicted[order], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[place]
    positives = truth[order] == 1
    count = int(positives.sum())
    return float(
        (ranks[positives].sum() - count * (count + 1) / 2) / (count * (len(truth) - count))
    )


def _load_xgboost() -> Any:
    try:
        import xgboost
    except ImportError:
        raise SetupError(
            "Features are measured by models of XGBoost, which is not installed: pip install"
            " 'spark_fs[select]'"
        ) from None
    return xgboost
