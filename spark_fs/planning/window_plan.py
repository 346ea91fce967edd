"""Window features bound to the types of their source; every mistake in them is found here."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Self

from spark_fs.base import types
from spark_fs.base.types import FLOATS, INTEGERS, NUMERIC
from spark_fs.errors import NotFoundError, QueryError, SchemaError
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.conditions import cast_condition
from spark_fs.spec.predicates import Condition, iter_comparisons
from spark_fs.spec.window_features import (
    FUNCTIONS_OF_EVENTS,
    Closed,
    Function,
    WindowFeature,
    WindowsSpec,
    find_longest_reach,
)

# What the functions of numbers give; the others give bigint, the type of their column, an array of
# it, or seconds as a double.
_ARITHMETIC = ("sum", "mean", "stddev", "variance", "percentile", "approx_percentile")
_COUNTS = ("count", "distinct_count", "approx_distinct_count")
_DOUBLES = ("mean", "stddev", "variance", "percentile", "time_since_last")
_LISTS = ("top_k", "last_n", "last_distinct_n")
_SUM_DIGITS = 10  # that the sum of decimals has more than they


@dataclass(frozen=True)
class BoundFeature:
    """A window feature of a column whose type is known.

    name, function, column, over, where, delay, argument: as declared; the values of ``where`` are
    of their columns' types. type: of the column; None without one. result_type: of the feature.
    """

    name: str
    function: Function
    column: str | None
    type: str | None
    result_type: str
    over: int | None
    where: Condition | None
    delay: int
    argument: float | int | None


@dataclass(frozen=True)
class WindowPlan:
    """An aggregation bound to its source, whose columns it names.

    keys: the columns that identify an entity, with their types. known_at: from when an event
    counts, with its type. types: of every column of the source that is needed.
    """

    features: tuple[BoundFeature, ...]
    keys: tuple[tuple[str, str], ...]
    known_at: tuple[str, str]
    types: tuple[tuple[str, str], ...]
    every: int | None = None
    closed: Closed = "left"

    @property
    def schema(self) -> dict[str, str]:
        """The name and type of each feature."""
        return {feature.name: feature.result_type for feature in self.features}

    @property
    def longest_reach(self) -> int | None:
        """How many microseconds before an instant its oldest event may lie; None: any time."""
        return find_longest_reach(self.features)

    def select_features(self, names: Container[str]) -> Self:
        """A copy with these features alone, and the columns that they need."""
        features = tuple(feature for feature in self.features if feature.name in names)
        needed = {self.known_at[0], *dict(self.keys)}
        for feature in features:
            needed.update(_list_columns(feature))
        types = tuple(item for item in self.types if item[0] in needed)
        return replace(self, features=features, types=types)

    @property
    def row_instant(self) -> tuple[str, str]:
        """The column of a row's instant, with its type."""
        name, type_ = self.known_at
        return name, "timestamp" if self.every else type_

    @property
    def row_schema(self) -> dict[str, str]:
        """The columns of a row: the key, the instant, the features."""
        return {**dict(self.keys), **dict([self.row_instant]), **self.schema}


def bind_aggregation(spec: AggregationSpec, source_types: Mapping[str, str]) -> WindowPlan:
    """The plan of an aggregation; errors as ``bind_windows``."""
    return replace(bind_windows(spec.windows, source_types), every=spec.every)


def bind_windows(windows: WindowsSpec, source_types: Mapping[str, str]) -> WindowPlan:
    """The plan of windows that end at any instants.

    Args:
        windows: What was declared.
        source_types: The name and type of each column of the source.

    Raises:
        NotFoundError: A column is not in the source.
        SchemaError: A function cannot take a column of this type, or the instant is no time.
    """
    needed = [*windows.by, windows.known_at]
    features = []
    for feature in windows.features:
        bound = bind_feature(feature, source_types)
        features.append(bound)
        needed += _list_columns(bound)
    for column in needed:
        _get_type(column, source_types)
    known_type = source_types[windows.known_at]
    if known_type not in types.EVENT_TIME_TYPES:
        raise SchemaError(
            f"Column {windows.known_at!r}, from which on an event is known, is {known_type}: it"
            f" must be one of {', '.join(types.EVENT_TIME_TYPES)}."
        )
    return WindowPlan(
        tuple(features),
        tuple((column, source_types[column]) for column in windows.by),
        (windows.known_at, known_type),
        tuple((column, source_types[column]) for column in source_types if column in set(needed)),
        closed=windows.closed,
    )


def _list_columns(feature: BoundFeature) -> list[str]:
    """The columns of the source that a feature is made of."""
    columns = [feature.column] if feature.column else []
    if feature.where:
        columns += [comparison.column for comparison in iter_comparisons(feature.where)]
    return columns


def bind_feature(feature: WindowFeature, source_types: Mapping[str, str]) -> BoundFeature:
    """A window feature of a column of the source; errors as ``bind_aggregation``."""
    type_ = None
    if feature.column is not None:
        type_ = _get_type(feature.column, source_types)
    where = None
    if feature.where is not None:
        _check_operators(feature)
        where = cast_condition(
            feature.where, lambda comparison: _get_type(comparison.column, source_types)
        )
    return BoundFeature(
        feature.name,
        feature.function,
        feature.column,
        type_,
        find_result_type(feature.function, feature.column, type_),
        feature.over,
        where,
        feature.delay,
        feature.argument,
    )


def _check_operators(feature: WindowFeature) -> None:
    assert feature.where
    for comparison in iter_comparisons(feature.where):
        if comparison.operator == "like":
            raise QueryError(
                f"Window feature {feature.name!r} has where= with like() on"
                f" {comparison.column!r}, which windows cannot evaluate: compare with ==, < or"
                " isin(), or filter the source by source.filter(...)."
            )


def find_result_type(function: Function, column: str | None, type_: str | None) -> str:
    """The type that a function gives of a column of this type.

    Args:
        function: The function.
        column: The name of the column; None: the events themselves.
        type_: Its type.

    Raises:
        SchemaError: The function cannot take it.
    """
    if type_ is None:
        if function not in FUNCTIONS_OF_EVENTS:
            raise SchemaError(
                f"{function} needs a column: name one, as in agg.{function}('amount', over='4h')."
            )
        return "bigint" if function == "count" else "double"
    base_type = types.get_base_type(type_)
    if base_type in types.NESTED:
        raise SchemaError(
            f"Column {column!r} is {type_}, and window features are made of single values: take"
            " one of its parts as a column of the source first."
        )
    if function in _ARITHMETIC and base_type not in NUMERIC:
        raise SchemaError(
            f"Column {column!r} is {type_}, which has no {function}: use a column of numbers"
            f" ({', '.join(NUMERIC)}), or cast it first."
        )
    if function in _COUNTS:
        return "bigint"
    if function in _DOUBLES:
        return "double"
    if function in _LISTS:
        return f"array<{type_}>"
    if function == "sum":
        return _find_sum_type(type_)
    if function == "approx_percentile":
        return "double"
    return type_


def _find_sum_type(type_: str) -> str:
    if type_ in INTEGERS:
        return "bigint"
    if type_ in FLOATS:
        return "double"
    precision, scale = types.parse_decimal_sizes(type_)
    return f"decimal({min(38, precision + _SUM_DIGITS)},{scale})"


def _get_type(column: str, source_types: Mapping[str, str]) -> str:
    if column not in source_types:
        raise NotFoundError.for_name(
            "Column of an aggregation's source", column, source_types, "Use one of its columns."
        )
    return source_types[column]
