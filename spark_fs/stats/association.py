"""How strongly columns hang together, from sums of products that parts add up.

Between numbers it is Pearson's correlation, between categories Cramer's V, between a number and a
category the correlation ratio.

Numbers are standardised and categories become columns of zeros and ones, side by side in one
matrix, so that one matrix product holds all that the three measures need: contingency tables, sums
by category, products. Rows in which either column has no finite value are left out of a pair, as
pandas' ``corr`` does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.stats.column_state import ColumnState, get_column_kind, to_doubles
from spark_fs.stats.scores import compute_chi_squared
from spark_fs.stats.sketches.quantiles import Doubles

MAX_CATEGORIES = 50  # a feature with more has no place in the matrix
Sums = list[Doubles]


@dataclass(frozen=True)
class NumericFeature:
    """A column of numbers and how it is standardised."""

    name: str
    shift: float
    scale: float


@dataclass(frozen=True)
class CategoricalFeature:
    """A column of categories and its values, as Arrow writes them."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class DesignMatrix:
    """Which columns of the matrix stand for which features; gaps: whether any value may be missing."""

    numbers: tuple[NumericFeature, ...]
    categories: tuple[CategoricalFeature, ...]
    has_missing: bool

    @classmethod
    def from_states(cls, states: Mapping[str, ColumnState], classes: Sequence[str] = ()) -> Self:
        """The features whose states say that they vary and have few enough categories; classes: those whose numbers are categories."""
        numbers = tuple(
            NumericFeature(name, column.mean, column.stddev)
            for name, column in states.items()
            if name not in classes
            and get_column_kind(column.type) == "number"
            and column.finite_count
            and 0 < column.stddev < np.inf
            and np.isfinite(column.mean)
        )
        categories = tuple(
            CategoricalFeature(name, column.list_categories())
            for name, column in states.items()
            if (get_column_kind(column.type) == "category" or name in classes)
            and column.distinct.is_exact
            and 2 <= len(column.distinct.values) <= MAX_CATEGORIES
        )
        asked = [each.name for each in numbers] + [each.name for each in categories]
        return cls(
            numbers,
            categories,
            any(states[name].finite_count < states[name].rows for name in asked),
        )

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, numbers first."""
        return (*(each.name for each in self.numbers), *(each.name for each in self.categories))

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return len(self.numbers) + sum(len(each.values) for each in self.categories)

    @property
    def sum_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of ``sums``."""
        width, features = self.width, len(self.features)
        if self.has_missing:
            return (width, width), (width, features), (width, features), (features, features)
        return (width, width), (width,), (1,)

    def reuse_for(self, wanted: "DesignMatrix") -> "DesignMatrix | None":
        """This matrix, where it serves the features of ``whole`` too, whose rows are more; None where others are needed."""
        same = [each.name for each in self.numbers] == [
            each.name for each in wanted.numbers
        ] and self.categories == wanted.categories
        return self if same and self.has_missing == wanted.has_missing else None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "numbers": [list(vars(each).values()) for each in self.numbers],
            "gaps": self.has_missing,
            "categories": [[each.name, list(each.values)] for each in self.categories],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        categories = tuple(
            CategoricalFeature(name, tuple(values)) for name, values in data["categories"]
        )
        return cls(
            tuple(NumericFeature(*each) for each in data["numbers"]), categories, data["gaps"]
        )

    def compute_sums(self, table: pa.Table) -> Sums:
        """The sums of a table's rows.

        With gaps: products (width x width), sums and sums of squares where the other feature is
        there (width x features), rows where both are (features x features); without: products, sums
        (width) and rows (1).
        """
        rows = table.num_rows
        found, there = (
            np.zeros((rows, self.width), order="F"),
            np.ones((rows, len(self.features) if self.has_missing else 0)),
        )
        for place, number in enumerate(self.numbers):
            values = to_doubles(table.column(number.name))
            if self.has_missing:
                there[:, place] = np.isfinite(values)
                values = np.where(np.isfinite(values), values, number.shift)
            found[:, place] = (values - number.shift) / number.scale
        place = len(self.numbers)
        for feature, category in enumerate(self.categories, len(self.numbers)):
            column = table.column(category.name)
            codes = pc.index_in(column.cast(pa.string()), pa.array(category.values))
            codes = pc.fill_null(codes, -1).to_numpy()
            held = np.flatnonzero(codes >= 0)
            found[held, place + codes[held]] = 1
            if self.has_missing:
                there[:, feature] = codes >= 0
            place += len(category.values)
        products = found.T @ found
        if not self.has_missing:
            return [products, found.sum(axis=0), np.array([float(rows)])]
        return [products, found.T @ there, np.square(found).T @ there, there.T @ there]

    def compute_associations(self, sums: Sums) -> Doubles:
        """The measure of each pair of features (features x features); NaN where a feature does not vary in the rows of a pair."""
        if not self.has_missing:
            products, summed, rows = sums
            sums = [
                products,
                np.repeat(summed[:, None], len(self.features), 1),
                np.repeat(np.diag(products)[:, None], len(self.features), 1),
                np.full((len(self.features),) * 2, rows[0]),
            ]
        count = len(self.numbers)
        found = np.eye(len(self.features))
        with np.errstate(divide="ignore", invalid="ignore"):
            found[:count, :count] = self._compute_pearson(sums)
            starts = np.cumsum([count, *(len(each.values) for each in self.categories)])
            blocks = [slice(start, end) for start, end in pairwise(starts)]
            for at, block in enumerate(blocks):
                found[count + at, :count] = found[:count, count + at] = (
                    self._compute_correlation_ratios(sums, block, count + at)
                )
                for other in range(at):
                    found[count + at, count + other] = found[count + other, count + at] = (
                        _compute_cramers_v(sums[0][block, blocks[other]])
                    )
        return found

    def _compute_pearson(self, sums: Sums) -> Doubles:
        count = len(self.numbers)
        products, summed, squares, rows = (each[:count, :count] for each in sums)
        means = summed / rows
        spread = squares / rows - means**2  # of the first where the second is there
        found: Doubles = (products / rows - means * means.T) / np.sqrt(spread * spread.T)
        found[(spread <= 1e-14) | (spread.T <= 1e-14)] = np.nan
        return np.clip(found, -1, 1)

    def _compute_correlation_ratios(
        self, sums: Sums, category_columns: slice, feature: int
    ) -> Doubles:
        """The correlation ratio of each number with a category: the root of the share of its variance that lies between the categories."""
        count = len(self.numbers)
        products, summed, squares, rows = sums
        of_each, within = (
            products[category_columns, :count],
            summed[category_columns, :count],
        )  # sums and rows by category
        total = rows[feature, :count]
        mean = summed[:count, feature] / total
        spread = squares[:count, feature] - total * mean**2
        between = np.where(within > 0, of_each**2 / within, 0).sum(axis=0) - total * mean**2
        found: Doubles = np.sqrt(
            np.clip(np.where(spread > 1e-14 * total, between / spread, np.nan), 0, 1)
        )
        return found


def _compute_cramers_v(table: Doubles) -> float:
    """Cramer's V of a contingency table, without the bias correction."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape, default=0) < 2:
        return float("nan")
    return float(np.sqrt(compute_chi_squared(table) / table.sum() / (min(table.shape) - 1)))


def merge_sums(parts: Sequence[Sums]) -> Sums:
    """The sums of all parts together."""
    return [sum(each[1:], each[0]) for each in zip(*parts, strict=True)]
