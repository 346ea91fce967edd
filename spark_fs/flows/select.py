"""Search thousands of candidates for features that predict a label, without collecting their rows.

The executors read the rows three times: for the state of each column, for how all correlate, and
for tables of each by the label. What is ranked then are matrices of features, in the driver.
Models, where they are asked for, are trained on a sample.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession

from spark_fs.base.file_systems import make_folder, resolve_file_system
from spark_fs.engine.join.columnar import TableFunction
from spark_fs.engine.join.execution import to_arrow_relation
from spark_fs.engine.join.strategy import choose_strategy
from spark_fs.engine.profile import associations, column_states, contingency
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.engine.profile.sample import collect_sample, sample_rows
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.engine.spark_runner import SparkRunner
from spark_fs.engine.training.spill import write_files
from spark_fs.errors import SettingsError
from spark_fs.flows import evaluate_models, rank_candidates
from spark_fs.flows import read as flows_read
from spark_fs.flows.evaluate_models import TrainingSample
from spark_fs.flows.progress import ProgressCallback, report_progress
from spark_fs.flows.rank_candidates import Associations
from spark_fs.flows.read import TableLocator
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.feature_selection import (
    CandidateScore,
    ModelScore,
    SelectionRequest,
    SelectionResult,
    Task,
)
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.stats.association import DesignMatrix
from spark_fs.stats.binning import (
    LABEL_BINS,
    MAX_FEATURE_BINS,
    Binning,
    ContingencyTables,
    Counts,
)
from spark_fs.tables import dataset_files

# what is being done, tasks done, tasks known so far
SearchProgress = Callable[[str, int, int], None]
_UNRANKED = 10**9  # sorts behind every rank
_MIN_FEATURE_BINS = 4


def search_features(
    spark: SparkSession,
    plan: JoinPlan,
    locate_table: TableLocator,
    warehouse: str,
    request: SelectionRequest,
    on_progress: SearchProgress | None = None,
) -> SelectionResult:
    """Rank the candidates among the plan's columns, eagerly; the label is one of these.

    Args:
        spark: The session whose executors read the rows.
        plan: What is read.
        locate_table: Where the table of a group is.
        warehouse: The folder in which joined rows are kept while they are read.
        request: What is searched for.
        on_progress: Called with what is being done and the numbers of tasks done and known.

    Raises:
        SettingsError: The label cannot be predicted, or no candidate is left.
        SetupError: XGBoost is needed and not installed.
    """

    def make_progress(what: str) -> ProgressCallback | None:
        if on_progress is None:
            return None
        return lambda done, known: on_progress(what, done, known)

    with (
        SparkRunner(spark).translate_errors(),
        _prepare_rows(spark, plan, locate_table, warehouse, make_progress("joining")) as rows,
    ):
        with report_progress(spark, make_progress("profiling")):
            states = _profile_columns(spark, rows, plan)
        task, names, excluded = rank_candidates.filter_candidates(states, request)
        with report_progress(spark, make_progress("correlating")):
            associations = _compute_associations(spark, rows, states, names, task, request.label)
        with report_progress(spark, make_progress("counting")):
            tables = _build_tables(spark, rows, states, names, task, request)
        candidates = rank_candidates.rank_candidates(
            states, names, associations, tables, task, request
        )
        sample = None
        if _needs_models(request):
            with report_progress(spark, make_progress("sampling")):
                sample = _draw_sample(spark, rows, states, candidates, task, request)
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


# -- the rows


@contextmanager
def _prepare_rows(
    spark: SparkSession,
    plan: JoinPlan,
    locate_table: TableLocator,
    warehouse: str,
    progress: ProgressCallback | None,
) -> Iterator[Scan]:
    """The plan's rows in files that workers read.

    They are a group's own, or those of rows that are joined once and kept while the block runs.
    """
    versions = flows_read.get_current_versions(plan, locate_table)
    sources = flows_read.list_sources(lambda: spark, plan, locate_table, versions, {})
    strategy = choose_strategy(plan, sources)
    scan = strategy.scan_plans[0].scan
    if scan and len(plan.nodes) == 1 and not plan.having:
        columns = tuple((output.name, output.source.column) for output in plan.outputs)
        yield replace(scan, columns=columns)
        return
    folder = f"{warehouse.rstrip('/')}/selection-{uuid4().hex}"
    file_system, folder_path = resolve_file_system(folder)
    runner = SparkRunner(spark)
    make_folder(file_system, folder_path)
    try:
        with (
            report_progress(spark, progress),
            runner.open_shared_folder() as shared_folder,
        ):
            relation, finish = to_arrow_relation(runner, plan, sources, strategy, shared_folder)
            written_files = write_files(relation, _JoinFinisher(finish), folder)
        files = []
        for file in written_files:
            file_size = parquet.get_file_size(file.path)
            files.append(ScanFile(file.path, file_size, file.rows, ()))
        yield Scan.from_files(files, plan.schema)
    finally:
        dataset_files.remove_folder(folder)


@dataclass(frozen=True)
class _JoinFinisher:
    """Joined rows in, the result's rows out, as one part."""

    finish: TableFunction

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        yield "", self.finish(table)


# -- what is read of the rows


def _profile_columns(spark: SparkSession, rows: Scan, plan: JoinPlan) -> ColumnStates:
    config = StatisticsConfig(histograms=False)
    partial_states = column_states.profile_scan(SparkRunner(spark), rows, plan.schema, config)
    profile = column_states.collect_profile(partial_states.collect(), plan.schema, config)
    return profile.states


def _compute_associations(
    spark: SparkSession,
    rows: Scan,
    states: ColumnStates,
    names: Sequence[str],
    task: Task,
    label: str,
) -> Associations:
    """The associations of label and candidates, eagerly; SettingsError for a constant label."""
    numbers_as_classes = (label,) if task == "classification" else ()
    label_and_candidates = {name: states[name] for name in (label, *names)}
    matrix = DesignMatrix.from_states(label_and_candidates, numbers_as_classes)
    if label not in matrix.features:
        raise SettingsError(
            f"Label {label!r} does not vary, so nothing can predict it: choose another, or more"
            " rows."
        )
    partial_sums = associations.sum_scan(SparkRunner(spark), rows, matrix).collect()
    sums = associations.collect_sums(partial_sums, matrix)
    if matrix.has_missing:
        pair_counts = sums[3]
    else:
        pair_counts = np.full((len(matrix.features),) * 2, sums[2][0])
    return Associations(matrix.features, matrix.compute_associations(sums), pair_counts)


def _build_tables(
    spark: SparkSession,
    rows: Scan,
    states: ColumnStates,
    names: Sequence[str],
    task: Task,
    request: SelectionRequest,
) -> Mapping[str, Counts]:
    """The contingency table of each candidate with the label, eagerly."""
    label_state = states[request.label]
    bins_for_rows = np.sqrt(label_state.value_count) / 4
    bin_count = int(np.clip(bins_for_rows, _MIN_FEATURE_BINS, MAX_FEATURE_BINS))
    is_classification = task == "classification"
    label = Binning.from_state(request.label, label_state, LABEL_BINS, is_classification)
    features = tuple(Binning.from_state(name, states[name], bin_count) for name in names)
    tables = ContingencyTables(label, features)
    counted, parts = contingency.count_tables(SparkRunner(spark), rows, tables)
    return contingency.collect_tables(counted.collect(), parts)


def _draw_sample(
    spark: SparkSession,
    rows: Scan,
    states: ColumnStates,
    candidates: Sequence[CandidateScore],
    task: Task,
    request: SelectionRequest,
) -> TrainingSample:
    """Sampled rows of the label and the candidates that do not leak, eagerly."""
    names = [candidate.feature for candidate in candidates if not candidate.leaks]
    columns = [request.label, *names]
    drawn = sample_rows(SparkRunner(spark), rows, columns, request.sample, request.seed)
    table = collect_sample(drawn.collect(), columns)
    return TrainingSample.from_table(table, states, names, task, request)
