"""Hand the latest row of each key of a group to workers, bucket by bucket."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_fs.base import arrow_types
from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.join.stages import get_key_columns
from spark_fs.engine.latest import BucketHandler, KeyBuckets, LatestOrder, reduce_to_latest
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.engine.spark_runner import SparkRows, SparkRunner
from spark_fs.flows import group_rows
from spark_fs.online.table_layout import OnlineTable
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.data_files import DataFile
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.table import GroupTable

COMMIT_COLUMN = "_commit_version"
_BUCKET_BYTES = 32 << 20
_SINGLE_TASK_BYTES = 8 << 20  # bytes that one task reduces alone
_VALUE_BYTES = 16  # bytes of a value, about
_UNPACKED_FACTOR = 3  # bytes of long values in memory for each in a file, about
_READ_BYTES = 8 << 20  # bytes of a file's rows that a task reads at a time, about
_SAMPLED_FILES = 4


@dataclass(frozen=True)
class LatestRows:
    """Rows of a group, of which the latest of each key are wanted.

    row_count: about how many there are. scan: where workers read them; None where Spark does.
    """

    group: GroupSpec
    relation: ArrowRelation
    tie_breakers: tuple[str, ...]
    row_count: int
    scan: Scan | None = None

    @classmethod
    def from_version(cls, table: GroupTable, version: int) -> "LatestRows":
        """The rows of a version of the group's table."""
        group = table.group
        files = table.list_files(version)
        if latest_rows := cls.from_files(table, files):
            return latest_rows
        types = _list_column_types(group)
        rows = group_rows.read_group(table, version, with_duplicates=True)
        schema = arrow_types.to_arrow_schema(types)
        relation = ArrowRelation.from_rows(SparkRows(rows.select(*types)), schema)
        row_count = sum(file.row_count or 0 for file in files)
        return cls(group, relation, _get_tie_breakers(group), row_count)

    @classmethod
    def from_files(cls, table: GroupTable, files: Sequence[DataFile]) -> "LatestRows | None":
        """The rows of some of a table's data files; None where only Spark reads them."""
        group = table.group
        if not files or not parquet.is_scannable(files, group.types, group.partition_key, None):
            return None
        scan = Scan.from_files(parquet.to_scan_files(files), _list_column_types(group))
        table_rows = _READ_BYTES // _estimate_row_bytes(scan.schema, scan) + 1
        relation = ArrowRelation.from_scan(SparkRunner(table.spark), scan, table_rows)
        return cls(group, relation, _get_tie_breakers(group), scan.row_count, scan)

    @classmethod
    def from_changes(cls, group: GroupSpec, frame: DataFrame, row_count: int) -> "LatestRows":
        """Rows of the change feed, with the instant of ingestion and the commit.

        A row is the one that was committed last, whatever a clock said; where one identity may be
        there twice, the one ingested last.
        """
        tie_breakers = (*_get_tie_breakers(group), COMMIT_COLUMN)
        types = {**_list_column_types(group), COMMIT_COLUMN: "bigint"}
        schema = arrow_types.to_arrow_schema(types)
        relation = ArrowRelation.from_rows(SparkRows(frame.select(*types)), schema)
        return cls(group, relation, tie_breakers, row_count)

    def map_to_tuples(self, work: BucketHandler, types: Mapping[str, str]) -> list[tuple[int, ...]]:
        """Give the latest rows to ``work``, bucket by bucket, eagerly; the integers it returns."""
        table = self.map_buckets(work, types)
        columns = [column.to_pylist() for column in table.columns]
        return list(zip(*columns, strict=True))

    def map_buckets(self, work: BucketHandler, types: Mapping[str, str]) -> pa.Table:
        """Give the latest rows to ``work``, bucket by bucket, eagerly.

        Args:
            work: What is done to the rows of a bucket.
            types: The columns of what ``work`` returns, and their feature types.

        Returns:
            What it returned of all buckets.
        """
        group = self.group
        keys = tuple((key, group.get_column_type(key)) for key in group.primary_key)
        time = None
        if group.event_time:
            time = (group.event_time, group.get_column_type(group.event_time))
        order = LatestOrder(keys, time, self.tie_breakers)
        with self.relation.source.runner.open_shared_folder() as folder:
            buckets = self._plan_buckets(order)
            results = reduce_to_latest(self.relation, order, work, types, buckets, folder)
            return results.collect()

    def _plan_buckets(self, order: LatestOrder) -> KeyBuckets:
        size = self.row_count * _estimate_row_bytes(self.relation.schema, self.scan)
        count = 1
        if size > _SINGLE_TASK_BYTES:
            parallelism = self.relation.source.runner.parallelism
            count = max(parallelism, ceil_divide(size, _BUCKET_BYTES))
        if not self.scan or count == 1:
            return KeyBuckets(count)
        first_key = order.keys[0]
        sample = parquet.read_sample(self.scan, [first_key[0]], _SAMPLED_FILES)
        sampled_keys = get_key_columns(sample, [first_key])
        return KeyBuckets.from_sample(count, sampled_keys[0])


def _estimate_row_bytes(schema: pa.Schema, scan: Scan | None) -> int:
    """Bytes of a row, about; files tell of long values, though they are packed."""
    row_bytes = _VALUE_BYTES * len(schema)
    if scan is None or not scan.row_count:
        return row_bytes
    file_bytes = sum(file.bytes for file in scan.files)
    return max(row_bytes, _UNPACKED_FACTOR * file_bytes // scan.row_count)


def _get_tie_breakers(group: GroupSpec) -> tuple[str, ...]:
    """What decides between rows of one identity, where one may be there twice."""
    return (INGESTED_AT,) if group.may_have_duplicates else ()


def _list_column_types(group: GroupSpec) -> dict[str, str]:
    return {**group.types, **dict.fromkeys(_get_tie_breakers(group), "timestamp")}


def drop_expired(rows: pa.Table, table: OnlineTable, cutoff: int | None) -> pa.Table:
    """The rows that are not past their ttl.

    Args:
        rows: Rows of a group.
        table: Its online table.
        cutoff: The earliest event time within the ttl, in microseconds since 1970 in UTC; None
            without a ttl.
    """
    event_time = table.event_time
    if cutoff is None or not event_time:
        return rows
    type_ = table.columns_by_name[event_time].type
    event_micros = to_event_micros(rows.column(event_time), type_)
    return rows.filter(pc.greater_equal(event_micros, cutoff))


def make_counts_batch(**columns: int) -> Iterator[pa.RecordBatch]:
    """One row of integers, as a worker returns them."""
    arrays = {name: pa.array([value], pa.int64()) for name, value in columns.items()}
    yield pa.RecordBatch.from_pydict(arrays)


def filter_upserts(changes: DataFrame) -> DataFrame:
    """The rows* of a change feed that are in the table after a commit."""
    return changes.filter(F.col("_change_type").isin("insert", "update_postimage"))


def select_deleted_keys(changes: DataFrame, group: GroupSpec, last_deleted: str) -> DataFrame:
    """The keys* of which a change feed deletes a row.

    Args:
        changes: The change feed.
        group: The group.
        last_deleted: The name of a column for the last commit that did.
    """
    deletes = changes.filter(F.col("_change_type") == "delete")
    last_commit = F.max(COMMIT_COLUMN).alias(last_deleted)
    return deletes.groupBy(*group.primary_key).agg(last_commit)
