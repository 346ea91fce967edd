"""Make the statistics of a group or of a training dataset, and keep them.

A group's statistics follow its commits: what was added since the last ones is looked at alone and merged with their state; where rows were
changed or deleted, or columns added, all rows are looked at again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs import arrow
from spark_fs.engine import associate, profile, scan
from spark_fs.engine.columnar import Stream
from spark_fs.engine.profile import Profile, States, narrowed
from spark_fs.engine.scan import Scan
from spark_fs.errors import SparkFSError, UpgradeError
from spark_fs.flows import rows
from spark_fs.flows.queries import explained_errors
from spark_fs.offline import history
from spark_fs.offline import statistics as kept
from spark_fs.offline.history import NO_TABLE, FileFacts
from spark_fs.offline.log import Log
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.statistics import Related, Statistics, StatisticsConfig
from spark_fs.stats.association import Matrix, Sums, added
from spark_fs.stats.column import Column
from spark_fs.stats.describe import Exact, described
from spark_fs.stats.packed import packed, unpacked

Spark = Callable[[], SparkSession]
Associations = Mapping[str, Related]
RESCANNED = profile.SMALL  # bytes of files: a larger table whose rows were changed is looked at again only when that is asked for
_AT_ONCE = 20  # columns whose distinct values one job of Spark's counts


@dataclass(frozen=True)
class Rows:
    """Rows to look at: in files that workers read, or a DataFrame*, or Arrow tables that are here."""

    spark: Spark
    types: Mapping[str, str]
    scan: Scan | None = None
    frame: Callable[[], DataFrame] | None = None
    table: pa.Table | None = None

    @classmethod
    def of_group(cls, spark: Spark, group: GroupSpec, table: history.Table, version: int, types: Mapping[str, str]) -> "Rows":
        """The rows of a version of a group's table; of several rows of one identity the last ingested, where corrections are kept."""
        log = history.look(table, version)
        every = not group.keep_corrections
        found = cls.of_files(spark, group, history.data_files(log), types) if every else None
        columns = [f"`{name}`" for name in types]
        return found or cls(spark, types, frame=lambda: rows.opened(spark(), group, log.path, version, every).select(*columns))

    @classmethod
    def of_files(cls, spark: Spark, group: GroupSpec, files: Sequence[FileFacts], types: Mapping[str, str]) -> "Rows | None":
        """The rows of data files; None where only Spark reads them."""
        if not scan.scannable(files, group.types, group.partition_key, None):
            return None
        return cls(spark, types, Scan.of(scan.listed(files), types))

    @property
    def _small(self) -> bool:
        return self.scan is not None and sum(file.bytes for file in self.scan.files) <= profile.SMALL

    def profile(self, config: StatisticsConfig) -> Profile:
        """The profile of the rows, eagerly; of few rows without Spark."""
        near = self._near()
        if near is not None:
            return profile.stated(near, config)
        with explained_errors():
            if self.scan:
                states = profile.of_scan(self.spark(), self.scan, self.types, config)
            else:
                states = profile.of_stream(self._stream(), self.types, config)
            return profile.gathered(states.toArrow(), self.types, config)

    def states(self) -> States:
        """The states of the columns alone, eagerly."""
        near = self._near()
        return self.profile(StatisticsConfig(histograms=False)).columns if near is None else near

    def _near(self) -> States | None:
        """The states of rows that are few enough for this process."""
        if self.table is not None:
            return profile.fold([self.table], self.types)
        return profile.here(self.scan, self.types) if self.scan and self._small else None

    def sums(self, matrix: Matrix) -> Sums:
        """What associations follow from, eagerly."""
        if self.table is not None:
            return matrix.sums(self.table.select(list(matrix.features)))
        if self.scan and self._small:
            return associate.here(self.scan, matrix)
        with explained_errors():
            sums = associate.of_scan(self.spark(), self.scan, matrix) if self.scan else associate.of_stream(self._stream(), matrix)
            return associate.gathered(sums.toArrow(), matrix)

    def exact(self, names: Sequence[str]) -> dict[str, Exact]:
        """How many distinct values columns have, how many come once, and their entropy, counted one by one, eagerly."""
        here = self._here(names) if names else None
        if here is not None:
            return {name: _counted_here(here.column(name)) for name in names}
        found: dict[str, Exact] = {}
        frame = self._frame() if names else None
        for at in range(0, len(names), _AT_ONCE):
            counted = [_counted(frame, name) for name in names[at : at + _AT_ONCE] if frame is not None]
            with explained_errors():
                found |= {row[0]: (row[1], row[2], row[3]) for row in reduce(DataFrame.unionAll, counted).collect()}
        return found

    def _here(self, names: Sequence[str]) -> pa.Table | None:
        """These columns, where they are few enough for this process."""
        if self.scan is None or not self._small:
            return self.table
        narrow = narrowed(self.scan, names)
        return pa.concat_tables([narrow.schema.empty_table(), *scan.tables(narrow)])

    def _frame(self) -> DataFrame:
        if self.frame:
            return self.frame()
        if self.scan:
            return Stream.scanned(self.spark(), self.scan).frame(self.types)
        return self.spark().createDataFrame(self.table)

    def _stream(self) -> Stream:
        return Stream.of(self._frame(), arrow.schema_of(self.types))


def _counted(frame: DataFrame, name: str) -> DataFrame:
    """One row: the column's name, its distinct values, those that come once, the entropy of all."""
    values = frame.select(F.col(f"`{name}`").alias("value")).dropna(how="all").groupBy("value").agg(F.count("*").alias("rows"))
    whole = F.sum("rows")
    entropy = F.log(whole) - F.sum(F.col("rows") * F.log("rows")) / whole
    return values.agg(F.lit(name), F.count("*"), F.count_if(F.col("rows") == 1), F.coalesce(entropy, F.lit(0.0)))


def _counted_here(column: pa.ChunkedArray) -> Exact:
    rows = pc.value_counts(column.drop_null()).field("counts").to_numpy()
    entropy = np.log(rows.sum()) - (rows * np.log(rows)).sum() / rows.sum() if len(rows) else 0.0
    return len(rows), float((rows == 1).sum()), max(0.0, float(entropy))


def _finished(
    of: Rows, found: Profile, config: StatisticsConfig, commit: int | None, split: str | None, correlations: Associations
) -> Statistics:
    facts = dict(found.facts)
    if config.exact_uniqueness:
        unsure = [name for name, column in found.columns.items() if column.values and not column.distinct.exact]
        facts |= {name: described(name, found.columns[name], config, exact) for name, exact in of.exact(unsure).items()}
    if config.correlations:
        others = next(iter(correlations.values())).others if correlations else ()
        none = np.full(len(others), np.nan)
        facts = {name: replace(each, correlations=correlations.get(name, Related(name, others, none))) for name, each in facts.items()}
    return Statistics(datetime.now(UTC), commit, tuple(facts.values()), split)


def _measured(of: Rows, columns: States) -> Associations:
    """The associations between columns whose states are known, by their names."""
    matrix = Matrix.of(columns)
    return _named(matrix, of.sums(matrix)) if matrix.features else {}


def _named(matrix: Matrix, sums: Sums) -> Associations:
    names = matrix.features
    return {name: Related(name, names, row) for name, row in zip(names, matrix.associations(sums), strict=True)}


# -- groups


def of_group(spark: Spark, group: GroupSpec, path: str, config: StatisticsConfig, anew: bool = False) -> Statistics | None:
    """The statistics of the newest commit of a group, eagerly, kept with its history; None before the first insert.

    anew: from all rows, whatever is known of those of earlier commits. Without it a large table whose rows were changed is left alone, and
    the result is None too: an insert must not cost what the whole table costs.
    """
    log = history.look(path)
    version = log.newest
    if version == NO_TABLE:
        return None
    types, place = config.of_columns(group.types), kept.folder(path)
    commit, before = (None, {}) if anew else _state(place, types)
    if commit == version and not config.correlations:
        found = _usable(place, kept.name_of(version))
        if found:
            return found
    more = _added(spark, group, log, (commit, version), types)
    if more is None and version and not anew and sum(file.bytes for file in history.data_files(log)) > RESCANNED:
        return None
    every = Rows.of_group(spark, group, log, version, types)
    whole = every.profile(config) if more is None else profile.stated(profile.merged(before, more.states()), config)
    correlations = _followed(place, every, more, whole.columns, (commit, version)) if config.correlations else {}
    statistics = _finished(every, whole, config, version, None, correlations)
    kept.save(place, kept.name_of(version), statistics)
    kept.advance(place, kept.STATE, packed(whole.columns), {"commit": version})
    return statistics


def _added(spark: Spark, group: GroupSpec, log: Log, between: tuple[int | None, int], types: Mapping[str, str]) -> Rows | None:
    """The rows that were added after a commit; None where that is not all that happened, or where nothing is known of the rows before."""
    commit, version = between
    if commit is None or group.keep_corrections or not history.reaches_back(log, commit + 1, version):
        return None
    files = history.added_files(log, commit + 1, version)
    return None if files is None else Rows.of_files(spark, group, files, types)


def _followed(place: str, every: Rows, more: Rows | None, columns: States, between: tuple[int | None, int]) -> Associations:
    """The associations of a group's newest commit: what they follow from is kept, and grows with the rows that are added."""
    whole = Matrix.of(columns)
    if not whole.features:
        return {}
    commit, known, before = kept.state(place, kept.SUMS, _sums) or (None, None, [])
    matrix = known.grown(whole) if known and commit == between[0] else None
    if matrix and more:
        sums = added([before, more.sums(matrix)])
    else:
        matrix, sums = whole, every.sums(whole)
    table = pa.table({"sums": pa.array([each.ravel() for each in sums], pa.large_list(pa.float64()))})
    kept.advance(place, kept.SUMS, table, {"commit": between[1], "matrix": matrix.to_json(), "shapes": [each.shape for each in sums]})
    return _named(matrix, sums)


def _state(place: str, types: Mapping[str, str]) -> tuple[int | None, dict[str, Column]]:
    """The states that are kept of these columns, and of which commit; None where there are none of just these."""
    commit, columns = kept.state(place, kept.STATE, lambda about, table: (about["commit"], unpacked(table))) or (None, {})
    same = {name: column.type for name, column in columns.items()} == types
    return (commit, columns) if same else (None, {})


def _sums(about: Mapping[str, Any], table: pa.Table) -> tuple[int, Matrix, Sums]:
    """Of which commit the sums are that associations follow from, of which matrix, and the sums."""
    pairs = zip(kept.lists(table), about["shapes"], strict=True)
    return about["commit"], Matrix.from_json(about["matrix"]), [np.array(values).reshape(shape) for values, shape in pairs]


def _usable(place: str, name: str, features: Sequence[str] | None = None) -> Statistics | None:
    """Statistics that are kept; None where they are to be made again: none are there, or they are damaged. UpgradeError for newer ones."""
    try:
        return kept.load(place, name, features)
    except UpgradeError:
        raise
    except SparkFSError:
        return None


def of_commit(
    place: str, version: int | None, features: Sequence[str] | None = None, correlations: bool = True
) -> Statistics | None:
    """The newest statistics of a folder that are of a commit up to a version (None: of any); None where there are none."""
    found = [commit for commit in kept.commits(place) if version is None or commit <= version]
    return kept.load(place, kept.name_of(found[-1]), features, correlations) if found else None


# -- training datasets


def keep_splits(
    place: str, splits: Mapping[str, pa.Table | DataFrame], types: Mapping[str, str], config: StatisticsConfig, spark: Spark
) -> None:
    """Make the statistics of each split of a training dataset, eagerly, and keep them with the states that drift is measured from."""
    asked = config.of_columns(types)
    for split, held in splits.items():
        if isinstance(held, pa.Table):
            of = Rows(spark, asked, table=held)
        else:
            of = Rows(spark, asked, frame=partial(held.select, *(f"`{name}`" for name in asked)))
        found = of.profile(config)
        related = _measured(of, found.columns) if config.correlations else {}
        kept.write(place, f".{split}", packed(found.columns), {})
        kept.save(place, split, _finished(of, found, config, None, split, related))


def of_splits(place: str, splits: Sequence[str], features: Sequence[str] | None) -> Statistics | None:
    """The statistics of the first split, with those of each beside them; None unless all are there."""
    found = [each for each in (_usable(place, split, features) for split in splits) if each]
    return replace(found[0], split_statistics=tuple(found)) if len(found) == len(splits) else None


def kept_states(place: str, split: str) -> States | None:
    """The states of a split's columns; None where they are to be made again."""
    return kept.state(place, f".{split}", lambda _, table: unpacked(table))
