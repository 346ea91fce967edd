"""Training datasets: joined at fixed Delta versions, split, fitted on the train split, transformed; in memory or as files."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs import arrow
from spark_fs.engine import splits
from spark_fs.engine.recipe import Profiles, Recipe, merged
from spark_fs.engine.shuffle import Hashes
from spark_fs.engine.strategy import choose, compiled, streamed
from spark_fs.engine.waiting import PLACES, AtOnce, Notice, Waiting, Whole, Written, finished_frame, together
from spark_fs.errors import SettingsError
from spark_fs.flows import queries
from spark_fs.flows.jobs import Job
from spark_fs.flows.queries import Frames, Location
from spark_fs.frames import to_pandas
from spark_fs.offline import files as offline
from spark_fs.plan import SPLIT, JoinPlan
from spark_fs.spec.datasets import FilesSpec, RandomSplit
from spark_fs.spec.query import GroupRef
from spark_fs.transform.builtin import State

Tables = dict[str, pa.Table]


@dataclass(frozen=True)
class Rows:
    """Where joined rows come from: the plan, where its tables are and at which versions, and the frame of a spine."""

    spark: SparkSession
    plan: JoinPlan
    location: Location
    versions: Mapping[GroupRef, int]
    frames: Frames

    def sources(self) -> list[Any]:
        """How the rows of each node are found."""
        return queries.rows_of(lambda: self.spark, self.plan, self.location, self.versions, self.frames)


def in_memory(rows: Rows, recipe: Recipe) -> tuple[Tables, list[State]]:
    """The finished rows of each split, eagerly, in canonical order, and what the transformations learned of the train split."""
    sources = rows.sources()
    with queries.explained_errors(), queries.shared_folder(rows.spark) as folder:
        joined: pa.Table = compiled(rows.spark, rows.plan, sources, choose(rows.plan, sources), folder).toArrow()
    table = recipe.kept(joined)
    table = table.take(pa.array(splits.canonical(table, list(recipe.identity))))
    parts = splits.divided(table, recipe.random, recipe.identity) if recipe.random else dict(recipe.divided(table))
    if recipe.columns.learns and not recipe.columns.fitted:
        train = parts[recipe.parts[0]]
        profiles = recipe.profiles(train)
        recipe = _fitted(recipe, recipe.states(profiles, recipe.near_quartiles(train, recipe.wanted_cells(profiles))))
    return {part: recipe.finished(parts[part]) for part in recipe.parts}, _states(recipe)


def in_files(rows: Rows, recipe: Recipe, files: FilesSpec) -> tuple[Job, dict[str, int], list[State]]:
    """Write the finished rows, eagerly; returns the job, the rows of each split and the states. When it fails the folder is not there."""
    offline.check_types(files, recipe.schema)
    sources = rows.sources()
    with (
        queries.explained_errors(), queries.shared_folder(rows.spark) as shared,
        offline.placed(files.location, recipe.parts, files.parts) as place,
    ):
        stream, finish = streamed(rows.spark, rows.plan, sources, choose(rows.plan, sources), shared)
        known = recipe.random is None and (recipe.columns.fitted or not recipe.columns.learns)
        if known and files.format == "parquet" and not files.coalesce:
            writing = Written(stream.tables, AtOnce(finish, recipe), place.staging)
            written: Sequence[Any] = stream.source.mapInArrow(writing, PLACES).collect()
        else:
            folder = shared or place.rows
            notice = _notice(recipe)
            writing = Written(stream.tables, Whole(finish, recipe), folder, "arrow", notice)
            kept = stream.source.mapInArrow(writing, PLACES).collect()
            noticed = together((file.notice for file in kept), notice[1]) if notice else None
            waiting = Waiting(rows.spark, tuple(sorted(file.path for file in kept)))
            recipe = _learned(waiting, _cut(waiting, recipe, noticed), noticed)
            written = _write(waiting, recipe, files, place.staging)
        count = place.keep([file.path for file in written] if written and files.format == "parquet" else None)
    held = Counter(dict.fromkeys(recipe.parts, 0))
    for file in written:
        held[file.part] += file.rows
    return Job("create_training_data", {"rows": sum(held.values()), "files": count}), dict(held), _states(recipe)


def _write(waiting: Waiting, recipe: Recipe, files: FilesSpec, folder: str) -> Sequence[Any]:
    """Write the rows that wait; returns the files, or where Spark names none, one place for each split."""
    if not waiting.paths:
        return []
    if files.format == "parquet" and not files.options:
        return waiting.written(recipe, folder, files.coalesce).collect()
    counts: Counter[str] = waiting.fold(_counted(recipe), _summed, [splits.HASH, SPLIT, *list(recipe.columns.inputs)[:1]])
    for part in recipe.parts:
        offline.save(waiting.frame(recipe, part, files.coalesce), files, f"{folder}/{part}")
    return [_Place("", part, counts[part]) for part in recipe.parts]


@dataclass(frozen=True)
class _Place:
    path: str
    part: str
    rows: int


def _counted(recipe: Recipe) -> Any:
    return lambda table: Counter({part: piece.num_rows for part, piece in recipe.divided(table)})


def _summed(counts: Sequence[Counter[str]]) -> Counter[str]:
    return sum(counts, Counter())


# -- what must be known of all rows


def _notice(recipe: Recipe) -> Notice | None:
    """What is noticed while rows are joined: where hashes lie, for a random split; else what transformations learn."""
    if recipe.random:
        return _hashes(recipe.random), _hashes_together
    return (recipe.profiles_of_train, merged) if recipe.columns.learns and not recipe.columns.fitted else None


def _hashes(random: RandomSplit) -> Callable[[pa.Table], tuple[splits.Counts, Hashes]]:
    def noticed(table: pa.Table) -> tuple[splits.Counts, Hashes]:
        found = table.column(splits.HASH).to_numpy()
        return splits.counted(found), splits.likely(found, random)

    return noticed


def _hashes_together(noticed: Sequence[tuple[splits.Counts, Hashes]]) -> tuple[splits.Counts, Hashes]:
    return sum(counts for counts, _ in noticed), np.concatenate([found for _, found in noticed])  # type: ignore[return-value] # of arrays


def _cut(waiting: Waiting, recipe: Recipe, noticed: tuple[splits.Counts, Hashes] | None) -> Recipe:
    """The recipe with the places where a random split ends its shares; of few rows, or equal ones, by another look."""
    random = recipe.random
    if random is None or noticed is None:
        return recipe
    counts, found = noticed
    near = splits.cells_of_cuts(counts, random)
    if not splits.are_likely(near, random):
        found = waiting.fold(lambda table: _near(table, near), pa.concat_tables, [splits.HASH]).column(splits.HASH).to_numpy()
    cuts = splits.cuts(found[np.isin(splits.cells(found), near)], counts, random)
    if cuts is None:
        rows = waiting.fold(lambda table: _near(table, near), pa.concat_tables)
        cuts = splits.cuts_by_content(rows, counts, random, list(recipe.identity))
    return replace(recipe, cuts=tuple(cuts))


def _near(table: pa.Table, near: npt.NDArray[np.int64]) -> pa.Table:
    return table.filter(pa.array(np.isin(splits.cells(table.column(splits.HASH).to_numpy()), near)))


def _learned(waiting: Waiting, recipe: Recipe, profiles: Profiles | None) -> Recipe:
    """The recipe with what its transformations learn; of rows split at random by a look of its own, as is that for quartiles."""
    if not recipe.columns.learns or recipe.columns.fitted:
        return recipe
    if recipe.random:
        profiles = waiting.fold(recipe.profiles_of_train, merged, recipe.learning)
    if profiles is None:
        profiles = recipe.profiles(arrow.schema_of(recipe.columns.inputs).empty_table())
    cells = recipe.wanted_cells(profiles)
    near = waiting.fold(lambda table: recipe.near_quartiles(recipe.train(table), cells), _joined, recipe.learning) if cells else {}
    return _fitted(recipe, recipe.states(profiles, near))


def _joined(parts: Sequence[Mapping[str, npt.NDArray[np.float64]]]) -> dict[str, npt.NDArray[np.float64]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _fitted(recipe: Recipe, states: Sequence[State]) -> Recipe:
    return replace(recipe, columns=recipe.columns.with_states(states))


def _states(recipe: Recipe) -> list[State]:
    return [each.state or {} for each in recipe.columns.transformations]


# -- rows out


def from_files(spark: SparkSession, recipe: Recipe, files: FilesSpec, dataframe_type: str, repeats: bool) -> dict[str, Any]:
    """The rows of each split, as Spark's DataFrames* or eagerly as pandas, both in canonical order.

    repeats: whether rows may have one identity; Spark's frames are then ordered by all columns that it can sort.
    """
    frames = {part: offline.load(spark, files, part, recipe.schema) for part in recipe.parts}
    if dataframe_type == "spark":
        others = [name for name, type_ in recipe.schema.items() if repeats and name not in recipe.identity and "map<" not in type_]
        return {part: frame.orderBy(*(f"`{name}`" for name in (*recipe.identity, *others))) for part, frame in frames.items()}
    with queries.explained_errors():
        tables = {part: frame.toArrow() for part, frame in frames.items()}
    return {part: to_pandas(table.take(pa.array(splits.canonical(table, list(recipe.identity))))) for part, table in tables.items()}


def frames_of(spark: SparkSession, recipe: Recipe, files: FilesSpec) -> dict[str, DataFrame]:
    """The rows of each split that lie in files*, in no order."""
    return {part: offline.load(spark, files, part, recipe.schema) for part in recipe.parts}


def batch(rows: Rows, recipe: Recipe, columns: Sequence[str], dataframe_type: str) -> Any:
    """Rows to predict for: finished, these columns of them, eagerly as pandas in canonical order or as Spark's DataFrame*."""
    sources = rows.sources()
    choice = choose(rows.plan, sources)
    if dataframe_type == "spark":
        stream, finish = streamed(rows.spark, rows.plan, sources, choice)
        found = finished_frame(stream.source, stream.tables, AtOnce(finish, recipe), recipe.schema)
        return found.select(*(f"`{name}`" for name in columns))
    if dataframe_type != "pandas":
        raise SettingsError(f"dataframe_type {dataframe_type!r} is not known: use 'spark' or 'pandas'.")
    tables, _ = in_memory(rows, recipe)
    return to_pandas(tables[recipe.parts[0]].select(list(columns)))


def keep_spine(frame: DataFrame, folder: str) -> None:
    """Write the rows of a spine, eagerly, so that the training dataset can be made again."""
    with queries.explained_errors():
        frame.write.parquet(folder)


def kept_spine(spark: SparkSession, folder: str) -> DataFrame:
    """The rows of a spine that was kept*."""
    return spark.read.parquet(folder)


def remove(folder: str) -> None:
    """Remove a folder of files."""
    offline.remove(folder)
