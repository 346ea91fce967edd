"""What is done to a table as a whole: more columns, compaction, clean-up, removal."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol

from spark_fs.errors import SchemaError, SettingsError
from spark_fs.flows.jobs import Job
from spark_fs.flows.live_sources import is_live
from spark_fs.flows.sync import make_origin
from spark_fs.online.column_storage import Capabilities
from spark_fs.online.live.byte_layout import build_live_table
from spark_fs.online.store import OnlineStore
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.spec.feature_group import FeatureSpec, GroupSpec
from spark_fs.tables import arrow_files, statistics_files
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.table import GroupTable

# what a clean-up leaves alone: files of inserts that go on, and what readers began to read
MIN_RETENTION_HOURS = 24
DELTA_RETENTION_HOURS = 168  # for so long Delta itself knows of a file that left the table
# from the look at the log until the clean-up itself looks at its clock
_CLOCK_MARGIN = timedelta(minutes=1)


class OnlineStores(Protocol):
    """What opens the online store when it is first asked for."""

    @property
    def online(self) -> OnlineStore:
        """The online store."""


def append_features(
    table: GroupTable, features: Sequence[FeatureSpec], stores: OnlineStores
) -> None:
    """Add columns to the table, eagerly, where there is one; a killed call is simply made again."""
    group = table.group
    if not group.features:
        raise SchemaError(
            f"Feature group {group} has no schema yet: its first insert, or features= at its"
            " creation, gives the columns."
        )
    grown = group.with_features(features)
    # a column that is online and not yet offline holds nulls; the other way round, readers would
    # miss it
    if group.online_enabled:
        online_table = build_online_table(grown, stores.online.capabilities)
        stores.online.add_columns(online_table, make_origin(table.path))
    if table.version != NO_TABLE:
        table.add_columns(features)


def optimize_table(table: GroupTable) -> Job:
    """Compact and cluster the table, eagerly."""
    group = table.group
    name = f"optimize {group.name}_{group.version}"
    if table.version == NO_TABLE:
        return Job(name, {"files_added": 0, "files_removed": 0})
    cluster_by = [column for column in group.identity if column not in group.partition_columns]
    return Job(name, dict(table.optimize(cluster_by)))


def vacuum_table(
    table: GroupTable, retention_hours: float, readers: Mapping[str, int], force: bool = False
) -> Job:
    """Delete what only versions older than the retention need, eagerly.

    Refused where one of the readers, by the version that each reads, reads such a version.
    """
    group = table.group
    _check_retention(retention_hours, group, force)
    cutoff = datetime.now(UTC) - timedelta(hours=retention_hours) + _CLOCK_MARGIN
    lost = [
        f"{name} (version {version})"
        for name, version in readers.items()
        if table.would_be_lost(version, cutoff)
    ]
    if lost and not force:
        raise SettingsError(
            f"Nothing was removed from feature group {group}: older versions are still read by"
            f" {', '.join(lost)}. Delete these, keep more hours, or say force=True."
        )
    before = table.list_stored_files()
    if table.version != NO_TABLE:
        candidates = None
        if retention_hours > DELTA_RETENTION_HOURS:
            spared = table.list_removed_since(cutoff - 2 * _CLOCK_MARGIN)
            if spared:
                candidates = [file for file in before if file.name not in spared]
        table.vacuum(retention_hours, candidates)
    removed = len(before) - len(table.list_stored_files())
    return Job(f"vacuum {group.name}_{group.version}", {"files_removed": removed})


def _check_retention(retention_hours: float, group: GroupSpec, force: bool) -> None:
    is_number = isinstance(retention_hours, int | float) and not isinstance(retention_hours, bool)
    if not is_number or not 0 <= retention_hours < 1e8:
        raise SettingsError(
            f"retention_hours={retention_hours!r} is not a length of time: give hours from 0 up."
        )
    if retention_hours < MIN_RETENTION_HOURS and not force:
        raise SettingsError(
            f"Nothing was removed from feature group {group}: retention_hours={retention_hours} is"
            f" less than {MIN_RETENTION_HOURS}, and inserts and readers that go on may need files"
            f" as young as that. Keep {MIN_RETENTION_HOURS} hours or more, or say force=True while"
            " nothing else uses the group."
        )


def delete_group(table: GroupTable, stores: OnlineStores) -> None:
    """Remove the group's rows, eagerly: first from the online store, then the table."""
    group = table.group
    if group.online_enabled and group.features:
        origin = make_origin(table.path, allow_damaged=True)
        for online_table in _list_online_tables(group, stores.online.capabilities):
            stores.online.drop_table(online_table, origin)
    table.remove()
    table.quarantine.remove()
    statistics_files.remove_statistics(table.statistics_folder)
    arrow_files.remove_folder(table.tiles_folder)


def _list_online_tables(group: GroupSpec, capabilities: Capabilities) -> Iterator[OnlineTable]:
    yield build_online_table(group, capabilities)
    if is_live(group):
        with suppress(SettingsError):  # where there is no room for its name there is no such table
            yield build_live_table(group, capabilities)
