"""A DataFrame as the left side of a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spark_fs.api.column_selection import ColumnSelection
from spark_fs.api.feature import Feature, find_feature, make_feature
from spark_fs.api.query import Query
from spark_fs.api.schema_columns import SchemaColumns
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError
from spark_fs.spec.query import QuerySpec

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.flows.spine_rows import SpineRows
    from spark_fs.spec.feature_group import GroupSpec


@validate_arguments
class Spine(ColumnSelection):
    """Keys, event times and other columns of a request, as the left side of a query.

    Its rows are kept nowhere. That of ``create_spine`` has no name; that of
    ``get_or_create_spine_group`` has one, under which feature views keep its columns.
    """

    spec: GroupSpec

    def __init__(
        self,
        stores: Stores,
        df: Any,
        primary_key: Sequence[str],
        event_time: str | None,
        kept: GroupSpec | None = None,
    ) -> None:
        self._stores = stores
        self._primary_key = primary_key
        self._event_time = event_time
        self._kept = kept
        self.dataframe = df

    @property
    def dataframe(self) -> Any:
        """The frame, as it was given; another of the same columns may take its place."""
        return self._dataframe

    @dataframe.setter
    def dataframe(self, df: Any) -> None:
        from spark_fs.flows.spine_rows import build_spine_rows, name_spine_rows

        rows = build_spine_rows(df, self._primary_key, self._event_time)
        if self._kept is not None:
            rows = name_spine_rows(rows, self._kept)
        self._dataframe = df
        self.rows: SpineRows = rows
        self.spec = rows.spec

    @property
    def is_kept(self) -> bool:
        """Whether it has a name, by which feature views may begin with it."""
        return self._kept is not None

    def __repr__(self) -> str:
        return f"Spine of {', '.join(self.spec.types)}"

    def __getitem__(self, name: str) -> Feature:
        return find_feature(self._stores, self.spec, name)

    @property
    def primary_key(self) -> list[str]:
        """The columns of the entity."""
        return list(self.spec.primary_key)

    @property
    def event_time(self) -> str | None:
        """The event-time column; None for a frame without one."""
        return self.spec.event_time

    @property
    def name(self) -> str:
        """The name under which its columns are kept; of one without a name, one of its own."""
        return self.spec.name

    @property
    def version(self) -> int:
        """The version, from 1 up."""
        return self.spec.version

    @property
    def description(self) -> str:
        """What it is for."""
        return self.spec.description

    @property
    def features(self) -> list[Feature]:
        """The columns in their order."""
        return [make_feature(self._stores, self.spec, column) for column in self.spec.features]

    @property
    def columns(self) -> list[Feature]:
        """The columns in their order, as ``features``."""
        return self.features

    @property
    def schema(self) -> SchemaColumns:
        """The type of each column, as that of a feature group."""
        return SchemaColumns(self.features)

    def delete(self, force: bool = False) -> None:
        """Forget the name and the columns that are kept under it, eagerly.

        Unless forced, raises SettingsError while feature views begin with it, or where it has no
        name.
        """
        catalog = self._stores.catalog
        views = catalog.list_views_of_group(self.spec.ref, strict=True)
        if self._kept is None:
            raise SettingsError(
                "This spine has no name, so nothing of it is stored: there is nothing to delete."
            )
        if views and not force:
            listed = ", ".join(map(str, views))
            raise SettingsError(
                f"Spine group {self.spec} is what feature view {listed} begins with: it was"
                " not deleted. Delete the views first, or give force=True."
            )
        catalog.delete_group(self.spec.ref)

    def _build_query(self, columns: tuple[str, ...]) -> Query:
        return Query(self._stores, QuerySpec(self.spec.ref, columns), self)
