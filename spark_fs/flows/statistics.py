"""Make the statistics of a group or of a training dataset, and keep them.

A group's statistics follow its commits: what was added since the last ones is looked at alone and
merged with their state; where rows were changed or deleted, or columns added, all rows are looked
at again.
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

from spark_fs.base import arrow_types
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.profile import associations, column_states
from spark_fs.engine.profile.column_states import ColumnStates, TableProfile, narrow_scan
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.errors import SparkFSError, UpgradeError
from spark_fs.flows import group_rows
from spark_fs.flows.read import translate_spark_errors
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.feature_statistics import FeatureCorrelations, Statistics, StatisticsConfig
from spark_fs.stats.association import DesignMatrix, Sums, merge_sums
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.describe import ExactDistinct, describe_column
from spark_fs.stats.state_file import pack_states, unpack_states
from spark_fs.tables import statistics_files as kept
from spark_fs.tables.delta import history
from spark_fs.tables.delta.history import NO_TABLE, DataFile
from spark_fs.tables.delta.log import DeltaLog

SparkProvider = Callable[[], SparkSession]
CorrelationsByFeature = Mapping[str, FeatureCorrelations]
# bytes of files: a larger table whose rows were changed is looked at again only when that is asked
# for
MAX_RESCANNED_BYTES = column_states.LOCAL_BYTES
_COLUMNS_PER_JOB = 20  # columns whose distinct values one job of Spark's counts


@dataclass(frozen=True)
class RowSource:
    """Rows to look at: in files that workers read, or a DataFrame*, or Arrow tables that are here."""

    get_spark: SparkProvider
    types: Mapping[str, str]
    scan: Scan | None = None
    get_frame: Callable[[], DataFrame] | None = None
    table: pa.Table | None = None

    @classmethod
    def from_group(
        cls,
        get_spark: SparkProvider,
        group: GroupSpec,
        table: history.TableRef,
        version: int,
        types: Mapping[str, str],
    ) -> "RowSource":
        """The rows of a version of a group's table; of several rows of one identity the last ingested, where corrections are kept."""
        log = history.open_log(table, version)
        every = not group.keep_corrections
        found = (
            cls.from_files(get_spark, group, history.list_data_files(log), types) if every else None
        )
        columns = [f"`{name}`" for name in types]
        return found or cls(
            get_spark,
            types,
            get_frame=lambda: group_rows.read_group(
                get_spark(), group, log.path, version, every
            ).select(*columns),
        )

    @classmethod
    def from_files(
        cls,
        get_spark: SparkProvider,
        group: GroupSpec,
        files: Sequence[DataFile],
        types: Mapping[str, str],
    ) -> "RowSource | None":
        """The rows of data files; None where only Spark reads them."""
        if not parquet.is_scannable(files, group.types, group.partition_key, None):
            return None
        return cls(get_spark, types, Scan.from_files(parquet.to_scan_files(files), types))

    @property
    def _is_small(self) -> bool:
        return (
            self.scan is not None
            and sum(file.bytes for file in self.scan.files) <= column_states.LOCAL_BYTES
        )

    def compute_profile(self, config: StatisticsConfig) -> TableProfile:
        """The profile of the rows, eagerly; of few rows without Spark."""
        near = self._profile_locally()
        if near is not None:
            return column_states.describe_states(near, config)
        with translate_spark_errors():
            if self.scan:
                states = column_states.profile_scan(self.get_spark(), self.scan, self.types, config)
            else:
                states = column_states.profile_relation(self._to_relation(), self.types, config)
            return column_states.collect_profile(states.toArrow(), self.types, config)

    def compute_states(self) -> ColumnStates:
        """The states of the columns alone, eagerly."""
        near = self._profile_locally()
        return (
            self.compute_profile(StatisticsConfig(histograms=False)).states
            if near is None
            else near
        )

    def _profile_locally(self) -> ColumnStates | None:
        """The states of rows that are few enough for this process."""
        if self.table is not None:
            return column_states.profile_tables([self.table], self.types)
        return (
            column_states.profile_locally(self.scan, self.types)
            if self.scan and self._is_small
            else None
        )

    def compute_sums(self, matrix: DesignMatrix) -> Sums:
        """What associations follow from, eagerly."""
        if self.table is not None:
            return matrix.compute_sums(self.table.select(list(matrix.features)))
        if self.scan and self._is_small:
            return associations.sum_locally(self.scan, matrix)
        with translate_spark_errors():
            sums = (
                associations.sum_scan(self.get_spark(), self.scan, matrix)
                if self.scan
                else associations.sum_relation(self._to_relation(), matrix)
            )
            return associations.collect_sums(sums.toArrow(), matrix)

    def count_exactly(self, names: Sequence[str]) -> dict[str, ExactDistinct]:
        """How many distinct values columns have, how many come once, and their entropy, counted one by one, eagerly."""
        here = self._read_locally(names) if names else None
        if here is not None:
            return {name: _count_values_locally(here.column(name)) for name in names}
        found: dict[str, ExactDistinct] = {}
        frame = self._to_frame() if names else None
        for at in range(0, len(names), _COLUMNS_PER_JOB):
            counted = [
                _count_values(frame, name)
                for name in names[at : at + _COLUMNS_PER_JOB]
                if frame is not None
            ]
            with translate_spark_errors():
                found |= {
                    row[0]: (row[1], row[2], row[3])
                    for row in reduce(DataFrame.unionAll, counted).collect()
                }
        return found

    def _read_locally(self, names: Sequence[str]) -> pa.Table | None:
        """These columns, where they are few enough for this process."""
        if self.scan is None or not self._is_small:
            return self.table
        narrow = narrow_scan(self.scan, names)
        return pa.concat_tables([narrow.schema.empty_table(), *parquet.iter_tables(narrow)])

    def _to_frame(self) -> DataFrame:
        if self.get_frame:
            return self.get_frame()
        if self.scan:
            return ArrowRelation.from_scan(self.get_spark(), self.scan).to_frame(self.types)
        return self.get_spark().createDataFrame(self.table)

    def _to_relation(self) -> ArrowRelation:
        return ArrowRelation.from_frame(self._to_frame(), arrow_types.to_arrow_schema(self.types))


def _count_values(frame: DataFrame, name: str) -> DataFrame:
    """One row: the column's name, its distinct values, those that come once, the entropy of all."""
    values = (
        frame.select(F.col(f"`{name}`").alias("value"))
        .dropna(how="all")
        .groupBy("value")
        .agg(F.count("*").alias("rows"))
    )
    whole = F.sum("rows")
    entropy = F.log(whole) - F.sum(F.col("rows") * F.log("rows")) / whole
    return values.agg(
        F.lit(name), F.count("*"), F.count_if(F.col("rows") == 1), F.coalesce(entropy, F.lit(0.0))
    )


def _count_values_locally(column: pa.ChunkedArray) -> ExactDistinct:
    rows = pc.value_counts(column.drop_null()).field("counts").to_numpy()
    entropy = np.log(rows.sum()) - (rows * np.log(rows)).sum() / rows.sum() if len(rows) else 0.0
    return len(rows), float((rows == 1).sum()), max(0.0, float(entropy))


def _build_statistics(
    source: RowSource,
    row_profile: TableProfile,
    config: StatisticsConfig,
    commit: int | None,
    split: str | None,
    correlations: CorrelationsByFeature,
) -> Statistics:
    facts = dict(row_profile.statistics)
    if config.exact_uniqueness:
        unsure = [
            name
            for name, column in row_profile.states.items()
            if column.value_count and not column.distinct.is_exact
        ]
        facts |= {
            name: describe_column(name, row_profile.states[name], config, exact)
            for name, exact in source.count_exactly(unsure).items()
        }
    if config.correlations:
        others = next(iter(correlations.values())).other_features if correlations else ()
        none = np.full(len(others), np.nan)
        facts = {
            name: replace(
                each, correlations=correlations.get(name, FeatureCorrelations(name, others, none))
            )
            for name, each in facts.items()
        }
    return Statistics(datetime.now(UTC), commit, tuple(facts.values()), split)


def _compute_correlations(source: RowSource, columns: ColumnStates) -> CorrelationsByFeature:
    """The associations between columns whose states are known, by their names."""
    matrix = DesignMatrix.from_states(columns)
    return _to_correlations(matrix, source.compute_sums(matrix)) if matrix.features else {}


def _to_correlations(matrix: DesignMatrix, sums: Sums) -> CorrelationsByFeature:
    names = matrix.features
    return {
        name: FeatureCorrelations(name, names, row)
        for name, row in zip(names, matrix.compute_associations(sums), strict=True)
    }


# -- groups


def compute_group_statistics(
    get_spark: SparkProvider,
    group: GroupSpec,
    path: str,
    config: StatisticsConfig,
    rescan: bool = False,
) -> Statistics | None:
    """The statistics of the newest commit of a group, eagerly, kept with its history; None before the first insert.

    anew: from all rows, whatever is known of those of earlier commits. Without it a large table
    whose rows were changed is left alone, and the result is None too: an insert must not cost what
    the whole table costs.
    """
    log = history.open_log(path)
    version = log.version
    if version == NO_TABLE:
        return None
    types, place = config.select_column_types(group.types), kept.get_statistics_folder(path)
    commit, before = (None, {}) if rescan else _load_states(place, types)
    if commit == version and not config.correlations:
        found = _load_if_usable(place, kept.format_commit_name(version))
        if found:
            return found
    more = _find_added_rows(get_spark, group, log, (commit, version), types)
    if (
        more is None
        and version
        and not rescan
        and sum(file.bytes for file in history.list_data_files(log)) > MAX_RESCANNED_BYTES
    ):
        return None
    every = RowSource.from_group(get_spark, group, log, version, types)
    whole = (
        every.compute_profile(config)
        if more is None
        else column_states.describe_states(
            column_states.merge_states(before, more.compute_states()), config
        )
    )
    correlations = (
        _update_correlations(place, every, more, whole.states, (commit, version))
        if config.correlations
        else {}
    )
    statistics = _build_statistics(every, whole, config, version, None, correlations)
    kept.save_statistics(place, kept.format_commit_name(version), statistics)
    kept.write_if_newer(place, kept.STATE, pack_states(whole.states), {"commit": version})
    return statistics


def _find_added_rows(
    get_spark: SparkProvider,
    group: GroupSpec,
    log: DeltaLog,
    commit_range: tuple[int | None, int],
    types: Mapping[str, str],
) -> RowSource | None:
    """The rows that were added after a commit; None where that is not all that happened, or where nothing is known of the rows before."""
    commit, version = commit_range
    if (
        commit is None
        or group.keep_corrections
        or not history.has_commits(log, commit + 1, version)
    ):
        return None
    files = history.list_added_files(log, commit + 1, version)
    return None if files is None else RowSource.from_files(get_spark, group, files, types)


def _update_correlations(
    folder: str,
    all_rows: RowSource,
    added_rows: RowSource | None,
    columns: ColumnStates,
    commit_range: tuple[int | None, int],
) -> CorrelationsByFeature:
    """The associations of a group's newest commit: what they follow from is kept, and grows with the rows that are added."""
    whole = DesignMatrix.from_states(columns)
    if not whole.features:
        return {}
    commit, known, before = kept.load_state(folder, kept.SUMS, _parse_sums) or (None, None, [])
    matrix = known.reuse_for(whole) if known and commit == commit_range[0] else None
    if matrix and added_rows:
        sums = merge_sums([before, added_rows.compute_sums(matrix)])
    else:
        matrix, sums = whole, all_rows.compute_sums(whole)
    table = pa.table(
        {"sums": pa.array([each.ravel() for each in sums], pa.large_list(pa.float64()))}
    )
    kept.write_if_newer(
        folder,
        kept.SUMS,
        table,
        {
            "commit": commit_range[1],
            "matrix": matrix.to_json(),
            "shapes": [each.shape for each in sums],
        },
    )
    return _to_correlations(matrix, sums)


def _load_states(
    folder: str, types: Mapping[str, str]
) -> tuple[int | None, dict[str, ColumnState]]:
    """The states that are kept of these columns, and of which commit; None where there are none of just these."""
    commit, columns = kept.load_state(
        folder, kept.STATE, lambda about, table: (about["commit"], unpack_states(table))
    ) or (None, {})
    same = {name: column.type for name, column in columns.items()} == types
    return (commit, columns) if same else (None, {})


def _parse_sums(metadata: Mapping[str, Any], table: pa.Table) -> tuple[int, DesignMatrix, Sums]:
    """Of which commit the sums are that associations follow from, of which matrix, and the sums."""
    pairs = zip(kept.to_arrays(table), metadata["shapes"], strict=True)
    return (
        metadata["commit"],
        DesignMatrix.from_json(metadata["matrix"]),
        [np.array(values).reshape(shape) for values, shape in pairs],
    )


def _load_if_usable(
    folder: str, name: str, features: Sequence[str] | None = None
) -> Statistics | None:
    """Statistics that are kept; None where they are to be made again: none are there, or they are damaged. UpgradeError for newer ones."""
    try:
        return kept.load_statistics(folder, name, features)
    except UpgradeError:
        raise
    except SparkFSError:
        return None


def load_commit_statistics(
    folder: str,
    version: int | None,
    features: Sequence[str] | None = None,
    correlations: bool = True,
) -> Statistics | None:
    """The newest statistics of a folder that are of a commit up to a version (None: of any); None where there are none."""
    found = [commit for commit in kept.list_commits(folder) if version is None or commit <= version]
    return (
        kept.load_statistics(folder, kept.format_commit_name(found[-1]), features, correlations)
        if found
        else None
    )


# -- training datasets


def save_split_statistics(
    folder: str,
    splits: Mapping[str, pa.Table | DataFrame],
    types: Mapping[str, str],
    config: StatisticsConfig,
    get_spark: SparkProvider,
) -> None:
    """Make the statistics of each split of a training dataset, eagerly, and keep them with the states that drift is measured from."""
    asked = config.select_column_types(types)
    for split, held in splits.items():
        if isinstance(held, pa.Table):
            of = RowSource(get_spark, asked, table=held)
        else:
            of = RowSource(
                get_spark, asked, get_frame=partial(held.select, *(f"`{name}`" for name in asked))
            )
        found = of.compute_profile(config)
        related = _compute_correlations(of, found.states) if config.correlations else {}
        kept.write_table(folder, f".{split}", pack_states(found.states), {})
        kept.save_statistics(
            folder, split, _build_statistics(of, found, config, None, split, related)
        )


def load_split_statistics(
    folder: str, splits: Sequence[str], features: Sequence[str] | None
) -> Statistics | None:
    """The statistics of the first split, with those of each beside them; None unless all are there."""
    found = [
        each for each in (_load_if_usable(folder, split, features) for split in splits) if each
    ]
    return replace(found[0], split_statistics=tuple(found)) if len(found) == len(splits) else None


def load_split_states(folder: str, split: str) -> ColumnStates | None:
    """The states of a split's columns; None where they are to be made again."""
    return kept.load_state(folder, f".{split}", lambda _, table: unpack_states(table))
