"""Bind a query to the schemas of its groups, before anything runs.

A plan comes out, or an error that names what is wrong in the query.
"""

from collections.abc import Mapping
from dataclasses import replace

from spark_fs.base import types
from spark_fs.errors import QueryError
from spark_fs.planning.column_lookup import bind_condition
from spark_fs.planning.plan import (
    JoinPlan,
    MatchKind,
    NodeColumn,
    OutputColumn,
    PlanNode,
    check_output_names,
)
from spark_fs.planning.window_plan import bind_windows
from spark_fs.spec.conditions import cast_condition
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import MAX_NAME_LENGTH, GroupRef
from spark_fs.spec.predicates import Comparison, Condition
from spark_fs.spec.query import JoinSpec, QuerySpec
from spark_fs.spec.window_features import WindowsSpec


def bind_query(query: QuerySpec, groups: Mapping[GroupRef, GroupSpec]) -> JoinPlan:
    """The plan of a query.

    Args:
        query: What was asked for.
        groups: Every group that it reads.

    Raises:
        QueryError: The query cannot be run as it is.
        NotFoundError: A column of it does not exist.
    """
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
        if node.windows:
            raise QueryError(
                f"as_known cannot be combined with the windows of {node.group}, which count every"
                " event from its own instant on: leave as_known out, or give the aggregation"
                " known_at= a column that says when each event came."
            )
        if node.where is not None and node.group.may_have_duplicates:
            raise QueryError(
                f"as_known cannot be combined with a filter on {node.group}, which keeps several"
                " versions of a row: where the filter drops the version known then, an older one"
                " would match in its place. Filter the joined query instead."
            )


class _QueryBinder:
    """Walks a query tree, the leftmost group first."""

    def __init__(self, groups: Mapping[GroupRef, GroupSpec]) -> None:
        self.groups = groups
        self.nodes: list[PlanNode] = []
        self.outputs: list[OutputColumn] = []
        self.taken_names: set[str] = set()
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
        if query.windows:
            node = self._make_windows_node(query, query.windows, group, join, parent)
        else:
            node = self._make_node(query, group, join, parent)
        node = replace(node, where=_bind_where(query, group))
        self.nodes.append(node)
        for column in self._select_columns(query, node):
            self._add_output(self._make_output(node, column))
        for inner_join in query.joins:
            self.add_query(inner_join.query, inner_join, node)
        self._check_conditions(query, node)

    def _make_output(self, node: PlanNode, column: str) -> OutputColumn:
        """A column under its own name or, where that is taken, with its group before it."""
        output = OutputColumn.from_node(node, column)
        if node.index == 0 or output.name not in self.taken_names:
            return output
        name = f"{node.group.name}_{node.group.version}_{column}"
        is_valid = name not in self.taken_names and len(name) <= MAX_NAME_LENGTH
        return replace(output, name=name) if is_valid else output

    def _add_output(self, output: OutputColumn) -> None:
        self.outputs.append(output)
        self.taken_names.add(output.name)

    def _make_node(
        self, query: QuerySpec, group: GroupSpec, join: JoinSpec | None, parent: PlanNode | None
    ) -> PlanNode:
        index = len(self.nodes)
        if join is None or parent is None:
            return PlanNode(index, group, "spine", as_of=query.as_of)
        left_keys, right_keys = self._resolve_keys(group, join, parent)
        match: MatchKind = "key"
        if group.event_time:
            match = "point_in_time" if self.nodes[0].group.event_time else "latest"
        return PlanNode(
            index,
            group,
            match,
            left_keys,
            right_keys,
            join.join_type,
            join.prefix,
            as_of=query.as_of,
        )

    def _make_windows_node(
        self,
        query: QuerySpec,
        windows: WindowsSpec,
        group: GroupSpec,
        join: JoinSpec | None,
        parent: PlanNode | None,
    ) -> PlanNode:
        if join is None or parent is None:
            raise QueryError(
                f"The windows of {group} stand leftmost, and each ends at an instant of a spine:"
                " join them to one, as in labels.select_all().join(aggregation.select_all()), or"
                " make a feature group of the aggregation."
            )
        spine = self.nodes[0].group
        if spine.event_time is None:
            raise QueryError(
                f"The windows of {group} end at the spine's event time, and {spine} has none: give"
                " the spine an event time."
            )
        left_keys, right_keys = self._resolve_windows_keys(windows, group, join, parent)
        return PlanNode(
            len(self.nodes),
            group,
            "windows",
            left_keys,
            right_keys,
            join.join_type,
            join.prefix,
            as_of=query.as_of,
            windows=bind_windows(windows, group.types),
        )

    def _resolve_windows_keys(
        self, windows: WindowsSpec, group: GroupSpec, join: JoinSpec, parent: PlanNode
    ) -> tuple[tuple[NodeColumn, ...], tuple[str, ...]]:
        """The entity on both sides: the spine's columns where it has them all, else the parent's.

        Without a key of the join they have the names that the aggregation gives them.
        """
        if join.right_on is None:
            join = replace(join, left_on=windows.by, right_on=windows.by)
        right_on = join.right_on or ()
        if sorted(right_on) != sorted(windows.by):
            raise QueryError(
                f"The windows of {group} are joined by {', '.join(right_on)}, and their entity is"
                f" {', '.join(windows.by)}: name each of these columns once, or aggregate by the"
                " others."
            )
        left_on = set(join.left_on or ())
        spine = self.nodes[0].group
        if not any(left_on <= set(left.types) for left in (spine, parent.group)):
            raise QueryError(
                f"Neither the spine, {spine}, nor what the windows of {group} are joined to,"
                f" {parent.group}, has {', '.join(sorted(left_on))}: give left_on=[...] and"
                " right_on=[...], of which left_on names the columns of the entity there."
            )
        return self._resolve_keys(group, join, parent)

    def _resolve_keys(
        self, group: GroupSpec, join: JoinSpec, parent: PlanNode
    ) -> tuple[tuple[NodeColumn, ...], tuple[str, ...]]:
        """The key on both sides: the spine's columns where it has them all, else the parent's."""
        spine = self.nodes[0]
        left_keys = join.left_on
        right_keys = join.right_on
        if left_keys is None or right_keys is None:
            left_keys = right_keys = _find_natural_key(group, spine.group, parent.group)
        left = spine if set(left_keys) <= set(spine.group.types) else parent
        for left_key, right_key in zip(left_keys, right_keys, strict=True):
            _check_comparable(left.group, left_key, group, right_key)
        return tuple(NodeColumn(left.index, key) for key in left_keys), right_keys

    def _select_columns(self, query: QuerySpec, node: PlanNode) -> list[str]:
        """The columns that come out of a query.

        A joined group's key and event time are left out where a column before them has their name,
        and everywhere in a query of an earlier release that did not name them one by one.
        """
        for column in query.columns:
            node.get_result_type(column)  # NotFoundError if there is no such column
        if node.match in ("spine", "windows"):
            return list(query.columns)
        columns = []
        for column in query.columns:
            is_matched = column in node.right_keys or column == node.group.event_time
            is_named = query.explicit and node.prefix + column not in self.taken_names
            if is_named or not is_matched:
                columns.append(column)
        return columns

    def _check_conditions(self, query: QuerySpec, node: PlanNode) -> None:
        if query.having is None:
            return
        if node.index:
            raise QueryError(
                f"A filter on a join of {node.group} is inside another join, where it could drop"
                " rows of the spine. Filter the groups before they are joined, or the whole query."
            )
        self.having.append(bind_condition(self.nodes, query.having))


def _check_comparable(left: GroupSpec, left_key: str, right: GroupSpec, right_key: str) -> None:
    left_type = left.get_column_type(left_key)
    right_type = right.get_column_type(right_key)
    if types.is_comparable(left_type, right_type):
        return
    reason = "they can never be equal"
    if types.is_number_type(left_type) and types.is_number_type(right_type):
        reason = "a number of one may be rounded in the other"
    raise QueryError(
        f"Key {left_key!r} of {left} is {left_type} and {right_key!r} of {right} is"
        f" {right_type}: {reason}; join on columns of one type."
    )


def _bind_where(query: QuerySpec, group: GroupSpec) -> Condition | None:
    """The condition on a group's own rows, with values of its columns' types."""

    def get_own_type(comparison: Comparison) -> str:
        if comparison.group != group.ref:
            raise QueryError(
                f"The filter on {comparison.column!r} of {comparison.group} is applied to {group},"
                " before the two are joined. Filter that group itself, or the joined query."
            )
        return group.get_column_type(comparison.column)

    if query.where is None:
        return None
    return cast_condition(query.where, get_own_type)


def _find_natural_key(group: GroupSpec, spine: GroupSpec, parent: GroupSpec) -> tuple[str, ...]:
    """The key of a join that names none: what the primary keys share.

    In a snowflake it may be the group's whole primary key.
    """
    for left in (spine, parent):
        shared = tuple(column for column in group.primary_key if column in left.primary_key)
        if shared:
            return shared
    if parent != spine:
        for left in (spine, parent):
            if set(group.primary_key) <= set(left.types):
                return group.primary_key
    raise QueryError(
        f"Feature groups {parent} and {group} share no primary key column"
        f" ({', '.join(parent.primary_key)} beside {', '.join(group.primary_key)}): give"
        " on=[...], or left_on=[...] and right_on=[...]."
    )
