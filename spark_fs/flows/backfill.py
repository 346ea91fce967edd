"""Build a feature group from its source: an interval in chunks, or onward from its watermark.

The watermark is the end of the last interval that was built, in microseconds. It is the number of
the Delta transaction that wrote the interval's rows, so rows and watermark are one commit: a killed
run leaves both as they were, and a repeated one finds nothing to do.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.times import MICROSECOND, Interval, from_micros, to_micros
from spark_fs.errors import SettingsError
from spark_fs.flows.jobs import Job, sum_jobs
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.spec.names import GroupRef
from spark_fs.tables.commits import Transaction
from spark_fs.tables.table_log import open_log

# What a pipeline gives: the rows of a group whose event time lies in [start, end), from the source.
Builder = Callable[[SparkSession, datetime, datetime], DataFrame]
# Builds the rows of an interval and commits them with a watermark.
IntervalBuilder = Callable[[Interval, datetime], Job]
WATERMARK_ID = "spark_fs.watermark"


class BackfillCatalog(Protocol):
    """What the metadata database keeps of a group that is built."""

    def get_group(self, name: str, version: int | None = None) -> GroupSpec:
        """Return the definition of a group."""

    def change_group(self, ref: GroupRef, change: Callable[[GroupSpec], GroupSpec]) -> GroupSpec:
        """Change the definition of a group, and return it."""

    def get_backfill_progress(self, ref: GroupRef, interval: Interval) -> datetime | None:
        """Return how far an unfinished backfill of the interval has come; None without one."""

    def record_backfill(self, ref: GroupRef, interval: Interval, done: Interval) -> None:
        """Record that a backfill of the interval has come to the end of a chunk."""


def backfill_group(
    catalog: BackfillCatalog,
    group: GroupSpec,
    interval: Interval,
    every: timedelta | None,
    restart: bool,
    build_interval: IntervalBuilder,
    progress: Callable[[Job], None] | None,
    extends_back: bool = False,
) -> Job:
    """Build an interval of a group in chunks, eagerly, each as one commit.

    Chunks that an earlier run finished are left out.

    Args:
        catalog: Keeps how far the backfill has come.
        group: The group; one without event time is built in one chunk.
        interval: start <= event time < end.
        every: The length of a chunk; None: one chunk.
        restart: Whether chunks that are finished are built again.
        build_interval: Builds and commits the rows of a chunk.
        progress: Called with the job of each chunk.
        extends_back: Whether the interval begins before what is built, so that the group counts as
            built from its start on only when all of it is.

    Returns:
        The job that counts all chunks of this run.
    """
    if not extends_back:
        _record_start(catalog, group, interval)
    done_until = None if restart else catalog.get_backfill_progress(group.ref, interval)
    length = every if group.event_time else None
    jobs = []
    for chunk in split_into_chunks(interval, length, done_until):
        assert chunk.end
        job = build_interval(chunk, chunk.end)
        jobs.append(job)
        catalog.record_backfill(group.ref, interval, chunk)
        if progress:
            progress(job)
    if extends_back:
        _record_start(catalog, group, interval)
    return sum_jobs(f"backfill {group.name}_{group.version}", jobs)


def _record_start(catalog: BackfillCatalog, group: GroupSpec, interval: Interval) -> None:
    """Record that the group is built from the interval's start on, if not from earlier."""
    first = interval.to_json()[0] or ""
    catalog.change_group(
        group.ref, lambda spec: replace(spec, built_from=min(first, spec.built_from or first))
    )


def build_until(
    catalog: BackfillCatalog,
    group: GroupSpec,
    watermark: datetime,
    until: datetime,
    every: timedelta,
    lateness: timedelta,
    build_interval: IntervalBuilder,
) -> list[Job]:
    """Build a group from its watermark on, eagerly: one interval after another, each one commit.

    Args:
        catalog: Knows from when on the group was built.
        group: The group; one without event time takes one interval in all.
        watermark: Where the first interval starts.
        until: What no interval passes.
        every: The length of an interval.
        lateness: How much before the watermark the first interval builds again.
        build_interval: Builds and commits the rows of an interval.

    Returns:
        The job of each interval.
    """
    length = every if group.event_time else None
    jobs: list[Job] = []
    for interval in iter_intervals(watermark, until, length):
        assert interval.end
        late = lateness if not jobs and group.event_time else timedelta(0)
        built_from = catalog.get_group(group.name, group.version).built_from
        jobs.append(build_interval(with_lateness(interval, late, built_from), interval.end))
    return jobs


def read_watermark(path: str) -> datetime | None:
    """Read the end of the last interval built, in UTC; None before the first. Starts no JVM."""
    number = open_log(path).find_transaction_number(WATERMARK_ID)
    return None if number is None else from_micros(number)


def iter_intervals(start: datetime, until: datetime, every: timedelta | None) -> Iterator[Interval]:
    """Cut the time from start on into half-open intervals, none of which passes ``until``.

    Args:
        start: Where the first begins.
        until: What none passes.
        every: The length of each; None: all of the time, at once.

    Yields:
        The intervals, one after another.
    """
    length = _check_length(every) or max(until - start, MICROSECOND)
    while start + length <= until:
        yield Interval(start, start + length)
        start += length


def split_into_chunks(
    interval: Interval, every: timedelta | None, done_until: datetime | None
) -> Iterator[Interval]:
    """Cut an interval into chunks, without those that are done; the last may be shorter.

    Args:
        interval: The interval, bounded on both sides.
        every: The length of a chunk; None: one chunk.
        done_until: Where the finished chunks end; None: none is finished.

    Yields:
        The chunks that are left, one after another.
    """
    assert interval.start
    assert interval.end
    start = interval.start
    length = _check_length(every) or interval.end - interval.start
    while start < interval.end:
        chunk = Interval(start, min(start + length, interval.end))
        if done_until is None or start >= done_until:
            yield chunk
        start += length


def _check_length(every: timedelta | None) -> timedelta | None:
    if every is not None and every <= timedelta(0):
        raise SettingsError(
            f"every={every} is not a length of time: give one above zero, such as"
            " timedelta(days=1)."
        )
    return every


def with_lateness(interval: Interval, lateness: timedelta, built_from: str | None) -> Interval:
    """Begin the interval earlier by the lateness, but not before what was ever built."""
    assert interval.start
    if lateness < timedelta(0):
        raise SettingsError(
            f"lateness={lateness} is not a length of time: give one from zero up, such as"
            " timedelta(hours=6)."
        )
    earliest = datetime.fromisoformat(built_from) if built_from else interval.start
    return Interval(max(interval.start - lateness, min(earliest, interval.start)), interval.end)


def move_watermark(reached: datetime | None, end: datetime) -> Transaction | None:
    """Make the transaction that moves the watermark to ``end``.

    Args:
        reached: Where it is; None before the first.
        end: Where it is to be.

    Returns:
        The transaction; None where it is as far already.
    """
    if reached is not None and reached >= end:
        return None
    return Transaction(WATERMARK_ID, to_micros(end))
