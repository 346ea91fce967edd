"""Make the whole of a training dataset in memory: sort joined rows, split, fit, transform.

No Spark here.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import pyarrow as pa

from spark_fs.engine.training import splits
from spark_fs.engine.training.row_order import sort_rows
from spark_fs.engine.training.transform_rows import DatasetTransform, FeatureProfiles
from spark_fs.stats.sketches.quantiles import Doubles, Integers
from spark_fs.transform.binding import Source

NearValuesReader = Callable[[Mapping[Source, Integers]], Mapping[Source, Doubles]]


def build_splits(
    joined: pa.Table, transform: DatasetTransform
) -> tuple[dict[str, pa.Table], DatasetTransform]:
    """The finished rows of each split in canonical order, and the transform that made them.

    It has what its transformations learned of the train split.
    """
    rows = sort_rows(transform.drop_null_labels(joined), list(transform.identity))
    if transform.random_split:
        parts = splits.split_table(rows, transform.random_split, transform.identity)
    else:
        parts = dict(transform.split_rows(rows))
    fitted = _fit_to_train_rows(transform, parts[transform.parts[0]])
    tables = {}
    for part in transform.parts:
        tables[part] = fitted.transform_rows(parts[part])
    return tables, fitted


def _fit_to_train_rows(transform: DatasetTransform, train: pa.Table) -> DatasetTransform:
    """The transform with what its transformations learn of the rows of the train split."""
    while transform.needs_fit:
        transform = fit_transformations(
            transform,
            transform.profile_features(train),
            partial(transform.select_near_quantiles, train),
        )
    return transform


def fit_transformations(
    transform: DatasetTransform, profiles: FeatureProfiles, read_near_values: NearValuesReader
) -> DatasetTransform:
    """The transform with the states of those that can learn now.

    Those that take what others give learn after these, in a further call. Values near quantiles are
    read where they are needed.

    Args:
        transform: What is fitted.
        profiles: What is known of the features of the train split.
        read_near_values: Reads the values of features that lie in cells.
    """
    cells = transform.find_quantile_cells(profiles)
    near_values = read_near_values(cells) if cells else {}
    states = transform.fit_states(profiles, near_values)
    return replace(transform, transformer=transform.transformer.with_states(states))
