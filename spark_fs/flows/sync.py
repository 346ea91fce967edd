"""Bring the online table of a feature group up to its Delta table.

The first time, and where the change feed does not reach back, the whole table is loaded beside the one that is served and put in its
place. After that what changed since the last synced version is reduced to the latest row per key by the workers, loaded by them into
tables of this run, and merged by the store in one transaction with the version. Where rows were deleted, the latest row of their keys is
sought in the whole table. A run that is killed leaves what is served as it was.
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
from spark_fs.errors import NotFoundError, OnlineStoreError, SparkFSError
from spark_fs.flows import rows
from spark_fs.flows.jobs import Job
from spark_fs.flows.latest import COMMIT, Latest, counted, deletes, fresh, upserts
from spark_fs.flows.progress import Progress, followed
from spark_fs.offline import delta, history
from spark_fs.offline.delta import INGESTED_AT
from spark_fs.offline.history import Commit
from spark_fs.offline.log import Log
from spark_fs.online.layout import OnlineTable, online_table
from spark_fs.online.store import Merged, OnlineStore, Origin, Place, Session, Writer
from spark_fs.online.writers import writer
from spark_fs.redact import without_secrets
from spark_fs.spec.definitions import GroupSpec
from spark_fs.types import to_micros

_KEEPS = ("upsert", "insert")  # commits that delete no row
_LOST = re.compile("FILE_NOT_EXIST|FileNotFound|No such file|DELTA_(CHANGE|FILE|MISSING|LOG|VERSION)")


def sync(
    spark: SparkSession, group: GroupSpec, path: str, store: OnlineStore, now: datetime | None = None, afresh: bool = False,
    progress: Progress | None = None,
) -> Job:
    """Bring the online table up to the newest version, eagerly; the summary counts rows.

    now: the instant by which rows are past their ttl; None: that of the call. afresh: load the whole table whatever was synced.
    """
    table = online_table(group, store.capabilities)
    write = writer(store)
    with write.session(table, origin(path)) as session, followed(spark, progress):
        log, synced = history.look(path), session.synced
        newest = log.newest
        one = _Sync(spark, group, log, write, table, table.cutoff(now or datetime.now(UTC)))
        last = None if synced is None or afresh else synced.version
        if last is not None and last > newest:
            raise NotFoundError(
                f"Version {last} of the table at {path} is online, and its log ends with version {newest}: it was put back from an older "
                "backup, or is another one. Nothing was changed. Restore a newer one, or bring it online as it is with full=True."
            )
        if last is not None and not history.reaches_back(log, last + 1, newest):
            last = None
        try:
            counts = one.whole(session, newest) if last is None else one.changes(session, last, newest)
        except (PySparkException, Py4JJavaError) as error:
            raise _failed(table, error) from without_secrets(error)
    lag = (datetime.now(UTC) - log.committed_at(newest)).total_seconds()
    before = None if synced is None else synced.version
    return Job(f"sync {table.name}", {**counts, "from_version": before, "to_version": newest, "lag_seconds": round(lag, 1)})


def origin(path: str, damaged: bool = False) -> Origin:
    """What an online table is made from: the table at a folder or URI; a folder is named with its host.

    damaged: whether a log that cannot be read will do; of its table the place alone is known.
    """
    known = ""
    with suppress(SparkFSError) if damaged else nullcontext():
        known = history.table_id(path)
    return Origin(known, path if "://" in path else f"{path} on {socket.gethostname()}")


@dataclass(frozen=True)
class _Load:
    """What a worker does with the latest rows of a bucket: load those that are not past their ttl."""

    write: Writer
    table: OnlineTable
    place: Place
    cutoff: int | None

    def __call__(self, bucket: pa.Table) -> Iterator[pa.RecordBatch]:
        time = self.table.event_time
        kept = fresh(bucket, (time, self.table.by_name[time].type) if time else None, self.cutoff)
        if kept.num_rows:
            self.write.load(self.table, self.place, kept.select([c.name for c in self.table.columns]))
        yield from counted(written=kept.num_rows, expired=bucket.num_rows - kept.num_rows)


@dataclass(frozen=True)
class _LoadGone:
    """What a worker does with keys that go."""

    write: Writer
    table: OnlineTable
    place: Place

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.write.load_gone(self.table, self.place, pa.Table.from_batches([batch]))
            yield from counted(gone=batch.num_rows)


@dataclass(frozen=True)
class _Sync:
    """One sync of one group."""

    spark: SparkSession
    group: GroupSpec
    log: Log
    write: Writer
    table: OnlineTable
    cutoff: datetime | None

    def whole(self, session: Session, version: int) -> dict[str, int]:
        """Load the whole table beside the one that is served, and put it in its place."""
        place = session.begin(afresh=True)
        loaded = self._load(Latest.of_version(self.spark, self.group, self.log, version), place)
        session.swap(place, version)
        return _counts(loaded, Merged())

    def changes(self, session: Session, last: int, version: int) -> dict[str, int]:
        """Load what changed after a version, and merge it."""
        done = history.commits(self.log, version - last, version) if version > last else []
        commits = [commit for commit in done if commit.changes_rows]
        if not done and self.cutoff is None:
            return _counts([], Merged())
        place, loaded = session.begin(afresh=False), []
        with ExitStack() as after:
            try:
                if commits:
                    loaded = self._load(self._changed(place, last, version, commits, after), place)
            except (PySparkException, Py4JJavaError) as error:
                if not _LOST.search(str(error)):
                    raise
                return self.whole(session, version)  # files of the feed were cleaned up
        return _counts(loaded, session.merge(place, version, self.cutoff))

    def _changed(self, place: Place, last: int, version: int, commits: Sequence[Commit], after: ExitStack) -> Latest:
        """The rows that commits wrote: from their files where rows were only added, else from the change feed."""
        added = history.added_files(self.log, last + 1, version)
        if added and (found := Latest.of_files(self.spark, self.group, added)):
            return found
        feed = rows.changes(self.spark, self.group, self.log, last, version)
        count = sum(c.inserted + c.updated for c in commits)
        if all(c.operation in _KEEPS and not c.deleted for c in commits):
            return Latest.of_changes(self.group, upserts(feed), count)
        whole = sum(f.rows or 0 for f in history.data_files(self.log, version))
        return Latest.of_changes(self.group, self._without_gone(feed, place, version, after), count + whole)

    def _without_gone(self, feed: DataFrame, place: Place, version: int, after: ExitStack) -> DataFrame:
        """Load the keys that lost a row; the rows* of these keys are sought in the table, those of the others in the feed."""
        keys = list(self.group.primary_key)
        gone = deletes(feed, self.group).persist(StorageLevel.MEMORY_AND_DISK)
        after.callback(gone.unpersist)
        gone.mapInArrow(_LoadGone(self.write, self.table, place), "gone bigint").collect()
        whole = rows.opened(self.spark, self.group, self.log.path, version, every=True)
        left = whole.join(gone, on=keys, how="left_semi").withColumn(COMMIT, F.lit(version).cast("bigint"))
        columns = [*self.group.types, INGESTED_AT, COMMIT]
        others = upserts(feed).join(gone, on=keys, how="left_anti")
        return others.select(*columns).unionByName(left.select(*columns))

    def _load(self, latest: Latest, place: Place) -> list[tuple[int, ...]]:
        cutoff = None if self.cutoff is None else to_micros(self.cutoff)
        return latest.run(self.spark, _Load(self.write, self.table, place, cutoff), "written bigint, expired bigint")


def _counts(loaded: list[tuple[int, ...]], merged: Merged) -> dict[str, int]:
    written = sum(row[0] for row in loaded)
    expired = sum(row[1] for row in loaded) + merged.expired
    return {"written": written - merged.skipped, "deleted": merged.deleted, "skipped": merged.skipped, "expired": expired}


def _failed(table: OnlineTable, error: Exception) -> SparkFSError:
    """What a worker raised as itself; anything else says what is left."""
    ours = re.findall(r"^spark_fs\.errors\.(\w+): (.*)", str(error), re.MULTILINE)
    if ours and isinstance(kind := getattr(errors, ours[-1][0], None), type) and issubclass(kind, SparkFSError):
        return kind(ours[-1][1])
    return OnlineStoreError(
        f"The sync of {table.name} failed and what is online is as it was: {delta.reason(error)} "
        "Run it again; it begins where the last one ended."
    )
