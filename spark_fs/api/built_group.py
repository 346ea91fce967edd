"""A group whose rows are built from its sources, one interval of event time after another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, overload

from spark_fs.api.on_demand_group import OnDemandGroup
from spark_fs.base.arguments import validate_arguments

if TYPE_CHECKING:
    from datetime import datetime

    from spark_fs.api.aggregation import Aggregation
    from spark_fs.api.building import GroupBuild
    from spark_fs.base.times import Instant
    from spark_fs.flows.backfill import Builder
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.expectations import ValidationOptions
    from spark_fs.spec.validation_report import ValidationReport
    from spark_fs.spec.write_options import WriteOptions
    from spark_fs.tables.commits import Transaction


@validate_arguments
class BuiltGroup(OnDemandGroup):
    """A group whose rows may be built, by a function of the user's or by its aggregation."""

    @abstractmethod
    def _insert_rows(
        self,
        df: Any,
        options: WriteOptions,
        validation: ValidationOptions,
        transaction: Transaction | None = None,
        noted: Sequence[Transaction] = (),
    ) -> tuple[Job, ValidationReport | None]:
        """Insert rows, eagerly, in one commit with the numbers of transactions."""

    @property
    def aggregation(self) -> Aggregation | None:
        """The window features that its rows are built of; None where its rows are inserted."""
        from spark_fs.api.aggregation import Aggregation

        spec = self._spec.aggregation
        return None if spec is None else Aggregation._from_spec(self._stores, spec)

    @property
    def watermark(self) -> datetime | None:
        """The end (UTC, excluded) of what ``backfill`` and ``run_incremental`` have built.

        None before the first. Starts no JVM.
        """
        from spark_fs.flows import backfill as flows_backfill

        return flows_backfill.read_watermark(self._table_path)

    if TYPE_CHECKING:

        @overload
        def backfill(
            self,
            build: Instant,
            start: Instant,
            *,
            every: timedelta | None = ...,
            restart: bool = ...,
            progress: Callable[[Job], None] | None = ...,
        ) -> Job: ...
        @overload
        def backfill(
            self,
            build: Builder | None = ...,
            start: Instant = ...,
            end: Instant = ...,
            every: timedelta | None = ...,
            restart: bool = ...,
            progress: Callable[[Job], None] | None = ...,
        ) -> Job: ...

    def backfill(
        self,
        build: Builder | Instant | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        every: timedelta | None = None,
        restart: bool = False,
        progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """Build and upsert the rows of start <= event time < end, eagerly.

        A group with an aggregation builds itself: ``backfill(start, end)``; rows of the interval
        whose events are gone are deleted. The watermark moves on to ``end``; it never moves back,
        so a past interval can be built anew. A run that was killed, called again with the same
        start and end, goes on behind the last chunk that was finished.

        Args:
            build: ``build(spark, start, end)`` gives the rows of start <= event time < end; left
                out for a group with an aggregation.
            start: An instant (UTC), included.
            end: An instant (UTC), excluded.
            every: The length of the chunks that the interval is cut into, each of which is one
                commit with its watermark; None: one chunk. A group without event time is built in
                one chunk.
            restart: Whether to build the chunks again that an earlier run finished.
            progress: Called with the job of each chunk.

        Returns:
            The job that counts all chunks.

        Raises:
            SettingsError: The interval is empty, or every is not above zero; a function for a group
                with an aggregation, or none for another; the source of the aggregation has no rows
                yet, or the interval would leave a gap to what it has built.
        """
        from spark_fs.api.building import split_backfill_arguments

        builder, interval = split_backfill_arguments(self._spec, build, start, end)
        return self._open_build().backfill(builder, interval, every, restart, progress)

    if TYPE_CHECKING:

        @overload
        def run_incremental(
            self, build: Instant, *, every: timedelta = ..., lateness: timedelta = ...
        ) -> list[Job]: ...
        @overload
        def run_incremental(
            self,
            build: Builder | None = ...,
            until: Instant = ...,
            every: timedelta = ...,
            lateness: timedelta = ...,
        ) -> list[Job]: ...

    def run_incremental(
        self,
        build: Builder | Instant | None = None,
        until: Instant | None = None,
        every: timedelta = timedelta(days=1),
        lateness: timedelta = timedelta(0),
    ) -> list[Job]:
        """Build from the watermark on, eagerly, one interval after another.

        Each interval's rows and its watermark are one commit, so a killed run goes on where it
        stopped and a second run does nothing. A group with an aggregation builds itself:
        ``run_incremental(until)``. Where its source is a feature group, each row that an event
        reaches which came late, was corrected or deleted since the last run is made anew first.

        Args:
            build: ``build(spark, start, end)`` gives the rows of start <= event time < end; left
                out for a group with an aggregation.
            until: An instant (UTC) that no interval passes.
            every: The length of an interval. A group without event time has no past to build, so it
                takes one interval in all.
            lateness: How much before the watermark the first interval builds again, so that rows
                which came late are taken in and every window that they touch is made anew; what did
                not change is not written. An aggregation of one feature group needs none.

        Returns:
            The job of each interval, after that of what changed in the past where anything did.

        Raises:
            SettingsError: There was no backfill to start from, every is not above zero, or lateness
                is below it; a function for a group with an aggregation, or none for another; what
                changed in its source cannot be told any more.
        """
        from spark_fs.api.building import split_run_arguments

        builder, instant = split_run_arguments(self._spec, build, until)
        return self._open_build().run_until(builder, instant, every, lateness)

    def _open_build(self) -> GroupBuild:
        from spark_fs.api.building import GroupBuild

        return GroupBuild(self._stores, self._spec, self._insert_built)

    def _insert_built(
        self, df: Any, transaction: Transaction | None, noted: Sequence[Transaction]
    ) -> Job:
        from spark_fs.spec.expectations import ValidationOptions
        from spark_fs.spec.write_options import WriteOptions

        rows = self._compute_on_demand(df, None)
        job, _ = self._insert_rows(rows, WriteOptions(), ValidationOptions(), transaction, noted)
        return job
