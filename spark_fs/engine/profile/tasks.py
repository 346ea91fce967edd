"""Tasks that look at the columns of rows: what each reads, and what it hands over.

Rows are cut into blocks by where they lie alone, and what is made of blocks is merged along a tree
of their numbers. So sums of doubles and sketches are the same bits whoever makes them, and in how
many tasks. A wide table is cut into groups of columns too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.predicates import iter_comparisons

TASK_COLUMNS = 64  # columns of a task, unless there are more of them than tasks
_MAX_TASK_COLUMNS = 256
_TASK_BYTES = 256 << 20  # bytes of files for a task, where there are more tasks than cores anyway
_MAX_TABLE_BYTES = 256 << 20  # bytes that are put together, unless one table is more
DATA_TYPES = {"place": "int", "data": "binary"}
Share = tuple[int, int, int]  # as ``Scan.list_shares`` gives them
T = TypeVar("T")


# -- rows in blocks


class RowBlocks(Protocol):
    """Rows in blocks, which depend on nothing but where the rows lie."""

    @property
    def count(self) -> int:
        """How many blocks there are."""

    @property
    def bytes(self) -> int:
        """About how many bytes the rows have."""

    def read(self, number: int, names: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of the rows of a block."""


@dataclass(frozen=True)
class ScanBlocks:
    """The rows of a scan; a block is of shares that follow one another."""

    scan: Scan
    shares: tuple[tuple[Share, ...], ...]

    @classmethod
    def from_scan(cls, table_scan: Scan, column_count: int, min_rows: int) -> Self:
        """The blocks of a scan.

        Args:
            table_scan: the rows.
            column_count: how many of its columns are looked at, in groups of a task.
            min_rows: how many rows a block has at least, by the table's log.
        """
        blocks: list[tuple[Share, ...]] = []
        pending: list[Share] = []
        pending_rows = 0.0
        for share in table_scan.list_shares(ceil_divide(column_count, _MAX_TASK_COLUMNS) or 1):
            pending.append(share)
            pending_rows += table_scan.files[share[0]].row_count / share[2]
            if pending_rows >= min_rows:
                blocks.append(tuple(pending))
                pending = []
                pending_rows = 0.0
        if pending:
            blocks.append(tuple(pending))
        return cls(table_scan, tuple(blocks))

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.shares)

    @property
    def bytes(self) -> int:
        """The bytes of the files."""
        return sum(file.bytes for file in self.scan.files)

    def read(self, number: int, names: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of the rows of a block."""
        narrow = narrow_scan(self.scan, names)
        for share in self.shares[number]:
            yield parquet.read_share(narrow, *share)


@dataclass(frozen=True)
class TableBlocks:
    """The rows of a table of this process; a block is a slice."""

    table: pa.Table
    block_rows: int

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return ceil_divide(self.table.num_rows, self.block_rows)

    @property
    def bytes(self) -> int:
        """The bytes of the columns."""
        return int(self.table.nbytes)

    def read(self, number: int, names: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of the rows of a block."""
        yield self.table.select(list(names)).slice(number * self.block_rows, self.block_rows)


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


# -- what is made of blocks, merged in an order that the blocks alone give


class BlockResult(NamedTuple, Generic[T]):
    """What was made of so many blocks, from the first on."""

    first: int
    size: int
    value: T


def merge_results(results: Iterable[BlockResult[T]], merge: Callable[[T, T], T]) -> BlockResult[T]:
    """What was made of all blocks together, along the tree of their numbers.

    Blocks 0 and 1 are merged, 2 and 3, then both pairs, and so on; so it is of no account which of
    them a task had merged already.

    Args:
        results: at least one, in the order of their blocks: each of one block, or of a run that
            ``plan_tasks`` made.
        merge: makes one value of two neighbours.
    """
    merged: list[BlockResult[T]] = []
    for result in results:
        merged.append(result)
        while len(merged) > 1 and _are_siblings(merged[-2], merged[-1]):
            right = merged.pop()
            merged.append(_merge_neighbours(merged.pop(), right, merge))
    return reduce(lambda right, left: _merge_neighbours(left, right, merge), reversed(merged))


def _merge_neighbours(
    left: BlockResult[T], right: BlockResult[T], merge: Callable[[T, T], T]
) -> BlockResult[T]:
    value = merge(left.value, right.value)
    return BlockResult(left.first, left.size + right.size, value)


def _are_siblings(left: BlockResult[T], right: BlockResult[T]) -> bool:
    is_adjacent = left.first + left.size == right.first
    return is_adjacent and left.size == right.size and left.first % (2 * left.size) == 0


# -- tasks


class TaskUnit(NamedTuple):
    """What a task looks at: a group of columns, and a run of blocks."""

    group: int
    blocks: range


@dataclass(frozen=True)
class TaskPlan(Generic[T]):
    """Which task looks at which columns of which rows.

    Attributes:
        groups: the columns, or what stands for them, in groups.
        units: the tasks.
    """

    groups: tuple[Sequence[T], ...]
    units: tuple[TaskUnit, ...]

    @property
    def has_whole_columns(self) -> bool:
        """Whether a task sees all rows of its columns."""
        return len(self.units) == len(self.groups)


def plan_tasks(blocks: RowBlocks, columns: Sequence[T], cores: int) -> TaskPlan[T]:
    """Cut columns into groups, and blocks into runs.

    Args:
        blocks: the rows.
        columns: the columns, or what stands for them.
        cores: how many tasks run at a time.

    Returns:
        The plan.
    """
    group_size = max(TASK_COLUMNS, ceil_divide(len(columns), 2 * cores))
    groups = group_columns(columns, min(_MAX_TASK_COLUMNS, group_size))
    group_count = max(1, len(groups))
    group_bytes = blocks.bytes // group_count
    wanted_tasks = max(2 * cores // group_count, group_bytes // _TASK_BYTES)
    runs = cut_runs(blocks.count, wanted_tasks)
    units = [TaskUnit(group, run) for group in range(len(groups)) for run in runs]
    return TaskPlan(tuple(groups), tuple(units))


def cut_runs(block_count: int, wanted_runs: int) -> list[range]:
    """Blocks in so many runs or up to twice as many, which ``merge_results`` merges.

    Each but the last has the same power of two of blocks; of no blocks there is one empty run.
    """
    length = 1
    while 2 * length * max(1, wanted_runs) <= block_count:
        length *= 2
    if wanted_runs <= 1:
        length = max(1, block_count)
    starts = range(0, max(1, block_count), length)
    return [range(start, min(start + length, block_count)) for start in starts]


def group_columns(columns: Sequence[T], size: int) -> list[Sequence[T]]:
    """The columns, or what stands for them, in groups of a size."""
    return [columns[start : start + size] for start in range(0, len(columns), size)]


def to_batch(index: int, data: bytes) -> pa.RecordBatch:
    """One row that a task hands over: a number and what belongs there."""
    columns = {"place": pa.array([index], pa.int32()), "data": pa.array([data], pa.binary())}
    return pa.record_batch(columns)
