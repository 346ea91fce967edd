"""What a facet of tiles keeps of events: some of these, each with how many it stands for.

What is kept stands for the rest: a window that holds a whole tile has the same least value, the
same last events, or the same distinct values, by the kept events as by all. So tiles of tiles are
made in the same way, and windows are computed from kept events as from any.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import to_arrow_type
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.windows.tile_columns import Facet, TileColumn
from spark_fs.engine.windows.value_codes import encode_cells, encode_equal, rank_values


class KeptEvents(NamedTuple):
    """Events of a series.

    codes: what each belongs to: an entity, or one of some tiles. at: when it became known, in
    microseconds. values: none is null; None where the series has no column. counts: how many events
    it stands for.
    """

    codes: Ints
    at: Ints
    values: pa.Array | None
    counts: Ints

    @classmethod
    def from_column(cls, codes: Ints, at: Ints, values: pa.Array | None) -> Self:
        """Events that stand for themselves."""
        return cls(codes, at, values, np.ones(len(codes), np.int64))

    @classmethod
    def from_states(cls, codes: Ints, states: pa.ChunkedArray, column: TileColumn) -> Self:
        """The events that tiles keep.

        Args:
            codes: What each tile belongs to.
            states: A column of tiles.
            column: Which one.
        """
        lists = _combine_chunks(states)
        kept = lists.flatten()
        values = None
        if column.value_type is not None:
            values = kept.field("value")
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
        at = kept.field("at").to_numpy()
        return cls(np.repeat(codes, lengths), at, values, kept.field("count").to_numpy())

    def take(self, places: Ints) -> Self:
        """Some of the events."""
        values = None
        if self.values is not None:
            values = self.values.take(pa.array(places))
        return type(self)(self.codes[places], self.at[places], values, self.counts[places])

    def repeat(self) -> Self:
        """Each of the events as often as it counts."""
        if (self.counts == 1).all():
            return self
        return self.take(np.repeat(np.arange(len(self.counts)), self.counts))


def concat_kept(parts: list[KeptEvents]) -> KeptEvents:
    """The events of some parts of a series, together."""
    values = None
    if parts[0].values is not None:
        values = pa.concat_arrays([part.values for part in parts])
    return KeptEvents(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.at for part in parts]),
        values,
        np.concatenate([part.counts for part in parts]),
    )


def summarize_events(events: KeptEvents, column: TileColumn, tile_count: int) -> pa.Array:
    """What tiles keep of events, a list for each tile.

    Args:
        events: Their codes are the numbers of the tiles.
        column: What is kept.
        tile_count: How many tiles there are.
    """
    if column.facet == "cells":
        events = _move_to_middles(events)
    kept = _KEEP[column.facet](events, column)
    offsets = np.searchsorted(kept.codes, np.arange(tile_count + 1))
    arrays = [pa.array(kept.at), pa.array(kept.counts)]
    names = ["at", "count"]
    if kept.values is not None:
        arrays.insert(0, kept.values)
        names.insert(0, "value")
    lists = pa.ListArray.from_arrays(
        pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(arrays, names)
    )
    return lists.cast(to_arrow_type(column.state_type))


def read_values(column: TileColumn, values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """Values of the source as a facet keeps them."""
    assert column.value_type is not None
    type_ = to_arrow_type(column.value_type)
    return _combine_chunks(values).cast(type_, safe=False)  # the nearest double of an integer


def _combine_chunks(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks()
    return column


# -- what is kept, in the order of the tiles


def _keep_extremes(events: KeptEvents, column: TileColumn) -> KeptEvents:
    """The least and the greatest value of each tile."""
    ordered = events.take(np.lexsort((events.at, _rank(events, column), events.codes)))
    return _count_once(_keep_first_and_last(ordered))


def _keep_ends(events: KeptEvents, column: TileColumn) -> KeptEvents:
    """The first and the last event of each tile."""
    return _count_once(_keep_first_and_last(_sort_by_time(events, column)))


def _keep_recent(events: KeptEvents, column: TileColumn) -> KeptEvents:
    """The last events of each tile."""
    ordered = _sort_by_time(events, column)
    ends = np.searchsorted(ordered.codes, ordered.codes, side="right")
    is_recent = np.arange(len(ordered.codes)) >= ends - column.size
    return _count_once(ordered.take(np.flatnonzero(is_recent)))


def _keep_distinct(events: KeptEvents, column: TileColumn) -> KeptEvents:
    """The last event of each distinct value."""
    assert events.values is not None
    assert column.type is not None
    ordered = _sort_by_time(events, column)
    assert ordered.values is not None
    codes = encode_equal(ordered.values, column.type).codes
    return _count_once(_keep_last_of_each(ordered, codes))


def _keep_frequencies(events: KeptEvents, column: TileColumn) -> KeptEvents:
    """The last event of each value, which stands for all of them."""
    ordered = _sort_by_time(events, column)
    return _keep_last_of_each(ordered, _rank(ordered, column))


def _move_to_middles(events: KeptEvents) -> KeptEvents:
    """The same events with the middles of the cells in which their values lie."""
    assert events.values is not None
    cells = encode_cells(events.values.to_numpy(zero_copy_only=False))
    return events._replace(values=pa.array(cells.middles[cells.codes]))


_KEEP: Mapping[Facet, Callable[[KeptEvents, TileColumn], KeptEvents]] = {
    "extremes": _keep_extremes,
    "ends": _keep_ends,
    "recent": _keep_recent,
    "distinct": _keep_distinct,
    "frequencies": _keep_frequencies,
    "cells": _keep_frequencies,
}


def _rank(events: KeptEvents, column: TileColumn) -> Ints:
    if events.values is None:
        return np.zeros(len(events.at), np.int64)
    assert column.value_type is not None
    return rank_values(events.values, column.value_type)


def _sort_by_time(events: KeptEvents, column: TileColumn) -> KeptEvents:
    return events.take(np.lexsort((_rank(events, column), events.at, events.codes)))


def _keep_first_and_last(ordered: KeptEvents) -> KeptEvents:
    is_last = np.ones(len(ordered.codes), bool)
    np.not_equal(ordered.codes[1:], ordered.codes[:-1], out=is_last[:-1])
    is_first = np.roll(is_last, 1)
    return ordered.take(np.flatnonzero(is_first | is_last))


def _keep_last_of_each(ordered: KeptEvents, value_codes: Ints) -> KeptEvents:
    """The last event of each tile and code; it counts for all of them."""
    order = np.lexsort((value_codes, ordered.codes))
    tiles = ordered.codes[order]
    sorted_codes = value_codes[order]
    is_last = np.ones(len(order), bool)
    is_last[:-1] = (tiles[1:] != tiles[:-1]) | (sorted_codes[1:] != sorted_codes[:-1])
    last = np.flatnonzero(is_last)
    total = np.cumsum(ordered.counts[order])[last]
    kept = ordered.take(order[last])
    return kept._replace(counts=np.diff(total, prepend=0))


def _count_once(events: KeptEvents) -> KeptEvents:
    return events._replace(counts=np.ones(len(events.codes), np.int64))
