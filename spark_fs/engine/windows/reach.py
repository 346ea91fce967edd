"""Which rows of window features a changed event reaches: after a change these alone are made anew.

A row at t holds what was known before it, as far back as the longest window goes. So an event known
at e, whether it came, went or became another, changes rows of its key at e and up to that much
later, and no others. Without Spark, so that a worker and the user's own process choose the same
rows.
"""

from dataclasses import dataclass
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.event_times import to_event_micros
from spark_fs.engine.join.key_codes import encode_keys
from spark_fs.engine.join.matching import MISSING, Ints, KeyedRows, find_matches
from spark_fs.engine.join.stages import TypedColumn, get_key_columns, get_micros
from spark_fs.engine.scan.parquet import UNBOUNDED, TimeBounds
from spark_fs.planning.window_plan import WindowPlan

MICROS = "__micros"  # the column of instants, in microseconds since 1970


@dataclass(frozen=True)
class ChangedEvents:
    """Events that came, went or became others: their keys and instants, each pair once.

    events: the columns of the key, and ``MICROS``; none is null. keys: the columns of the key, with
    their types. reach: for how many microseconds after its instant an event can be in a window;
    None: for ever.
    """

    events: pa.Table
    keys: tuple[TypedColumn, ...]
    reach: int | None

    @classmethod
    def from_rows(cls, rows: pa.Table, plan: WindowPlan, within: TimeBounds = UNBOUNDED) -> Self:
        """The events of rows that changed, before and after.

        Those with a null in the key or the instant count in no window.

        Args:
            rows: With the columns of the key and the instant; equal ones may come twice.
            plan: The aggregation.
            within: Between which instants there are rows; events that reach none are left out.
        """
        names = [name for name, _ in plan.keys]
        name, type_ = plan.known_at
        known = rows.select([*names, name]).drop_null()
        micros = to_event_micros(known.column(name), type_)
        events = known.select(names).append_column(MICROS, micros)
        start, end = find_needed_bounds(within, plan.longest_reach)
        if start is not None:
            events = events.filter(pc.field(MICROS) >= start)
        if end is not None:
            events = events.filter(pc.field(MICROS) < end)
        distinct = events.group_by([*names, MICROS], use_threads=False).aggregate([])
        return cls(distinct, plan.keys, plan.longest_reach)

    def __len__(self) -> int:
        return int(self.events.num_rows)

    def find_bounds(self, within: TimeBounds) -> TimeBounds | None:
        """Between which instants the rows lie that they reach; None where they reach none.

        Args:
            within: Between which instants there are rows at all.
        """
        if not len(self):
            return None
        extremes = pc.min_max(self.events.column(MICROS))
        return find_reached_bounds(
            (extremes["min"].as_py(), extremes["max"].as_py()), self.reach, within
        )

    def select_reached(self, rows: pa.Table, at: TypedColumn) -> pa.Table:
        """Those of the rows that one of the events reaches.

        Args:
            rows: With the columns of the key.
            at: The column of their instants.
        """
        codes, own_codes = self._encode_keys(rows)
        left = KeyedRows(codes, get_micros(rows, at))
        matches = find_matches(left, self._to_keyed_rows(own_codes), self.reach)
        return rows.filter(pa.array(matches != MISSING))

    def select_needed(self, events: pa.Table, known_at: TypedColumn) -> pa.Table:
        """Those of the source's events that count in a row that one of these reaches.

        Args:
            events: With the columns of the key.
            known_at: The column of their instants.
        """
        codes, own_codes = self._encode_keys(events)
        if self.reach is None:
            is_needed = find_matches(KeyedRows(codes), KeyedRows(own_codes)) != MISSING
            return events.filter(pa.array(is_needed))
        latest = get_micros(events, known_at) + self.reach
        left = KeyedRows(codes, latest)
        matches = find_matches(left, self._to_keyed_rows(own_codes), 2 * self.reach)
        return events.filter(pa.array(matches != MISSING))

    def _encode_keys(self, table: pa.Table) -> list[Ints]:
        """A code for the key of each row, and of each of the events."""
        sides = [get_key_columns(table, self.keys), get_key_columns(self.events, self.keys)]
        return encode_keys(sides)

    def _to_keyed_rows(self, codes: Ints) -> KeyedRows:
        return KeyedRows(codes, self.events.column(MICROS).to_numpy())


def find_reached_bounds(
    events: tuple[int, int], reach: int | None, within: TimeBounds
) -> TimeBounds | None:
    """Between which instants rows can lie that events reach; None where there can be none.

    Args:
        events: The first and the last instant of an event.
        reach: For how many microseconds after it an event can be in a window; None: for ever.
        within: Between which instants there are rows at all.
    """
    first, last = events
    start, end = within
    if start is not None:
        first = max(first, start)
    behind = None if reach is None else last + reach + 1
    if end is not None:
        behind = end if behind is None else min(behind, end)
    if behind is not None and first >= behind:
        return None
    return first, behind


def find_needed_bounds(rows: TimeBounds, reach: int | None) -> TimeBounds:
    """Between which instants the events lie that count in rows.

    Args:
        rows: Between which instants the rows lie.
        reach: For how many microseconds after it an event can be in a window; None: for ever.
    """
    start, end = rows
    if start is None or reach is None:
        return None, end
    return start - reach, end
