"""Queries and conditions as a user writes them: values that describe, and run only when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError, QueryError, SchemaError, SettingsError
from spark_fs.spec.names import check_name
from spark_fs.spec.query import Combination, Comparison, GroupRef, JoinSpec, JoinType, QuerySpec

if TYPE_CHECKING:
    from spark_fs.api.spine import Spine
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.planning.plan import JoinPlan
    from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
    from spark_fs.spec.query import Condition, Operator
    from spark_fs.tables.delta.history import Commit


class Filter:
    """A condition on rows. Combine with ``&``, ``|`` and ``~``."""

    def __init__(self, condition: Condition, stores: Sequence[Stores] = ()) -> None:
        self.condition = condition
        self.stores = tuple(stores)  # of each column in it

    def __and__(self, other: Filter) -> Filter:
        return Filter(
            Combination("and", (self.condition, other.condition)), (*self.stores, *other.stores)
        )

    def __or__(self, other: Filter) -> Filter:
        return Filter(
            Combination("or", (self.condition, other.condition)), (*self.stores, *other.stores)
        )

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
    """A column: declared with its type for a group, or taken from one to be compared with a value. A time without a zone is UTC."""

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
        return Filter(
            Comparison(self._group, self.name, operator, value),
            [self._stores] if self._stores else (),
        )

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
        """Whether the value is one of these; a null is none of them, and in an empty list there is none."""
        return self._make_filter("in", tuple(_check_value(self, value) for value in values))

    def like(self, pattern: str) -> Filter:
        """Whether the text matches an SQL pattern: ``%`` stands for any text, ``_`` for one character."""
        if self.type != "string":
            raise QueryError(
                f"Column {self.name!r} is {self.type}, and like() compares texts: use ==, <, > or"
                " isin()."
            )
        return self._make_filter("like", _check_value(self, pattern))

    def is_null(self) -> Filter:
        """Whether the value is null."""
        return self._make_filter("is_null", None)


@validate_arguments
class Query:
    """Columns of a feature group, with other groups joined to it point-in-time. Each method returns a new query."""

    def __init__(self, stores: Stores, spec: QuerySpec, spine: Spine | None = None) -> None:
        self._stores = stores
        self.spec = spec
        self._spine = spine

    def __repr__(self) -> str:
        return f"Query of {', '.join(ref.name for ref in self.spec.iter_groups())}"

    def join(
        self,
        sub_query: Query,
        on: Sequence[str] | None = None,
        left_on: Sequence[str] | None = None,
        right_on: Sequence[str] | None = None,
        join_type: JoinType = "left",
        prefix: str | None = None,
    ) -> Query:
        """Join another query to the leftmost group*.

        Each of its rows is matched point-in-time: same key, the greatest event time that is not
        after the spine's. A group without event time is matched by key. ``left`` keeps exactly the
        spine's rows, ``inner`` drops the unmatched. Without ``on``, the key is the columns that the
        two primary keys share by name.
        """
        if on is not None and (left_on is not None or right_on is not None):
            raise SettingsError(
                "A join takes either on=[...] or left_on=[...] with right_on=[...], not both."
            )
        if sub_query.spine is not None:
            raise QueryError(
                "A spine is joined to another query, and it can only stand leftmost: begin the"
                " query with it."
            )
        self._stores.check_same_store(sub_query._stores, f"{sub_query!r}, which is to be joined,")
        if prefix:
            check_name("Prefix", prefix)
        left, right = _to_column_tuple(on or left_on), _to_column_tuple(on or right_on)
        return self._with_spec(
            self.spec.with_join(JoinSpec(sub_query.spec, left, right, join_type, prefix or ""))
        )

    def filter(self, cond: Filter) -> Query:
        """Keep the rows that satisfy the condition*: a group's own before it is joined, the result's after."""
        if not isinstance(cond, Filter):
            raise QueryError(f"A filter takes a condition such as fg['amount'] > 5, not {cond!r}.")
        return self._with_spec(self.spec.with_filter(extract_condition(self._stores, cond)))

    def as_of(self, when: Instant | int | Commit) -> Query:
        """The query over its groups as they were at an instant (UTC), which stands for the newest commit at or before it*.

        A query of one group takes a version or a commit too. A group that has an ``as_of`` of its
        own keeps it; a feature view keeps them all. Starts no JVM. Raises NotFoundError for a
        version that does not exist and for an instant before the first.
        """
        from spark_fs.tables.delta import history

        if self.spec.joins and isinstance(when, int | history.Commit):
            raise SettingsError(
                f"as_of({when!r}) names a version of one table and the query joins several: give an"
                " instant."
            )
        groups = self._load_groups()

        def version_of(ref: GroupRef) -> int | None:
            if groups[ref].is_dataframe:
                return None
            if groups[ref].source:
                raise QueryError(
                    f"External feature group {groups[ref]} has no history of commits: leave as_of"
                    " to the other groups."
                )
            return history.resolve_table_version(self._stores.find_table(groups[ref]), when)

        return self._with_spec(self.spec.pin_versions(version_of))

    def as_known(self) -> Query:
        """The query in which a row matches only where it had been ingested by the spine's event time*.

        So a row that came late, or was corrected later, does not leak into training data: each
        feature has the value that the store would have given at that instant. A group keeps what a
        later upsert corrects when it was made with ``keep_corrections=True``; of any other only the
        newest value is left, known from its own ingestion. Rows of external groups count as always
        known. Reading raises QueryError when the spine has no event time, or when a group that
        keeps several versions of a row is filtered.
        """
        from dataclasses import replace

        return self._with_spec(replace(self.spec, as_known=True))

    def read(self, dataframe_type: str = "spark", strategy: str | None = None) -> Any:
        """The rows as a Spark DataFrame*, or eagerly with ``dataframe_type="pandas"``.

        strategy: how the join is run, "columnar", "broadcast" or "sql"; without it the best is
        chosen, as ``explain`` tells. The rows are the same, their order is not. Raises
        SettingsError for a strategy that is unknown or cannot run this query.
        """
        from spark_fs.flows import read as flows_read

        spark, plan = self._stores.spark, self.plan()
        frames = {self._spine.spec.ref: self._spine.frame} if self._spine else {}
        return flows_read.read_query(
            spark, plan, self._stores.find_table, dataframe_type, strategy=strategy, frames=frames
        )

    def show(self, n: int = 20) -> None:
        """Print n rows, eagerly."""
        self.read().show(n, truncate=False)

    def to_string(self) -> str:
        """The SQL that the query stands for, with every rule of each match; starts no JVM. A time without a zone is UTC in it."""
        from spark_fs.planning.sql_text import to_sql

        return to_sql(self.plan())

    def explain(self, strategy: str | None = None) -> None:
        """Print how the query would be run now: the spine, each match rule, which files are read of how many, which strategy, why.

        Starts no JVM, since it looks at the logs of the tables alone. strategy: as in ``read``.
        """
        from spark_fs.flows import read as flows_read

        print(
            flows_read.explain_plan(
                lambda: self._stores.spark, self.plan(), self._stores.find_table, strategy
            )
        )

    def plan(self) -> JoinPlan:
        """The query bound to the schemas of its groups; QueryError or NotFoundError when it cannot be."""
        from spark_fs.planning.bind import bind_query

        return bind_query(self.spec, self._load_groups())

    @property
    def spine(self) -> Spine | None:
        """The DataFrame that stands leftmost; None where a feature group does."""
        return self._spine

    def _load_groups(self) -> dict[GroupRef, GroupSpec]:
        spine = {self._spine.spec.ref: self._spine.spec} if self._spine else {}
        return (
            self._stores.catalog.get_groups(
                ref for ref in self.spec.iter_groups() if ref not in spine
            )
            | spine
        )

    def _with_spec(self, spec: QuerySpec) -> Query:
        return Query(self._stores, spec, self._spine)


def _to_column_tuple(names: Sequence[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)


def _check_value(feature: Feature, value: object) -> object:
    """The value to compare with; QueryError for one of another kind."""
    from spark_fs.spec.conditions import to_comparable

    return to_comparable(feature.name, feature.type, value)


def find_feature(stores: Stores, group: GroupRef, features: dict[str, str], name: str) -> Feature:
    """The column of a group; NotFoundError with the nearest names when there is none."""
    if name not in features:
        raise NotFoundError.for_name(
            f"Column of feature group {group}", name, features, "Use one of its columns."
        )
    return make_feature(stores, group, name, features[name])


def make_feature(
    stores: Stores, group: GroupRef, name: str, type_: str, description: str = ""
) -> Feature:
    """A column that is there, which knows whose it is."""
    found = Feature(name, type_, description, group)
    found._stores = stores
    return found


def extract_condition(stores: Stores, cond: Filter) -> Condition:
    """What the condition says; QueryError where it speaks of a column of another store."""
    for other in cond.stores:
        stores.check_same_store(other, "A column of the condition")
    return cond.condition


def to_feature_specs(features: Sequence[Feature]) -> tuple[FeatureSpec, ...]:
    """The definitions of declared columns; SchemaError for what is no Feature or has no type of the type table."""
    from spark_fs.base import types
    from spark_fs.spec.feature_group import FeatureSpec

    for feature in features:
        if not isinstance(feature, Feature):
            raise SchemaError(
                f"{feature!r} is not a column: declare one as in spark_fs.Feature('amount',"
                " 'double')."
            )
    return tuple(
        FeatureSpec(f.name, types.parse_type(f.type), f.description, f.online_type)
        for f in features
    )
