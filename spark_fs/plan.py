"""Bind a query to the schemas of its groups: which rows match, by which keys, and what comes out.

A plan is complete: the engine needs nothing but it and the tables. Binding finds every mistake of a query, so
nothing runs before the whole query is known to be right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from spark_fs import types
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import Comparison, Condition, GroupRef, JoinSpec, JoinType, QuerySpec, comparisons
from spark_fs.times import Interval

Match = Literal["spine", "point_in_time", "latest", "key"]
SPLIT = "_split"  # begins with an underscore, so no feature has this name


@dataclass(frozen=True)
class NodeColumn:
    """A column of the group at one place of the query (a group joined twice has two places)."""

    node: int
    column: str


@dataclass(frozen=True)
class Node:
    """One group of the query and the rule by which its row is found.

    match: ``spine`` for the leftmost; ``point_in_time`` for the greatest event time not after the spine's;
    ``latest`` for the greatest of all, when the spine has no event time; ``key`` for a group without event time.
    left_keys: the columns, of nodes before this one, that equal right_keys of this one. as_of: the Delta version to read;
    None: the newest.
    """

    index: int
    group: GroupSpec
    match: Match
    left_keys: tuple[NodeColumn, ...] = ()
    right_keys: tuple[str, ...] = ()
    join_type: JoinType = "left"
    prefix: str = ""
    where: Condition | None = None
    as_of: int | None = None

    @property
    def ties(self) -> tuple[str, ...]:
        """The columns that decide between rows of one match key, time and ingestion; an external group vouches for no key of its own."""
        columns = self.group.types if self.group.source else self.group.primary_key
        ordered = (c for c in columns if self.group.type_of(c) in types.BY_NAME and self.group.type_of(c) not in ("float", "double"))
        return tuple(c for c in ordered if c not in (*self.right_keys, self.group.event_time))

    @property
    def may_tie(self) -> bool:
        """Whether two rows of the group can have one match key and time."""
        return bool(self.ties) or self.group.vouched or self.group.source is not None


@dataclass(frozen=True)
class Output:
    """One column of the result: its name, where it comes from, its type."""

    name: str
    source: NodeColumn
    type: str


@dataclass(frozen=True)
class JoinPlan:
    """A query bound to its groups.

    splits: named intervals of the spine's event time; the result holds their rows alone, each with the name of its
    split in the column ``SPLIT``. Without splits it holds every row and no such column. as_known: whether a row matches only
    where it had been ingested by the spine's event time.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    having: tuple[Condition, ...] = ()
    splits: Mapping[str, Interval] = field(default_factory=dict)
    as_known: bool = False

    @property
    def spine(self) -> GroupSpec:
        """The leftmost group."""
        return self.nodes[0].group

    @property
    def schema(self) -> dict[str, str]:
        """The name and type of each column of the result."""
        return {output.name: output.type for output in self.outputs}

    @property
    def features(self) -> tuple[Output, ...]:
        """The columns of the result that are not the spine's primary key or event time."""
        spine = self.nodes[0].group
        return tuple(o for o in self.outputs if o.source.node or o.source.column not in spine.identity)

    @property
    def passes(self) -> tuple[tuple[Node, ...], ...]:
        """The joined groups, those together that join by the same columns; each comes after the groups whose columns it needs."""
        found: dict[tuple[NodeColumn, ...], list[Node]] = {}
        for node in self.nodes[1:]:
            found.setdefault(node.left_keys, []).append(node)
        return tuple(map(tuple, found.values()))

    @property
    def used(self) -> set[NodeColumn]:
        """The columns that the result or a condition on it needs."""
        return {output.source for output in self.outputs} | {self.locate(c) for condition in self.having for c in comparisons(condition)}

    def split(self, splits: Mapping[str, Interval]) -> Self:
        """A copy with these splits; SettingsError when the spine has no event time to split by."""
        if self.spine.event_time is None:
            bounds = " and ".join(map(str, splits.values()))
            raise SettingsError(f"Feature group {self.spine} has no event time, so {bounds} select nothing of it: leave the times out.")
        return replace(self, splits=splits)

    def with_identity(self) -> Self:
        """A copy whose result also holds the spine's primary key and event time."""
        held = {output.source for output in self.outputs}
        missing = [c for c in self.spine.identity if NodeColumn(0, c) not in held]
        return replace(self, outputs=_distinct([*self.outputs, *(_output(self.nodes[0], c) for c in missing)]))

    def only(self, names: Iterable[str]) -> Self:
        """A copy whose result holds these of its columns alone."""
        wanted = set(names)
        return replace(self, outputs=tuple(output for output in self.outputs if output.name in wanted))

    def filtered(self, condition: Condition | None) -> Self:
        """A copy whose result also meets this condition; NotFoundError or QueryError for one that it cannot be asked."""
        if condition is None:
            return self
        for comparison in comparisons(condition):
            self.locate(comparison)
        return replace(self, having=(*self.having, condition))

    def aged(self, seconds: int | None) -> Self:
        """A copy in which no match is older than so many seconds, whatever its group allows."""
        if seconds is None:
            return self

        def younger(group: GroupSpec) -> GroupSpec:
            return replace(group, ttl_seconds=min(seconds, group.ttl_seconds or seconds))

        nodes = (replace(node, group=younger(node.group)) if node.match == "point_in_time" else node for node in self.nodes)
        return replace(self, nodes=tuple(nodes))

    def locate(self, comparison: Comparison) -> NodeColumn:
        """The one place of the query that a comparison speaks of."""
        return _locate(self.nodes, comparison)

    def columns_of(self, node: Node) -> tuple[str, ...]:
        """The columns of a node that anything in the plan reads, in the group's order."""
        used = self.used | {key for other in self.nodes for key in other.left_keys}
        used |= {NodeColumn(node.index, key) for key in node.right_keys}
        used |= {NodeColumn(node.index, column) for column in (node.ties if node.match != "spine" and node.may_tie else ())}
        if node.group.event_time:
            used.add(NodeColumn(node.index, node.group.event_time))
        return tuple(c for c in node.group.types if NodeColumn(node.index, c) in used)


def bind(query: QuerySpec, groups: Mapping[GroupRef, GroupSpec]) -> JoinPlan:
    """The plan of a query over these groups; raises QueryError or NotFoundError with what is wrong in it."""
    binder = _Binder(groups)
    binder.add(query, None, None)
    if query.as_known:
        _check_as_known(binder.nodes)
    return JoinPlan(tuple(binder.nodes), _distinct(binder.outputs), tuple(binder.having), as_known=query.as_known)


def _check_as_known(nodes: list[Node]) -> None:
    spine, *others = nodes
    if spine.group.event_time is None:
        raise QueryError(f"as_known asks what was known at the spine's event time, and {spine.group} has none: leave as_known out.")
    for node in others:
        if node.where is not None and node.group.vouched:
            raise QueryError(
                f"as_known and a filter on {node.group}, which keeps several versions of a row: a version that the filter drops would let "
                "an older one, corrected by then, match in its place. Filter the joined query instead."
            )


class _Binder:
    """Walks a query tree, the leftmost group first."""

    def __init__(self, groups: Mapping[GroupRef, GroupSpec]) -> None:
        self.groups = groups
        self.nodes: list[Node] = []
        self.outputs: list[Output] = []
        self.having: list[Condition] = []

    def add(self, query: QuerySpec, join: JoinSpec | None, parent: Node | None) -> None:
        group = self.groups[query.group]
        if join and query.as_known:
            raise QueryError(f"as_known on the joined query of {group}: it holds for a query as a whole, so call it on the outermost.")
        if not group.features:
            raise QueryError(f"Feature group {group} has no schema yet: insert its first rows before it is read.")
        node = self._node(query, group, join, parent)
        self.nodes.append(node)
        self.outputs += [_output(node, column) for column in self._selected(query, node)]
        for sub in query.joins:
            self.add(sub.query, sub, node)
        self._check_conditions(query, node)

    def _node(self, query: QuerySpec, group: GroupSpec, join: JoinSpec | None, parent: Node | None) -> Node:
        index = len(self.nodes)
        if join is None or parent is None:
            return Node(index, group, "spine", where=query.where, as_of=query.as_of)
        left, right = self._keys(group, join, parent)
        timed: Match = "point_in_time" if self.nodes[0].group.event_time else "latest"
        return Node(
            index, group, timed if group.event_time else "key", left, right, join.join_type, join.prefix, query.where,
            query.as_of,
        )

    def _keys(self, group: GroupSpec, join: JoinSpec, parent: Node) -> tuple[tuple[NodeColumn, ...], tuple[str, ...]]:
        """The key on both sides: the spine's columns where it has them all, else the parent's."""
        spine = self.nodes[0]
        left, right = join.left_on, join.right_on
        if left is None or right is None:
            left = right = _natural_key(group, spine.group, parent.group)
        holder = spine if set(left) <= set(spine.group.types) else parent
        for mine, theirs in zip(left, right, strict=True):
            pair = holder.group.type_of(mine), group.type_of(theirs)
            if not types.comparable(*pair):
                raise QueryError(
                    f"Key {mine!r} of {holder.group} is {pair[0]} and {theirs!r} of {group} is {pair[1]}: "
                    "they can never be equal; join on columns of one type."
                )
        return tuple(NodeColumn(holder.index, c) for c in left), right

    def _selected(self, query: QuerySpec, node: Node) -> list[str]:
        """The columns that come out: a joined group leaves its key and event time to the spine, unless they were named."""
        for column in query.columns:
            node.group.type_of(column)
        if node.match == "spine":
            return list(query.columns)
        taken = {output.name for output in self.outputs}
        held = {*node.right_keys, node.group.event_time}
        return [c for c in query.columns if c not in held or (query.explicit and node.prefix + c not in taken)]

    def _check_conditions(self, query: QuerySpec, node: Node) -> None:
        for comparison in comparisons(query.where) if query.where else ():
            if comparison.group != node.group.ref:
                raise QueryError(
                    f"The filter on {comparison.column!r} of {comparison.group} stands on {node.group}, before "
                    "the two are joined: filter that group itself, or the joined query."
                )
            node.group.type_of(comparison.column)
        if query.having is None:
            return
        if node.index:
            raise QueryError(
                f"A filter on a join of {node.group} stands inside another join, where it could drop rows of the "
                "spine: filter the groups before they are joined, or the whole query."
            )
        for comparison in comparisons(query.having):
            _locate(self.nodes, comparison)
        self.having.append(query.having)


def _natural_key(group: GroupSpec, spine: GroupSpec, parent: GroupSpec) -> tuple[str, ...]:
    """The key of a join that names none: what the primary keys share; in a snowflake, the group's whole primary key."""
    for left in (spine, parent):
        shared = tuple(c for c in group.primary_key if c in left.primary_key)
        if shared:
            return shared
    if parent != spine and any(set(group.primary_key) <= set(left.types) for left in (spine, parent)):
        return group.primary_key
    raise QueryError(
        f"Feature groups {parent} and {group} share no primary key column ({', '.join(parent.primary_key)} beside "
        f"{', '.join(group.primary_key)}): say on=[...], or left_on=[...] and right_on=[...]."
    )


def _output(node: Node, column: str) -> Output:
    return Output(node.prefix + column, NodeColumn(node.index, column), node.group.type_of(column))


def _locate(nodes: list[Node] | tuple[Node, ...], comparison: Comparison) -> NodeColumn:
    places = [node for node in nodes if node.group.ref == comparison.group]
    if not places:
        raise NotFoundError.named(
            "Feature group of a filter", comparison.group.name, (n.group.name for n in nodes), "Join it first."
        )
    if len(places) > 1:
        raise QueryError(
            f"The filter on {comparison.column!r} could mean either of the joins of {comparison.group}: "
            "filter that group before it is joined."
        )
    places[0].group.type_of(comparison.column)
    return NodeColumn(places[0].index, comparison.column)


def _distinct(outputs: list[Output]) -> tuple[Output, ...]:
    seen: dict[str, Output] = {}
    for output in outputs:
        if output.name in seen:
            raise QueryError(
                f"Two columns of the query are named {output.name!r}: give one of the joins prefix='...', or select fewer columns."
            )
        seen[output.name] = output
    return tuple(outputs)
