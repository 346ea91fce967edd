"""Rows of this process, as rows that its threads write into a table's files."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.runner import iter_numbers
from spark_fs.engine.spark_runner import SparkRunner
from spark_fs.tables.computed_rows import BatchTask, ComputedRows, TableReader

_MIN_ROWS = 100_000  # of a file of a thread; fewer pass through the JVM where it writes them


@contextmanager
def share_rows(spark: SparkSession, rows: pa.Table) -> Iterator[ComputedRows]:
    """Give rows to be written by threads of this process.

    Where only Spark can write a table's files, its workers read the rows from a file that is there
    as long as the context.

    Args:
        spark: The session whose workers they are.
        rows: Computed rows, no two of one identity.

    Yields:
        The same rows, to be inserted before the context ends.
    """
    types = {}
    for field in from_arrow_schema(rows.schema):
        types[field.name] = field.dataType.simpleString()
    with SparkRunner(spark).open_shared_folder() as folder:
        source: DataFrame
        reader: TableReader
        if folder is None or rows.num_rows < _MIN_ROWS:
            source = spark.createDataFrame(rows)
            reader = _read_batches
        else:
            tasks = spark.sparkContext.defaultParallelism
            reader = _SharedFileReader(_write_batches(rows, folder, tasks))
            source = spark.range(0, tasks, 1, tasks)
        collector = _TableCollector(rows)
        yield ComputedRows(source, reader, types, is_distinct=True, collect_by=collector)


def _read_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    for batch in batches:
        yield pa.Table.from_batches([batch])


def _write_batches(rows: pa.Table, folder: str, count: int) -> str:
    """The path of a new file with the rows in so many batches."""
    path = f"{folder}/rows.arrow"
    with pa.ipc.new_file(path, rows.schema) as file:
        file.write_table(rows.combine_chunks(), ceil_divide(rows.num_rows, count))
    return path


@dataclass(frozen=True)
class _SharedFileReader:
    """Numbers of batches in an Arrow file in, the batches out as tables."""

    path: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        with pa.memory_map(self.path) as file:
            reader = pa.ipc.open_file(file)
            for number in iter_numbers(batches):
                if number < reader.num_record_batches:
                    yield pa.Table.from_batches([reader.get_batch(number)])


@dataclass(frozen=True)
class _TableCollector:
    """Runs a task over rows of this process, in its threads."""

    rows: pa.Table

    def __call__(
        self, make_task: Callable[[TableReader], BatchTask], types: Mapping[str, str]
    ) -> pa.Table:
        """What a task makes of the rows, eagerly."""
        runner = LocalRunner()
        count = max(1, min(runner.parallelism, self.rows.num_rows // _MIN_ROWS))
        size = ceil_divide(self.rows.num_rows, count)

        def read_slices(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
            for number in iter_numbers(batches):
                yield self.rows.slice(number * size, size)

        return runner.number_tasks(count).map_batches(make_task(read_slices), types).collect()
