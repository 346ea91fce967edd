"""Contingency tables of features by a label, from rows in blocks, by tasks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from spark_fs.engine.profile.tasks import (
    DATA_TYPES,
    RowBlocks,
    TaskUnit,
    plan_tasks,
    to_batch,
)
from spark_fs.engine.runner import Runner, TaskRows, iter_numbers
from spark_fs.stats.binning import ContingencyTables, Counts


def count_tables(
    runner: Runner, blocks: RowBlocks, tables: ContingencyTables
) -> tuple[TaskRows, tuple[ContingencyTables, ...]]:
    """The table of each feature by the label*; a task has some columns of the rows.

    Args:
        runner: runs the tasks.
        blocks: the rows.
        tables: the label and the features.

    Returns:
        The counts, and the parts of the tables that they are of: ``collect_tables`` takes both.
    """
    plan = plan_tasks(blocks, tables.features, runner.parallelism)
    parts = tuple(replace(tables, features=tuple(group)) for group in plan.groups)
    task = _CountTask(blocks, parts, plan.units)
    return runner.number_tasks(len(plan.units)).map_batches(task, DATA_TYPES), parts


def collect_tables(rows: pa.Table, parts: Sequence[ContingencyTables]) -> dict[str, Counts]:
    """The table of each feature that rows of ``count_tables`` hold."""
    tables: dict[str, Counts] = {}
    part_numbers: list[int] = rows.column(0).to_pylist()
    for number, data in zip(part_numbers, rows.column(1), strict=True):
        counts = np.frombuffer(data.as_buffer(), np.int64)
        for name, table in parts[number].split_by_feature(counts).items():
            tables[name] = tables[name] + table if name in tables else table
    return tables


@dataclass(frozen=True)
class _CountTask:
    """Numbers of tasks in, the counts of their tables out."""

    blocks: RowBlocks
    parts: tuple[ContingencyTables, ...]
    units: tuple[TaskUnit, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for number in iter_numbers(batches):
            group, block_numbers = self.units[number]
            part = self.parts[group]
            names = [part.label.name, *(feature.name for feature in part.features)]
            counts = np.zeros(part.cell_count, np.int64)
            for block in block_numbers:
                for table in self.blocks.read(block, names):
                    counts += part.count_rows(table)
            yield to_batch(group, counts.tobytes())
