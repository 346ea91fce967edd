"""The features of an entity at an instant behind its newest event, read of its suffix records."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from spark_fs.online.live.byte_layout import FORMAT, GAP, HEADER, WORD_BYTES, find_decoder
from spark_fs.online.live.suffix_records import OF_SINGLE_VALUES, SuffixLayout, find_reach
from spark_fs.planning.window_plan import BoundFeature

_HEADER_WORDS = HEADER.size // WORD_BYTES
_GAP_WORDS = GAP.size // WORD_BYTES
_SECOND = 1e6  # microseconds
_ABSENT = (None,)  # what features without a field are picked of, before all records
_read_header = HEADER.unpack_from
Record = tuple[Any, ...]


class RecordedWindows:
    """Reads windows of records; safe to share between threads.

    All that does not depend on the entity is found out before: reading ten windows takes a fifth of
    what computing them does.

    Args:
        layout: How records lie.
        fingerprint: Of the windows whose records they are.
        features: Those that are wanted; those without a field are left null.
        is_closed: Whether an event counts at the very instant at which it becomes known.
    """

    def __init__(
        self,
        layout: SuffixLayout,
        fingerprint: int,
        features: Sequence[BoundFeature],
        is_closed: bool,
    ) -> None:
        self._layout = layout
        self._fingerprint = fingerprint
        self._read_record = layout.struct.unpack_from
        self._record_bytes = layout.struct.size
        self._whole_bytes = layout.struct.size * layout.has_whole
        reaches = {find_reach(feature) for feature in features}
        self._needs_whole = None in reaches
        self._reaches = [reach for reach in layout.reaches if reach in reaches]
        self._end_words = []
        for reach in self._reaches:
            self._end_words.append(_HEADER_WORDS + layout.reaches.index(reach))
        self._first_word = _HEADER_WORDS + len(layout.reaches)
        delays = [feature.delay for feature in features]
        self._end_offset = max(delays, default=0) - is_closed
        self._pick_values = _make_picker([self._find_place(feature) for feature in features])
        self._decoders: list[tuple[int, Callable[[Any], Any]]] = []
        self._ages: list[int] = []
        for number, feature in enumerate(features):
            decode = find_decoder(feature.type)
            if feature.function in OF_SINGLE_VALUES and decode is not None:
                self._decoders.append((number, decode))
            if feature.function == "time_since_last":
                self._ages.append(number)
        self._is_decoded = not (self._decoders or self._ages)

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

        That is where a window ends before the newest event or begins where events were left out,
        and where what is online is of other windows.

        Args:
            stored: What is online of it.
            starts: When windows begin, as ``list_starts`` says.
            at: The instant, in microseconds since 1970.
        """
        form, flags, _, gaps, count, fingerprint, since, newest, *recorded = _read_header(stored)
        if form != FORMAT or fingerprint != self._fingerprint:
            return None
        if newest >= at - self._end_offset or not recorded[0] <= at <= recorded[1]:
            return None
        if starts and since > starts[-1]:
            return None
        words = memoryview(stored).cast("q")
        first = self._first_word
        if gaps:
            first += gaps * _GAP_WORDS
            if _is_any_between(starts, words[self._first_word : first]):
                return None
        place = end = first + count
        records_end = len(stored) - self._whole_bytes
        records: Record = _ABSENT
        for start, end_word in zip(starts, self._end_words, strict=True):
            place = bisect_left(words, start, first, place)
            if place == end:
                records += self._layout.empty
                continue
            behind = words[end_word] - place + first
            record = self._read_record(stored, records_end - behind * self._record_bytes)
            records += record if flags else self._layout.put_nulls(record)
        if self._needs_whole:
            records += self._layout.put_nulls(self._read_record(stored, records_end))
        values = list(self._pick_values(records))
        if not self._is_decoded:
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


def _is_any_between(starts: Sequence[int], gaps: Sequence[int]) -> bool:
    """Whether a window begins in a gap: behind its first instant, and not behind its last."""
    for first, last in zip(gaps[::2], gaps[1::2], strict=True):
        if any(first < start <= last for start in starts):
            return True
    return False
