"""What becomes of joined rows in a training dataset.

Which rows stay, which split each is in, and what the transformations make of them. No Spark here: a
worker does it to the tables that pass, the driver to the whole of one that is in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.engine.training import splits
from spark_fs.engine.training.splits import SplitThreshold
from spark_fs.errors import QueryError, SettingsError
from spark_fs.planning.plan import SPLIT_COLUMN
from spark_fs.spec.training_dataset import TRAIN_SPLIT, RandomSplit
from spark_fs.stats import exact
from spark_fs.stats.exact import ExactProfile
from spark_fs.stats.sketches.quantiles import Doubles, Integers
from spark_fs.transform.array_values import to_zero_filled_doubles
from spark_fs.transform.arrays import transform_table
from spark_fs.transform.binding import Transformation
from spark_fs.transform.builtin import (
    MAX_ONE_HOT_CATEGORIES,
    QUARTILES,
    Builtin,
    RequiredStatistic,
)
from spark_fs.transform.states import State
from spark_fs.transform.transformer import Transformer

# by what is to be known, and the feature
FeatureProfiles = dict[tuple[RequiredStatistic, str], ExactProfile]


@dataclass(frozen=True)
class DatasetTransform:
    """How a training dataset is made of joined rows.

    Attributes:
        transformer: the transformations of features and labels.
        identity: the spine's event time and key, with their types.
        passthrough: the columns that stay as they are beside those of the transformer.
        labels: those in which a null drops the row.
        parts: the names of the splits.
        random_split: how rows are split, where it is not by time.
        thresholds: where the shares of a random split end, once that is known.
    """

    transformer: Transformer
    identity: Mapping[str, str]
    passthrough: Mapping[str, str]
    labels: tuple[str, ...] = ()
    parts: tuple[str, ...] = (TRAIN_SPLIT,)
    random_split: RandomSplit | None = None
    thresholds: tuple[SplitThreshold, ...] = field(default=())

    @property
    def schema(self) -> dict[str, str]:
        """The columns of a finished table, with their types."""
        repeated = sorted(set(self.transformer.columns) & set(self.passthrough))
        if repeated:
            raise QueryError(
                f"Two columns of the training data would be named {repeated[0]!r}: give the"
                " transformation another name by .alias('...')."
            )
        return {**self.transformer.columns, **self.passthrough}

    def drop_null_labels(self, table: pa.Table) -> pa.Table:
        """Without the rows whose label is null, where these go."""
        for label in self.labels:
            if table.column(label).null_count:
                table = table.filter(table.column(label).is_valid())
        return table

    def with_hashes(self, table: pa.Table) -> pa.Table:
        """What stays of joined rows, with their hashes where the split is a random one."""
        table = self.drop_null_labels(table)
        if self.random_split is None:
            return table
        hashes = splits.hash_rows(table, self.identity, self.random_split.seed)
        return table.append_column(splits.HASH_COLUMN, pa.array(hashes))

    def split_rows(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The rows of each split, of rows that stay."""
        if self.random_split:
            split_numbers = splits.assign_splits(self.thresholds, table)
            for number, name in enumerate([*self.random_split.shares, TRAIN_SPLIT]):
                yield name, table.filter(pa.array(split_numbers == number))
        elif SPLIT_COLUMN in table.column_names:
            for name in self.parts:
                yield name, table.filter(pc.equal(table.column(SPLIT_COLUMN), name))
        else:
            yield TRAIN_SPLIT, table

    def transform_rows(self, table: pa.Table) -> pa.Table:
        """The columns of the training dataset."""
        transformed = transform_table(self.transformer, table)
        columns: dict[str, pa.ChunkedArray] = {}
        for name in self.schema:
            source = transformed if name in self.transformer.columns else table
            columns[name] = source.column(name)
        return pa.table(columns)

    def split_and_transform(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The finished rows of each split, of joined rows that stay."""
        for name, rows in self.split_rows(table):
            if rows.num_rows:
                yield name, self.transform_rows(rows)

    # -- what the transformations learn

    @property
    def needs_fit(self) -> bool:
        """Whether some transformation has yet to learn from the train split."""
        return self.transformer.needs_fit and not self.transformer.is_fitted

    @property
    def fit_columns(self) -> tuple[str, ...]:
        """The columns that are looked at to learn: what tells the split, and the features."""
        features: list[str] = []
        for transformation in self.transformer.transformations:
            if transformation.needs_fit:
                features.append(transformation.spec.features[0])
        return (
            SPLIT_COLUMN,
            splits.HASH_COLUMN,
            splits.FILE_COLUMN,
            splits.ROW_COLUMN,
            *dict.fromkeys(features),
        )

    def select_train_rows(self, table: pa.Table) -> pa.Table:
        """The rows of the train split, with the columns that are looked at to learn."""
        narrow = table.select([name for name in self.fit_columns if name in table.column_names])
        return next(rows for part, rows in self.split_rows(narrow) if part == self.parts[0])

    def profile_train_rows(self, table: pa.Table) -> FeatureProfiles:
        """What is to be known of each feature, of the train split's rows among rows that stay."""
        return self.profile_features(self.select_train_rows(table))

    def profile_features(self, train: pa.Table) -> FeatureProfiles:
        """What is to be known of each feature, of rows of the train split."""
        profiles: FeatureProfiles = {}
        for transformation, required in self._iter_fitted():
            feature = transformation.spec.features[0]
            profiles[required, feature] = _profile_column(
                train.column(feature), transformation.types[0], required
            )
        return profiles

    def _iter_fitted(self) -> Iterator[tuple[Transformation, RequiredStatistic]]:
        """The transformations that learn, with what they must know."""
        for transformation in self.transformer.transformations:
            row = transformation.builtin
            if row is not None and row.required_statistic is not None:
                yield transformation, row.required_statistic

    def select_near_quartiles(
        self, train: pa.Table, cells_by_feature: Mapping[str, Integers]
    ) -> dict[str, Doubles]:
        """Of each feature the values that lie where its quartiles are."""
        types: dict[str, str] = {}
        for transformation in self.transformer.transformations:
            types[transformation.spec.features[0]] = transformation.types[0]
        near_values: dict[str, Doubles] = {}
        for name, cells in cells_by_feature.items():
            values = to_zero_filled_doubles(_drop_nulls(train.column(name)), types[name])
            near_values[name] = exact.select_in_cells(values, cells)
        return near_values

    def find_quartile_cells(self, profiles: FeatureProfiles) -> dict[str, Integers]:
        """Where the quartiles of features lie that some transformation needs."""
        cells: dict[str, Integers] = {}
        for (required, feature), profile in profiles.items():
            if required == "quantiles" and profile.finite_count:
                cells[feature] = profile.find_quantile_cells(QUARTILES)
        return cells

    def fit_states(
        self, profiles: FeatureProfiles, near_values: Mapping[str, Doubles]
    ) -> list[State]:
        """What each transformation learned.

        Args:
            profiles: what is known of the features of the train split.
            near_values: of features whose quartiles are needed, the values near these.

        Returns:
            A state for each transformation; an empty one where there is nothing to learn.

        Raises:
            SettingsError: for a feature without a value to learn from, or with too many categories.
        """
        states: list[State] = []
        for transformation in self.transformer.transformations:
            row = transformation.builtin
            if row is None or row.required_statistic is None:
                states.append({})
                continue
            feature = transformation.spec.features[0]
            profile = profiles[row.required_statistic, feature]
            _check_learnable(row, feature, profile)
            near = near_values.get(feature) if row.required_statistic == "quantiles" else None
            states.append(row.fit(_LearnedStatistics(feature, profile, near)))
        return states


def _profile_column(
    column: pa.ChunkedArray, type_: str, required: RequiredStatistic
) -> ExactProfile:
    nulls = column.null_count
    if required == "categories":
        categories = pc.unique(column).drop_null().to_pylist()
        return ExactProfile(len(column), nulls, categories=frozenset(categories))
    values = to_zero_filled_doubles(_drop_nulls(column), type_)
    return ExactProfile.from_values(
        values, nulls, with_moments=required == "moments", with_quantiles=required == "quantiles"
    )


def _drop_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that are not null."""
    return column.drop_null() if column.null_count else column


def _check_learnable(row: Builtin, feature: str, profile: ExactProfile) -> None:
    """Raise SettingsError for a feature without a value, or with too many categories."""
    if row.required_statistic == "categories":
        value_count = len(profile.categories)
    else:
        value_count = profile.finite_count
    if not value_count:
        raise SettingsError(
            f"Transformation {row.name!r} cannot learn from feature {feature!r}: of the"
            f" {profile.rows} rows of the train split none has a value (a null, NaN or an infinity"
            " does not count). Leave the feature out, or choose a train split in which it has"
            " values."
        )
    output_count = len(profile.categories)
    if row.multi_output and output_count > MAX_ONE_HOT_CATEGORIES:
        raise SettingsError(
            f"Transformation {row.name!r} of feature {feature!r} would make {output_count:,}"
            f" columns, one for each category; at most {MAX_ONE_HOT_CATEGORIES:,} are made. Use"
            " label_encoder, or a feature with fewer categories."
        )


def merge_profiles(parts: Iterable[FeatureProfiles]) -> FeatureProfiles:
    """The profiles of all parts together."""
    merged: FeatureProfiles = {}
    for part in parts:
        for key, profile in part.items():
            merged[key] = merged[key].merge(profile) if key in merged else profile
    return merged


class _LearnedStatistics:
    """A profile as the built-in transformations ask for it."""

    def __init__(self, feature: str, profile: ExactProfile, near_values: Doubles | None) -> None:
        self.feature = feature
        self.low = profile.low
        self.high = profile.high
        self._profile = profile
        self._near_values = np.empty(0) if near_values is None else near_values

    @property
    def mean(self) -> float:
        return self._profile.mean

    @property
    def stddev(self) -> float:
        return self._profile.stddev

    @property
    def quartiles(self) -> list[float]:
        return self._profile.compute_quantiles(QUARTILES, self._near_values)

    @property
    def categories(self) -> list[object]:
        return sorted(self._profile.categories)
