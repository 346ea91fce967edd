"""Columns and conditions as a user writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, QueryError, SchemaError
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Combination, Comparison

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_group import FeatureSpec
    from spark_fs.spec.predicates import Condition, Operator


class Filter:
    """A condition on rows. Combine with ``&``, ``|`` and ``~``."""

    def __init__(self, condition: Condition, stores: Sequence[Stores] = ()) -> None:
        self.condition = condition
        self.stores = tuple(stores)  # of each column in it

    def __and__(self, other: Filter) -> Filter:
        return self._combine("and", other)

    def __or__(self, other: Filter) -> Filter:
        return self._combine("or", other)

    def _combine(self, logic: Literal["and", "or"], other: Filter) -> Filter:
        combination = Combination(logic, (self.condition, other.condition))
        return Filter(combination, (*self.stores, *other.stores))

    def __invert__(self) -> Filter:
        return Filter(Combination("not", (self.condition,)), self.stores)

    def __bool__(self) -> NoReturn:
        raise QueryError(
            "A condition has no truth value of its own: combine conditions with & | ~ and put each"
            " in parentheses, as in (fg['a'] > 1) & ~fg['b'].is_null(); `and`, `or`, `not` and"
            " chained comparisons cannot work."
        )


@validate_arguments
class Feature:
    """A column: declared with its type for a group, or taken from one to be compared with a value.

    Comparisons make conditions, as in ``fg["amount"] > 5``. A time without a zone is UTC.

    Args:
        name: The name.
        type: The type, as Spark writes it, such as "bigint" or "decimal(10,2)".
        description: What it is, in words.
        group: The group that it is a column of; None: of a declaration.
        online_type: The type of its column in the online store; empty: the one that its type has.
    """

    __hash__ = None  # type: ignore[assignment] # == makes a condition, so it cannot be a key of a dict

    def __init__(
        self,
        name: str,
        type: str,
        description: str = "",
        group: GroupRef | None = None,
        online_type: str = "",
    ) -> None:
        self.name = name
        self.type = type
        self.description = description
        self.online_type = online_type
        self._group = group
        self._stores: Stores | None = None

    def __repr__(self) -> str:
        return f"Feature({self.name!r}, {self.type!r})"

    def _make_filter(self, operator: Operator, value: Any) -> Filter:
        if self._group is None:
            raise QueryError(
                f"{self} belongs to no feature group: take the column from one, as in"
                f" fg[{self.name!r}]."
            )
        stores = [self._stores] if self._stores else []
        return Filter(Comparison(self._group, self.name, operator, value), stores)

    def __eq__(self, value: object) -> Filter:  # type: ignore[override] # a condition, as in pandas and Spark
        return self._make_filter("==", _check_value(self, value))

    def __ne__(self, value: object) -> Filter:  # type: ignore[override] # a condition, as in pandas and Spark
        return self._make_filter("!=", _check_value(self, value))

    def __lt__(self, value: object) -> Filter:
        return self._make_filter("<", _check_value(self, value))

    def __le__(self, value: object) -> Filter:
        return self._make_filter("<=", _check_value(self, value))

    def __gt__(self, value: object) -> Filter:
        return self._make_filter(">", _check_value(self, value))

    def __ge__(self, value: object) -> Filter:
        return self._make_filter(">=", _check_value(self, value))

    def isin(self, values: Sequence[object]) -> Filter:
        """Whether the value is one of these; a null is not, and nothing is one of an empty list."""
        return self._make_filter("in", tuple(_check_value(self, value) for value in values))

    def like(self, pattern: str) -> Filter:
        """Whether the string matches an SQL pattern.

        In it ``%`` stands for any string and ``_`` for one character. Raises QueryError for a
        column that is not a string.
        """
        if self.type != "string":
            raise QueryError(
                f"Column {self.name!r} is {self.type}, and like() compares strings: use ==, <, > or"
                " isin()."
            )
        return self._make_filter("like", _check_value(self, pattern))

    def is_null(self) -> Filter:
        """Whether the value is null."""
        return self._make_filter("is_null", None)


def _check_value(feature: Feature, value: object) -> object:
    """Convert a value for a comparison with the column; QueryError for one of another kind."""
    from spark_fs.spec.conditions import to_comparable

    return to_comparable(feature.name, feature.type, value)


def find_feature(stores: Stores, group: GroupRef, features: dict[str, str], name: str) -> Feature:
    """Find a column of a group.

    Args:
        stores: Where the group is kept.
        group: The group.
        features: Its columns, with their types.
        name: The column.

    Returns:
        The column, which knows its group.

    Raises:
        NotFoundError: The column does not exist; it names the nearest ones.
    """
    if name not in features:
        raise NotFoundError.for_name(
            f"Column of feature group {group}", name, features, "Use one of its columns."
        )
    return make_feature(stores, group, name, features[name])


def make_feature(
    stores: Stores, group: GroupRef, name: str, type_: str, description: str = ""
) -> Feature:
    """Make a column that exists, which knows its group.

    Args:
        stores: Where the group is kept.
        group: The group.
        name: The column.
        type_: Its type, as Spark writes it.
        description: What it is, in words.

    Returns:
        The column.
    """
    feature = Feature(name, type_, description, group)
    feature._stores = stores
    return feature


def extract_condition(stores: Stores, cond: Filter) -> Condition:
    """Extract what a condition says.

    Args:
        stores: Where the query is kept that it filters.
        cond: The condition.

    Returns:
        The condition as a value.

    Raises:
        QueryError: It compares a column of another feature store.
    """
    for other in cond.stores:
        stores.check_same_store(other, "A column of the condition")
    return cond.condition


def to_feature_specs(features: Sequence[Feature]) -> tuple[FeatureSpec, ...]:
    """Define declared columns; SchemaError for what is not a Feature, or has an unknown type."""
    from spark_fs.base import types
    from spark_fs.spec.feature_group import FeatureSpec

    for feature in features:
        if not isinstance(feature, Feature):
            raise SchemaError(
                f"{feature!r} is not a column: declare one as in spark_fs.Feature('amount',"
                " 'double')."
            )
    return tuple(
        FeatureSpec(
            feature.name, types.parse_type(feature.type), feature.description, feature.online_type
        )
        for feature in features
    )
