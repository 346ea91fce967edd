"""Fit a training dataset to its rows: where a random split ends, and what transformations learn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.hashing import Hashes
from spark_fs.engine.training import splits
from spark_fs.engine.training.in_memory import fit_transformations
from spark_fs.engine.training.spill import Aggregate, SpilledRows
from spark_fs.engine.training.splits import CellCounts
from spark_fs.engine.training.transform_rows import (
    DatasetTransform,
    FeatureProfiles,
    merge_profiles,
)
from spark_fs.spec.training_dataset import RandomSplit
from spark_fs.stats.sketches.quantiles import Doubles, Integers
from spark_fs.transform.binding import Source

HashCounts = tuple[CellCounts, Hashes]


def choose_aggregate(transform: DatasetTransform) -> Aggregate | None:
    """What is aggregated while rows are joined and spilled.

    For a random split it is where hashes lie, else what transformations learn; None where nothing
    has to be known of all rows.
    """
    if transform.random_split:
        return partial(_count_hashes, transform.random_split), _combine_hashes
    if transform.needs_fit:
        return transform.profile_train_rows, merge_profiles
    return None


def fit_spilled_rows(
    spilled: SpilledRows, transform: DatasetTransform, noticed: Any
) -> DatasetTransform:
    """The transform with the ends of its random split and what its transformations learn, eagerly.

    Args:
        spilled: The joined rows.
        transform: How they become training data.
        noticed: What the aggregate of ``choose_aggregate`` made of them; None without rows.
    """
    if transform.random_split is None:
        return _fit_spilled_transformations(spilled, transform, noticed)
    if noticed is not None:
        thresholds = _find_thresholds(spilled, transform, transform.random_split, noticed)
        transform = replace(transform, thresholds=tuple(thresholds))
    if not transform.needs_fit:
        return transform
    # the rows of the train split are known only now, so they are read once more
    profiles = spilled.aggregate_rows(
        transform.profile_train_rows, merge_profiles, transform.fit_columns
    )
    return _fit_spilled_transformations(spilled, transform, profiles)


# -- where a random split ends


def _count_hashes(random_split: RandomSplit, table: pa.Table) -> HashCounts:
    hashes = table.column(splits.HASH_COLUMN).to_numpy()
    return splits.count_cells(hashes), splits.select_likely_hashes(hashes, random_split)


def _combine_hashes(partials: Sequence[HashCounts]) -> HashCounts:
    counts = np.zeros(splits.CELL_COUNT, np.int64)
    for partial_counts, _ in partials:
        counts += partial_counts
    return counts, np.concatenate([hashes for _, hashes in partials])


def _find_thresholds(
    spilled: SpilledRows,
    transform: DatasetTransform,
    random_split: RandomSplit,
    hash_counts: HashCounts,
) -> list[splits.SplitThreshold]:
    """Where a random split ends its shares, eagerly.

    Few rows, or rows of one hash, are read once more for it.
    """
    counts, hashes = hash_counts
    cells = splits.find_threshold_cells(counts, random_split)
    select_near_rows = partial(_select_rows_in_cells, cells)
    if not splits.has_only_likely_cells(cells, random_split):
        near_rows = spilled.aggregate_rows(select_near_rows, pa.concat_tables, [splits.HASH_COLUMN])
        hashes = near_rows.column(splits.HASH_COLUMN).to_numpy()
    near_hashes = hashes[np.isin(splits.get_cells(hashes), cells)]
    thresholds = splits.find_thresholds(near_hashes, counts, random_split)
    if thresholds is not None:
        return thresholds
    near_rows = spilled.aggregate_rows(select_near_rows, pa.concat_tables)
    return splits.find_thresholds_by_content(
        near_rows, counts, random_split, list(transform.identity)
    )


def _select_rows_in_cells(cells: npt.NDArray[np.int64], table: pa.Table) -> pa.Table:
    hashes = table.column(splits.HASH_COLUMN).to_numpy()
    return table.filter(pa.array(np.isin(splits.get_cells(hashes), cells)))


# -- what transformations learn


def _fit_spilled_transformations(
    spilled: SpilledRows, transform: DatasetTransform, profiles: FeatureProfiles | None
) -> DatasetTransform:
    """The transform with what its transformations learn, eagerly.

    The rows are read once more for those that take what others give.
    """
    is_first = True
    while transform.needs_fit:
        if not is_first:
            profiles = spilled.aggregate_rows(
                transform.profile_train_rows, merge_profiles, transform.fit_columns
            )
        if profiles is None:  # there are no rows
            schema = arrow_types.to_arrow_schema(transform.transformer.inputs)
            profiles = transform.profile_features(schema.empty_table())
        read_near_values = partial(_read_near_values, spilled, transform)
        transform = fit_transformations(transform, profiles, read_near_values)
        is_first = False
    return transform


def _read_near_values(
    spilled: SpilledRows, transform: DatasetTransform, cells: Mapping[Source, Integers]
) -> Mapping[Source, Doubles]:
    near_values: Mapping[Source, Doubles] = spilled.aggregate_rows(
        partial(_select_near_quantiles, transform, cells), _combine_arrays, transform.fit_columns
    )
    return near_values


def _select_near_quantiles(
    transform: DatasetTransform, cells: Mapping[Source, Integers], table: pa.Table
) -> Mapping[Source, Doubles]:
    return transform.select_near_quantiles(transform.select_train_rows(table), cells)


def _combine_arrays(parts: Sequence[Mapping[Source, Doubles]]) -> dict[Source, Doubles]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
