"""What a sync writes of keys of which a row was deleted.

Their online rows go, and what is left of them is written anew. Where whole keys were deleted, that
is what the change feed brings of them later; else the newest rows of these keys are looked for in
the table's files, and, where only Spark reads these or many keys may lie in many files, in the
whole table.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from spark_fs.engine.runner import BatchTask
from spark_fs.engine.spark_runner import SparkRunner, get_frame
from spark_fs.flows import group_rows
from spark_fs.flows.key_rows import find_newest_rows
from spark_fs.flows.latest_rows import COMMIT_COLUMN, filter_upserts, select_deleted_keys
from spark_fs.tables.commits import Commit
from spark_fs.tables.ingestion import INGESTED_AT
from spark_fs.tables.table import GroupTable

_SENT_KEYS = 100_000  # keys that are sent to every worker
_OPERATIONS_WITHOUT_DELETES = ("upsert", "insert")  # commits that delete no row
_LAST_DELETED = "_last_deleted"


@dataclass(frozen=True)
class RowsLeft:
    """Rows* of a table that a sync brings online, and about how many there are."""

    frame: DataFrame
    row_count: int


def may_delete(commit: Commit) -> bool:
    """Whether a commit may have deleted rows."""
    return bool(commit.deleted) or commit.operation not in _OPERATIONS_WITHOUT_DELETES


def resolve_deletions(
    table: GroupTable,
    changes: DataFrame,
    commits: Sequence[Commit],
    version: int,
    load_keys: BatchTask,
    exit_stack: ExitStack,
) -> RowsLeft:
    """Load the keys that lost a row, eagerly; gives what is left of these and of other changes.

    Args:
        table: The group's table.
        changes: What the commits did, by the change feed.
        commits: The commits.
        version: That of the last of them.
        load_keys: Loads keys in a worker, and gives their number.
        exit_stack: Ends when the rows were read.
    """
    group = table.group
    keys = list(group.primary_key)
    changed_rows = sum(commit.inserted + commit.updated for commit in commits)
    deleted = select_deleted_keys(changes, group, _LAST_DELETED)
    deleted.persist(StorageLevel.MEMORY_AND_DISK)
    exit_stack.callback(deleted.unpersist)
    key_counts = deleted.select(*keys).mapInArrow(load_keys, "gone bigint").collect()
    key_count = sum(count for (count,) in key_counts)
    columns = [*group.types, INGESTED_AT, COMMIT_COLUMN]
    upserts = filter_upserts(changes)
    if all(commit.whole_keys for commit in commits if may_delete(commit)):
        marked = upserts.join(deleted, on=keys, how="left")
        is_left = F.col(_LAST_DELETED).isNull() | (F.col(COMMIT_COLUMN) > F.col(_LAST_DELETED))
        return RowsLeft(marked.filter(is_left).select(*columns), changed_rows)
    others = upserts.join(deleted, on=keys, how="left_anti").select(*columns)
    left = _find_rows_left(table, deleted.select(*keys), key_count, version)
    rows = left.frame.withColumn(COMMIT_COLUMN, F.lit(version).cast("bigint"))
    all_rows = others.unionByName(rows.select(*columns))
    return RowsLeft(all_rows, changed_rows + left.row_count)


def _find_rows_left(table: GroupTable, keys: DataFrame, key_count: int, version: int) -> RowsLeft:
    """The rows* that a version has of keys, the newest of each among them."""
    if key_count <= _SENT_KEYS:
        runner = SparkRunner(table.spark)
        files = table.list_files(version)
        found = find_newest_rows(runner, table.group, files, keys.toArrow())
        if found:
            types = {**table.group.types, INGESTED_AT: "timestamp"}
            return RowsLeft(get_frame(found.relation.select(types)), found.row_count)
    all_rows = group_rows.read_group(table, version, with_duplicates=True)
    row_count = sum(file.row_count or 0 for file in table.list_files(version))
    left = all_rows.join(keys, on=list(table.group.primary_key), how="left_semi")
    return RowsLeft(left, row_count)
