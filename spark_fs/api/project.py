"""Log in to a project and reach its feature store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from spark_fs.api.feature_group import FeatureGroup
from spark_fs.api.feature_view import FeatureView
from spark_fs.api.query import Query
from spark_fs.api.stores import Stores
from spark_fs.errors import AlreadyExistsError, NotFoundError, SettingsError

if TYPE_CHECKING:
    from spark_fs.settings import Config
    from spark_fs.spec.definitions import GroupSpec, ViewSpec


def login(config: Config = None) -> Project:
    """Open a project; starts no JVM.

    config: the path of a YAML file, a mapping of settings, or None for the file that ``SPARK_FS_CONFIG`` names, else
    the embedded default under ``./.spark_fs``. ``login({"home": folder})`` is a whole private store. Raises
    SettingsError for a setting that is unknown or not valid.
    """
    from spark_fs.settings import load

    return Project(Stores(load(config)))


class Project:
    """One project: its feature store."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def get_feature_store(self) -> FeatureStore:
        """The project's feature store."""
        return FeatureStore(self._stores)


class FeatureStore:
    """Feature groups and feature views, by name and version."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def create_feature_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        partition_key: Sequence[str] = (),
        event_time: str | None = None,
        online_enabled: bool = False,
    ) -> FeatureGroup:
        """Create a feature group; its first insert gives the schema and makes the table.

        version: None is the next free one. primary_key: the columns of the entity; a row is (primary key, event
        time). event_time: a timestamp, date, or whole-number column of epoch seconds or milliseconds.
        online_enabled: whether ``sync_online`` pushes the latest row of each key. Raises InvalidNameError,
        SettingsError, or AlreadyExistsError when the version is taken.
        """
        taken = version if version is not None else self._stores.catalog.next_group_version(name)
        group = _group_spec(name, taken, description, primary_key, partition_key, event_time, online_enabled)
        self._check_online(group)
        self._stores.catalog.add_group(group)
        return FeatureGroup(self._stores, group)

    def get_or_create_feature_group(
        self,
        name: str,
        version: int | None = None,
        description: str = "",
        primary_key: Sequence[str] = (),
        partition_key: Sequence[str] = (),
        event_time: str | None = None,
        online_enabled: bool = False,
    ) -> FeatureGroup:
        """The group of this name and version (None: 1), created when it is absent.

        Raises AlreadyExistsError, with each difference, when the group exists and was declared otherwise.
        """
        wanted = _group_spec(name, version or 1, description, primary_key, partition_key, event_time, online_enabled)
        try:
            found = self._stores.catalog.group(name, wanted.version)
        except NotFoundError:
            return self.create_feature_group(
                name, wanted.version, description, primary_key, partition_key, event_time, online_enabled
            )
        declared = ("description", "primary_key", "partition_key", "event_time", "online_enabled")
        _check_same(f"Feature group {found}", found, wanted, declared)
        return FeatureGroup(self._stores, found)

    def get_feature_group(self, name: str, version: int | None = None) -> FeatureGroup:
        """A group by name and version; None asks for version 1, with a warning when there are others.

        Raises NotFoundError with the nearest names, or the versions that exist.
        """
        return FeatureGroup(self._stores, self._stores.catalog.group(name, version))

    def get_feature_groups(self, name: str | None = None) -> list[FeatureGroup]:
        """Every group, or every version of one, by name and version."""
        return [FeatureGroup(self._stores, g) for g in self._stores.catalog.all_groups() if name in (None, g.name)]

    def create_feature_view(
        self,
        name: str,
        query: Query,
        version: int | None = None,
        description: str = "",
        labels: Sequence[str] = (),
    ) -> FeatureView:
        """Save a query and its labels as a feature view; version None is the next free one.

        Raises NotFoundError for a label that is not a column of the query, QueryError for a query that cannot be
        bound, and AlreadyExistsError when the version is taken.
        """
        taken = version if version is not None else self._stores.catalog.next_view_version(name)
        return self._create_view(_view_spec(name, taken, query, labels, description))

    def get_or_create_feature_view(
        self,
        name: str,
        query: Query,
        version: int | None = None,
        description: str = "",
        labels: Sequence[str] = (),
    ) -> FeatureView:
        """The view of this name and version (None: 1), created when it is absent.

        Raises AlreadyExistsError, with each difference, when the view exists and was declared otherwise.
        """
        wanted = _view_spec(name, version or 1, query, labels, description)
        try:
            found = self._stores.catalog.view(name, wanted.version)
        except NotFoundError:
            return self._create_view(wanted)
        _check_same(f"Feature view {found}", found, wanted, ("query", "labels", "description"))
        return FeatureView(self._stores, found)

    def get_feature_view(self, name: str, version: int | None = None) -> FeatureView:
        """A view by name and version; None asks for version 1, with a warning when there are others."""
        return FeatureView(self._stores, self._stores.catalog.view(name, version))

    def get_feature_views(self, name: str | None = None) -> list[FeatureView]:
        """Every view, or every version of one, by name and version."""
        return [FeatureView(self._stores, v) for v in self._stores.catalog.all_views() if name in (None, v.name)]

    def _create_view(self, view: ViewSpec) -> FeatureView:
        created = FeatureView(self._stores, view)
        created.check()
        self._stores.catalog.add_view(view)
        return created

    def _check_online(self, group: GroupSpec) -> None:
        if group.online_enabled:
            from spark_fs.online.store import table_name

            table_name(group, self._stores.online.capabilities)


def _group_spec(
    name: str, version: int, description: str, primary_key: Sequence[str], partition_key: Sequence[str],
    event_time: str | None, online_enabled: bool,
) -> GroupSpec:
    from spark_fs.spec.definitions import GroupSpec

    columns = {"primary_key": primary_key, "partition_key": partition_key}
    for argument, value in columns.items():
        if isinstance(value, str):
            raise SettingsError(f"{argument}={value!r} is a text: give a list of columns, as in {argument}=[{value!r}].")
    return GroupSpec(name, version, description, tuple(primary_key), tuple(partition_key), event_time, online_enabled)


def _view_spec(name: str, version: int, query: Query, labels: Sequence[str], description: str) -> ViewSpec:
    from spark_fs.spec.definitions import ViewSpec

    if isinstance(labels, str):
        raise SettingsError(f"labels={labels!r} is a text: give a list of columns, as in labels=[{labels!r}].")
    return ViewSpec(name, version, query.spec, tuple(labels), description)


def _check_same(what: str, found: object, wanted: object, fields: Sequence[str]) -> None:
    pairs = {field: (getattr(found, field), getattr(wanted, field)) for field in fields}
    changes = [f"{field} is {is_!r}, not {asked!r}" for field, (is_, asked) in pairs.items() if is_ != asked]
    if changes:
        raise AlreadyExistsError(
            f"{what} exists already and was declared otherwise: {'; '.join(changes)}. Use the same arguments, or another version."
        )
