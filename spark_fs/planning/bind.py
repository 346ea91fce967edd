"""Bind a query to the schemas of its groups: a plan comes out, or an error that names what is wrong in the query, before anything runs."""

from collections.abc import Mapping
from dataclasses import replace

from spark_fs.base import types
from spark_fs.errors import QueryError
from spark_fs.planning.plan import (
    JoinPlan,
    MatchKind,
    NodeColumn,
    OutputColumn,
    PlanNode,
    check_output_names,
    get_compared_type,
)
from spark_fs.spec.conditions import cast_condition
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import Comparison, Condition, GroupRef, JoinSpec, QuerySpec


def bind_query(query: QuerySpec, groups: Mapping[GroupRef, GroupSpec]) -> JoinPlan:
    """The plan of a query over these groups; raises QueryError or NotFoundError with what is wrong in it."""
    binder = _QueryBinder(groups)
    binder.add_query(query, None, None)
    if query.as_known:
        _check_as_known(binder.nodes)
    return JoinPlan(
        tuple(binder.nodes),
        check_output_names(binder.outputs),
        tuple(binder.having),
        as_known=query.as_known,
    )


def _check_as_known(nodes: list[PlanNode]) -> None:
    spine, *others = nodes
    if spine.group.event_time is None:
        raise QueryError(
            f"as_known asks what was known at the spine's event time, and {spine.group} has none:"
            " leave as_known out."
        )
    for node in others:
        if node.where is not None and node.group.may_have_duplicates:
            raise QueryError(
                f"as_known and a filter on {node.group}, which keeps several versions of a row: a"
                " version that the filter drops would let an older one, corrected by then, match"
                " in its place. Filter the joined query instead."
            )


class _QueryBinder:
    """Walks a query tree, the leftmost group first."""

    def __init__(self, groups: Mapping[GroupRef, GroupSpec]) -> None:
        self.groups = groups
        self.nodes: list[PlanNode] = []
        self.outputs: list[OutputColumn] = []
        self.having: list[Condition] = []

    def add_query(self, query: QuerySpec, join: JoinSpec | None, parent: PlanNode | None) -> None:
        group = self.groups[query.group]
        if join and query.as_known:
            raise QueryError(
                f"as_known on the joined query of {group}: it holds for a query as a whole, so call"
                " it on the outermost."
            )
        if not group.features:
            raise QueryError(
                f"Feature group {group} has no schema yet: insert its first rows before it is read."
            )
        node = replace(self._make_node(query, group, join, parent), where=_bind_where(query, group))
        self.nodes.append(node)
        self.outputs += [
            OutputColumn.from_node(node, column) for column in self._select_columns(query, node)
        ]
        for sub in query.joins:
            self.add_query(sub.query, sub, node)
        self._check_conditions(query, node)

    def _make_node(
        self, query: QuerySpec, group: GroupSpec, join: JoinSpec | None, parent: PlanNode | None
    ) -> PlanNode:
        index = len(self.nodes)
        if join is None or parent is None:
            return PlanNode(index, group, "spine", as_of=query.as_of)
        left, right = self._resolve_keys(group, join, parent)
        timed: MatchKind = "point_in_time" if self.nodes[0].group.event_time else "latest"
        return PlanNode(
            index,
            group,
            timed if group.event_time else "key",
            left,
            right,
            join.join_type,
            join.prefix,
            as_of=query.as_of,
        )

    def _resolve_keys(
        self, group: GroupSpec, join: JoinSpec, parent: PlanNode
    ) -> tuple[tuple[NodeColumn, ...], tuple[str, ...]]:
        """The key on both sides: the spine's columns where it has them all, else the parent's."""
        spine = self.nodes[0]
        left, right = join.left_on, join.right_on
        if left is None or right is None:
            left = right = _find_natural_key(group, spine.group, parent.group)
        holder = spine if set(left) <= set(spine.group.types) else parent
        for mine, theirs in zip(left, right, strict=True):
            pair = holder.group.get_column_type(mine), group.get_column_type(theirs)
            if not types.is_comparable(*pair):
                why = (
                    "a number of one may be rounded in the other"
                    if all(map(types.is_number_type, pair))
                    else "they can never be equal"
                )
                raise QueryError(
                    f"Key {mine!r} of {holder.group} is {pair[0]} and {theirs!r} of {group} is"
                    f" {pair[1]}: {why}; join on columns of one type."
                )
        return tuple(NodeColumn(holder.index, c) for c in left), right

    def _select_columns(self, query: QuerySpec, node: PlanNode) -> list[str]:
        """The columns that come out: a joined group leaves its key and event time to the spine, unless they were named."""
        for column in query.columns:
            node.group.get_column_type(column)
        if node.match == "spine":
            return list(query.columns)
        taken = {output.name for output in self.outputs}
        held = {*node.right_keys, node.group.event_time}
        return [
            c
            for c in query.columns
            if c not in held or (query.explicit and node.prefix + c not in taken)
        ]

    def _check_conditions(self, query: QuerySpec, node: PlanNode) -> None:
        if query.having is None:
            return
        if node.index:
            raise QueryError(
                f"A filter on a join of {node.group} stands inside another join, where it could"
                " drop rows of the spine: filter the groups before they are joined, or the whole"
                " query."
            )
        self.having.append(
            cast_condition(
                query.having, lambda comparison: get_compared_type(self.nodes, comparison)
            )
        )


def _bind_where(query: QuerySpec, group: GroupSpec) -> Condition | None:
    """The condition on a group's own rows, with values of its columns' types."""

    def get_own_type(comparison: Comparison) -> str:
        if comparison.group != group.ref:
            raise QueryError(
                f"The filter on {comparison.column!r} of {comparison.group} stands on {group},"
                " before the two are joined: filter that group itself, or the joined query."
            )
        return group.get_column_type(comparison.column)

    return None if query.where is None else cast_condition(query.where, get_own_type)


def _find_natural_key(group: GroupSpec, spine: GroupSpec, parent: GroupSpec) -> tuple[str, ...]:
    """The key of a join that names none: what the primary keys share; in a snowflake, the group's whole primary key."""
    for left in (spine, parent):
        shared = tuple(c for c in group.primary_key if c in left.primary_key)
        if shared:
            return shared
    if parent != spine and any(
        set(group.primary_key) <= set(left.types) for left in (spine, parent)
    ):
        return group.primary_key
    raise QueryError(
        f"Feature groups {parent} and {group} share no primary key column"
        f" ({', '.join(parent.primary_key)} beside {', '.join(group.primary_key)}): say on=[...],"
        " or left_on=[...] and right_on=[...]."
    )
