"""One pass over rows for the states of all their columns: tasks fold some columns of some rows, and what belongs together is merged.

A wide table is cut into groups of columns first, so that a task has all rows of its columns and there is nothing to merge; a long one into
shares of its files too, whose states one more step merges on the executors. Files are read with Arrow, as ``scan`` does; of a
DataFrame each task folds every column of its rows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.engine import scan
from spark_fs.engine.columnar import Stream, Tables
from spark_fs.engine.scan import Scan
from spark_fs.spec.query import comparisons
from spark_fs.spec.statistics import FeatureStatistics, StatisticsConfig
from spark_fs.stats.column import Column
from spark_fs.stats.describe import described
from spark_fs.stats.packed import from_bytes, packed, to_bytes, unpacked

SMALL = 32 << 20  # bytes of files that this process looks at itself, which takes less than a task of Spark's
GROUP = 64  # columns of a task
_SHARE = 256 << 20  # bytes of files for a task, where there are more tasks than cores anyway
_ROWS, _BYTES = 1 << 18, 256 << 20  # that are folded together, unless one table is more
_STATES = pa.schema([("place", pa.int32()), ("states", pa.binary()), ("facts", pa.binary())])
_STATES_SPARK = "place int, states binary, facts binary"
PLACED_SPARK = "place int, data binary"
States = dict[str, Column]
Units = tuple[tuple[int, tuple[tuple[int, int, int], ...]], ...]  # of each task the number of its group, and its shares
T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    """The states of columns, in their order, and what is said of each."""

    columns: States
    facts: dict[str, FeatureStatistics]


def fold(tables: Iterable[pa.Table], types: Mapping[str, str]) -> States:
    """The states of the columns of all tables together."""
    found: States = {}
    for table in large(tables, _ROWS):
        more = {name: Column.of(table.column(name), type_) for name, type_ in types.items()}
        found = merged(found, more)
    return found or {name: Column(type_) for name, type_ in types.items()}


def merged(left: States, right: States) -> States:
    """The states of both parts together."""
    return {name: left[name].merge(column) if name in left else column for name, column in right.items()} if left else right


def stated(columns: States, config: StatisticsConfig) -> Profile:
    """States with what is said of them."""
    return Profile(columns, {name: described(name, column, config) for name, column in columns.items()})


def large(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Small tables put together, so that each has about so many rows."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        waiting.append(table)
        size += table.nbytes
        if sum(each.num_rows for each in waiting) >= rows or size >= _BYTES:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


# -- files


def here(each: Scan, types: Mapping[str, str]) -> States:
    """The states of a scan's columns, made in this process."""
    return fold(scan.tables(each), types)


def of_scan(spark: SparkSession, each: Scan, types: Mapping[str, str], config: StatisticsConfig) -> DataFrame:
    """The states of a scan's columns*, with what is said of them; ``gathered`` reads them."""
    names, units, cuts = cut(each, list(types), spark.sparkContext.defaultParallelism)
    groups = [{name: types[name] for name in group} for group in names]
    source = spark.range(0, len(units), 1, len(units)).toDF("unit")
    folded = source.mapInArrow(_Folded(each, tuple(groups), units, config if cuts == 1 else None), _STATES_SPARK)
    return _merged(folded, len(groups), config) if cuts > 1 else folded


def of_stream(stream: Stream, types: Mapping[str, str], config: StatisticsConfig) -> DataFrame:
    """The states of the columns of any rows*, as ``of_scan`` gives them."""
    folded = stream.source.mapInArrow(_Streamed(stream.tables, dict(types)), _STATES_SPARK)
    return _merged(folded, -(-len(types) // GROUP), config)


def cut(each: Scan, names: Sequence[T], cores: int) -> tuple[list[Sequence[T]], Units, int]:
    """The names, or what stands for columns, in groups; the tasks, each of a group and of shares of the files; how many each group has."""
    groups = grouped(names, max(GROUP, -(-len(names) // (2 * cores))))
    count = max(1, len(groups))
    shares, size = each.shares(count), sum(file.bytes for file in each.files)
    cuts = max(1, min(len(shares), max(2 * cores // count, size // count // _SHARE)))
    return groups, tuple((group, tuple(shares[part::cuts])) for group in range(len(groups)) for part in range(cuts)), cuts


def placed(place: int, data: bytes) -> pa.RecordBatch:
    """One row that a task hands over: a number and what belongs there."""
    return pa.record_batch({"place": pa.array([place], pa.int32()), "data": pa.array([data], pa.binary())})


def grouped(names: Sequence[T], size: int) -> list[Sequence[T]]:
    """The names, or what stands for columns, in groups of a size."""
    return [names[at : at + size] for at in range(0, len(names), size)]


def _merged(folded: DataFrame, groups: int, config: StatisticsConfig) -> DataFrame:
    return folded.repartitionById(groups, "place").mapInArrow(_Merged(config), _STATES_SPARK)


def gathered(states: pa.Table, types: Mapping[str, str], config: StatisticsConfig) -> Profile:
    """The profile that rows of ``of_scan`` or ``of_stream`` hold."""
    columns: States = {}
    facts: dict[str, FeatureStatistics] = {}
    for row in states.sort_by("place").to_pylist():
        columns |= unpacked(from_bytes(row["states"]))
        facts |= {each["feature_name"]: FeatureStatistics.from_json(each) for each in json.loads(row["facts"])}
    missing = stated({name: Column(type_) for name, type_ in types.items() if name not in columns}, config)
    columns, facts = columns | missing.columns, facts | missing.facts
    return Profile({name: columns[name] for name in types}, {name: facts[name] for name in types})


@dataclass(frozen=True)
class _Folded:
    """Numbers of units in, the states of their columns out; config: what is said of them at once, where they are whole."""

    scan: Scan
    groups: tuple[Mapping[str, str], ...]
    units: Units
    config: StatisticsConfig | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                place, shares = self.units[number]
                narrow = narrowed(self.scan, list(self.groups[place]))
                yield _batch(place, fold((scan.read(narrow, *share) for share in shares), self.groups[place]), self.config)


@dataclass(frozen=True)
class _Streamed:
    """Rows in, the states of all columns out, by groups."""

    tables: Tables
    types: Mapping[str, str]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        states = fold(self.tables(batches), self.types)
        for place, group in enumerate(grouped(list(states), GROUP)):
            yield _batch(place, {name: states[name] for name in group}, None)


@dataclass(frozen=True)
class _Merged:
    """States of parts in, those of the whole out, with what is said of them."""

    config: StatisticsConfig

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: dict[int, list[States]] = {}
        for batch in batches:
            for place, states in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
                found.setdefault(place, []).append(unpacked(from_bytes(states.as_buffer())))
        for place, parts in found.items():
            yield _batch(place, reduce(merged, parts), self.config)


def narrowed(each: Scan, names: Sequence[str]) -> Scan:
    """The scan with these columns only."""
    columns = tuple((name, column) for name, column in each.columns if name in set(names))
    asked = {column for _, column in columns} | set(each.known) | ({each.time} if each.time else set())
    asked |= {c.column for c in comparisons(each.where)} if each.where else set()
    return replace(each, columns=columns, stored=pa.schema([field for field in each.stored if field.name in asked]))


def _batch(place: int, states: States, config: StatisticsConfig | None) -> pa.RecordBatch:
    facts = [each.to_json() for each in stated(states, config).facts.values()] if config else []
    held = (pa.array([each], pa.binary()) for each in (to_bytes(packed(states)), json.dumps(facts).encode()))
    return pa.record_batch([pa.array([place], pa.int32()), *held], schema=_STATES)
