"""What is read of each group of a plan, from what its table's log says: which files, of how many, between which event times."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pyspark.sql import DataFrame

from spark_fs.base import arrow_types
from spark_fs.base.times import MILLISECONDS_FROM, epoch_to_micros, to_micros, to_utc
from spark_fs.engine.join import spark_sql
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan, TimeBounds
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan, NodeColumn, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.query import iter_comparisons
from spark_fs.tables.delta.commands import INGESTED_AT
from spark_fs.tables.delta.history import DataFile

_DEFAULT_WIDTH = 24  # bytes of a value whose type does not tell
_TYPE_WIDTHS = {
    "boolean": 1,
    "tinyint": 1,
    "smallint": 2,
    "int": 4,
    "float": 4,
    "date": 4,
    "bigint": 8,
    "double": 8,
    "timestamp": 8,
}


@dataclass(frozen=True)
class NodeSource:
    """Where a node's rows come from: a DataFrame*, and the files that hold the same rows, where files do."""

    read_frame: Callable[[], DataFrame]
    files: Sequence[DataFile] | None = None


@dataclass(frozen=True)
class TableScanPlan:
    """How a node is read.

    scan: by the workers, from files; None: through Spark. kept: how many files are left after
    pruning, of how many. bytes: about how much travels; None: nobody knows. within: between which
    event times its rows lie, of a spine, or are looked for.
    """

    scan: Scan | None
    files_after_pruning: int
    total_files: int
    bytes: int | None
    event_time_bounds: TimeBounds = (None, None)


def plan_scans(plan: JoinPlan, sources: Sequence[NodeSource]) -> tuple[TableScanPlan, ...]:
    """How each node of a plan is read; it takes no Spark action."""
    spine = _plan_scan(plan, plan.nodes[0], sources[0], _compute_split_range(plan))
    reach = _compute_spine_range(plan, spine)
    found = [spine]
    for node, source in zip(plan.nodes[1:], sources[1:], strict=True):
        start, end = reach
        ttl = node.group.ttl_micros
        oldest = None if start is None or ttl is None else start - ttl
        found.append(
            _plan_scan(
                plan, node, source, (oldest, end) if node.match == "point_in_time" else (None, None)
            )
        )
    return tuple(found)


def _compute_split_range(plan: JoinPlan) -> TimeBounds:
    """From the start of the first split to the end of the last."""
    return _find_min(_to_micros_or_none(i.start) for i in plan.splits.values()), _find_max(
        _to_micros_or_none(i.end) for i in plan.splits.values()
    )


def _to_micros_or_none(when: datetime | None) -> int | None:
    return None if when is None else to_micros(when)


def _find_min(bounds: Iterable[int | None]) -> int | None:
    found = list(bounds)
    return None if None in found or not found else min(found)  # type: ignore[type-var] # no None is left


def _find_max(bounds: Iterable[int | None]) -> int | None:
    found = list(bounds)
    return None if None in found or not found else max(found)  # type: ignore[type-var] # no None is left


def _compute_spine_range(plan: JoinPlan, spine: TableScanPlan) -> TimeBounds:
    """Between which instants the spine's event times lie: by the splits, or by what the log says of its files."""
    start, end = _compute_split_range(plan)
    return (spine.event_time_bounds[0] if start is None else start), (
        spine.event_time_bounds[1] if end is None else end
    )


def _plan_scan(
    plan: JoinPlan, node: PlanNode, source: NodeSource, event_time_bounds: TimeBounds
) -> TableScanPlan:
    group = node.group
    files = source.files
    if files is None:
        return TableScanPlan(None, 0, 0, None, event_time_bounds)
    kept = [file for file in files if may_contain_event_time(file, group, event_time_bounds)]
    if node.where is not None:
        kept = [file for file in kept if parquet.may_match(file, node.where, group.types)]
    rows = sum(file.row_count or 0 for file in kept)
    columns = plan.list_columns(node)
    stored = sum(file.bytes for file in kept) * len(columns) // len(group.types)
    size = max(
        stored,
        rows * sum(_TYPE_WIDTHS.get(group.get_column_type(c), _DEFAULT_WIDTH) for c in columns),
    )
    if node.match == "spine":
        spans = [_get_event_time_range(file, group) for file in kept]
        event_time_bounds = _find_min(s for s, _ in spans), _find_max(e for _, e in spans)
    dedupes = group.may_have_duplicates and (
        node.match == "spine" or node.where is not None
    )  # which needs every row of an identity
    if dedupes or not parquet.is_scannable(kept, group.types, group.partition_key, node.where):
        return TableScanPlan(None, len(kept), len(files), size, event_time_bounds)
    return TableScanPlan(
        _build_scan(plan, node, kept, event_time_bounds),
        len(kept),
        len(files),
        size,
        event_time_bounds,
    )


def may_contain_event_time(file: DataFile, group: GroupSpec, event_time_bounds: TimeBounds) -> bool:
    """Whether a file may have an event time within these bounds, by what the log says of it."""
    (start, end), (first, behind) = event_time_bounds, _get_event_time_range(file, group)
    return not (
        (start is not None and behind is not None and behind <= start)
        or (end is not None and first is not None and first >= end)
    )


def _get_event_time_range(file: DataFile, group: GroupSpec) -> TimeBounds:
    """The event times of a file, from the first up to and without the second, in microseconds; None: the log does not say."""
    time = group.event_time
    if time is None:
        return None, None
    type_ = group.get_column_type(time)
    if time in file.partition_values:
        least = greatest = file.partition_values[time] if type_ != "timestamp" else None
    else:
        least, greatest = file.min_values.get(time), file.max_values.get(time)
    if least is None or greatest is None:
        return None, None
    if type_ in ("int", "bigint") and abs(int(least)) < MILLISECONDS_FROM <= abs(
        int(greatest)
    ):  # seconds and milliseconds
        return None, None
    return _parse_event_time(least, type_), _parse_event_time(greatest, type_) + (
        1_000 if type_ == "timestamp" else 1
    )


def _parse_event_time(value: Any, type_: str) -> int:
    """An event time as the log writes it, in microseconds; of timestamps it has whole milliseconds, rounded down."""
    if type_ == "timestamp":
        return to_micros(to_utc(datetime.fromisoformat(value)))
    if type_ == "date":
        return to_micros(to_utc(date.fromisoformat(value)))
    return epoch_to_micros(int(value))


def _build_scan(
    plan: JoinPlan, node: PlanNode, files: Sequence[DataFile], event_time_bounds: TimeBounds
) -> Scan:
    group, spine = node.group, node.match == "spine"
    columns = {spark_sql.get_alias(NodeColumn(node.index, c)): c for c in plan.list_columns(node)}
    stored = group.types
    if not spine and (node.may_tie or plan.as_known):
        columns[spark_sql.get_ingested_alias(node)] = INGESTED_AT
        stored = {**stored, INGESTED_AT: "timestamp"}
    times = [group.event_time] if group.event_time else []
    conditions = [c.column for c in iter_comparisons(node.where)] if node.where else []
    known = () if spine else (*node.right_keys, *times)
    asks = dict.fromkeys([*columns.values(), *conditions, *known, *times])
    splits = (
        [
            (name, (_to_micros_or_none(i.start), _to_micros_or_none(i.end)))
            for name, i in plan.splits.items()
        ]
        if spine
        else []
    )
    return Scan(
        parquet.to_scan_files(files),
        tuple(columns.items()),
        arrow_types.to_arrow_schema({c: stored[c] for c in asks}),
        tuple(stored.items()),
        node.where,
        known,
        group.event_time,
        (None, None) if spine else event_time_bounds,
        tuple(splits),
        SPLIT_COLUMN,
    )
