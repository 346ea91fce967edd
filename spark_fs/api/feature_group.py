"""A feature group: a versioned Delta table with event-time history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from spark_fs.api.stores import opens
from spark_fs.api.written_group import WrittenGroup
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.freshness import Freshness
    from spark_fs.spec.verification import Verification


@opens("feature group")
@validate_arguments
class FeatureGroup(WrittenGroup):
    """A group whose rows are a Delta table with event-time history."""

    @property
    def online_enabled(self) -> bool:
        """Whether ``sync_online`` pushes the latest rows to the online store."""
        return self._spec.online_enabled

    # -- its end

    def delete(self, force: bool = False, delete_feature_views: bool = False) -> None:
        """Delete the group, eagerly: rows, history, online table and definition.

        Args:
            force: Whether to delete it all the same where one of the errors below would be raised.
            delete_feature_views: Whether the feature views that read it are deleted first.

        Raises:
            SettingsError: Feature views read it.
            NotFoundError: Its table is lost.
        """
        from spark_fs.flows import maintain
        from spark_fs.tables.table import open_table

        stores = self._stores
        if delete_feature_views:
            self._delete_views(force)
        if not force:
            self._check_unused()
            stores.find_table(self._spec)  # a lost one may be on a disk that is not mounted
        table = open_table(self._spec, self.location, lambda: stores.spark)
        maintain.delete_group(table, stores)
        stores.catalog.delete_group(self._spec.ref)

    # -- its page

    def report(self, path: str | Path | None = None) -> Path:
        """Write a page about the group, eagerly, and return where; starts no JVM.

        It is one HTML file that needs nothing else: schema, statistics with histograms and
        correlations, some rows, commits, validation reports, comparisons for drift, lineage.
        ``path`` None: ``<name>_<version>.html`` in the working folder. Raises SettingsError where
        it cannot be written.
        """
        from spark_fs.report.group_page import render_group_page
        from spark_fs.report.page import write_page

        target = Path(path or f"{self.name}_{self.version}.html")
        return write_page(target, render_group_page(self._stores, self._load_spec()))

    # -- online

    def sync_online(
        self,
        now: Instant | None = None,
        full: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Job:
        """Bring the online table up to this group, eagerly: what changed since the last sync.

        The first sync brings all of it. When a sync fails, what is served is as it was.

        Args:
            now: The instant (UTC) by which rows are past the group's ttl, and from which on live
                windows are asked for; None: that of the call.
            full: Whether to load the whole table anew beside the one that is served, and put it in
                its place.
            progress: Called with the numbers of Spark's tasks done and known so far.

        Returns:
            The job. Its summary counts rows written, deleted, skipped (older than what is online)
            and expired (past their ttl), with the Delta versions and the lag: the age in seconds of
            the newest commit when it was online. Of a group of live windows it counts the entities
            of which events are online ("live_entities").

        Raises:
            SettingsError: The group is not online_enabled.
            NotFoundError: The group has no rows yet, its table is lost, or, unless full, it is
                older than what is online.
            ConflictError: Another sync of it runs.
            OnlineRefusedError: A value does not fit.
            OnlineStoreError: The database fails.
        """
        from spark_fs.api.online_sync import check_served, sync_group

        group = check_served(self._stores, self._load_spec())
        return sync_group(self._stores, group, now, full, progress)

    def verify_online(
        self, now: Instant | None = None, limit: int = 1_000, synced: bool = False
    ) -> Verification:
        """Compare the online table with the offline latest, eagerly.

        Checksums of buckets are compared first, then the rows of those that differ.

        Args:
            now: The instant (UTC) by which rows are past their ttl; None: that of the call.
            limit: How many differing keys to report at most.
            synced: Whether to compare with the version that the last sync brought online, not with
                the newest.

        Returns:
            What differs; ``.ok`` where online equals offline.

        Raises:
            SettingsError: The group is not online_enabled, or limit is below 1.
            NotFoundError: The group has no rows yet, or its table is lost.
            OnlineStoreError: The database fails.
        """
        from spark_fs.api.online_sync import check_served, verify_group

        group = check_served(self._stores, self._load_spec())
        return verify_group(self._stores, group, now, limit, synced)

    def get_freshness(self, now: Instant | None = None) -> Freshness:
        """Say how old what is served of this group is, eagerly; starts no JVM.

        The database reads the event time of each of the group's rows for it.

        Args:
            now: The instant (UTC) that ages are counted to; None: that of the call.

        Returns:
            The greatest event time online, when its rows were written and synced, and since when
            rows have been waiting for a sync; ``.age`` and ``.sync_lag`` are the lengths to watch.

        Raises:
            SettingsError: The group is not online_enabled.
            NotFoundError: The group has no rows yet, or its table is lost.
            OnlineStoreError: The database fails.
        """
        from spark_fs.api.online_sync import check_served, measure_freshness

        group = check_served(self._stores, self._load_spec())
        return measure_freshness(self._stores, group, now)
