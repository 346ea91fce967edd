"""One pass over rows for the states of all their columns.

Tasks fold some columns of some blocks of rows, and what belongs together is merged in one more
step. Of a DataFrame of Spark's each task folds every column of its rows.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.columnar import ArrowRelation, TableReader
from spark_fs.engine.profile import tasks
from spark_fs.engine.profile.tasks import (
    BlockResult,
    RowBlocks,
    TaskUnit,
    coalesce_tables,
    merge_results,
)
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.spec.feature_statistics import FeatureStatistics, StatisticsConfig
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.describe import describe_column
from spark_fs.stats.state_file import from_bytes, pack_states, to_bytes, unpack_states

FOLD_ROWS = 1 << 18  # that are folded together
_STATES_TYPES = {
    "place": "int",
    "first": "int",
    "size": "int",
    "states": "binary",
    "facts": "binary",
}
ColumnStates = dict[str, ColumnState]


@dataclass(frozen=True)
class TableProfile:
    """The states of columns, in their order, and the statistics of each."""

    states: ColumnStates
    statistics: dict[str, FeatureStatistics]


def profile_tables(tables: Iterable[pa.Table], types: Mapping[str, str]) -> ColumnStates:
    """The states of the columns of all tables together."""
    states: ColumnStates = {}
    for table in coalesce_tables(tables, FOLD_ROWS):
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


# -- by tasks


def profile_blocks(
    runner: Runner, blocks: RowBlocks, types: Mapping[str, str], config: StatisticsConfig
) -> TaskRows:
    """The states of the columns of rows in blocks*, with their statistics.

    Args:
        runner: runs the tasks.
        blocks: the rows.
        types: the columns, with their types.
        config: which statistics are wanted.

    Returns:
        What ``collect_profile`` reads.
    """
    plan = tasks.plan_tasks(blocks, list(types), runner.parallelism)
    groups = tuple({name: types[name] for name in group} for group in plan.groups)
    numbers = runner.number_tasks(len(plan.units))
    if plan.has_whole_columns:
        task = _BlocksProfileTask(blocks, groups, plan.units, config)
        return numbers.map_batches(task, _STATES_TYPES)
    task = _BlocksProfileTask(blocks, groups, plan.units, None)
    return _merge_parts(numbers.map_batches(task, _STATES_TYPES), len(groups), config)


def profile_relation(
    relation: ArrowRelation, types: Mapping[str, str], config: StatisticsConfig
) -> TaskRows:
    """The states of the columns of any rows*, as ``profile_blocks`` gives them.

    Sketches and sums of doubles depend on how the rows are cut into parts.
    """
    task = _RelationProfileTask(relation.read_tables, dict(types))
    states = relation.source.map_batches(task, _STATES_TYPES)
    return _merge_parts(states, ceil_divide(len(types), tasks.TASK_COLUMNS), config)


def _merge_parts(states: TaskRows, group_count: int, config: StatisticsConfig) -> TaskRows:
    by_group = states.repartition(group_count, "place")
    return by_group.map_batches(_MergeTask(config), _STATES_TYPES)


def collect_profile(
    rows: pa.Table, types: Mapping[str, str], config: StatisticsConfig
) -> TableProfile:
    """The profile that rows of ``profile_blocks`` or ``profile_relation`` hold.

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
class _BlocksProfileTask:
    """Numbers of tasks in, the states of their columns out.

    Attributes:
        blocks: the rows.
        groups: groups of columns, with their types.
        units: the tasks.
        config: which statistics are made of the states at once, where they are of all rows.
    """

    blocks: RowBlocks
    groups: tuple[Mapping[str, str], ...]
    units: tuple[TaskUnit, ...]
    config: StatisticsConfig | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in iter_numbers(batches):
            group, block_numbers = self.units[number]
            types = self.groups[group]
            result = BlockResult(block_numbers.start, 1, _make_empty_states(types))
            if block_numbers:
                result = merge_results(self._profile_each(block_numbers, types), merge_states)
            yield _to_states_batch(group, result, self.config)

    def _profile_each(
        self, block_numbers: range, types: Mapping[str, str]
    ) -> Iterator[BlockResult[ColumnStates]]:
        for number in block_numbers:
            states = profile_tables(self.blocks.read(number, list(types)), types)
            yield BlockResult(number, 1, states)


@dataclass(frozen=True)
class _RelationProfileTask:
    """Rows in, the states of all columns out, by groups."""

    read_tables: TableReader
    types: Mapping[str, str]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        states = profile_tables(self.read_tables(batches), self.types)
        for number, names in enumerate(tasks.group_columns(list(states), tasks.TASK_COLUMNS)):
            result = BlockResult(0, 1, {name: states[name] for name in names})
            yield _to_states_batch(number, result, None)


@dataclass(frozen=True)
class _MergeTask:
    """States of blocks in, those of all rows out, with their statistics."""

    config: StatisticsConfig

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        results_by_group: dict[int, list[BlockResult[ColumnStates]]] = {}
        for batch in batches:
            groups, firsts, sizes = (batch.column(i).to_pylist() for i in range(3))
            for group, first, size, data in zip(
                groups, firsts, sizes, batch.column(3), strict=True
            ):
                states = unpack_states(from_bytes(data.as_buffer()))
                result = BlockResult(first, size, states)
                results_by_group.setdefault(group, []).append(result)
        for group, results in results_by_group.items():
            results.sort(key=lambda result: result.first)
            merged = merge_results(results, merge_states)
            yield _to_states_batch(group, merged, self.config)


def _to_states_batch(
    group: int, result: BlockResult[ColumnStates], config: StatisticsConfig | None
) -> pa.RecordBatch:
    """One row that a task hands over: states, and where there is a config their statistics."""
    facts: list[dict[str, object]] = []
    if config is not None:
        for statistics in describe_states(result.value, config).statistics.values():
            facts.append(statistics.to_json())
    columns = {
        "place": pa.array([group], pa.int32()),
        "first": pa.array([result.first], pa.int32()),
        "size": pa.array([result.size], pa.int32()),
        "states": pa.array([to_bytes(pack_states(result.value))], pa.binary()),
        "facts": pa.array([json.dumps(facts).encode()], pa.binary()),
    }
    return pa.record_batch(columns)
