"""What changed in the source of window features since a version: which events came, went, changed.

It is read from the files that the commits added, where they added rows alone, else from the change
feed of the table.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_fs.engine.join.spark_filters import drop_nulls
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.engine.scan.pruning import NodeSource
from spark_fs.engine.spark_runner import get_frame
from spark_fs.engine.windows.reach import ChangedEvents, find_needed_bounds, find_reached_bounds
from spark_fs.engine.windows.relation import EventSource
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows import group_rows
from spark_fs.flows.event_source import AggregationSource
from spark_fs.flows.spark_reads import translate_spark_errors
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.spark_event_times import convert_to_micros
from spark_fs.tables.table import GroupTable

MAX_CHANGES = 500_000  # keys and instants that are looked at one by one


def read_changes(
    source: AggregationSource, since: int, within: TimeBounds
) -> ChangedEvents | TimeBounds | None:
    """The events that changed after a version of the source and reach rows, eagerly.

    Args:
        source: The source, which is the table of one group.
        since: The version.
        within: Between which instants there are rows.

    Returns:
        The events; where they are too many to look at one by one, between which instants the rows
        lie that they reach; None where they reach none.

    Raises:
        SettingsError: The source's history no longer reaches back to the version.
    """
    assert source.table
    _check_history(source.table, since, source.version)
    names = [name for name, _ in source.windows.keys]
    names.append(source.windows.known_at[0])
    types = dict(source.windows.types)
    needed = find_needed_bounds(within, source.windows.longest_reach)
    try:
        changes = _list_changes(source.table, since, source)
        rows = source.read_rows(names, needed, lambda _: changes)
        if isinstance(rows, EventSource):
            frame = get_frame(rows.relation.select({name: types[name] for name in names}))
            distinct = drop_nulls(frame, names).distinct()
            with translate_spark_errors():
                rows = distinct.limit(MAX_CHANGES + 1).toArrow()
                if rows.num_rows > MAX_CHANGES:
                    return _find_bounds(distinct, source, within)
    except SparkFSError as error:  # files that a vacuum took
        raise _make_history_error(source.table, str(error)) from error
    changed = ChangedEvents.from_rows(rows, source.windows, within)
    return changed if len(changed) else None


def _check_history(table: GroupTable, since: int, version: int) -> None:
    """SettingsError where the log does not tell of every commit since a version."""
    if since > version:
        reason = f"Its table has version {version}, and version {since} of it was taken in."
        raise _make_history_error(table, reason)
    if not table.has_commits(since, version):
        reason = f"Its table does not keep all of its commits from {since} to {version}."
        raise _make_history_error(table, reason)


def _make_history_error(table: GroupTable, reason: str) -> SettingsError:
    return SettingsError(
        f"What changed in feature group {table.group} since the last run cannot be told: {reason}"
        " Build all rows that are made of it again, by backfill(start, end, restart=True)."
    )


def _list_changes(table: GroupTable, since: int, source: AggregationSource) -> Sequence[NodeSource]:
    """Where the rows are that the commits after a version added, removed or changed."""
    first = since + 1
    group = table.group
    has_moving_events = group.may_have_duplicates and not _is_of_identity(source)
    files = None
    if not has_moving_events:
        files = table.list_added_files(first, source.version)

    def read_frame() -> DataFrame:
        changes = group_rows.read_changes(table, since, source.version)
        rows = changes.select(*group.types, INGESTED_AT)
        if not has_moving_events:
            return rows
        # Of rows of one identity the last is the row: a new one takes back what the others said.
        others = group_rows.read_group(table, source.version, with_duplicates=True)
        identities = rows.select(*group.identity).distinct()
        return rows.unionByName(others.join(identities, on=list(group.identity), how="left_semi"))

    return [NodeSource(read_frame, files)]


def _is_of_identity(source: AggregationSource) -> bool:
    """Whether the key and the instant of an event follow from the identity of its row."""
    assert source.table
    plan = source.windows
    names = {*dict(plan.keys), plan.known_at[0]}
    return names <= set(source.table.group.identity)


def _find_bounds(
    events: DataFrame, source: AggregationSource, within: TimeBounds
) -> TimeBounds | None:
    """Between which instants rows lie that events reach, eagerly."""
    micros = convert_to_micros(F.col(source.windows.known_at[0]), source.windows.known_at[1])
    first, last = events.agg(F.min(micros), F.max(micros)).collect()[0]
    return find_reached_bounds((first, last), source.windows.longest_reach, within)
