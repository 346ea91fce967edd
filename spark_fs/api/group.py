"""What every feature group has, whoever keeps its rows: a definition, a selection, a lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from spark_fs.api.column_selection import ColumnSelection
from spark_fs.api.feature import Feature, find_feature, make_feature
from spark_fs.api.group_definition import GroupDefinition
from spark_fs.api.group_refusals import GroupRefusals
from spark_fs.api.links import Links
from spark_fs.api.query import Query
from spark_fs.api.schema_columns import SchemaColumns
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import QueryError, SettingsError, format_suggestions
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
class Group(GroupDefinition, ColumnSelection, GroupRefusals):
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
        return [make_feature(self._stores, spec, column) for column in spec.features]

    @property
    def schema(self) -> SchemaColumns:
        """The type of each column, as Spark writes it; empty before the first insert.

        Each name that it gives in a loop has ``.name``, ``.type`` and the rest of a Feature too.
        """
        return SchemaColumns(self.features)

    def __getitem__(self, name: str) -> Feature:
        return find_feature(self._stores, self.spec, name)

    def get_feature(self, name: str) -> Feature | None:
        """Return a column of the group, to be compared in a filter; None where it does not exist.

        ``fg["amount"]`` and ``fg.amount`` are the same column; these raise for one that is absent.
        """
        return self[name] if name in self.spec.types else None

    if not TYPE_CHECKING:  # where it would take every misspelt name for a column

        def __getattr__(self, name: str) -> Feature:
            """A column as an attribute, where nothing else of the group has its name."""
            if name.startswith("_") or "_spec" not in vars(self):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if name not in self.spec.types:
                known = [known for known in dir(self) if not known.startswith("_")]
                suggestions = format_suggestions(name, known)
                raise AttributeError(
                    f"{self!r} has neither an attribute nor a column {name!r}{suggestions}",
                    name=name,
                    obj=self,
                )
            return self[name]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.spec.types})

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.spec.types)

    # -- rows out

    if TYPE_CHECKING:

        @overload
        def read(
            self,
            wallclock_time: Literal["pandas"],
            online: bool = ...,
            *,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            engine: str | None = ...,
        ) -> pd.DataFrame: ...
        @overload
        def read(
            self,
            wallclock_time: Literal["spark"],
            online: bool = ...,
            *,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            engine: str | None = ...,
        ) -> DataFrame: ...
        @overload
        def read(
            self,
            wallclock_time: Instant | Commit | None = ...,
            online: bool = ...,
            *,
            dataframe_type: Literal["pandas"],
            read_options: Mapping[str, Any] | None = ...,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            engine: str | None = ...,
        ) -> pd.DataFrame: ...
        @overload
        def read(
            self,
            wallclock_time: Instant | Commit | None = ...,
            online: bool = ...,
            *,
            dataframe_type: Literal["spark"],
            read_options: Mapping[str, Any] | None = ...,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            engine: str | None = ...,
        ) -> DataFrame: ...
        @overload
        def read(
            self,
            wallclock_time: Instant | Commit | None = ...,
            online: bool = ...,
            dataframe_type: str = ...,
            read_options: Mapping[str, Any] | None = ...,
            start_time: Instant | None = ...,
            end_time: Instant | None = ...,
            *,
            engine: str | None = ...,
        ) -> Any: ...

    def read(
        self,
        wallclock_time: Instant | Commit | None = None,
        online: bool = False,
        dataframe_type: str = "default",
        read_options: Mapping[str, Any] | None = None,
        start_time: Instant | None = None,
        end_time: Instant | None = None,
        *,
        engine: str | None = None,
    ) -> Any:
        """Read all rows; none where nothing was inserted yet.

        Eagerly they come in the order of the event time, then the primary key.

        Args:
            wallclock_time: The rows as they were at an instant (UTC), a version or a commit, as by
                ``as_of``; None: as they are now. A type of frame may stand in its place.
            online: Whether to read the rows of the online store, the latest of each key within its
                ttl, eagerly and without Spark.
            dataframe_type: "pandas", "polars", "arrow", "numpy" or "python" (eagerly), "spark" (a
                lazy DataFrame), or "default": "spark" where the caller has a Spark
                session (one that a write started does not count), else "pandas".
            read_options: Taken for Hopsworks' sake, and named in a warning.
            start_time: The first event time of the rows; None: no bound.
            end_time: The first event time behind them; None: no bound.
            engine: Which engine reads what does not come as a Spark DataFrame: "local" (threads of
                this process), "spark", or "auto": local where it can; None: the setting ``engine``.

        Returns:
            The rows; times are UTC.

        Raises:
            SettingsError: Online rows of a group that is not online_enabled, or as they were at an
                earlier time; bounds of a group without event time; a dataframe_type that does not
                exist.
            OnlineStoreError: Online rows of a group that was never synced.
            NotFoundError: A version that does not exist, or an instant before the first commit.
        """
        from spark_fs.base.dataframes import DATAFRAME_TYPES

        if isinstance(wallclock_time, str) and wallclock_time in DATAFRAME_TYPES:
            dataframe_type = wallclock_time
            wallclock_time = None
        if online and wallclock_time is not None:
            raise SettingsError(
                "The online store holds the latest rows alone: leave out wallclock_time, or say"
                " online=False."
            )
        query = self.select_all().as_of(wallclock_time)
        return query.read(online, dataframe_type, read_options, start_time, end_time, engine=engine)

    def show(self, n: int = 20, online: bool = False, *, engine: str | None = None) -> pd.DataFrame:
        """Print n rows, eagerly, in no order, and return them.

        Args:
            n: How many rows.
            online: Whether to show rows of the online store, as ``read`` has them.
            engine: As in ``read``.

        Returns:
            The rows, as pandas.
        """
        return self.select_all().show(n, online, engine=engine)

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

    @property
    def parents(self) -> Links[Group]:
        """The groups that this one is made of, as ``get_parent_feature_groups``."""
        return self.get_parent_feature_groups()

    def get_generated_feature_views(self) -> Links[FeatureView]:
        """Return the feature views whose query reads this group, by name and version."""
        views = self._stores.catalog.list_views_of_group(self._spec.ref)
        return Links(self._stores.open_view(view) for view in views)

    def get_generated_feature_groups(self) -> list[Group]:
        """Return the groups that name this one as a parent, by name and version."""
        groups = self._stores.catalog.list_groups()
        return [
            self._stores.open_group(group) for group in groups if self._spec.ref in group.parents
        ]

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
