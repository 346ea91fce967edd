"""Build a feature group from its source: an interval in chunks, or onward from its watermark.

The watermark is the end of the last interval that was built, in microseconds. It is the number of
the Delta transaction that wrote the interval's rows, so rows and watermark are one commit: a killed
run leaves both as they were, and a repeated one finds nothing to do.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession

from spark_fs.base.times import MICROSECOND, Interval, from_micros, to_micros
from spark_fs.errors import SettingsError
from spark_fs.tables.delta import history
from spark_fs.tables.delta.staging import Transaction

# What a pipeline gives: the rows of a group whose event time lies in [start, end), from the source.
Builder = Callable[[SparkSession, datetime, datetime], DataFrame]
_WATERMARK_ID = "spark_fs.watermark"


def read_watermark(path: str) -> datetime | None:
    """The end of the last interval built, in UTC; None before the first. Starts no JVM."""
    number = history.find_transaction_number(path, _WATERMARK_ID)
    return None if number is None else from_micros(number)


def iter_intervals(start: datetime, until: datetime, every: timedelta | None) -> Iterator[Interval]:
    """Consecutive half-open intervals of the length ``every`` from start (None: the whole, at once).

    One that would pass ``until`` is left for later.
    """
    every = _check_length(every) or max(until - start, MICROSECOND)
    while start + every <= until:
        yield Interval(start, start + every)
        start += every


def split_into_chunks(
    interval: Interval, every: timedelta | None, done_until: datetime | None
) -> Iterator[Interval]:
    """The interval cut into chunks of the length ``every`` (None: one), without those that are done; the last may be shorter."""
    assert interval.start
    assert interval.end
    start, length = interval.start, _check_length(every) or interval.end - interval.start
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
    """The interval with the lateness before it, but not with what was never built."""
    assert interval.start
    if lateness < timedelta(0):
        raise SettingsError(
            f"lateness={lateness} is not a length of time: give one from zero up, such as"
            " timedelta(hours=6)."
        )
    earliest = datetime.fromisoformat(built_from) if built_from else interval.start
    return Interval(max(interval.start - lateness, min(earliest, interval.start)), interval.end)


def make_watermark_transaction(path: str, end: datetime) -> Transaction | None:
    """The transaction that moves the watermark to ``end``; None where it stands there or beyond already."""
    reached = read_watermark(path)
    return (
        None
        if reached is not None and reached >= end
        else Transaction(_WATERMARK_ID, to_micros(end))
    )
