"""The suffix records of live windows, of all entities of a bucket at once.

``online/live/suffix_records.py`` says what they are. The kernel of windows computes them, so that
what is read of them is to the last bit what a training read says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.edges import OrderedEvents, Windows
from spark_fs.engine.windows.kernel import WindowSource
from spark_fs.engine.windows.live_series import Mask
from spark_fs.engine.windows.live_thinning import Thinning
from spark_fs.engine.windows.series import SeriesWindows
from spark_fs.online.live.byte_layout import FORMAT, SINCE_EVER, WORD_BYTES
from spark_fs.online.live.suffix_records import (
    HAS_FULL_RECORDS,
    RECORDS_HEADER,
    build_suffix_layout,
)

Records = npt.NDArray[np.void]
# What Arrow casts values of a struct code to.
_ARROW_TYPES: Mapping[str, pa.DataType] = {
    "b": pa.int8(),
    "h": pa.int16(),
    "i": pa.int32(),
    "q": pa.int64(),
    "I": pa.uint32(),
    "f": pa.float32(),
    "d": pa.float64(),
}


@dataclass(frozen=True)
class _SuffixEdges:
    """Windows that end with the last event of their entity, whatever their length."""

    windows: Windows

    def find_windows(self, over: int | None, delay: int) -> Windows:  # noqa: ARG002 # of any
        """They."""
        return self.windows


class PackedRecords(NamedTuple):
    """The records of an entity, and from which instant to which windows are read of them."""

    packed: bytes
    first: int
    last: int


class BucketSuffixes:
    """The records of the events of a bucket.

    Args:
        events: The events.
        ordered: Their order, by entity and instant.
        starts: Where the events of each entity begin in it, and where those of the last end.
        thinning: The aggregation, and from when on windows begin.
    """

    def __init__(
        self, events: pa.Table, ordered: OrderedEvents, starts: Ints, thinning: Thinning
    ) -> None:
        self._events = events
        self._ordered = ordered
        self._plan = thinning.plan
        self._layout = build_suffix_layout(thinning.plan)
        self._thinning = thinning
        ends = np.repeat(starts[1:], np.diff(starts))
        self._is_recorded = self._mark_recorded(starts)
        rows = np.flatnonzero(self._is_recorded)
        self._records = self._compute(rows, ends[rows])
        self._places = np.searchsorted(rows, starts).tolist()
        self._whole = None
        if self._layout.has_whole:
            self._whole = self._compute(starts[:-1], starts[1:])

    def _list_stretches(self) -> list[tuple[int, int]]:
        """Between which instants windows begin while they are read of records, for each reach."""
        stretches = []
        for reach in self._layout.reaches:
            first = max(self._thinning.now - self._thinning.before - reach, SINCE_EVER)
            last = max(self._thinning.now + self._thinning.record_horizon - reach, SINCE_EVER)
            stretches.append((first, last))
        return stretches

    def _mark_recorded(self, starts: Ints) -> Mask:
        """Which events are then the first of a window."""
        micros = self._ordered.micros
        before = np.concatenate([micros[:1], micros[:-1]])
        before[starts[:-1]] = SINCE_EVER
        is_recorded = np.zeros(len(micros), bool)
        for first, last in self._list_stretches():
            is_recorded |= (micros >= first) & (before < last)
        return is_recorded

    def pack_entity(self, entity: int, start: int, end: int, horizon: int) -> PackedRecords:
        """The records of an entity.

        Args:
            entity: Its number in the bucket.
            start: The first of its events.
            end: The one behind its last.
            horizon: For how long after the sync they tell of windows.
        """
        thinning = self._thinning
        newest = int(self._ordered.micros[end - 1])
        first = max(thinning.now - thinning.before, newest + thinning.longest_delay + 1)
        last = thinning.now + horizon
        records = self._records[self._places[entity] : self._places[entity + 1]]
        flags = HAS_FULL_RECORDS * self._is_full(records)
        header = RECORDS_HEADER.pack(FORMAT, flags, thinning.fingerprint, len(records), first, last)
        micros = self._ordered.micros[start:end][self._is_recorded[start:end]]
        packed = header + micros.astype("<i8").tobytes() + records.tobytes()
        if self._whole is not None:
            packed += self._whole[entity].tobytes()
        return PackedRecords(packed + bytes(-len(packed) % WORD_BYTES), first, last)

    def _is_full(self, records: Records) -> bool:
        """Whether each record is of events of every series."""
        count_names = map(str, range(self._layout.series_count))
        return all(records[name].all() for name in count_names)

    def _compute(self, rows: Ints, ends: Ints) -> Records:
        """The records of windows from some events up to others."""
        formats = []
        for number, field in enumerate(self._layout.fields.values()):
            formats.append((str(number), f"<{field.code}"))
        records = np.zeros(len(rows), formats)
        if not len(rows):
            return records
        windows = Windows(rows, ends, self._ordered.micros[rows])
        source = WindowSource(self._events, self._ordered, _SuffixEdges(windows), self._plan)
        for number, field in enumerate(self._layout.fields.values()):
            if field.feature.function == "time_since_last":
                records[str(number)] = _find_newest(source.find_windows(field.feature))
                continue
            column = source.compute(field.feature).cast(_ARROW_TYPES[field.code])
            records[str(number)] = column.fill_null(0).to_numpy(zero_copy_only=False)
        return records


def _find_newest(windows: SeriesWindows) -> Ints:
    """When the newest event of each window became known, 0 where there is none."""
    micros = np.append(windows.series.micros, 0)
    return micros[np.where(windows.is_empty, -1, windows.ends - 1)]
