"""The latest row of each key of a group, handed to workers bucket by bucket."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs import arrow
from spark_fs.engine import scan
from spark_fs.engine.columnar import Stream
from spark_fs.engine.newest import Buckets, Order, Work, reduced
from spark_fs.engine.passes import keys_of
from spark_fs.engine.scan import Scan
from spark_fs.flows import rows
from spark_fs.flows.queries import shared_folder
from spark_fs.offline import history
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.offline.history import FileFacts
from spark_fs.spec.definitions import GroupSpec

COMMIT = "_commit_version"
_BUCKET = 64 << 20  # bytes
_SMALL = 8 << 20  # bytes that one task reduces alone
_CELL = 16  # bytes of a value, about
_SAMPLED_FILES = 4


@dataclass(frozen=True)
class Latest:
    """Rows of a group, of which the latest of each key are wanted; rows: about how many there are; scan: where workers read them."""

    group: GroupSpec
    stream: Stream
    ties: tuple[str, ...]
    rows: int
    scan: Scan | None = None

    @classmethod
    def of_version(cls, spark: SparkSession, group: GroupSpec, table: history.Table, version: int) -> "Latest":
        """The rows of a version of the group's table."""
        log = history.look(table, version)
        files = history.data_files(log)
        if found := cls.of_files(spark, group, files):
            return found
        types = _with_ingestion(group)
        frame = rows.opened(spark, group, log.path, version, every=True).select(*types)
        return cls(group, Stream.of(frame, arrow.schema_of(types)), _ties(group), sum(file.rows or 0 for file in files))

    @classmethod
    def of_files(cls, spark: SparkSession, group: GroupSpec, files: Sequence[FileFacts]) -> "Latest | None":
        """The rows of data files; None where only Spark reads them."""
        if not files or not scan.scannable(files, group.types, group.partition_key, None):
            return None
        types = _with_ingestion(group)
        read = Scan.of(scan.listed(files), types)
        return cls(group, Stream.scanned(spark, read), _ties(group), read.rows, read)

    @classmethod
    def of_changes(cls, group: GroupSpec, frame: DataFrame, count: int) -> "Latest":
        """Rows of the change feed, with the instant of ingestion and the commit.

        A row is the one that was committed last, whatever a clock said; where one identity may be there twice, the one ingested last.
        """
        ties = (INGESTED_AT, COMMIT) if group.vouched else (COMMIT,)
        types = {**group.types, INGESTED_AT: "timestamp", COMMIT: "bigint"}
        types = {name: type_ for name, type_ in types.items() if name in group.types or name in ties}
        return cls(group, Stream.of(frame.select(*types), arrow.schema_of(types)), ties, count)

    def run(self, spark: SparkSession, work: Work, returns: str) -> list[tuple[int, ...]]:
        """Give the latest rows to ``work``, bucket by bucket, eagerly; what it returns, which are whole numbers."""
        return list(zip(*(column.to_pylist() for column in self.table(spark, work, returns).columns), strict=True))

    def table(self, spark: SparkSession, work: Work, returns: str) -> pa.Table:
        """Give the latest rows to ``work``, bucket by bucket, eagerly; what it returns, of these columns."""
        group = self.group
        time = (group.event_time, group.type_of(group.event_time)) if group.event_time else None
        order = Order(tuple((key, group.type_of(key)) for key in group.primary_key), time, self.ties)
        with shared_folder(spark) as folder:
            return reduced(self.stream, order, work, returns, self._buckets(spark, order), folder).toArrow()

    def _buckets(self, spark: SparkSession, order: Order) -> Buckets:
        size = self.rows * _CELL * len(self.stream.schema)
        count = 1 if size <= _SMALL else max(spark.sparkContext.defaultParallelism, -(-size // _BUCKET))
        if not self.scan or count == 1:
            return Buckets(count)
        key = order.keys[0]
        return Buckets.ranges(count, keys_of(scan.sampled(self.scan, [key[0]], _SAMPLED_FILES), [key])[0])


def _ties(group: GroupSpec) -> tuple[str, ...]:
    """What decides between rows of one identity, where one may be there twice."""
    return (INGESTED_AT,) if group.vouched else ()


def _with_ingestion(group: GroupSpec) -> dict[str, str]:
    return {**group.types, **dict.fromkeys(_ties(group), "timestamp")}


def fresh(table: pa.Table, time: tuple[str, str] | None, cutoff: int | None) -> pa.Table:
    """The rows that are not past their ttl; cutoff: in microseconds, None: none is."""
    if cutoff is None or time is None:
        return table
    return table.filter(pc.greater_equal(scan.instants(table.column(time[0]), time[1]), cutoff))


def counted(**columns: int) -> Iterator[pa.RecordBatch]:
    """One row of whole numbers, as a worker returns them."""
    yield pa.RecordBatch.from_pydict({name: pa.array([value], pa.int64()) for name, value in columns.items()})


def upserts(changes: DataFrame) -> DataFrame:
    """The rows* of a change feed that are in the table after a commit."""
    return changes.filter(F.col("_change_type").isin("insert", "update_postimage"))


def deletes(changes: DataFrame, group: GroupSpec) -> DataFrame:
    """The keys* of which a change feed deletes a row."""
    return changes.filter(F.col("_change_type") == "delete").select(*group.primary_key).distinct()
