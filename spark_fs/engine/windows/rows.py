"""The rows of an aggregation in memory: a key, an instant, and the features of that instant.

Without Spark, so that a worker, a test and the user's own process give the same rows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import arrow_types
from spark_fs.base.times import DAY_MICROS, MILLISECONDS_FROM, Interval, to_micros
from spark_fs.base.types import FLOATS
from spark_fs.engine.join.key_codes import encode_keys
from spark_fs.engine.join.matching import MISSING, Ints
from spark_fs.engine.join.stages import TypedColumn, build_instants, get_key_columns
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.engine.windows.blocks import SortedEvents, compute_windows_at, iter_blocks
from spark_fs.engine.windows.edges import Instants
from spark_fs.engine.windows.instants import find_changes, list_instants
from spark_fs.engine.windows.kernel import get_known_micros
from spark_fs.planning.window_plan import WindowPlan

_MILLISECOND = 1_000
_SECOND = 1_000_000
_SPARSE_CODES = 1 << 16


def to_bounds(interval: Interval) -> TimeBounds:
    """An interval in microseconds since 1970."""
    bounds = []
    for instant in (interval.start, interval.end):
        bounds.append(None if instant is None else to_micros(instant))
    start, end = bounds
    return start, end


def compute_event_rows(
    events: pa.Table, plan: WindowPlan, interval: Interval | None = None
) -> pa.Table:
    """The rows of an aggregation: at each event of an entity, or on its grid.

    Args:
        events: Of any time, in any order; those before the interval count in its rows' windows.
        plan: The aggregation.
        interval: Which rows are wanted; None: all of them.

    Returns:
        The columns of ``plan.row_schema``, the rows of one key together and in order of time.

    Raises:
        SettingsError: The rows have no end: a grid, a window over all history, and no interval.
    """
    schema = arrow_types.to_arrow_schema(plan.row_schema)
    blocks = list(iter_event_rows(events, plan, to_bounds(interval or Interval())))
    return pa.concat_tables([schema.empty_table(), *blocks]).combine_chunks()


def iter_event_rows(events: pa.Table, plan: WindowPlan, bounds: TimeBounds) -> Iterator[pa.Table]:
    """As ``compute_event_rows``, block by block, with the interval in microseconds.

    Args:
        events: Of any time, in any order.
        plan: The aggregation.
        bounds: Which rows are wanted.
    """
    rows = EventRows(events, plan, bounds)
    return rows.iter_tables(0, len(rows))


class EventRows:
    """The rows of an aggregation*: the events in order, and the instants of the rows."""

    def __init__(
        self,
        events: pa.Table,
        plan: WindowPlan,
        bounds: TimeBounds,
        keyed: "KeyedEvents | None" = None,
    ) -> None:
        """Sort the events.

        Args:
            events: Of any time, in any order.
            plan: The aggregation.
            bounds: Which rows are wanted.
            keyed: The entity and the instant of each event; None: they are read.
        """
        keyed = keyed or read_entities(events, plan)
        self._plan = plan
        self._events = SortedEvents.from_table(events, *keyed, plan)
        self._instants = list_instants(self._events.codes, self._events.micros, plan, bounds)
        self._known_at = restore_known_at(self._events, plan, self._instants)
        self._event_of_code = find_events(keyed.codes)
        self._keys = events.select(list(dict(plan.keys))).combine_chunks()

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._instants.codes)

    def iter_tables(self, start: int, end: int) -> Iterator[pa.Table]:
        """The rows from one position up to another, block by block."""
        schema = arrow_types.to_arrow_schema(self._plan.row_schema)
        codes, micros = self._instants
        instants = Instants(codes[start:end], micros[start:end])
        for block, features in iter_blocks(self._events, instants, self._plan):
            keys = take_keys(self._keys, self._plan, self._event_of_code[block.codes])
            known_at = self._known_at.slice(start, len(block.codes))
            yield pa.Table.from_arrays([*keys, known_at, *features], schema=schema)
            start += len(block.codes)


def compute_rows_at(
    events: pa.Table,
    instants: pa.Table,
    plan: WindowPlan,
    keys: Sequence[TypedColumn],
    at: TypedColumn,
) -> pa.Table:
    """The features at given instants.

    Args:
        events: Of any time, in any order.
        instants: The entities and the instants, and any other columns.
        plan: The aggregation.
        keys: The columns of the instants that identify an entity, in the order of the plan's.
        at: Their column that holds the instant.

    Returns:
        The instants in their order, with a column for each feature. Where a key or an instant is
        null, the windows are empty.
    """
    sides = [get_key_columns(events, plan.keys), get_key_columns(instants, keys)]
    event_codes, codes = encode_keys(sides)
    ends = build_instants(instants, codes, at)
    features = compute_windows_at(events, event_codes, ends, plan)
    rows = instants
    for name, feature in zip(plan.schema, features, strict=True):
        rows = rows.append_column(name, feature)
    return rows


class KeyedEvents(NamedTuple):
    """The entity of each event, ``MISSING`` where it counts nowhere, and when it becomes known."""

    codes: Ints
    micros: Ints


def read_entities(events: pa.Table, plan: WindowPlan) -> KeyedEvents:
    """The entity of each event, by codes in no wide span, and when it becomes known."""
    (codes,) = encode_keys([get_key_columns(events, plan.keys)])
    micros, codes = get_known_micros(events, codes, plan)
    if codes.max(initial=0) > 8 * len(codes) + _SPARSE_CODES:
        distinct, numbers = np.unique(codes, return_inverse=True)
        has_null = distinct[0] == MISSING
        codes = numbers - int(has_null)  # MISSING is -1
    return KeyedEvents(codes, micros)


def find_events(codes: Ints) -> Ints:
    """For each code an event of its entity."""
    events = np.zeros(codes.max(initial=0) + 1, np.int64)
    rows = np.arange(len(codes))
    if MISSING in codes:
        rows = np.flatnonzero(codes != MISSING)
        codes = codes[rows]
    events[codes] = rows
    return events


def take_keys(events: pa.Table, plan: WindowPlan, rows: Ints) -> list[pa.ChunkedArray]:
    """The keys of these events; of equal floats with other bits always the same."""
    columns = []
    for name, type_ in plan.keys:
        column = events.column(name).take(pa.array(rows))
        if type_ in FLOATS:
            column = pc.add(column, pa.scalar(0.0, column.type))  # 0.0 for -0.0
        columns.append(column)
    return columns


def restore_known_at(events: SortedEvents, plan: WindowPlan, instants: Instants) -> pa.Array:
    """The instant of each row as a value of the type that it has in the events."""
    name, type_ = plan.known_at
    if plan.every is not None or type_ == "timestamp":
        return pa.array(instants.micros).cast(pa.timestamp("us", "UTC"))
    if type_ == "date":
        days = instants.micros // DAY_MICROS
        return pa.array(days.astype(np.int32)).cast(pa.date32())
    epochs: Ints = events.table.column(name).cast(pa.int64()).to_numpy()
    restored = _restore_epochs(epochs, events.codes, instants)
    return pa.array(restored).cast(arrow_types.to_arrow_type(type_))


def _restore_epochs(epochs: Ints, codes: Ints, instants: Instants) -> Ints:
    """Each instant as an epoch, in the unit in which its event has it.

    Where a key has it in both, seconds.
    """
    in_seconds = np.abs(epochs) < MILLISECONDS_FROM
    seconds = instants.micros // _SECOND
    if in_seconds.all():
        return seconds
    milliseconds = instants.micros // _MILLISECOND
    if not in_seconds.any():
        return milliseconds
    second_codes = codes[in_seconds]
    has_seconds = _contains_pairs(instants, second_codes, epochs[in_seconds] * _SECOND)
    return np.where(has_seconds, seconds, milliseconds)


def _contains_pairs(instants: Instants, codes: Ints, micros: Ints) -> npt.NDArray[np.bool_]:
    """Which of the instants, which are distinct, are among these pairs."""
    all_codes = np.concatenate([instants.codes, codes])
    all_micros = np.concatenate([instants.micros, micros])
    order = np.lexsort((all_micros, all_codes))
    groups = find_changes(all_codes[order]) | find_changes(all_micros[order])
    group_numbers = np.empty(len(order), np.int64)
    group_numbers[order] = np.cumsum(groups) - 1
    instant_groups = group_numbers[: len(instants.codes)]
    return np.isin(instant_groups, group_numbers[len(instants.codes) :])
