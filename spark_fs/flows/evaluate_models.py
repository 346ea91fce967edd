"""Train models on a sample: to rank features by importance, and to measure sets of features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.errors import SettingsError, SetupError
from spark_fs.flows.rank_candidates import NOT_CHOSEN
from spark_fs.spec.feature_selection import CandidateScore, ModelScore, SelectionRequest, Task
from spark_fs.stats import scores
from spark_fs.stats.binning import LABEL_BINS, Binning
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.column_values import get_column_kind, to_doubles
from spark_fs.stats.sketches.quantiles import Doubles

_BOOSTING_ROUNDS = 100
_TREE_DEPTH = 4
_LEARNING_RATE = 0.1
_HELD_OUT_SHARE = 0.3
_TOLERANCE = 0.001  # a set is as good as the best when its metric is this near


@dataclass(frozen=True)
class TrainingSample:
    """Rows that models are trained on and measured by.

    features: rows x features. held_out: which rows are only measured by.
    """

    names: tuple[str, ...]
    features: Doubles
    label: Doubles
    held_out: npt.NDArray[np.bool_]
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
        """The sample of a table's rows that have a label.

        Args:
            table: Sampled rows with the features and the label.
            states: The states of these columns, of all rows.
            names: The features.
            task: What is predicted.
            request: What is searched for.

        Raises:
            SettingsError: The sample is too small.
        """
        is_classification = task == "classification"
        label_values = table.column(request.label)
        label_binning = Binning.from_state(
            request.label, states[request.label], LABEL_BINS, is_classification
        )
        label_bins = label_binning.assign_bins(label_values)
        has_label = label_bins < label_binning.bin_count - 1
        targets = label_bins.astype(float) if is_classification else _to_numbers(label_values)
        label = targets[has_label]
        row_count = int(has_label.sum())
        features = np.empty((row_count, 0))
        if names:
            columns = [_to_feature(states[name], name, table) for name in names]
            features = np.column_stack(columns)[has_label]
        held_out = np.random.default_rng(request.seed).random(row_count) < _HELD_OUT_SHARE
        if held_out.all() or not held_out.any() or len(np.unique(label[~held_out])) < 2:
            raise SettingsError(
                f"The sample of {row_count} rows is too small to train on: raise"
                f" sample={request.sample}."
            )
        class_count = label_binning.bin_count - 1
        return cls(tuple(names), features, label, held_out, task, class_count, request.seed)

    @property
    def metric(self) -> str:
        """What models are measured by."""
        if self.task == "regression":
            return "r2"
        return "auc" if self.class_count == 2 else "accuracy"

    def fit_model(self, names: Sequence[str]) -> Any:
        """A model of these features, trained on the rows that are not held out."""
        xgboost = _load_xgboost()
        model_class = xgboost.XGBClassifier
        if self.task == "regression":
            model_class = xgboost.XGBRegressor
        model = model_class(
            n_estimators=_BOOSTING_ROUNDS,
            max_depth=_TREE_DEPTH,
            learning_rate=_LEARNING_RATE,
            tree_method="hist",
            random_state=self.seed,
            importance_type="gain",
        )
        trained = ~self.held_out
        return model.fit(self._select_features(names)[trained], self.label[trained])

    def score_model(self, names: Sequence[str]) -> float:
        """How good a model of these features is on the rows that are held out, in the metric."""
        model = self.fit_model(names)
        rows = self._select_features(names)[self.held_out]
        truth = self.label[self.held_out]
        if self.task == "regression":
            residuals = np.square(truth - model.predict(rows)).sum()
            deviations = np.square(truth - truth.mean()).sum()
            return float(1 - residuals / deviations)
        if self.class_count == 2:
            return _compute_auc(model.predict_proba(rows)[:, 1], truth)
        return float((model.predict(rows) == truth).mean())

    def _select_features(self, names: Sequence[str]) -> Doubles:
        return self.features[:, [self.names.index(name) for name in names]]


def rank_by_importance(
    candidates: Sequence[CandidateScore], sample: TrainingSample, k: int
) -> list[CandidateScore]:
    """The candidates, the k best ranked by their gain in a model of all of them."""
    importances = sample.fit_model(sample.names).feature_importances_
    gains = dict(zip(sample.names, map(float, importances), strict=True))
    best = sorted(gains, key=lambda name: -gains[name])[:k]
    ranked = []
    for candidate in candidates:
        gain = gains.get(candidate.feature)
        rank = None
        reason = candidate.reason if gain is None else NOT_CHOSEN
        if gain and candidate.feature in best:
            rank = best.index(candidate.feature) + 1
            reason = f"{gain:.1%} of the gain of a model of all"
        candidate = replace(candidate, importance=gain, value=gain, redundancy=None)
        ranked.append(replace(candidate, rank=rank, reason=reason))
    return ranked


def evaluate_models(
    sample: TrainingSample, chosen: Sequence[str], baseline: Sequence[str]
) -> tuple[list[ModelScore], int]:
    """How good models are of more and more of the chosen features, and how many features suffice.

    So many are the least set that is as good as the best one. The model of the baseline comes
    first, of those of its features that the sample has.
    """
    steps = []
    measured = [name for name in baseline if name in sample.names]
    if measured:
        steps.append(ModelScore("baseline", len(measured), sample.score_model(measured)))
    metrics: dict[int, float] = {}
    for size in _list_sizes(len(chosen)):
        metrics[size] = sample.score_model(chosen[:size])
        steps.append(ModelScore(f"the first {size}", size, metrics[size]))
    return steps, _find_least_size(metrics)


def _find_least_size(metrics: Mapping[int, float]) -> int:
    """The least set that is as good as the best one."""
    least_metric = max(metrics.values()) - _TOLERANCE
    return min(size for size, metric in metrics.items() if metric >= least_metric)


def _list_sizes(chosen_count: int) -> list[int]:
    """Sizes of the sets that are measured: one feature, every tenth part, and all."""
    tenths = {round(chosen_count * part / 10) for part in range(1, 11)}
    return sorted((tenths | {1, chosen_count}) - {0})


def _to_feature(state: ColumnState, name: str, table: pa.Table) -> Doubles:
    """A column as models take it: numbers, or the codes of categories; NaN where it is missing."""
    if get_column_kind(state.type) == "number":
        return _to_numbers(table.column(name))
    binning = Binning.from_state(name, state, 2)
    codes = binning.assign_bins(table.column(name))
    return np.where(codes < binning.bin_count - 1, codes, np.nan)


def _to_numbers(column: pa.ChunkedArray) -> Doubles:
    values = to_doubles(column)
    return np.where(np.isfinite(values), values, np.nan)


def _compute_auc(predicted: Doubles, truth: Doubles) -> float:
    _, bins = np.unique(predicted, return_inverse=True)
    is_positive = truth == 1
    negatives = np.bincount(bins, weights=~is_positive)
    positives = np.bincount(bins, weights=is_positive)
    return scores.compute_roc_area(negatives, positives)


def _load_xgboost() -> Any:
    try:
        import xgboost
    except ImportError:
        raise SetupError(
            "Features are measured by models of XGBoost, which is not installed: pip install"
            " 'spark_fs[select]'"
        ) from None
    return xgboost
