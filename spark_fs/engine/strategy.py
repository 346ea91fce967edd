"""Choose how a plan is run, from what the tables' logs say, and build it so.

There are three ways, and they give the same rows: ``columnar``, the shuffle of Arrow tables; ``broadcast``, the same without a
shuffle, where each task reads the right sides itself; and ``sql``, plain Spark SQL, the reference. A choice costs no Spark action.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs import arrow
from spark_fs.engine import compile as sql
from spark_fs.engine import hot, scan
from spark_fs.engine.columnar import Finish, Only, Stream
from spark_fs.engine.hot import Hot, Sampled
from spark_fs.engine.passes import Pass, Rule, Typed, keys_of, micros
from spark_fs.engine.reads import Read, Source, planned
from spark_fs.engine.scan import maskable
from spark_fs.engine.shuffle import hashes_of, kind
from spark_fs.errors import SettingsError
from spark_fs.plan import SPLIT, JoinPlan, Node, NodeColumn
from spark_fs.spec.query import Comparison, Condition, comparisons

Way = Literal["columnar", "broadcast", "sql"]
SMALL = 32 << 20  # bytes of right sides that each task reads itself
BUCKET = 64 << 20  # bytes of all sides in one bucket
SAMPLED_FROM = 4 * BUCKET  # bytes of all sides, from which on some rows are looked at for keys that hold too many
UNKNOWN = 1 << 30  # bytes of a side of which nobody knows
MATCHED = 0.5  # of the joined rows have a key of the spine, at most, for it to pay to look for it in each
SAMPLED_FILES = 4  # of each side


@dataclass(frozen=True)
class Step:
    """One pass over the groups that share a key, how, and why so."""

    nodes: tuple[Node, ...]
    way: Way
    why: str


@dataclass(frozen=True)
class Choice:
    """How a plan is run."""

    reads: tuple[Read, ...]
    steps: tuple[Step, ...]

    @property
    def by_sql(self) -> bool:
        """Whether plain Spark SQL runs the whole of it."""
        return any(step.way == "sql" for step in self.steps)


def choose(plan: JoinPlan, sources: Sequence[Source], asked: str | None = None) -> Choice:
    """The strategy of a plan; SettingsError when the one that was asked for is unknown or cannot run it."""
    if asked is not None and asked not in get_args(Way):
        raise SettingsError(f"strategy {asked!r} is not known: use {', '.join(map(repr, get_args(Way)))}, or leave it out.")
    reads = planned(plan, sources)
    return Choice(reads, tuple(_step(plan, nodes, reads, asked) for nodes in plan.passes))


def _buckets(spark: SparkSession, sources: Sequence[Source], choice: Choice) -> int:
    """How many buckets of keys a shuffle has: of bounded size, and enough for every core."""
    known = [_estimated(source.frame()) if read.bytes is None else read.bytes for source, read in zip(sources, choice.reads, strict=True)]
    cores = spark.sparkContext.defaultParallelism
    rounds = max(-(-sum(known) // (BUCKET * cores)), 2)
    return min(rounds * cores, 1 << 15)


def _looked(one: Pass, choice: Choice, buckets: int) -> tuple[Hot, Only | None]:
    """By a look at some of many rows: the keys that need buckets of their own, and those of the spine where few rows have them."""
    if sum(read.bytes or 0 for read in choice.reads) < SAMPLED_FROM:
        return Hot(buckets), None
    rights = [_sampled(choice.reads[rule.place], rule.keys, rule.time) for rule in one.rules]
    spine, left = choice.reads[0], None
    only = None
    if all(name.startswith("n0_") for name, _ in one.keys):  # else the left side's keys come of what was joined before
        left = _sampled(spine, one.keys, one.time)
        if left and spine.scan and (spine.bytes or 0) <= SMALL:
            only = Only(spine.scan, one.keys)
            seen = np.concatenate([only.has(side.hashes) for side in rights if side] or [np.ones(1, bool)])
            only = only if seen.mean() < MATCHED else None
    return hot.found(filter(None, [left, *rights]), buckets, BUCKET), only


def _sampled(read: Read, keys: tuple[Typed, ...], time: Typed | None) -> Sampled | None:
    """Some rows of one side; None for one that no worker reads."""
    if read.scan is None or not read.scan.rows or not read.bytes:
        return None
    table = scan.sampled(read.scan, [name for name, _ in (*keys, *([time] if time else []))], SAMPLED_FILES)
    if not table.num_rows:
        return None
    hashes = hashes_of(keys_of(table, keys))
    return Sampled(hashes, micros(table, time) if time else None, read.bytes / table.num_rows)


def _estimated(frame: DataFrame) -> int:
    """The bytes of a frame as Spark puts them; where it has no idea, as of a database's query, it says the greatest number there is."""
    statistics: Any = frame._jdf.queryExecution().optimizedPlan().stats()
    size = int(str(statistics.sizeInBytes()))
    return size if size < 1 << 50 else UNKNOWN


def compiled(spark: SparkSession, plan: JoinPlan, sources: Sequence[Source], choice: Choice, folder: str | None = None) -> DataFrame:
    """The result* of a plan, run as was chosen; ``folder``, where there is one, is kept until the result was read."""
    if choice.by_sql or not choice.steps:
        return sql.by_sql(plan, lambda node: sources[node.index].frame(), lambda node: choice.reads[node.index].within)
    return sql.finished(plan, _joined(spark, plan, sources, choice, folder).frame(_typed(plan, _needed(plan, len(choice.steps)))))


def streamed(
    spark: SparkSession, plan: JoinPlan, sources: Sequence[Source], choice: Choice, folder: str | None = None
) -> tuple[Stream, Callable[[pa.Table], pa.Table]]:
    """The joined rows of a plan as tables* of the workers, and the function that makes the result of each table."""
    finish = None if choice.by_sql else _finish(plan)
    if finish is not None:
        return _joined(spark, plan, sources, choice, folder), finish
    split = {SPLIT: "string"} if plan.splits else {}
    return Stream.of(compiled(spark, plan, sources, choice, folder), arrow.schema_of(plan.schema | split)), _as_it_is


def _as_it_is(table: pa.Table) -> pa.Table:
    return table


def _finish(plan: JoinPlan) -> Finish | None:
    """The last step of a plan for the workers; None where only Spark can compare."""

    def travelling(condition: Condition) -> Condition:
        if isinstance(condition, Comparison):
            return replace(condition, column=sql.name(plan.locate(condition)))
        return replace(condition, parts=tuple(map(travelling, condition.parts)))

    conditions = tuple(map(travelling, plan.having))
    types = _typed(plan, [c.column for condition in conditions for c in comparisons(condition)])
    if not all(maskable(condition, types) for condition in conditions):
        return None
    names = [(output.name, sql.name(output.source)) for output in plan.outputs] + ([(SPLIT, SPLIT)] if plan.splits else [])
    return Finish(tuple(names), conditions, tuple(types.items()))


def _joined(spark: SparkSession, plan: JoinPlan, sources: Sequence[Source], choice: Choice, folder: str | None) -> Stream:
    """The joined rows of a plan* by the columnar ways, before the conditions on the whole, as they travel."""
    found = _stream(spark, plan, plan.nodes[0], sources, choice)
    for number, step in enumerate(choice.steps, 1):
        one = _pass(plan, step.nodes, number)
        schema = arrow.schema_of(_typed(plan, _needed(plan, number)))
        if step.way == "broadcast":
            scans = {node.index: choice.reads[node.index].scan for node in step.nodes}
            found = found.beside(one, {place: each for place, each in scans.items() if each}, schema)
        else:
            rights = {node.index: _stream(spark, plan, node, sources, choice) for node in step.nodes}
            hot_keys, only = _looked(one, choice, _buckets(spark, sources, choice))
            found = found.gathered(one, rights, hot_keys, schema, folder, only)
    return found


# -- the passes


def _step(plan: JoinPlan, nodes: tuple[Node, ...], reads: Sequence[Read], asked: str | None) -> Step:
    impossible = _impossible(plan, nodes)
    if asked == "sql" or impossible:
        if asked not in (None, "sql"):
            raise SettingsError(f"strategy {asked!r} cannot run this query: {impossible}. Leave strategy out, or say 'sql'.")
        return Step(nodes, "sql", impossible or "it was asked for")
    scans = all(reads[node.index].scan for node in nodes)
    sizes = [reads[node.index].bytes for node in nodes]
    size = None if None in sizes else sum(filter(None, sizes))
    if asked == "broadcast" and not scans:
        raise SettingsError("strategy 'broadcast' needs right sides that lie in files of their own: leave strategy out, or say 'columnar'.")
    if asked == "broadcast" or (asked is None and scans and size is not None and size <= SMALL):
        return Step(nodes, "broadcast", "it was asked for" if asked else f"the joined rows are few, {_megabytes(size)}")
    if asked:
        return Step(nodes, "columnar", "it was asked for")
    many = f"the joined rows are many, {_megabytes(size)}"
    return Step(nodes, "columnar", many if scans else "the workers cannot read all of the joined groups themselves")


def _megabytes(size: int | None) -> str:
    return "of unknown size" if size is None else f"about {size >> 20:,} MB" if size >> 20 else "less than 1 MB"


def _impossible(plan: JoinPlan, nodes: tuple[Node, ...]) -> str | None:
    for node in nodes:
        for left, right in zip(node.left_keys, node.right_keys, strict=True):
            types = plan.nodes[left.node].group.type_of(left.column), node.group.type_of(right)
            if kind(types[0]) is None or kind(types[0]) != kind(types[1]):
                return f"key {right!r} of {node.group} is {types[1]} and is compared with {types[0]}, which only Spark does"
    return None


def _pass(plan: JoinPlan, nodes: tuple[Node, ...], number: int) -> Pass:
    needed = _needed(plan, number)
    keys = tuple((sql.name(key), plan.nodes[key.node].group.type_of(key.column)) for key in nodes[0].left_keys)
    kept = tuple(n for n in needed if not _of(n, nodes))
    return Pass(keys, _timed(plan.nodes[0]), tuple(_rule(plan, node, needed) for node in nodes), kept)


def _of(name: str, nodes: tuple[Node, ...]) -> bool:
    return any(name.startswith(f"n{node.index}_") for node in nodes)


def _timed(node: Node) -> tuple[str, str] | None:
    time = node.group.event_time
    return (sql.name(NodeColumn(node.index, time)), node.group.type_of(time)) if time else None


def _rule(plan: JoinPlan, node: Node, needed: Sequence[str]) -> Rule:
    keys = tuple((sql.name(NodeColumn(node.index, c)), node.group.type_of(c)) for c in node.right_keys)
    ties = (sql.ingested(node), *(sql.name(NodeColumn(node.index, c)) for c in node.ties)) if node.may_tie else ()
    known = (sql.ingested(node), "timestamp") if plan.as_known else None
    carried = tuple(n for n in needed if _of(n, (node,)))
    return Rule(node.index, keys, _timed(node), ties, known, node.group.ttl, node.join_type == "inner", carried)


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
        times = [node.group.event_time] if node.group.event_time else []
        frame = frame.dropna(subset=[sql.name(NodeColumn(node.index, c)) for c in (*node.right_keys, *times)])
    return Stream.of(frame.select(*names), arrow.schema_of(_typed(plan, names)))

