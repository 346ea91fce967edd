"""Search for the features that tell of a label, among thousands of candidates, without collecting their rows.

Three looks at the rows, each on the executors: what each column is like, how all hang together, and
tables of each by the label. What is ranked then are matrices of features, in the driver. Models,
where they are asked for, are trained on a sample.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
from pyspark.sql import SparkSession

from spark_fs.base.file_systems import make_folder
from spark_fs.engine.join.strategy import choose_strategy, to_arrow_relation
from spark_fs.engine.profile import associations, column_states, contingency
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.engine.training.spill import WRITTEN_FILES_DDL, FileWriter
from spark_fs.errors import SettingsError
from spark_fs.flows import rank_candidates
from spark_fs.flows import read as flows_read
from spark_fs.flows.progress import ProgressCallback, report_progress
from spark_fs.flows.read import TableLocator
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.feature_selection import ModelScore, SelectionRequest, SelectionResult
from spark_fs.spec.feature_statistics import StatisticsConfig
from spark_fs.stats import scores
from spark_fs.stats.association import DesignMatrix
from spark_fs.stats.scores import Binning, ContingencyTables, Counts
from spark_fs.tables import dataset_files as offline
from spark_fs.tables.delta.log import resolve_file_system

SearchProgress = Callable[
    [str, int, int], None
]  # what is being done, tasks done, tasks known so far


def search_features(
    spark: SparkSession,
    plan: JoinPlan,
    locate_table: TableLocator,
    warehouse: str,
    request: SelectionRequest,
    on_progress: SearchProgress | None = None,
) -> SelectionResult:
    """The candidates among the plan's columns, ranked, eagerly; the label is one of them."""

    def make_progress(what: str) -> ProgressCallback | None:
        return (lambda done, known: on_progress(what, done, known)) if on_progress else None

    with (
        flows_read.translate_spark_errors(),
        _prepare_rows(spark, plan, locate_table, warehouse, make_progress("joining")) as rows,
    ):
        with report_progress(spark, make_progress("profiling")):
            config = StatisticsConfig(histograms=False)
            states = column_states.collect_profile(
                column_states.profile_scan(spark, rows, plan.schema, config).toArrow(),
                plan.schema,
                config,
            ).states
        task, left, out = rank_candidates.filter_candidates(states, request)
        with report_progress(spark, make_progress("correlating")):
            related = _compute_associations(
                spark,
                rows,
                {name: states[name] for name in (request.label, *left)},
                task == "classification",
                request.label,
            )
        with report_progress(spark, make_progress("counting")):
            tables = _build_tables(spark, rows, states, left, task, request)
        found = rank_candidates.rank_candidates(states, left, related, tables, task, request)
        sample = None
        if request.method == "importance" or request.evaluate or request.baseline:
            with report_progress(spark, make_progress("sampling")):
                usable = [each.feature for each in found if not each.leaks]
                columns = [request.label, *usable]
                drawn = contingency.sample_rows(
                    spark, rows, columns, request.sample, request.seed
                ).toArrow()
                sample = rank_candidates.TrainingSample.from_table(
                    contingency.collect_sample(drawn, columns), states, usable, task, request
                )
        return _choose_features(
            SelectionResult(task, states[request.label].value_count, [*found, *out]),
            sample,
            request,
        )


def _choose_features(
    result: SelectionResult,
    sample: "rank_candidates.TrainingSample | None",
    request: SelectionRequest,
) -> SelectionResult:
    """What is chosen of ranked candidates: by the importance in a model, or as many as a model is best with, where it was asked."""
    scored = list(result.candidates)
    if sample and request.method == "importance":
        scored = rank_candidates.rank_by_importance(scored, sample, request.k)
    chosen = tuple(
        each.feature
        for each in sorted(
            (s for s in scored if s.rank is not None), key=lambda each: each.rank or 0
        )
    )
    steps: list[ModelScore] = []
    if sample and (request.evaluate or request.baseline):
        steps, count = rank_candidates.evaluate_models(sample, chosen, request.baseline)
        scored = [
            (
                replace(
                    each,
                    rank=None,
                    reason=f"a model is no better with it (step of {count} features)",
                )
                if each.rank is not None and each.rank > count
                else each
            )
            for each in scored
        ]
        chosen = chosen[:count]
    ordered = sorted(
        scored,
        key=lambda each: (each.rank or 10**9, -(each.value if each.value is not None else -1.0)),
    )
    return replace(
        result,
        candidates=tuple(ordered),
        steps=tuple(steps),
        metric=sample.metric if sample else "",
        chosen=chosen,
    )


# -- the rows


@contextmanager
def _prepare_rows(
    spark: SparkSession,
    plan: JoinPlan,
    locate_table: TableLocator,
    warehouse: str,
    progress: ProgressCallback | None,
) -> Iterator[Scan]:
    """The plan's rows in files that workers read: a group's own, else those that are joined once and kept as long as the block runs."""
    sources = flows_read.list_sources(
        lambda: spark, plan, locate_table, flows_read.get_current_versions(plan, locate_table), {}
    )
    choice = choose_strategy(plan, sources)
    read = choice.scan_plans[0].scan
    if read and len(plan.nodes) == 1 and not plan.having:
        columns = tuple((output.name, output.source.column) for output in plan.outputs)
        yield replace(read, columns=columns)
        return
    folder = f"{warehouse.rstrip('/')}/selection-{uuid4().hex}"
    system, name = resolve_file_system(folder)
    make_folder(system, name)
    try:
        with report_progress(spark, progress), flows_read.open_shared_folder(spark) as shared:
            stream, finish = to_arrow_relation(spark, plan, sources, choice, shared)
            written = stream.source.mapInArrow(
                FileWriter(stream.read_tables, _JoinFinisher(finish), folder), WRITTEN_FILES_DDL
            ).collect()
        held = (
            ScanFile(each.path, parquet.get_file_size(each.path), each.rows, ()) for each in written
        )
        yield Scan.from_files(held, plan.schema)
    finally:
        offline.remove_folder(folder)


@dataclass(frozen=True)
class _JoinFinisher:
    """Joined rows in, the result's rows out, as one part."""

    finish: Callable[..., object]

    def __call__(self, table: object) -> Iterator[tuple[str, object]]:
        yield "", self.finish(table)


# -- the looks


def _compute_associations(
    spark: SparkSession, rows: Scan, states: ColumnStates, is_classification: bool, label: str
) -> "rank_candidates.Associations":
    matrix = DesignMatrix.from_states(states, (label,) if is_classification else ())
    if label not in matrix.features:
        raise SettingsError(
            f"Label {label!r} does not vary, so nothing can tell of it: choose another, or more"
            " rows."
        )
    sums = associations.collect_sums(associations.sum_scan(spark, rows, matrix).toArrow(), matrix)
    pairs = sums[3] if matrix.has_missing else np.full((len(matrix.features),) * 2, sums[2][0])
    return rank_candidates.Associations(matrix.features, matrix.compute_associations(sums), pairs)


def _build_tables(
    spark: SparkSession,
    rows: Scan,
    states: ColumnStates,
    names: Sequence[str],
    task: str,
    request: SelectionRequest,
) -> Mapping[str, Counts]:
    count = states[request.label].value_count
    bins = int(np.clip(np.sqrt(count) / 4, 4, scores.MAX_FEATURE_BINS))
    classes = task == "classification"
    label = Binning.from_state(request.label, states[request.label], scores.LABEL_BINS, classes)
    counted, parts = contingency.count_tables(
        spark,
        rows,
        ContingencyTables(
            label, tuple(Binning.from_state(name, states[name], bins) for name in names)
        ),
    )
    return contingency.collect_tables(counted.toArrow(), parts)
