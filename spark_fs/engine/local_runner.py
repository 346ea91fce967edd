"""Tasks in threads of this process, without Spark.

Parts are computed when rows are collected, as many at a time as there are processors; Arrow and
NumPy let other threads run while they work. Rows that are to be in other parts are kept in memory
between two rounds of tasks.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.engine.local_progress import ProgressBar
from spark_fs.engine.memory import MemoryWatch
from spark_fs.engine.runner import NUMBER, BatchTask, Runner, TaskRows
from spark_fs.engine.task_cache import forget_all
from spark_fs.engine.threads import run_in_threads

Part = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class LocalRows(TaskRows):
    """Rows* of this process.

    local_runner: runs the tasks. list_parts: makes the parts; what has to be known before is
    computed then. schema: their columns.
    """

    local_runner: "LocalRunner"
    list_parts: Callable[[], Sequence[Part]]
    schema: pa.Schema

    @property
    def runner(self) -> "LocalRunner":
        """What runs the tasks."""
        return self.local_runner

    def map_batches(self, task: BatchTask, types: Mapping[str, str]) -> "LocalRows":
        """What a task makes of each part*."""

        def list_parts() -> Sequence[Part]:
            return [_compose(task, part) for part in self.list_parts()]

        return LocalRows(self.runner, list_parts, to_arrow_schema(types))

    def union(self, other: "LocalRows") -> "LocalRows":
        """The parts of both*."""

        def list_parts() -> Sequence[Part]:
            return [*self.list_parts(), *other.list_parts()]

        return LocalRows(self.runner, list_parts, self.schema)

    def repartition(self, count: int, column: str) -> "LocalRows":
        """The same rows in so many parts*: each row in the part whose number a column holds."""

        def list_parts() -> Sequence[Part]:
            moved: list[list[pa.RecordBatch]] = [[] for _ in range(count)]
            for batches in self.runner.run_parts(self.list_parts()):
                for batch in batches:
                    numbers = batch.column(self.schema.get_field_index(column)).to_pylist()
                    for row, number in enumerate(numbers):
                        moved[number].append(batch.slice(row, 1))
            return [_make_part(batches) for batches in moved]

        return LocalRows(self.runner, list_parts, self.schema)

    def coalesce(self, count: int) -> "LocalRows":
        """The same parts, put together to so many at most*."""

        def list_parts() -> Sequence[Part]:
            parts = self.list_parts()
            size = max(1, ceil_divide(len(parts), count))
            starts = range(0, len(parts), size)
            return [_chain(parts[start : start + size]) for start in starts]

        return LocalRows(self.runner, list_parts, self.schema)

    def collect(self) -> pa.Table:
        """All rows, eagerly, part by part."""
        collected: list[pa.RecordBatch] = []
        for batches in self.runner.run_parts(self.list_parts()):
            collected += batches
        return pa.Table.from_batches(collected, None if collected else self.schema)


def _compose(task: BatchTask, part: Part) -> Part:
    return lambda: task(part())


def _make_part(batches: Sequence[pa.RecordBatch]) -> Part:
    return lambda: iter(batches)


def _chain(parts: Sequence[Part]) -> Part:
    def iter_batches() -> Iterator[pa.RecordBatch]:
        for part in parts:
            yield from part()

    return iter_batches


def _run_part(part: Part) -> list[pa.RecordBatch]:
    return list(part())


@dataclass(frozen=True)
class LocalRunner(Runner):
    """Runs tasks in threads of this process, so many at a time.

    memory: how much they have taken, and where they stop; None: nobody looks. progress: shows how
    far they have come.
    """

    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    memory: MemoryWatch | None = None
    progress: ProgressBar = field(default_factory=partial(ProgressBar, is_wanted=False))
    name = "local"

    @property
    def parallelism(self) -> int:
        """How many tasks run at a time."""
        return self.threads

    @property
    def shared_threads(self) -> int:
        """All of them: there are no other tasks meanwhile."""
        return self.threads

    def number_tasks(self, count: int, tasks: int | None = None) -> LocalRows:
        """The numbers from 0 up to ``count``*, as the column ``NUMBER``."""
        part_count = max(1, min(count, count if tasks is None else tasks))
        schema = pa.schema([(NUMBER, pa.int64())])
        parts = []
        for part in range(part_count):
            first = count * part // part_count
            end = count * (part + 1) // part_count
            numbers = pa.array(range(first, end), pa.int64())
            parts.append(_make_part([pa.record_batch([numbers], schema=schema)]))
        return LocalRows(self, lambda: parts, schema)

    def run_parts(self, parts: Sequence[Part]) -> list[list[pa.RecordBatch]]:
        """The batches of each part, eagerly.

        What a part raises ends the others, and is raised; so does an interrupt.

        Raises:
            MemoryLimitError: They would take more memory than they may.
        """

        def look(done: int) -> None:
            if self.memory:
                self.memory.check()
            self.progress.update(done, len(parts))

        functions = [partial(_run_part, part) for part in parts]
        try:
            collected = run_in_threads(functions, self.threads, look)
            look(len(parts))
        finally:
            self.progress.close()
            forget_all()
        return collected

    @contextmanager
    def open_shared_folder(self) -> Iterator[None]:
        """None: tasks share the memory of this process."""
        yield None

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Nothing: what a task raises comes as it is."""
        yield
