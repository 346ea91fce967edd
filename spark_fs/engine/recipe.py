"""What becomes of joined rows in a training dataset: which rows stay, which split each is in, and what the transformations make of them.

No Spark here: a worker does it to the tables that pass, the driver to the whole of one that is in memory.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.engine import splits
from spark_fs.engine.splits import Cut
from spark_fs.errors import QueryError, SettingsError
from spark_fs.plan import SPLIT
from spark_fs.spec.datasets import WHOLE, RandomSplit
from spark_fs.stats import exact
from spark_fs.stats.exact import Doubles, Numbers, Profile
from spark_fs.transform.builtin import CATEGORIES, QUARTILES, State
from spark_fs.transform.columns import numbers, transformed
from spark_fs.transform.transformer import Transformer

Profiles = dict[str, Profile]


@dataclass(frozen=True)
class Recipe:
    """How a training dataset is made of joined rows.

    columns: the transformations of features and labels. identity: the spine's event time and key, with their types. also: the columns that
    stay as they are beside those of ``columns``. labels: those in which a null drops the row. parts: the names of the splits. random: how
    rows are split, where it is not by time; cuts: where, once that is known.
    """

    columns: Transformer
    identity: Mapping[str, str]
    also: Mapping[str, str]
    labels: tuple[str, ...] = ()
    parts: tuple[str, ...] = (WHOLE,)
    random: RandomSplit | None = None
    cuts: tuple[Cut, ...] = field(default=())

    @property
    def schema(self) -> dict[str, str]:
        """The columns of a finished table, with their types."""
        twice = sorted(set(self.columns.columns) & set(self.also))
        if twice:
            raise QueryError(
                f"Two columns of the training data would be named {twice[0]!r}: give the transformation another name by .alias('...')."
            )
        return {**self.columns.columns, **self.also}

    def kept(self, table: pa.Table) -> pa.Table:
        """Without the rows whose label is null, where these go."""
        for label in self.labels:
            if table.column(label).null_count:
                table = table.filter(table.column(label).is_valid())
        return table

    def hashed(self, table: pa.Table) -> pa.Table:
        """What stays of joined rows, with their hashes where the split is a random one."""
        table = self.kept(table)
        if self.random is None:
            return table
        return table.append_column(splits.HASH, pa.array(splits.hashes(table, self.identity, self.random.seed)))

    def divided(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The rows of each split, of rows that stay."""
        if self.random:
            found = splits.parts(self.cuts, table)
            for number, name in enumerate([*self.random.shares, WHOLE]):
                yield name, table.filter(pa.array(found == number))
        elif SPLIT in table.column_names:
            for name in self.parts:
                yield name, table.filter(pc.equal(table.column(SPLIT), name))
        else:
            yield WHOLE, table

    def finished(self, table: pa.Table) -> pa.Table:
        """The columns of the training dataset."""
        made = transformed(self.columns, table)
        return pa.table({name: made.column(name) if name in self.columns.columns else table.column(name) for name in self.schema})

    def pieces(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The finished rows of each split, of joined rows that stay."""
        for name, rows in self.divided(table):
            if rows.num_rows:
                yield name, self.finished(rows)

    # -- what the transformations learn

    @property
    def learning(self) -> tuple[str, ...]:
        """The columns that are looked at to learn: what tells the split, and the features."""
        features = (each.spec.features[0] for each in self.columns.transformations if each.learns)
        return (SPLIT, splits.HASH, splits.FILE, splits.ROW, *dict.fromkeys(features))

    def train(self, table: pa.Table) -> pa.Table:
        """The rows of the train split, with the columns that are looked at to learn."""
        held = table.select([name for name in self.learning if name in table.column_names])
        return next(piece for part, piece in self.divided(held) if part == self.parts[0])

    def profiles_of_train(self, table: pa.Table) -> Profiles:
        """What is to be known of each feature, of the train split's rows among rows that stay."""
        return self.profiles(self.train(table))

    def profiles(self, train: pa.Table) -> Profiles:
        """What is to be known of each feature, of rows of the train split."""
        found: Profiles = {}
        for each in self.columns.transformations:
            need = each.builtin.need if each.builtin else None
            if need is None:
                continue
            name, type_ = each.spec.features[0], each.types[0]
            column = train.column(name)
            if need == "categories":
                profile = Profile(len(column), column.null_count, categories=frozenset(pc.unique(column).drop_null().to_pylist()))
            else:
                profile = Profile.of(numbers(_held(column), type_), column.null_count, need == "moments", need == "quantiles")
            found[f"{need}:{name}"] = profile
        return found

    def near_quartiles(self, train: pa.Table, wanted: Mapping[str, Numbers]) -> dict[str, Doubles]:
        """Of each feature the values that lie where its quartiles are."""
        types = {each.spec.features[0]: each.types[0] for each in self.columns.transformations}
        return {name: exact.in_cells(numbers(_held(train.column(name)), types[name]), cells) for name, cells in wanted.items()}

    def wanted_cells(self, profiles: Profiles) -> dict[str, Numbers]:
        """Where the quartiles of features lie that some transformation needs."""
        needed = {key.partition(":")[2]: profile for key, profile in profiles.items() if key.startswith("quantiles:")}
        return {name: profile.wanted_cells(QUARTILES) for name, profile in needed.items() if profile.count}

    def states(self, profiles: Profiles, near: Mapping[str, Doubles]) -> list[State]:
        """What each transformation learned; SettingsError for a feature without a value to learn from."""
        found: list[State] = []
        for each in self.columns.transformations:
            row, name = each.builtin, each.spec.features[0]
            if row is None or row.need is None:
                found.append({})
                continue
            profile = profiles[f"{row.need}:{name}"]
            if not (profile.categories if row.need == "categories" else profile.count):
                raise SettingsError(
                    f"Transformation {row.name!r} cannot learn from feature {name!r}: of the {profile.rows} rows of the train split "
                    "none has a value (a null, NaN or an infinity is none). Leave the feature out, or choose a train split in which it "
                    "has values."
                )
            if row.wide and len(profile.categories) > CATEGORIES:
                raise SettingsError(
                    f"Transformation {row.name!r} of feature {name!r} would make {len(profile.categories):,} columns, one for each "
                    f"category; at most {CATEGORIES:,} are made. Use label_encoder, or a feature with fewer categories."
                )
            found.append(row.learn(_Learned(name, profile, near.get(name) if row.need == "quantiles" else None)))
        return found


def _held(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that are not null."""
    return column.drop_null() if column.null_count else column


def merged(parts: Iterable[Profiles]) -> Profiles:
    """The profiles of all parts together."""
    found: Profiles = {}
    for part in parts:
        found |= {key: found[key].merge(profile) if key in found else profile for key, profile in part.items()}
    return found


class _Learned:
    """A profile as the built-in transformations ask for it."""

    def __init__(self, feature: str, profile: Profile, near: Doubles | None) -> None:
        self.feature, self._profile, self._near = feature, profile, near
        self.low, self.high = profile.low, profile.high

    @property
    def mean(self) -> float:
        return self._profile.mean

    @property
    def stddev(self) -> float:
        return self._profile.stddev

    @property
    def quartiles(self) -> list[float]:
        return self._profile.quantiles(QUARTILES, np.empty(0) if self._near is None else self._near)

    @property
    def categories(self) -> list[object]:
        return sorted(self._profile.categories)
