"""The source of window features, and its columns as its features name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spark_fs.api.feature import Feature
from spark_fs.api.group import Group
from spark_fs.api.query import Query
from spark_fs.api.spine import Spine
from spark_fs.api.stores import Stores
from spark_fs.api.window_functions import WindowFunction
from spark_fs.base.arguments import make_argument_error
from spark_fs.errors import QueryError, SettingsError
from spark_fs.planning.plan import JoinPlan
from spark_fs.planning.window_plan import WindowPlan, bind_aggregation
from spark_fs.spec.aggregation import AggregationSpec
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Comparison, has_named_columns, map_comparisons
from spark_fs.spec.query import QuerySpec
from spark_fs.spec.window_features import WindowFeature


@dataclass(frozen=True)
class WindowSource:
    """The rows that window features are made of, bound to the schemas of their groups."""

    stores: Stores
    query: QuerySpec
    plan: JoinPlan

    @classmethod
    def from_argument(cls, source: Any) -> WindowSource:
        """The source that a caller gave; QueryError for what cannot be one."""
        if isinstance(source, Spine) or (isinstance(source, Query) and source.spine is not None):
            raise QueryError(
                "A spine is a DataFrame of this session, which window features cannot be computed"
                " from again: insert its rows into a feature group, or declare an external one over"
                " them."
            )
        if isinstance(source, Group):
            source = source.select_all()
        if not isinstance(source, Query):
            raise make_argument_error(
                "source", source, "a feature group, an external feature group or a query"
            )
        return cls(source._stores, source.spec, source.plan())

    def __str__(self) -> str:
        return " and ".join(dict.fromkeys(str(node.group) for node in self.plan.nodes))

    def choose_key(self, by: Sequence[str | Feature] | str | None) -> tuple[str, ...]:
        """The columns that identify an entity: those given, or else the primary key."""
        if by is None:
            return tuple(
                self._find_own_column(column, "primary key column", "by=[...]")
                for column in self.plan.spine.primary_key
            )
        if isinstance(by, str | Feature):
            by = [by]
        if not isinstance(by, Sequence):
            raise make_argument_error("by", by, "a list of columns")
        return tuple(self._name_column("by", column) for column in by)

    def choose_known_at(self, known_at: str | Feature | None) -> str:
        """The column from whose instant on an event counts: the given one, or the event time."""
        if known_at is not None:
            return self._name_column("known_at", known_at)
        group = self.plan.spine
        if group.event_time is None:
            raise SettingsError(
                f"Feature group {group} has no event time: give known_at='...', the column that"
                " tells from when on an event is known."
            )
        return self._find_own_column(group.event_time, "event time", "known_at='...'")

    def resolve_features(self, function: WindowFunction) -> list[WindowFeature]:
        """The features of a call, with the columns of the source's result."""
        if function.where is not None:
            for other in function.where.stores:
                self.stores.check_same_store(other, f"A column of where={function.where!r}")
        features = []
        for feature in function.features:
            column = feature.column
            if function.column is not None:
                column = self._name_column(feature.name, function.column)
            where = feature.where
            if where is not None:
                if has_named_columns(where):
                    where = self.plan.bind_condition(where)
                where = map_comparisons(where, self._resolve_comparison)
            features.append(replace(feature, column=column, where=where))
        return features

    def bind(self, spec: AggregationSpec) -> WindowPlan:
        """The plan of an aggregation over this source; errors as ``bind_aggregation``."""
        return bind_aggregation(spec, self.plan.schema)

    def select_needed(self, window_plan: WindowPlan) -> QuerySpec:
        """The source with the columns alone that are needed.

        So a column that is added to a group of it later does not change what was declared.
        """
        needed = dict(window_plan.types)
        wanted: list[set[str]] = [set() for _ in self.plan.nodes]
        for output in self.plan.outputs:
            if output.name in needed:
                wanted[output.source.node].add(output.source.column)
        return self.query.select_columns(wanted)

    def _resolve_comparison(self, comparison: Comparison) -> Comparison:
        column = self._find_output(comparison.group, comparison.column)
        return replace(comparison, group=self.query.group, column=column)

    def _name_column(self, argument: str, column: Any) -> str:
        """The column of the result that was given, by name or as a column of a group."""
        if isinstance(column, str):
            return column
        if not isinstance(column, Feature):
            raise make_argument_error(argument, column, "a column of the source, or its name")
        if column._group is None:
            return column.name
        if column._stores is not None:
            self.stores.check_same_store(column._stores, f"Column {column.name!r}")
        return self._find_output(column._group, column.name)

    def _find_own_column(self, column: str, role: str, argument: str) -> str:
        """A column of the leftmost group in the result."""
        for output in self.plan.outputs:
            if output.source.node == 0 and output.source.column == column:
                return output.name
        raise QueryError(
            f"The source does not select {column!r}, the {role} of {self.plan.spine}: select it, or"
            f" say {argument}."
        )

    def _find_output(self, group: GroupRef, column: str) -> str:
        """What a group's column is called in the result."""
        nodes = {node.index for node in self.plan.nodes if node.group.ref == group}
        if not nodes:
            raise QueryError(
                f"Column {column!r} of feature group {group} is not in the source of the window"
                f" features, {self}: use columns of the source, or join that group to it."
            )
        names = [
            output.name
            for output in self.plan.outputs
            if output.source.node in nodes and output.source.column == column
        ]
        if not names:
            raise QueryError(
                f"The source does not select {column!r} of feature group {group}: select it, so"
                " that window features can use it."
            )
        if len(names) > 1:
            raise QueryError(
                f"Column {column!r} of feature group {group} is several columns of the source:"
                f" {', '.join(names)}. Filter that group before it is joined, or name one of them."
            )
        return names[0]
