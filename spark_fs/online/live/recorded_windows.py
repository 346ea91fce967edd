"""The features of an entity at an instant behind its newest event, read of its suffix records."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from spark_fs.online.live.byte_layout import FORMAT, WORD_BYTES, find_decoder
from spark_fs.online.live.suffix_records import (
    OF_SINGLE_VALUES,
    RECORDS_HEADER,
    SuffixLayout,
    find_reach,
)
from spark_fs.planning.window_plan import BoundFeature

_HEADER_WORDS = RECORDS_HEADER.size // WORD_BYTES
_SECOND = 1e6  # microseconds
_ABSENT = (None,)  # what features without a field are picked of, before all records
_read_header = RECORDS_HEADER.unpack_from
Record = tuple[Any, ...]


class RecordedWindows:
    """Reads windows of records; safe to share between threads.

    All that does not depend on the entity is found out before: reading ten windows takes a fifth of
    what computing them does.

    Args:
        layout: How records lie.
        fingerprint: Of the windows whose records they are.
        features: Those that are wanted; those without a field are left null.
    """

    def __init__(
        self,
        layout: SuffixLayout,
        fingerprint: int,
        features: Sequence[BoundFeature],
    ) -> None:
        self._layout = layout
        self._fingerprint = fingerprint
        self._read_record = layout.struct.unpack_from
        self._record_bytes = layout.struct.size
        reaches = {find_reach(feature) for feature in features}
        self._needs_whole = None in reaches
        self._reaches = [reach for reach in layout.reaches if reach in reaches]
        self._pick_values = _make_picker([self._find_place(feature) for feature in features])
        self._decoders: list[tuple[int, Callable[[Any], Any]]] = []
        self._ages: list[int] = []
        for number, feature in enumerate(features):
            decode = find_decoder(feature.type)
            if feature.function in OF_SINGLE_VALUES and decode is not None:
                self._decoders.append((number, decode))
            if feature.function == "time_since_last":
                self._ages.append(number)
        self._has_kept_forms = bool(self._decoders or self._ages)

    def _find_place(self, feature: BoundFeature) -> int:
        """The place of a feature's value: that of all history is in the last record."""
        field = self._layout.find_field(feature)
        if field is None:
            return 0
        reach = find_reach(feature)
        record = len(self._reaches) if reach is None else self._reaches.index(reach)
        return len(_ABSENT) + record * len(self._layout.fields) + field

    def list_starts(self, at: int) -> list[int]:
        """When the windows of an instant begin, the latest first."""
        return [at - reach for reach in self._reaches]

    def read_values(self, stored: bytes, starts: Sequence[int], at: int) -> list[Any] | None:
        """The features of an entity at an instant; None where records do not tell them.

        That is where an event is newer than the end of a window, where it is long ago that they
        were made, and where they are of other windows.

        Args:
            stored: The records of it.
            starts: When windows begin, as ``list_starts`` says.
            at: The instant, in microseconds since 1970.
        """
        form, flags, fingerprint, count, first, last = _read_header(stored)
        if form != FORMAT or fingerprint != self._fingerprint or not first <= at <= last:
            return None
        words = memoryview(stored).cast("q")
        place = end = _HEADER_WORDS + count
        offset = end * WORD_BYTES - _HEADER_WORDS * self._record_bytes
        records: Record = _ABSENT
        for start in starts:
            place = bisect_left(words, start, _HEADER_WORDS, place)
            if place == end:
                records += self._layout.empty
                continue
            record = self._read_record(stored, offset + place * self._record_bytes)
            records += record if flags else self._layout.put_nulls(record)
        if self._needs_whole:
            whole = self._read_record(stored, offset + end * self._record_bytes)
            records += self._layout.put_nulls(whole)
        values = list(self._pick_values(records))
        if self._has_kept_forms:
            self._decode(values, at)
        return values

    def _decode(self, values: list[Any], at: int) -> None:
        """Put what values stand for in their place."""
        for place, decode in self._decoders:
            if values[place] is not None:
                values[place] = decode(values[place])
        for place in self._ages:
            if values[place] is not None:
                values[place] = (at - values[place]) / _SECOND


def _make_picker(places: Sequence[int]) -> Callable[[Record], Record]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda records: tuple(records[place] for place in places)
