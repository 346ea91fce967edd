"""Which events of an entity are kept online one by one, and which of them stand for others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from spark_fs.base.times import DAY_MICROS
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.live_series import BucketSeries, Mask
from spark_fs.online.live.byte_layout import OF_MULTISETS, SINCE_EVER
from spark_fs.online.live.events import Gap
from spark_fs.online.live.suffix_records import make_fingerprint
from spark_fs.planning.window_plan import WindowPlan

KEPT_EVENTS = 32  # of an entity, the newest ones, whatever their age
MOST_EVENTS = 2_000  # from here up events are left out
_HOUR = 3_600_000_000
# For how long after a sync windows can be told, for the first that leaves few enough events.
HORIZONS = (7 * DAY_MICROS, DAY_MICROS, 6 * _HOUR, _HOUR)
BEFORE = 600_000_000  # microseconds before the sync, of which windows can be told too
# For how long after it they are read of records; of all events these were half of the bytes.
RECORD_HORIZON = DAY_MICROS
_FOREVER = 1 << 62
_OF_EACH = ("distinct_count", "approx_distinct_count", *OF_MULTISETS)


@dataclass(frozen=True)
class Thinning:
    """How the events of an aggregation are thinned in a sync.

    plan: the aggregation. now: the instant of the sync, in microseconds. kept_events, most_events,
    horizons, before, record_horizon: as the constants.
    """

    plan: WindowPlan
    now: int
    kept_events: int = KEPT_EVENTS
    most_events: int = MOST_EVENTS
    horizons: tuple[int, ...] = HORIZONS
    before: int = BEFORE
    record_horizon: int = RECORD_HORIZON

    @cached_property
    def fingerprint(self) -> int:
        """That of the aggregation."""
        return make_fingerprint(self.plan)

    @cached_property
    def longest_delay(self) -> int:
        """By how much the windows end before an instant at most."""
        return max((feature.delay for feature in self.plan.features), default=0)

    @cached_property
    def _offsets(self) -> list[int]:
        """How far before an instant windows begin and end, the farthest first."""
        offsets = set()
        for feature in self.plan.features:
            offsets.add(feature.delay)
            if feature.over is not None:
                offsets.add(feature.delay + feature.over)
        return sorted(offsets, reverse=True)

    def list_stretches(self, horizon: int) -> list[tuple[int, int]]:
        """Between which instants windows begin and end up to a horizon, apart and in order."""
        stretches: list[tuple[int, int]] = []
        for offset in self._offsets:
            start = max(self.now - self.before - offset, SINCE_EVER)
            end = max(self.now + horizon - offset, SINCE_EVER)
            if stretches and start <= stretches[-1][1]:
                stretches[-1] = (stretches[-1][0], end)
            else:
                stretches.append((start, end))
        stretches[-1] = (stretches[-1][0], _FOREVER)
        return stretches

    def find_first(self, micros: Ints) -> int:
        """The first event of an entity that any window reaches, or that is kept all the same."""
        if self.plan.longest_reach is None:
            return 0
        oldest, _ = self.list_stretches(0)[0]
        reached = int(np.searchsorted(micros, oldest))
        return max(0, min(reached, len(micros) - self.kept_events))

    def find_gaps(self, micros: Ints) -> "Gaps":
        """The events of an entity, in order, between which no window begins or ends."""
        found = Gaps([], self.record_horizon)
        if len(micros) <= self.most_events:
            return found
        for horizon in self.horizons:
            gaps = list(_iter_gaps(micros, self.list_stretches(horizon)))
            found = Gaps(gaps, min(horizon, self.record_horizon))
            left_out = sum(gap.stop - gap.start for gap in gaps)
            if len(micros) - left_out <= self.most_events:
                break
        return found


class Gaps(NamedTuple):
    """Runs of events, and for how long after the sync windows are read of records beside them."""

    runs: list[slice]
    horizon: int


def _iter_gaps(micros: Ints, stretches: Sequence[tuple[int, int]]) -> Iterator[slice]:
    """The runs of events outside of stretches of time."""
    start = 0
    for since, until in stretches:
        end = int(np.searchsorted(micros, since))
        if end - start > 2:
            yield slice(start, end)
        start = int(np.searchsorted(micros, until))


def to_times(gap: slice, micros: Ints) -> Gap:
    """The instants of the first and the last event of a gap."""
    return Gap(int(micros[gap.start]), int(micros[gap.stop - 1]))


def mark_kept(count: int, gaps: Sequence[slice], parts: Sequence["SeriesPart"]) -> Mask:
    """Which of an entity's events are kept: all but those of gaps that nothing looks at."""
    is_kept = np.ones(count, bool)
    for gap in gaps:
        is_kept[gap.start + 1 : gap.stop - 1] = False
        for part in parts:
            is_kept[part.find_needed(gap)] = True
    return is_kept


class SeriesPart:
    """The events of one entity in a series.

    Args:
        bucket: The series in all events of a bucket.
        start: The first event of the entity.
        end: The one behind its last.
        micros: The instants of these.
    """

    def __init__(self, bucket: BucketSeries, start: int, end: int, micros: Ints) -> None:
        self.bucket = bucket
        self.start = start
        self.end = end
        self.micros = micros
        self.is_present: Mask = bucket.is_present[start:end]

    @cached_property
    def rows(self) -> Ints:
        """The events that have a value, by instant and then by value, counted from the first."""
        rows = np.flatnonzero(self.is_present)
        if not self.bucket.series.has_values:
            return rows
        micros = self.micros[rows]
        if (micros[1:] != micros[:-1]).all():
            return rows
        return rows[np.lexsort((self.ranks[rows], micros))]

    @cached_property
    def ranks(self) -> Ints:
        """The rank of each event's value among those of the bucket."""
        return self.bucket.ranks[self.start : self.end]

    def find_needed(self, gap: slice) -> Ints:
        """The events of a gap that a function of the series looks at."""
        rows = self._select_rows(gap)
        series = self.bucket.series
        if not len(rows) or not (series.has_values or series.has_instants):
            return rows[:0]
        needed = [rows[:1], rows[-1:]]
        if series.has_values:
            ranks = self.ranks[rows]
            needed += [rows[[ranks.argmin(), ranks.argmax()]]]
            if "last_n" in series.functions:
                needed.append(rows[-series.longest_list :])
            newest = rows[_find_last_of_each(ranks)]
            if not series.functions.isdisjoint(_OF_EACH):
                needed.append(newest)
            elif "last_distinct_n" in series.functions:
                # zeros of both signs are two values here and one to the function
                needed.append(newest[-series.longest_list - 1 :])
        return np.concatenate(needed)

    def _select_rows(self, gap: slice) -> Ints:
        """The rows of a gap, in their order."""
        rows: Ints = self.rows[(self.rows >= gap.start) & (self.rows < gap.stop)]
        return rows

    def weigh(self, gaps: Sequence[slice], is_kept: Mask) -> Ints:
        """For how many events each of the rows stands, 0 for those that are not kept."""
        weights = np.zeros(len(self.micros), np.int64)
        weights[self.rows] = is_kept[self.rows]
        for gap in gaps:
            rows = self._select_rows(gap)
            ranks = self.ranks[rows]
            newest = _find_last_of_each(ranks)
            _, numbers = np.unique(ranks, return_inverse=True)
            totals = np.bincount(numbers, minlength=len(newest))
            kept = np.bincount(numbers[is_kept[rows]], minlength=len(newest))
            by_number = np.empty(len(newest), np.int64)
            by_number[numbers[newest]] = newest
            chosen = rows[by_number]
            weights[chosen] += np.where(is_kept[chosen], totals - kept, 0)
        return weights


def _find_last_of_each(ranks: Ints) -> Ints:
    """The place of the last of each rank, in ascending order."""
    _, from_end = np.unique(ranks[::-1], return_index=True)
    return np.sort(len(ranks) - 1 - from_end)
