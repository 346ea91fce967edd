"""Rows of window features from new events, the days that leave their windows, and tiles between.

Tiles follow from the source alone. A run brings them up to the version that it reads before it
commits rows; one that ends in between leaves tiles that the next one goes on from.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from spark_fs.base.event_times import to_event_micros
from spark_fs.base.times import Interval
from spark_fs.engine.windows.reach import ChangedEvents
from spark_fs.engine.windows.rows import to_bounds
from spark_fs.engine.windows.tile_rows import mark_stretches
from spark_fs.engine.windows.tile_spans import (
    TileReads,
    choose_reads,
    find_oldest_edge,
    is_worth_tiles,
)
from spark_fs.engine.windows.tiled_rows import build_tiled_rows
from spark_fs.flows.event_source import Rows
from spark_fs.flows.tile_upkeep import EventHistory, LocalEvents, TileUpkeep
from spark_fs.planning.window_plan import WindowPlan


@dataclass(frozen=True)
class TiledSource:
    """The events of a group of window features, and tiles of them; see ``WindowSource``.

    events: all events. tiles: keeps tiles of them.
    """

    events: EventHistory
    tiles: TileUpkeep

    @property
    def tracked_id(self) -> str | None:
        """Of the source, where it can tell what changed in it."""
        return self.events.tracked_id

    @property
    def version(self) -> int:
        """Of the source."""
        return self.events.version

    @property
    def _plan(self) -> WindowPlan:
        return self.events.windows

    @contextmanager
    def compute_rows(
        self, interval: Interval, changed: ChangedEvents | None = None
    ) -> Iterator[Rows]:
        """The rows of the aggregation, eagerly where tiles serve, else as without them.

        Args:
            interval: Of the instants of the rows.
            changed: Events whose rows alone are wanted; tiles are not used for these.

        Yields:
            The columns of the plan's ``row_schema``, to be read before the context ends.
        """
        has_tiles = self.tracked_id is not None and is_worth_tiles(self._plan)
        if changed is not None or not has_tiles:
            with self.events.compute_rows(interval, changed) as rows:
                yield rows
            return
        start, end = to_bounds(interval)
        assert start is not None
        assert end is not None
        tiled_rows = self._compute_from_tiles(start, end)
        if tiled_rows is not None:
            yield tiled_rows
            return
        with self.events.compute_rows(interval) as rows:
            yield rows
        self.tiles.begin_after(end)

    def _compute_from_tiles(self, start: int, end: int) -> pa.Table | None:
        """The rows of an interval; None where tiles do not serve it."""
        reads = choose_reads(self._plan, start, end)
        if not reads.tiles:
            return None
        edge = find_oldest_edge(self._plan, start)
        kept = self.tiles.load_tiles()
        if kept is not None and kept[0].since > edge:
            return None  # those that later runs need are kept alone
        events = self._read_events(reads)
        if events is None:
            return None
        tiles = None
        if kept is not None:
            tiles = self.tiles.bring_up(*kept, (start, end), reads, events)
        if tiles is None:
            tiles = self.tiles.bring_up(*self.tiles.begin_tiles(edge), (start, end), reads, events)
        if tiles is None:
            return None
        return build_tiled_rows(events.table, tiles, self._plan, (start, end))

    def _read_events(self, reads: TileReads) -> LocalEvents | None:
        """The events that tiles do not stand for; None where they are too many."""
        name, type_ = self._plan.known_at
        tables = []
        for stretch in reads.events:
            table = self.events.read_events(stretch)
            if table is None:
                return None
            instants = to_event_micros(table.column(name), type_)
            tables.append(table.filter(mark_stretches(instants, [stretch])))
        return LocalEvents(pa.concat_tables(tables), reads.events)
