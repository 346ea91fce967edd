"""A feature group: a versioned Delta table with event-time history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.monitored import MonitoredGroup
from spark_fs.api.query import Feature, Query, to_feature_specs
from spark_fs.api.stores import opens
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from datetime import datetime

    from spark_fs.base.times import Instant, Interval
    from spark_fs.flows.backfill import Builder
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.expectations import ValidationOptions, ValidationReport
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.spec.write_options import WriteOptions
    from spark_fs.tables.delta.history import Commit
    from spark_fs.tables.delta.staging import Transaction


@opens("feature group")
@validate_arguments
class FeatureGroup(MonitoredGroup):
    """A group whose rows are a Delta table with event-time history."""

    @property
    def partition_key(self) -> list[str]:
        """The columns, or grains of the event time, that partition the table."""
        return list(self._spec.partition_key)

    # -- rows in

    def insert(
        self,
        df: Any,
        operation: str = "upsert",
        write_options: Mapping[str, Any] | None = None,
        validation_options: Mapping[str, Any] | None = None,
    ) -> tuple[Job, ValidationReport | None]:
        """Insert a Spark or pandas DataFrame or an Arrow table, eagerly, as one commit or not at all.

        ``upsert``: a row replaces the one of the same primary key and event time. ``insert``
        appends without looking for it, for callers who vouch for their rows; where two rows of one
        identity are there all the same, the one ingested last is the row. Rows of the frame that
        are equal in every column are one. The first frame fixes the schema. In a pandas frame NaN
        and NaT are null; times without a zone are UTC; a column of two types is refused
        (docs/types.md).

        write_options: ``keep`` ("first" or "last") with ``order_by`` (a column; the order of a
        pandas frame or an Arrow table serves without it) says which of several rows of one identity
        in the frame is the row; the others are set aside. ``batch_id``: the same id a second time
        writes nothing.

        validation_options, where the group has an expectation suite: ``policy`` "STRICT" (refuse
        the whole frame when an expectation fails), "ALWAYS" (write it, keep the report) or
        "QUARANTINE" (write the rows that pass; the others are set aside, with the reason, for
        ``read_quarantine``); ``run_validation=False`` leaves the suite out.

        Returns the job, whose ``summary`` counts the rows read, inserted, updated, unchanged and
        set_aside (all 0 for a batch that was written before), and the validation report, None
        without a suite. Raises SchemaError with every difference from the group's columns;
        KeyValueError, with a count and five examples, for null keys or event times and for rows of
        one identity that differ, for an event time in a unit that none has, for a map with a key
        twice; ValidationError; ConflictError when other writers were faster time and again.
        """
        from spark_fs.spec.expectations import ValidationOptions
        from spark_fs.spec.write_options import WriteOptions

        return self._insert_rows(
            df,
            WriteOptions.from_argument(operation, write_options),
            ValidationOptions.from_argument(validation_options),
            None,
        )

    def _insert_rows(
        self,
        df: Any,
        options: WriteOptions | None,
        validation: ValidationOptions | None,
        transaction: Transaction | None,
    ) -> tuple[Job, ValidationReport | None]:
        from spark_fs.flows import insert as flows_insert
        from spark_fs.spec.expectations import ValidationOptions
        from spark_fs.spec.write_options import WriteOptions

        stores = self._stores
        given = (options or WriteOptions(), validation or ValidationOptions(), transaction)
        self._spec, job, report = flows_insert.insert_rows(
            stores.spark, self._reload_spec(), self._table_path, df, stores.catalog, *given
        )
        self._update_statistics()
        return job, report

    def _reload_spec(self) -> GroupSpec:
        """The definition as the catalog has it now: another process may have appended features or changed the suite."""
        self._spec = self._stores.catalog.get_group(self.name, self.version)
        return self._spec

    @property
    def watermark(self) -> datetime | None:
        """The end (UTC, excluded) of what ``backfill`` and ``run_incremental`` have built; None before the first. Starts no JVM."""
        from spark_fs.flows import backfill as flows_backfill

        return flows_backfill.read_watermark(self._table_path)

    def backfill(
        self,
        build: Builder,
        start: Instant,
        end: Instant,
        every: timedelta | None = None,
        restart: bool = False,
        progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """Build and upsert the rows of start <= event time < end, eagerly; the watermark moves on to ``end``.

        ``build(spark, start, end)`` gives the rows. ``every`` cuts the interval into chunks, each
        one commit with its watermark; a run that was killed, called again with the same start and
        end, goes on behind the last chunk that was finished, unless ``restart``. The watermark
        never moves back, so a past interval can be built anew. ``progress`` is called with the job
        of each chunk; the job that is returned counts all of them. A group without event time is
        built in one chunk.
        """
        from spark_fs.base.times import Interval, to_utc
        from spark_fs.flows import backfill as flows_backfill
        from spark_fs.flows.jobs import sum_jobs

        catalog, whole = self._stores.catalog, Interval.from_bounds(to_utc(start), to_utc(end))
        begin = whole.to_json()[0] or ""
        self._update_spec(
            lambda spec: replace(spec, built_from=min(begin, spec.built_from or begin))
        )
        done = None if restart else catalog.get_backfill_progress(self._spec.ref, whole)
        jobs = []
        for chunk in flows_backfill.split_into_chunks(
            whole, every if self.event_time else None, done
        ):
            jobs.append(self._build_interval(build, chunk, chunk.end))
            catalog.record_backfill(self._spec.ref, whole, chunk)
            if progress:
                progress(jobs[-1])
        return sum_jobs(f"backfill {self.name}_{self.version}", jobs)

    def run_incremental(
        self,
        build: Builder,
        until: Instant,
        every: timedelta = timedelta(days=1),
        lateness: timedelta = timedelta(0),
    ) -> list[Job]:
        """Build from the watermark on, eagerly, one interval of the length ``every`` after another up to ``until``.

        Each interval's rows and its watermark are one commit, so a killed run goes on where it
        stopped and a second run does nothing. ``lateness``: the first interval also builds this
        much before the watermark again, so that rows which came late are taken in and every window
        that they touch is made anew; what did not change is not written. A group without event time
        has no past to build, so it takes one interval in all. Raises SettingsError when there was
        no backfill to start from.
        """
        from spark_fs.base.times import to_utc
        from spark_fs.flows import backfill as flows_backfill

        start = self.watermark
        if start is None:
            raise SettingsError(
                f"Feature group {self.spec} has no watermark yet: run backfill(build, start, end)"
                " first."
            )
        jobs: list[Job] = []
        for step in flows_backfill.iter_intervals(
            start, to_utc(until), every if self.event_time else None
        ):
            late = lateness if not jobs and self.event_time else timedelta(0)
            jobs.append(
                self._build_interval(
                    build,
                    flows_backfill.with_lateness(step, late, self._reload_spec().built_from),
                    step.end,
                )
            )
        return jobs

    def _build_interval(
        self, build: Builder, interval: Interval, watermark: datetime | None
    ) -> Job:
        from spark_fs.flows import backfill as flows_backfill

        assert interval.start
        assert interval.end
        assert watermark
        rows = build(self._stores.spark, interval.start, interval.end)
        return self._insert_rows(
            rows, None, None, flows_backfill.make_watermark_transaction(self._table_path, watermark)
        )[0]

    def delete_records(self, df: Any) -> Job:
        """Delete rows, eagerly, as one commit: those of the frame's primary keys, or of its keys and event times.

        df: a Spark or pandas DataFrame or an Arrow table with the primary key, which deletes the
        whole history of each entity, or with the event time too, which deletes these rows alone;
        other columns are not looked at. The job counts the distinct identities read and the rows
        deleted; an identity that is not there deletes nothing. The next ``sync_online`` brings the
        deletion online. Raises SchemaError for a key column that is missing or of another type,
        KeyValueError for nulls.
        """
        from spark_fs.flows import delete

        return delete.delete_records(self._stores.spark, self.spec, self._table_path, df)

    remove_rows = delete_records

    # -- validation

    def save_expectation_suite(self, expectation_suite: Any) -> None:
        """Attach a suite, eagerly, in the place of the one before: every insert is validated by it.

        A Great Expectations ``ExpectationSuite``, or a dict with its name and expectations (type
        and kwargs). Raises SettingsError for what is not one.
        """
        from spark_fs.spec.expectations import parse_suite

        suite = parse_suite(expectation_suite)
        self._update_spec(lambda spec: replace(spec, expectation_suite=suite))

    def get_expectation_suite(self) -> dict[str, Any] | None:
        """The suite, as its name and expectations; None when there is none."""
        suite = self._reload_spec().expectation_suite
        return None if suite is None else dict(suite)

    def delete_expectation_suite(self) -> None:
        """Detach the suite, eagerly; its reports stay."""
        self._update_spec(lambda spec: replace(spec, expectation_suite=None))

    def validate(self, df: Any = None) -> ValidationReport:
        """Validate a frame, or the group's own rows, by the suite, eagerly; nothing is written. The report is kept."""
        from spark_fs.flows import validate
        from spark_fs.tables import frames

        suite = self._reload_spec().expectation_suite
        if suite is None:
            raise SettingsError(
                f"Feature group {self._spec} has no expectation suite: attach one with"
                " save_expectation_suite."
            )
        frame = self.read() if df is None else frames.to_spark(self._stores.spark, df, self.schema)
        return self._stores.catalog.add_validation(
            self._spec.ref, validate.validate_frame(frame, suite)
        )

    def get_validation_history(self) -> list[ValidationReport]:
        """The reports on every batch, the oldest first; each says what became of the batch. Starts no JVM."""
        return self._stores.catalog.list_validations(self._spec.ref)

    def get_latest_validation_report(self) -> ValidationReport | None:
        """The newest report; None before the first. Starts no JVM."""
        return self._stores.catalog.get_latest_validation(self._spec.ref)

    def read_quarantine(self, dataframe_type: str = "spark") -> Any:
        """The rows that expectations set aside*: the group's columns, ``_ingested_at`` and ``_reason``."""
        from spark_fs.flows import group_rows, read

        return read.collect_frame(
            group_rows.read_quarantine(self._stores.spark, self.spec, self._table_path),
            dataframe_type,
        )

    # -- history

    def as_of(self, when: Instant | int | Commit) -> Query:
        """A query of every column as the group was at an instant (UTC), a version or a commit of ``commit_details``*.

        An instant stands for the newest commit at or before it. Starts no JVM. Raises NotFoundError
        for a version that does not exist and for an instant before the first.
        """
        return self.select_all().as_of(when)

    def read_changes(
        self,
        start: Instant | int | Commit | None = None,
        end: Instant | int | Commit | None = None,
        dataframe_type: str = "spark",
    ) -> Any:
        """What happened after ``start``, up to ``end`` and with it*: ``as_of(start)`` with these changes made is ``as_of(end)``.

        Both are instants (UTC), versions or commits; None: from before the first commit, up to the
        newest. Beside the group's columns each row has ``_ingested_at``, ``_change_type``
        ("insert", "update_preimage", "update_postimage" or "delete"), ``_commit_version`` and
        ``_commit_timestamp``. Raises NotFoundError as ``as_of`` does, SettingsError when ``end``
        lies before ``start``.
        """
        from spark_fs.flows import group_rows, read

        return read.collect_frame(
            group_rows.read_changes(self._stores.spark, self.spec, self._table_path, start, end),
            dataframe_type,
        )

    def commit_details(self, limit: int = 10) -> list[Commit]:
        """The newest commits, the newest first: version, instant (UTC), operation and rows. Starts no JVM."""
        from spark_fs.tables.delta.history import list_commits

        return list_commits(self._table_path, limit)

    # -- schema and storage

    def append_features(self, features: Feature | Sequence[Feature]) -> FeatureGroup:
        """Add columns at the end, eagerly; rows that are there hold nulls in them. Returns the group.

        Raises SchemaError for a name that is taken or a type that does not exist, with each; then
        nothing is added.
        """
        from spark_fs.flows import maintain

        added = to_feature_specs([features] if isinstance(features, Feature) else features)
        maintain.append_features(self._stores, self._reload_spec(), self._table_path, added)
        return self._update_spec(lambda spec: spec.with_features(added))

    def optimize(self) -> Job:
        """Rewrite small files into large ones, clustered by the primary key and event time, eagerly; no row changes."""
        from spark_fs.flows import maintain

        return maintain.optimize_table(self._stores.spark, self.spec, self._table_path)

    def vacuum(self, retention_hours: float = 168, force: bool = False) -> Job:
        """Delete the files that only versions older than the retention need, eagerly; ``as_of`` these ends with it.

        Raises SettingsError for less than 24 hours, which an insert or a reader beside it may need,
        and, naming them, when training datasets in memory or feature views read such a version.
        ``force=True`` goes on all the same: nothing else may use the group then.
        """
        from spark_fs.flows import maintain

        readers = {} if force else self._stores.catalog.find_pinned_versions(self._spec.ref)
        return maintain.vacuum_table(
            self._stores.spark, self.spec, self._table_path, retention_hours, readers, force
        )

    def delete(self, force: bool = False) -> None:
        """Delete the group, eagerly: rows, history, online table and definition.

        Unless forced, SettingsError while views read it, NotFoundError where its table has gone.
        """
        from spark_fs.flows import maintain

        if not force:
            self._check_unused()
            self._stores.find_table(
                self._spec
            )  # one that is not there may be on a disk that is not mounted
        maintain.delete_group(self._stores, self._spec, self.location)
        self._stores.catalog.delete_group(self._spec.ref)
