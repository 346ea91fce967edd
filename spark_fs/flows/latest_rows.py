"""The latest row of each key of a group, handed to workers bucket by bucket."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base import arrow_types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.stages import get_key_columns
from spark_fs.engine.latest import BucketHandler, KeyBuckets, LatestOrder, reduce_to_latest
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.flows import group_rows
from spark_fs.flows.read import open_shared_folder
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.delta import history
from spark_fs.tables.delta.commands import INGESTED_AT
from spark_fs.tables.delta.history import DataFile

COMMIT_COLUMN = "_commit_version"
_BUCKET_BYTES = 64 << 20  # bytes
_SINGLE_TASK_BYTES = 8 << 20  # bytes that one task reduces alone
_VALUE_BYTES = 16  # bytes of a value, about
_SAMPLED_FILES = 4


@dataclass(frozen=True)
class LatestRows:
    """Rows of a group, of which the latest of each key are wanted; rows: about how many there are; scan: where workers read them."""

    group: GroupSpec
    relation: ArrowRelation
    tie_breakers: tuple[str, ...]
    row_count: int
    scan: Scan | None = None

    @classmethod
    def from_version(
        cls, spark: SparkSession, group: GroupSpec, table: history.TableRef, version: int
    ) -> "LatestRows":
        """The rows of a version of the group's table."""
        log = history.open_log(table, version)
        files = history.list_data_files(log)
        if found := cls.from_files(spark, group, files):
            return found
        types = _list_column_types(group)
        frame = group_rows.read_group(spark, group, log.path, version, with_duplicates=True).select(
            *types
        )
        return cls(
            group,
            ArrowRelation.from_frame(frame, arrow_types.to_arrow_schema(types)),
            _get_tie_breakers(group),
            sum(file.row_count or 0 for file in files),
        )

    @classmethod
    def from_files(
        cls, spark: SparkSession, group: GroupSpec, files: Sequence[DataFile]
    ) -> "LatestRows | None":
        """The rows of data files; None where only Spark reads them."""
        if not files or not parquet.is_scannable(files, group.types, group.partition_key, None):
            return None
        types = _list_column_types(group)
        read = Scan.from_files(parquet.to_scan_files(files), types)
        return cls(
            group,
            ArrowRelation.from_scan(spark, read),
            _get_tie_breakers(group),
            read.row_count,
            read,
        )

    @classmethod
    def from_changes(cls, group: GroupSpec, frame: DataFrame, row_count: int) -> "LatestRows":
        """Rows of the change feed, with the instant of ingestion and the commit.

        A row is the one that was committed last, whatever a clock said; where one identity may be
        there twice, the one ingested last.
        """
        ties = (INGESTED_AT, COMMIT_COLUMN) if group.may_have_duplicates else (COMMIT_COLUMN,)
        types = {**group.types, INGESTED_AT: "timestamp", COMMIT_COLUMN: "bigint"}
        types = {
            name: type_ for name, type_ in types.items() if name in group.types or name in ties
        }
        return cls(
            group,
            ArrowRelation.from_frame(frame.select(*types), arrow_types.to_arrow_schema(types)),
            ties,
            row_count,
        )

    def map_to_tuples(
        self, spark: SparkSession, work: BucketHandler, schema: str
    ) -> list[tuple[int, ...]]:
        """Give the latest rows to ``work``, bucket by bucket, eagerly; what it returns, which are whole numbers."""
        return list(
            zip(
                *(column.to_pylist() for column in self.map_buckets(spark, work, schema).columns),
                strict=True,
            )
        )

    def map_buckets(self, spark: SparkSession, work: BucketHandler, schema: str) -> pa.Table:
        """Give the latest rows to ``work``, bucket by bucket, eagerly; what it returns, of these columns."""
        group = self.group
        time = (
            (group.event_time, group.get_column_type(group.event_time))
            if group.event_time
            else None
        )
        order = LatestOrder(
            tuple((key, group.get_column_type(key)) for key in group.primary_key),
            time,
            self.tie_breakers,
        )
        with open_shared_folder(spark) as folder:
            return reduce_to_latest(
                self.relation, order, work, schema, self._plan_buckets(spark, order), folder
            ).toArrow()

    def _plan_buckets(self, spark: SparkSession, order: LatestOrder) -> KeyBuckets:
        size = self.row_count * _VALUE_BYTES * len(self.relation.schema)
        count = (
            1
            if size <= _SINGLE_TASK_BYTES
            else max(spark.sparkContext.defaultParallelism, ceil_divide(size, _BUCKET_BYTES))
        )
        if not self.scan or count == 1:
            return KeyBuckets(count)
        key = order.keys[0]
        return KeyBuckets.from_sample(
            count,
            get_key_columns(parquet.read_sample(self.scan, [key[0]], _SAMPLED_FILES), [key])[0],
        )


def _get_tie_breakers(group: GroupSpec) -> tuple[str, ...]:
    """What decides between rows of one identity, where one may be there twice."""
    return (INGESTED_AT,) if group.may_have_duplicates else ()


def _list_column_types(group: GroupSpec) -> dict[str, str]:
    return {**group.types, **dict.fromkeys(_get_tie_breakers(group), "timestamp")}


def drop_expired(table: pa.Table, time: tuple[str, str] | None, cutoff: int | None) -> pa.Table:
    """The rows that are not past their ttl; cutoff: in microseconds, None: none is."""
    if cutoff is None or time is None:
        return table
    return table.filter(
        pc.greater_equal(parquet.to_event_micros(table.column(time[0]), time[1]), cutoff)
    )


def make_counts_batch(**columns: int) -> Iterator[pa.RecordBatch]:
    """One row of whole numbers, as a worker returns them."""
    yield pa.RecordBatch.from_pydict(
        {name: pa.array([value], pa.int64()) for name, value in columns.items()}
    )


def filter_upserts(changes: DataFrame) -> DataFrame:
    """The rows* of a change feed that are in the table after a commit."""
    return changes.filter(F.col("_change_type").isin("insert", "update_postimage"))


def select_deleted_keys(changes: DataFrame, group: GroupSpec) -> DataFrame:
    """The keys* of which a change feed deletes a row."""
    return changes.filter(F.col("_change_type") == "delete").select(*group.primary_key).distinct()
