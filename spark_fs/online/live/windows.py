"""The features of one entity at an instant, of what a sync left of its events."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from spark_fs.base.times import from_micros
from spark_fs.errors import OnlineStoreError
from spark_fs.online.live.byte_layout import (
    FORMAT,
    SINCE_EVER,
    LiveSeries,
    get_series_key,
    list_series,
)
from spark_fs.online.live.events import Gap, LiveEvents, SeriesEvents
from spark_fs.online.live.finished_windows import FUNCTIONS, OF_EMPTY, Compute, LiveWindow
from spark_fs.online.live.recorded_windows import RecordedWindows
from spark_fs.online.live.suffix_records import (
    RECORDS_HEADER,
    build_suffix_layout,
    make_fingerprint,
)
from spark_fs.planning.window_plan import BoundFeature, WindowPlan

FinishWindows = Callable[[bytes | None, bytes | None], Sequence[Any]]


class _Step(NamedTuple):
    """One feature: its place, what computes it, and the number of its series."""

    place: int
    feature: BoundFeature
    compute: Compute
    series: int


class _Extent(NamedTuple):
    """A length and a delay. name: of a feature of these, for errors."""

    over: int | None
    delay: int
    name: str


class LiveWindows:
    """Finishes windows of one aggregation; safe to share between threads.

    Where the records of an entity tell of an instant, they are read, else its events.

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
        self._fingerprint = make_fingerprint(stored_plan)
        layout = build_suffix_layout(stored_plan)
        self._recorded = RecordedWindows(layout, self._fingerprint, features)
        self._is_closed = is_closed
        self._group = group
        empty_values = [0 if each.function in OF_EMPTY else None for each in features]
        self._empty: tuple[Any, ...] = tuple(empty_values)
        self._steps: dict[_Extent, list[_Step]] = {}
        self._unrecorded_steps: dict[_Extent, list[_Step]] = {}
        extents: dict[tuple[int | None, int], _Extent] = {}
        for place, feature in enumerate(features):
            new_extent = _Extent(feature.over, feature.delay, feature.name)
            extent = extents.setdefault((feature.over, feature.delay), new_extent)
            number = numbers[get_series_key(feature)]
            step = _Step(place, feature, FUNCTIONS[feature.function], number)
            self._steps.setdefault(extent, []).append(step)
            if layout.find_field(feature) is None:
                self._unrecorded_steps.setdefault(extent, []).append(step)

    @property
    def is_recorded(self) -> bool:
        """Whether records have all of the features."""
        return not self._unrecorded_steps

    def prepare(self, at: int) -> FinishWindows:
        """What finishes the features of an entity at an instant.

        It takes the records of the entity, None where it has no events, and its events, which may
        be None where the records tell all, and gives the value of each feature, in their order. Its
        errors are OnlineStoreError where a window begins or ends where events were left out, and
        where what is online is of other windows; SchemaError where a sum is too large for its type.

        Args:
            at: The instant, in microseconds since 1970.
        """
        return partial(self._finish, at, self._recorded.list_starts(at))

    def _finish(
        self, at: int, starts: Sequence[int], records: bytes | None, stored: bytes | None
    ) -> Sequence[Any]:
        if records is None:
            return self._empty
        values = self._recorded.read_values(records, starts, at)
        if values is None:
            form, _, fingerprint, *_ = RECORDS_HEADER.unpack_from(records)
            self._check_origin(form, fingerprint)
            assert stored is not None
            values = list(self._empty)
            self._compute(values, stored, self._steps, at)
        elif self._unrecorded_steps:
            assert stored is not None
            self._compute(values, stored, self._unrecorded_steps, at)
        return values

    def _compute(
        self,
        values: list[Any],
        stored: bytes,
        steps_of_extents: Mapping[_Extent, Sequence[_Step]],
        at: int,
    ) -> None:
        """Put features of an entity, computed of its events, into its values."""
        events = LiveEvents(stored)
        opened: dict[int, SeriesEvents] = {}
        for extent, steps in steps_of_extents.items():
            start, end = self._find_edges(events, extent, at)
            windows: dict[int, LiveWindow] = {}
            for place, feature, compute, number in steps:
                if number not in opened:
                    opened[number] = SeriesEvents(events, number, self._series[number])
                if number not in windows:
                    windows[number] = LiveWindow(opened[number], start, end, at)
                window = windows[number]
                if window.count:
                    values[place] = compute(window, feature)

    def _check_origin(self, form: int, fingerprint: int) -> None:
        """OnlineStoreError where what is online is of another release or of other windows."""
        if form != FORMAT:
            raise OnlineStoreError(
                f"The windows of feature group {self._group} are online in format {form}, which"
                " this release does not know: sync it again by sync_online(full=True)."
            )
        if fingerprint != self._fingerprint:
            raise OnlineStoreError(
                f"Feature group {self._group} was made again with other windows than those that"
                " this view was made ready for. Call its sync_online(), then init_serving() again."
            )

    def _find_edges(self, events: LiveEvents, extent: _Extent, at: int) -> tuple[int, int]:
        """The positions between which the events of a window are.

        OnlineStoreError where it begins or ends between events that were left out.
        """
        ends_before = at - extent.delay + self._is_closed
        starts_from = SINCE_EVER
        if extent.over is not None:
            starts_from = at - extent.delay - extent.over
        for edge in (starts_from, ends_before):
            doubt = events.find_doubt(edge)
            if doubt is not None:
                raise self._make_doubt_error(extent, doubt, at)
        return bisect_left(events.micros, starts_from), bisect_left(events.micros, ends_before)

    def _make_doubt_error(self, extent: _Extent, doubt: Gap, at: int) -> OnlineStoreError:
        last = from_micros(doubt.last).isoformat()
        missing = f"those up to {last}"
        if doubt.first != SINCE_EVER:
            missing = f"those from {from_micros(doubt.first).isoformat()} to {last}"
        return OnlineStoreError(
            f"Window feature {extent.name!r} cannot be computed at"
            f" {from_micros(at).isoformat()}: its window begins or ends among events of feature"
            f" group {self._group} that are not online one by one, {missing}. Call sync_online();"
            " for an instant of the past, sync_online(now=that instant, full=True)."
        )
