"""What a sync brings online of each entity, so that its windows are finished when they are read.

``online/live/byte_layout.py`` says how it lies. Without Spark, so that a worker and this process
make the same bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.types import FLOATS
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.edges import OrderedEvents
from spark_fs.engine.windows.instants import find_changes
from spark_fs.engine.windows.live_series import BucketSeries, Mask, pack_integers
from spark_fs.engine.windows.live_suffixes import BucketSuffixes
from spark_fs.engine.windows.live_thinning import SeriesPart, Thinning, mark_kept, to_times
from spark_fs.engine.windows.rows import read_entities, take_keys
from spark_fs.online.live import byte_layout
from spark_fs.online.live.byte_layout import LiveSeries, list_series

_RANK_WIDTHS = ((1 << 8, 1), (1 << 16, 2))


def make_live_rows(events: pa.Table, thinning: Thinning) -> pa.Table:
    """A row for each entity: its key, and what its windows need.

    Args:
        events: Of any time, in any order; of an entity all of them.
        thinning: The aggregation, and which events are kept.

    Returns:
        The columns of the key, and those of ``LIVE_TYPES``.
    """
    plan = thinning.plan
    keyed = read_entities(events, plan)
    ordered = OrderedEvents(*keyed)
    entities = keyed.codes[ordered.order]
    starts = np.flatnonzero(find_changes(entities))
    column_types = dict(plan.types)
    buckets = []
    for series in list_series(plan).values():
        buckets.append(BucketSeries(series, events, ordered.order, column_types))
    suffixes = BucketSuffixes(events, ordered, np.append(starts, len(entities)), thinning)
    packer = _EntityPacker(buckets, suffixes, thinning)
    packed = list(_iter_entities(ordered.micros, starts, packer))
    key_table = events.select(list(dict(plan.keys))).combine_chunks()
    columns = take_keys(key_table, plan, ordered.order[starts])
    for number, type_ in enumerate(byte_layout.LIVE_TYPES.values()):
        values = [entity[number] for entity in packed]
        columns.append(pa.array(values, arrow_types.to_arrow_type(type_)))
    return pa.Table.from_arrays(columns, names=[*dict(plan.keys), *byte_layout.LIVE_TYPES])


class _PackedEntity(NamedTuple):
    """What is online of an entity, in the order of ``LIVE_TYPES``."""

    events: bytes
    records: bytes
    first: int
    last: int


def _iter_entities(micros: Ints, starts: Ints, packer: "_EntityPacker") -> Iterator[_PackedEntity]:
    for number, (start, end) in enumerate(pairwise([*starts.tolist(), len(micros)])):
        yield packer.pack(number, micros[start:end], start)


@dataclass(frozen=True)
class _EntityPacker:
    """Packs the events of an entity.

    buckets, suffixes: the series of the bucket, and its records. thinning: which events are kept.
    """

    buckets: Sequence[BucketSeries]
    suffixes: BucketSuffixes
    thinning: Thinning

    def pack(self, number: int, micros: Ints, start: int) -> _PackedEntity:
        """What is online of one entity.

        Args:
            number: Of the entity in the bucket.
            micros: The instants of all of its events, in order.
            start: Where they begin among those of the bucket.
        """
        end = start + len(micros)
        first = self.thinning.find_first(micros)
        since = byte_layout.SINCE_EVER if first == 0 else int(micros[first - 1]) + 1
        micros = micros[first:]
        parts = [SeriesPart(bucket, start + first, end, micros) for bucket in self.buckets]
        gaps, horizon = self.thinning.find_gaps(micros)
        is_kept = mark_kept(len(micros), gaps, parts)
        packed = [_PartPacker(part, gaps, is_kept).pack() for part in parts]
        count = int(is_kept.sum())
        header = byte_layout.HEADER.pack(
            byte_layout.FORMAT, len(gaps), count, self.thinning.fingerprint, since
        )
        gap_bytes = b"".join(byte_layout.GAP.pack(*to_times(gap, micros)) for gap in gaps)
        head = header + gap_bytes + micros[is_kept].astype("<i8").tobytes()
        places = np.cumsum([0, *map(len, packed)])[:-1] + len(head) + 4 * len(packed)
        packed_events = b"".join([head, places.astype("<u4").tobytes(), *packed])
        records = self.suffixes.pack_entity(number, start, end, horizon)
        return _PackedEntity(packed_events, *records)


class _PartPacker:
    """Packs the events of an entity in one series."""

    def __init__(self, part: SeriesPart, gaps: Sequence[slice], is_kept: Mask) -> None:
        self._part = part
        self._series: LiveSeries = part.bucket.series
        self._gaps = gaps
        self._is_kept = is_kept
        self._positions = np.append(np.flatnonzero(is_kept), len(is_kept))
        self._rows = part.rows[is_kept[part.rows]]
        self._is_dense = len(self._rows) == len(self._positions) - 1

    def pack(self) -> bytes:
        """The series: its header, and what follows in the order of the layout."""
        flags = 0
        body = []
        if self._gaps or not self._is_dense:
            flags |= byte_layout.HAS_COUNTS
            body.append(self._count_before(self._part.is_present))
        sum_width, square_width, exponent = self._pack_moments(body)
        if self._has_non_finite():
            flags |= byte_layout.HAS_NON_FINITE
            body += self._count_non_finite()
        rank_width = distinct_count = value_count = 0
        if self._series.has_values or self._series.has_instants:
            value_count = len(self._rows)
            if not self._is_dense:
                flags |= byte_layout.HAS_PLACES
                body += self._pack_places()
        if self._series.has_values:
            distinct, numbers = np.unique(self._part.ranks[self._rows], return_inverse=True)
            distinct_count = len(distinct)
            rank_width = _choose_rank_width(distinct_count)
            body.append(numbers.astype(f"<u{rank_width}").tobytes())
            if self._gaps and not self._series.functions.isdisjoint(byte_layout.OF_MULTISETS):
                flags |= byte_layout.HAS_WEIGHTS
                weights = self._part.weigh(self._gaps, self._is_kept)[self._rows]
                body.append(weights.astype("<u4").tobytes())
            if self._series.has_doubles:
                body.append(self._part.bucket.pack_doubles(distinct))
            body.append(self._part.bucket.pack_values(distinct))
        header = byte_layout.SERIES.pack(
            flags, rank_width, sum_width, square_width, exponent, value_count, distinct_count
        )
        return header + b"".join(body)

    def _count_before(self, is_counted: Mask) -> bytes:
        """How many events there are before each position."""
        counts = np.zeros(len(is_counted) + 1, np.int64)
        np.cumsum(is_counted, out=counts[1:])
        packed: bytes = counts[self._positions].astype("<u4").tobytes()
        return packed

    def _pack_moments(self, body: list[bytes]) -> tuple[int, int, int]:
        """Add the sums; returns the widths of those, and of the squares', and the exponent."""
        if not self._series.has_sums:
            return 0, 0, 0
        numbers, exponent = self._part.bucket.find_integers(self._part.start, self._part.end)
        sum_width, sums = pack_integers(numbers, self._positions)
        body.append(sums)
        square_width = 0
        if self._series.has_squares:
            squares = [number * number for number in numbers]
            square_width, sums = pack_integers(squares, self._positions)
            body.append(sums)
        return sum_width, square_width, exponent

    def _has_non_finite(self) -> bool:
        if not self._series.has_sums or self._series.type not in FLOATS:
            return False
        return not self._part.bucket.is_finite[self._part.start : self._part.end].all()

    def _count_non_finite(self) -> list[bytes]:
        doubles = self._part.bucket.doubles[self._part.start : self._part.end]
        kinds = (np.isnan(doubles), doubles == np.inf, doubles == -np.inf)
        return [self._count_before(is_kind) for is_kind in kinds]

    def _pack_places(self) -> list[bytes]:
        """How many kept values there are before each position, and the instants where asked for."""
        is_value = self._part.is_present & self._is_kept
        packed = [self._count_before(is_value)]
        if self._series.has_instants:
            packed.append(self._part.micros[self._rows].astype("<i8").tobytes())
        return packed


def _choose_rank_width(distinct_count: int) -> int:
    for bound, width in _RANK_WIDTHS:
        if distinct_count <= bound:
            return width
    return 4
