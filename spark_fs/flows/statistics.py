"""Make the statistics of a group or of a training dataset, and keep them.

A group's statistics follow its commits: rows that were added since the last ones are read alone and
merged with their state; where rows were changed or deleted, or columns added, all rows are read
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

from spark_fs.engine.engines import Engines
from spark_fs.engine.profile import column_states
from spark_fs.engine.profile.column_states import ColumnStates, TableProfile
from spark_fs.engine.scan.parquet import Scan
from spark_fs.errors import SparkFSError, UpgradeError
from spark_fs.flows.profile_rows import RowSource
from spark_fs.spec.feature_statistics import (
    FeatureCorrelations,
    FeatureStatistics,
    Statistics,
    StatisticsConfig,
)
from spark_fs.stats.association import DesignMatrix, Sums, merge_sums
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.describe import describe_column
from spark_fs.stats.state_file import pack_states, unpack_states
from spark_fs.tables import statistics_files
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.table import GroupTable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# rows of a split: those that are here, files that tasks read, or what Spark alone reads
SplitRows: TypeAlias = "pa.Table | Scan | DataFrame"
CorrelationsByFeature = Mapping[str, FeatureCorrelations]
# bytes of files: a larger table whose rows were changed is read again only when that is asked for
MAX_RESCANNED_BYTES = 32 << 20


def _build_statistics(
    source: RowSource,
    row_profile: TableProfile,
    config: StatisticsConfig,
    commit: int | None,
    split: str | None,
    correlations: CorrelationsByFeature,
) -> Statistics:
    features = dict(row_profile.statistics)
    if config.exact_uniqueness:
        estimated = {
            name: column.distinct.estimated_count
            for name, column in row_profile.states.items()
            if column.value_count and not column.distinct.is_exact
        }
        for name, exact in source.count_exactly(estimated).items():
            features[name] = describe_column(name, row_profile.states[name], config, exact)
    if config.correlations:
        features = _with_correlations(features, correlations)
    return Statistics(datetime.now(UTC), commit, tuple(features.values()), split)


def _with_correlations(
    features: Mapping[str, FeatureStatistics], correlations: CorrelationsByFeature
) -> dict[str, FeatureStatistics]:
    """The features, each with its correlations; NaN where there are none of it."""
    others: Sequence[str] = ()
    if correlations:
        others = next(iter(correlations.values())).other_features
    unknown = np.full(len(others), np.nan)
    correlated = {}
    for name, feature in features.items():
        own = correlations.get(name, FeatureCorrelations(name, others, unknown))
        correlated[name] = replace(feature, correlations=own)
    return correlated


def _compute_correlations(source: RowSource, columns: ColumnStates) -> CorrelationsByFeature:
    """The associations between columns whose states are known, by their names."""
    matrix = DesignMatrix.from_states(columns)
    if not matrix.features:
        return {}
    return _to_correlations(matrix, source.compute_sums(matrix))


def _to_correlations(matrix: DesignMatrix, sums: Sums) -> CorrelationsByFeature:
    names = matrix.features
    rows = matrix.compute_associations(sums)
    return {
        name: FeatureCorrelations(name, names, row) for name, row in zip(names, rows, strict=True)
    }


# -- groups


def compute_group_statistics(
    engines: Engines,
    table: GroupTable,
    config: StatisticsConfig,
    rescan: bool = False,
    version: int | None = None,
) -> Statistics | None:
    """The statistics of a commit of a group, eagerly, kept with its history.

    Args:
        engines: What may read its rows.
        table: The group's table.
        config: What is computed, of which columns.
        rescan: Whether all rows are read, whatever is known of those of earlier commits. Without it
            a large table whose rows were changed is left alone: an insert must not cost what the
            whole table costs.
        version: The commit; None: the newest.

    Returns:
        The statistics; None before the first insert, and for a table that is left alone.
    """
    version = table.version if version is None else version
    if version == NO_TABLE:
        return None
    types = config.select_column_types(table.group.types)
    folder = table.statistics_folder
    commit, states = (None, {}) if rescan else _load_states(folder, types)
    commit_name = statistics_files.format_commit_name(version)
    if commit == version and not config.correlations:
        kept_statistics = _load_if_usable(folder, commit_name)
        if kept_statistics:
            return kept_statistics
    added_rows = _find_added_rows(engines, table, (commit, version), types)
    if added_rows is None and version and not rescan and _is_large(table):
        return None
    all_rows = RowSource.from_table(engines, table, version, types)
    if added_rows is None:
        profile = all_rows.compute_profile(config)
    else:
        profile = _add_rows(states, added_rows, config)
    correlations: CorrelationsByFeature = {}
    if config.correlations:
        correlations = _update_correlations(
            folder, all_rows, added_rows, profile.states, (commit, version)
        )
    statistics = _build_statistics(all_rows, profile, config, version, None, correlations)
    statistics_files.save_statistics(folder, commit_name, statistics)
    packed_states = pack_states(profile.states)
    statistics_files.write_if_newer(
        folder, statistics_files.STATE, packed_states, {"commit": version}
    )
    return statistics


def _add_rows(
    states: ColumnStates, added_rows: RowSource, config: StatisticsConfig
) -> TableProfile:
    """The profile of rows whose states are known together with added ones, eagerly."""
    merged_states = column_states.merge_states(states, added_rows.compute_states())
    return column_states.describe_states(merged_states, config)


def _is_large(table: GroupTable) -> bool:
    return sum(file.bytes for file in table.list_files()) > MAX_RESCANNED_BYTES


def _find_added_rows(
    engines: Engines,
    table: GroupTable,
    commit_range: tuple[int | None, int],
    types: Mapping[str, str],
) -> RowSource | None:
    """The rows that were added after a commit.

    None where that is not all that happened, or where nothing is known of the rows before.
    """
    commit, version = commit_range
    if commit is None or table.group.keep_corrections:
        return None
    if not table.has_commits(commit + 1, version):
        return None
    files = table.list_added_files(commit + 1, version)
    if files is None:
        return None
    return RowSource.from_files(engines, table, files, types)


def _update_correlations(
    folder: str,
    all_rows: RowSource,
    added_rows: RowSource | None,
    columns: ColumnStates,
    commit_range: tuple[int | None, int],
) -> CorrelationsByFeature:
    """The associations of a group's newest commit.

    The sums that they follow from are kept, and grow with the rows that are added.
    """
    before, version = commit_range
    matrix = DesignMatrix.from_states(columns)
    if not matrix.features:
        return {}
    kept_matrix, kept_sums = _load_sums(folder, before)
    reused_matrix = kept_matrix.reuse_for(matrix) if kept_matrix else None
    if reused_matrix and added_rows:
        matrix = reused_matrix
        sums = merge_sums([kept_sums, added_rows.compute_sums(matrix)])
    else:
        sums = all_rows.compute_sums(matrix)
    _save_sums(folder, version, matrix, sums)
    return _to_correlations(matrix, sums)


def _save_sums(folder: str, commit: int, matrix: DesignMatrix, sums: Sums) -> None:
    arrays = pa.array([array.ravel() for array in sums], pa.large_list(pa.float64()))
    metadata = {
        "commit": commit,
        "matrix": matrix.to_json(),
        "shapes": [array.shape for array in sums],
    }
    statistics_files.write_if_newer(
        folder, statistics_files.SUMS, pa.table({"sums": arrays}), metadata
    )


def _load_sums(folder: str, commit: int | None) -> tuple[DesignMatrix | None, Sums]:
    """The sums that are kept of a commit, with their matrix; None where there are none of it."""
    state = statistics_files.load_state(folder, statistics_files.SUMS, _parse_sums)
    if state is None or state[0] != commit:
        return None, []
    _, matrix, sums = state
    return matrix, sums


def _load_states(
    folder: str, types: Mapping[str, str]
) -> tuple[int | None, dict[str, ColumnState]]:
    """The commit whose states are kept, and these; None unless they are of just these columns."""
    state = statistics_files.load_state(
        folder,
        statistics_files.STATE,
        lambda metadata, table: (metadata["commit"], unpack_states(table)),
    )
    commit, columns = state or (None, {})
    kept_types = {name: column.type for name, column in columns.items()}
    return (commit, columns) if kept_types == types else (None, {})


def _parse_sums(metadata: Mapping[str, Any], table: pa.Table) -> tuple[int, DesignMatrix, Sums]:
    """The commit, the matrix and the sums that are kept."""
    matrix = DesignMatrix.from_json(metadata["matrix"])
    arrays = statistics_files.to_arrays(table)
    shapes = metadata["shapes"]
    sums = [np.array(array).reshape(shape) for array, shape in zip(arrays, shapes, strict=True)]
    return metadata["commit"], matrix, sums


def _load_if_usable(
    folder: str, name: str, features: Sequence[str] | None = None
) -> Statistics | None:
    """Statistics that are kept; None where there are none, or they are damaged.

    Raises:
        UpgradeError: A newer release wrote them.
    """
    try:
        return statistics_files.load_statistics(folder, name, features)
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
    """The newest statistics that are kept of a group.

    Args:
        folder: Where they are.
        version: The newest commit that they may be of; None: of any.
        features: Which features are read; None: all.
        correlations: Whether correlations are read.

    Returns:
        The statistics; None where there are none.
    """
    commits = statistics_files.list_commits(folder)
    if version is not None:
        commits = [commit for commit in commits if commit <= version]
    if not commits:
        return None
    commit_name = statistics_files.format_commit_name(commits[-1])
    return statistics_files.load_statistics(folder, commit_name, features, correlations)


# -- training datasets


def save_split_statistics(
    engines: Engines,
    folder: str,
    splits: Mapping[str, SplitRows],
    types: Mapping[str, str],
    config: StatisticsConfig,
) -> None:
    """Make the statistics of each split of a training dataset, eagerly, and keep them.

    The states that drift is measured from are kept with them.

    Args:
        engines: What may read the rows.
        folder: Where they are kept.
        splits: The rows of each split.
        types: The columns and their types.
        config: What is computed, of which columns.
    """
    column_types = config.select_column_types(types)
    for split, rows in splits.items():
        source = _get_split_rows(engines, column_types, rows)
        profile = source.compute_profile(config)
        correlations: CorrelationsByFeature = {}
        if config.correlations:
            correlations = _compute_correlations(source, profile.states)
        statistics_files.write_table(folder, f".{split}", pack_states(profile.states), {})
        statistics = _build_statistics(source, profile, config, None, split, correlations)
        statistics_files.save_statistics(folder, split, statistics)


def _get_split_rows(engines: Engines, types: Mapping[str, str], rows: SplitRows) -> RowSource:
    if isinstance(rows, pa.Table):
        return RowSource(engines, types, table=rows)
    if isinstance(rows, Scan):
        return RowSource(engines, types, scan=rows)
    columns = [f"`{name}`" for name in types]
    return RowSource(engines, types, get_frame=partial(rows.select, *columns))


def load_split_statistics(
    folder: str, splits: Sequence[str], features: Sequence[str] | None
) -> Statistics | None:
    """The statistics of the first split, with those of each beside them; None unless all exist."""
    kept_statistics = []
    for split in splits:
        statistics = _load_if_usable(folder, split, features)
        if statistics:
            kept_statistics.append(statistics)
    if len(kept_statistics) < len(splits):
        return None
    return replace(kept_statistics[0], split_statistics=tuple(kept_statistics))


def load_split_states(folder: str, split: str) -> ColumnStates | None:
    """The states of a split's columns; None where there are none, or they are damaged."""
    return statistics_files.load_state(folder, f".{split}", lambda _, table: unpack_states(table))
