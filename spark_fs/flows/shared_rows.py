"""Rows of this process that the workers of its machine write into a table's files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.spark_runner import SparkRunner
from spark_fs.tables.computed_rows import ComputedRows

# From here on the workers are faster: 1,000,000 rows of eleven columns take a third of the time
# that they take through the JVM (``make bench-windows``). Of few rows most is the workers' start.
_MIN_ROWS = 100_000


@contextmanager
def share_rows(spark: SparkSession, rows: pa.Table) -> Iterator[pa.Table | ComputedRows]:
    """Give rows to the workers, where they are many and see the files of this process.

    Args:
        spark: The session whose workers they are.
        rows: Computed rows, no two of one identity.

    Yields:
        The same rows, to be inserted before the context ends.
    """
    with SparkRunner(spark).open_shared_folder() as folder:
        if folder is None or rows.num_rows < _MIN_ROWS:
            yield rows
            return
        path = f"{folder}/rows.arrow"
        tasks = spark.sparkContext.defaultParallelism
        with pa.ipc.new_file(path, rows.schema) as file:
            file.write_table(rows.combine_chunks(), ceil_divide(rows.num_rows, tasks))
        numbers = spark.range(0, tasks, 1, tasks)
        types = {}
        for field in from_arrow_schema(rows.schema):
            types[field.name] = field.dataType.simpleString()
        yield ComputedRows(numbers, _SharedFileReader(path), types, is_distinct=True)


@dataclass(frozen=True)
class _SharedFileReader:
    """Numbers of batches in an Arrow file in, the batches out as tables."""

    path: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        with pa.memory_map(self.path) as file:
            reader = pa.ipc.open_file(file)
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    if number < reader.num_record_batches:
                        yield pa.Table.from_batches([reader.get_batch(number)])
