"""Training datasets: joined at fixed Delta versions, split, fitted on the train split, transformed; in memory or as files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base import arrow_types
from spark_fs.base.pandas_frames import to_pandas
from spark_fs.engine.join.shuffle import Hashes
from spark_fs.engine.join.strategy import choose_strategy, to_arrow_relation, to_dataframe
from spark_fs.engine.training import splits
from spark_fs.engine.training.spill import (
    WRITTEN_FILES_DDL,
    Aggregate,
    FileWriter,
    SpilledRows,
    SpillFirst,
    TransformNow,
    build_split_frame,
    combine_partials,
)
from spark_fs.engine.training.transform_rows import (
    DatasetTransform,
    FeatureProfiles,
    merge_profiles,
)
from spark_fs.errors import SettingsError
from spark_fs.flows import read
from spark_fs.flows.jobs import Job
from spark_fs.flows.read import Frames, TableLocator
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan
from spark_fs.spec.query import GroupRef
from spark_fs.spec.training_dataset import FilesSpec, RandomSplit
from spark_fs.tables import dataset_files as offline
from spark_fs.transform.builtin import State

SplitTables = dict[str, pa.Table]


@dataclass(frozen=True)
class JoinInput:
    """Where joined rows come from: the plan, where its tables are and at which versions, and the frame of a spine."""

    spark: SparkSession
    plan: JoinPlan
    locate_table: TableLocator
    versions: Mapping[GroupRef, int]
    frames: Frames

    def list_sources(self) -> list[Any]:
        """How the rows of each node are found."""
        return read.list_sources(
            lambda: self.spark, self.plan, self.locate_table, self.versions, self.frames
        )


def build_in_memory(
    join_input: JoinInput, recipe: DatasetTransform
) -> tuple[SplitTables, list[State]]:
    """The finished rows of each split, eagerly, in canonical order, and what the transformations learned of the train split."""
    sources = join_input.list_sources()
    with read.translate_spark_errors(), read.open_shared_folder(join_input.spark) as folder:
        joined: pa.Table = to_dataframe(
            join_input.spark,
            join_input.plan,
            sources,
            choose_strategy(join_input.plan, sources),
            folder,
        ).toArrow()
    table = recipe.drop_null_labels(joined)
    table = table.take(pa.array(splits.compute_row_order(table, list(recipe.identity))))
    parts = (
        splits.split_table(table, recipe.random_split, recipe.identity)
        if recipe.random_split
        else dict(recipe.split_rows(table))
    )
    if recipe.transformer.needs_fit and not recipe.transformer.is_fitted:
        train = parts[recipe.parts[0]]
        profiles = recipe.profile_features(train)
        recipe = _with_states(
            recipe,
            recipe.fit_states(
                profiles, recipe.select_near_quartiles(train, recipe.find_quartile_cells(profiles))
            ),
        )
    return {part: recipe.transform_rows(parts[part]) for part in recipe.parts}, _list_states(recipe)


def build_files(
    join_input: JoinInput, recipe: DatasetTransform, files: FilesSpec
) -> tuple[Job, dict[str, int], list[State]]:
    """Write the finished rows, eagerly; returns the job, the rows of each split and the states. When it fails the folder is not there."""
    offline.check_types(files, recipe.schema)
    sources = join_input.list_sources()
    with (
        read.translate_spark_errors(),
        read.open_shared_folder(join_input.spark) as shared,
        offline.stage_folder(files.location, recipe.parts, files.parts) as place,
    ):
        stream, finish = to_arrow_relation(
            join_input.spark,
            join_input.plan,
            sources,
            choose_strategy(join_input.plan, sources),
            shared,
        )
        known = recipe.random_split is None and (
            recipe.transformer.is_fitted or not recipe.transformer.needs_fit
        )
        if known and files.format == "parquet" and not files.coalesce:
            writing = FileWriter(
                stream.read_tables, TransformNow(finish, recipe), place.staging_path
            )
            written: Sequence[Any] = stream.source.mapInArrow(writing, WRITTEN_FILES_DDL).collect()
        else:
            folder = shared or place.spill_path
            notice = _choose_aggregate(recipe)
            writing = FileWriter(
                stream.read_tables, SpillFirst(finish, recipe), folder, "arrow", notice
            )
            kept = stream.source.mapInArrow(writing, WRITTEN_FILES_DDL).collect()
            noticed = (
                combine_partials((file.notice for file in kept), notice[1]) if notice else None
            )
            waiting = SpilledRows(join_input.spark, tuple(sorted(file.path for file in kept)))
            recipe = _fit_transformations(
                waiting, _with_split_thresholds(waiting, recipe, noticed), noticed
            )
            written = _write_splits(waiting, recipe, files, place.staging_path)
        count = place.publish(
            [file.path for file in written] if written and files.format == "parquet" else None
        )
    held = Counter(dict.fromkeys(recipe.parts, 0))
    for file in written:
        held[file.part] += file.rows
    return (
        Job("create_training_data", {"rows": sum(held.values()), "files": count}),
        dict(held),
        _list_states(recipe),
    )


def _write_splits(
    spilled: SpilledRows, recipe: DatasetTransform, files: FilesSpec, folder: str
) -> Sequence[Any]:
    """Write the rows that wait; returns the files, or where Spark names none, one place for each split."""
    if not spilled.paths:
        return []
    if files.format == "parquet" and not files.options:
        return spilled.build_write(recipe, folder, files.coalesce).collect()
    counts: Counter[str] = spilled.aggregate_rows(
        _make_part_counter(recipe),
        _sum_counters,
        [splits.HASH_COLUMN, SPLIT_COLUMN, *list(recipe.transformer.inputs)[:1]],
    )
    for part in recipe.parts:
        offline.write_dataset(
            spilled.to_frame(recipe, part, files.coalesce), files, f"{folder}/{part}"
        )
    return [_WrittenSplit("", part, counts[part]) for part in recipe.parts]


@dataclass(frozen=True)
class _WrittenSplit:
    path: str
    part: str
    rows: int


def _make_part_counter(recipe: DatasetTransform) -> Any:
    return lambda table: Counter({part: piece.num_rows for part, piece in recipe.split_rows(table)})


def _sum_counters(counts: Sequence[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())


# -- what must be known of all rows


def _choose_aggregate(recipe: DatasetTransform) -> Aggregate | None:
    """What is noticed while rows are joined: where hashes lie, for a random split; else what transformations learn."""
    if recipe.random_split:
        return _make_hash_counter(recipe.random_split), _combine_hashes
    return (
        (recipe.profile_train_rows, merge_profiles)
        if recipe.transformer.needs_fit and not recipe.transformer.is_fitted
        else None
    )


def _make_hash_counter(
    random: RandomSplit,
) -> Callable[[pa.Table], tuple[splits.CellCounts, Hashes]]:
    def count_hashes(table: pa.Table) -> tuple[splits.CellCounts, Hashes]:
        found = table.column(splits.HASH_COLUMN).to_numpy()
        return splits.count_cells(found), splits.select_likely_hashes(found, random)

    return count_hashes


def _combine_hashes(
    partials: Sequence[tuple[splits.CellCounts, Hashes]],
) -> tuple[splits.CellCounts, Hashes]:
    return sum(counts for counts, _ in partials), np.concatenate([found for _, found in partials])  # type: ignore[return-value] # of arrays


def _with_split_thresholds(
    spilled: SpilledRows,
    recipe: DatasetTransform,
    hash_counts: tuple[splits.CellCounts, Hashes] | None,
) -> DatasetTransform:
    """The recipe with the places where a random split ends its shares; of few rows, or equal ones, by another look."""
    random = recipe.random_split
    if random is None or hash_counts is None:
        return recipe
    counts, found = hash_counts
    near = splits.find_threshold_cells(counts, random)
    if not splits.has_only_likely_cells(near, random):
        found = (
            spilled.aggregate_rows(
                lambda table: _filter_near_thresholds(table, near),
                pa.concat_tables,
                [splits.HASH_COLUMN],
            )
            .column(splits.HASH_COLUMN)
            .to_numpy()
        )
    cuts = splits.find_thresholds(found[np.isin(splits.get_cells(found), near)], counts, random)
    if cuts is None:
        rows = spilled.aggregate_rows(
            lambda table: _filter_near_thresholds(table, near), pa.concat_tables
        )
        cuts = splits.find_thresholds_by_content(rows, counts, random, list(recipe.identity))
    return replace(recipe, thresholds=tuple(cuts))


def _filter_near_thresholds(table: pa.Table, cells: npt.NDArray[np.int64]) -> pa.Table:
    return table.filter(
        pa.array(np.isin(splits.get_cells(table.column(splits.HASH_COLUMN).to_numpy()), cells))
    )


def _fit_transformations(
    spilled: SpilledRows, recipe: DatasetTransform, profiles: FeatureProfiles | None
) -> DatasetTransform:
    """The recipe with what its transformations learn; of rows split at random by a look of its own, as is that for quartiles."""
    if not recipe.transformer.needs_fit or recipe.transformer.is_fitted:
        return recipe
    if recipe.random_split:
        profiles = spilled.aggregate_rows(
            recipe.profile_train_rows, merge_profiles, recipe.fit_columns
        )
    if profiles is None:
        profiles = recipe.profile_features(
            arrow_types.to_arrow_schema(recipe.transformer.inputs).empty_table()
        )
    cells = recipe.find_quartile_cells(profiles)
    near = (
        spilled.aggregate_rows(
            lambda table: recipe.select_near_quartiles(recipe.select_train_rows(table), cells),
            _combine_arrays,
            recipe.fit_columns,
        )
        if cells
        else {}
    )
    return _with_states(recipe, recipe.fit_states(profiles, near))


def _combine_arrays(
    parts: Sequence[Mapping[str, npt.NDArray[np.float64]]],
) -> dict[str, npt.NDArray[np.float64]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _with_states(recipe: DatasetTransform, states: Sequence[State]) -> DatasetTransform:
    return replace(recipe, transformer=recipe.transformer.with_states(states))


def _list_states(recipe: DatasetTransform) -> list[State]:
    return [each.state or {} for each in recipe.transformer.transformations]


# -- rows out


def read_splits(
    spark: SparkSession,
    recipe: DatasetTransform,
    files: FilesSpec,
    dataframe_type: str,
    may_repeat: bool,
) -> dict[str, Any]:
    """The rows of each split, as Spark's DataFrames* or eagerly as pandas, both in canonical order.

    repeats: whether rows may have one identity; Spark's frames are then ordered by all columns that
    it can sort.
    """
    frames = {
        part: offline.read_dataset(spark, files, part, recipe.schema) for part in recipe.parts
    }
    if dataframe_type == "spark":
        others = [
            name
            for name, type_ in recipe.schema.items()
            if may_repeat and name not in recipe.identity and "map<" not in type_
        ]
        return {
            part: frame.orderBy(*(f"`{name}`" for name in (*recipe.identity, *others)))
            for part, frame in frames.items()
        }
    with read.translate_spark_errors():
        tables = {part: frame.toArrow() for part, frame in frames.items()}
    return {
        part: to_pandas(
            table.take(pa.array(splits.compute_row_order(table, list(recipe.identity))))
        )
        for part, table in tables.items()
    }


def read_split_frames(
    spark: SparkSession, recipe: DatasetTransform, files: FilesSpec
) -> dict[str, DataFrame]:
    """The rows of each split that lie in files*, in no order."""
    return {part: offline.read_dataset(spark, files, part, recipe.schema) for part in recipe.parts}


def build_batch(
    join_input: JoinInput, recipe: DatasetTransform, columns: Sequence[str], dataframe_type: str
) -> Any:
    """Rows to predict for: finished, these columns of them, eagerly as pandas in canonical order or as Spark's DataFrame*."""
    sources = join_input.list_sources()
    choice = choose_strategy(join_input.plan, sources)
    if dataframe_type == "spark":
        stream, finish = to_arrow_relation(join_input.spark, join_input.plan, sources, choice)
        found = build_split_frame(
            stream.source, stream.read_tables, TransformNow(finish, recipe), recipe.schema
        )
        return found.select(*(f"`{name}`" for name in columns))
    if dataframe_type != "pandas":
        raise SettingsError(
            f"dataframe_type {dataframe_type!r} is not known: use 'spark' or 'pandas'."
        )
    tables, _ = build_in_memory(join_input, recipe)
    return to_pandas(tables[recipe.parts[0]].select(list(columns)))


def save_spine(frame: DataFrame, folder: str) -> None:
    """Write the rows of a spine, eagerly, so that the training dataset can be made again."""
    with read.translate_spark_errors():
        frame.write.parquet(folder)


def load_spine(spark: SparkSession, folder: str) -> DataFrame:
    """The rows of a spine that was kept*."""
    return spark.read.parquet(folder)


def remove_files(folder: str) -> None:
    """Remove a folder of files."""
    offline.remove_folder(folder)
