"""What is read of each group of a plan, from what its table's log says.

That is which files, of how many, between which event times.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from spark_fs.base import arrow_types
from spark_fs.base.times import (
    Interval,
    to_micros,
)
from spark_fs.engine.join.columns import get_ingested_alias, get_node_alias
from spark_fs.engine.join.shuffle import get_key_kind
from spark_fs.engine.scan import filters, parquet
from spark_fs.engine.scan.file_times import get_event_time_range, overlap_times
from spark_fs.engine.scan.parquet import UNBOUNDED, Scan, TimeBounds
from spark_fs.planning.plan import SPLIT_COLUMN, JoinPlan, PlanNode
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.predicates import iter_comparisons
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.ingestion import INGESTED_AT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_FIRST_MICROS = to_micros(datetime.min.replace(tzinfo=UTC))  # of all event times
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
    """Where a node's rows come from: a DataFrame*, and the files with the same rows, if any.

    need_of_spark: why there are no files, where more is known than that.
    """

    read_frame: "Callable[[], DataFrame]"
    files: Sequence[DataFile] | None = None
    need_of_spark: str | None = None

    def estimate_frame_bytes(self) -> int:
        """The bytes of the DataFrame by Spark's own estimate."""
        from spark_fs.engine.spark_runner import estimate_bytes

        return estimate_bytes(self.read_frame())


@dataclass(frozen=True)
class TableScanPlan:
    """How a node is read.

    scan: by the workers, from files; None: through Spark. bytes: about how much travels; None: not
    known. event_time_bounds: between which event times its rows lie, of a spine, or are looked for.
    drops_duplicates: whether of the rows of one identity only the last ingested counts, so that the
    scan's conditions hold for what is left. need_of_spark: why Spark alone reads it, where more is
    known than that.
    """

    scan: Scan | None
    files_after_pruning: int
    total_files: int
    bytes: int | None
    event_time_bounds: TimeBounds = UNBOUNDED
    drops_duplicates: bool = False
    need_of_spark: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether each task can read the rows of some files, whatever is in the others."""
        return self.scan is not None and not self.drops_duplicates


def plan_scans(plan: JoinPlan, sources: Sequence[NodeSource]) -> tuple[TableScanPlan, ...]:
    """How each node of a plan is read; it takes no Spark action."""
    split_range = _compute_split_range(plan)
    spine_plan = _plan_scan(plan, plan.nodes[0], sources[0], split_range)
    start, end = _compute_spine_range(plan, spine_plan)
    scan_plans = [spine_plan]
    for node, source in zip(plan.nodes[1:], sources[1:], strict=True):
        bounds = UNBOUNDED
        if node.match in ("point_in_time", "windows"):
            reach = _get_reach(plan, node)
            oldest = None
            if start is not None and reach is not None and start - reach > _FIRST_MICROS:
                oldest = start - reach
            bounds = (oldest, end)
        scan_plans.append(_plan_scan(plan, node, source, bounds))
    return tuple(scan_plans)


def _get_reach(plan: JoinPlan, node: PlanNode) -> int | None:
    """How many microseconds before a spine's row the rows lie that it needs; None: any time."""
    if node.windows:
        return plan.narrow_windows(node, node.windows).longest_reach
    return node.group.ttl_micros


def _compute_split_range(plan: JoinPlan) -> TimeBounds:
    """From the start of the first split to the end of the last."""
    return _merge_bounds([_to_bounds(interval) for interval in plan.splits.values()])


def _to_bounds(interval: Interval) -> TimeBounds:
    """An interval in microseconds."""
    return _to_micros_or_none(interval.start), _to_micros_or_none(interval.end)


def _to_micros_or_none(when: datetime | None) -> int | None:
    return None if when is None else to_micros(when)


def _merge_bounds(bounds: Sequence[TimeBounds]) -> TimeBounds:
    """From the first start to the last end; None where one is None, or there are none."""
    starts = []
    ends = []
    for start, end in bounds:
        starts.append(start)
        ends.append(end)
    known_starts = [start for start in starts if start is not None]
    known_ends = [end for end in ends if end is not None]
    first = None
    if known_starts and len(known_starts) == len(starts):
        first = min(known_starts)
    last = None
    if known_ends and len(known_ends) == len(ends):
        last = max(known_ends)
    return first, last


def _compute_spine_range(plan: JoinPlan, spine_plan: TableScanPlan) -> TimeBounds:
    """Between which instants the spine's event times lie.

    The splits tell, or what the log says of the spine's files.
    """
    start, end = _compute_split_range(plan)
    spine_start, spine_end = spine_plan.event_time_bounds
    if start is None:
        start = spine_start
    if end is None:
        end = spine_end
    return start, end


def _plan_scan(
    plan: JoinPlan, node: PlanNode, source: NodeSource, event_time_bounds: TimeBounds
) -> TableScanPlan:
    group = node.group
    if source.files is None:
        return TableScanPlan(
            None, 0, 0, None, event_time_bounds, need_of_spark=source.need_of_spark
        )
    drops_duplicates = _drops_duplicates(plan, node)
    files = _prune_files(source.files, node, event_time_bounds, drops_duplicates)
    if node.match == "spine":
        event_time = node.event_time
        ranges = [get_event_time_range(file, group, event_time) for file in files]
        event_time_bounds = _merge_bounds(ranges)
    scan = None
    if _can_scan(node, files, drops_duplicates):
        scan = _build_scan(plan, node, files, event_time_bounds)
    return TableScanPlan(
        scan,
        len(files),
        len(source.files),
        _estimate_bytes(files, group, plan.list_columns(node)),
        event_time_bounds,
        drops_duplicates,
    )


def _drops_duplicates(plan: JoinPlan, node: PlanNode) -> bool:
    """Whether duplicates go before anything else; else the match takes the last ingested."""
    if plan.as_known and node.match != "spine":
        return False
    needs_every_row = node.match in ("spine", "windows") or node.where is not None
    return node.group.may_have_duplicates and needs_every_row


def _can_scan(node: PlanNode, files: Sequence[DataFile], drops_duplicates: bool) -> bool:
    """Whether workers can read a node's rows from these files."""
    group = node.group
    if drops_duplicates:
        kinds = [get_key_kind(group.get_column_type(column)) for column in group.identity]
        if None in kinds:
            return False
    return parquet.is_scannable(files, group.types, group.partition_key, node.where)


def _prune_files(
    files: Sequence[DataFile],
    node: PlanNode,
    event_time_bounds: TimeBounds,
    drops_duplicates: bool,
) -> list[DataFile]:
    """The files that may have rows of a node, or rows that decide which of them count."""
    group = node.group
    if drops_duplicates and node.event_time != group.event_time:
        return list(files)
    kept = []
    for file in files:
        if overlap_times(get_event_time_range(file, group, node.event_time), event_time_bounds):
            kept.append(file)
    if node.where is not None and not drops_duplicates:
        kept = [file for file in kept if filters.may_match(file, node.where, group.types)]
    return kept


def _estimate_bytes(files: Sequence[DataFile], group: GroupSpec, columns: Sequence[str]) -> int:
    """About how many bytes these columns have, as they are stored or as they travel."""
    file_bytes = sum(file.bytes for file in files)
    stored_bytes = file_bytes * len(columns) // len(group.types)
    row_count = sum(file.row_count or 0 for file in files)
    row_bytes = 0
    for column in columns:
        row_bytes += _TYPE_WIDTHS.get(group.get_column_type(column), _DEFAULT_WIDTH)
    return max(stored_bytes, row_count * row_bytes)


def estimate_run_bytes(plan: JoinPlan, scan_plans: Sequence[TableScanPlan]) -> int:
    """About how many bytes are read and made when a plan is run.

    Rows are made as many as the spine has, as wide as those of each group. Where duplicates go, all
    rows are moved once more.
    """
    spine_scan = scan_plans[0].scan
    spine_rows = spine_scan.row_count if spine_scan else 0
    total_bytes = 0
    for node, scan_plan in zip(plan.nodes, scan_plans, strict=True):
        read_bytes = scan_plan.bytes or 0
        total_bytes += read_bytes * (2 if scan_plan.drops_duplicates else 1)
        if node.windows:
            features = plan.narrow_windows(node, node.windows).schema
            total_bytes += spine_rows * _DEFAULT_WIDTH * len(features)
        elif scan_plan.scan and scan_plan.scan.row_count:
            total_bytes += spine_rows * read_bytes // scan_plan.scan.row_count
    return total_bytes


def _build_scan(
    plan: JoinPlan, node: PlanNode, files: Sequence[DataFile], event_time_bounds: TimeBounds
) -> Scan:
    group = node.group
    types = dict(group.types)
    columns = {get_node_alias(node, column): column for column in plan.list_columns(node)}
    not_null: tuple[str, ...] = ()
    splits = []
    if node.match == "spine":
        event_time_bounds = UNBOUNDED
        for name, interval in plan.splits.items():
            splits.append((name, _to_bounds(interval)))
    else:
        not_null = node.matched_columns
        if node.may_tie or plan.as_known:
            columns[get_ingested_alias(node)] = INGESTED_AT
            types[INGESTED_AT] = "timestamp"
    read_columns = _list_read_columns(node, [*columns.values(), *not_null])
    read_types = {column: types[column] for column in read_columns}
    return Scan(
        parquet.to_scan_files(files),
        tuple(columns.items()),
        arrow_types.to_arrow_schema(read_types),
        tuple(types.items()),
        node.where,
        not_null,
        node.event_time,
        event_time_bounds,
        tuple(splits),
        SPLIT_COLUMN,
    )


def _list_read_columns(node: PlanNode, columns: Sequence[str]) -> list[str]:
    """These columns once each, and those that the node's condition and its event time need."""
    read_columns = dict.fromkeys(columns)
    if node.where:
        for comparison in iter_comparisons(node.where):
            read_columns[comparison.column] = None
    if node.event_time:
        read_columns[node.event_time] = None
    return list(read_columns)
