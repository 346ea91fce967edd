"""The groups of a feature store: found, and served online."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from spark_fs.api.external_creation import ExternalGroupCreation
from spark_fs.api.external_feature_group import ExternalFeatureGroup
from spark_fs.api.feature_group import FeatureGroup
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import NotFoundError

if TYPE_CHECKING:
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.online_server import OnlineServer
    from spark_fs.spec.verification import Verification


@validate_arguments
class GroupStore(ExternalGroupCreation):
    """Feature groups by name and version."""

    def get_feature_group(self, name: str, version: int | None = None) -> FeatureGroup:
        """Return a group by name and version.

        Args:
            name: The name.
            version: The version; None: version 1, with a warning where others exist.

        Returns:
            The group; an ExternalFeatureGroup where it is one, which has no inserts and no history.

        Raises:
            NotFoundError: It does not exist, and the error has the nearest names, or the versions
                that exist.
        """
        spec = self._stores.catalog.get_group(name, version)
        _check_not_spine(spec)
        return cast("FeatureGroup", self._stores.open_group(spec))

    def get_external_feature_group(
        self, name: str, version: int | None = None
    ) -> ExternalFeatureGroup:
        """Return an external group by name and version.

        Args:
            name: The name.
            version: The version; None: version 1, with a warning where others exist.

        Returns:
            The group.

        Raises:
            NotFoundError: It does not exist, or is not an external one.
        """
        spec = self._stores.catalog.get_group(name, version)
        _check_not_spine(spec)
        if not spec.source:
            raise NotFoundError(
                f"Feature group {spec} is not an external one: use get_feature_group."
            )
        return ExternalFeatureGroup(self._stores, spec)

    def get_feature_groups(self, name: str | None = None) -> list[FeatureGroup]:
        """Return every group but external ones, or every version of one, by name and version."""
        specs = self._list_groups(name)
        return [FeatureGroup(self._stores, spec) for spec in specs if not spec.source]

    def get_external_feature_groups(self, name: str | None = None) -> list[ExternalFeatureGroup]:
        """Return every external group, or every version of one, by name and version."""
        specs = self._list_groups(name)
        return [
            ExternalFeatureGroup(self._stores, spec)
            for spec in specs
            if spec.source and not spec.is_dataframe
        ]

    get_on_demand_feature_group = get_external_feature_group
    get_on_demand_feature_groups = get_external_feature_groups

    # -- online

    def sync_online(
        self,
        name: str | None = None,
        version: int | None = None,
        now: Instant | None = None,
        full: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Job]:
        """Bring online tables up to their groups, eagerly.

        Args:
            name: One group; None: every group that is online_enabled and has rows.
            version: Its version; None: version 1, with a warning where others exist.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.
            full: Whether to load whole tables anew.
            progress: Called with the numbers of Spark's tasks done and known so far.

        Returns:
            The job of each group, as of ``FeatureGroup.sync_online``.

        Raises:
            SparkFSError: As ``FeatureGroup.sync_online`` does.
        """
        from spark_fs.api.online_sync import list_online_groups, sync_group

        stores = self._stores
        groups = list_online_groups(stores, name, version)
        return [sync_group(stores, group, now, full, progress) for group in groups]

    def verify_online(
        self,
        name: str | None = None,
        version: int | None = None,
        now: Instant | None = None,
        limit: int = 1_000,
        synced: bool = False,
    ) -> list[Verification]:
        """Compare online tables with the offline latest, eagerly.

        Args:
            name: One group; None: every group that is online_enabled and has rows.
            version: Its version; None: version 1, with a warning where others exist.
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.
            limit: How many differing keys to report at most.
            synced: Whether to compare with the version that the last sync brought online, not with
                the newest.

        Returns:
            The verification of each group: online equals offline where ``.ok``; ``.differences``
            names each key that differs, ``.newest_online`` and ``.newest_offline`` tell how fresh
            both are.

        Raises:
            SparkFSError: As ``FeatureGroup.verify_online`` does.
        """
        from spark_fs.api.online_sync import list_online_groups, verify_group

        stores = self._stores
        groups = list_online_groups(stores, name, version)
        return [verify_group(stores, group, now, limit, synced) for group in groups]

    def check_serving(self) -> None:
        """Ask the metadata database and the online store for an answer, without Spark.

        Raises the error of the one that gives none.
        """
        self._stores.catalog.check_connection()
        self._stores.online.check_connection()

    def get_online_servers(self) -> list[OnlineServer]:
        """Ask every server of the online store what it holds, without Spark.

        Returns:
            One of each shard and replica: whether it answers, up to which version each of its
            tables was synced, and how old it may be.
        """
        from spark_fs.online.server_states import read_server_states

        return read_server_states(self._stores.online)

    def write_online_heartbeat(self) -> None:
        """Note the time in the online store, eagerly, so that replicas show how old they are.

        Needed only where a bound on their age is to hold while the primary is down; once a minute.
        OnlineStoreError before the first sync.
        """
        self._stores.online.write_heartbeat()

    def _list_groups(self, name: str | None) -> list[GroupSpec]:
        groups = self._stores.catalog.list_groups()
        return [group for group in groups if name in (None, group.name)]


def _check_not_spine(group: GroupSpec) -> None:
    if group.is_dataframe:
        raise NotFoundError(
            f"{group.ref} is a spine group, whose rows are kept nowhere: use"
            " get_or_create_spine_group with a frame."
        )
