"""Columns and conditions as a user writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, QueryError, SchemaError
from spark_fs.spec.names import GroupRef, normalize_names
from spark_fs.spec.predicates import NO_GROUP, Combination, Comparison

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
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

    Comparisons make conditions, as in ``fg["amount"] > 5``. One that is made by its name alone, as
    in ``Feature("amount") > 5``, is looked up in the query that it filters. A time may come in any
    form ("2024-01-31", a datetime, an epoch), and is UTC without a zone.

    Args:
        name: The name.
        type: The type, as Spark writes it, such as "bigint" or "decimal(10,2)"; None: for a
            condition alone.
        description: What it is, in words.
        primary: Whether it is of the primary key.
        foreign: Whether it is of a foreign key.
        partition: Whether it is of the partition key.
        hudi_precombine_key: Taken for Hopsworks' sake.
        offline_only: Taken for Hopsworks' sake.
        online_type: The type of its column in the online store; empty: the one that its type has.
        default_value: Taken for Hopsworks' sake.
        feature_group_id: Taken for Hopsworks' sake.
        feature_group: The group that it is a column of; None: of a declaration.
        on_demand: Whether an on-demand transformation computes it.
        use_fully_qualified_name: Taken for Hopsworks' sake.
        column_name: Taken for Hopsworks' sake.
        group: The name and version of the group that it is a column of.
    """

    def __init__(
        self,
        name: str,
        type: str | None = None,
        description: str = "",
        primary: bool = False,
        foreign: bool = False,
        partition: bool = False,
        hudi_precombine_key: bool = False,
        offline_only: bool = False,
        online_type: str = "",
        default_value: Any = None,
        feature_group_id: int | None = None,
        feature_group: Group | None = None,
        on_demand: bool = False,
        use_fully_qualified_name: bool = False,
        column_name: str | None = None,
        *,
        group: GroupRef | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.description = description
        self.primary = primary
        self.foreign = foreign
        self.partition = partition
        self.hudi_precombine_key = hudi_precombine_key
        self.offline_only = offline_only
        self.online_type = online_type
        self.default_value = default_value
        self.feature_group_id = feature_group_id
        self.on_demand = on_demand
        self.use_fully_qualified_name = use_fully_qualified_name
        self.column_name = column_name or name
        self._group = group
        self._stores: Stores | None = None
        if feature_group is not None:
            self._group = feature_group.spec.ref
            self._stores = feature_group._stores

    def __repr__(self) -> str:
        if self.type is None:
            return f"Feature({self.name!r})"
        return f"Feature({self.name!r}, {self.type!r})"

    def __hash__(self) -> int:
        return hash((self._group, self.name))

    def is_complex(self) -> bool:
        """Return whether it is an array, a map or a struct."""
        return (self.type or "").startswith(("array<", "map<", "struct<"))

    def to_dict(self) -> dict[str, Any]:
        """Return what was declared of it, under Hopsworks' names."""
        return {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "partition": self.partition,
            "hudiPrecombineKey": self.hudi_precombine_key,
            "offlineOnly": self.offline_only,
            "primary": self.primary,
            "foreign": self.foreign,
            "onlineType": self.online_type or None,
            "defaultValue": self.default_value,
            "featureGroupId": self.feature_group_id,
            "onDemand": self.on_demand,
            "useFullyQualifiedName": self.use_fully_qualified_name,
            "columnName": self.column_name,
        }

    def _make_filter(self, operator: Operator, value: Any) -> Filter:
        stores = [self._stores] if self._stores else []
        name = self.name
        if self._group is None:
            (name,) = normalize_names("A condition", [name])
        comparison = Comparison(self._group or NO_GROUP, name, operator, value)
        return Filter(comparison, stores)

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

    def isin(self, other: Sequence[object] | str) -> Filter:
        """Whether the value is one of these; a null is not, and nothing is one of an empty list."""
        values = [other] if isinstance(other, str) else other
        return self._make_filter("in", tuple(_check_value(self, value) for value in values))

    contains = isin

    def like(self, other: str) -> Filter:
        """Whether the string matches an SQL pattern.

        In it ``%`` stands for any string and ``_`` for one character. Raises QueryError for a
        column that is not a string.
        """
        from spark_fs.spec.conditions import check_like

        if self.type is not None:
            check_like(self.name, self.type)
        return self._make_filter("like", _check_value(self, other))

    def is_null(self) -> Filter:
        """Whether the value is null."""
        return self._make_filter("is_null", None)


def _check_value(feature: Feature, value: object) -> object:
    """Convert a value for a comparison with the column; QueryError for one of another kind.

    What is compared with a column that is named alone is converted when the query is known.
    """
    from spark_fs.base.python_values import to_python
    from spark_fs.spec.conditions import to_comparable

    if isinstance(value, Feature):
        raise QueryError(
            f"{feature} is compared with another column, {value}: a filter compares a column with"
            " a value. Insert what the two give as a column of its own, or filter the frame."
        )
    if feature.type is None or feature._group is None:
        return to_python(value)
    return to_comparable(feature.name, feature.type, value)


def find_feature(stores: Stores, group: GroupSpec, name: str) -> Feature:
    """Find a column of a group.

    Args:
        stores: Where the group is kept.
        group: The group.
        name: The column.

    Returns:
        The column, which knows its group.

    Raises:
        NotFoundError: The column does not exist; it names the nearest ones.
    """
    for column in group.features:
        if column.name == name:
            return make_feature(stores, group, column)
    raise NotFoundError.for_name(
        f"Column of feature group {group}", name, group.types, "Use one of its columns."
    )


def make_feature(stores: Stores, group: GroupSpec, column: FeatureSpec) -> Feature:
    """Make a column that exists, which knows its group.

    Args:
        stores: Where the group is kept.
        group: The group.
        column: What was declared of the column.

    Returns:
        The column.
    """
    feature = Feature(
        column.name,
        column.type,
        column.description,
        primary=column.name in group.primary_key,
        foreign=column.name in group.foreign_key,
        partition=column.name in group.partition_key,
        online_type=column.online_type,
        group=group.ref,
    )
    feature._stores = stores
    return feature


def list_names(features: str | Feature | Sequence[str | Feature]) -> list[str]:
    """Return the names of columns that are given by name or as Features, one or a list.

    They are brought to lower snake case, with a warning.
    """
    if isinstance(features, str | Feature):
        features = [features]
    names = [feature.name if isinstance(feature, Feature) else feature for feature in features]
    return normalize_names("A selection", names)


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
        if feature.type is None:
            raise SchemaError(
                f"{feature} has no type: declare one, as in"
                f" spark_fs.Feature({feature.name!r}, 'double')."
            )
    return tuple(
        FeatureSpec(
            feature.name,
            types.parse_type(feature.type or ""),
            feature.description,
            feature.online_type,
        )
        for feature in features
    )
