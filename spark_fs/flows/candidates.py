"""Rank candidates for a label, from what was learned of them: which are left out, in which order the others are chosen, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from spark_fs.engine.profile import States
from spark_fs.errors import SettingsError, SetupError
from spark_fs.spec.selection import Asked, Evaluated, Scored, Task
from spark_fs.stats import scores
from spark_fs.stats.association import CATEGORIES
from spark_fs.stats.column import WHOLE, Column, doubles, kind
from spark_fs.stats.quantiles import Doubles
from spark_fs.stats.scores import CLASSES, Counts, Cuts
from spark_fs.types import base

_ROUNDS, _DEPTH = 100, 4  # of the models that features are measured by
_HELD_OUT = 0.3
_TOLERANCE = 0.001  # a set is as good as the best when its metric is this near


@dataclass(frozen=True)
class Related:
    """How strongly features hang together, and in how many rows each pair is there."""

    names: tuple[str, ...]
    strength: Doubles
    rows: Doubles


def sorted_out(states: States, asked: Asked) -> tuple[Task, list[str], list[Scored]]:
    """The task, the candidates that are looked at, and those that are not, with the reason. SettingsError where none is left."""
    label = states[asked.label]
    task = asked.task or _task(asked.label, label)
    if task == "classification" and not (label.distinct.exact and 2 <= len(label.distinct.values) <= CLASSES):
        raise SettingsError(
            f"Label {asked.label!r} has {label.distinct.number:,} distinct values: classes are 2 to {CLASSES}. Choose another label, or "
            "task='regression' for a number."
        )
    left, out = [], list[Scored]()
    for name, column in states.items():
        if name == asked.label:
            continue
        why = _why_out(column, asked)
        share = column.nulls / column.rows if column.rows else 1.0
        if why:
            out.append(Scored(name, why, null_share=share))
        else:
            left.append(name)
    if not left:
        told = "; ".join(f"{each.feature} is {each.reason}" for each in out[:5])
        raise SettingsError(f"No candidate for label {asked.label!r} is left: {told or 'the query has no other column'}.")
    return task, left, out


def _task(name: str, label: Any) -> Task:
    if kind(label.type) not in ("number", "category"):
        raise SettingsError(f"Label {name!r} is {label.type}: predict a number, a text or a boolean.")
    few = label.distinct.exact and len(label.distinct.values) <= CLASSES
    whole = kind(label.type) == "category" or base(label.type) in WHOLE or len(label.distinct.values) == 2
    return "classification" if few and whole else "regression"


def _why_out(column: Any, asked: Asked) -> str:
    if kind(column.type) not in ("number", "category"):
        return f"{column.type}, which has no order or classes to score: make numbers of it"
    if not column.count:
        return "without a value"
    if 1 - column.count / column.rows > asked.max_null_share:
        return f"mostly null: {1 - column.count / column.rows:.1%} of its rows"
    if column.low == column.high:
        return f"constant: {column.low!r}"
    if kind(column.type) == "category" and not (column.distinct.exact and len(column.distinct.values) <= CATEGORIES):
        return f"of {column.distinct.number:,} categories, more than {CATEGORIES}: encode it first"
    return ""


def ranked(
    states: States, left: Sequence[str], related: Related, tables: Mapping[str, Counts], task: Task, asked: Asked
) -> list[Scored]:
    """Each candidate with its scores; the chosen ones with their rank, those that look like leaks without."""
    place = {name: at for at, name in enumerate(related.names)}
    at = np.array([place[name] for name in left])
    mine = place[asked.label]
    strength = np.nan_to_num(np.abs(related.strength[mine, at]))
    classes = len(states[asked.label].distinct.values) if task == "classification" else None
    f = scores.f_statistic(strength, related.rows[mine, at], classes)
    found = []
    for number, name in enumerate(left):
        table, column = tables[name], states[name]
        binary = classes == 2
        one = Scored(
            name, "not among the best", None, None, float(f[number]), scores.mutual_information(table), scores.chi_squared(table),
            scores.auc(_in_order(table, kind(column.type)), kind(column.type) == "number") if binary else None, float(strength[number]),
            null_share=column.nulls / column.rows,
        )
        found.append(replace(one, reason=_leak(one, asked) or one.reason))
    good = [number for number, each in enumerate(found) if not each.leaks]
    for rank, step in enumerate(_order(found, good, related.strength[np.ix_(at, at)], asked), 1):
        found[step.feature] = replace(found[step.feature], rank=rank, value=step.score, redundancy=step.redundancy,
                                      reason=_reason(found[step.feature], step, rank, asked))
    return found


def _in_order(table: Counts, which: str) -> Counts:
    """The bins with that of missing values at its rate's place: of numbers it is first, as one more value below all others."""
    return np.vstack([table[-1:], table[:-1]]) if which == "number" else table


def _leak(one: Scored, asked: Asked) -> str:
    if one.auc is not None and one.auc >= asked.leak:
        return f"leak? it alone tells the label with an AUC of {one.auc:.4f}"
    if one.strength is not None and one.strength >= asked.leak:
        return f"leak? it hangs together with the label by {one.strength:.4f}"
    return ""


def _order(found: Sequence[Scored], good: Sequence[int], related: Doubles, asked: Asked) -> list[scores.Step]:
    """The chosen candidates in the order of their choice."""
    if asked.method == "mrmr":
        relevance = np.array([0.0 if each.leaks else each.f for each in found], dtype=float)
        return scores.mrmr(relevance, related, asked.k)
    by = "f" if asked.method == "importance" else asked.score
    if any(getattr(found[number], by) is None for number in good):
        raise SettingsError(f"score={by!r} needs a label of two classes: use 'f', 'mutual_information' or 'chi_squared'.")
    values = {number: float(getattr(found[number], by)) for number in good}
    best = sorted(values, key=lambda number: (-values[number], number))[: asked.k]
    return [scores.Step(number, values[number], 0.0, values[number]) for number in best]


def _reason(one: Scored, step: scores.Step, rank: int, asked: Asked) -> str:
    if asked.method != "mrmr":
        return f"rank {rank} by {asked.score if asked.method == 'k_best' else 'f'}"
    return "most relevant" if rank == 1 else f"F {one.f:.4g} for a mean correlation of {step.redundancy:.3f} with those before it"


# -- models


@dataclass(frozen=True)
class Sample:
    """Rows that models are trained on and measured by: features (rows x features), the label, and which rows are held out."""

    names: tuple[str, ...]
    features: Doubles
    label: Doubles
    held_out: Any
    task: Task
    classes: int
    seed: int

    @classmethod
    def of(cls, table: pa.Table, states: States, names: Sequence[str], task: Task, asked: Asked) -> "Sample":
        """Of sampled rows, without those that have no label."""
        label = Cuts.of(asked.label, states[asked.label], scores.LABEL_BINS, task == "classification")
        codes = label.codes(table.column(asked.label))
        known = codes < label.count - 1
        target = codes.astype(float) if task == "classification" else _numbers(table.column(asked.label))
        columns = [
            _numbers(table.column(name)) if kind(states[name].type) == "number" else _codes(states[name], name, table) for name in names
        ]
        held = np.random.default_rng(asked.seed).random(int(known.sum())) < _HELD_OUT
        matrix = np.column_stack(columns)[known] if columns else np.empty((int(known.sum()), 0))
        if held.all() or not held.any() or len(np.unique(target[known][~held])) < 2:
            raise SettingsError(f"The sample of {int(known.sum())} rows is too small to train on: raise sample={asked.sample}.")
        return cls(tuple(names), matrix, target[known], held, task, label.count - 1, asked.seed)

    @property
    def metric(self) -> str:
        """What models are measured by."""
        return "r2" if self.task == "regression" else "auc" if self.classes == 2 else "accuracy"

    def fitted(self, names: Sequence[str]) -> Any:
        """A model of these features, of the rows that are not held out."""
        xgboost = _xgboost()
        kind_ = xgboost.XGBRegressor if self.task == "regression" else xgboost.XGBClassifier
        model = kind_(
            n_estimators=_ROUNDS, max_depth=_DEPTH, learning_rate=0.1, tree_method="hist", random_state=self.seed, importance_type="gain"
        )
        return model.fit(self._of(names)[~self.held_out], self.label[~self.held_out])

    def measured(self, names: Sequence[str]) -> float:
        """How good a model of these features is on the rows that are held out."""
        model, rows, truth = self.fitted(names), self._of(names)[self.held_out], self.label[self.held_out]
        if self.task == "regression":
            return float(1 - np.square(truth - model.predict(rows)).sum() / np.square(truth - truth.mean()).sum())
        if self.classes == 2:
            return _area(model.predict_proba(rows)[:, 1], truth)
        return float((model.predict(rows) == truth).mean())

    def _of(self, names: Sequence[str]) -> Doubles:
        return self.features[:, [self.names.index(name) for name in names]]


def by_importance(scored: Sequence[Scored], sample: Sample, k: int) -> list[Scored]:
    """The candidates ranked by their gain in a model of all of them."""
    gains = dict(zip(sample.names, map(float, sample.fitted(sample.names).feature_importances_), strict=True))
    best = sorted(gains, key=lambda name: -gains[name])[:k]
    found = []
    for each in scored:
        gain = gains.get(each.feature)
        rank = best.index(each.feature) + 1 if each.feature in best and gain else None
        reason = f"{gain:.1%} of the gain of a model of all" if rank else each.reason if gain is None else "not among the best"
        found.append(replace(each, importance=gain, rank=rank, value=gain, reason=reason, redundancy=None))
    return found


def evaluated(sample: Sample, chosen: Sequence[str], baseline: Sequence[str]) -> tuple[list[Evaluated], int]:
    """How good models are step by step, and how many of the chosen features the least set has that is as good as the best."""
    steps = []
    there = [name for name in baseline if name in sample.names]
    if there:
        steps.append(Evaluated("baseline", len(there), sample.measured(there)))
    sizes = sorted({*(round(len(chosen) * part / 10) for part in range(1, 11)), 1, len(chosen)} - {0})
    metrics = {size: sample.measured(chosen[:size]) for size in sizes}
    steps += [Evaluated(f"the first {size}", size, metric) for size, metric in metrics.items()]
    best = max(metrics.values())
    return steps, min(size for size, metric in metrics.items() if metric >= best - _TOLERANCE)


def _numbers(column: pa.ChunkedArray) -> Doubles:
    found = doubles(column)
    return np.where(np.isfinite(found), found, np.nan)


def _codes(state: Column, name: str, table: pa.Table) -> Doubles:
    cuts = Cuts.of(name, state, 2)
    codes = cuts.codes(table.column(name))
    return np.where(codes < cuts.count - 1, codes, np.nan)


def _area(predicted: Doubles, truth: Doubles) -> float:
    order = np.argsort(predicted, kind="stable")
    _, place, size = np.unique(predicted[order], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(size) - (size - 1) / 2)[place]
    positives = truth[order] == 1
    count = int(positives.sum())
    return float((ranks[positives].sum() - count * (count + 1) / 2) / (count * (len(truth) - count)))


def _xgboost() -> Any:
    try:
        import xgboost
    except ImportError:
        raise SetupError("Features are measured by models of XGBoost, which is not installed: pip install 'spark_fs[select]'") from None
    return xgboost
