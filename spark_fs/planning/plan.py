"""A query bound to the schemas of its groups: which rows match, by which keys, and what comes out.

A plan is complete: the engine needs nothing but it and the tables. ``bind.py`` makes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Self

from spark_fs.base import types
from spark_fs.base.times import Interval
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.planning.column_lookup import NodeColumn as NodeColumn
from spark_fs.planning.column_lookup import bind_condition, find_node_column, resolve_names
from spark_fs.planning.window_plan import WindowPlan
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import Comparison, Condition, iter_comparisons
from spark_fs.spec.query import JoinType

MatchKind = Literal["spine", "point_in_time", "latest", "key", "windows"]
# they begin with an underscore, so no feature has such a name
SPLIT_COLUMN = "_split"
_SPINE_PREFIX = "_spine_"


@dataclass(frozen=True)
class PlanNode:
    """One group of the query and the rule by which its row is found.

    match: ``spine`` for the leftmost; ``point_in_time`` for the greatest event time not after the
    spine's; ``latest`` for the greatest of all, when the spine has no event time; ``key`` for a
    group without event time; ``windows`` for features of all the rows in windows that end at the
    spine's event time. left_keys: the columns, of nodes before this one, that equal right_keys of
    this one. as_of: the Delta version to read; None: the newest.
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
    windows: WindowPlan | None = None

    @property
    def event_time(self) -> str | None:
        """The column that tells from when a row of the group counts."""
        return self.windows.known_at[0] if self.windows else self.group.event_time

    @property
    def result_types(self) -> Mapping[str, str]:
        """The name and type of each column that the node can give."""
        return self.windows.schema if self.windows else self.group.types

    def get_result_type(self, column: str) -> str:
        """The type of a column that the node gives; NotFoundError for an unknown one."""
        if self.windows is None:
            return self.group.get_column_type(column)
        if column not in self.windows.schema:
            raise NotFoundError.for_name(
                f"Window feature of {self.group}",
                column,
                self.windows.schema,
                "Select one of the aggregation's features.",
            )
        return self.windows.schema[column]

    @property
    def matched_columns(self) -> tuple[str, ...]:
        """The columns that decide which rows match: its keys, and its event time if it has one."""
        if self.event_time is None:
            return self.right_keys
        return (*self.right_keys, self.event_time)

    @property
    def tie_breakers(self) -> tuple[str, ...]:
        """The columns that decide between rows of one match key, time and ingestion.

        Of an external group, whose primary key may have duplicates, that is any column.
        """
        columns = self.group.types if self.group.source else self.group.primary_key
        tie_breakers = []
        for column in columns:
            type_ = self.group.get_column_type(column)
            has_order = type_ in types.TYPES_BY_NAME and type_ not in types.FLOATS
            if has_order and column not in self.matched_columns:
                tie_breakers.append(column)
        return tuple(tie_breakers)

    @property
    def may_tie(self) -> bool:
        """Whether one of two rows of one match key and time has to be chosen."""
        if self.windows:
            return False  # all of them count
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
        type_ = node.get_result_type(column)
        return cls(node.prefix + column, NodeColumn(node.index, column), type_)


@dataclass(frozen=True)
class JoinPlan:
    """A query bound to its groups.

    splits: named intervals of the spine's event time; the result holds their rows alone, each with
    the name of its split in the column ``SPLIT_COLUMN``. Without splits it holds every row and no
    such column. as_known: whether a row matches only where it had been ingested by the spine's
    event time.
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
    def identity_names(self) -> tuple[str, ...]:
        """The columns of the result that are the primary key or event time of their group."""
        names = []
        for output in self.outputs:
            node = self.nodes[output.source.node]
            if node.windows is None and output.source.column in node.group.identity:
                names.append(output.name)
        return tuple(names)

    def list_spine_keys(self) -> list[str]:
        """The columns of the result that are the spine's primary key or event time."""
        identity = self.spine.identity
        return [name for column, name in self.spine_names.items() if column in identity]

    @property
    def spine_names(self) -> dict[str, str]:
        """What each column of the spine that is in the result is called there."""
        spine_outputs = (output for output in self.outputs if output.source.node == 0)
        return {output.source.column: output.name for output in spine_outputs}

    @property
    def renamed_outputs(self) -> tuple[OutputColumn, ...]:
        """The columns of the result whose names were taken, so that they have their group's."""
        renamed = []
        for output in self.outputs:
            prefix = self.nodes[output.source.node].prefix
            if output.name != prefix + output.source.column:
                renamed.append(output)
        return tuple(renamed)

    @property
    def join_stages(self) -> tuple[tuple[PlanNode, ...], ...]:
        """The joined groups, those together that join by the same columns.

        Each comes after the groups whose columns it needs.
        """
        stages: dict[tuple[NodeColumn, ...], list[PlanNode]] = {}
        for node in self.nodes[1:]:
            stages.setdefault(node.left_keys, []).append(node)
        return tuple(map(tuple, stages.values()))

    @property
    def required_columns(self) -> set[NodeColumn]:
        """The columns that the result or a condition on it needs."""
        required = {output.source for output in self.outputs}
        for condition in self.having:
            required.update(map(self.find_column, iter_comparisons(condition)))
        return required

    def with_splits(self, splits: Mapping[str, Interval]) -> Self:
        """A copy with these splits; SettingsError when the spine has no event time to split by."""
        if self.spine.event_time is None:
            bounds = " and ".join(map(str, splits.values()))
            raise SettingsError(
                f"Feature group {self.spine} has no event time, so {bounds} select nothing of it:"
                " leave the times out."
            )
        return replace(self, splits=splits)

    @property
    def row_order(self) -> tuple[str, ...]:
        """What rows are put in order by: the spine's event time, where it has one, and its key."""
        spine = self.spine
        times = (spine.event_time,) if spine.event_time else ()
        return tuple(dict.fromkeys((*times, *spine.primary_key)))

    @property
    def ordered_names(self) -> tuple[str, ...]:
        """The columns of the result that are those of ``row_order``; all of them must be in it."""
        names = self.spine_names
        return tuple(names[column] for column in self.row_order)

    def with_identity(self, prefix: str = _SPINE_PREFIX) -> Self:
        """A copy whose result also holds the spine's primary key and event time.

        Args:
            prefix: What comes before a name as long as another column of the result has it.
        """
        selected = self.spine_names
        outputs = {output.name: output for output in self.outputs}
        for column in self.spine.identity:
            if column not in selected:
                output = OutputColumn.from_node(self.nodes[0], column)
                while output.name in outputs:
                    output = replace(output, name=prefix + output.name)
                outputs[output.name] = output
        return replace(self, outputs=tuple(outputs.values()))

    def with_joined_outputs(self, other: Self) -> Self:
        """A copy that gives of its joined groups what another plan of the same joins gives."""
        own = [output for output in self.outputs if output.source.node == 0]
        joined = [output for output in other.outputs if output.source.node]
        return replace(self, outputs=check_output_names([*own, *joined]))

    def select_outputs(self, names: Iterable[str]) -> Self:
        """A copy whose result holds these of its columns alone."""
        wanted = set(names)
        outputs = [output for output in self.outputs if output.name in wanted]
        return replace(self, outputs=tuple(outputs))

    def with_filter(self, condition: Condition | None) -> Self:
        """A copy whose result also meets this condition.

        Raises:
            NotFoundError: A column of it is not in the query.
            QueryError: It could mean several columns, or compares unlike values.
        """
        if condition is None:
            return self
        return replace(self, having=(*self.having, self.bind_condition(condition)))

    def bind_condition(self, condition: Condition) -> Condition:
        """The condition with values of its columns' types, each of which has its group.

        Raises:
            NotFoundError: A column of it is not in the query.
            QueryError: It could mean several columns, or compares unlike values.
        """
        return bind_condition(self.nodes, resolve_names(self.nodes, self.outputs, condition))

    def with_max_age(self, seconds: float | None) -> Self:
        """A copy in which no match is older than so many seconds, whatever its group allows."""
        if seconds is None:
            return self

        nodes = []
        for node in self.nodes:
            if node.match == "point_in_time":
                ttl_seconds = min(seconds, node.group.ttl_seconds or seconds)
                node = replace(node, group=replace(node.group, ttl_seconds=ttl_seconds))
            nodes.append(node)
        return replace(self, nodes=tuple(nodes))

    def with_ttls_as_of(self, when: datetime | None) -> Self:
        """A copy with the ttls that its groups had at an instant; None: as they are."""
        nodes = [replace(node, group=node.group.with_ttl_as_of(when)) for node in self.nodes]
        return replace(self, nodes=tuple(nodes))

    def find_column(self, comparison: Comparison) -> NodeColumn:
        """The one column of the query that a comparison speaks of."""
        return find_node_column(self.nodes, comparison)

    def narrow_windows(self, node: PlanNode, windows: WindowPlan) -> WindowPlan:
        """The windows of a node without the features that nothing in the plan reads."""
        needed = {column.column for column in self.required_columns if column.node == node.index}
        return windows.select_features(needed)

    def list_columns(self, node: PlanNode) -> tuple[str, ...]:
        """The columns of a node that anything in the plan reads, in the group's order."""
        if node.windows:
            return tuple(column for column, _ in self.narrow_windows(node, node.windows).types)
        needed = self.required_columns
        for other in self.nodes:
            needed.update(other.left_keys)
        columns = {column.column for column in needed if column.node == node.index}
        columns.update(node.right_keys)
        if node.match != "spine" and node.may_tie:
            columns.update(node.tie_breakers)
        if node.group.event_time:
            columns.add(node.group.event_time)
        return tuple(column for column in node.group.types if column in columns)


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
