"""Build the rows of a group: by a function that its caller gives, or by its own aggregation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from spark_fs.base.python_values import format_value
from spark_fs.base.times import Interval, to_utc
from spark_fs.errors import SettingsError

if TYPE_CHECKING:
    from spark_fs.api.stores import Stores
    from spark_fs.base.times import Instant
    from spark_fs.flows.backfill import Builder
    from spark_fs.flows.jobs import Job
    from spark_fs.flows.table_rows import RowInserter
    from spark_fs.flows.window_build import WindowBuild
    from spark_fs.spec.feature_group import GroupSpec
    from spark_fs.tables.commits import Transaction


def split_backfill_arguments(
    group: GroupSpec, build: Any, start: Instant | None, end: Instant | None
) -> tuple[Builder | None, Interval]:
    """Tell the function from the instants in what ``backfill`` was called with.

    Args:
        group: The group; one with an aggregation takes no function, any other needs one.
        build: The function, or the start where there is none.
        start: The start, or the end where there is no function.
        end: The end.

    Returns:
        The function, and the interval.

    Raises:
        SettingsError: There is a function too many or too few, or no interval.
    """
    builder, instants = _split_function(group, "backfill", build, (start, end), "start, end")
    first, last = instants
    return builder, Interval.from_bounds(to_utc(first), to_utc(last))


def split_run_arguments(
    group: GroupSpec, build: Any, until: Instant | None
) -> tuple[Builder | None, datetime]:
    """Tell the function from the instant in what ``run_incremental`` was called with.

    Args:
        group: The group; one with an aggregation takes no function, any other needs one.
        build: The function, or until where there is none.
        until: The instant.

    Returns:
        The function, and the instant.

    Raises:
        SettingsError: There is a function too many or too few, or no instant.
    """
    builder, instants = _split_function(group, "run_incremental", build, (until,), "until")
    return builder, to_utc(instants[0])


def _split_function(
    group: GroupSpec, method: str, build: Any, instants: Sequence[Any], names: str
) -> tuple[Builder | None, Sequence[Any]]:
    """The function, and the instants, which come first where there is none."""
    if group.aggregation is None:
        if not callable(build):
            raise SettingsError(
                f"Feature group {group} has no aggregation that builds its rows: give the function"
                f" that does, as in {method}(build, {names}), or declare the group with"
                " aggregation=."
            )
        return build, _check_instants(group, f"{method}(build, {names})", instants)
    call = f"{method}({names})"
    if callable(build):
        raise SettingsError(
            f"Feature group {group} builds its rows by its aggregation: leave the function out, as"
            f" in {call}."
        )
    if build is not None:
        *others, last = instants
        if last is not None:
            raise SettingsError(
                f"{call} of feature group {group} was given {format_value(build)} in the place of a"
                " function, which it takes none of: name every= and what else follows."
            )
        instants = [build, *others]
    return None, _check_instants(group, call, instants)


def _check_instants(group: GroupSpec, call: str, instants: Sequence[Any]) -> Sequence[Any]:
    for instant in instants:
        if instant is None:
            raise SettingsError(
                f"Feature group {group} is built up to an instant (UTC) that the caller names: call"
                f" {call}."
            )
    return instants


@dataclass(frozen=True)
class GroupBuild:
    """A run that builds a group.

    insert: upserts rows into it, with the numbers of transactions.
    """

    stores: Stores
    group: GroupSpec
    insert: RowInserter

    def backfill(
        self,
        build: Builder | None,
        interval: Interval,
        every: timedelta | None,
        restart: bool,
        progress: Callable[[Job], None] | None,
    ) -> Job:
        """Build an interval, eagerly.

        Args:
            build: The function; None: the group's aggregation.
            interval: start <= event time < end.
            every: The length of a chunk; None: one chunk.
            restart: Whether chunks that are finished are built again.
            progress: Called with the job of each chunk.

        Returns:
            The job that counts all chunks.
        """
        from spark_fs.flows import backfill

        if build is None:
            return self._open_windows().backfill(interval, every, restart, progress)
        return backfill.backfill_group(
            self.stores.catalog,
            self.group,
            interval,
            every,
            restart,
            lambda chunk, end: self._build_interval(build, chunk, end),
            progress,
        )

    def run_until(
        self, build: Builder | None, until: datetime, every: timedelta, lateness: timedelta
    ) -> list[Job]:
        """Build from the watermark on, eagerly.

        Args:
            build: The function; None: the group's aggregation.
            until: What no interval passes.
            every: The length of an interval.
            lateness: How much before the watermark the first interval builds again.

        Returns:
            The job of each interval, after those of what changed in the past.
        """
        from spark_fs.flows import backfill

        if build is None:
            return self._open_windows().run_until(until, every, lateness)
        watermark = backfill.read_watermark(self.stores.find_table(self.group))
        if watermark is None:
            raise SettingsError(
                f"Feature group {self.group} has no watermark yet: run backfill(build, start, end)"
                " first."
            )
        return backfill.build_until(
            self.stores.catalog,
            self.group,
            watermark,
            until,
            every,
            lateness,
            lambda interval, end: self._build_interval(build, interval, end),
        )

    def _build_interval(self, build: Builder, interval: Interval, end: datetime) -> Job:
        from spark_fs.flows import backfill

        assert interval.start
        assert interval.end
        rows = build(self.stores.spark, interval.start, interval.end)
        watermark = backfill.read_watermark(self.stores.find_table(self.group))
        move: Transaction | None = backfill.move_watermark(watermark, end)
        return self.insert(rows, move, ())

    def _open_windows(self) -> WindowBuild:
        from spark_fs.flows.event_changes import read_changes
        from spark_fs.flows.event_source import AggregationSource
        from spark_fs.flows.table_rows import TableRows
        from spark_fs.flows.tile_upkeep import TileUpkeep
        from spark_fs.flows.window_build import WindowBuild
        from spark_fs.flows.window_tiles import TiledSource

        assert self.group.aggregation
        rows = TableRows(lambda: self.stores.open_table(self._load_group()), self.insert)
        source = AggregationSource.open(self.stores, self.group.aggregation)
        find_changes = partial(read_changes, source)
        tiles = TileUpkeep(source, find_changes, rows.open_table().tiles_folder)
        tiled = TiledSource(source, tiles)
        return WindowBuild(self.stores.catalog, self.group, tiled, find_changes, rows)

    def _load_group(self) -> GroupSpec:
        return self.stores.catalog.get_group(*self.group.ref)
