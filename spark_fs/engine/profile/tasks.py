"""Tasks that look at the columns of rows in files: what each reads, and what it hands over.

A wide table is cut into groups of columns first, so that a task has all rows of its columns and
there is nothing to merge; a long one into shares of its files too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.predicates import iter_comparisons

TASK_COLUMNS = 64  # columns of a task
_TASK_BYTES = 256 << 20  # bytes of files for a task, where there are more tasks than cores anyway
_MAX_TABLE_BYTES = 256 << 20  # bytes that are put together, unless one table is more
DATA_TYPES = {"place": "int", "data": "binary"}
Share = tuple[int, int, int]  # as ``Scan.list_shares`` gives them
# of each task the number of its group of columns, and its shares
TaskUnits = tuple[tuple[int, tuple[Share, ...]], ...]
T = TypeVar("T")


@dataclass(frozen=True)
class TaskPlan(Generic[T]):
    """Which task looks at which columns of which rows.

    Attributes:
        groups: the columns, or what stands for them, in groups.
        units: the tasks, each of a group and of shares of the files.
        tasks_per_group: how many tasks each group has.
    """

    groups: tuple[Sequence[T], ...]
    units: TaskUnits
    tasks_per_group: int


def plan_tasks(table_scan: Scan, columns: Sequence[T], cores: int) -> TaskPlan[T]:
    """Cut columns into groups and files into shares.

    Args:
        table_scan: what is read of the files.
        columns: the columns, or what stands for them.
        cores: how many tasks run at a time.

    Returns:
        The plan.
    """
    group_size = max(TASK_COLUMNS, ceil_divide(len(columns), 2 * cores))
    groups = group_columns(columns, group_size)
    group_count = max(1, len(groups))
    shares = table_scan.list_shares(group_count)
    group_bytes = sum(file.bytes for file in table_scan.files) // group_count
    wanted_tasks = max(2 * cores // group_count, group_bytes // _TASK_BYTES)
    tasks_per_group = max(1, min(len(shares), wanted_tasks))
    units: list[tuple[int, tuple[Share, ...]]] = []
    for group in range(len(groups)):
        for first_share in range(tasks_per_group):
            units.append((group, tuple(shares[first_share::tasks_per_group])))
    return TaskPlan(tuple(groups), tuple(units), tasks_per_group)


def group_columns(columns: Sequence[T], size: int) -> list[Sequence[T]]:
    """The columns, or what stands for them, in groups of a size."""
    return [columns[start : start + size] for start in range(0, len(columns), size)]


def iter_numbers(batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    """The numbers that a task of ``Runner.number_tasks`` is given."""
    for batch in batches:
        yield from batch.column(0).to_pylist()


def to_batch(index: int, data: bytes) -> pa.RecordBatch:
    """One row that a task hands over: a number and what belongs there."""
    columns = {"place": pa.array([index], pa.int32()), "data": pa.array([data], pa.binary())}
    return pa.record_batch(columns)


def narrow_scan(table_scan: Scan, names: Sequence[str]) -> Scan:
    """The scan with these columns only."""
    wanted = set(names)
    columns = tuple(column for column in table_scan.columns if column[0] in wanted)
    read_columns = {table_column for _, table_column in columns}
    read_columns |= set(table_scan.not_null)
    if table_scan.event_time:
        read_columns.add(table_scan.event_time)
    if table_scan.where:
        read_columns |= {comparison.column for comparison in iter_comparisons(table_scan.where)}
    fields = [field for field in table_scan.file_schema if field.name in read_columns]
    return replace(table_scan, columns=columns, file_schema=pa.schema(fields))


def coalesce_tables(tables: Iterable[pa.Table], min_rows: int) -> Iterator[pa.Table]:
    """Small tables put together, so that each has about so many rows."""
    pending: list[pa.Table] = []
    pending_bytes = 0
    for table in tables:
        pending.append(table)
        pending_bytes += table.nbytes
        rows = sum(part.num_rows for part in pending)
        if rows >= min_rows or pending_bytes >= _MAX_TABLE_BYTES:
            yield pa.concat_tables(pending)
            pending = []
            pending_bytes = 0
    if pending:
        yield pa.concat_tables(pending)
