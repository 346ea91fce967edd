"""Where windows begin and end among events that are sorted by entity and time."""

from typing import NamedTuple

import numpy as np

from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.loops import get_compiled

_NUMBER_BITS = 62  # of an entity's code and a time together
_FARTHEST = 1 << 60  # microseconds; no two instants are as far apart


class Instants(NamedTuple):
    """Entities and instants at which windows end.

    codes: of the entities, as those of the events; ``MISSING`` where there is none. micros: the
    instants, in microseconds since 1970.
    """

    codes: Ints
    micros: Ints


class OrderedEvents:
    """Events by entity and time, each of which is one number, since that sorts fastest.

    order: the rows of the events that have an entity and a time. numbers: of these, ascending;
    events of one entity at one time have the same. micros: of these.
    """

    def __init__(self, codes: Ints, micros: Ints) -> None:
        rows = np.flatnonzero(codes >= 0)
        is_whole = len(rows) == len(codes)
        present_codes = codes if is_whole else codes[rows]
        present_micros = micros if is_whole else micros[rows]
        self._ticks = _Ticks(present_codes, present_micros)
        numbers = self._ticks.make_numbers(present_codes, present_micros)
        if _is_ascending(numbers):
            self.order: Ints = rows
            self.numbers: Ints = numbers
            self.micros: Ints = present_micros
            return
        order = np.argsort(numbers)
        self.order = order if is_whole else rows[order]
        self.numbers = numbers[order]
        self.micros = present_micros[order]

    def find_edge(self, instants: Instants) -> Ints:
        """How many events come before each instant, those of entities before its own among them.

        Args:
            instants: Sorted by entity and time.
        """
        return _search_sorted(self.numbers, self._ticks.make_numbers(*instants))

    def find_first(self, codes: Ints) -> Ints:
        """How many events belong to entities before these."""
        return _search_sorted(self.numbers, self._ticks.make_first_numbers(codes))

    def find_entity_starts(self, numbers: Ints) -> Ints:
        """Where the events of each entity begin, among some of the numbers in their order."""
        entities = self._ticks.get_entities(numbers)
        changes = np.flatnonzero(entities[1:] != entities[:-1]) + 1
        return np.concatenate([np.zeros(1, np.int64), changes])


class _Ticks:
    """Times as numbers of few bits, in which every event's time is told from every other.

    They are microseconds since the first event where these leave room for the entities, else the
    position among the distinct times, which takes far longer to find.
    """

    def __init__(self, codes: Ints, micros: Ints) -> None:
        self._first_code = int(codes.min()) if len(codes) else 0
        self._code_count = int(codes.max()) - self._first_code + 1 if len(codes) else 0
        code_bits = self._code_count.bit_length()
        self._least = int(micros.min()) if len(micros) else 0
        greatest = int(micros.max()) if len(micros) else 0
        self._end = greatest - self._least + 1
        self._distinct: Ints | None = None
        if code_bits + self._end.bit_length() > _NUMBER_BITS:
            self._distinct = np.unique(micros)
            self._end = len(self._distinct)
        self._bits = self._end.bit_length()

    def make_numbers(self, codes: Ints, micros: Ints) -> Ints:
        """A number for each entity and time; as many events have less as come before it."""
        if self._distinct is None:
            ticks = np.clip(micros, self._least, self._least + self._end)
            ticks -= self._least
        else:
            ticks = np.searchsorted(self._distinct, micros)
        return self.make_first_numbers(codes) + ticks

    def get_entities(self, numbers: Ints) -> Ints:
        """Of each number its entity's own."""
        return numbers >> self._bits

    def make_first_numbers(self, codes: Ints) -> Ints:
        """The least number of each entity; those without events lie before or behind all others."""
        entities = np.clip(codes - self._first_code, -1, self._code_count)
        return entities << self._bits


def _search_sorted(numbers: Ints, wanted: Ints) -> Ints:
    """How many numbers are less than each that is wanted; both ascend."""
    compiled = get_compiled()
    if compiled is None:
        return np.searchsorted(numbers, wanted)
    edges: Ints = compiled.find_edges(numbers, wanted)
    return edges


def _is_ascending(numbers: Ints) -> bool:
    return bool((numbers[1:] >= numbers[:-1]).all())


class Windows(NamedTuple):
    """Windows of one length and delay at sorted instants.

    starts, ends: how many events come before each window begins, and before it ends. at: the
    instants, in microseconds.
    """

    starts: Ints
    ends: Ints
    at: Ints


class WindowEdges:
    """The windows at some instants; each edge that several of them share is looked for once.

    instants: sorted by entity and time.
    """

    def __init__(self, events: OrderedEvents, instants: Instants, is_closed: bool) -> None:
        self._events = events
        self._instants = instants
        self._is_closed = is_closed
        self._edges: dict[int, Ints] = {}

    def find_windows(self, over: int | None, delay: int) -> Windows:
        """The windows of a length (None: since the first event) and a delay in microseconds."""
        ends = self._find_edge(delay - self._is_closed)
        if over is None:
            starts = self._events.find_first(self._instants.codes)
        else:
            starts = self._find_edge(delay + over)
        return Windows(starts, ends, self._instants.micros)

    def _find_edge(self, offset: int) -> Ints:
        """How many events come before so many microseconds before each instant."""
        offset = min(offset, _FARTHEST)
        edge = self._edges.get(offset)
        if edge is None:
            codes, micros = self._instants
            edge = self._events.find_edge(Instants(codes, micros - offset))
            self._edges[offset] = edge
        return edge
