"""Rows that workers have as Arrow tables, and that need not pass through the JVM to be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.base.types import to_ddl

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BatchTask = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
TableReader = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.Table]]
# Runs the task that is made of a reader of tables over some rows, eagerly, and gives all that it
# gives: columns of these feature types.
TaskCollector = Callable[[Callable[[TableReader], BatchTask], Mapping[str, str]], pa.Table]


@dataclass(frozen=True)
class ComputedRows:
    """Rows* that workers compute, for ``flows.insert.insert_rows`` in place of a DataFrame.

    Workers then write them into the table's files themselves, where the table allows it.

    source: what is spread over the workers. read_tables: what makes tables of its batches, with
    these columns at least. types: the columns and their feature types. is_distinct: whether no two
    rows have one identity, by the way in which they are made; nobody looks for it then.
    collect_by: runs a task over the same rows elsewhere, as in threads of this process; None: where
    the source is.
    """

    source: DataFrame
    read_tables: TableReader
    types: Mapping[str, str]
    is_distinct: bool
    collect_by: TaskCollector | None = None

    def to_frame(self) -> DataFrame:
        """As a DataFrame*, through the JVM."""
        task = BatchWriter(self.read_tables, to_arrow_schema(self.types))
        ddl = ", ".join(f"`{name}` {to_ddl(type_)}" for name, type_ in self.types.items())
        return self.source.mapInArrow(task, ddl)

    def collect(
        self, make_task: Callable[[TableReader], BatchTask], types: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """What a task makes of the rows, eagerly.

        Args:
            make_task: Takes what reads the tables, and gives the task.
            types: The columns of what it gives, and their feature types.
        """
        if self.collect_by is not None:
            given: list[dict[str, Any]] = self.collect_by(make_task, types).to_pylist()
            return given
        ddl = ", ".join(f"`{name}` {to_ddl(type_)}" for name, type_ in types.items())
        rows = self.source.mapInArrow(make_task(self.read_tables), ddl).collect()
        return [row.asDict() for row in rows]


@dataclass(frozen=True)
class BatchWriter:
    """Takes tables, and gives their batches, with the columns and types that Spark waits for."""

    read_tables: TableReader
    schema: pa.Schema

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give the tables' batches."""
        for table in self.read_tables(batches):
            yield from table.select(self.schema.names).cast(self.schema).to_batches()
