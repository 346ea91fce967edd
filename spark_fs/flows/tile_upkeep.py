"""Keep tiles of window features: bring them up to the version of the source that a run reads."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.times import DAY_MICROS
from spark_fs.base.user_warnings import warn_user
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.engine.windows.reach import MICROS, ChangedEvents
from spark_fs.engine.windows.tile_columns import TILE, make_tile_schema
from spark_fs.engine.windows.tile_rows import age_tiles, make_tiles
from spark_fs.engine.windows.tile_spans import (
    Stretch,
    TileReads,
    find_oldest_edge,
    floor_to_day,
    merge_stretches,
)
from spark_fs.errors import SettingsError, SparkFSError
from spark_fs.flows.window_build import ChangeReader, WindowSource
from spark_fs.planning.window_plan import WindowPlan
from spark_fs.tables.tile_files import Day, TileFiles, TileState

_NOTHING = -1  # the version of a source of which nothing was taken in


class EventHistory(WindowSource, Protocol):
    """A source of window features of which tiles can be made; see ``AggregationSource``."""

    @property
    def windows(self) -> WindowPlan:
        """What is computed of the events."""

    def read_events(self, bounds: TimeBounds) -> pa.Table | None:
        """All events known between these instants, and perhaps others; None: they are too many."""

    def make_tiles(self, stretch: Stretch) -> pa.Table | None:
        """The tiles of some days, or of all time before one, eagerly; None: they are too many."""


class LocalEvents(NamedTuple):
    """All events of some stretches of time, once each."""

    table: pa.Table
    stretches: Sequence[Stretch]

    def has_all_of(self, stretch: Stretch) -> bool:
        """Whether all events of a stretch are among them."""
        if stretch.start is None:
            return False
        for own in self.stretches:
            assert own.start is not None
            if own.start <= stretch.start and stretch.end <= own.end:
                return True
        return False


@dataclass(frozen=True)
class TileUpkeep:
    """Keeps the tiles of a group of window features.

    events: what tiles are made of. read_changes: which of them changed after a version and reach
    rows of a time. folder: where tiles are kept.
    """

    events: EventHistory
    read_changes: ChangeReader
    folder: str

    @property
    def plan(self) -> WindowPlan:
        """What is computed of the events."""
        return self.events.windows

    def load_tiles(self) -> tuple[TileState, TileFiles] | None:
        """The tiles that are kept of this source; None without any."""
        kept = TileFiles.load(self.folder, make_tile_schema(self.plan))
        if kept is None:
            return None
        state = kept[0]
        if state.source_id != self.events.tracked_id or state.plan_id != _hash_plan(self.plan):
            return None
        return kept if state.version <= self.events.version else None

    def begin_tiles(self, since: int) -> tuple[TileState, TileFiles]:
        """No tiles yet, of a source of which nothing was taken in."""
        assert self.events.tracked_id is not None
        state = TileState(self.events.tracked_id, _NOTHING, _hash_plan(self.plan), since, since)
        return state, TileFiles(self.folder, make_tile_schema(self.plan), {})

    def begin_after(self, end: int) -> None:
        """Make the tiles that runs from an instant on need, eagerly; not where there are any."""
        if self.load_tiles() is None:
            state, files = self.begin_tiles(find_oldest_edge(self.plan, end))
            nothing = LocalEvents(pa.table({}), ())
            self.bring_up(state, files, (end, end), TileReads((), ()), nothing)

    def bring_up(
        self,
        state: TileState,
        files: TileFiles,
        bounds: tuple[int, int],
        reads: TileReads,
        events: LocalEvents,
    ) -> pa.Table | None:
        """Bring tiles up to the source's version and to an interval's end, eagerly.

        Args:
            state: Of what the tiles are made.
            files: The tiles.
            bounds: The interval.
            reads: Which days it needs as tiles.
            events: The events that are read already.

        Returns:
            The tiles that the interval needs; None where they cannot be brought up.
        """
        missing = self._find_missing(state, bounds)
        if missing is None:
            return None
        for stretch in missing:
            if not self._replace_tiles(files, stretch, events):
                return None
        tiles = files.read_days(_select_days(files, reads.tiles))
        if tiles is None:
            return None
        # by the start, so that a run which ended before it committed rows finds them again
        since = max(state.since, find_oldest_edge(self.plan, bounds[0]))
        if not self._age_tiles(files, since):
            return None
        until = max(state.until, floor_to_day(bounds[1]))
        now = replace(state, version=self.events.version, since=since, until=until)
        if now != state or missing:
            _try_to_save(files, now)
        return tiles

    def _find_missing(self, state: TileState, bounds: tuple[int, int]) -> list[Stretch] | None:
        """The days whose tiles are not made, or not of the source as it is.

        None where all are to be made anew.
        """
        missing = []
        first = state.until
        if state.version == _NOTHING:
            if self._is_endless:
                missing.append(Stretch(None, state.since))
        elif state.version < self.events.version:
            changed = self._find_changed(state)
            if changed is None:
                return None
            missing += changed
        if not self._is_endless:
            first = max(first, find_oldest_edge(self.plan, bounds[0]))
        last = floor_to_day(bounds[1])
        if first < last:
            missing.append(Stretch(first, last))
        return missing

    @property
    def _is_endless(self) -> bool:
        """Whether a window holds all history."""
        return self.plan.longest_reach is None

    def _find_changed(self, state: TileState) -> list[Stretch] | None:
        """The days with tiles of which the source changed; None where that cannot be told."""
        start = None if self._is_endless else state.since
        try:
            changes = self.read_changes(state.version, (start, state.until))
        except SettingsError:  # its history does not reach back so far
            return None
        if changes is None:
            return []
        if not isinstance(changes, ChangedEvents):
            return None
        micros = changes.events.column(MICROS).to_numpy()
        stretches = []
        for day in np.unique(micros // DAY_MICROS * DAY_MICROS):
            if state.since <= day < state.until:
                stretches.append(Stretch(int(day), int(day) + DAY_MICROS))
        changed = merge_stretches(stretches)
        if self._is_endless and (micros < state.since).any():
            changed.append(Stretch(None, state.since))
        return changed

    def _replace_tiles(self, files: TileFiles, stretch: Stretch, events: LocalEvents) -> bool:
        """Make the tiles of some days anew, eagerly; False where they are too many.

        Args:
            files: Where they go.
            stretch: The days, or all time before the others.
            events: The events that are read already.
        """
        tiles: pa.Table | None
        if events.has_all_of(stretch):
            tiles = make_tiles(events.table, self.plan, stretch)
        else:
            tiles = self.events.make_tiles(stretch)
        if tiles is None:
            return False
        if stretch.start is None:
            files.replace_days([None], {None: tiles})
            return True
        tables: dict[Day, pa.Table] = {}
        for day in tiles.column(TILE).unique().to_pylist():
            tables[day] = tiles.filter(pc.equal(tiles.column(TILE), day))
        files.replace_days(range(stretch.start, stretch.end, DAY_MICROS), tables)
        return True

    def _age_tiles(self, files: TileFiles, since: int) -> bool:
        """Merge or drop the tiles of days that only windows over all history hold.

        False where a file that it needs is gone or damaged.
        """
        old: list[Day] = [day for day in files.days if day is not None and day < since]
        if not old:
            return True
        tables: dict[Day, pa.Table] = {}
        if self._is_endless:
            old.append(None)
            tiles = files.read_days(old)
            if tiles is None:
                return False
            tables[None] = age_tiles(tiles, self.plan, since)
        files.replace_days(old, tables)
        return True


def _try_to_save(files: TileFiles, state: TileState) -> None:
    """Save tiles; what cannot be written is a warning, since no row depends on it."""
    try:
        files.save(state)
    except SparkFSError as error:
        warn_user(f"{error} The rows are right without them; a later run writes them.")


def _select_days(files: TileFiles, stretches: Sequence[Stretch]) -> list[Day]:
    """The days of some stretches that have tiles, and the time before them."""
    days = []
    for day in files.days:
        for start, end in stretches:
            is_begun = start is None or (day is not None and start <= day)
            if is_begun and (day is None or day < end):
                days.append(day)
    return days


def _hash_plan(plan: WindowPlan) -> str:
    """What tells the tiles of a plan from those of others."""
    return hashlib.sha256(repr(plan).encode()).hexdigest()
