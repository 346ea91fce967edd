"""Build the rows of training data: join at fixed Delta versions, split, fit, transform.

They come in memory, or are written as files by the tasks that join them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pyarrow as pa

from spark_fs.engine.engines import Engines
from spark_fs.engine.join.execution import JoinedRows, to_arrow_relation
from spark_fs.engine.join.strategy import ExecutionPlan, choose_strategy
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.engine.training import splits
from spark_fs.engine.training.in_memory import build_splits
from spark_fs.engine.training.spill import (
    SpilledRows,
    SpillFirst,
    TransformNow,
    WrittenFile,
    combine_partials,
    write_files,
)
from spark_fs.engine.training.transform_rows import DatasetTransform
from spark_fs.flows import fit, read
from spark_fs.flows.dataset_rows import SplitTables
from spark_fs.flows.jobs import Job
from spark_fs.flows.read import Frames, TableLocator
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan
from spark_fs.spec.names import GroupRef
from spark_fs.spec.training_dataset import FilesSpec
from spark_fs.tables import arrow_dataset_files, dataset_files
from spark_fs.transform.states import State

T = TypeVar("T")


@dataclass(frozen=True)
class ChosenJoin:
    """A join, how it is run, and what runs its tasks."""

    runner: Runner
    plan: JoinPlan
    sources: Sequence[NodeSource]
    execution: ExecutionPlan

    def to_relation(self, shared_folder: str | None = None) -> JoinedRows:
        """The joined rows as tables* of the tasks, and the function that finishes each.

        The folder, where there is one, is kept until they were read.
        """
        return to_arrow_relation(
            self.runner, self.plan, self.sources, self.execution, shared_folder
        )

    def collect(self) -> pa.Table:
        """The joined rows, eagerly, in no order."""
        return read.collect_rows(self.runner, self.plan, self.sources, self.execution)


@dataclass(frozen=True)
class JoinInput:
    """Where joined rows come from: a plan, its tables at fixed versions, and a spine's rows."""

    engines: Engines
    plan: JoinPlan
    locate_table: TableLocator
    versions: Mapping[GroupRef, int]
    frames: Frames

    def run(self, work: Callable[[ChosenJoin], T], need_of_spark: str | None = None) -> T:
        """What a function makes of the join, by the engine that suits it, eagerly.

        Args:
            work: Takes the join; it may be called twice, as by ``Engines.run``.
            need_of_spark: Why Spark alone can take the joined rows; None: either engine can.
        """
        sources = self._list_sources()
        execution = choose_strategy(self.plan, sources)
        choice = read.choose_engine(self.engines, self.plan, execution, need_of_spark)

        def work_by(runner: Runner) -> T:
            return work(ChosenJoin(runner, self.plan, sources, execution))

        return self.engines.run(choice, work_by)

    def choose_spark(self) -> ChosenJoin:
        """The join as Spark runs it."""
        sources = self._list_sources()
        execution = choose_strategy(self.plan, sources)
        return ChosenJoin(self.engines.get_runner("spark"), self.plan, sources, execution)

    def _list_sources(self) -> list[NodeSource]:
        return read.list_sources(
            self.engines.get_spark, self.plan, self.locate_table, self.versions, self.frames
        )


# -- in memory


def build_in_memory(
    join_input: JoinInput, transform: DatasetTransform
) -> tuple[SplitTables, list[State]]:
    """The finished rows of each split in canonical order, and the states, eagerly.

    The states are what the transformations learned of the train split.
    """
    tables, fitted = build_splits(join_input.run(ChosenJoin.collect), transform)
    return tables, _list_states(fitted)


def _list_states(transform: DatasetTransform) -> list[State]:
    return [transformation.state or {} for transformation in transform.transformer.transformations]


# -- as files


def build_files(
    join_input: JoinInput, transform: DatasetTransform, files: FilesSpec
) -> tuple[Job, dict[str, int], list[State]]:
    """Write the finished rows, eagerly; when it fails the folder is not there.

    Returns:
        The job, the number of rows of each split, and what each transformation learned.

    Raises:
        SchemaError: The format cannot hold a column.
    """
    dataset_files.check_types(files, transform.schema)
    need_of_spark = arrow_dataset_files.explain_need_of_spark(files, transform.schema)

    def write(join: ChosenJoin) -> tuple[Job, dict[str, int], list[State]]:
        return _write_files(join, transform, files)

    return join_input.run(write, need_of_spark)


def _write_files(
    join: ChosenJoin, transform: DatasetTransform, files: FilesSpec
) -> tuple[Job, dict[str, int], list[State]]:
    """Write the rows of a join, eagerly, at once or after they waited for what all of them tell."""
    runner = join.runner
    with (
        runner.translate_errors(),
        runner.open_shared_folder() as shared_folder,
        dataset_files.stage_folder(files.location, transform.parts, files.parts) as staged,
    ):
        joined = join.to_relation(shared_folder)
        if _can_write_at_once(transform, files, runner):
            written = _write_at_once(joined, transform, files, staged.staging_path)
        else:
            default_folder = shared_folder or staged.spill_path
            with _open_spill_folder(runner, default_folder) as spill_folder:
                spilled, noticed = _spill_rows(joined, transform, spill_folder)
                transform = fit.fit_spilled_rows(spilled, transform, noticed)
                written = _write_splits(spilled, transform, files, staged.staging_path)
        written_paths = [file.path for file in written if file.path]
        file_count = staged.publish(written_paths or None)
    row_counts = Counter(dict.fromkeys(transform.parts, 0))
    for file in written:
        row_counts[file.part] += file.rows
    summary = {"rows": sum(row_counts.values()), "files": file_count}
    job = Job("create_training_data", summary)
    return job, dict(row_counts), _list_states(transform)


@contextmanager
def _open_spill_folder(runner: Runner, default_folder: str) -> Iterator[str]:
    """A folder for rows that wait.

    Threads of this process spill to a disk of this machine, wherever the files are to go.
    """
    if runner.name == "spark":
        yield default_folder
        return
    with TemporaryDirectory(prefix="spark_fs-", ignore_cleanup_errors=True) as folder:
        yield folder


def _can_write_at_once(transform: DatasetTransform, files: FilesSpec, runner: Runner) -> bool:
    """Whether the tasks that join write the files: nothing must be known of all rows first."""
    if transform.random_split is not None or transform.needs_fit:
        return False
    return _is_written_by_tasks(files, runner) and not files.coalesce


def _is_written_by_tasks(files: FilesSpec, runner: Runner) -> bool:
    """Whether tasks write the files themselves; else Spark's writer does."""
    if files.format == "parquet":
        return not files.options
    return runner.name == "local"


def _write_at_once(
    joined: JoinedRows, transform: DatasetTransform, files: FilesSpec, folder: str
) -> list[WrittenFile]:
    """Write the finished rows by the tasks that join them, eagerly; returns the files."""
    relation, finish = joined
    return write_files(relation, TransformNow(finish, transform), folder, files.format)


def _spill_rows(
    joined: JoinedRows, transform: DatasetTransform, folder: str
) -> tuple[SpilledRows, Any]:
    """Spill the joined rows, eagerly; returns them and what was aggregated on the way."""
    relation, finish = joined
    aggregate = fit.choose_aggregate(transform)
    spill = SpillFirst(finish, transform)
    spilled_files = write_files(relation, spill, folder, "arrow", aggregate)
    noticed = None
    if aggregate:
        noticed = combine_partials((file.notice for file in spilled_files), aggregate[1])
    paths = sorted(file.path for file in spilled_files)
    return SpilledRows(relation.source.runner, tuple(paths)), noticed


def _write_splits(
    spilled: SpilledRows, transform: DatasetTransform, files: FilesSpec, folder: str
) -> list[WrittenFile]:
    """Write the spilled rows, eagerly; returns the files, or one a split where Spark names none."""
    if not spilled.paths:
        return []
    if _is_written_by_tasks(files, spilled.runner):
        return spilled.write_files(transform, folder, files.coalesce, files.format)
    from spark_fs.engine.spark_runner import get_frame
    from spark_fs.tables import spark_dataset_files

    row_counts = _count_rows(spilled, transform)
    written = []
    for part in transform.parts:
        frame = get_frame(spilled.select_split(transform, part, files.coalesce))
        spark_dataset_files.write_dataset(frame, files, f"{folder}/{part}")
        written.append(WrittenFile("", part, row_counts[part]))
    return written


def _count_rows(spilled: SpilledRows, transform: DatasetTransform) -> Counter[str]:
    """The rows of each split, eagerly, by the columns that tell the split and one more."""
    one_input = list(transform.transformer.inputs)[:1]
    columns = [splits.HASH_COLUMN, SPLIT_COLUMN, *one_input]
    count_rows = partial(_count_split_rows, transform)
    row_counts: Counter[str] = spilled.aggregate_rows(count_rows, _sum_counters, columns)
    return row_counts


def _count_split_rows(transform: DatasetTransform, table: pa.Table) -> Counter[str]:
    return Counter({part: piece.num_rows for part, piece in transform.split_rows(table)})


def _sum_counters(counts: Sequence[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())
