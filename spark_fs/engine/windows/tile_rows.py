"""Tiles: what windows need of the events of one entity in one day, a row each.

They are made of events, or of tiles of shorter time, and are the same rows either way.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.event_times import to_event_micros
from spark_fs.base.times import DAY_MICROS
from spark_fs.engine.join.key_codes import encode_keys
from spark_fs.engine.join.matching import MISSING, Ints
from spark_fs.engine.join.stages import get_key_columns, get_micros
from spark_fs.engine.scan.filters import evaluate_condition
from spark_fs.engine.windows.tile_columns import (
    LAST_AT,
    TILE,
    TileColumn,
    list_tile_columns,
    make_tile_schema,
)
from spark_fs.engine.windows.tile_events import KeptEvents, read_values, summarize_events
from spark_fs.engine.windows.tile_moments import Moments, summarize_moments
from spark_fs.engine.windows.tile_spans import Stretch
from spark_fs.engine.windows.value_codes import find_example_of_each, rank_densely
from spark_fs.planning.window_plan import WindowPlan

Mask = npt.NDArray[np.bool_]


class KeyedEvents(NamedTuple):
    """Events, with a code for the entity of each, and when each became known."""

    table: pa.Table
    codes: Ints
    micros: Ints

    def select_entities(self, codes: Ints) -> Self:
        """Those of some entities."""
        rows = _find_rows(self.codes, codes)
        table = self.table.take(pa.array(rows))
        return type(self)(table, self.codes[rows], self.micros[rows])


class KeyedTiles(NamedTuple):
    """Tiles, with a code for the entity of each."""

    table: pa.Table
    codes: Ints

    def select_entities(self, codes: Ints) -> Self:
        """Those of some entities."""
        rows = _find_rows(self.codes, codes)
        return type(self)(self.table.take(pa.array(rows)), self.codes[rows])

    @property
    def last_at(self) -> Ints:
        """The instant of the last event of each."""
        last_at: Ints = self.table.column(LAST_AT).to_numpy()
        return last_at


def _find_rows(codes: Ints, wanted: Ints) -> Ints:
    """The rows that have one of some codes."""
    is_wanted = np.zeros(codes.max(initial=-1) + 1, bool)
    is_wanted[wanted[wanted < len(is_wanted)]] = True
    return np.flatnonzero(is_wanted[codes])


def make_tiles(events: pa.Table, plan: WindowPlan, stretch: Stretch) -> pa.Table:
    """The tiles of some days, or of all time before a day.

    Args:
        events: All events of the stretch, and any others, with the columns of the plan.
        plan: The aggregation.
        stretch: The days.

    Returns:
        Rows of ``make_tile_schema``, one for each entity and day with events. Where the stretch has
        no start, one for each entity, whose day is null, with what windows over all history need.
    """
    name, type_ = plan.known_at
    instants = to_event_micros(events.column(name), type_)
    masks = [mark_stretches(instants, [stretch])]
    masks += [pc.is_valid(events.column(key)) for key, _ in plan.keys]
    kept = events.filter(reduce(pc.and_kleene, masks))
    (codes,) = encode_keys([get_key_columns(kept, plan.keys)])
    micros = get_micros(kept, plan.known_at)
    days = pa.array(micros // DAY_MICROS * DAY_MICROS)
    if stretch.start is None:
        days = pa.nulls(len(days), days.type)

    def read_series(column: TileColumn, numbers: Ints) -> KeptEvents | Moments:
        series = reader.read_events(column, numbers)
        return Moments.from_events(series, column) if column.facet == "moments" else series

    reader = EventReader(KeyedEvents(kept, codes, micros), plan)
    rows = kept.select([key for key, _ in plan.keys])
    rows = rows.append_column(TILE, days).append_column(LAST_AT, pa.array(micros))
    return _summarize_rows(rows, codes, plan, read_series)


def merge_tiles(tiles: pa.Table, plan: WindowPlan) -> pa.Table:
    """One tile for each entity and day, and for each entity one of the time before all days.

    Args:
        tiles: Of parts of days, or of days of which each event is in one.
        plan: The aggregation.
    """
    (codes,) = encode_keys([get_key_columns(tiles, plan.keys)])

    def read_series(column: TileColumn, numbers: Ints) -> KeptEvents | Moments:
        return restore_series(KeyedTiles(tiles, numbers), column)

    rows = tiles.select([*dict(plan.keys), TILE, LAST_AT])
    return _summarize_rows(rows, codes, plan, read_series)


def age_tiles(tiles: pa.Table, plan: WindowPlan, since: int) -> pa.Table:
    """The same tiles, of which those of days that only windows over all history hold are merged.

    Args:
        tiles: Of days, and of the time before them.
        plan: The aggregation.
        since: The first day that other windows can reach, in microseconds.
    """
    is_new = pc.fill_null(pc.greater_equal(tiles.column(TILE), since), False)
    new = tiles.filter(is_new)
    if plan.longest_reach is not None:
        return new
    old = tiles.filter(pc.invert(is_new))
    place = old.schema.get_field_index(TILE)
    old = old.set_column(place, old.schema.field(place), pa.nulls(len(old), pa.int64()))
    return pa.concat_tables([merge_tiles(old, plan), new])


def _summarize_rows(
    rows: pa.Table,
    codes: Ints,
    plan: WindowPlan,
    read_series: Callable[[TileColumn, Ints], KeptEvents | Moments],
) -> pa.Table:
    """One tile for each entity and day of some rows.

    Args:
        rows: Their keys, days and last instants.
        codes: Of their entities.
        plan: The aggregation.
        read_series: Gives what they hold of a column, with the number of the tile of each.
    """
    days = pc.divide(rows.column(TILE), DAY_MICROS)
    before = (pc.min(days).as_py() or 0) - 1
    tiles = _number_tiles(codes, pc.fill_null(days, before).to_numpy())
    identity = rows.drop([LAST_AT]).take(pa.array(tiles.find_example_of_each()))
    is_day = identity.column(TILE).is_valid().to_numpy()
    columns = identity.columns
    columns.append(pa.array(tiles.find_last(rows.column(LAST_AT).to_numpy())))
    for column in list_tile_columns(plan):
        series = read_series(column, tiles.numbers)
        is_endless = any(plan.features[place].over is None for place in column.features)
        if not is_endless and not is_day.all():
            series = series.take(np.flatnonzero(is_day[series.codes]))
        if isinstance(series, Moments):
            columns.append(summarize_moments(series, column, tiles.tile_count))
        else:
            columns.append(summarize_events(series, column, tiles.tile_count))
    return pa.Table.from_arrays(columns, schema=make_tile_schema(plan))


def mark_stretches(instants: pa.ChunkedArray, stretches: Sequence[Stretch]) -> pa.ChunkedArray:
    """Which instants lie in some stretches; null where an instant is.

    Args:
        instants: In microseconds.
        stretches: Some times.
    """
    is_inside = pc.and_(pc.is_null(instants), False)
    for stretch in stretches:
        is_in_stretch = pc.less(instants, pa.scalar(stretch.end, pa.int64()))
        if stretch.start is not None:
            is_late = pc.greater_equal(instants, pa.scalar(stretch.start, pa.int64()))
            is_in_stretch = pc.and_(is_in_stretch, is_late)
        is_inside = pc.or_(is_inside, is_in_stretch)
    return is_inside


# -- the series of events and of tiles


class EventReader:
    """The events that features count, from those of a table."""

    def __init__(self, events: KeyedEvents, plan: WindowPlan) -> None:
        self._events = events
        self._types = dict(plan.types)
        self._masks: dict[str, pa.ChunkedArray] = {}

    def read_events(self, column: TileColumn, codes: Ints) -> KeptEvents:
        """The events of a series.

        Args:
            column: Which series.
            codes: What each of all events belongs to.
        """
        micros = self._events.micros
        values = None
        if column.column is not None:
            values = self._events.table.column(column.column)
        mask = self._find_mask(column)
        if mask is not None:
            rows = np.flatnonzero(mask)
            codes = codes[rows]
            micros = micros[rows]
            if values is not None:
                values = values.take(pa.array(rows))
        if values is not None:
            values = read_values(column, values)
        return KeptEvents.from_column(codes, micros, values)

    def _find_mask(self, column: TileColumn) -> Mask | None:
        """Which events count; None: all."""
        masks = []
        if column.column is not None:
            values = self._events.table.column(column.column)
            if values.null_count:
                masks.append(pc.is_valid(values))
        if column.where is not None:
            masks.append(self._evaluate(column))
        if not masks:
            return None
        mask: Mask = reduce(pc.and_, masks).to_numpy()
        return mask

    def _evaluate(self, column: TileColumn) -> pa.ChunkedArray:
        assert column.where is not None
        name = repr(column.where)
        if name not in self._masks:
            columns = {column: self._events.table.column(column) for column in self._types}
            is_met = evaluate_condition(column.where, columns, self._types)
            self._masks[name] = pc.fill_null(is_met, False)
        return self._masks[name]


def restore_series(tiles: KeyedTiles, column: TileColumn) -> KeptEvents | Moments:
    """What tiles hold of a series."""
    states = tiles.table.column(column.name)
    if column.facet == "moments":
        return Moments.from_states(tiles.codes, tiles.last_at, states)
    return KeptEvents.from_states(tiles.codes, states, column)


# -- numbers of tiles


class _NumberedTiles(NamedTuple):
    """The tile of each row, by its number, and how many there are."""

    numbers: Ints
    tile_count: int

    def find_example_of_each(self) -> Ints:
        """For each tile one of its rows."""
        return find_example_of_each(self.numbers)

    def find_last(self, micros: Ints) -> Ints:
        """For each tile the last of some instants, one for each row."""
        last = np.full(self.tile_count, np.iinfo(np.int64).min)
        np.maximum.at(last, self.numbers, micros)
        return last


def _number_tiles(codes: Ints, days: Ints) -> _NumberedTiles:
    """Number the pairs of an entity and a day, in their order."""
    assert MISSING not in codes
    entities = rank_densely(codes)
    least = days.min(initial=0)
    span = int(days.max(initial=0)) - least + 1
    numbers = rank_densely(entities * span + (days - least))
    return _NumberedTiles(numbers, int(numbers.max(initial=-1)) + 1)
