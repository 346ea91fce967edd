"""Where tasks run: in the workers of Spark, or in threads of this process.

A task is a function from Arrow batches to Arrow batches. What is read, joined, aggregated and
profiled is made of tasks, and what they know of where they run is here. So the two engines are one
implementation, and give the same rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import ClassVar, Literal, Self

import pyarrow as pa

BatchTask = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
EngineName = Literal["local", "spark"]
ProgressCallback = Callable[[int, int], None]  # tasks done, tasks known so far
NUMBER = "number"  # the one column of ``Runner.number_tasks``


def iter_numbers(batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    """The numbers that a task of ``Runner.number_tasks`` is given."""
    for batch in batches:
        yield from batch.column(0).to_pylist()


class TaskRows(ABC):
    """Rows that tasks make*, in parts: each part is made by one task."""

    @property
    @abstractmethod
    def runner(self) -> "Runner":
        """What runs the tasks."""

    @abstractmethod
    def map_batches(self, task: BatchTask, types: Mapping[str, str]) -> Self:
        """What a task makes of each part*.

        Args:
            task: Takes the batches of a part, and gives others.
            types: The columns of what it gives, and their feature types.
        """

    @abstractmethod
    def union(self, other: Self) -> Self:
        """The parts of both*."""

    @abstractmethod
    def repartition(self, count: int, column: str) -> Self:
        """The same rows in so many parts*: each row in the part whose number a column holds."""

    @abstractmethod
    def coalesce(self, count: int) -> Self:
        """The same parts, put together to so many at most*."""

    @abstractmethod
    def collect(self) -> pa.Table:
        """All rows, eagerly, part by part."""


class Runner(ABC):
    """What runs tasks.

    name: the engine that it is. parallelism: how many tasks run at a time.
    """

    name: ClassVar[EngineName]

    @property
    @abstractmethod
    def parallelism(self) -> int:
        """How many tasks run at a time."""

    @property
    @abstractmethod
    def shared_threads(self) -> int:
        """How many threads may compute what all tasks of a process wait for."""

    @abstractmethod
    def number_tasks(self, count: int, tasks: int | None = None) -> TaskRows:
        """The numbers from 0 up to ``count``*, as the column ``NUMBER``.

        Args:
            count: How many numbers.
            tasks: How many tasks share them; None: each number has its own.
        """

    @abstractmethod
    def open_shared_folder(self) -> AbstractContextManager[str | None]:
        """A new folder that every task sees while the context lasts; None where there is none.

        Tasks that hand many rows to other tasks then leave them there.
        """

    @abstractmethod
    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn what a task raises into one of our errors, within the context."""
