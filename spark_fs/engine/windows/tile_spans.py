"""Which days the windows of a run read as events, and which as tiles: arithmetic alone.

A tile stands for the events of one entity in one day. Where an edge of a window lies, the events of
the day are needed; the days between are inside the window as a whole.
"""

from collections.abc import Iterable
from typing import NamedTuple

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.times import DAY_MICROS
from spark_fs.planning.window_plan import BoundFeature, WindowPlan

LEAST_DAYS = 3  # of a window: in shorter ones hardly a day lies between the days of the edges


class Stretch(NamedTuple):
    """The time from start on, before end, in microseconds; start None: all time before end."""

    start: int | None
    end: int


class TileReads(NamedTuple):
    """What the windows of a run are made of, earliest first; no two stretches overlap.

    events: where events are read. tiles: whole days, where tiles are.
    """

    events: tuple[Stretch, ...]
    tiles: tuple[Stretch, ...]


def is_worth_tiles(plan: WindowPlan) -> bool:
    """Whether a window is so long that there are days inside it."""
    for feature in plan.features:
        if feature.over is None or feature.over >= LEAST_DAYS * DAY_MICROS:
            return True
    return False


def choose_reads(plan: WindowPlan, start: int, end: int) -> TileReads:
    """Where the windows at instants of an interval need events, and where tiles do.

    No edge of a window lies inside a day that is read as tiles.

    Args:
        plan: The aggregation.
        start: The first instant, in microseconds since 1970.
        end: Behind the last one.

    Returns:
        The stretches; the interval itself is among those of events, since its rows are at them.
    """
    stretches = [Stretch(floor_to_day(start), end)]
    for feature in plan.features:
        stretches += _find_edges(feature, start, end)
    events = merge_stretches(stretches)
    tiles = []
    behind = None
    for stretch in events:
        assert stretch.start is not None
        gap = Stretch(behind, stretch.start)
        if any(_needs_gap(feature, gap, start, end) for feature in plan.features):
            tiles.append(gap)
        behind = stretch.end
    return TileReads(tuple(events), tuple(tiles))


def find_oldest_edge(plan: WindowPlan, start: int) -> int:
    """The first day that windows at an instant, or later, do not hold as a whole or not at all.

    Of all days before it windows over all history need one sum alone, and others nothing.

    Args:
        plan: The aggregation.
        start: The instant, in microseconds since 1970.
    """
    edges = [start]
    for feature in plan.features:
        edges.append(start - feature.delay - (feature.over or 0))
    return floor_to_day(min(edges))


def floor_to_day(micros: int) -> int:
    """The beginning of an instant's day."""
    return micros // DAY_MICROS * DAY_MICROS


def ceil_to_day(micros: int) -> int:
    """The first beginning of a day that is not before an instant."""
    return ceil_divide(micros, DAY_MICROS) * DAY_MICROS


def _find_edges(feature: BoundFeature, start: int, end: int) -> list[Stretch]:
    """The days in which the windows of a feature begin and end."""
    offsets = [feature.delay]
    if feature.over is not None:
        offsets.append(feature.delay + feature.over)
    edges = []
    for offset in offsets:
        behind = min(ceil_to_day(end - offset), end)
        edges.append(Stretch(floor_to_day(start - offset), behind))
    return edges


def merge_stretches(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time as stretches that do not meet, earliest first; all have a start."""
    merged: list[Stretch] = []
    for stretch in sorted(stretches):
        if merged and stretch.start is not None and stretch.start <= merged[-1].end:
            last = merged.pop()
            merged.append(Stretch(last.start, max(last.end, stretch.end)))
        else:
            merged.append(stretch)
    return merged


def _needs_gap(feature: BoundFeature, gap: Stretch, start: int, end: int) -> bool:
    """Whether some window of a feature holds a stretch of days."""
    first = gap.start
    is_begun = feature.over is None
    if feature.over is not None:
        is_begun = start - feature.delay - feature.over < gap.end
    return is_begun and (first is None or first < end - feature.delay)
