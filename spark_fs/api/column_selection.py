"""Columns of a group, or of a frame in the place of one, selected into a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spark_fs.api.feature import Feature, find_feature, list_names
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.user_warnings import warn_user

if TYPE_CHECKING:
    from spark_fs.api.feature import Filter
    from spark_fs.api.query import Query
    from spark_fs.api.stores import Stores
    from spark_fs.spec.feature_group import GroupSpec


@validate_arguments
class ColumnSelection:
    """The methods that select columns, lazily."""

    _stores: Stores

    if TYPE_CHECKING:

        @property
        def spec(self) -> GroupSpec:
            """The definition."""

        def _build_query(self, columns: tuple[str, ...]) -> Query: ...

    def select_all(
        self,
        include_primary_key: bool = True,
        include_foreign_key: bool = True,
        include_partition_key: bool = True,
        include_event_time: bool = True,
    ) -> Query:
        """Select every column, as a lazy query.

        Args:
            include_primary_key: Whether the columns of the primary key are among them.
            include_foreign_key: Whether those of the foreign key are.
            include_partition_key: Whether those of the partition key are.
            include_event_time: Whether the event time is.
        """
        spec = self.spec
        left_out: set[str | None] = set()
        if not include_primary_key:
            left_out.update(spec.primary_key)
        if not include_foreign_key:
            left_out.update(spec.foreign_key)
        if not include_partition_key:
            left_out.update(spec.partition_key)
        if not include_event_time:
            left_out.add(spec.event_time)
        return self._build_query(tuple(name for name in self.spec.types if name not in left_out))

    def select_features(self) -> Query:
        """Select every column but keys and event time, as a lazy query.

        That is without the primary key, the foreign key and the partition key.
        """
        return self.select_all(False, False, False, False)

    def select(self, features: str | Feature | Sequence[str | Feature]) -> Query:
        """Select some columns, by name or as Features, as a lazy query.

        A string is the name of one column. Raises NotFoundError, with the nearest names, for a
        column that does not exist.
        """
        names = list_names(features)
        for name in names:
            find_feature(self._stores, self.spec, name)
        return self._build_query(tuple(names))

    def select_except(
        self, features: str | Feature | Sequence[str | Feature] | None = None
    ) -> Query:
        """Select every column but some, by name or as Features, as a lazy query.

        A string is the name of one column; None leaves out none. A warning names what is no column.
        """
        left_out = set(list_names(features or ()))
        absent = sorted(left_out.difference(self.spec.types))
        if absent:
            warn_user(
                f"select_except leaves out {', '.join(map(repr, absent))}, which feature group"
                f" {self.spec} does not have: all its other columns are selected."
            )
        columns = tuple(column for column in self.spec.types if column not in left_out)
        return self._build_query(columns)

    def filter(self, f: Filter) -> Query:
        """Select every column of the rows that satisfy a condition, as a lazy query.

        Raises QueryError for what is not a condition, and for a column of another feature store.
        """
        return self.select_all().filter(f)
