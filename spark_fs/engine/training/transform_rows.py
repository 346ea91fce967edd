"""What becomes of joined rows in a training dataset.

Which rows stay, which split each is in, and what the transformations make of them. No Spark here: a
worker does it to the tables that pass, the driver to the whole of one that is in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.engine.training import splits
from spark_fs.engine.training.learned import LearnedStatistics, check_learnable
from spark_fs.engine.training.splits import SplitThreshold
from spark_fs.errors import QueryError
from spark_fs.planning.plan import SPLIT_COLUMN
from spark_fs.spec.training_dataset import TRAIN_SPLIT, RandomSplit
from spark_fs.stats import exact
from spark_fs.stats.exact import ExactProfile
from spark_fs.stats.sketches.quantiles import Doubles, Integers
from spark_fs.transform.array_values import to_zero_filled_doubles
from spark_fs.transform.arrays import compute_columns, transform_table
from spark_fs.transform.binding import Learned, Source, Transformation
from spark_fs.transform.builtin_options import resolve_options
from spark_fs.transform.learning import (
    QUANTILE_STATISTICS,
    RequiredStatistic,
)
from spark_fs.transform.states import State
from spark_fs.transform.transformer import Transformer

# by what is to be known, and the feature
FeatureProfiles = dict[tuple[RequiredStatistic, Source], ExactProfile]


@dataclass(frozen=True)
class DatasetTransform:
    """How a training dataset is made of joined rows.

    Attributes:
        transformer: the transformations of features and labels.
        identity: the spine's event time and key, with their types.
        passthrough: the columns that stay as they are beside those of the transformer.
        replaced: the names under which columns of the identity stay too, by their own names, which
            transformations give to others.
        labels: those in which a null drops the row.
        parts: the names of the splits.
        random_split: how rows are split, where it is not by time.
        thresholds: where the shares of a random split end, once that is known.
    """

    transformer: Transformer
    identity: Mapping[str, str]
    passthrough: Mapping[str, str]
    replaced: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    parts: tuple[str, ...] = (TRAIN_SPLIT,)
    random_split: RandomSplit | None = None
    thresholds: tuple[SplitThreshold, ...] = field(default=())

    @property
    def schema(self) -> dict[str, str]:
        """The columns of a finished table, with their types."""
        kept = {**self.passthrough}
        for name, kept_name in self.replaced.items():
            kept[kept_name] = self.identity[name]
        repeated = sorted(set(self.transformer.columns) & set(kept))
        if repeated:
            raise QueryError(
                f"Two columns of the training data would be named {repeated[0]!r}: give the"
                " transformation another name by .alias('...')."
            )
        return {**self.transformer.columns, **kept}

    @property
    def ordered_names(self) -> list[str]:
        """What finished rows are put in order by: the identity, under the names that it has."""
        return [self.replaced.get(name, name) for name in self.identity]

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
        own_names = {kept_name: name for name, kept_name in self.replaced.items()}
        for name in self.schema:
            if name in self.transformer.columns:
                columns[name] = transformed.column(name)
            else:
                columns[name] = table.column(own_names.get(name, name))
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
        sources = [learned.source for _, learned in self._iter_learned()]
        return (
            SPLIT_COLUMN,
            splits.HASH_COLUMN,
            splits.FILE_COLUMN,
            splits.ROW_COLUMN,
            *self.transformer.list_inputs_of(sources),
        )

    def select_train_rows(self, table: pa.Table) -> pa.Table:
        """The rows of the train split, with the columns that are looked at to learn."""
        narrow = table.select([name for name in self.fit_columns if name in table.column_names])
        return next(rows for part, rows in self.split_rows(narrow) if part == self.parts[0])

    def profile_train_rows(self, table: pa.Table) -> FeatureProfiles:
        """What is to be known of each feature, of the train split's rows among rows that stay."""
        return self.profile_features(self.select_train_rows(table))

    def profile_features(self, train: pa.Table) -> FeatureProfiles:
        """What is to be known of each feature, of rows of the train split.

        Of features that other transformations give it is known once these have learned.
        """
        profiles: FeatureProfiles = {}
        wanted = [learned for _, learned in self._iter_learned()]
        columns = compute_columns(self.transformer, train, (learned.source for learned in wanted))
        for learned in wanted:
            key = (learned.statistic, learned.source)
            if key not in profiles:
                column = columns[learned.source]
                profiles[key] = _profile_column(column, learned.type, learned.statistic)
        return profiles

    def _iter_learned(self) -> Iterator[tuple[Transformation, Learned]]:
        """What the transformations that can learn now must know, with each of them."""
        for place in self.transformer.list_fittable():
            transformation = self.transformer.transformations[place]
            for learned in transformation.learned:
                yield transformation, learned

    def select_near_quantiles(
        self, train: pa.Table, cells_by_feature: Mapping[Source, Integers]
    ) -> dict[Source, Doubles]:
        """Of each feature the values that lie where its quantiles are."""
        types = {learned.source: learned.type for _, learned in self._iter_learned()}
        columns = compute_columns(self.transformer, train, cells_by_feature)
        near_values: dict[Source, Doubles] = {}
        for source, cells in cells_by_feature.items():
            values = to_zero_filled_doubles(_drop_nulls(columns[source]), types[source])
            near_values[source] = exact.select_in_cells(values, cells)
        return near_values

    def find_quantile_cells(self, profiles: FeatureProfiles) -> dict[Source, Integers]:
        """Where the quantiles of features lie that some transformation needs."""
        cells: dict[Source, Integers] = {}
        for transformation, learned in self._iter_learned():
            profile = profiles[learned.statistic, learned.source]
            if learned.statistic in QUANTILE_STATISTICS and profile.finite_count:
                more = profile.find_quantile_cells(transformation.quantile_shares)
                before = cells.get(learned.source)
                cells[learned.source] = more if before is None else np.union1d(before, more)
        return cells

    def fit_states(
        self, profiles: FeatureProfiles, near_values: Mapping[Source, Doubles]
    ) -> list[State | None]:
        """What each transformation learned.

        Args:
            profiles: what is known of the features of the train split.
            near_values: of features whose quantiles are needed, the values near these.

        Returns:
            A state for each transformation; an empty one where there is nothing to learn, None of
            one that learns of what others give, which have to learn first.

        Raises:
            SettingsError: for a feature without a value to learn from, or with too many categories.
        """
        states = [bound.state for bound in self.transformer.transformations]
        for place in self.transformer.list_fittable():
            transformation = self.transformer.transformations[place]
            known: dict[str, LearnedStatistics] = {}
            for learned in transformation.learned:
                profile = profiles[learned.statistic, learned.source]
                check_learnable(transformation, learned, profile)
                near = near_values.get(learned.source)
                known[learned.argument] = LearnedStatistics(learned.source.name, profile, near)
            states[place] = _build_state(transformation, known)
        return states


def _build_state(transformation: Transformation, known: Mapping[str, LearnedStatistics]) -> State:
    """What a transformation keeps of what is known of its features, by its arguments."""
    row = transformation.builtin
    if row is not None:
        (statistics,) = known.values()
        fitted = row.fit(statistics, transformation.options)
        if transformation.options != resolve_options(row.name, row.options, {}):
            fitted["options"] = dict(transformation.options)
        return fitted
    state: dict[str, Any] = {
        "statistics": {
            learned.argument: known[learned.argument].describe(learned.statistic)
            for learned in transformation.learned
        }
    }
    if transformation.function.takes_context:
        state["context"] = dict(transformation.options)
    return state


def _profile_column(
    column: pa.ChunkedArray, type_: str, statistic: RequiredStatistic
) -> ExactProfile:
    nulls = column.null_count
    if statistic == "rows":
        return ExactProfile(len(column), nulls)
    if statistic == "categories":
        categories = pc.unique(column).drop_null().to_pylist()
        return ExactProfile(len(column), nulls, categories=frozenset(categories))
    if statistic == "counts":
        counted = pc.value_counts(_drop_nulls(column))
        counts = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
        return ExactProfile(
            len(column), nulls, categories=frozenset(counts), category_counts=counts
        )
    values = to_zero_filled_doubles(_drop_nulls(column), type_)
    return ExactProfile.from_values(
        values,
        nulls,
        with_moments=statistic in ("moments", "description"),
        with_quantiles=statistic in QUANTILE_STATISTICS,
    )


def _drop_nulls(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that are not null."""
    return column.drop_null() if column.null_count else column


def merge_profiles(parts: Iterable[FeatureProfiles]) -> FeatureProfiles:
    """The profiles of all parts together."""
    merged: FeatureProfiles = {}
    for part in parts:
        for key, profile in part.items():
            merged[key] = merged[key].merge(profile) if key in merged else profile
    return merged
