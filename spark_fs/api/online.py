"""The online side of feature groups: brought up to their tables, and compared with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_fs.api.group import Group
from spark_fs.base.arguments import validate_arguments
from spark_fs.base.times import to_utc
from spark_fs.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.verification import Verification


@validate_arguments
class ServedGroup(Group):
    """The methods of a feature group that is served online."""

    @property
    def online_enabled(self) -> bool:
        """Whether ``sync_online`` pushes the latest rows to the online store."""
        return self._spec.online_enabled

    def sync_online(
        self,
        now: Instant | None = None,
        full: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Job:
        """Bring the online table up to this group, eagerly: what changed since the last sync, the first time all of it.

        now: the instant (UTC) by which rows are past the group's ttl; None: that of the call. full:
        load the whole table anew beside the one that is served and put it in its place. progress:
        called with the numbers of Spark's tasks done and known so far. The summary counts rows
        written, deleted, skipped (older than what is online) and expired (past their ttl), with the
        Delta versions and the lag: the age in seconds of the newest commit when it was online.
        Raises SettingsError when the group is not online_enabled, NotFoundError before its first
        rows, where its table has gone, and, unless ``full``, where it is older than what is online,
        ConflictError while another sync of it runs, OnlineRefusedError for a value that does not
        fit, OnlineStoreError when the database fails; what is served is then as it was.
        """
        return _sync_group(
            self._stores,
            _check_served(self._stores.catalog.get_group(self.name, self.version), self._stores),
            now,
            full,
            progress,
        )

    def verify_online(
        self, now: Instant | None = None, limit: int = 1_000, synced: bool = False
    ) -> Verification:
        """Compare the online table with the offline latest, eagerly: by checksums of buckets, then row by row where they differ.

        now: the instant (UTC) by which rows are past their ttl. limit: how many differing keys to
        report at most. synced: compare with the version that the last sync brought online, not with
        the newest. Raises as ``sync_online`` does.
        """
        return _verify_group(
            self._stores,
            _check_served(self._stores.catalog.get_group(self.name, self.version), self._stores),
            now,
            limit,
            synced,
        )


@validate_arguments
class StoreServingMixin:
    """The methods of a feature store for all groups that are served online."""

    _stores: Stores

    def sync_online(
        self,
        name: str | None = None,
        version: int | None = None,
        now: Instant | None = None,
        full: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Job]:
        """Bring the online table of one group, or of every group that is online_enabled and has rows, up to it, eagerly: a job for each.

        The others are as in ``FeatureGroup.sync_online``.
        """
        return [
            _sync_group(self._stores, group, now, full, progress)
            for group in self._list_online_groups(name, version)
        ]

    def verify_online(
        self,
        name: str | None = None,
        version: int | None = None,
        now: Instant | None = None,
        limit: int = 1_000,
        synced: bool = False,
    ) -> list[Verification]:
        """Compare the online table of one group, or of every online one, with the offline latest, eagerly: a verification for each.

        Online equals offline where ``.ok``; ``.differences`` names each key that differs,
        ``.newest_online`` and ``.newest_offline`` tell how fresh both are. The others are as in
        ``FeatureGroup.verify_online``.
        """
        return [
            _verify_group(self._stores, group, now, limit, synced)
            for group in self._list_online_groups(name, version)
        ]

    def check_serving(self) -> None:
        """Ask the metadata database and the online store for an answer, without Spark; raises the error of the one that gives none."""
        self._stores.catalog.check_connection()
        self._stores.online.check_connection()

    def _list_online_groups(self, name: str | None, version: int | None) -> list[GroupSpec]:
        stores = self._stores
        if name is not None:
            return [_check_served(stores.catalog.get_group(name, version), stores)]
        return [
            group
            for group in stores.catalog.list_groups()
            if group.online_enabled and _has_rows(group, stores)
        ]


def _has_rows(group: GroupSpec, stores: Stores) -> bool:
    """Whether there is a table; NotFoundError where it is not there, and what it held is known or online. Starts no JVM."""
    from spark_fs.online.table import build_online_table
    from spark_fs.tables.delta import history

    if history.has_log(stores.find_table(group)):
        return True
    if group.features and (
        done := stores.online.read_sync_state(build_online_table(group, stores.online.capabilities))
    ):
        raise stores.make_lost_error(group, f"version {done.version} of it is online")
    return False


def _check_served(group: GroupSpec, stores: Stores) -> GroupSpec:
    """The group; SettingsError or NotFoundError unless it has rows to serve."""
    if not group.online_enabled:
        raise SettingsError(
            f"Feature group {group} is not online_enabled: create a version that is, then sync it."
        )
    if not _has_rows(group, stores):
        raise NotFoundError(
            f"Feature group {group} has no rows to sync yet: insert its first rows."
        )
    return group


def _sync_group(
    stores: Stores,
    group: GroupSpec,
    now: Instant | None,
    full: bool,
    progress: Callable[[int, int], None] | None,
) -> Job:
    from spark_fs.flows import sync

    return sync.sync_group(
        stores.spark,
        group,
        stores.find_table(group),
        stores.online,
        None if now is None else to_utc(now),
        full,
        progress,
    )


def _verify_group(
    stores: Stores, group: GroupSpec, now: Instant | None, limit: int, synced: bool
) -> Verification:
    from spark_fs.flows import verify

    instant = None if now is None else to_utc(now)
    return verify.verify_group(
        stores.spark, group, stores.find_table(group), stores.online, instant, limit, synced
    )
