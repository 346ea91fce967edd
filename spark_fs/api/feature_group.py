"""A feature group: a versioned Delta table with event-time history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.query import Feature, Query, feature_of
from spark_fs.errors import NotFoundError, QueryError, SettingsError
from spark_fs.spec.query import QuerySpec

if TYPE_CHECKING:
    from datetime import datetime

    from spark_fs.api.stores import Stores
    from spark_fs.flows.incremental import Builder
    from spark_fs.flows.jobs import Job
    from spark_fs.offline.history import Commit
    from spark_fs.offline.staging import Transaction
    from spark_fs.spec.definitions import GroupSpec
    from spark_fs.spec.options import WriteOptions
    from spark_fs.times import Instant


class FeatureGroup:
    """A group of features of one entity, under one name and version."""

    def __init__(self, stores: Stores, spec: GroupSpec) -> None:
        self._stores = stores
        self._spec = spec

    def __repr__(self) -> str:
        return f"FeatureGroup({self.name!r}, version={self.version})"

    @property
    def spec(self) -> GroupSpec:
        """The definition, read again from the catalog while it has no schema."""
        if not self._spec.features:
            self._spec = self._stores.catalog.group(self._spec.name, self._spec.version)
        return self._spec

    @property
    def name(self) -> str:
        """The name."""
        return self._spec.name

    @property
    def version(self) -> int:
        """The version, from 1 up."""
        return self._spec.version

    @property
    def description(self) -> str:
        """What the group holds."""
        return self._spec.description

    @property
    def primary_key(self) -> list[str]:
        """The columns of the entity."""
        return list(self._spec.primary_key)

    @property
    def partition_key(self) -> list[str]:
        """The columns that partition the table."""
        return list(self._spec.partition_key)

    @property
    def event_time(self) -> str | None:
        """The event-time column; None for a group without history."""
        return self._spec.event_time

    @property
    def online_enabled(self) -> bool:
        """Whether ``sync_online`` pushes the latest rows to the online store."""
        return self._spec.online_enabled

    @property
    def features(self) -> list[Feature]:
        """The columns in their order; none before the first insert."""
        return [Feature(self.spec.ref, name, type_) for name, type_ in self.spec.types.items()]

    @property
    def schema(self) -> dict[str, str]:
        """The type of each column, as Spark writes it; empty before the first insert."""
        return self.spec.types

    @property
    def location(self) -> str:
        """The folder or URI of the Delta table."""
        return self._stores.location(self._spec)

    def __getitem__(self, name: str) -> Feature:
        return feature_of(self.spec.ref, self.schema, name)

    # -- rows in

    def insert(
        self, df: Any, operation: str = "upsert", write_options: Mapping[str, Any] | None = None
    ) -> tuple[Job, None]:
        """Insert a Spark or pandas DataFrame or an Arrow table, eagerly, as one commit or not at all.

        ``upsert``: a row replaces the one of the same primary key and event time. ``insert`` appends without looking
        for it, for callers who vouch for their rows; where two rows of one identity are there all the same, the one
        ingested last is the row. The first frame fixes the schema. In a pandas frame NaN and NaT are null; times
        without a zone are UTC.

        write_options: ``keep`` ("first" or "last") with ``order_by`` (a column; the order of a pandas frame or an Arrow table
        serves without it) says which of several rows of one identity in the frame is the row; the others are set aside.
        ``batch_id``: the same id a second time writes nothing.

        Returns the job, whose ``summary`` counts the rows read, inserted, updated, unchanged and set_aside (all 0 for a
        batch that was written before), and None in the place of a validation report. Raises SchemaError with every
        difference from the group's columns; KeyValueError, with a count and five examples, for null keys or event times and
        for identities that come twice; ConflictError when other writers were faster time and again.
        """
        from spark_fs.spec.options import WriteOptions

        return self._insert(df, WriteOptions.of(operation, write_options), None), None

    def _insert(self, df: Any, options: WriteOptions | None, transaction: Transaction | None) -> Job:
        from spark_fs.flows import ingest
        from spark_fs.spec.options import WriteOptions

        stores = self._stores
        self._spec, job = ingest.insert(
            stores.spark, self.spec, self.location, df, stores.catalog.save_group, options or WriteOptions(), transaction
        )
        return job

    @property
    def watermark(self) -> datetime | None:
        """The end (UTC, excluded) of what ``backfill`` and ``run_incremental`` have built; None before the first. Starts no JVM."""
        from spark_fs.flows import incremental

        return incremental.watermark(self.location)

    def backfill(self, build: Builder, start: Instant, end: Instant) -> Job:
        """Build and upsert the rows of start <= event time < end, eagerly; the watermark moves on to ``end``.

        ``build(spark, start, end)`` gives the rows. The watermark never moves back, so a past interval can be built anew.
        """
        from spark_fs.flows import incremental
        from spark_fs.times import to_utc

        low, high = to_utc(start), to_utc(end)
        return self._insert(build(self._stores.spark, low, high), None, incremental.advance_to(self.location, high))

    def run_incremental(self, build: Builder, until: Instant, every: timedelta = timedelta(days=1)) -> list[Job]:
        """Build from the watermark on, eagerly, one interval of the length ``every`` after another up to ``until``.

        Each interval's rows and its watermark are one commit, so a killed run goes on where it stopped and a second
        run does nothing. A group without event time has no past to build, so it takes one interval in all.
        Raises SettingsError when there was no backfill to start from.
        """
        from spark_fs.flows import incremental
        from spark_fs.times import to_utc

        start = self.watermark
        if start is None:
            raise SettingsError(f"Feature group {self.spec} has no watermark yet: run backfill(build, start, end) first.")
        if every <= timedelta(0):
            raise SettingsError(f"every={every} is not a length of time: give one above zero, such as timedelta(days=1).")
        due = incremental.steps(start, to_utc(until), every if self.event_time else None)
        return [self.backfill(build, step.start, step.end) for step in due if step.start and step.end]

    # -- rows out

    def read(self, dataframe_type: str = "spark") -> Any:
        """All rows, as a Spark DataFrame* or eagerly as pandas."""
        return self.select_all().read(dataframe_type)

    def select_all(self) -> Query:
        """A query of every column*."""
        return self._query(tuple(self.schema), explicit=False)

    def select_features(self) -> Query:
        """A query of every column but the primary key and the event time*."""
        return self._query(tuple(c for c in self.schema if c not in self.spec.identity), explicit=False)

    def select(self, features: Sequence[str]) -> Query:
        """A query of these columns*; NotFoundError with the nearest names for one that does not exist."""
        for name in features:
            feature_of(self.spec.ref, self.schema, name)
        return self._query(tuple(features), explicit=True)

    def select_except(self, features: Sequence[str]) -> Query:
        """A query of every column but these*."""
        for name in features:
            feature_of(self.spec.ref, self.schema, name)
        return self._query(tuple(c for c in self.schema if c not in set(features)), explicit=False)

    def _query(self, columns: tuple[str, ...], explicit: bool) -> Query:
        if not self.spec.features:
            raise QueryError(f"Feature group {self.spec} has no schema yet: insert its first rows before it is read.")
        return Query(self._stores, QuerySpec(self.spec.ref, columns, explicit))

    # -- what happened

    def commit_details(self, limit: int = 10) -> list[Commit]:
        """The newest commits, the newest first: version, instant (UTC), operation and rows. Starts no JVM."""
        from spark_fs.offline.history import commits

        return commits(self.location, limit)

    def sync_online(self) -> Job:
        """Bring the online table up to this group, eagerly; the summary holds the rows written and the Delta versions.

        Raises SettingsError when the group is not online_enabled, OnlineStoreError when the database refuses.
        """
        from spark_fs.flows import sync

        if not self.spec.online_enabled:
            raise SettingsError(f"Feature group {self.spec} is not online_enabled: create a version that is, then sync it.")
        if not self.spec.features:
            raise NotFoundError(f"Feature group {self.spec} has no rows to sync yet: insert its first rows.")
        return sync.sync(self._stores.spark, self.spec, self.location, self._stores.online)
