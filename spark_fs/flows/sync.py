"""Bring the online table of a feature group up to its Delta table.

The first time, and where the change feed does not reach back, the whole table is loaded beside the
one that is served and put in its place. After that the workers reduce what changed since the last
synced version to the latest row of each key and load it into tables of this run; the store merges
these in one transaction with the version. Where rows were deleted, what is left of their keys is
written anew (``deletions.py``). A run that is killed leaves what is served as it was.
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

from spark_fs import errors
from spark_fs.base.times import to_micros
from spark_fs.engine.runner import ProgressCallback
from spark_fs.engine.spark_runner import SparkRunner
from spark_fs.errors import NotFoundError, OnlineStoreError, SparkFSError
from spark_fs.flows import group_rows
from spark_fs.flows.deletions import may_delete, resolve_deletions
from spark_fs.flows.jobs import Job
from spark_fs.flows.latest_rows import (
    LatestRows,
    drop_expired,
    filter_upserts,
    make_counts_batch,
)
from spark_fs.flows.progress import report_progress
from spark_fs.online.registry import make_writer
from spark_fs.online.store import (
    MergeResult,
    OnlineStore,
    OnlineWriter,
    StagingTables,
    SyncSession,
    TableOrigin,
)
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.redact import get_safe_cause
from spark_fs.tables.commits import Commit
from spark_fs.tables.spark_errors import find_root_cause
from spark_fs.tables.table import GroupTable
from spark_fs.tables.table_log import open_log

# Spark gives the errors of workers, and of files that are gone, as text alone
_WORKER_ERROR = re.compile(r"^spark_fs\.errors\.(\w+): (.*)", re.MULTILINE)
_MISSING_FILE = re.compile(
    "FILE_NOT_EXIST|FileNotFound|No such file|DELTA_(CHANGE|FILE|MISSING|LOG|VERSION)"
)


def sync_group(
    group_table: GroupTable,
    store: OnlineStore,
    now: datetime | None = None,
    full_refresh: bool = False,
    progress: ProgressCallback | None = None,
) -> Job:
    """Bring the online table up to the newest version, eagerly.

    Args:
        group_table: The feature group's table; its session's workers load the rows.
        store: Where it is brought online.
        now: The instant by which rows are past their ttl; None: that of the call.
        full_refresh: Whether the whole table is loaded whatever was synced.
        progress: Called with the numbers of tasks done and known.

    Returns:
        The job, which counts rows.

    Raises:
        NotFoundError: A version is online that the table's log does not have.
        OnlineStoreError: The rows could not be loaded; what is online is as it was.
    """
    table = build_online_table(group_table.group, store.capabilities)
    online_writer = make_writer(store)
    origin = make_origin(group_table.path)
    spark = group_table.spark
    with (
        online_writer.open_session(table, origin) as session,
        report_progress(SparkRunner(spark), progress),
    ):
        newest = group_table.version
        synced = None if session.last_sync is None else session.last_sync.version
        cutoff = table.ttl_cutoff(now or datetime.now(UTC))
        sync = _GroupSync(group_table, online_writer, table, cutoff)
        start = None if full_refresh else _find_start(group_table, synced)
        try:
            if start is None:
                counts = sync.load_whole_table(session, newest)
            else:
                counts = sync.merge_changes(session, start, newest)
        except (PySparkException, Py4JJavaError) as error:
            raise _translate_error(table, error) from get_safe_cause(error)
    lag = (datetime.now(UTC) - group_table.get_commit_time(newest)).total_seconds()
    versions = {"from_version": synced, "to_version": newest}
    return Job(f"sync {table.name}", {**counts, **versions, "lag_seconds": round(lag, 1)})


def _find_start(group_table: GroupTable, synced: int | None) -> int | None:
    """The version whose changes since are merged; None where the whole table is to be loaded."""
    if synced is None:
        return None
    newest = group_table.version
    if synced > newest:
        raise NotFoundError(
            f"Version {synced} of the table at {group_table.path} is online, and its log ends with"
            f" version {newest}: it was put back from an older backup, or is another one. Nothing"
            " was changed. Restore a newer one, or bring it online as it is with full=True."
        )
    return synced if group_table.has_commits(synced + 1, newest) else None


def make_origin(path: str, allow_damaged: bool = False) -> TableOrigin:
    """What an online table is made from: the table at a folder or URI.

    A folder is named with its host.

    Args:
        path: Where the table is.
        allow_damaged: Whether its log may be one that cannot be read; of such a table no identifier
            is known.
    """
    table_id = ""
    with suppress(SparkFSError) if allow_damaged else nullcontext():
        table_id = open_log(path).table_id
    location = path if "://" in path else f"{path} on {socket.gethostname()}"
    return TableOrigin(table_id, location)


@dataclass(frozen=True)
class _LatestRowsLoader:
    """What a worker does with the latest rows of a bucket: load those within their ttl."""

    online_writer: OnlineWriter
    table: OnlineTable
    staging: StagingTables
    cutoff: int | None

    def __call__(self, bucket: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = drop_expired(bucket, self.table, self.cutoff)
        if rows.num_rows:
            columns = list(self.table.columns_by_name)
            self.online_writer.load_rows(self.table, self.staging, rows.select(columns))
        expired = bucket.num_rows - rows.num_rows
        yield from make_counts_batch(written=rows.num_rows, expired=expired)


@dataclass(frozen=True)
class _DeletedKeysLoader:
    """What a worker does with keys that lost a row: load them."""

    online_writer: OnlineWriter
    table: OnlineTable
    staging: StagingTables

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            keys = pa.Table.from_batches([batch])
            self.online_writer.load_deleted_keys(self.table, self.staging, keys)
            yield from make_counts_batch(gone=batch.num_rows)


@dataclass(frozen=True)
class _GroupSync:
    """One sync of one group."""

    group_table: GroupTable
    online_writer: OnlineWriter
    table: OnlineTable
    cutoff: datetime | None

    def load_whole_table(self, session: SyncSession, version: int) -> dict[str, int]:
        """Load the whole table beside the one that is served, and put it in its place."""
        staging = session.begin_staging(full_refresh=True)
        latest = LatestRows.from_version(self.group_table, version)
        load_counts = self._load_rows(latest, staging)
        session.swap_tables(staging, version)
        return _sum_counts(load_counts, MergeResult())

    def merge_changes(self, session: SyncSession, last_synced: int, version: int) -> dict[str, int]:
        """Load what changed after a version, and merge it."""
        commits: list[Commit] = []
        if version > last_synced:
            commits = self.group_table.list_commits(version - last_synced, version)
        if not commits and self.cutoff is None:
            return _sum_counts([], MergeResult())
        changes = [commit for commit in commits if commit.changes_rows]
        staging = session.begin_staging(full_refresh=False)
        load_counts: list[tuple[int, ...]] = []
        with ExitStack() as exit_stack:
            try:
                if changes:
                    changed_rows = self._find_changed_rows(
                        staging, last_synced, version, changes, exit_stack
                    )
                    load_counts = self._load_rows(changed_rows, staging)
            except (PySparkException, Py4JJavaError) as error:
                if not _MISSING_FILE.search(str(error)):
                    raise
                return self.load_whole_table(session, version)  # files of the feed were cleaned up
        merge_result = session.merge_rows(staging, version, self.cutoff)
        return _sum_counts(load_counts, merge_result)

    def _find_changed_rows(
        self,
        staging: StagingTables,
        last_synced: int,
        version: int,
        commits: Sequence[Commit],
        exit_stack: ExitStack,
    ) -> LatestRows:
        """The rows that commits wrote.

        They are read from the commits' files where rows were only added, else from the change feed.
        """
        table = self.group_table
        added_files = table.list_added_files(last_synced + 1, version)
        if added_files:
            added_rows = LatestRows.from_files(table, added_files)
            if added_rows:
                return added_rows
        feed = group_rows.read_changes(table, last_synced, version)
        if not any(may_delete(commit) for commit in commits):
            row_count = sum(commit.inserted + commit.updated for commit in commits)
            return LatestRows.from_changes(table.group, filter_upserts(feed), row_count)
        loader = _DeletedKeysLoader(self.online_writer, self.table, staging)
        left = resolve_deletions(table, feed, commits, version, loader, exit_stack)
        return LatestRows.from_changes(table.group, left.frame, left.row_count)

    def _load_rows(self, latest: LatestRows, staging: StagingTables) -> list[tuple[int, ...]]:
        """Load the latest rows, eagerly; returns the rows written and expired of each bucket."""
        cutoff = None if self.cutoff is None else to_micros(self.cutoff)
        loader = _LatestRowsLoader(self.online_writer, self.table, staging, cutoff)
        return latest.map_to_tuples(loader, {"written": "bigint", "expired": "bigint"})


def _sum_counts(load_counts: list[tuple[int, ...]], merge_result: MergeResult) -> dict[str, int]:
    written = 0
    expired = merge_result.expired
    for bucket_written, bucket_expired in load_counts:
        written += bucket_written
        expired += bucket_expired
    return {
        "written": written - merge_result.skipped,
        "deleted": merge_result.deleted,
        "skipped": merge_result.skipped,
        "expired": expired,
    }


def _translate_error(table: OnlineTable, error: Exception) -> SparkFSError:
    """The error that a worker raised as itself; for any other one that says what is online."""
    worker_errors = _WORKER_ERROR.findall(str(error))
    if worker_errors:
        class_name, message = worker_errors[-1]
        error_class = getattr(errors, class_name, None)
        if isinstance(error_class, type) and issubclass(error_class, SparkFSError):
            return error_class(message)
    return OnlineStoreError(
        f"The sync of {table.name} failed and what is online is as it was:"
        f" {find_root_cause(error)} Run it again; it begins where the last one ended."
    )
