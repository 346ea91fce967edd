"""Build the rows of training data: join at fixed Delta versions, split, fit, transform.

They come in memory, or are written as files by the tasks that join them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.pandas_frames import to_pandas
from spark_fs.engine.join.execution import JoinedRows, to_arrow_relation
from spark_fs.engine.join.spark_execution import to_dataframe
from spark_fs.engine.join.strategy import choose_strategy
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.engine.spark_runner import SparkRunner, get_frame
from spark_fs.engine.training import splits
from spark_fs.engine.training.in_memory import build_splits, sort_rows
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
from spark_fs.flows.jobs import Job
from spark_fs.flows.read import Frames, TableLocator
from spark_fs.flows.spark_reads import translate_spark_errors
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan
from spark_fs.spec.names import GroupRef
from spark_fs.spec.training_dataset import FilesSpec
from spark_fs.tables import dataset_files, spark_dataset_files
from spark_fs.transform.states import State

SplitTables = dict[str, pa.Table]


@dataclass(frozen=True)
class JoinInput:
    """Where joined rows come from: a plan, its tables at fixed versions, and a spine's frame."""

    spark: SparkSession
    plan: JoinPlan
    locate_table: TableLocator
    versions: Mapping[GroupRef, int]
    frames: Frames

    @property
    def runner(self) -> Runner:
        """What runs the join."""
        return SparkRunner(self.spark)

    def list_sources(self) -> list[NodeSource]:
        """How the rows of each node are found."""
        return read.list_sources(
            lambda: self.spark, self.plan, self.locate_table, self.versions, self.frames
        )

    def to_frame(self, sources: Sequence[NodeSource], shared_folder: str | None) -> DataFrame:
        """The joined rows*; the folder, where there is one, is kept until they were read."""
        strategy = choose_strategy(self.plan, sources)
        return to_dataframe(self.runner, self.plan, sources, strategy, shared_folder)

    def to_relation(
        self, sources: Sequence[NodeSource], shared_folder: str | None = None
    ) -> JoinedRows:
        """The joined rows as tables* of the workers, and the function that finishes each."""
        strategy = choose_strategy(self.plan, sources)
        return to_arrow_relation(self.runner, self.plan, sources, strategy, shared_folder)


# -- in memory


def build_in_memory(
    join_input: JoinInput, transform: DatasetTransform
) -> tuple[SplitTables, list[State]]:
    """The finished rows of each split in canonical order, and the states, eagerly.

    The states are what the transformations learned of the train split.
    """
    sources = join_input.list_sources()
    runner = join_input.runner
    with runner.translate_errors(), runner.open_shared_folder() as folder:
        joined: pa.Table = join_input.to_frame(sources, folder).toArrow()
    tables, fitted = build_splits(joined, transform)
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
    sources = join_input.list_sources()
    runner = join_input.runner
    with (
        runner.translate_errors(),
        runner.open_shared_folder() as shared_folder,
        dataset_files.stage_folder(files.location, transform.parts, files.parts) as staged,
    ):
        joined = join_input.to_relation(sources, shared_folder)
        if _can_write_at_once(transform, files):
            written = _write_at_once(joined, transform, staged.staging_path)
        else:
            spill_folder = shared_folder or staged.spill_path
            spilled, noticed = _spill_rows(joined, transform, spill_folder)
            transform = fit.fit_spilled_rows(spilled, transform, noticed)
            written = _write_splits(spilled, transform, files, staged.staging_path)
        written_paths = None
        if written and files.format == "parquet":
            written_paths = [file.path for file in written]
        file_count = staged.publish(written_paths)
    row_counts = Counter(dict.fromkeys(transform.parts, 0))
    for file in written:
        row_counts[file.part] += file.rows
    summary = {"rows": sum(row_counts.values()), "files": file_count}
    job = Job("create_training_data", summary)
    return job, dict(row_counts), _list_states(transform)


def _can_write_at_once(transform: DatasetTransform, files: FilesSpec) -> bool:
    """Whether the tasks that join write the files: nothing must be known of all rows first."""
    if transform.random_split is not None or transform.needs_fit:
        return False
    return files.format == "parquet" and not files.coalesce


def _write_at_once(
    joined: JoinedRows, transform: DatasetTransform, folder: str
) -> list[WrittenFile]:
    """Write the finished rows by the tasks that join them, eagerly; returns the files."""
    relation, finish = joined
    return write_files(relation, TransformNow(finish, transform), folder)


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
    if files.format == "parquet" and not files.options:
        return spilled.write_files(transform, folder, files.coalesce)
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


# -- rows out


def read_splits(
    spark: SparkSession,
    transform: DatasetTransform,
    files: FilesSpec,
    dataframe_type: str,
    may_repeat: bool,
) -> dict[str, Any]:
    """The rows of each split in canonical order, as Spark's DataFrames* or eagerly as pandas.

    Args:
        spark: The session that reads.
        transform: How the rows were made.
        files: Where they are.
        dataframe_type: "spark" or "pandas".
        may_repeat: Whether rows may have one identity; Spark's frames are then ordered by all
            columns that it can sort.
    """
    frames = read_split_frames(spark, transform, files)
    if dataframe_type == "spark":
        sort_columns = [f"`{name}`" for name in _list_sort_columns(transform, may_repeat)]
        return {part: frame.orderBy(*sort_columns) for part, frame in frames.items()}
    sorted_frames = {}
    for part, frame in frames.items():
        with translate_spark_errors():
            table = frame.toArrow()
        sorted_frames[part] = to_pandas(sort_rows(table, transform))
    return sorted_frames


def _list_sort_columns(transform: DatasetTransform, may_repeat: bool) -> list[str]:
    columns = list(transform.identity)
    if may_repeat:
        for name, type_ in transform.schema.items():
            if name not in transform.identity and "map<" not in type_:
                columns.append(name)
    return columns


def read_split_frames(
    spark: SparkSession, transform: DatasetTransform, files: FilesSpec
) -> dict[str, DataFrame]:
    """The rows of each split that lie in files*, in no order."""
    schema = transform.schema
    return {
        part: spark_dataset_files.read_dataset(spark, files, part, schema)
        for part in transform.parts
    }
