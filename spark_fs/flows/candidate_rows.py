"""Rows that features are selected from: joined once into files, and what tasks learn of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from spark_fs.base.file_systems import make_folder, open_output, resolve_file_system
from spark_fs.engine.engines import EngineChoice, Engines
from spark_fs.engine.join.columnar import TableFunction
from spark_fs.engine.join.execution import to_arrow_relation
from spark_fs.engine.join.strategy import ExecutionPlan, choose_strategy
from spark_fs.engine.profile import associations, column_states, contingency
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.engine.profile.sample import collect_sample, sample_rows
from spark_fs.engine.profile.tasks import RowBlocks, ScanBlocks
from spark_fs.engine.runner import ProgressCallback, Runner
from spark_fs.engine.scan import parquet, parquet_files
from spark_fs.engine.scan.parquet import Scan, ScanFile
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.engine.training.row_order import compute_row_order
from spark_fs.engine.training.spill import write_files
from spark_fs.errors import SettingsError
from spark_fs.flows import read as flows_read
from spark_fs.flows.evaluate_models import TrainingSample
from spark_fs.flows.progress import report_progress
from spark_fs.flows.rank_candidates import Associations
from spark_fs.flows.read import TableLocator
from spark_fs.planning.plan import JoinPlan
from spark_fs.spec.feature_selection import CandidateScore, SelectionRequest, Task
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

_MIN_FEATURE_BINS = 4
_MAX_ORDERED_BYTES = 256 << 20  # bytes of files with joined rows that this process puts in order


@dataclass(frozen=True)
class CandidateJoin:
    """The rows of a plan, and how and by which engine they are joined.

    plan: what is joined, with the identity of the rows, which they are put in order by. types:
    the columns that are searched, with their types.
    """

    plan: JoinPlan
    types: Mapping[str, str]
    sources: Sequence[NodeSource]
    execution: ExecutionPlan
    choice: EngineChoice

    @classmethod
    def from_plan(
        cls, engines: Engines, plan: JoinPlan, locate_table: TableLocator
    ) -> CandidateJoin:
        """The rows as they are now."""
        versions = flows_read.get_current_versions(plan, locate_table)
        with_identity = plan.with_identity()
        sources = flows_read.list_sources(
            engines.get_spark, with_identity, locate_table, versions, {}
        )
        execution = choose_strategy(with_identity, sources)
        choice = flows_read.choose_engine(engines, with_identity, execution)
        return cls(with_identity, dict(plan.schema), sources, execution, choice)

    @contextmanager
    def open_scan(
        self, runner: Runner, warehouse: str, progress: ProgressCallback | None
    ) -> Iterator[Scan]:
        """The rows in files that tasks read.

        They are a group's own, or those of rows that are joined once and kept in a folder of the
        warehouse while the block runs.
        """
        scan_plan = self.execution.scan_plans[0]
        scan = scan_plan.scan if scan_plan.is_plain else None
        if scan and len(self.plan.nodes) == 1 and not self.plan.having:
            columns = []
            for output in self.plan.outputs:
                if output.name in self.types:
                    columns.append((output.name, output.source.column))
            yield replace(scan, columns=tuple(columns))
            return
        folder = f"{warehouse.rstrip('/')}/selection-{uuid4().hex}"
        file_system, folder_path = resolve_file_system(folder)
        make_folder(file_system, folder_path)
        try:
            with report_progress(runner, progress) as tasks:
                paths = self._write_files(tasks, folder)
            files = []
            for path, row_count in paths.items():
                files.append(ScanFile(path, parquet_files.get_file_size(path), row_count, ()))
            yield Scan.from_files(_order_files(files, self.plan, folder), self.types)
        finally:
            dataset_files.remove_folder(folder)

    def _write_files(self, runner: Runner, folder: str) -> dict[str, int]:
        """Join the rows into files of a folder, eagerly; returns the rows of each."""
        with runner.open_shared_folder() as shared_folder:
            relation, finish = to_arrow_relation(
                runner, self.plan, self.sources, self.execution, shared_folder
            )
            written_files = write_files(relation, _JoinFinisher(finish), folder)
        return {file.path: file.rows for file in written_files}


@dataclass(frozen=True)
class _JoinFinisher:
    """Joined rows in, the result's rows out, as one part."""

    finish: TableFunction

    def __call__(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        yield "", self.finish(table)


def _order_files(files: Sequence[ScanFile], plan: JoinPlan, folder: str) -> list[ScanFile]:
    """The files, or one of their rows in order where they are few.

    So few rows lie in the same order whichever engine joined them, and whatever follows from them
    is the same bits.
    """
    if not files or sum(file.bytes for file in files) > _MAX_ORDERED_BYTES:
        return list(files)
    rows = pa.concat_tables(parquet.iter_tables(Scan.from_files(files, plan.schema)))
    order = compute_row_order(rows, plan.ordered_names)
    path = f"{folder}/{uuid4().hex}.parquet"
    system, name = resolve_file_system(path)
    with open_output(system, name) as sink:
        pq.write_table(rows.take(pa.array(order)), sink, compression="none")
    return [ScanFile(path, parquet_files.get_file_size(path), rows.num_rows, ())]


# -- what is read of the rows


@dataclass(frozen=True)
class CandidateRows:
    """Rows of the label and the candidates, in files, and what looks at them."""

    scan: Scan
    types: Mapping[str, str]

    def _cut_blocks(self, column_count: int, min_rows: int) -> RowBlocks:
        return ScanBlocks.from_scan(self.scan, column_count, min_rows)

    def profile_columns(self, runner: Runner) -> ColumnStates:
        """The states of the columns, eagerly."""
        config = StatisticsConfig(histograms=False)
        blocks = self._cut_blocks(len(self.types), column_states.FOLD_ROWS)
        states = column_states.profile_blocks(runner, blocks, self.types, config)
        return column_states.collect_profile(states.collect(), self.types, config).states

    def compute_associations(
        self,
        runner: Runner,
        states: ColumnStates,
        names: Sequence[str],
        task: Task,
        label: str,
    ) -> Associations:
        """The associations of label and candidates, eagerly.

        SettingsError for a constant label.
        """
        numbers_as_classes = (label,) if task == "classification" else ()
        label_and_candidates = {name: states[name] for name in (label, *names)}
        matrix = DesignMatrix.from_states(label_and_candidates, numbers_as_classes)
        if label not in matrix.features:
            raise SettingsError(
                f"Label {label!r} does not vary, so nothing can predict it: choose another, or"
                " more rows."
            )
        blocks = self._cut_blocks(1, associations.BLOCK_ROWS)
        partial_sums = associations.sum_blocks(runner, blocks, matrix).collect()
        sums = associations.collect_sums(partial_sums, matrix)
        if matrix.has_missing:
            pair_counts = sums[3]
        else:
            pair_counts = np.full((len(matrix.features),) * 2, sums[2][0])
        return Associations(matrix.features, matrix.compute_associations(sums), pair_counts)

    def build_tables(
        self,
        runner: Runner,
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
        blocks = self._cut_blocks(len(names), column_states.FOLD_ROWS)
        counted, parts = contingency.count_tables(runner, blocks, tables)
        return contingency.collect_tables(counted.collect(), parts)

    def draw_sample(
        self,
        runner: Runner,
        states: ColumnStates,
        candidates: Sequence[CandidateScore],
        task: Task,
        request: SelectionRequest,
    ) -> TrainingSample:
        """Sampled rows of the label and the candidates that do not leak, eagerly."""
        names = [candidate.feature for candidate in candidates if not candidate.leaks]
        columns = [request.label, *names]
        drawn = sample_rows(runner, self.scan, columns, request.sample, request.seed)
        table = collect_sample(drawn.collect(), columns)
        return TrainingSample.from_table(table, states, names, task, request)
