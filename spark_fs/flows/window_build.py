"""Build a group of window features: an interval of it, or onward, with what changed in the past.

Two numbers of Delta transactions tell how far the group is: the watermark, up to which it has rows,
and the version of its source that was taken in. Of every change of the source up to that version
the rows below the watermark tell already; some may tell of later ones. So the version may be noted
late, which costs work, but never early. It is noted with rows, or after them.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from spark_fs.base.times import Interval, from_micros
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.engine.windows.reach import ChangedEvents
from spark_fs.engine.windows.rows import to_bounds
from spark_fs.errors import SettingsError
from spark_fs.flows import backfill
from spark_fs.flows.backfill import BackfillCatalog
from spark_fs.flows.event_source import Rows
from spark_fs.flows.jobs import Job
from spark_fs.flows.replace_rows import RowScope
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.commits import Transaction

# The events that changed after a version of the source and reach rows between some instants; where
# they are too many, between which instants these rows lie; None where there are none.
ChangeReader = Callable[[int, TimeBounds], ChangedEvents | TimeBounds | None]


class WindowSource(Protocol):
    """The events of a group of window features, as of one moment."""

    @property
    def tracked_id(self) -> str | None:
        """Under which id it is noted what was taken in of it; None where it cannot tell changes."""

    @property
    def version(self) -> int:
        """The version of a source that can tell changes, which grows with them."""

    def compute_rows(
        self, interval: Interval, changed: ChangedEvents | None = None
    ) -> AbstractContextManager[Rows]:
        """The rows of an interval, or those of them alone that changed events reach."""


class WindowRows(Protocol):
    """The rows of a group of window features, and the numbers that are committed with them."""

    def find_number(self, id_: str) -> int | None:
        """The last number that was committed under an id; None before the first."""

    def replace_rows(
        self,
        rows: Rows,
        scope: RowScope,
        transaction: Transaction | None,
        noted: Sequence[Transaction],
    ) -> Job:
        """Let the group have these rows in a scope, and no others, eagerly.

        The number of the transaction is committed with them, those that are noted with them or
        after.
        """


@dataclass(frozen=True)
class WindowBuild:
    """A run that builds a group of window features.

    read_changes: tells what changed in the source, where that has a ``tracked_id``.
    """

    catalog: BackfillCatalog
    group: GroupSpec
    source: WindowSource
    read_changes: ChangeReader
    rows: WindowRows

    def backfill(
        self,
        interval: Interval,
        every: timedelta | None,
        restart: bool,
        progress: Callable[[Job], None] | None,
    ) -> Job:
        """Build an interval in chunks, eagerly, as ``backfill_group`` does.

        Where it is all that there is, the version of the source is noted at its end; by the first
        chunk of all at once.

        Args:
            interval: start <= instant < end.
            every: The length of a chunk; None: one chunk.
            restart: Whether chunks that are finished are built again.
            progress: Called with the job of each chunk.

        Raises:
            SettingsError: It would leave a gap to what is built.
        """
        built = self._find_built()
        if built is not None:
            _check_gap(self.group, interval, built)
        is_whole = built is None or _covers(interval, built)
        done_until = self.catalog.get_backfill_progress(self.group.ref, interval)
        is_one_version = restart or done_until is None

        def build_chunk(chunk: Interval, end: datetime) -> Job:
            is_last = chunk.end == interval.end
            is_first_of_all = self._find_watermark() is None
            takes_in = is_first_of_all or (is_last and is_whole and is_one_version)
            return self._build_interval(chunk, end, takes_in)

        extends_back = built is not None and _get_ends(interval)[0] < _get_ends(built)[0]
        return backfill.backfill_group(
            self.catalog,
            self.group,
            interval,
            every,
            restart,
            build_chunk,
            progress,
            extends_back,
        )

    def run_until(self, until: datetime, every: timedelta, lateness: timedelta) -> list[Job]:
        """Take in what changed below the watermark, then build from it on, eagerly.

        Args:
            until: What no interval passes.
            every: The length of an interval.
            lateness: How much before the watermark the first interval builds again.

        Returns:
            The jobs of what changed, where anything did, and of each interval.

        Raises:
            SettingsError: There was no backfill to start from, or what changed cannot be told.
        """
        built = self._find_built()
        if built is None:
            raise SettingsError(
                f"Feature group {self.group} has no watermark yet: run backfill(start, end) first."
            )
        jobs = self._take_in_changes(built, every)
        jobs += backfill.build_until(
            self.catalog,
            self.group,
            _get_ends(built)[1],
            until,
            every,
            lateness,
            lambda interval, end: self._build_interval(interval, end, True),
        )
        return jobs

    # -- how far the group is

    def _find_watermark(self) -> datetime | None:
        number = self.rows.find_number(backfill.WATERMARK_ID)
        return None if number is None else from_micros(number)

    def _find_built(self) -> Interval | None:
        """What has rows; None before the first backfill."""
        watermark = self._find_watermark()
        if watermark is None:
            return None
        spec = self.catalog.get_group(self.group.name, self.group.version)
        built_from = watermark
        if spec.built_from:
            built_from = min(datetime.fromisoformat(spec.built_from), watermark)
        return Interval(built_from, watermark)

    # -- rows

    def _build_interval(self, interval: Interval, end: datetime, takes_in: bool) -> Job:
        """The rows of an interval, with the watermark; whether the source's version is noted."""
        move = backfill.move_watermark(self._find_watermark(), end)
        noted = []
        number = self._number_source()
        if takes_in and number:
            noted.append(number)
        with self.source.compute_rows(interval) as rows:
            return self.rows.replace_rows(rows, RowScope(interval), move, noted)

    def _number_source(self) -> Transaction | None:
        """The version that the source has, as a transaction; None where it is noted already."""
        id_ = self.source.tracked_id
        if id_ is None:
            return None
        taken_in = self.rows.find_number(id_)
        if taken_in is not None and taken_in >= self.source.version:
            return None
        return Transaction(id_, self.source.version)

    def _take_in_changes(self, built: Interval, every: timedelta) -> list[Job]:
        """Make those rows anew that events reach which changed since the last run."""
        id_ = self.source.tracked_id
        if id_ is None:
            return []
        taken_in = self.rows.find_number(id_)
        if taken_in is None:
            raise SettingsError(
                f"What feature group {self.group} was made of is not known: the table of its source"
                f" was made again since. Build it again by backfill('{built.to_json()[0]}',"
                f" '{built.to_json()[1]}', restart=True)."
            )
        if taken_in == self.source.version:
            return []
        changes = self.read_changes(taken_in, to_bounds(built))
        if changes is None:
            return []
        if not isinstance(changes, ChangedEvents):
            return self._build_again(_to_interval(changes), every)
        bounds = changes.find_bounds(to_bounds(built))
        assert bounds
        scope = RowScope(_to_interval(bounds), changes)
        with self.source.compute_rows(scope.interval, changes) as rows:
            return [self.rows.replace_rows(rows, scope, self._number_source(), [])]

    def _build_again(self, interval: Interval, every: timedelta) -> list[Job]:
        """Every row of an interval in the past, in chunks; the last notes the source's version."""
        jobs = []
        for chunk in backfill.split_into_chunks(interval, every, None):
            assert chunk.end
            takes_in = chunk.end == interval.end
            jobs.append(self._build_interval(chunk, chunk.end, takes_in))
        return jobs


def _to_interval(bounds: TimeBounds) -> Interval:
    start, end = bounds
    assert start is not None
    assert end is not None
    return Interval(from_micros(start), from_micros(end))


def _covers(interval: Interval, built: Interval) -> bool:
    """Whether an interval has all that is built in it."""
    start, end = _get_ends(interval)
    built_start, built_end = _get_ends(built)
    return start <= built_start and built_end <= end


def _get_ends(interval: Interval) -> tuple[datetime, datetime]:
    assert interval.start
    assert interval.end
    return interval.start, interval.end


def _check_gap(group: GroupSpec, interval: Interval, built: Interval) -> None:
    """SettingsError where a time between the interval and what is built would have no rows."""
    start, end = _get_ends(interval)
    built_start, built_end = _get_ends(built)
    if start <= built_end and built_start <= end:
        return
    raise SettingsError(
        f"Feature group {group} has rows of {built}, and a backfill of {interval} would leave a"
        " time between them without rows: begin it at the end of what is built, or end it at the"
        " start."
    )
