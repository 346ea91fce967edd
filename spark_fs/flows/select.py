"""Search thousands of candidates for features that predict a label, without collecting their rows.

Tasks read the rows three times: for the state of each column, for how all correlate, and for tables
of each by the label. What is ranked then are matrices of features, in this process.
Models, where they are asked for, are trained on a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from spark_fs.engine.engines import Engines
from spark_fs.engine.runner import ProgressCallback, Runner
from spark_fs.flows import evaluate_models, rank_candidates
from spark_fs.flows.candidate_rows import CandidateJoin, CandidateRows
from spark_fs.flows.evaluate_models import TrainingSample
from spark_fs.flows.progress import report_progress
from spark_fs.flows.read import TableLocator
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.feature_selection import (
    CandidateScore,
    ModelScore,
    SelectionRequest,
    SelectionResult,
)

# what is being done, tasks done, tasks known so far
SearchProgress = Callable[[str, int, int], None]
_UNRANKED = 10**9  # sorts behind every rank


def search_features(
    engines: Engines,
    plan: JoinPlan,
    locate_table: TableLocator,
    warehouse: str,
    request: SelectionRequest,
    on_progress: SearchProgress | None = None,
) -> SelectionResult:
    """Rank the candidates among the plan's columns, eagerly; the label is one of these.

    Args:
        engines: What may read the rows.
        plan: What is read.
        locate_table: Where the table of a group is.
        warehouse: The folder in which joined rows are kept while they are read.
        request: What is searched for.
        on_progress: Called with what is being done and the numbers of tasks done and known.

    Raises:
        SettingsError: The label cannot be predicted, or no candidate is left.
        SetupError: XGBoost is needed and not installed.
    """
    join = CandidateJoin.from_plan(engines, plan, locate_table)
    return engines.run(
        join.choice, lambda runner: _search_rows(runner, join, warehouse, request, on_progress)
    )


def _search_rows(
    runner: Runner,
    join: CandidateJoin,
    warehouse: str,
    request: SelectionRequest,
    on_progress: SearchProgress | None,
) -> SelectionResult:
    """Rank the candidates among joined rows, eagerly."""

    def make_progress(what: str) -> ProgressCallback | None:
        if on_progress is None:
            return None
        return lambda done, known: on_progress(what, done, known)

    with (
        runner.translate_errors(),
        join.open_scan(runner, warehouse, make_progress("joining")) as scan,
    ):
        rows = CandidateRows(scan, join.types)
        with report_progress(runner, make_progress("profiling")) as tasks:
            states = rows.profile_columns(tasks)
        task, names, excluded = rank_candidates.filter_candidates(states, request)
        with report_progress(runner, make_progress("correlating")) as tasks:
            associations = rows.compute_associations(tasks, states, names, task, request.label)
        with report_progress(runner, make_progress("counting")) as tasks:
            tables = rows.build_tables(tasks, states, names, task, request)
        candidates = rank_candidates.rank_candidates(
            states, names, associations, tables, task, request
        )
        sample = None
        if _needs_models(request):
            with report_progress(runner, make_progress("sampling")) as tasks:
                sample = rows.draw_sample(tasks, states, candidates, task, request)
        row_count = states[request.label].value_count
        result = SelectionResult(task, row_count, [*candidates, *excluded])
        return _choose_features(result, sample, request)


def _needs_models(request: SelectionRequest) -> bool:
    return request.method == "importance" or request.evaluate or bool(request.baseline)


def _choose_features(
    result: SelectionResult, sample: TrainingSample | None, request: SelectionRequest
) -> SelectionResult:
    """The result with what is chosen of its ranked candidates.

    With a sample they are ranked by their importance in a model, or as many are chosen as a model
    is best with, where that was asked.
    """
    candidates = list(result.candidates)
    if sample and request.method == "importance":
        candidates = evaluate_models.rank_by_importance(candidates, sample, request.k)
    chosen = _list_chosen(candidates)
    steps: list[ModelScore] = []
    if sample and (request.evaluate or request.baseline):
        steps, count = evaluate_models.evaluate_models(sample, chosen, request.baseline)
        chosen = chosen[:count]
        candidates = _unrank_beyond(candidates, count)
    ordered = tuple(sorted(candidates, key=_get_sort_key))
    metric = sample.metric if sample else ""
    return replace(result, candidates=ordered, steps=tuple(steps), metric=metric, chosen=chosen)


def _list_chosen(candidates: Sequence[CandidateScore]) -> tuple[str, ...]:
    """The names of the candidates with a rank, by it."""
    ranked = [candidate for candidate in candidates if candidate.rank is not None]
    ranked.sort(key=lambda candidate: candidate.rank or 0)
    return tuple(candidate.feature for candidate in ranked)


def _unrank_beyond(candidates: Sequence[CandidateScore], count: int) -> list[CandidateScore]:
    """The candidates, without the ranks beyond so many features."""
    reason = f"a model is no better with it (step of {count} features)"
    result = []
    for candidate in candidates:
        if candidate.rank is not None and candidate.rank > count:
            candidate = replace(candidate, rank=None, reason=reason)
        result.append(candidate)
    return result


def _get_sort_key(candidate: CandidateScore) -> tuple[int, float]:
    value = -1.0 if candidate.value is None else candidate.value
    return candidate.rank or _UNRANKED, -value
