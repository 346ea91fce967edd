"""Bring the online tables of groups up to their rows, and compare them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from spark_fs.base.times import to_utc
from spark_fs.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.freshness import Freshness
    from spark_fs.spec.verification import Verification


def list_online_groups(stores: Stores, name: str | None, version: int | None) -> list[GroupSpec]:
    """List the groups that are online_enabled and have rows.

    Args:
        stores: Where they are kept.
        name: One group alone; None: every group.
        version: Its version.

    Returns:
        The groups, by name and version.

    Raises:
        SettingsError: The named group is not online_enabled.
        NotFoundError: The named group does not exist or has no rows, or a table is lost.
    """
    if name is not None:
        return [check_served(stores, stores.catalog.get_group(name, version))]
    return [
        group
        for group in stores.catalog.list_groups()
        if group.online_enabled and _has_rows(stores, group)
    ]


def check_served(stores: Stores, group: GroupSpec) -> GroupSpec:
    """Check that a group has rows to serve.

    Args:
        stores: Where it is kept.
        group: The group.

    Returns:
        The group.

    Raises:
        SettingsError: It is not online_enabled.
        NotFoundError: It has no rows.
    """
    if not group.online_enabled:
        raise SettingsError(
            f"Feature group {group} is not online_enabled: create a version that is, then sync it."
        )
    if not _has_rows(stores, group):
        raise NotFoundError(
            f"Feature group {group} has no rows to sync yet: insert its first rows."
        )
    return group


def sync_group(
    stores: Stores,
    group: GroupSpec,
    now: Instant | None,
    full: bool,
    progress: Callable[[int, int], None] | None,
) -> Job:
    """Bring the online table of a group up to it, eagerly.

    Args:
        stores: Where it is kept.
        group: The group.
        now: The instant (UTC) by which rows are past their ttl; None: that of the call.
        full: Whether the whole table is loaded anew.
        progress: Called with the numbers of Spark's tasks done and known so far.

    Returns:
        The job, whose summary counts rows.
    """
    from spark_fs.flows import live_sync, sync
    from spark_fs.flows.jobs import Job
    from spark_fs.flows.live_sources import is_live

    instant = None if now is None else to_utc(now)
    table = stores.open_table(group)
    job = sync.sync_group(table, stores.online, instant, full, progress)
    if not is_live(group):
        return job
    counts = live_sync.sync_live_windows(stores, group, instant)
    return Job(job.name, {**job.summary, "live_entities": counts["entities"]})


def verify_group(
    stores: Stores, group: GroupSpec, now: Instant | None, limit: int, synced: bool
) -> Verification:
    """Compare the online table of a group with its latest rows offline, eagerly.

    Args:
        stores: Where it is kept.
        group: The group.
        now: The instant (UTC) by which rows are past their ttl; None: that of the call.
        limit: How many differing keys are reported at most.
        synced: Whether to compare with the version that was synced last, not with the newest.

    Returns:
        What differs.
    """
    from spark_fs.flows import verify

    instant = None if now is None else to_utc(now)
    table = stores.open_table(group)
    return verify.verify_group(table, stores.online, instant, limit, synced)


def measure_freshness(stores: Stores, group: GroupSpec, now: Instant | None) -> Freshness:
    """Say how old what is served of a group is, eagerly; starts no JVM.

    Args:
        stores: Where it is kept.
        group: The group.
        now: The instant (UTC) that ages are counted to; None: that of the call.

    Returns:
        Its times.
    """
    from spark_fs.flows import measure_freshness
    from spark_fs.tables.table_log import open_log

    instant = None if now is None else to_utc(now)
    log = open_log(stores.find_table(group))
    return measure_freshness.measure_freshness(group, log, stores.online, instant)


def _has_rows(stores: Stores, group: GroupSpec) -> bool:
    """Whether there is a table; NotFoundError where it is lost and something is known of its rows.

    Starts no JVM.
    """
    from spark_fs.online.table_layout import build_online_table
    from spark_fs.tables.table_log import open_log

    if open_log(stores.find_table(group)).exists():
        return True
    if not group.features:
        return False
    table = build_online_table(group, stores.online.capabilities)
    synced = stores.online.read_sync_state(table)
    if synced:
        raise stores.make_lost_error(group, f"version {synced.version} of it is online")
    return False
