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

from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows.latest import Latest, fresh
from spark_fs.offline import delta, history
from spark_fs.online import texts
from spark_fs.online.layout import OnlineTable, online_table
from spark_fs.online.store import OnlineStore, Writer
from spark_fs.online.writers import writer
from spark_fs.redact import without_secrets
from spark_fs.spec.definitions import GroupSpec
from spark_fs.types import to_micros

_BUCKET = 1_000  # rows of a bucket, about
_MOST_BUCKETS = 1 << 16
_TOGETHER = 200_000  # rows that are compared at once in the driver
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
        what = (f"{name} is {_shown(online)} online and {_shown(offline)} offline" for name, (offline, online) in self.columns.items())
        return f"{dict(self.key)}: {', '.join(what)}"


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    version: the Delta version that was compared, of ``newest_version``; synced_version: what the last sync brought online (None: never).
    rows_offline, rows_online: latest rows within their ttl. differences: at most as many as were asked for; ``complete`` tells whether they
    are all. newest_offline, newest_online: the greatest event time on each side, in the column's own type; None without one.
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
        found = "no difference" if self.ok else f"{'' if self.complete else 'more than '}{len(self.differences):,} keys differ"
        online, offline = self.newest_online, self.newest_offline
        both = f"{online} online and offline" if online == offline else f"{online} online, {offline} offline"
        times = f"; newest event time {both}" if offline is not None else ""
        behind = "" if self.synced_version == self.newest_version else f" (online is at {self.synced_version}: a sync is due)"
        return (
            f"verify {self.table}: {found}; {self.rows_online:,} rows online, {self.rows_offline:,} offline at version {self.version}"
            f"{behind}{times}"
        )


def verify(
    spark: SparkSession, group: GroupSpec, path: str, store: OnlineStore, now: datetime | None, limit: int, synced: bool
) -> Verification:
    """Compare the group's online table with the latest rows offline, eagerly; synced: those of the version that was synced last."""
    if limit < 1:
        raise SettingsError(f"limit={limit} is not a number of differences to report: give one from 1 up.")
    table, log = online_table(group, store.capabilities), history.look(path)
    done = store.synced(table)
    version = done.version if synced and done else log.newest
    cutoff = table.cutoff(now or datetime.now(UTC))
    latest = Latest.of_version(spark, group, log, version)
    try:
        one = _Comparison(spark, table, writer(store), latest, cutoff, limit)
        found, rows, complete = one.run()
        times = (one.newest(), writer(store).newest(table)) if group.event_time else (None, None)
    except (PySparkException, Py4JJavaError) as error:
        raise SparkFSError(f"The comparison of {table.name} could not be made: {delta.reason(error)}") from without_secrets(error)
    return Verification(table.name, version, log.newest, done.version if done else None, *rows, tuple(found), complete, *times)


@dataclass(frozen=True)
class _Checksums:
    """What a worker does with the latest rows: one row of figures for each bucket, the greatest event time among them."""

    table: OnlineTable
    buckets: int
    cutoff: int | None

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = _fresh(latest, self.table, self.cutoff)
        number = texts.checksums(rows, self.table.keys) % self.buckets
        sums = np.zeros(self.buckets, np.int64)
        np.add.at(sums, number, texts.checksums(rows, self.table.columns).astype(np.int64))
        counts = np.bincount(number, minlength=self.buckets)
        held = np.flatnonzero(counts)
        yield pa.RecordBatch.from_pydict({"bucket": pa.array(held), "rows": pa.array(counts[held]), "total": pa.array(sums[held])})


@dataclass(frozen=True)
class _RowsOf:
    """What a worker does with the latest rows: give those of some buckets."""

    table: OnlineTable
    buckets: int
    chosen: tuple[int, ...]
    cutoff: int | None

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        rows = _fresh(latest, self.table, self.cutoff)
        kept = rows.filter(pa.array(np.isin(texts.checksums(rows, self.table.keys) % self.buckets, self.chosen)))
        yield from kept.select([c.name for c in self.table.columns]).to_batches()


@dataclass(frozen=True)
class _Newest:
    """What a worker does with the latest rows: give the greatest event time."""

    table: OnlineTable

    def __call__(self, latest: pa.Table) -> Iterator[pa.RecordBatch]:
        times = latest.column(self.table.event_time)
        yield pa.RecordBatch.from_pydict({"newest": pa.array([pa.compute.max(times).as_py()], times.type)})


@dataclass(frozen=True)
class _Comparison:
    """One comparison of one group."""

    spark: SparkSession
    table: OnlineTable
    store: Writer
    latest: Latest
    cutoff: datetime | None
    limit: int

    def run(self) -> tuple[list[Difference], tuple[int, int], bool]:
        """The differences, the rows of both sides, and whether these are all."""
        buckets = min(max(self.latest.rows // _BUCKET, 16), _MOST_BUCKETS)
        cutoff = None if self.cutoff is None else to_micros(self.cutoff)
        offline: dict[int, tuple[int, int]] = {}
        work = _Checksums(self.table, buckets, cutoff)
        for bucket, rows, total in self.latest.run(self.spark, work, "bucket bigint, rows bigint, total bigint"):
            before = offline.get(bucket, (0, 0))
            offline[bucket] = (before[0] + rows, before[1] + total)
        online = self.store.checksums(self.table, buckets, self.cutoff)
        differ = sorted(b for b in offline.keys() | online.keys() if offline.get(b) != online.get(b))
        counts = tuple(sum(rows for rows, _ in side.values()) for side in (offline, online))
        step = max(1, _TOGETHER * buckets // max(*counts, 1))
        found: list[Difference] = []
        for start in range(0, len(differ), step):
            chosen = tuple(differ[start : start + step])
            found += self._compared(_RowsOf(self.table, buckets, chosen, cutoff))
            if len(found) > self.limit:
                return found[: self.limit], (counts[0], counts[1]), False
        return found, (counts[0], counts[1]), True

    def _compared(self, work: _RowsOf) -> Iterator[Difference]:
        names = [c.name for c in self.table.columns]
        offline = {self._key(row): row for row in self._offline(work)}
        online = {}
        for values in self.store.rows_of(self.table, work.buckets, work.chosen, self.cutoff):
            row = dict(zip(names, values, strict=True))
            online[self._key(row)] = row
        for key in sorted(offline.keys() | online.keys(), key=str):
            named = dict(zip(self.table.key, key, strict=True))
            if key not in online or key not in offline:
                yield Difference(named, "missing" if key not in online else "extra")
                continue
            mine, theirs = offline[key], online[key]
            changed = {name: (mine[name], theirs[name]) for name in names if not _same(mine[name], theirs[name])}
            if changed:
                yield Difference(named, "changed", changed)

    def _offline(self, work: _RowsOf) -> Iterator[Row]:
        returns = ", ".join(f"`{c.name}` {c.type}" for c in self.table.columns)
        again = {c.name: (c.storage.encode, c.storage.decode) for c in self.table.columns}
        for row in self.latest.table(self.spark, work, returns).to_pylist():
            yield {name: None if v is None else again[name][1](again[name][0](v)) for name, v in row.items()}

    def newest(self) -> Any:
        """The greatest event time offline."""
        type_ = self.table.by_name[self.table.event_time or ""].type
        found = self.latest.table(self.spark, _Newest(self.table), f"newest {type_}").column("newest").to_pylist()
        return max((value for value in found if value is not None), default=None)

    def _key(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.table.key)


def _shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else repr(value)


def _fresh(rows: pa.Table, table: OnlineTable, cutoff: int | None) -> pa.Table:
    time = table.event_time
    return fresh(rows, (time, table.by_name[time].type) if time else None, cutoff)


def _same(mine: Any, theirs: Any) -> bool:
    return bool(mine == theirs) or (mine != mine and theirs != theirs) or (isinstance(mine, list | dict) and repr(mine) == repr(theirs))
