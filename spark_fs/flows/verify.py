"""Compare what is online with the offline latest: by checksums of buckets on both sides, then row by row where these differ."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
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
from spark_fs.online.table import OnlineTable, build_online_table
from spark_fs.redact import get_safe_cause
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.delta import commands, history

_BUCKET_ROWS = 1_000  # rows of a bucket, about
_MAX_BUCKETS = 1 << 16
_COMPARED_ROWS = 200_000  # rows that are compared at once in the driver
Row = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """One key whose row online is not the offline latest: "missing" online, "extra" online, or "changed".

    columns: of a changed row the columns that differ, each with its value offline and online.
    """

    key: Mapping[str, Any]
    kind: str
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.kind != "changed":
            return f"{dict(self.key)}: {self.kind} online"
        what = (
            f"{name} is {_format_value(online)} online and {_format_value(offline)} offline"
            for name, (offline, online) in self.columns.items()
        )
        return f"{dict(self.key)}: {', '.join(what)}"


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    version: the Delta version that was compared, of ``newest_version``; synced_version: what the
    last sync brought online (None: never). rows_offline, rows_online: latest rows within their ttl.
    differences: at most as many as were asked for; ``complete`` tells whether they are all.
    newest_offline, newest_online: the greatest event time on each side, in the column's own type;
    None without one.
    """

    table: str
    version: int
    newest_version: int
    synced_version: int | None
    rows_offline: int
    rows_online: int
    differences: tuple[Difference, ...]
    complete: bool
    newest_offline: Any = None
    newest_online: Any = None

    @property
    def ok(self) -> bool:
        """Whether online equals offline."""
        return not self.differences and self.complete

    def __str__(self) -> str:
        found = (
            "no difference"
            if self.ok
            else f"{'' if self.complete else 'more than '}{len(self.differences):,} keys differ"
        )
        online, offline = self.newest_online, self.newest_offline
        both = (
            f"{online} online and offline"
            if online == offline
            else f"{online} online, {offline} offline"
        )
        times = f"; newest event time {both}" if offline is not None else ""
        behind = (
            ""
            if self.synced_version == self.newest_version
            else f" (online is at {self.synced_version}: a sync is due)"
        )
        return (
            f"verify {self.table}: {found}; {self.rows_online:,} rows online, {self.rows_offline:,}"
            f" offline at version {self.version}{behind}{times}"
        )


def verify_group(
    spark: SparkSession,
    group: GroupSpec,
    path: str,
    store: OnlineStore,
    now: datetime | None,
    limit: int,
    at_synced_version: bool,
) -> Verification:
    """Compare the group's online table with the latest rows offline, eagerly; synced: those of the version that was synced last."""
    if limit < 1:
        raise SettingsError(
            f"limit={limit} is not a number of differences to report: give one from 1 up."
        )
    table, log = build_online_table(group, store.capabilities), history.open_log(path)
    done = store.read_sync_state(table)
    version = done.version if at_synced_version and done else log.version
    cutoff = table.ttl_cutoff(now or datetime.now(UTC))
    latest = LatestRows.from_version(spark, group, log, version)
    try:
        one = _GroupComparison(spark, table, make_writer(store), latest, cutoff, limit)
        found, rows, complete = one.find_differences()
        times = (
            (one.find_newest_offline(), make_writer(store).read_newest_event_time(table))
            if group.event_time
            else (None, None)
        )
    except (PySparkException, Py4JJavaError) as error:
        raise SparkFSError(
            f"The comparison of {table.name} could not be made: {commands.find_root_cause(error)}"
        ) from get_safe_cause(error)
    return Verification(
        table.name,
        version,
        log.version,
        done.version if done else None,
        *rows,
        tuple(found),
        complete,
        *times,
    )


@dataclass(frozen=True)
class _BucketChecksums:
    """What a worker does with the latest rows: one row of figures for each bucket, the greatest event time among them."""

    table: OnlineTable
    buckets: int
    cutoff: int | None

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = _drop_expired_rows(latest, self.table, self.cutoff)
        number = text_format.compute_checksums(rows, self.table.key_columns) % self.buckets
        sums = np.zeros(self.buckets, np.int64)
        np.add.at(
            sums, number, text_format.compute_checksums(rows, self.table.columns).astype(np.int64)
        )
        counts = np.bincount(number, minlength=self.buckets)
        held = np.flatnonzero(counts)
        yield pa.RecordBatch.from_pydict(
            {
                "bucket": pa.array(held),
                "rows": pa.array(counts[held]),
                "total": pa.array(sums[held]),
            }
        )


@dataclass(frozen=True)
class _BucketRows:
    """What a worker does with the latest rows: give those of some buckets."""

    table: OnlineTable
    buckets: int
    bucket_numbers: tuple[int, ...]
    cutoff: int | None

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = _drop_expired_rows(latest, self.table, self.cutoff)
        kept = rows.filter(
            pa.array(
                np.isin(
                    text_format.compute_checksums(rows, self.table.key_columns) % self.buckets,
                    self.bucket_numbers,
                )
            )
        )
        yield from kept.select([c.name for c in self.table.columns]).to_batches()


@dataclass(frozen=True)
class _GreatestEventTime:
    """What a worker does with the latest rows: give the greatest event time."""

    table: OnlineTable

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        times = latest.column(self.table.event_time)
        yield pa.RecordBatch.from_pydict(
            {"newest": pa.array([pa.compute.max(times).as_py()], times.type)}
        )


@dataclass(frozen=True)
class _GroupComparison:
    """One comparison of one group."""

    spark: SparkSession
    table: OnlineTable
    online_writer: OnlineWriter
    latest_rows: LatestRows
    cutoff: datetime | None
    limit: int

    def find_differences(self) -> tuple[list[Difference], tuple[int, int], bool]:
        """The differences, the rows of both sides, and whether these are all."""
        buckets = min(max(self.latest_rows.row_count // _BUCKET_ROWS, 16), _MAX_BUCKETS)
        cutoff = None if self.cutoff is None else to_micros(self.cutoff)
        offline: dict[int, tuple[int, int]] = {}
        work = _BucketChecksums(self.table, buckets, cutoff)
        for bucket, rows, total in self.latest_rows.map_to_tuples(
            self.spark, work, "bucket bigint, rows bigint, total bigint"
        ):
            before = offline.get(bucket, (0, 0))
            offline[bucket] = (before[0] + rows, before[1] + total)
        online = self.online_writer.compute_checksums(self.table, buckets, self.cutoff)
        differ = sorted(
            b for b in offline.keys() | online.keys() if offline.get(b) != online.get(b)
        )
        counts = tuple(sum(rows for rows, _ in side.values()) for side in (offline, online))
        step = max(1, _COMPARED_ROWS * buckets // max(*counts, 1))
        found: list[Difference] = []
        for start in range(0, len(differ), step):
            chosen = tuple(differ[start : start + step])
            found += self._compare_buckets(_BucketRows(self.table, buckets, chosen, cutoff))
            if len(found) > self.limit:
                return found[: self.limit], (counts[0], counts[1]), False
        return found, (counts[0], counts[1]), True

    def _compare_buckets(self, work: _BucketRows) -> Iterator[Difference]:
        names = [c.name for c in self.table.columns]
        offline = {self._get_key(row): row for row in self._read_offline_rows(work)}
        online = {}
        for values in self.online_writer.read_buckets(
            self.table, work.buckets, work.bucket_numbers, self.cutoff
        ):
            row = dict(zip(names, values, strict=True))
            online[self._get_key(row)] = row
        for key in sorted(offline.keys() | online.keys(), key=str):
            named = dict(zip(self.table.primary_key, key, strict=True))
            if key not in online or key not in offline:
                yield Difference(named, "missing" if key not in online else "extra")
                continue
            mine, theirs = offline[key], online[key]
            changed = {
                name: (mine[name], theirs[name])
                for name in names
                if not _is_equal(mine[name], theirs[name])
            }
            if changed:
                yield Difference(named, "changed", changed)

    def _read_offline_rows(self, work: _BucketRows) -> Iterator[Row]:
        returns = ", ".join(f"`{c.name}` {c.type}" for c in self.table.columns)
        again = {c.name: (c.storage.encode, c.storage.decode) for c in self.table.columns}
        for row in self.latest_rows.map_buckets(self.spark, work, returns).to_pylist():
            yield {
                name: None if v is None else again[name][1](again[name][0](v))
                for name, v in row.items()
            }

    def find_newest_offline(self) -> Any:
        """The greatest event time offline."""
        type_ = self.table.columns_by_name[self.table.event_time or ""].type
        found = (
            self.latest_rows.map_buckets(
                self.spark, _GreatestEventTime(self.table), f"newest {type_}"
            )
            .column("newest")
            .to_pylist()
        )
        return max((value for value in found if value is not None), default=None)

    def _get_key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.table.primary_key)


def _format_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else repr(value)


def _drop_expired_rows(rows: pa.Table, table: OnlineTable, cutoff: int | None) -> pa.Table:
    time = table.event_time
    return drop_expired(rows, (time, table.columns_by_name[time].type) if time else None, cutoff)


def _is_equal(offline: Any, online: Any) -> bool:
    return (
        bool(offline == online)
        or (is_nan(offline) and is_nan(online))
        or (isinstance(offline, list | dict) and repr(offline) == repr(online))
    )
