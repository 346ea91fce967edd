"""What every feature group has, whoever keeps its rows: a definition, a selection, a lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from spark_fs.api.catalog_object import CatalogObject
from spark_fs.api.options import warn_of_options
from spark_fs.api.query import Feature, Query, find_feature, make_feature
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import QueryError, SettingsError
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import QuerySpec

if TYPE_CHECKING:
    from spark_fs.api.feature_view import FeatureView
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.tables.delta.history import Commit


@validate_arguments
class Group(CatalogObject[GroupSpec]):
    """A group of features of one entity, under one name and version."""

    def __init__(self, stores: Stores, spec: GroupSpec) -> None:
        self._stores = stores
        self._spec = spec

    @property
    def spec(self) -> GroupSpec:
        """The definition, read again from the catalog while it has no schema."""
        if not self._spec.features:
            self._spec = self._stores.catalog.get_group(self._spec.name, self._spec.version)
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
        return [
            make_feature(self._stores, self.spec.ref, f.name, f.type, f.description)
            for f in self.spec.features
        ]

    @property
    def schema(self) -> dict[str, str]:
        """The type of each column, as Spark writes it; empty before the first insert."""
        return self.spec.types

    def __getitem__(self, name: str) -> Feature:
        return find_feature(self._stores, self.spec.ref, self.schema, name)

    # -- rows out

    def read(
        self,
        dataframe_type: str = "default",
        online: bool = False,
        wallclock_time: Instant | int | Commit | None = None,
        read_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """All rows, as a Spark DataFrame* ("spark", the default) or eagerly as "pandas"; none where nothing was inserted yet.

        online: the rows of the online store instead, the latest of each key within its ttl, eagerly
        and without Spark; by default as pandas where no Spark session is active in the process.
        wallclock_time: the rows as they were at an instant (UTC), a version or a commit, as by
        ``as_of``. read_options: taken for Hopsworks' sake, and named in a warning. Raises
        SettingsError for online rows of a group that is not online_enabled, OnlineStoreError for
        one that was never synced.
        """
        warn_of_options(read_options)
        if online:
            from spark_fs.flows import online_rows

            if wallclock_time is not None:
                raise SettingsError(
                    "The online store holds the latest rows alone: leave out wallclock_time, or say"
                    " online=False."
                )
            return online_rows.to_frame(
                lambda: self._stores.spark,
                online_rows.read_online_rows(self._load_spec(), self._stores.online),
                dataframe_type,
            )
        query = (
            self.select_all() if wallclock_time is None else self.select_all().as_of(wallclock_time)
        )
        return query.read("spark" if dataframe_type == "default" else dataframe_type)

    def select_all(self) -> Query:
        """A query of every column*."""
        return self._build_query(tuple(self.schema), explicit=False)

    def select_features(self) -> Query:
        """A query of every column but the primary key and the event time*."""
        return self._build_query(
            tuple(c for c in self.schema if c not in self.spec.identity), explicit=False
        )

    def select(self, features: Sequence[str]) -> Query:
        """A query of these columns*; NotFoundError with the nearest names for one that does not exist."""
        for name in features:
            find_feature(self._stores, self.spec.ref, self.schema, name)
        return self._build_query(tuple(features), explicit=True)

    def select_except(self, features: Sequence[str]) -> Query:
        """A query of every column but these*."""
        for name in features:
            find_feature(self._stores, self.spec.ref, self.schema, name)
        return self._build_query(
            tuple(c for c in self.schema if c not in set(features)), explicit=False
        )

    def _build_query(self, columns: tuple[str, ...], explicit: bool) -> Query:
        if not self.spec.features:
            raise QueryError(
                f"Feature group {self.spec} has no schema yet: insert its first rows before it is"
                " read."
            )
        return Query(self._stores, QuerySpec(self.spec.ref, columns, explicit))

    # -- what is said of it

    def update_feature_description(self, feature_name: str, description: str) -> Self:
        """Replace the description of one column, eagerly; NotFoundError with the nearest names when there is no such column."""
        return self._update_spec(
            lambda spec: spec.with_column_description(feature_name, description)
        )

    def get_parent_feature_groups(self) -> list[Group]:
        """The groups that this one is made of, as its creator named them."""
        stores = self._stores
        return [stores.open_group(stores.catalog.get_group(*ref)) for ref in self._spec.parents]

    def get_generated_feature_views(self) -> list[FeatureView]:
        """The feature views whose query reads this group, by name and version."""
        views = self._stores.catalog.list_views_of_group(self._spec.ref)
        return [self._stores.open_view(view) for view in views]

    def _load_spec(self) -> GroupSpec:
        return self._stores.catalog.get_group(self.name, self.version)

    def _update_spec(self, change: Callable[[GroupSpec], GroupSpec]) -> Self:
        """Change the definition as the catalog has it now, not as this object remembers it."""
        self._spec = self._stores.catalog.change_group(self._spec.ref, change)
        return self

    def _check_unused(self) -> None:
        if views := self._stores.catalog.list_views_of_group(self._spec.ref, strict=True):
            listed = ", ".join(map(str, views))
            raise SettingsError(
                f"Feature group {self._spec} is read by feature view {listed}: it is not deleted."
                " Delete these first, or say force=True."
            )
