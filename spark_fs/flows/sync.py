"""Bring the online table of a feature group up to its Delta table.

The first time, and where the change feed does not reach back, the whole table is loaded beside the
one that is served and put in its place. After that what changed since the last synced version is
reduced to the latest row per key by the workers, loaded by them into tables of this run, and merged
by the store in one transaction with the version. Where rows were deleted, the latest row of their
keys is sought in the whole table. A run that is killed leaves what is served as it was.
"""

import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from spark_fs import errors
from spark_fs.base.times import to_micros
from spark_fs.errors import NotFoundError, OnlineStoreError, SparkFSError
from spark_fs.flows import group_rows
from spark_fs.flows.jobs import Job
from spark_fs.flows.latest_rows import (
    COMMIT_COLUMN,
    LatestRows,
    drop_expired,
    filter_upserts,
    make_counts_batch,
    select_deleted_keys,
)
from spark_fs.flows.progress import ProgressCallback, report_progress
from spark_fs.online.registry import make_writer
from spark_fs.online.store import (
    MergeResult,
    OnlineStore,
    OnlineWriter,
    StagingTables,
    SyncSession,
    TableOrigin,
)
from spark_fs.online.table import OnlineTable, build_online_table
from spark_fs.redact import get_safe_cause
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.delta import commands, history
from spark_fs.tables.delta.commands import INGESTED_AT
from spark_fs.tables.delta.history import Commit
from spark_fs.tables.delta.log import DeltaLog

_OPERATIONS_WITHOUT_DELETES = ("upsert", "insert")  # commits that delete no row
_MISSING_FILE = re.compile(
    "FILE_NOT_EXIST|FileNotFound|No such file|DELTA_(CHANGE|FILE|MISSING|LOG|VERSION)"
)


def sync_group(
    spark: SparkSession,
    group: GroupSpec,
    path: str,
    store: OnlineStore,
    now: datetime | None = None,
    full_refresh: bool = False,
    progress: ProgressCallback | None = None,
) -> Job:
    """Bring the online table up to the newest version, eagerly; the summary counts rows.

    now: the instant by which rows are past their ttl; None: that of the call. afresh: load the
    whole table whatever was synced.
    """
    table = build_online_table(group, store.capabilities)
    write = make_writer(store)
    with write.open_session(table, make_origin(path)) as session, report_progress(spark, progress):
        log, synced = history.open_log(path), session.last_sync
        newest = log.version
        one = _GroupSync(
            spark, group, log, write, table, table.ttl_cutoff(now or datetime.now(UTC))
        )
        last = None if synced is None or full_refresh else synced.version
        if last is not None and last > newest:
            raise NotFoundError(
                f"Version {last} of the table at {path} is online, and its log ends with version"
                f" {newest}: it was put back from an older backup, or is another one. Nothing was"
                " changed. Restore a newer one, or bring it online as it is with full=True."
            )
        if last is not None and not history.has_commits(log, last + 1, newest):
            last = None
        try:
            counts = (
                one.load_whole_table(session, newest)
                if last is None
                else one.merge_changes(session, last, newest)
            )
        except (PySparkException, Py4JJavaError) as error:
            raise _translate_error(table, error) from get_safe_cause(error)
    lag = (datetime.now(UTC) - log.get_commit_time(newest)).total_seconds()
    before = None if synced is None else synced.version
    return Job(
        f"sync {table.name}",
        {**counts, "from_version": before, "to_version": newest, "lag_seconds": round(lag, 1)},
    )


def make_origin(path: str, allow_damaged: bool = False) -> TableOrigin:
    """What an online table is made from: the table at a folder or URI; a folder is named with its host.

    damaged: whether a log that cannot be read will do; of its table the place alone is known.
    """
    known = ""
    with suppress(SparkFSError) if allow_damaged else nullcontext():
        known = history.get_table_id(path)
    return TableOrigin(known, path if "://" in path else f"{path} on {socket.gethostname()}")


@dataclass(frozen=True)
class _LatestRowsLoader:
    """What a worker does with the latest rows of a bucket: load those that are not past their ttl."""

    online_writer: OnlineWriter
    table: OnlineTable
    staging: StagingTables
    cutoff: int | None

    def __call__(self, bucket: pa.Table) -> Iterator[pa.RecordBatch]:
        time = self.table.event_time
        kept = drop_expired(
            bucket, (time, self.table.columns_by_name[time].type) if time else None, self.cutoff
        )
        if kept.num_rows:
            self.online_writer.load_rows(
                self.table, self.staging, kept.select([c.name for c in self.table.columns])
            )
        yield from make_counts_batch(written=kept.num_rows, expired=bucket.num_rows - kept.num_rows)


@dataclass(frozen=True)
class _DeletedKeysLoader:
    """What a worker does with keys that go."""

    online_writer: OnlineWriter
    table: OnlineTable
    staging: StagingTables

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.online_writer.load_deleted_keys(
                self.table, self.staging, pa.Table.from_batches([batch])
            )
            yield from make_counts_batch(gone=batch.num_rows)


@dataclass(frozen=True)
class _GroupSync:
    """One sync of one group."""

    spark: SparkSession
    group: GroupSpec
    log: DeltaLog
    online_writer: OnlineWriter
    table: OnlineTable
    cutoff: datetime | None

    def load_whole_table(self, session: SyncSession, version: int) -> dict[str, int]:
        """Load the whole table beside the one that is served, and put it in its place."""
        place = session.begin_staging(full_refresh=True)
        loaded = self._load_rows(
            LatestRows.from_version(self.spark, self.group, self.log, version), place
        )
        session.swap_tables(place, version)
        return _sum_counts(loaded, MergeResult())

    def merge_changes(self, session: SyncSession, last_synced: int, version: int) -> dict[str, int]:
        """Load what changed after a version, and merge it."""
        done = (
            history.list_commits(self.log, version - last_synced, version)
            if version > last_synced
            else []
        )
        commits = [commit for commit in done if commit.changes_rows]
        if not done and self.cutoff is None:
            return _sum_counts([], MergeResult())
        place, loaded = session.begin_staging(full_refresh=False), []
        with ExitStack() as after:
            try:
                if commits:
                    loaded = self._load_rows(
                        self._find_changed_rows(place, last_synced, version, commits, after), place
                    )
            except (PySparkException, Py4JJavaError) as error:
                if not _MISSING_FILE.search(str(error)):
                    raise
                return self.load_whole_table(session, version)  # files of the feed were cleaned up
        return _sum_counts(loaded, session.merge_rows(place, version, self.cutoff))

    def _find_changed_rows(
        self,
        staging: StagingTables,
        last_synced: int,
        version: int,
        commits: Sequence[Commit],
        exit_stack: ExitStack,
    ) -> LatestRows:
        """The rows that commits wrote: from their files where rows were only added, else from the change feed."""
        added = history.list_added_files(self.log, last_synced + 1, version)
        if added and (found := LatestRows.from_files(self.spark, self.group, added)):
            return found
        feed = group_rows.read_changes(self.spark, self.group, self.log, last_synced, version)
        count = sum(c.inserted + c.updated for c in commits)
        if all(c.operation in _OPERATIONS_WITHOUT_DELETES and not c.deleted for c in commits):
            return LatestRows.from_changes(self.group, filter_upserts(feed), count)
        whole = sum(f.row_count or 0 for f in history.list_data_files(self.log, version))
        return LatestRows.from_changes(
            self.group,
            self._resolve_deleted_keys(feed, staging, version, exit_stack),
            count + whole,
        )

    def _resolve_deleted_keys(
        self, feed: DataFrame, staging: StagingTables, version: int, exit_stack: ExitStack
    ) -> DataFrame:
        """Load the keys that lost a row; the rows* of these keys are sought in the table, those of the others in the feed."""
        keys = list(self.group.primary_key)
        gone = select_deleted_keys(feed, self.group).persist(StorageLevel.MEMORY_AND_DISK)
        exit_stack.callback(gone.unpersist)
        gone.mapInArrow(
            _DeletedKeysLoader(self.online_writer, self.table, staging), "gone bigint"
        ).collect()
        whole = group_rows.read_group(
            self.spark, self.group, self.log.path, version, with_duplicates=True
        )
        left = whole.join(gone, on=keys, how="left_semi").withColumn(
            COMMIT_COLUMN, F.lit(version).cast("bigint")
        )
        columns = [*self.group.types, INGESTED_AT, COMMIT_COLUMN]
        others = filter_upserts(feed).join(gone, on=keys, how="left_anti")
        return others.select(*columns).unionByName(left.select(*columns))

    def _load_rows(self, latest: LatestRows, staging: StagingTables) -> list[tuple[int, ...]]:
        cutoff = None if self.cutoff is None else to_micros(self.cutoff)
        return latest.map_to_tuples(
            self.spark,
            _LatestRowsLoader(self.online_writer, self.table, staging, cutoff),
            "written bigint, expired bigint",
        )


def _sum_counts(load_counts: list[tuple[int, ...]], merge_result: MergeResult) -> dict[str, int]:
    written = sum(row[0] for row in load_counts)
    expired = sum(row[1] for row in load_counts) + merge_result.expired
    return {
        "written": written - merge_result.skipped,
        "deleted": merge_result.deleted,
        "skipped": merge_result.skipped,
        "expired": expired,
    }


def _translate_error(table: OnlineTable, error: Exception) -> SparkFSError:
    """What a worker raised as itself; anything else says what is left."""
    ours = re.findall(r"^spark_fs\.errors\.(\w+): (.*)", str(error), re.MULTILINE)
    if (
        ours
        and isinstance(kind := getattr(errors, ours[-1][0], None), type)
        and issubclass(kind, SparkFSError)
    ):
        return kind(ours[-1][1])
    return OnlineStoreError(
        f"The sync of {table.name} failed and what is online is as it was:"
        f" {commands.find_root_cause(error)} Run it again; it begins where the last one ended."
    )
