"""Choose how a plan is run, from what the tables' logs say, and build it so.

There are three ways, and they give the same rows: ``columnar``, the shuffle of Arrow tables; ``broadcast``, the same without a
shuffle, where each task reads the right sides itself; and ``sql``, plain Spark SQL, the reference. A choice costs no Spark action.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from spark_fs.engine import compile as sql
from spark_fs.engine import scan
from spark_fs.engine.columnar import Pass, Rule, Stream
from spark_fs.engine.scan import Bounds, Scan
from spark_fs.engine.shuffle import is_key
from spark_fs.errors import SettingsError
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.offline.history import FileFacts
from spark_fs.plan import SPLIT, JoinPlan, Node, NodeColumn
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.query import comparisons
from spark_fs.times import to_utc
from spark_fs.types import to_micros

Way = Literal["columnar", "broadcast", "sql"]
SMALL = 32 << 20  # bytes of right sides that each task reads itself
BUCKET = 64 << 20  # bytes of all sides in one bucket
_WIDTH = 24  # bytes of a value whose type does not tell
_WIDTHS = {"boolean": 1, "tinyint": 1, "smallint": 2, "int": 4, "float": 4, "date": 4, "bigint": 8, "double": 8, "timestamp": 8}


@dataclass(frozen=True)
class Source:
    """Where a node's rows come from: a DataFrame*, and the files that hold the same rows, where files do."""

    frame: Callable[[], DataFrame]
    files: Sequence[FileFacts] | None = None


@dataclass(frozen=True)
class Read:
    """How a node is read: the files left after pruning, of how many; None: through Spark. bytes: of the columns that travel, about."""

    scan: Scan | None
    files: int
    bytes: int
    within: Bounds = (None, None)


@dataclass(frozen=True)
class Step:
    """One pass over the groups that share a key, how, and why so."""

    nodes: tuple[Node, ...]
    way: Way
    why: str


@dataclass(frozen=True)
class Choice:
    """How a plan is run. buckets: of each shuffle."""

    reads: tuple[Read, ...]
    steps: tuple[Step, ...]
    buckets: int

    @property
    def by_sql(self) -> bool:
        """Whether plain Spark SQL runs the whole of it."""
        return any(step.way == "sql" for step in self.steps)


def choose(spark: SparkSession, plan: JoinPlan, sources: Sequence[Source], asked: str | None = None) -> Choice:
    """The strategy of a plan; SettingsError when the one that was asked for is unknown or cannot run it."""
    if asked is not None and asked not in get_args(Way):
        raise SettingsError(f"strategy {asked!r} is not known: use {', '.join(map(repr, get_args(Way)))}, or leave it out.")
    reads = _reads(spark, plan, sources)
    steps = tuple(_step(plan, nodes, reads, asked) for nodes in plan.passes)
    total = sum(read.bytes for read in reads)
    buckets = max(-(-total // BUCKET), 2 * spark.sparkContext.defaultParallelism)
    return Choice(reads, steps, min(buckets, 1 << 15))


def compiled(spark: SparkSession, plan: JoinPlan, sources: Sequence[Source], choice: Choice) -> DataFrame:
    """The result* of a plan, run as was chosen."""
    if choice.by_sql or not choice.steps:
        return sql.by_sql(plan, lambda node: sources[node.index].frame(), lambda node: choice.reads[node.index].within)
    return sql.finished(plan, stream(spark, plan, sources, choice).frame(_typed(plan, _needed(plan, len(choice.steps)))))


def stream(spark: SparkSession, plan: JoinPlan, sources: Sequence[Source], choice: Choice) -> Stream:
    """The joined rows of a plan* by the columnar ways, before the conditions on the whole, as they travel."""
    found = _stream(spark, plan, plan.nodes[0], sources, choice)
    for number, step in enumerate(choice.steps, 1):
        one = _pass(plan, step.nodes, number)
        schema = arrow_schema(_typed(plan, _needed(plan, number)))
        if step.way == "broadcast":
            scans = {node.index: choice.reads[node.index].scan for node in step.nodes}
            found = found.beside(one, {place: each for place, each in scans.items() if each}, schema)
        else:
            rights = {node.index: _stream(spark, plan, node, sources, choice) for node in step.nodes}
            found = found.gathered(one, rights, choice.buckets, schema)
    return found


def arrow_schema(types: Mapping[str, str]) -> pa.Schema:
    """The Arrow types in which Spark takes columns of these feature types."""
    fields = StructType.fromDDL(", ".join(f"`{name}` {type_}" for name, type_ in types.items()))
    return to_arrow_schema(fields, timezone="UTC")


# -- what is read


def _reads(spark: SparkSession, plan: JoinPlan, sources: Sequence[Source]) -> tuple[Read, ...]:
    spine = _read(plan, plan.nodes[0], sources[0], _whole(plan))
    reach = _reach(plan, spine)
    found = [spine]
    for node, source in zip(plan.nodes[1:], sources[1:], strict=True):
        start, end = reach
        ttl = node.group.ttl_seconds
        oldest = None if start is None or ttl is None else start - ttl * 1_000_000
        found.append(_read(plan, node, source, (oldest, end) if node.match == "point_in_time" else (None, None)))
    return tuple(found)


def _whole(plan: JoinPlan) -> Bounds:
    """From the start of the first split to the end of the last."""
    starts = [None if i.start is None else to_micros(i.start) for i in plan.splits.values()]
    ends = [None if i.end is None else to_micros(i.end) for i in plan.splits.values()]
    return _least(starts), _greatest(ends)


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
        return Read(None, 0, _estimated(source.frame()), within)
    kept = [file for file in files if _may_hold(file, group, within)]
    rows = sum(file.rows or 0 for file in kept)
    size = rows * sum(_WIDTHS.get(group.type_of(c), _WIDTH) for c in plan.columns_of(node))
    if node.match == "spine":
        spans = [_span(file, group) for file in kept]
        within = _least(s for s, _ in spans), _greatest(e for _, e in spans)
    dedupes = group.vouched and (node.match == "spine" or node.where is not None)  # which needs every row of an identity
    if dedupes or not scan.scannable(kept, group.types, group.partition_key, node.where):
        return Read(None, len(files), size, within)
    return Read(_scan(plan, node, kept, within), len(files), size, within)


def _estimated(frame: DataFrame) -> int:
    statistics: Any = frame._jdf.queryExecution().optimizedPlan().stats()
    return int(str(statistics.sizeInBytes()))


def _may_hold(file: FileFacts, group: GroupSpec, within: Bounds) -> bool:
    (start, end), (first, behind) = within, _span(file, group)
    return not ((start is not None and behind is not None and behind <= start) or (end is not None and first is not None and first >= end))


def _span(file: FileFacts, group: GroupSpec) -> Bounds:
    """The event times of a file, from the first up to and without the second, in microseconds; None: the log does not say."""
    time = group.event_time
    if time is None or time in file.partition or time not in file.least or time not in file.greatest:
        return None, None
    type_ = group.type_of(time)
    return _instant(file.least[time], type_), _instant(file.greatest[time], type_) + (1_000 if type_ == "timestamp" else 1)


def _instant(written: Any, type_: str) -> int:
    """An event time as the log writes it, in microseconds; of timestamps it has whole milliseconds, rounded down."""
    if type_ == "timestamp":
        return to_micros(to_utc(datetime.fromisoformat(written)))
    if type_ == "date":
        return to_micros(to_utc(date.fromisoformat(written)))
    return int(written) * (1_000_000 if abs(int(written)) < scan.MILLISECONDS_FROM else 1_000)


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
    splits = {name: tuple(None if t is None else to_micros(t) for t in (i.start, i.end)) for name, i in plan.splits.items()} if spine else {}
    return Scan(
        scan.listed(files), tuple(columns.items()), arrow_schema({c: stored[c] for c in asks}), tuple(stored.items()), node.where, known,
        group.event_time, (None, None) if spine else within, tuple(splits.items()), SPLIT,  # type: ignore[arg-type] # each is a pair
    )


# -- the passes


def _step(plan: JoinPlan, nodes: tuple[Node, ...], reads: Sequence[Read], asked: str | None) -> Step:
    impossible = _impossible(plan, nodes)
    if asked == "sql" or impossible:
        if asked not in (None, "sql"):
            raise SettingsError(f"strategy {asked!r} cannot run this query: {impossible}. Leave strategy out, or say 'sql'.")
        return Step(nodes, "sql", impossible or "it was asked for")
    scans = all(reads[node.index].scan for node in nodes)
    size = sum(reads[node.index].bytes for node in nodes)
    if asked == "broadcast" and not scans:
        raise SettingsError("strategy 'broadcast' needs right sides that lie in files of their own: leave strategy out, or say 'columnar'.")
    if asked == "broadcast" or (asked is None and scans and size <= SMALL):
        return Step(nodes, "broadcast", "it was asked for" if asked else f"the right sides are small, {_megabytes(size)}")
    return Step(nodes, "columnar", "it was asked for" if asked else f"the right sides are large, {_megabytes(size)}")


def _megabytes(size: int) -> str:
    return f"about {max(1, size >> 20):,} MB"


def _impossible(plan: JoinPlan, nodes: tuple[Node, ...]) -> str | None:
    for node in nodes:
        for column in node.right_keys:
            if not is_key(node.group.type_of(column)):
                return f"key {column!r} of {node.group} is {node.group.type_of(column)}, which only Spark compares"
    return None


def _pass(plan: JoinPlan, nodes: tuple[Node, ...], number: int) -> Pass:
    needed = _needed(plan, number)
    keys = tuple((sql.name(key), plan.nodes[key.node].group.type_of(key.column)) for key in nodes[0].left_keys)
    return Pass(keys, _timed(plan.nodes[0]), tuple(_rule(plan, node, needed) for node in nodes), tuple(n for n in needed if not _of(n, nodes)))


def _of(name: str, nodes: tuple[Node, ...]) -> bool:
    return any(name.startswith(f"n{node.index}_") for node in nodes)


def _timed(node: Node) -> tuple[str, str] | None:
    time = node.group.event_time
    return (sql.name(NodeColumn(node.index, time)), node.group.type_of(time)) if time else None


def _rule(plan: JoinPlan, node: Node, needed: Sequence[str]) -> Rule:
    keys = tuple((sql.name(NodeColumn(node.index, c)), node.group.type_of(c)) for c in node.right_keys)
    ties = (sql.ingested(node), *(sql.name(NodeColumn(node.index, c)) for c in node.ties)) if node.may_tie else ()
    known = (sql.ingested(node), "timestamp") if plan.as_known else None
    ttl = None if node.group.ttl_seconds is None else node.group.ttl_seconds * 1_000_000
    carried = tuple(n for n in needed if _of(n, (node,)))
    return Rule(node.index, keys, _timed(node), ties, known, ttl, node.join_type == "inner", carried)


def _needed(plan: JoinPlan, number: int) -> tuple[str, ...]:
    """What travels on after so many passes: what the result needs, and the keys and time of the passes to come."""
    later = {key for nodes in plan.passes[number:] for node in nodes for key in node.left_keys}
    if plan.passes[number:] and plan.spine.event_time:
        later.add(NodeColumn(0, plan.spine.event_time))
    joined = {0, *(node.index for nodes in plan.passes[:number] for node in nodes)}
    places = sorted((place for place in plan.used | later if place.node in joined), key=lambda p: (p.node, p.column))
    return (*map(sql.name, places), *([SPLIT] if plan.splits else []))


def _typed(plan: JoinPlan, names: Sequence[str]) -> dict[str, str]:
    types = {sql.name(NodeColumn(n.index, c)): t for n in plan.nodes for c, t in n.group.types.items()}
    types |= {sql.ingested(node): "timestamp" for node in plan.nodes} | {SPLIT: "string"}
    return {name: types[name] for name in names}


def _stream(spark: SparkSession, plan: JoinPlan, node: Node, sources: Sequence[Source], choice: Choice) -> Stream:
    read = choice.reads[node.index]
    if read.scan:
        return Stream.scanned(spark, read.scan)
    frame = sql.rows(plan, node, sources[node.index].frame())
    names = [c for c in frame.columns if c != sql.time(node.index)]
    if node.match != "spine":
        known = [sql.name(NodeColumn(node.index, c)) for c in (*node.right_keys, *([node.group.event_time] if node.group.event_time else []))]
        frame = frame.dropna(subset=known)
    return Stream.of(frame.select(*names), arrow_schema(_typed(plan, names)))

