"""One pass over rows for the states of all their columns: tasks fold some columns of some rows, and what belongs together is merged.

A wide table is cut into groups of columns first, so that a task has all rows of its columns and
there is nothing to merge; a long one into shares of its files too, whose states one more step
merges on the executors. Files are read with Arrow, as ``scan`` does; of a DataFrame each task folds
every column of its rows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TypeVar

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.feature_statistics import FeatureStatistics, StatisticsConfig
from spark_fs.spec.query import iter_comparisons
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.describe import describe_column
from spark_fs.stats.state_file import from_bytes, pack_states, to_bytes, unpack_states

LOCAL_BYTES = (
    32 << 20
)  # bytes of files that this process looks at itself, which takes less than a task of Spark's
TASK_COLUMNS = 64  # columns of a task
_TASK_BYTES = 256 << 20  # bytes of files for a task, where there are more tasks than cores anyway
_FOLD_ROWS, _FOLD_BYTES = 1 << 18, 256 << 20  # that are folded together, unless one table is more
_STATES_SCHEMA = pa.schema([("place", pa.int32()), ("states", pa.binary()), ("facts", pa.binary())])
_STATES_DDL = "place int, states binary, facts binary"
DATA_DDL = "place int, data binary"
ColumnStates = dict[str, ColumnState]
TaskUnits = tuple[
    tuple[int, tuple[tuple[int, int, int], ...]], ...
]  # of each task the number of its group, and its shares
T = TypeVar("T")


@dataclass(frozen=True)
class TableProfile:
    """The states of columns, in their order, and what is said of each."""

    states: ColumnStates
    statistics: dict[str, FeatureStatistics]


def profile_tables(tables: Iterable[pa.Table], types: Mapping[str, str]) -> ColumnStates:
    """The states of the columns of all tables together."""
    found: ColumnStates = {}
    for table in coalesce_tables(tables, _FOLD_ROWS):
        more = {
            name: ColumnState.from_values(table.column(name), type_)
            for name, type_ in types.items()
        }
        found = merge_states(found, more)
    return found or {name: ColumnState(type_) for name, type_ in types.items()}


def merge_states(left: ColumnStates, right: ColumnStates) -> ColumnStates:
    """The states of both parts together."""
    return (
        {
            name: left[name].merge(column) if name in left else column
            for name, column in right.items()
        }
        if left
        else right
    )


def describe_states(states: ColumnStates, config: StatisticsConfig) -> TableProfile:
    """States with what is said of them."""
    return TableProfile(
        states, {name: describe_column(name, column, config) for name, column in states.items()}
    )


def coalesce_tables(tables: Iterable[pa.Table], min_rows: int) -> Iterator[pa.Table]:
    """Small tables put together, so that each has about so many rows."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        waiting.append(table)
        size += table.nbytes
        if sum(each.num_rows for each in waiting) >= min_rows or size >= _FOLD_BYTES:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


# -- files


def profile_locally(table_scan: Scan, types: Mapping[str, str]) -> ColumnStates:
    """The states of a scan's columns, made in this process."""
    return profile_tables(parquet.iter_tables(table_scan), types)


def profile_scan(
    spark: SparkSession, table_scan: Scan, types: Mapping[str, str], config: StatisticsConfig
) -> DataFrame:
    """The states of a scan's columns*, with what is said of them; ``gathered`` reads them."""
    names, units, cuts = plan_tasks(table_scan, list(types), spark.sparkContext.defaultParallelism)
    groups = [{name: types[name] for name in group} for group in names]
    source = spark.range(0, len(units), 1, len(units)).toDF("unit")
    folded = source.mapInArrow(
        _ScanProfileTask(table_scan, tuple(groups), units, config if cuts == 1 else None),
        _STATES_DDL,
    )
    return _merge_parts(folded, len(groups), config) if cuts > 1 else folded


def profile_relation(
    relation: ArrowRelation, types: Mapping[str, str], config: StatisticsConfig
) -> DataFrame:
    """The states of the columns of any rows*, as ``of_scan`` gives them."""
    folded = relation.source.mapInArrow(
        _RelationProfileTask(relation.read_tables, dict(types)), _STATES_DDL
    )
    return _merge_parts(folded, ceil_divide(len(types), TASK_COLUMNS), config)


def plan_tasks(
    table_scan: Scan, names: Sequence[T], cores: int
) -> tuple[list[Sequence[T]], TaskUnits, int]:
    """The names, or what stands for columns, in groups; the tasks, each of a group and of shares of the files; how many each group has."""
    groups = group_columns(names, max(TASK_COLUMNS, ceil_divide(len(names), 2 * cores)))
    count = max(1, len(groups))
    shares, size = table_scan.list_shares(count), sum(file.bytes for file in table_scan.files)
    cuts = max(1, min(len(shares), max(2 * cores // count, size // count // _TASK_BYTES)))
    return (
        groups,
        tuple(
            (group, tuple(shares[part::cuts]))
            for group in range(len(groups))
            for part in range(cuts)
        ),
        cuts,
    )


def to_batch(index: int, data: bytes) -> pa.RecordBatch:
    """One row that a task hands over: a number and what belongs there."""
    return pa.record_batch(
        {"place": pa.array([index], pa.int32()), "data": pa.array([data], pa.binary())}
    )


def group_columns(names: Sequence[T], size: int) -> list[Sequence[T]]:
    """The names, or what stands for columns, in groups of a size."""
    return [names[at : at + size] for at in range(0, len(names), size)]


def _merge_parts(folded: DataFrame, groups: int, config: StatisticsConfig) -> DataFrame:
    return folded.repartitionById(groups, "place").mapInArrow(_MergeTask(config), _STATES_DDL)


def collect_profile(
    states: pa.Table, types: Mapping[str, str], config: StatisticsConfig
) -> TableProfile:
    """The profile that rows of ``of_scan`` or ``of_stream`` hold."""
    columns: ColumnStates = {}
    facts: dict[str, FeatureStatistics] = {}
    for row in states.sort_by("place").to_pylist():
        columns |= unpack_states(from_bytes(row["states"]))
        facts |= {
            each["feature_name"]: FeatureStatistics.from_json(each)
            for each in json.loads(row["facts"])
        }
    missing = describe_states(
        {name: ColumnState(type_) for name, type_ in types.items() if name not in columns}, config
    )
    columns, facts = columns | missing.states, facts | missing.statistics
    return TableProfile(
        {name: columns[name] for name in types}, {name: facts[name] for name in types}
    )


@dataclass(frozen=True)
class _ScanProfileTask:
    """Numbers of units in, the states of their columns out; config: what is said of them at once, where they are whole."""

    scan: Scan
    groups: tuple[Mapping[str, str], ...]
    units: TaskUnits
    config: StatisticsConfig | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                place, shares = self.units[number]
                narrow = narrow_scan(self.scan, list(self.groups[place]))
                yield _to_states_batch(
                    place,
                    profile_tables(
                        (parquet.read_share(narrow, *share) for share in shares), self.groups[place]
                    ),
                    self.config,
                )


@dataclass(frozen=True)
class _RelationProfileTask:
    """Rows in, the states of all columns out, by groups."""

    read_tables: TableReader
    types: Mapping[str, str]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        states = profile_tables(self.read_tables(batches), self.types)
        for place, group in enumerate(group_columns(list(states), TASK_COLUMNS)):
            yield _to_states_batch(place, {name: states[name] for name in group}, None)


@dataclass(frozen=True)
class _MergeTask:
    """States of parts in, those of the whole out, with what is said of them."""

    config: StatisticsConfig

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        found: dict[int, list[ColumnStates]] = {}
        for batch in batches:
            for place, states in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
                found.setdefault(place, []).append(unpack_states(from_bytes(states.as_buffer())))
        for place, parts in found.items():
            yield _to_states_batch(place, reduce(merge_states, parts), self.config)


def narrow_scan(table_scan: Scan, names: Sequence[str]) -> Scan:
    """The scan with these columns only."""
    columns = tuple((name, column) for name, column in table_scan.columns if name in set(names))
    asked = (
        {column for _, column in columns}
        | set(table_scan.not_null)
        | ({table_scan.event_time} if table_scan.event_time else set())
    )
    asked |= {c.column for c in iter_comparisons(table_scan.where)} if table_scan.where else set()
    return replace(
        table_scan,
        columns=columns,
        file_schema=pa.schema([field for field in table_scan.file_schema if field.name in asked]),
    )


def _to_states_batch(
    index: int, states: ColumnStates, config: StatisticsConfig | None
) -> pa.RecordBatch:
    facts = (
        [each.to_json() for each in describe_states(states, config).statistics.values()]
        if config
        else []
    )
    held = (
        pa.array([each], pa.binary())
        for each in (to_bytes(pack_states(states)), json.dumps(facts).encode())
    )
    return pa.record_batch([pa.array([index], pa.int32()), *held], schema=_STATES_SCHEMA)
