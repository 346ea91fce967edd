"""The suffix records of live windows, of all entities of a bucket at once.

``online/live/suffix_records.py`` says what they are. The kernel of windows computes them, so that
what is read of them is to the last bit what a training read says.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.edges import OrderedEvents, Windows
from spark_fs.engine.windows.kernel import WindowSource
from spark_fs.engine.windows.live_series import Mask
from spark_fs.engine.windows.live_thinning import Thinning
from spark_fs.engine.windows.series import SeriesWindows
from spark_fs.online.live.suffix_records import build_suffix_layout

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
        ends = np.repeat(starts[1:], np.diff(starts))
        rows = np.zeros(0, np.int64)
        if thinning.oldest_start is not None:
            rows = np.flatnonzero(ordered.micros >= thinning.oldest_start)
        self._records = self._compute(rows, ends[rows])
        self._places = np.searchsorted(rows, starts).tolist()
        self._whole = None
        if self._layout.has_whole:
            self._whole = self._compute(starts[:-1], starts[1:])

    def select_records(self, entity: int, is_kept: Mask) -> Records:
        """The records of the newest events of an entity, those with which a window may begin.

        Args:
            entity: Its number in the bucket.
            is_kept: Which of its events are online.
        """
        records = self._records[self._places[entity] : self._places[entity + 1]]
        return records[is_kept[len(is_kept) - len(records) :]]

    def is_full(self, records: Records) -> bool:
        """Whether each record is of events of every series."""
        counts = [records[name] for name in records.dtype.names[: self._layout.series_count]]
        return all(count.all() for count in counts)

    def pack_whole(self, entity: int) -> bytes:
        """The record of all events of an entity, where a window begins with the first."""
        return b"" if self._whole is None else self._whole[entity].tobytes()

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
