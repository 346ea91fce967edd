"""What becomes of joined rows in a training dataset: which rows stay, which split each is in, and what the transformations make of them.

No Spark here: a worker does it to the tables that pass, the driver to the whole of one that is in
memory.
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
from spark_fs.transform.builtin import MAX_ONE_HOT_CATEGORIES, QUARTILES
from spark_fs.transform.states import State
from spark_fs.transform.transformer import Transformer

FeatureProfiles = dict[str, ExactProfile]


@dataclass(frozen=True)
class DatasetTransform:
    """How a training dataset is made of joined rows.

    columns: the transformations of features and labels. identity: the spine's event time and key,
    with their types. also: the columns that stay as they are beside those of ``columns``. labels:
    those in which a null drops the row. parts: the names of the splits. random: how rows are split,
    where it is not by time; cuts: where, once that is known.
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
        twice = sorted(set(self.transformer.columns) & set(self.passthrough))
        if twice:
            raise QueryError(
                f"Two columns of the training data would be named {twice[0]!r}: give the"
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
        return table.append_column(
            splits.HASH_COLUMN,
            pa.array(splits.hash_rows(table, self.identity, self.random_split.seed)),
        )

    def split_rows(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The rows of each split, of rows that stay."""
        if self.random_split:
            found = splits.assign_splits(self.thresholds, table)
            for number, name in enumerate([*self.random_split.shares, TRAIN_SPLIT]):
                yield name, table.filter(pa.array(found == number))
        elif SPLIT_COLUMN in table.column_names:
            for name in self.parts:
                yield name, table.filter(pc.equal(table.column(SPLIT_COLUMN), name))
        else:
            yield TRAIN_SPLIT, table

    def transform_rows(self, table: pa.Table) -> pa.Table:
        """The columns of the training dataset."""
        made = transform_table(self.transformer, table)
        return pa.table(
            {
                name: made.column(name) if name in self.transformer.columns else table.column(name)
                for name in self.schema
            }
        )

    def split_and_transform(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The finished rows of each split, of joined rows that stay."""
        for name, rows in self.split_rows(table):
            if rows.num_rows:
                yield name, self.transform_rows(rows)

    # -- what the transformations learn

    @property
    def fit_columns(self) -> tuple[str, ...]:
        """The columns that are looked at to learn: what tells the split, and the features."""
        features = (
            each.spec.features[0] for each in self.transformer.transformations if each.needs_fit
        )
        return (
            SPLIT_COLUMN,
            splits.HASH_COLUMN,
            splits.FILE_COLUMN,
            splits.ROW_COLUMN,
            *dict.fromkeys(features),
        )

    def select_train_rows(self, table: pa.Table) -> pa.Table:
        """The rows of the train split, with the columns that are looked at to learn."""
        held = table.select([name for name in self.fit_columns if name in table.column_names])
        return next(piece for part, piece in self.split_rows(held) if part == self.parts[0])

    def profile_train_rows(self, table: pa.Table) -> FeatureProfiles:
        """What is to be known of each feature, of the train split's rows among rows that stay."""
        return self.profile_features(self.select_train_rows(table))

    def profile_features(self, train: pa.Table) -> FeatureProfiles:
        """What is to be known of each feature, of rows of the train split."""
        found: FeatureProfiles = {}
        for each in self.transformer.transformations:
            need = each.builtin.required_statistic if each.builtin else None
            if need is None:
                continue
            name, type_ = each.spec.features[0], each.types[0]
            column = train.column(name)
            if need == "categories":
                profile = ExactProfile(
                    len(column),
                    column.null_count,
                    categories=frozenset(pc.unique(column).drop_null().to_pylist()),
                )
            else:
                profile = ExactProfile.from_values(
                    to_zero_filled_doubles(_drop_nulls(column), type_),
                    column.null_count,
                    need == "moments",
                    need == "quantiles",
                )
            found[f"{need}:{name}"] = profile
        return found

    def select_near_quartiles(
        self, train: pa.Table, cells_by_feature: Mapping[str, Integers]
    ) -> dict[str, Doubles]:
        """Of each feature the values that lie where its quartiles are."""
        types = {each.spec.features[0]: each.types[0] for each in self.transformer.transformations}
        return {
            name: exact.select_in_cells(
                to_zero_filled_doubles(_drop_nulls(train.column(name)), types[name]), cells
            )
            for name, cells in cells_by_feature.items()
        }

    def find_quartile_cells(self, profiles: FeatureProfiles) -> dict[str, Integers]:
        """Where the quartiles of features lie that some transformation needs."""
        needed = {
            key.partition(":")[2]: profile
            for key, profile in profiles.items()
            if key.startswith("quantiles:")
        }
        return {
            name: profile.find_quantile_cells(QUARTILES)
            for name, profile in needed.items()
            if profile.finite_count
        }

    def fit_states(
        self, profiles: FeatureProfiles, near_values: Mapping[str, Doubles]
    ) -> list[State]:
        """What each transformation learned; SettingsError for a feature without a value to learn from."""
        found: list[State] = []
        for each in self.transformer.transformations:
            row, name = each.builtin, each.spec.features[0]
            if row is None or row.required_statistic is None:
                found.append({})
                continue
            profile = profiles[f"{row.required_statistic}:{name}"]
            if not (
                profile.categories
                if row.required_statistic == "categories"
                else profile.finite_count
            ):
                raise SettingsError(
                    f"Transformation {row.name!r} cannot learn from feature {name!r}: of the"
                    f" {profile.rows} rows of the train split none has a value (a null, NaN or an"
                    " infinity is none). Leave the feature out, or choose a train split in which"
                    " it has values."
                )
            if row.multi_output and len(profile.categories) > MAX_ONE_HOT_CATEGORIES:
                raise SettingsError(
                    f"Transformation {row.name!r} of feature {name!r} would make"
                    f" {len(profile.categories):,} columns, one for each category; at most"
                    f" {MAX_ONE_HOT_CATEGORIES:,} are made. Use label_encoder, or a feature with"
                    " fewer categories."
                )
            found.append(
                row.fit(
                    _LearnedStatistics(
                        name,
                        profile,
                        near_values.get(name) if row.required_statistic == "quantiles" else None,
                    )
                )
            )
        return found


def _drop_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that are not null."""
    return column.drop_null() if column.null_count else column


def merge_profiles(parts: Iterable[FeatureProfiles]) -> FeatureProfiles:
    """The profiles of all parts together."""
    found: FeatureProfiles = {}
    for part in parts:
        found |= {
            key: found[key].merge(profile) if key in found else profile
            for key, profile in part.items()
        }
    return found


class _LearnedStatistics:
    """A profile as the built-in transformations ask for it."""

    def __init__(self, feature: str, profile: ExactProfile, near_values: Doubles | None) -> None:
        self.feature, self._profile, self._near_values = feature, profile, near_values
        self.low, self.high = profile.low, profile.high

    @property
    def mean(self) -> float:
        return self._profile.mean

    @property
    def stddev(self) -> float:
        return self._profile.stddev

    @property
    def quartiles(self) -> list[float]:
        return self._profile.compute_quantiles(
            QUARTILES, np.empty(0) if self._near_values is None else self._near_values
        )

    @property
    def categories(self) -> list[object]:
        return sorted(self._profile.categories)
