"""One pass over rows for the states of all their columns.

Tasks fold some columns of some rows, and what belongs together is merged in one more step on the
executors. Files are read with Arrow, as ``scan`` does; of a DataFrame each task folds every column
of its rows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.profile import tasks
from spark_fs.engine.profile.tasks import TaskUnits, coalesce_tables, iter_numbers, narrow_scan
from spark_fs.engine.runner import Runner, TaskRows
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.feature_statistics import FeatureStatistics, StatisticsConfig
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.describe import describe_column
from spark_fs.stats.state_file import from_bytes, pack_states, to_bytes, unpack_states

# bytes of files that this process looks at itself, which takes less than a task of Spark's
LOCAL_BYTES = 32 << 20
_FOLD_ROWS = 1 << 18  # that are folded together
_STATES_SCHEMA = pa.schema([("place", pa.int32()), ("states", pa.binary()), ("facts", pa.binary())])
_STATES_TYPES = {"place": "int", "states": "binary", "facts": "binary"}
ColumnStates = dict[str, ColumnState]


@dataclass(frozen=True)
class TableProfile:
    """The states of columns, in their order, and the statistics of each."""

    states: ColumnStates
    statistics: dict[str, FeatureStatistics]


def profile_tables(tables: Iterable[pa.Table], types: Mapping[str, str]) -> ColumnStates:
    """The states of the columns of all tables together."""
    states: ColumnStates = {}
    for table in coalesce_tables(tables, _FOLD_ROWS):
        more: ColumnStates = {}
        for name, type_ in types.items():
            more[name] = ColumnState.from_values(table.column(name), type_)
        states = merge_states(states, more)
    return states or _make_empty_states(types)


def _make_empty_states(types: Mapping[str, str]) -> ColumnStates:
    return {name: ColumnState(type_) for name, type_ in types.items()}


def merge_states(left: ColumnStates, right: ColumnStates) -> ColumnStates:
    """The states of both parts together; of the columns of the right one, where both have some."""
    if not left:
        return right
    merged: ColumnStates = {}
    for name, state in right.items():
        merged[name] = left[name].merge(state) if name in left else state
    return merged


def describe_states(states: ColumnStates, config: StatisticsConfig) -> TableProfile:
    """States with the statistics of their columns."""
    statistics = {name: describe_column(name, state, config) for name, state in states.items()}
    return TableProfile(states, statistics)


# -- files


def profile_locally(table_scan: Scan, types: Mapping[str, str]) -> ColumnStates:
    """The states of a scan's columns, made in this process."""
    return profile_tables(parquet.iter_tables(table_scan), types)


def profile_scan(
    runner: Runner, table_scan: Scan, types: Mapping[str, str], config: StatisticsConfig
) -> TaskRows:
    """The states of a scan's columns*, with their statistics.

    Args:
        runner: runs the tasks.
        table_scan: the rows.
        types: the columns, with their types.
        config: which statistics are wanted.

    Returns:
        What ``collect_profile`` reads.
    """
    plan = tasks.plan_tasks(table_scan, list(types), runner.parallelism)
    groups = tuple({name: types[name] for name in group} for group in plan.groups)
    numbers = runner.number_tasks(len(plan.units))
    if plan.tasks_per_group == 1:
        task = _ScanProfileTask(table_scan, groups, plan.units, config)
        return numbers.map_batches(task, _STATES_TYPES)
    task = _ScanProfileTask(table_scan, groups, plan.units, None)
    return _merge_parts(numbers.map_batches(task, _STATES_TYPES), len(groups), config)


def profile_relation(
    relation: ArrowRelation, types: Mapping[str, str], config: StatisticsConfig
) -> TaskRows:
    """The states of the columns of any rows*, as ``profile_scan`` gives them."""
    task = _RelationProfileTask(relation.read_tables, dict(types))
    states = relation.source.map_batches(task, _STATES_TYPES)
    return _merge_parts(states, ceil_divide(len(types), tasks.TASK_COLUMNS), config)


def _merge_parts(states: TaskRows, group_count: int, config: StatisticsConfig) -> TaskRows:
    by_group = states.repartition(group_count, "place")
    return by_group.map_batches(_MergeTask(config), _STATES_TYPES)


def collect_profile(
    rows: pa.Table, types: Mapping[str, str], config: StatisticsConfig
) -> TableProfile:
    """The profile that rows of ``profile_scan`` or ``profile_relation`` hold.

    Args:
        rows: what the tasks handed over.
        types: the columns, with their types.
        config: which statistics are wanted of columns that no task has seen a row of.

    Returns:
        The profile, in the order of ``types``.
    """
    states: ColumnStates = {}
    statistics: dict[str, FeatureStatistics] = {}
    for row in rows.sort_by("place").to_pylist():
        states |= unpack_states(from_bytes(row["states"]))
        for data in json.loads(row["facts"]):
            statistics[data["feature_name"]] = FeatureStatistics.from_json(data)
    missing_types = {name: type_ for name, type_ in types.items() if name not in states}
    missing = describe_states(_make_empty_states(missing_types), config)
    states |= missing.states
    statistics |= missing.statistics
    return TableProfile(
        {name: states[name] for name in types}, {name: statistics[name] for name in types}
    )


@dataclass(frozen=True)
class _ScanProfileTask:
    """Numbers of tasks in, the states of their columns out.

    Attributes:
        scan: the rows.
        groups: groups of columns, with their types.
        units: the tasks.
        config: which statistics are made of the states at once, where they are of all rows.
    """

    scan: Scan
    groups: tuple[Mapping[str, str], ...]
    units: TaskUnits
    config: StatisticsConfig | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in iter_numbers(batches):
            group, shares = self.units[number]
            types = self.groups[group]
            narrow = narrow_scan(self.scan, list(types))
            tables = (parquet.read_share(narrow, *share) for share in shares)
            yield _to_states_batch(group, profile_tables(tables, types), self.config)


@dataclass(frozen=True)
class _RelationProfileTask:
    """Rows in, the states of all columns out, by groups."""

    read_tables: TableReader
    types: Mapping[str, str]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        states = profile_tables(self.read_tables(batches), self.types)
        for number, names in enumerate(tasks.group_columns(list(states), tasks.TASK_COLUMNS)):
            yield _to_states_batch(number, {name: states[name] for name in names}, None)


@dataclass(frozen=True)
class _MergeTask:
    """States of parts in, those of all rows out, with their statistics."""

    config: StatisticsConfig

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts_by_group: dict[int, list[ColumnStates]] = {}
        for batch in batches:
            for group, data in zip(batch.column(0).to_pylist(), batch.column(1), strict=True):
                states = unpack_states(from_bytes(data.as_buffer()))
                parts_by_group.setdefault(group, []).append(states)
        for group, parts in parts_by_group.items():
            yield _to_states_batch(group, reduce(merge_states, parts), self.config)


def _to_states_batch(
    group: int, states: ColumnStates, config: StatisticsConfig | None
) -> pa.RecordBatch:
    """One row that a task hands over: states, and where there is a config their statistics."""
    facts: list[dict[str, object]] = []
    if config is not None:
        for statistics in describe_states(states, config).statistics.values():
            facts.append(statistics.to_json())
    columns = [
        pa.array([group], pa.int32()),
        pa.array([to_bytes(pack_states(states))], pa.binary()),
        pa.array([json.dumps(facts).encode()], pa.binary()),
    ]
    return pa.record_batch(columns, schema=_STATES_SCHEMA)
