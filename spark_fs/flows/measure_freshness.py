"""Measure how old what is served of a feature group is, without Spark."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from spark_fs.base.times import epoch_to_micros, from_micros, to_timestamp
from spark_fs.online.store import OnlineStore, SyncState
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.freshness import Freshness

if TYPE_CHECKING:
    from spark_fs.tables.table_log import TableLog  # a serving process loads no Arrow

_MAX_COMMITS = 50  # that are read to see whether a group is behind


class ServedTimes(NamedTuple):
    """What an online store alone tells of a group: its last sync, its greatest event time (UTC)."""

    last_sync: SyncState | None
    event_time: datetime | None


def measure_freshness(
    group: GroupSpec, log: TableLog, store: OnlineStore, now: datetime | None
) -> Freshness:
    """Measure how old what is served of a group is, eagerly.

    Args:
        group: The group.
        log: That of its table.
        store: Where it is online.
        now: The instant that ages are counted to; None: that of the call.

    Raises:
        OnlineStoreError: The database fails.
    """
    table = build_online_table(group, store.capabilities)
    last_sync = store.read_sync_state(table)
    event_time = read_served_times(store, table, last_sync).event_time
    ingested_at = waiting_since = None
    if last_sync is None:
        waiting_since = _find_first_change(log, -1)
    else:
        waiting_since = _find_first_change(log, last_sync.version)
        if log.has_commits(last_sync.version, last_sync.version):
            ingested_at = log.get_commit_time(last_sync.version)
    return Freshness(
        group=table.name,
        now=now or datetime.now(UTC),
        event_time=event_time,
        ingested_at=ingested_at,
        synced_at=last_sync.synced_at if last_sync else None,
        version=last_sync.version if last_sync else None,
        newest_version=log.version,
        waiting_since=waiting_since,
    )


def read_served_times(
    store: OnlineStore,
    table: OnlineTable,
    last_sync: SyncState | None,
    before: ServedTimes | None = None,
) -> ServedTimes:
    """Read the greatest event time of a table, eagerly.

    Args:
        store: The online store.
        table: The table.
        last_sync: The last sync of the table, as the store has it now.
        before: What was read before: event times are not read again where no sync was since.

    Returns:
        The times.
    """
    if before is not None and before.last_sync == last_sync:
        return before
    newest = None
    if last_sync is not None and table.event_time:
        newest = store.read_newest_event_time(table)
    return ServedTimes(last_sync, _to_instant(newest))


def _find_first_change(log: TableLog, synced_version: int) -> datetime | None:
    """When the first commit after a version was written that changes rows; None without one."""
    behind = log.version - synced_version
    if behind <= 0:
        return None
    commits = log.list_commits(behind, log.version)
    times = [commit.committed_at for commit in commits if commit.changes_rows]
    return min(times, default=None)


def is_behind(log: TableLog, last_sync: SyncState) -> bool:
    """Whether a commit after a sync changed rows; of very many commits the newest are looked at."""
    behind = log.version - last_sync.version
    if behind <= 0:
        return False
    commits = log.list_commits(min(behind, _MAX_COMMITS), log.version)
    return any(commit.changes_rows for commit in commits)


def _to_instant(event_time: Any) -> datetime | None:
    """An event time of any type as an instant; the midnight (UTC) of a date."""
    if event_time is None:
        return None
    if isinstance(event_time, date):
        return to_timestamp(event_time)
    return from_micros(epoch_to_micros(event_time))
