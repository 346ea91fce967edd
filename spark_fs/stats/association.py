"""How strongly columns correlate, from sums of products that parts add up.

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
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.column_values import get_column_kind, to_doubles
from spark_fs.stats.scores import compute_chi_squared
from spark_fs.stats.sketches.quantiles import Doubles

MAX_CATEGORIES = 50  # a feature with more has no place in the matrix
# Rows and columns of zeros make a matrix this many times as long and as wide: then a product is the
# same bits with any number of threads (all of 200; of other shapes most are not).
_SIZE_UNIT = 64
_MIN_VARIANCE = 1e-14  # of standardised numbers: with less they do not vary in the rows of a pair
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

    def find_codes(self, column: pa.ChunkedArray) -> npt.NDArray[np.int32]:
        """The number of each value's category; -1 for a value that is missing or unknown."""
        codes = pc.index_in(column.cast(pa.string()), pa.array(self.values))
        numbers: npt.NDArray[np.int32] = pc.fill_null(codes, -1).to_numpy()
        return numbers


@dataclass(frozen=True)
class DesignMatrix:
    """Which columns of the matrix stand for which features.

    Attributes:
        numbers: the features with one column each, which come first.
        categories: the features with a column for each of their values.
        has_missing: whether any value may be missing.
    """

    numbers: tuple[NumericFeature, ...]
    categories: tuple[CategoricalFeature, ...]
    has_missing: bool

    @classmethod
    def from_states(cls, states: Mapping[str, ColumnState], classes: Sequence[str] = ()) -> Self:
        """The matrix of the features that vary and have few enough categories.

        Args:
            states: the states of the columns, by their names.
            classes: the columns whose numbers are categories.

        Returns:
            The matrix; features that have no place in it are left out.
        """
        numbers: list[NumericFeature] = []
        categories: list[CategoricalFeature] = []
        has_missing = False
        for name, state in states.items():
            if name not in classes and _is_varying_number(state):
                numbers.append(NumericFeature(name, state.mean, state.stddev))
            elif _has_few_categories(state, name in classes):
                categories.append(CategoricalFeature(name, state.list_categories()))
            else:
                continue
            has_missing = has_missing or state.finite_count < state.rows
        return cls(tuple(numbers), tuple(categories), has_missing)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, numbers first."""
        names = [number.name for number in self.numbers]
        names += [category.name for category in self.categories]
        return tuple(names)

    @property
    def width(self) -> int:
        """How many columns the matrix has."""
        return len(self.numbers) + sum(len(feature.values) for feature in self.categories)

    @property
    def sum_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of what ``compute_sums`` gives."""
        width = self.width
        features = len(self.features)
        if self.has_missing:
            return (width, width), (width, features), (width, features), (features, features)
        return (width, width), (width,), (1,)

    def reuse_for(self, wanted: "DesignMatrix") -> "DesignMatrix | None":
        """This matrix, where it serves the features of ``wanted`` too, whose rows are more.

        None where others are needed.
        """
        if self.features != wanted.features or self.categories != wanted.categories:
            return None
        return self if self.has_missing == wanted.has_missing else None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        numbers = [[feature.name, feature.shift, feature.scale] for feature in self.numbers]
        categories = [[feature.name, list(feature.values)] for feature in self.categories]
        return {"numbers": numbers, "gaps": self.has_missing, "categories": categories}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what ``to_json`` gave."""
        numbers = tuple(NumericFeature(*fields) for fields in data["numbers"])
        categories = [
            CategoricalFeature(name, tuple(values)) for name, values in data["categories"]
        ]
        return cls(numbers, tuple(categories), data["gaps"])

    def compute_sums(self, table: pa.Table) -> Sums:
        """The sums of a table's rows, in the shapes of ``sum_shapes``.

        With missing values: products (width x width), sums and sums of squares where the other
        feature is there (width x features), rows where both are (features x features). Without:
        products, sums (width) and rows (1).
        """
        rows = table.num_rows
        width = self.width
        matrix = _make_zeros(rows, width)
        feature_count = len(self.features)
        presence = _make_zeros(rows, feature_count if self.has_missing else 0)
        presence[:rows, :feature_count] = 1  # where a feature is there
        self._fill_numbers(table, matrix[:rows], presence[:rows])
        self._fill_categories(table, matrix[:rows], presence[:rows])
        products = (matrix.T @ matrix)[:width, :width]
        if not self.has_missing:
            return [products, matrix[:, :width].sum(axis=0), np.array([float(rows)])]
        totals = (matrix.T @ presence)[:width, :feature_count]
        row_counts = (presence.T @ presence)[:feature_count, :feature_count]
        squares = (np.square(matrix, out=matrix).T @ presence)[:width, :feature_count]
        return [products, totals, squares, row_counts]

    def _fill_numbers(self, table: pa.Table, matrix: Doubles, presence: Doubles) -> None:
        for i, number in enumerate(self.numbers):
            values = to_doubles(table.column(number.name))
            if self.has_missing:
                is_finite = np.isfinite(values)
                presence[:, i] = is_finite
                values = np.where(is_finite, values, number.shift)
            standardised = np.subtract(values, number.shift, out=matrix[:, i])
            np.divide(standardised, number.scale, out=standardised)

    def _fill_categories(self, table: pa.Table, matrix: Doubles, presence: Doubles) -> None:
        first_column = len(self.numbers)
        for i, category in enumerate(self.categories, len(self.numbers)):
            codes = category.find_codes(table.column(category.name))
            is_known = codes >= 0
            known_rows = np.flatnonzero(is_known)
            matrix[known_rows, first_column + codes[known_rows]] = 1
            if self.has_missing:
                presence[:, i] = is_known
            first_column += len(category.values)

    def compute_associations(self, sums: Sums) -> Doubles:
        """The measure of each pair of features (features x features).

        It is NaN where a feature does not vary in the rows of a pair.
        """
        if not self.has_missing:
            sums = self._spread_sums(sums)
        number_count = len(self.numbers)
        measures = np.eye(len(self.features))
        with np.errstate(divide="ignore", invalid="ignore"):
            measures[:number_count, :number_count] = self._compute_pearson(sums)
            blocks = self._list_category_blocks()
            for i, block in enumerate(blocks):
                row = number_count + i
                ratios = self._compute_correlation_ratios(sums, block, row)
                measures[row, :number_count] = ratios
                measures[:number_count, row] = ratios
                for j, other_block in enumerate(blocks[:i]):
                    other_row = number_count + j
                    v = _compute_cramers_v(sums[0][block, other_block])
                    measures[row, other_row] = v
                    measures[other_row, row] = v
        return measures

    def _spread_sums(self, sums: Sums) -> Sums:
        """Sums of rows without missing values in the shapes of those with them."""
        products, totals, rows = sums
        features = len(self.features)
        return [
            products,
            np.repeat(totals[:, None], features, 1),
            np.repeat(np.diag(products)[:, None], features, 1),
            np.full((features, features), rows[0]),
        ]

    def _list_category_blocks(self) -> list[slice]:
        """The columns of each categorical feature in the matrix."""
        widths = [len(feature.values) for feature in self.categories]
        starts = np.cumsum([len(self.numbers), *widths])
        return [slice(start, end) for start, end in pairwise(starts)]

    def _compute_pearson(self, sums: Sums) -> Doubles:
        count = len(self.numbers)
        products, totals, squares, rows = (part[:count, :count] for part in sums)
        means = totals / rows
        variances = squares / rows - means**2  # of the first where the second is there
        covariances = products / rows - means * means.T
        correlations: Doubles = covariances / np.sqrt(variances * variances.T)
        is_constant = (variances <= _MIN_VARIANCE) | (variances.T <= _MIN_VARIANCE)
        correlations[is_constant] = np.nan
        return np.clip(correlations, -1, 1)

    def _compute_correlation_ratios(self, sums: Sums, block: slice, feature: int) -> Doubles:
        """The correlation ratio of each number with a category.

        It is the root of the share of the number's variance that lies between the categories.

        Args:
            sums: with missing values.
            block: the columns of the category in the matrix.
            feature: its number among the features.
        """
        count = len(self.numbers)
        products, totals, squares, rows = sums
        sums_by_category = products[block, :count]
        rows_by_category = totals[block, :count]
        row_counts = rows[feature, :count]
        means = totals[:count, feature] / row_counts
        spread = squares[:count, feature] - row_counts * means**2
        squares_by_category = np.where(
            rows_by_category > 0, sums_by_category**2 / rows_by_category, 0
        )
        between = squares_by_category.sum(axis=0) - row_counts * means**2
        shares = np.where(spread > _MIN_VARIANCE * row_counts, between / spread, np.nan)
        ratios: Doubles = np.sqrt(np.clip(shares, 0, 1))
        return ratios


def _make_zeros(rows: int, columns: int) -> Doubles:
    """Zeros for so many rows and columns, and for those that make the whole large enough."""
    shape = [ceil_divide(size, _SIZE_UNIT) * _SIZE_UNIT for size in (rows, columns)]
    return np.zeros(shape, order="F")


def _is_varying_number(state: ColumnState) -> bool:
    if get_column_kind(state.type) != "number" or not state.finite_count:
        return False
    return 0 < state.stddev < np.inf and bool(np.isfinite(state.mean))


def _has_few_categories(state: ColumnState, is_class: bool) -> bool:
    if get_column_kind(state.type) != "category" and not is_class:
        return False
    return state.distinct.is_exact and 2 <= len(state.distinct.values) <= MAX_CATEGORIES


def _compute_cramers_v(table: Doubles) -> float:
    """Cramer's V of a contingency table, without the bias correction."""
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    least_dimension = min(table.shape, default=0)
    if least_dimension < 2:
        return float("nan")
    return float(np.sqrt(compute_chi_squared(table) / table.sum() / (least_dimension - 1)))


def merge_sums(parts: Sequence[Sums]) -> Sums:
    """The sums of all parts together."""
    return [sum(arrays[1:], arrays[0]) for arrays in zip(*parts, strict=True)]
