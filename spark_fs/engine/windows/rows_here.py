"""Rows of an aggregation of events that are in this process, in parts for its threads.

Events are split by entity into as many partitions as there are threads, each of which is sorted by
the first task that asks for it. The tasks of the first shares of all partitions come first, so that
threads sort at the same time; those of a partition with a hot key share its rows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.times import Interval
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.runner import Runner, iter_numbers
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.engine.windows.blocks import BLOCK_ROWS
from spark_fs.engine.windows.rows import EventRows, KeyedEvents, read_entities, to_bounds
from spark_fs.planning.window_plan import WindowPlan

_SHARES = 4  # of a partition, so that all threads end at about the same time


def aggregate_here(
    events: pa.Table, runner: Runner, plan: WindowPlan, interval: Interval
) -> ArrowRelation:
    """The rows of an aggregation*, for threads of this process.

    Args:
        events: The events, of any time, in any order.
        runner: Runs the tasks in this process.
        plan: The aggregation.
        interval: Which rows are wanted.

    Returns:
        The columns of ``plan.row_schema``.
    """
    count = max(1, min(runner.parallelism, len(events) // BLOCK_ROWS))
    partitions = _Partitions(events, plan, to_bounds(interval), count)
    schema = arrow_types.to_arrow_schema(plan.row_schema)
    numbers = runner.number_tasks(count * _SHARES)
    return ArrowRelation(numbers, _ShareReader(partitions), schema)


class _Partitions:
    """Events by entity, in so many partitions; each is sorted when it is asked for."""

    def __init__(self, events: pa.Table, plan: WindowPlan, bounds: TimeBounds, count: int) -> None:
        self._events = events
        self._plan = plan
        self._bounds = bounds
        self._keyed = read_entities(events, plan)
        self._rows: list[EventRows | None] = [None] * count
        self._locks = [Lock() for _ in range(count)]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def get_rows(self, partition: int) -> EventRows:
        """The rows of one partition."""
        with self._locks[partition]:
            rows = self._rows[partition]
            if rows is None:
                rows = self._sort(partition)
                self._rows[partition] = rows
            return rows

    def _sort(self, partition: int) -> EventRows:
        codes, micros = self._keyed
        if len(self) == 1:
            return EventRows(self._events, self._plan, self._bounds, self._keyed)
        is_inside = codes % len(self) == partition
        is_inside &= codes >= 0
        keyed = KeyedEvents(codes[is_inside] // len(self), micros[is_inside])
        events = self._events.filter(pa.array(is_inside))
        return EventRows(events, self._plan, self._bounds, keyed)


@dataclass(frozen=True)
class _ShareReader:
    """Takes numbers of shares, and gives the rows of each."""

    partitions: _Partitions

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        for number in iter_numbers(batches):
            share, partition = divmod(number, len(self.partitions))
            rows = self.partitions.get_rows(partition)
            start = len(rows) * share // _SHARES
            end = len(rows) * (share + 1) // _SHARES
            yield from rows.iter_tables(start, end)
