"""Compare what is online with the offline latest.

Checksums of buckets are compared first, then row by row the buckets that differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from spark_fs.base.arithmetic import is_nan
from spark_fs.base.times import to_micros
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows.latest_rows import LatestRows, drop_expired
from spark_fs.online import text_format
from spark_fs.online.registry import make_writer
from spark_fs.online.store import OnlineStore, OnlineWriter
from spark_fs.online.table_layout import OnlineTable, build_online_table
from spark_fs.redact import get_safe_cause
from spark_fs.spec.verification import Difference, Verification
from spark_fs.tables.spark_errors import find_root_cause
from spark_fs.tables.table import GroupTable

_BUCKET_ROWS = 1_000  # rows of a bucket, about
_MAX_BUCKETS = 1 << 16
_COMPARED_ROWS = 200_000  # rows that are compared at once in the driver
_MIN_BUCKETS = 16
Row = dict[str, Any]


def verify_group(
    group_table: GroupTable,
    store: OnlineStore,
    now: datetime | None,
    limit: int,
    at_synced_version: bool,
) -> Verification:
    """Compare the group's online table with the latest rows offline, eagerly.

    Args:
        group_table: The feature group's table; its session's workers read the rows offline.
        store: Where it is online.
        now: The instant by which rows are past their ttl; None: that of the call.
        limit: How many differences are reported at most.
        at_synced_version: Whether the rows offline are those of the version that was synced last,
            instead of the newest.

    Raises:
        SettingsError: ``limit`` is below 1.
        SparkFSError: The rows could not be read.
    """
    if limit < 1:
        raise SettingsError(
            f"limit={limit} is not a number of differences to report: give one from 1 up."
        )
    table = build_online_table(group_table.group, store.capabilities)
    newest = group_table.version
    sync_state = store.read_sync_state(table)
    version = newest
    if at_synced_version and sync_state:
        version = sync_state.version
    cutoff = table.ttl_cutoff(now or datetime.now(UTC))
    latest_rows = LatestRows.from_version(group_table, version)
    newest_offline = newest_online = None
    try:
        comparison = _GroupComparison(
            group_table.spark, table, make_writer(store), latest_rows, cutoff, limit
        )
        result = comparison.find_differences()
        if group_table.group.event_time:
            newest_offline = comparison.find_newest_offline()
            newest_online = store.read_newest_event_time(table)
    except (PySparkException, Py4JJavaError) as error:
        cause = find_root_cause(error)
        message = f"The comparison of {table.name} could not be made: {cause}"
        raise SparkFSError(message) from get_safe_cause(error)
    return Verification(
        table.name,
        version,
        newest,
        sync_state.version if sync_state else None,
        result.rows_offline,
        result.rows_online,
        result.differences,
        result.complete,
        newest_offline,
        newest_online,
    )


# -- what workers do with the latest rows


def _get_bucket_numbers(rows: pa.Table, table: OnlineTable, buckets: int) -> npt.NDArray[np.uint32]:
    """The bucket of each row, by its key."""
    return text_format.compute_checksums(rows, table.key_columns) % buckets


@dataclass(frozen=True)
class _BucketChecksums:
    """What a worker does with the latest rows: give the rows and the checksum of each bucket."""

    table: OnlineTable
    buckets: int
    cutoff: int | None

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = drop_expired(latest, self.table, self.cutoff)
        bucket_numbers = _get_bucket_numbers(rows, self.table, self.buckets)
        row_checksums = text_format.compute_checksums(rows, self.table.columns)
        totals = np.zeros(self.buckets, np.int64)
        np.add.at(totals, bucket_numbers, row_checksums.astype(np.int64))
        counts = np.bincount(bucket_numbers, minlength=self.buckets)
        filled = np.flatnonzero(counts)
        columns = {"bucket": filled, "rows": counts[filled], "total": totals[filled]}
        arrays = {name: pa.array(values) for name, values in columns.items()}
        yield pa.RecordBatch.from_pydict(arrays)


@dataclass(frozen=True)
class _BucketRows:
    """What a worker does with the latest rows: give those of some buckets."""

    table: OnlineTable
    buckets: int
    bucket_numbers: tuple[int, ...]
    cutoff: int | None

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = drop_expired(latest, self.table, self.cutoff)
        bucket_numbers = _get_bucket_numbers(rows, self.table, self.buckets)
        is_wanted = np.isin(bucket_numbers, self.bucket_numbers)
        wanted = rows.filter(pa.array(is_wanted))
        yield from wanted.select(list(self.table.columns_by_name)).to_batches()


@dataclass(frozen=True)
class _GreatestEventTime:
    """What a worker does with the latest rows: give the greatest event time."""

    table: OnlineTable

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        times = latest.column(self.table.event_time)
        newest = pa.compute.max(times).as_py()
        yield pa.RecordBatch.from_pydict({"newest": pa.array([newest], times.type)})


# -- the comparison


@dataclass(frozen=True)
class _ComparisonResult:
    """The differences, whether these are all, and the latest rows of both sides."""

    differences: tuple[Difference, ...]
    complete: bool
    rows_offline: int
    rows_online: int


@dataclass(frozen=True)
class _GroupComparison:
    """One comparison of one group."""

    spark: SparkSession
    table: OnlineTable
    online_writer: OnlineWriter
    latest_rows: LatestRows
    cutoff: datetime | None
    limit: int

    @property
    def _cutoff_micros(self) -> int | None:
        return None if self.cutoff is None else to_micros(self.cutoff)

    def find_differences(self) -> _ComparisonResult:
        """Compare buckets by their checksums, and the rows of those that differ, eagerly."""
        buckets = max(self.latest_rows.row_count // _BUCKET_ROWS, _MIN_BUCKETS)
        buckets = min(buckets, _MAX_BUCKETS)
        offline = self._compute_offline_checksums(buckets)
        online = self.online_writer.compute_checksums(self.table, buckets, self.cutoff)
        all_buckets = offline.keys() | online.keys()
        different = sorted(b for b in all_buckets if offline.get(b) != online.get(b))
        rows_offline = sum(rows for rows, _ in offline.values())
        rows_online = sum(rows for rows, _ in online.values())
        step = max(1, _COMPARED_ROWS * buckets // max(rows_offline, rows_online, 1))
        differences: list[Difference] = []
        complete = True
        for start in range(0, len(different), step):
            compared = tuple(different[start : start + step])
            work = _BucketRows(self.table, buckets, compared, self._cutoff_micros)
            differences += self._compare_buckets(work)
            if len(differences) > self.limit:
                complete = False
                break
        reported = tuple(differences[: self.limit])
        return _ComparisonResult(reported, complete, rows_offline, rows_online)

    def _compute_offline_checksums(self, buckets: int) -> dict[int, tuple[int, int]]:
        """The rows and the checksum of each bucket of the latest rows that has any."""
        work = _BucketChecksums(self.table, buckets, self._cutoff_micros)
        partials = self.latest_rows.map_to_tuples(
            work, {"bucket": "bigint", "rows": "bigint", "total": "bigint"}
        )
        checksums: dict[int, tuple[int, int]] = {}
        for bucket, rows, total in partials:
            rows_before, total_before = checksums.get(bucket, (0, 0))
            checksums[bucket] = (rows_before + rows, total_before + total)
        return checksums

    def _compare_buckets(self, work: _BucketRows) -> Iterator[Difference]:
        """The differences of the rows of some buckets, by key."""
        offline = {self._get_key(row): row for row in self._read_offline_rows(work)}
        online = {self._get_key(row): row for row in self._read_online_rows(work)}
        for key in sorted(offline.keys() | online.keys(), key=str):
            named_key = dict(zip(self.table.primary_key, key, strict=True))
            if key not in online:
                yield Difference(named_key, "missing")
            elif key not in offline:
                yield Difference(named_key, "extra")
            else:
                changed = self._find_changed_columns(offline[key], online[key])
                if changed:
                    yield Difference(named_key, "changed", changed)

    def _find_changed_columns(self, offline: Row, online: Row) -> dict[str, tuple[Any, Any]]:
        changed = {}
        for name, column in self.table.columns_by_name.items():
            values = (offline[name], online[name])
            if not column.is_key and not _is_equal(*values):
                changed[name] = values
        return changed

    def _read_offline_rows(self, work: _BucketRows) -> Iterator[Row]:
        """The latest rows of some buckets, with the values that the store would return."""
        types = {column.name: column.type for column in self.table.columns}
        rows = self.latest_rows.map_buckets(work, types)
        for row in rows.to_pylist():
            for name, column in self.table.columns_by_name.items():
                value = row[name]
                if value is not None:
                    row[name] = column.storage.decode(column.storage.encode(value))
            yield row

    def _read_online_rows(self, work: _BucketRows) -> Iterator[Row]:
        rows = self.online_writer.read_buckets(
            self.table, work.buckets, work.bucket_numbers, self.cutoff
        )
        for values in rows:
            yield dict(zip(self.table.columns_by_name, values, strict=True))

    def find_newest_offline(self) -> Any:
        """The greatest event time offline, eagerly; None without rows."""
        type_ = self.table.columns_by_name[self.table.event_time or ""].type
        work = _GreatestEventTime(self.table)
        buckets = self.latest_rows.map_buckets(work, {"newest": type_})
        times = buckets.column("newest").drop_null().to_pylist()
        return max(times, default=None)

    def _get_key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.table.primary_key)


def _is_equal(offline: Any, online: Any) -> bool:
    if is_nan(offline) and is_nan(online):
        return True
    if offline == online:
        # -0.0 is not 0.0
        return not isinstance(offline, float) or repr(offline) == repr(online)
    return isinstance(offline, list | dict) and repr(offline) == repr(online)
