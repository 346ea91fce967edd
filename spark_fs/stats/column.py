"""The state of one column: all that its statistics follow from, of some rows, in parts that merge."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.stats.distinct import FREQUENT, Distinct, Frequent, Values
from spark_fs.stats.exact import UNIT, Numbers, deviation, exact_squares, exact_sum, units
from spark_fs.stats.quantiles import Doubles, Quantiles
from spark_fs.types import aware, base

Kind = Literal["number", "time", "category", "nested"]
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "float", "double", "decimal"), "number"),
    **dict.fromkeys(("date", "timestamp"), "time"), **dict.fromkeys(("string", "boolean"), "category"),
}
WHOLE = ("tinyint", "smallint", "int", "bigint")
DAY = 86_400_000_000  # microseconds
_HALF = np.int64(0xFFFFFFFF)


def kind(type_: str) -> Kind:
    """What can be said of columns of a type; of nested values and bytes only how many there are."""
    return _KINDS.get(base(type_), "nested")


@dataclass(frozen=True)
class Column:
    """A column of some rows.

    nulls: rows without a value. nans, above, below: those with NaN and the two infinities, which are in no other figure but those of
    distinct values. low, high: the least and greatest value, in the column's own type. total, squares: sums of the finite values and of
    their squares. quantiles: of finite numbers, or of times in microseconds. frequent: of texts. days: of times, the rows of each day since
    1970.
    """

    type: str
    rows: int = 0
    nulls: int = 0
    nans: int = 0
    above: int = 0
    below: int = 0
    low: Any = None
    high: Any = None
    total: int = 0
    squares: int = 0
    quantiles: Quantiles = field(default_factory=Quantiles)
    distinct: Distinct = field(default_factory=Distinct)
    frequent: Frequent = field(default_factory=Frequent)
    days: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: pa.ChunkedArray, type_: str) -> Self:
        """Of the values of a column, of this feature type."""
        nulls = values.null_count
        held = values.drop_null() if nulls else values
        return cls(type_, len(values), nulls, **_SUMMED[kind(type_)](held, type_)) if len(held) else cls(type_, len(values), nulls)

    @property
    def values(self) -> int:
        """How many rows have a value."""
        return self.rows - self.nulls

    @property
    def count(self) -> int:
        """How many have a finite one."""
        return self.values - self.nans - self.above - self.below

    @property
    def mean(self) -> float:
        """The mean of the finite values."""
        return _rounded(self.total, self.count << UNIT)

    @property
    def sum(self) -> float | int:
        """The sum of the finite values; a whole number of a column of these."""
        return self.total >> UNIT if base(self.type) in WHOLE else _rounded(self.total, 1 << UNIT)

    @property
    def stddev(self) -> float:
        """The deviation of the population."""
        if self.low == self.high:
            return 0.0
        return deviation(self.count, self.total, self.squares)

    def merge(self, other: "Column") -> "Column":
        """The two parts together."""
        days = Counter(self.days)
        days.update(other.days)
        return Column(
            self.type, self.rows + other.rows, self.nulls + other.nulls, self.nans + other.nans, self.above + other.above,
            self.below + other.below, _of(min, self.low, other.low), _of(max, self.high, other.high), self.total + other.total,
            self.squares + other.squares, self.quantiles.merge(other.quantiles), self.distinct.merge(other.distinct),
            self.frequent.merge(other.frequent), days,
        )

    @cached_property
    def points(self) -> tuple[Doubles, Numbers]:
        """Finite numbers in their order, and how many rows each stands for: all of them, where few are distinct, else some."""
        if self.distinct.exact and self.distinct.values.dtype != object:
            values, rows = self.distinct.ordered()
            finite = np.isfinite(values.astype(np.float64))
            return values[finite].astype(np.float64), rows[finite]
        return self.quantiles.points

    @property
    def counted(self) -> Mapping[Any, int]:
        """The rows of each category: of every one, or of the most frequent where there are many."""
        if not self.distinct.exact:
            return self.frequent.rows
        values = self.distinct.values.astype(bool) if self.type == "boolean" else self.distinct.values
        return dict(zip(values.tolist(), self.distinct.counts.tolist(), strict=True))

    def texts(self) -> tuple[str, ...]:
        """The distinct values, as Arrow writes them, in their order; of a column of few."""
        values = self.distinct.ordered()[0]
        held = pa.array(values.astype(bool) if self.type == "boolean" else values)
        return tuple(held.cast(pa.string()).to_pylist())

    @property
    def exact(self) -> bool:
        """Whether percentiles, histogram and drift follow from every value, and not from a sketch."""
        return self.distinct.exact or self.quantiles.exact


def _of(choose: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    return right if left is None else left if right is None else choose(left, right)


def doubles(column: pa.ChunkedArray) -> Doubles:
    """A column's values as doubles, NaN where there is none."""
    found: Doubles = pc.fill_null(column.cast(pa.float64()), math.nan).to_numpy()
    return found


def _rounded(above: int, below: int) -> float:
    """A quotient, infinite where no double holds it."""
    try:
        return above / below
    except OverflowError:
        return math.inf if above > 0 else -math.inf


# -- what is made of values that are not null, by the kind of their column


def _numbers(held: pa.ChunkedArray, type_: str) -> dict[str, Any]:
    if base(type_) in WHOLE:
        whole: Values = held.to_numpy().astype(np.int64)
        ordered = np.sort(whole)
        return {
            "low": int(ordered[0]), "high": int(ordered[-1]), **_moments(whole.astype(np.float64), _whole_sum(whole)),
            "quantiles": Quantiles.of(ordered.astype(np.float64)), "distinct": Distinct.of_sorted(ordered),
        }
    values: Doubles = held.cast(pa.float64()).to_numpy()
    counts: dict[str, Any] = {}
    finite = values
    if not np.isfinite(values).all():
        counts = {"nans": int(np.isnan(values).sum()), "above": int(np.isposinf(values).sum()), "below": int(np.isneginf(values).sum())}
        finite = values[np.isfinite(values)]
    ordered = np.sort(finite) + 0.0
    distinct = Distinct.of_sorted(ordered)
    if counts:
        odd = np.array([math.nan, math.inf, -math.inf]), np.array([counts["nans"], counts["above"], counts["below"]])
        distinct = distinct.merge(Distinct.of(odd[0][odd[1] > 0], odd[1][odd[1] > 0]))
    if base(type_) == "decimal":
        bounds = pc.min_max(held)
        texts = pc.value_counts(held.cast(pa.string()))
        distinct = _texts(texts)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
    else:
        low, high = (float(ordered[0]), float(ordered[-1])) if len(ordered) else (None, None)
    return {**counts, "low": low, "high": high, **_moments(finite, None), "quantiles": Quantiles.of(ordered), "distinct": distinct}


def _times(held: pa.ChunkedArray, type_: str) -> dict[str, Any]:
    bounds = pc.min_max(held)
    low, high = (bounds[side].as_py() if type_ == "date" else aware(bounds[side].as_py()) for side in ("min", "max"))
    whole = held.cast(pa.int32()).cast(pa.int64()) if type_ == "date" else held.cast(pa.int64())
    micros = np.sort(whole.to_numpy()) * (DAY if type_ == "date" else 1)
    days, rows = np.unique(micros // DAY, return_counts=True)
    return {
        "low": low, "high": high, "quantiles": Quantiles.of(micros.astype(np.float64)),
        "distinct": Distinct.of_sorted(micros), "days": dict(zip(days.tolist(), rows.tolist(), strict=True)),
    }


def _categories(held: pa.ChunkedArray, type_: str) -> dict[str, Any]:
    if type_ == "boolean":
        true = pc.sum(held).as_py()
        rows = np.array([len(held) - true, true])
        present = np.flatnonzero(rows)
        return {"low": bool(present[0]), "high": bool(present[-1]), "distinct": Distinct.of(present, rows[present])}
    counted = pc.value_counts(held)
    bounds = pc.min_max(counted.field("values").cast(pa.string()))
    most = counted.take(pc.sort_indices(counted.field("counts"), sort_keys=[("", "descending")])[: FREQUENT + 1])
    often = dict(zip(most.field("values").to_pylist(), most.field("counts").to_pylist(), strict=True))
    return {"low": bounds["min"].as_py(), "high": bounds["max"].as_py(), "distinct": _texts(counted), "frequent": Frequent.of(often)}


def _nested(held: pa.ChunkedArray, type_: str) -> dict[str, Any]:  # noqa: ARG001 # the others look at them
    return {}


_SUMMED: Mapping[Kind, Callable[[pa.ChunkedArray, str], dict[str, Any]]] = {
    "number": _numbers, "time": _times, "category": _categories, "nested": _nested,
}


def _texts(counted: pa.StructArray) -> Distinct:
    values = counted.field("values").cast(pa.string()).to_numpy(zero_copy_only=False).astype(object)
    return Distinct.of(values, counted.field("counts").to_numpy())


def _whole_sum(values: Values) -> int:
    """The exact sum of whole numbers of 64 bits."""
    return (int((values >> 32).sum()) << 32) + int((values & _HALF).sum())


def _moments(values: Doubles, whole: int | None) -> dict[str, Any]:
    """The sums of values and squares, without rounding where doubles would overflow; whole: the sum, where it is known exactly."""
    if not len(values):
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        summed = float(values.sum())
        apart = values - summed / len(values)
        spread = float(apart.dot(apart))
    if not (math.isfinite(summed) and math.isfinite(spread)):
        return {"total": exact_sum(values), "squares": exact_squares(values)}
    total = units(summed) if whole is None else whole << UNIT
    return {"total": total, "squares": (units(spread) << UNIT) + total**2 // len(values)}
