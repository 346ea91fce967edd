"""A group whose rows are built from its sources, one interval of event time after another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from spark_fs.api.table_group import TableGroup
from spark_fs.base.arguments import validate_arguments
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from datetime import datetime

    from spark_fs.api.aggregation import Aggregation
    from spark_fs.base.times import Instant, Interval
    from spark_fs.flows.backfill import Builder
    from spark_fs.flows.jobs import Job
    from spark_fs.spec.expectations import ValidationOptions, ValidationReport
    from spark_fs.spec.write_options import WriteOptions
    from spark_fs.tables.delta.staging import Transaction


@validate_arguments
class BuiltGroup(TableGroup):
    """A group whose rows may be built, by a function of the user's or by its aggregation."""

    @abstractmethod
    def _insert_rows(
        self,
        df: Any,
        options: WriteOptions,
        validation: ValidationOptions,
        transaction: Transaction | None,
    ) -> tuple[Job, ValidationReport | None]:
        """Insert rows, eagerly, in one commit with a transaction."""

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

    def backfill(
        self,
        build: Builder,
        start: Instant,
        end: Instant,
        every: timedelta | None = None,
        restart: bool = False,
        progress: Callable[[Job], None] | None = None,
    ) -> Job:
        """Build and upsert the rows of start <= event time < end, eagerly.

        The watermark moves on to ``end``; it never moves back, so a past interval can be built
        anew. A run that was killed, called again with the same start and end, goes on behind the
        last chunk that was finished.

        Args:
            build: ``build(spark, start, end)`` gives the rows of start <= event time < end.
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
            SettingsError: The interval is empty, or every is not above zero.
        """
        from spark_fs.base.times import Interval, to_utc
        from spark_fs.flows import backfill as flows_backfill

        return flows_backfill.backfill_group(
            self._stores.catalog,
            self._spec,
            Interval.from_bounds(to_utc(start), to_utc(end)),
            every,
            restart,
            lambda interval, watermark: self._build_interval(build, interval, watermark),
            progress,
        )

    def run_incremental(
        self,
        build: Builder,
        until: Instant,
        every: timedelta = timedelta(days=1),
        lateness: timedelta = timedelta(0),
    ) -> list[Job]:
        """Build from the watermark on, eagerly, one interval after another.

        Each interval's rows and its watermark are one commit, so a killed run goes on where it
        stopped and a second run does nothing.

        Args:
            build: ``build(spark, start, end)`` gives the rows of start <= event time < end.
            until: An instant (UTC) that no interval passes.
            every: The length of an interval. A group without event time has no past to build, so it
                takes one interval in all.
            lateness: How much before the watermark the first interval builds again, so that rows
                which came late are taken in and every window that they touch is made anew; what did
                not change is not written.

        Returns:
            The job of each interval.

        Raises:
            SettingsError: There was no backfill to start from, every is not above zero, or lateness
                is below it.
        """
        from spark_fs.base.times import to_utc
        from spark_fs.flows import backfill as flows_backfill

        watermark = self.watermark
        if watermark is None:
            raise SettingsError(
                f"Feature group {self.spec} has no watermark yet: run backfill(build, start, end)"
                " first."
            )
        return flows_backfill.build_until(
            self._stores.catalog,
            self._spec,
            watermark,
            to_utc(until),
            every,
            lateness,
            lambda interval, end: self._build_interval(build, interval, end),
        )

    def _build_interval(self, build: Builder, interval: Interval, watermark: datetime) -> Job:
        from spark_fs.flows import backfill as flows_backfill
        from spark_fs.spec.expectations import ValidationOptions
        from spark_fs.spec.write_options import WriteOptions

        assert interval.start
        assert interval.end
        rows = build(self._stores.spark, interval.start, interval.end)
        move = flows_backfill.make_watermark_transaction(self._table_path, watermark)
        job, _ = self._insert_rows(rows, WriteOptions(), ValidationOptions(), move)
        return job
