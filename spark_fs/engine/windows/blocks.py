"""Aggregate many events block by block, so that a block and what is made of it stay small.

A block has instants that follow one another in the order of entity and time, and the events that a
window there can reach. Since sums are exact, blocks change no bit. They are several times faster
than all at once, too, since a block stays in the processor's cache.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.engine.join.matching import MISSING, Ints, get_positions
from spark_fs.engine.windows.edges import Instants
from spark_fs.engine.windows.instants import LONGEST_MICROS, sort_rows
from spark_fs.engine.windows.kernel import compute_windows, get_known_micros
from spark_fs.engine.windows.loops import choose_loops
from spark_fs.planning.window_plan import WindowPlan

_INSTANTS = ("timestamp", "date")  # of which ``SortedEvents.micros`` tells all; others have units
BLOCK_ROWS = 1 << 17  # twice as fast as all of 1,700,000 events at once
_CARRIED_SHARE = 4  # a block has about so many times the events that lie before its instants


class SortedEvents(NamedTuple):
    """The events that count, by entity and time: what the functions need of them, and these two."""

    table: pa.Table
    codes: Ints
    micros: Ints

    @classmethod
    def from_table(cls, events: pa.Table, codes: Ints, micros: Ints, plan: WindowPlan) -> Self:
        """Sort events.

        Args:
            events: In any order.
            codes: The entity of each, ``MISSING`` where it counts nowhere.
            micros: When each becomes known.
            plan: The aggregation.
        """
        choose_loops(len(codes))
        order = sort_rows(codes, micros)
        order = order[np.count_nonzero(codes == MISSING) :]
        needed = events.select(_list_needed(plan)).combine_chunks()
        return cls(needed.take(pa.array(order)), codes[order], micros[order])

    def find(self, code: int, micros: int) -> int:
        """How many events come before an instant of an entity."""
        start, end = np.searchsorted(self.codes, [code, code + 1])
        return int(start + np.searchsorted(self.micros[start:end], micros))

    def slice(self, start: int, end: int) -> "SortedEvents":
        """Those from one position up to another."""
        table = self.table.slice(start, end - start)
        return SortedEvents(table, self.codes[start:end], self.micros[start:end])


def compute_windows_at(
    events: pa.Table, codes: Ints, instants: Instants, plan: WindowPlan
) -> list[pa.ChunkedArray]:
    """As ``compute_windows``, block by block, at instants in any order.

    Args:
        events: The columns that the plan needs, in any order.
        codes: The entity of each event, ``MISSING`` where its key has a null.
        instants: Where windows end; the codes of their entities are those of the events.
        plan: What is computed.

    Returns:
        For each feature of the plan a column with a value for each instant.
    """
    micros, codes = get_known_micros(events, codes, plan)
    sorted_events = SortedEvents.from_table(events, codes, micros, plan)
    order = sort_rows(instants.codes, instants.micros)
    ordered = Instants(instants.codes[order], instants.micros[order])
    blocks = [arrow_types.to_arrow_schema(plan.schema).empty_table()]
    for _, features in iter_blocks(sorted_events, ordered, plan):
        blocks.append(pa.table(features, names=list(plan.schema)))
    computed = pa.concat_tables(blocks).combine_chunks()
    columns: list[pa.ChunkedArray] = computed.take(pa.array(get_positions(order))).columns
    return columns


def _list_needed(plan: WindowPlan) -> list[str]:
    """The columns that functions and conditions look at."""
    if any(feature.where is not None for feature in plan.features):
        return list(dict(plan.types))
    columns = [feature.column for feature in plan.features if feature.column is not None]
    name, type_ = plan.known_at
    if type_ not in _INSTANTS or not columns:
        columns.append(name)
    return list(dict.fromkeys(columns))


def iter_blocks(
    events: SortedEvents, instants: Instants, plan: WindowPlan, block_rows: int = BLOCK_ROWS
) -> Iterator[tuple[Instants, list[pa.ChunkedArray]]]:
    """The instants, block by block, with the features of each block.

    Args:
        events: The events.
        instants: By entity and time.
        plan: The aggregation.
        block_rows: A block has about so many instants or events, or more where a window reaches
            back over many events of one entity.
    """
    start = 0
    events_per_instant = max(1.0, len(events.codes) / max(1, len(instants.codes)))
    while start < len(instants.codes):
        first_event, carried = _find_first_event(events, instants, start, plan)
        wanted = int(max(block_rows, _CARRIED_SHARE * carried) / events_per_instant)
        wanted = max(1, wanted)
        end = start + wanted
        if len(instants.codes) - end < wanted // 2:
            end = len(instants.codes)
        last_event = events.find(instants.codes[end - 1], instants.micros[end - 1] + 1)
        block_events = events.slice(first_event, last_event)
        block = Instants(instants.codes[start:end], instants.micros[start:end])
        yield block, compute_windows(*block_events, block, plan)
        start = end


def _find_first_event(
    events: SortedEvents, instants: Instants, start: int, plan: WindowPlan
) -> tuple[int, int]:
    """The first event that a window can reach from an instant on; and how many lie before it."""
    code = int(instants.codes[start])
    micros = int(instants.micros[start])
    reach = plan.longest_reach
    if reach is None:
        first_event = int(np.searchsorted(events.codes, code))
    else:
        first_event = events.find(code, micros - min(reach, LONGEST_MICROS))
    return first_event, events.find(code, micros) - first_event
