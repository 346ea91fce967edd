"""The rows of an aggregation from the events of the days in which windows begin and end, and tiles.

They are the rows that all events give, to the last bit.
"""

from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import arrow_types
from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.join.key_codes import encode_keys
from spark_fs.engine.join.stages import get_key_columns, get_micros
from spark_fs.engine.windows.aggregate_functions import FUNCTIONS
from spark_fs.engine.windows.blocks import SortedEvents
from spark_fs.engine.windows.edges import Instants, OrderedEvents, WindowEdges
from spark_fs.engine.windows.instants import list_instants, sort_rows
from spark_fs.engine.windows.rows import find_events, restore_known_at, take_keys
from spark_fs.engine.windows.series import Series, SeriesWindows
from spark_fs.engine.windows.tile_columns import TILE, TileColumn, list_tile_columns
from spark_fs.engine.windows.tile_events import KeptEvents, concat_kept
from spark_fs.engine.windows.tile_moments import Moments, MomentSeries, concat_moments
from spark_fs.engine.windows.tile_rows import (
    EventReader,
    KeyedEvents,
    KeyedTiles,
    mark_stretches,
    restore_series,
)
from spark_fs.engine.windows.tile_spans import TileReads, choose_reads
from spark_fs.engine.windows.value_codes import rank_densely
from spark_fs.planning.window_plan import WindowPlan


def build_tiled_rows(
    events: pa.Table, tiles: pa.Table, plan: WindowPlan, bounds: tuple[int, int]
) -> pa.Table:
    """The rows of an aggregation at the instants of an interval.

    Args:
        events: All events of ``choose_reads(plan, *bounds).events``, and any others.
        tiles: All tiles of its days, and any others; of a time that was merged none is needed that
            a window over less than all history reaches.
        plan: The aggregation.
        bounds: The first instant, and behind the last one.

    Returns:
        The columns of ``plan.row_schema``, the rows of one key together and in order of time.
    """
    reads = choose_reads(plan, *bounds)
    events = _select_events(events, plan, reads)
    tiles = _select_tiles(tiles, reads)
    names = [name for name, _ in plan.keys]
    entities = pa.concat_tables([events.select(names), tiles.select(names)])
    (codes,) = encode_keys([get_key_columns(entities, plan.keys)])
    codes = rank_densely(codes)
    keyed_events = KeyedEvents(events, codes[: len(events)], get_micros(events, plan.known_at))
    keyed_tiles = KeyedTiles(tiles, codes[len(events) :])
    instants = _list_instants(keyed_events, keyed_tiles, plan, bounds)
    features = compute_tiled_windows(
        keyed_events.select_entities(instants.codes),
        keyed_tiles.select_entities(instants.codes),
        instants,
        plan,
    )
    columns = take_keys(entities, plan, find_events(codes)[instants.codes])
    columns.append(restore_known_at(SortedEvents(*keyed_events), plan, instants))
    schema = arrow_types.to_arrow_schema(plan.row_schema)
    return pa.Table.from_arrays([*columns, *features], schema=schema)


def _list_instants(
    events: KeyedEvents, tiles: KeyedTiles, plan: WindowPlan, bounds: tuple[int, int]
) -> Instants:
    """Where there are rows, by entity and time; a tile tells that there was an event."""
    codes = np.concatenate([events.codes, tiles.codes])
    micros = np.concatenate([events.micros, tiles.last_at])
    order = sort_rows(codes, micros)
    return list_instants(codes[order], micros[order], plan, bounds)


def compute_tiled_windows(
    events: KeyedEvents, tiles: KeyedTiles, instants: Instants, plan: WindowPlan
) -> list[pa.Array]:
    """The features of a plan at some instants, none of whose windows has an edge inside a tile.

    Args:
        events: That no tile stands for.
        tiles: Of the same entities, by the same codes.
        instants: Where windows end, by entity and time.
        plan: What is computed.

    Returns:
        For each feature a column of its type, with a value for each instant.
    """
    reader = EventReader(events, plan)
    columns: dict[int, pa.Array] = {}
    for column in list_tile_columns(plan):
        series, ordered = _make_series(reader.read_events(column, events.codes), tiles, column)
        edges = WindowEdges(ordered, instants, plan.closed == "both")
        windows: dict[tuple[int | None, int], SeriesWindows] = {}
        for place in column.features:
            feature = plan.features[place]
            size = (feature.over, feature.delay)
            if size not in windows:
                windows[size] = SeriesWindows(series, edges.find_windows(*size))
            values = FUNCTIONS[feature.function](windows[size], feature)
            type_ = arrow_types.to_arrow_type(feature.result_type)
            columns[place] = values.cast(type_)
    return [columns[place] for place in range(len(plan.features))]


def _make_series(
    events: KeptEvents, tiles: KeyedTiles, column: TileColumn
) -> tuple[Series, OrderedEvents]:
    """What a column's features are computed from, of events and of tiles."""
    restored = restore_series(tiles, column)
    if isinstance(restored, Moments):
        moments = concat_moments([Moments.from_events(events, column), restored])
        ordered = OrderedEvents(moments.codes, moments.at)
        return MomentSeries(moments, ordered, column.type), ordered
    kept = concat_kept([events, restored]).repeat()
    ordered = OrderedEvents(kept.codes, kept.at)
    values = None
    if kept.values is not None:
        values = pa.chunked_array([kept.values])
    return Series(ordered, values, column.value_type, None), ordered


def _select_events(events: pa.Table, plan: WindowPlan, reads: TileReads) -> pa.Table:
    """The events that count and that no tile stands for."""
    name, type_ = plan.known_at
    instants = to_event_micros(events.column(name), type_)
    masks = [mark_stretches(instants, reads.events)]
    masks += [pc.is_valid(events.column(key)) for key, _ in plan.keys]
    return events.filter(reduce(pc.and_kleene, masks))


def _select_tiles(tiles: pa.Table, reads: TileReads) -> pa.Table:
    """The tiles that are needed, that of all time before the others among them."""
    days = tiles.column(TILE)
    mask = pc.fill_null(mark_stretches(days, reads.tiles), False)
    if reads.tiles and reads.tiles[0].start is None:
        mask = pc.or_(mask, pc.is_null(days))
    return tiles.filter(mask)
