"""Tasks in the workers of Spark."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.types import to_ddl
from spark_fs.engine.runner import NUMBER, BatchTask, Runner, TaskRows
from spark_fs.redact import get_safe_cause
from spark_fs.tables.spark_errors import make_read_error

UNKNOWN_BYTES = 1 << 30  # bytes of rows whose size Spark does not know


@dataclass(frozen=True)
class SparkRows(TaskRows):
    """Rows* as Spark holds them; a part is a partition."""

    frame: DataFrame

    @property
    def runner(self) -> "SparkRunner":
        """What runs the tasks."""
        return SparkRunner(self.frame.sparkSession)

    def map_batches(self, task: BatchTask, types: Mapping[str, str]) -> "SparkRows":
        """What a task makes of each part*."""
        ddl = ", ".join(f"`{name}` {to_ddl(type_)}" for name, type_ in types.items())
        return SparkRows(self.frame.mapInArrow(task, ddl))

    def union(self, other: "SparkRows") -> "SparkRows":
        """The parts of both*."""
        return SparkRows(self.frame.unionAll(other.frame))

    def repartition(self, count: int, column: str) -> "SparkRows":
        """The same rows in so many parts*: each row in the part whose number a column holds."""
        return SparkRows(self.frame.repartitionById(count, column))

    def coalesce(self, count: int) -> "SparkRows":
        """The same parts, put together to so many at most*."""
        return SparkRows(self.frame.coalesce(count))

    def collect(self) -> pa.Table:
        """All rows, eagerly, part by part."""
        return self.frame.toArrow()


@dataclass(frozen=True)
class SparkRunner(Runner):
    """Runs tasks in the workers of a session."""

    session: SparkSession
    name = "spark"

    @property
    def parallelism(self) -> int:
        """How many tasks run at a time."""
        return self.session.sparkContext.defaultParallelism

    @property
    def shared_threads(self) -> int:
        """One: a task has one core."""
        return 1

    def number_tasks(self, count: int, tasks: int | None = None) -> SparkRows:
        """The numbers from 0 up to ``count``*, as the column ``NUMBER``."""
        partitions = max(1, count if tasks is None else tasks)
        return SparkRows(self.session.range(0, count, 1, partitions).toDF(NUMBER))

    @contextmanager
    def open_shared_folder(self) -> Iterator[str | None]:
        """A new folder that the driver and every worker see; None on a cluster."""
        context = self.session.sparkContext
        if not (context.master or "").startswith("local"):
            yield None
            return
        local_folders = context.getConf().get("spark.local.dir", "") or ""
        parent = local_folders.split(",")[0] or None
        with TemporaryDirectory(
            prefix="spark_fs-", dir=parent, ignore_cleanup_errors=True
        ) as folder:
            yield folder

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Say what went wrong in one line."""
        try:
            yield
        except (PySparkException, Py4JJavaError) as error:
            raise make_read_error(error) from get_safe_cause(error)


def get_frame(rows: TaskRows) -> DataFrame:
    """Rows that Spark holds, as a DataFrame*."""
    assert isinstance(rows, SparkRows)
    return rows.frame


def estimate_bytes(frame: DataFrame, unknown_bytes: int = UNKNOWN_BYTES) -> int:
    """The bytes of a frame by Spark's own estimate, at most those of all that it reads.

    Args:
        frame: Rows to come. Of a join, Spark's estimate is the product of its sides.
        unknown_bytes: What is taken where Spark has no idea, as of a database's query.
    """
    query: Any = frame._jdf.queryExecution()
    plan = query.optimizedPlan()
    leaves = plan.collectLeaves()
    read_bytes = sum(_get_size(leaves.apply(i)) for i in range(leaves.size()))
    size = min(_get_size(plan), read_bytes)
    return size if size < 1 << 50 else unknown_bytes


def _get_size(logical_plan: Any) -> int:
    """The bytes of a plan's rows, the greatest number there is where Spark has no idea."""
    return int(str(logical_plan.stats().sizeInBytes()))
