"""A query bound to the schemas of its groups: which rows match, by which keys, and what comes out.

A plan is complete: the engine needs nothing but it and the tables. ``bind.py`` makes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from spark_fs.base import types
from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.conditions import cast_condition
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import Comparison, Condition, JoinType, iter_comparisons

MatchKind = Literal["spine", "point_in_time", "latest", "key"]
SPLIT_COLUMN = "_split"  # begins with an underscore, so no feature has this name


@dataclass(frozen=True)
class NodeColumn:
    """A column of the group at one place of the query (a group joined twice has two places)."""

    node: int
    column: str


@dataclass(frozen=True)
class PlanNode:
    """One group of the query and the rule by which its row is found.

    match: ``spine`` for the leftmost; ``point_in_time`` for the greatest event time not after the
    spine's; ``latest`` for the greatest of all, when the spine has no event time; ``key`` for a
    group without event time. left_keys: the columns, of nodes before this one, that equal
    right_keys of this one. as_of: the Delta version to read; None: the newest.
    """

    index: int
    group: GroupSpec
    match: MatchKind
    left_keys: tuple[NodeColumn, ...] = ()
    right_keys: tuple[str, ...] = ()
    join_type: JoinType = "left"
    prefix: str = ""
    where: Condition | None = None
    as_of: int | None = None

    @property
    def tie_breakers(self) -> tuple[str, ...]:
        """The columns that decide between rows of one match key, time and ingestion; an external group vouches for no key of its own."""
        columns = self.group.types if self.group.source else self.group.primary_key
        ordered = (
            c
            for c in columns
            if self.group.get_column_type(c) in types.TYPES_BY_NAME
            and self.group.get_column_type(c) not in ("float", "double")
        )
        return tuple(c for c in ordered if c not in (*self.right_keys, self.group.event_time))

    @property
    def may_tie(self) -> bool:
        """Whether two rows of the group can have one match key and time."""
        return (
            bool(self.tie_breakers)
            or self.group.may_have_duplicates
            or self.group.source is not None
        )


@dataclass(frozen=True)
class OutputColumn:
    """One column of the result: its name, where it comes from, its type."""

    name: str
    source: NodeColumn
    type: str

    @classmethod
    def from_node(cls, node: PlanNode, column: str) -> Self:
        """A column of a node, under its join's prefix."""
        return cls(
            node.prefix + column, NodeColumn(node.index, column), node.group.get_column_type(column)
        )


@dataclass(frozen=True)
class JoinPlan:
    """A query bound to its groups.

    splits: named intervals of the spine's event time; the result holds their rows alone, each with
    the name of its split in the column ``SPLIT``. Without splits it holds every row and no such
    column. as_known: whether a row matches only where it had been ingested by the spine's event
    time.
    """

    nodes: tuple[PlanNode, ...]
    outputs: tuple[OutputColumn, ...]
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
    def features(self) -> tuple[OutputColumn, ...]:
        """The columns of the result that are not the spine's primary key or event time."""
        spine = self.nodes[0].group
        return tuple(
            o for o in self.outputs if o.source.node or o.source.column not in spine.identity
        )

    @property
    def join_stages(self) -> tuple[tuple[PlanNode, ...], ...]:
        """The joined groups, those together that join by the same columns; each comes after the groups whose columns it needs."""
        found: dict[tuple[NodeColumn, ...], list[PlanNode]] = {}
        for node in self.nodes[1:]:
            found.setdefault(node.left_keys, []).append(node)
        return tuple(map(tuple, found.values()))

    @property
    def required_columns(self) -> set[NodeColumn]:
        """The columns that the result or a condition on it needs."""
        return {output.source for output in self.outputs} | {
            self.find_column(c) for condition in self.having for c in iter_comparisons(condition)
        }

    def with_splits(self, splits: Mapping[str, Interval]) -> Self:
        """A copy with these splits; SettingsError when the spine has no event time to split by."""
        if self.spine.event_time is None:
            bounds = " and ".join(map(str, splits.values()))
            raise SettingsError(
                f"Feature group {self.spine} has no event time, so {bounds} select nothing of it:"
                " leave the times out."
            )
        return replace(self, splits=splits)

    def with_identity(self) -> Self:
        """A copy whose result also holds the spine's primary key and event time."""
        held = {output.source for output in self.outputs}
        missing = [c for c in self.spine.identity if NodeColumn(0, c) not in held]
        return replace(
            self,
            outputs=check_output_names(
                [*self.outputs, *(OutputColumn.from_node(self.nodes[0], c) for c in missing)]
            ),
        )

    def select_outputs(self, names: Iterable[str]) -> Self:
        """A copy whose result holds these of its columns alone."""
        wanted = set(names)
        return replace(
            self, outputs=tuple(output for output in self.outputs if output.name in wanted)
        )

    def with_filter(self, condition: Condition | None) -> Self:
        """A copy whose result also meets this condition; NotFoundError or QueryError for one that it cannot be asked."""
        if condition is None:
            return self
        return replace(
            self,
            having=(
                *self.having,
                cast_condition(
                    condition, lambda comparison: get_compared_type(self.nodes, comparison)
                ),
            ),
        )

    def with_max_age(self, seconds: float | None) -> Self:
        """A copy in which no match is older than so many seconds, whatever its group allows."""
        if seconds is None:
            return self

        def limit_age(group: GroupSpec) -> GroupSpec:
            return replace(group, ttl_seconds=min(seconds, group.ttl_seconds or seconds))

        nodes = (
            replace(node, group=limit_age(node.group)) if node.match == "point_in_time" else node
            for node in self.nodes
        )
        return replace(self, nodes=tuple(nodes))

    def find_column(self, comparison: Comparison) -> NodeColumn:
        """The one place of the query that a comparison speaks of."""
        return find_node_column(self.nodes, comparison)

    def list_columns(self, node: PlanNode) -> tuple[str, ...]:
        """The columns of a node that anything in the plan reads, in the group's order."""
        used = self.required_columns | {key for other in self.nodes for key in other.left_keys}
        used |= {NodeColumn(node.index, key) for key in node.right_keys}
        used |= {
            NodeColumn(node.index, column)
            for column in (node.tie_breakers if node.match != "spine" and node.may_tie else ())
        }
        if node.group.event_time:
            used.add(NodeColumn(node.index, node.group.event_time))
        return tuple(c for c in node.group.types if NodeColumn(node.index, c) in used)


def find_node_column(nodes: Sequence[PlanNode], comparison: Comparison) -> NodeColumn:
    """The one place among these that a comparison speaks of; NotFoundError or QueryError where there is none, or several."""
    places = [node for node in nodes if node.group.ref == comparison.group]
    if not places:
        raise NotFoundError.for_name(
            "Feature group of a filter",
            comparison.group.name,
            (n.group.name for n in nodes),
            "Join it first.",
        )
    if len(places) > 1:
        raise QueryError(
            f"The filter on {comparison.column!r} could mean either of the joins of"
            f" {comparison.group}: filter that group before it is joined."
        )
    places[0].group.get_column_type(comparison.column)
    return NodeColumn(places[0].index, comparison.column)


def get_compared_type(nodes: Sequence[PlanNode], comparison: Comparison) -> str:
    """The type of the column that a comparison speaks of; NotFoundError or QueryError as ``located``."""
    place = find_node_column(nodes, comparison)
    return nodes[place.node].group.get_column_type(place.column)


def check_output_names(outputs: Iterable[OutputColumn]) -> tuple[OutputColumn, ...]:
    """Columns of different names; QueryError where two have one."""
    seen: dict[str, OutputColumn] = {}
    for output in outputs:
        if output.name in seen:
            raise QueryError(
                f"Two columns of the query are named {output.name!r}: give one of the joins"
                " prefix='...', or select fewer columns."
            )
        seen[output.name] = output
    return tuple(seen.values())
