"""A query bound to the schemas of its groups: which rows match, by which keys, and what comes out.

A plan is complete: the engine needs nothing but it and the tables. ``bind.py`` makes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from spark_fs import types
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.conditions import exact
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import Comparison, Condition, JoinType, comparisons
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

    @classmethod
    def of(cls, node: Node, column: str) -> Self:
        """A column of a node, under its join's prefix."""
        return cls(node.prefix + column, NodeColumn(node.index, column), node.group.type_of(column))


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
        return replace(self, outputs=distinct([*self.outputs, *(Output.of(self.nodes[0], c) for c in missing)]))

    def only(self, names: Iterable[str]) -> Self:
        """A copy whose result holds these of its columns alone."""
        wanted = set(names)
        return replace(self, outputs=tuple(output for output in self.outputs if output.name in wanted))

    def filtered(self, condition: Condition | None) -> Self:
        """A copy whose result also meets this condition; NotFoundError or QueryError for one that it cannot be asked."""
        if condition is None:
            return self
        return replace(self, having=(*self.having, exact(condition, lambda comparison: type_of(self.nodes, comparison))))

    def aged(self, seconds: float | None) -> Self:
        """A copy in which no match is older than so many seconds, whatever its group allows."""
        if seconds is None:
            return self

        def younger(group: GroupSpec) -> GroupSpec:
            return replace(group, ttl_seconds=min(seconds, group.ttl_seconds or seconds))

        nodes = (replace(node, group=younger(node.group)) if node.match == "point_in_time" else node for node in self.nodes)
        return replace(self, nodes=tuple(nodes))

    def locate(self, comparison: Comparison) -> NodeColumn:
        """The one place of the query that a comparison speaks of."""
        return located(self.nodes, comparison)

    def columns_of(self, node: Node) -> tuple[str, ...]:
        """The columns of a node that anything in the plan reads, in the group's order."""
        used = self.used | {key for other in self.nodes for key in other.left_keys}
        used |= {NodeColumn(node.index, key) for key in node.right_keys}
        used |= {NodeColumn(node.index, column) for column in (node.ties if node.match != "spine" and node.may_tie else ())}
        if node.group.event_time:
            used.add(NodeColumn(node.index, node.group.event_time))
        return tuple(c for c in node.group.types if NodeColumn(node.index, c) in used)


def located(nodes: Sequence[Node], comparison: Comparison) -> NodeColumn:
    """The one place among these that a comparison speaks of; NotFoundError or QueryError where there is none, or several."""
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


def type_of(nodes: Sequence[Node], comparison: Comparison) -> str:
    """The type of the column that a comparison speaks of; NotFoundError or QueryError as ``located``."""
    place = located(nodes, comparison)
    return nodes[place.node].group.type_of(place.column)


def distinct(outputs: Iterable[Output]) -> tuple[Output, ...]:
    """Columns of different names; QueryError where two have one."""
    seen: dict[str, Output] = {}
    for output in outputs:
        if output.name in seen:
            raise QueryError(
                f"Two columns of the query are named {output.name!r}: give one of the joins prefix='...', or select fewer columns."
            )
        seen[output.name] = output
    return tuple(seen.values())
