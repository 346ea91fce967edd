"""What a query holds, as its user looks at it: columns, groups, joins, filters."""

from __future__ import annotations

from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.feature import Feature, Filter, find_feature, make_feature
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.user_warnings import warn_user
from spark_fs.errors import NotFoundError, QueryError
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import make_conjunction
from spark_fs.spec.query import JoinSpec, QuerySpec

if TYPE_CHECKING:
    from spark_fs.api.group import Group
    from spark_fs.api.spine import Spine
    from spark_fs.api.stores import Stores
    from spark_fs.flows.read import Frames
    from spark_fs.planning.plan import JoinPlan
    from spark_fs.spec.feature_group import GroupSpec


@validate_arguments
class QueryContents:
    """The definition of a query, and what it says of its groups."""

    def __init__(self, stores: Stores, spec: QuerySpec, spine: Spine | None = None) -> None:
        self._stores = stores
        self._spec = spec
        self._spine = spine
        self._limit: int | None = None
        self._since: int | None = None  # the version after which the rows were written

    def __repr__(self) -> str:
        return f"Query of {', '.join(ref.name for ref in self._spec.iter_groups())}"

    def __getitem__(self, name: str) -> Feature:
        return self.get_feature(name)

    if not TYPE_CHECKING:  # where it would take every misspelt name for a column

        def __getattr__(self, name: str) -> Feature:
            """A column as an attribute, where nothing else of the query has its name."""
            if not name.startswith("_"):
                with suppress(NotFoundError):  # hasattr asks too
                    if name in {feature.name for feature in self.features}:
                        return self.get_feature(name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def spec(self) -> QuerySpec:
        """The definition, as what is joined, trained on or computed from takes it.

        Raises QueryError for one that can only be read: with a limit, of some commits alone, or
        with rows that its leftmost group does not have.
        """
        if self._limit is not None:
            raise QueryError(
                f"{self!r} has limit({self._limit}), which is for a look at some rows: leave limit"
                " out where a query is joined, saved or computed from; filter it for some rows."
            )
        kinds = {join.join_type for query in self._spec.iter_queries() for join in query.joins}
        kinds -= {"left", "inner"}
        if kinds:
            raise QueryError(
                f"{self!r} has a join_type {kinds.pop()!r}, which gives rows that its leftmost"
                " group does not have: read() gives them. Where a query is joined, saved or"
                " computed from, use join_type 'left' or 'inner', and begin with the group, or a"
                " spine, whose rows are to be answered."
            )
        if self._since is not None:
            raise QueryError(
                f"{self!r} has exclude_until, which is for a look at what was written: leave it out"
                " where a query is joined, saved or computed from; read() gives its rows."
            )
        return self._spec

    @property
    def spine(self) -> Spine | None:
        """The DataFrame that stands leftmost; None where a feature group does."""
        return self._spine

    # -- its columns

    @property
    def features(self) -> list[Feature]:
        """The columns that it selects, each of its group: the leftmost group's first."""
        groups = self._load_groups()
        features = []
        for query in self._spec.iter_queries():
            if query.windows:
                features += [Feature(column) for column in query.columns]
                continue
            columns = {column.name: column for column in groups[query.group].features}
            for name in query.columns:
                features.append(make_feature(self._stores, groups[query.group], columns[name]))
        return features

    def get_feature(self, feature_name: str) -> Feature:
        """Return a column of the query, by its name in the result or in its group.

        Raises NotFoundError for a name that is none, QueryError for one of several groups.
        """
        from spark_fs.planning.column_lookup import find_named_column

        plan = self._bind()
        source = find_named_column(plan.nodes, plan.outputs, feature_name)
        return find_feature(self._stores, plan.nodes[source.node].group, source.column)

    def get_ambiguous_features(self) -> dict[str, set[str]]:
        """Return the names that several groups give, each with these groups.

        All but the first get their group before their name when the query is read.
        """
        givers: dict[str, list[str]] = {}
        plan = self._bind()
        for output in plan.outputs:
            node = plan.nodes[output.source.node]
            name = f"{node.group.name} version {node.group.version}"
            givers.setdefault(node.prefix + output.source.column, []).append(name)
        return {name: set(groups) for name, groups in givers.items() if len(groups) > 1}

    def check_and_warn_ambiguous_features(self) -> None:
        """Warn of the columns that get their group before their name."""
        _warn_of_renamed(self._bind())

    # -- its groups

    @property
    def featuregroups(self) -> list[Group]:
        """The feature groups that it reads, each once; a spine is none."""
        groups = self._load_groups()
        ordered = [groups[ref] for ref in dict.fromkeys(self._spec.iter_groups())]
        return [self._stores.open_group(group) for group in ordered if not group.is_dataframe]

    @property
    def joins(self) -> list[JoinSpec]:
        """What is joined to the leftmost group, as values."""
        return list(self._spec.joins)

    @property
    def filters(self) -> Filter | None:
        """All conditions of the query and of those joined to it, as one; None without any."""
        condition = None
        for query in self._spec.iter_queries():
            for part in (query.where, query.having):
                if part is not None:
                    condition = make_conjunction(condition, part)
        return None if condition is None else Filter(condition, [self._stores])

    def is_time_travel(self) -> bool:
        """Return whether a group is read as it was at an earlier commit."""
        pinned = any(query.as_of is not None for query in self._spec.iter_queries())
        return pinned or self._since is not None

    def is_cache_feature_group_only(self) -> bool:
        """Return whether all its groups are tables of the store, and none is external."""
        return not any(group.source for group in self._load_groups().values())

    # -- bound to their schemas

    def plan(self) -> JoinPlan:
        """Bind the query to the schemas of its groups; raises QueryError or NotFoundError.

        A warning names the columns that got their group before their name, since it was taken.
        Raises QueryError as ``spec`` does, too.
        """
        _ = self.spec
        return self._plan_read()

    def _plan_read(self) -> JoinPlan:
        plan = self._bind()
        _warn_of_renamed(plan)
        return plan

    def _bind(self) -> JoinPlan:
        from spark_fs.planning.bind import bind_query

        return bind_query(self._spec, self._load_groups())

    def _list_frames(self) -> Frames:
        """The rows of the spine, where there is one, by the group that they stand for."""
        return {self._spine.spec.ref: self._spine.rows} if self._spine else {}

    def _load_groups(self) -> dict[GroupRef, GroupSpec]:
        spine = {self._spine.spec.ref: self._spine.spec} if self._spine else {}
        refs = (ref for ref in self._spec.iter_groups() if ref not in spine)
        return spine | self._stores.catalog.get_groups(refs)

    def _with_spec(self, spec: QuerySpec) -> Self:
        return self._copy(spec=spec)

    def _copy(self, **changes: Any) -> Self:
        """A copy with other values of some private attributes, named without the underscore."""
        changed = copy(self)
        for name, value in changes.items():
            setattr(changed, f"_{name}", value)
        return changed


def _warn_of_renamed(plan: JoinPlan) -> None:
    renamed = plan.renamed_outputs
    if renamed:
        listed = ", ".join(f"{output.source.column!r} is {output.name!r}" for output in renamed)
        warn_user(
            f"The query has columns whose names are taken already, so that {listed}: give the join"
            " prefix='...' for names of your own, or select fewer columns."
        )
