"""The rows of a group that may hold several of one identity: only the one ingested last counts.

Which one that is shows when all rows of an identity are in one place. So nothing is left out
before: the conditions of a scan are looked at after.
"""

from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.engine.join.columnar import ArrowRelation
from spark_fs.engine.latest import KeyBuckets, LatestOrder, reduce_to_latest
from spark_fs.engine.runner import Runner
from spark_fs.engine.scan import parquet
from spark_fs.engine.scan.parquet import Scan
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.ingestion import INGESTED_AT


def build_relation_without_duplicates(
    runner: Runner, scan: Scan, group: GroupSpec, bucket_count: int, folder: str | None
) -> ArrowRelation:
    """The rows of a scan*, of those that are the last ingested of their identity.

    Args:
        runner: Runs the tasks.
        scan: What is read.
        group: Whose files they are.
        bucket_count: To so many parts the rows are moved by their identity.
        folder: One that every task sees, kept until the rows were read; None: the runner moves the
            rows themselves.
    """
    types = {**group.types, INGESTED_AT: "timestamp"}
    columns = dict.fromkeys([*scan.file_schema.names, *group.identity, INGESTED_AT])
    read_types = {column: types[column] for column in columns}
    every_row = ArrowRelation.from_scan(runner, Scan.from_files(scan.files, read_types))
    identity = tuple((column, types[column]) for column in group.identity)
    order = LatestOrder(identity, None, (INGESTED_AT,))
    buckets = KeyBuckets(bucket_count)
    latest = reduce_to_latest(every_row, order, _list_batches, read_types, buckets, folder)
    relation = ArrowRelation.from_rows(latest, arrow_types.to_arrow_schema(read_types))
    return relation.map_tables(partial(_select_rows, scan), scan.schema)


def _list_batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    yield from table.to_batches()


def _select_rows(scan: Scan, table: pa.Table) -> pa.Table:
    columns = {name: table.column(name) for name in table.column_names}
    return parquet.select_rows(scan, columns)
