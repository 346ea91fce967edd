"""What is read of each group of a plan, from what its table's log says: which files, of how many, between which event times."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pyspark.sql import DataFrame

from spark_fs import arrow
from spark_fs.engine import compile as sql
from spark_fs.engine import scan
from spark_fs.engine.scan import Bounds, Scan
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.offline.history import FileFacts
from spark_fs.plan import SPLIT, JoinPlan, Node, NodeColumn
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import comparisons
from spark_fs.times import to_utc
from spark_fs.types import MILLISECONDS_FROM, to_micros

_WIDTH = 24  # bytes of a value whose type does not tell
_WIDTHS = {"boolean": 1, "tinyint": 1, "smallint": 2, "int": 4, "float": 4, "date": 4, "bigint": 8, "double": 8, "timestamp": 8}


@dataclass(frozen=True)
class Source:
    """Where a node's rows come from: a DataFrame*, and the files that hold the same rows, where files do."""

    frame: Callable[[], DataFrame]
    files: Sequence[FileFacts] | None = None


@dataclass(frozen=True)
class Read:
    """How a node is read.

    scan: by the workers, from files; None: through Spark. kept: how many files are left after pruning, of how many. bytes: about how much
    travels; None: nobody knows. within: between which event times its rows lie, of a spine, or are looked for.
    """

    scan: Scan | None
    kept: int
    files: int
    bytes: int | None
    within: Bounds = (None, None)


def planned(plan: JoinPlan, sources: Sequence[Source]) -> tuple[Read, ...]:
    """How each node of a plan is read; it takes no Spark action."""
    spine = _read(plan, plan.nodes[0], sources[0], _whole(plan))
    reach = _reach(plan, spine)
    found = [spine]
    for node, source in zip(plan.nodes[1:], sources[1:], strict=True):
        start, end = reach
        ttl = node.group.ttl
        oldest = None if start is None or ttl is None else start - ttl
        found.append(_read(plan, node, source, (oldest, end) if node.match == "point_in_time" else (None, None)))
    return tuple(found)


def _whole(plan: JoinPlan) -> Bounds:
    """From the start of the first split to the end of the last."""
    return _least(_micros(i.start) for i in plan.splits.values()), _greatest(_micros(i.end) for i in plan.splits.values())


def _micros(when: datetime | None) -> int | None:
    return None if when is None else to_micros(when)


def _least(bounds: Iterable[int | None]) -> int | None:
    found = list(bounds)
    return None if None in found or not found else min(found)  # type: ignore[type-var] # no None is left


def _greatest(bounds: Iterable[int | None]) -> int | None:
    found = list(bounds)
    return None if None in found or not found else max(found)  # type: ignore[type-var] # no None is left


def _reach(plan: JoinPlan, spine: Read) -> Bounds:
    """Between which instants the spine's event times lie: by the splits, or by what the log says of its files."""
    start, end = _whole(plan)
    return (spine.within[0] if start is None else start), (spine.within[1] if end is None else end)


def _read(plan: JoinPlan, node: Node, source: Source, within: Bounds) -> Read:
    group = node.group
    files = source.files
    if files is None:
        return Read(None, 0, 0, None, within)
    kept = [file for file in files if may_hold(file, group, within)]
    if node.where is not None:
        kept = [file for file in kept if scan.may_meet(file, node.where, group.types)]
    rows = sum(file.rows or 0 for file in kept)
    columns = plan.columns_of(node)
    stored = sum(file.bytes for file in kept) * len(columns) // len(group.types)
    size = max(stored, rows * sum(_WIDTHS.get(group.type_of(c), _WIDTH) for c in columns))
    if node.match == "spine":
        spans = [_span(file, group) for file in kept]
        within = _least(s for s, _ in spans), _greatest(e for _, e in spans)
    dedupes = group.vouched and (node.match == "spine" or node.where is not None)  # which needs every row of an identity
    if dedupes or not scan.scannable(kept, group.types, group.partition_key, node.where):
        return Read(None, len(kept), len(files), size, within)
    return Read(_scan(plan, node, kept, within), len(kept), len(files), size, within)


def may_hold(file: FileFacts, group: GroupSpec, within: Bounds) -> bool:
    """Whether a file may have an event time within these bounds, by what the log says of it."""
    (start, end), (first, behind) = within, _span(file, group)
    return not ((start is not None and behind is not None and behind <= start) or (end is not None and first is not None and first >= end))


def _span(file: FileFacts, group: GroupSpec) -> Bounds:
    """The event times of a file, from the first up to and without the second, in microseconds; None: the log does not say."""
    time = group.event_time
    if time is None:
        return None, None
    type_ = group.type_of(time)
    if time in file.partition:
        least = greatest = file.partition[time] if type_ != "timestamp" else None
    else:
        least, greatest = file.least.get(time), file.greatest.get(time)
    if least is None or greatest is None:
        return None, None
    if type_ in ("int", "bigint") and abs(int(least)) < MILLISECONDS_FROM <= abs(int(greatest)):  # seconds and milliseconds
        return None, None
    return _instant(least, type_), _instant(greatest, type_) + (1_000 if type_ == "timestamp" else 1)


def _instant(written: Any, type_: str) -> int:
    """An event time as the log writes it, in microseconds; of timestamps it has whole milliseconds, rounded down."""
    if type_ == "timestamp":
        return to_micros(to_utc(datetime.fromisoformat(written)))
    if type_ == "date":
        return to_micros(to_utc(date.fromisoformat(written)))
    return int(written) * (1_000_000 if abs(int(written)) < MILLISECONDS_FROM else 1_000)


def _scan(plan: JoinPlan, node: Node, files: Sequence[FileFacts], within: Bounds) -> Scan:
    group, spine = node.group, node.match == "spine"
    columns = {sql.name(NodeColumn(node.index, c)): c for c in plan.columns_of(node)}
    stored = group.types
    if not spine and (node.may_tie or plan.as_known):
        columns[sql.ingested(node)] = INGESTED_AT
        stored = {**stored, INGESTED_AT: "timestamp"}
    times = [group.event_time] if group.event_time else []
    conditions = [c.column for c in comparisons(node.where)] if node.where else []
    known = () if spine else (*node.right_keys, *times)
    asks = dict.fromkeys([*columns.values(), *conditions, *known, *times])
    splits = [(name, (_micros(i.start), _micros(i.end))) for name, i in plan.splits.items()] if spine else []
    return Scan(
        scan.listed(files), tuple(columns.items()), arrow.schema_of({c: stored[c] for c in asks}), tuple(stored.items()), node.where, known,
        group.event_time, (None, None) if spine else within, tuple(splits), SPLIT,
    )
