"""A DataFrame as the left side of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.api.feature import Feature, find_feature
from spark_fs.api.query import Query
from spark_fs.base.arguments import validate_arguments
from spark_fs.spec.query import QuerySpec

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.flows.spine_rows import SpineRows
    from spark_fs.spec.feature_group import GroupSpec


@validate_arguments
class Spine:
    """Keys, event times and other columns of a request, as the left side of a query.

    It is kept nowhere.
    """

    def __init__(
        self, stores: Stores, df: Any, primary_key: Sequence[str], event_time: str | None
    ) -> None:
        from spark_fs.flows.spine_rows import build_spine_rows

        self._stores = stores
        self.rows: SpineRows = build_spine_rows(df, primary_key, event_time)
        self.spec: GroupSpec = self.rows.spec

    def __repr__(self) -> str:
        return f"Spine of {', '.join(self.spec.types)}"

    def __getitem__(self, name: str) -> Feature:
        return find_feature(self._stores, self.spec.ref, self.spec.types, name)

    def select_all(self) -> Query:
        """Select every column, as a lazy query."""
        return Query(self._stores, QuerySpec(self.spec.ref, tuple(self.spec.types)), self)

    def select(self, features: Sequence[str]) -> Query:
        """Select some columns, as a lazy query.

        Raises NotFoundError, with the nearest names, for a column that does not exist.
        """
        for name in features:
            find_feature(self._stores, self.spec.ref, self.spec.types, name)
        return Query(self._stores, QuerySpec(self.spec.ref, tuple(features), explicit=True), self)
