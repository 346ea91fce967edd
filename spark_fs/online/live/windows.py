"""The features of one entity at an instant, of what a sync left of its events."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from spark_fs.base.times import from_micros
from spark_fs.errors import OnlineStoreError
from spark_fs.online.live.byte_layout import (
    SINCE_EVER,
    LiveSeries,
    get_series_key,
    list_series,
    make_fingerprint,
)
from spark_fs.online.live.events import LiveEvents, SeriesEvents
from spark_fs.online.live.finished_windows import FUNCTIONS, OF_EMPTY, Compute, LiveWindow
from spark_fs.planning.window_plan import BoundFeature, WindowPlan

Extent = tuple[int | None, int]  # of a window: its length and its delay


class _Step(NamedTuple):
    """One feature: what computes it, and the number of its window, which others may share."""

    feature: BoundFeature
    compute: Compute
    window: int
    empty: int | None


class LiveWindows:
    """Finishes windows of one aggregation; safe to share between threads.

    Args:
        stored_plan: The windows whose events are online.
        features: Those that are wanted, which are among these but for their names.
        is_closed: Whether an event counts at the very instant at which it becomes known.
        group: The group that is synced, for errors.
    """

    def __init__(
        self,
        stored_plan: WindowPlan,
        features: Sequence[BoundFeature],
        is_closed: bool,
        group: str,
    ) -> None:
        series = list_series(stored_plan)
        numbers = {key: number for number, key in enumerate(series)}
        self._series: list[LiveSeries] = list(series.values())
        self._fingerprint = make_fingerprint(self._series)
        self._is_closed = is_closed
        self._group = group
        self._extents: dict[Extent, str] = {}  # with the name of a feature
        windows: dict[tuple[int, Extent], int] = {}
        self._steps = []
        for feature in features:
            extent = (feature.over, feature.delay)
            self._extents.setdefault(extent, feature.name)
            key = (numbers[get_series_key(feature)], extent)
            window = windows.setdefault(key, len(windows))
            empty = 0 if feature.function in OF_EMPTY else None
            self._steps.append(_Step(feature, FUNCTIONS[feature.function], window, empty))
        self._windows = list(windows)
        self._used_series = sorted({number for number, _ in windows})

    def finish(self, stored: bytes | None, at: int) -> list[Any]:
        """The features of an entity at an instant.

        Args:
            stored: What is online of it; None: it has no events.
            at: The instant, in microseconds since 1970.

        Returns:
            The value of each feature, in their order.

        Raises:
            OnlineStoreError: A window begins or ends where events were left out, or what is online
                is of other windows.
            SchemaError: A sum is too large for its type.
        """
        if stored is None:
            return [step.empty for step in self._steps]
        events = self._open_events(stored)
        edges = {extent: self._find_edges(events, extent, at) for extent in self._extents}
        series = {}
        for number in self._used_series:
            series[number] = SeriesEvents(events, number, self._series[number])
        windows = []
        for number, extent in self._windows:
            start, end = edges[extent]
            windows.append(LiveWindow(series[number], start, end, at))
        values = []
        for feature, compute, number, empty in self._steps:
            window = windows[number]
            values.append(compute(window, feature) if window.count else empty)
        return values

    def _open_events(self, stored: bytes) -> LiveEvents:
        try:
            events = LiveEvents(stored)
        except ValueError as error:
            raise OnlineStoreError(
                f"The windows of feature group {self._group} are online in format {error}, which"
                " this release does not know: sync it again by sync_online(full=True)."
            ) from None
        if events.fingerprint != self._fingerprint:
            raise OnlineStoreError(
                f"What is online of feature group {self._group} is of other windows than those that"
                " the view was made ready for: the group was made anew. Call init_serving() again,"
                " after a sync_online() of the group."
            )
        return events

    def _find_edges(self, events: LiveEvents, extent: Extent, at: int) -> tuple[int, int]:
        """The positions between which the events of a window are."""
        over, delay = extent
        ends_before = at - delay + self._is_closed
        starts_from = SINCE_EVER if over is None else at - delay - over
        if not events.is_whole:
            for edge in (starts_from, ends_before):
                self._check_edge(events, extent, edge, at)
        start = 0 if over is None else events.find_position(starts_from)
        return start, events.find_position(ends_before)

    def _check_edge(self, events: LiveEvents, extent: Extent, edge: int, at: int) -> None:
        """OnlineStoreError where a window begins or ends between events that were left out."""
        doubt = events.find_doubt(edge)
        if doubt is None:
            return
        last = from_micros(doubt.last).isoformat()
        missing = f"those up to {last}"
        if doubt.first != SINCE_EVER:
            missing = f"those from {from_micros(doubt.first).isoformat()} to {last}"
        raise OnlineStoreError(
            f"Window feature {self._extents[extent]!r} cannot be told of"
            f" {from_micros(at).isoformat()}: its window begins or ends among events of feature"
            f" group {self._group} that are not online one by one, {missing}. Sync the group again"
            " by sync_online(), for an instant of the past with now= of that instant and full=True."
        )
