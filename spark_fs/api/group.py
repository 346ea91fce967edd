"""What every feature group has, whoever keeps its rows: a definition, a selection, a lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from spark_fs.api.feature import Feature, find_feature, make_feature
from spark_fs.api.group_definition import GroupDefinition
from spark_fs.api.group_refusals import GroupRefusals
from spark_fs.api.links import Links
from spark_fs.api.options import warn_of_options
from spark_fs.api.query import Query
from spark_fs.api.schema_columns import SchemaColumns
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.text_tables import print_rows
from spark_fs.errors import QueryError, SettingsError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import QuerySpec

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.tables.commits import Commit


@validate_arguments
class Group(GroupDefinition, GroupRefusals):
    """A group of features of one entity, under one name and version."""

    def __init__(self, stores: Stores, spec: GroupSpec) -> None:
        self._stores = stores
        self._spec = spec

    @property
    def spec(self) -> GroupSpec:
        """The definition, read again from the catalog while it has no schema."""
        if not self._spec.features:
            self._reload_spec()
        return self._spec

    @property
    def primary_key(self) -> list[str]:
        """The columns of the entity."""
        return list(self._spec.primary_key)

    @property
    def event_time(self) -> str | None:
        """The event-time column; None for a group without history."""
        return self._spec.event_time

    @property
    def features(self) -> list[Feature]:
        """The columns in their order; none before the first insert."""
        spec = self.spec
        return [
            make_feature(self._stores, spec.ref, column.name, column.type, column.description)
            for column in spec.features
        ]

    @property
    def schema(self) -> SchemaColumns:
        """The type of each column, as Spark writes it; empty before the first insert.

        Each name that it gives in a loop has ``.name``, ``.type`` and the rest of a Feature too.
        """
        return SchemaColumns(self.features)

    def __getitem__(self, name: str) -> Feature:
        return find_feature(self._stores, self.spec.ref, self.spec.types, name)

    # -- rows out

    if TYPE_CHECKING:

        @overload
        def read(
            self,
            dataframe_type: Literal["pandas"],
            online: bool = ...,
            wallclock_time: Instant | int | Commit | None = ...,
            read_options: Mapping[str, Any] | None = ...,
            engine: str | None = ...,
        ) -> pd.DataFrame: ...
        @overload
        def read(
            self,
            dataframe_type: Literal["spark"],
            online: bool = ...,
            wallclock_time: Instant | int | Commit | None = ...,
            read_options: Mapping[str, Any] | None = ...,
            engine: str | None = ...,
        ) -> DataFrame: ...
        @overload
        def read(
            self,
            dataframe_type: str = ...,
            online: bool = ...,
            wallclock_time: Instant | int | Commit | None = ...,
            read_options: Mapping[str, Any] | None = ...,
            engine: str | None = ...,
        ) -> Any: ...

    def read(
        self,
        dataframe_type: str = "default",
        online: bool = False,
        wallclock_time: Instant | int | Commit | None = None,
        read_options: Mapping[str, Any] | None = None,
        engine: str | None = None,
    ) -> Any:
        """Read all rows; none where nothing was inserted yet.

        Eagerly they come in the order of the event time, then the primary key.

        Args:
            dataframe_type: "pandas", "polars", "arrow" or "numpy" (eagerly), "spark" (a lazy
                DataFrame), or "default": "spark" where a Spark session is active in this process,
                else "pandas".
            online: Whether to read the rows of the online store, the latest of each key within its
                ttl, eagerly and without Spark.
            wallclock_time: The rows as they were at an instant (UTC), a version or a commit, as by
                ``as_of``; None: as they are now.
            read_options: Taken for Hopsworks' sake, and named in a warning.
            engine: Which engine reads what does not come as a Spark DataFrame: "local" (threads of
                this process), "spark", or "auto": local where it can; None: the setting ``engine``.

        Returns:
            The rows; times are UTC.

        Raises:
            SettingsError: Online rows of a group that is not online_enabled, or as they were at an
                earlier time; a dataframe_type that does not exist.
            OnlineStoreError: Online rows of a group that was never synced.
            NotFoundError: A version that does not exist, or an instant before the first commit.
        """
        warn_of_options(read_options)
        if online:
            if wallclock_time is not None:
                raise SettingsError(
                    "The online store holds the latest rows alone: leave out wallclock_time, or say"
                    " online=False."
                )
            return self._read_online_rows(dataframe_type)
        query = self.select_all()
        if wallclock_time is not None:
            query = query.as_of(wallclock_time)
        return query.read(dataframe_type, engine=engine)

    def show(self, n: int = 20, online: bool = False, engine: str | None = None) -> list[list[Any]]:
        """Print n rows, eagerly, in no order, and return their values.

        Args:
            n: How many rows.
            online: Whether to show rows of the online store, as ``read`` has them.
            engine: As in ``read``.
        """
        if online:
            return print_rows(self._read_online_rows("arrow").slice(0, n))
        return self.select_all().show(n, engine)

    def _read_online_rows(self, dataframe_type: str) -> Any:
        from spark_fs.flows import online_rows

        rows = online_rows.read_online_rows(self._load_spec(), self._stores.online)
        return online_rows.to_frame(lambda: self._stores.spark, rows, dataframe_type)

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

    def select(self, features: Sequence[str]) -> Query:
        """Select some columns, as a lazy query.

        Raises NotFoundError, with the nearest names, for a column that does not exist.
        """
        self._check_columns(features)
        return self._build_query(tuple(features))

    def select_except(self, features: Sequence[str]) -> Query:
        """Select every column but some, as a lazy query.

        Raises NotFoundError, with the nearest names, for a column that does not exist.
        """
        self._check_columns(features)
        columns = tuple(column for column in self.spec.types if column not in set(features))
        return self._build_query(columns)

    def _check_columns(self, names: Sequence[str]) -> None:
        for name in names:
            find_feature(self._stores, self.spec.ref, self.spec.types, name)

    def _build_query(self, columns: tuple[str, ...]) -> Query:
        if not self.spec.features:
            raise QueryError(
                f"Feature group {self.spec} has no schema yet: insert its first rows before it is"
                " read."
            )
        return Query(self._stores, QuerySpec(self.spec.ref, columns))

    # -- its definition and its lineage

    def update_feature_description(self, feature_name: str, description: str) -> Self:
        """Replace the description of one column, eagerly.

        Args:
            feature_name: The column.
            description: What it is, in words.

        Returns:
            The group.

        Raises:
            NotFoundError: The column does not exist; it names the nearest ones.
        """
        return self._update_spec(
            lambda spec: spec.with_column_description(feature_name, description)
        )

    def get_parent_feature_groups(self) -> Links[Group]:
        """Return the groups that this one is made of, as its creator named them."""
        stores = self._stores
        return Links(
            stores.open_group(stores.catalog.get_group(*ref)) for ref in self._spec.parents
        )

    def get_generated_feature_views(self) -> Links[FeatureView]:
        """Return the feature views whose query reads this group, by name and version."""
        views = self._stores.catalog.list_views_of_group(self._spec.ref)
        return Links(self._stores.open_view(view) for view in views)

    def _load_spec(self) -> GroupSpec:
        return self._stores.catalog.get_group(self.name, self.version)

    def _reload_spec(self) -> GroupSpec:
        """Load the definition again: another process may have appended features or changed it."""
        self._spec = self._load_spec()
        return self._spec

    def _update_spec(self, change: Callable[[GroupSpec], GroupSpec]) -> Self:
        self._spec = self._stores.catalog.change_group(self._spec.ref, change)
        return self

    def _delete_views(self, force: bool) -> None:
        for view in self.get_generated_feature_views():
            view.delete(force)

    def _check_unused(self) -> None:
        """Raise SettingsError while feature views read the group, or others are built of it."""
        views = self._stores.catalog.list_views_of_group(self._spec.ref, strict=True)
        if views:
            listed = ", ".join(map(str, views))
            raise SettingsError(
                f"Feature group {self._spec} is read by feature view {listed}: it is not deleted."
                " Delete these first, or say force=True."
            )
        for group in self._stores.catalog.list_groups():
            if group.aggregation and self._spec.ref in group.aggregation.list_groups():
                raise SettingsError(
                    f"Feature group {group} is built of the rows of {self._spec}, which is not"
                    " deleted. Delete it first, or say force=True."
                )
