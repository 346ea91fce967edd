"""The instants at which an aggregation has rows: where events become known, or on a grid."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.engine.join.matching import Ints
from spark_fs.engine.scan.parquet import TimeBounds
from spark_fs.engine.windows.edges import Instants
from spark_fs.errors import SettingsError
from spark_fs.planning.window_plan import WindowPlan

LONGEST_MICROS = 1 << 61  # of a window: longer than time, and its sum with any instant fits
_SECOND = 1_000_000
_NUMBER_BITS = 62


def list_instants(codes: Ints, micros: Ints, plan: WindowPlan, bounds: TimeBounds) -> Instants:
    """Where an aggregation has rows, by entity and then by time.

    Args:
        codes: The entity of each event, in their order.
        micros: When each becomes known, in microseconds since 1970; those of one entity in order.
        plan: The aggregation.
        bounds: Which instants are wanted.

    Raises:
        SettingsError: There is no end to the rows.
    """
    is_distinct = find_changes(codes) | find_changes(micros)
    if plan.every is not None:
        events = Instants(codes[is_distinct], micros[is_distinct])
        return _list_grid_instants(events, plan, bounds)
    start, end = bounds
    if start is not None:
        is_distinct &= micros >= start
    if end is not None:
        is_distinct &= micros < end
    return Instants(codes[is_distinct], micros[is_distinct])


def sort_rows(codes: Ints, micros: Ints) -> Ints:
    """The order by entity and then by time, those without an entity first."""
    if not len(codes):
        return np.empty(0, np.int64)
    ticks = micros - micros.min()
    bits = int(ticks.max()).bit_length()
    code_bits = int(codes.max() + 1).bit_length()
    if code_bits + bits > _NUMBER_BITS and not (ticks % _SECOND).any():
        ticks //= _SECOND
        bits = int(ticks.max()).bit_length()
    if code_bits + bits > _NUMBER_BITS:
        return np.lexsort((micros, codes))
    numbers = ((codes + 1) << bits) | ticks
    return np.argsort(numbers)  # which is faster here than a stable sort, several times


def find_changes(values: Ints) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it; the first does."""
    is_new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    return is_new


def _list_grid_instants(events: Instants, plan: WindowPlan, bounds: TimeBounds) -> Instants:
    """The multiples of ``every`` at which a window of the entity holds an event."""
    if bounds[1] is None and plan.longest_reach is None:
        raise SettingsError(
            "Rows on a grid with a window over all history (over=None) have no end: give the"
            " instant before which they end."
        )
    parts = []
    for delay, over in _iter_widest_windows(plan):
        parts.append(_list_multiples(events, plan, delay, over, bounds))
    if len(parts) == 1:
        return parts[0]
    codes = np.concatenate([part.codes for part in parts])
    micros = np.concatenate([part.micros for part in parts])
    order = sort_rows(codes, micros)
    codes = codes[order]
    micros = micros[order]
    is_distinct = find_changes(codes) | find_changes(micros)
    return Instants(codes[is_distinct], micros[is_distinct])


def _iter_widest_windows(plan: WindowPlan) -> Iterator[tuple[int, int | None]]:
    """Each delay with the longest window that has it, in microseconds; None: all history."""
    lengths: dict[int, list[int | None]] = {}
    for feature in plan.features:
        lengths.setdefault(feature.delay, []).append(feature.over)
    for delay, overs in lengths.items():
        bounded = [over for over in overs if over is not None]
        is_bounded = len(bounded) == len(overs)
        yield delay, max(bounded) if is_bounded else None


def _list_multiples(
    events: Instants, plan: WindowPlan, delay: int, over: int | None, bounds: TimeBounds
) -> Instants:
    """The multiples of ``every`` at which a window holds an event, in order.

    Args:
        events: By entity and then by time.
        plan: The aggregation.
        delay: How far back the window ends.
        over: How long it is.
        bounds: Which instants are wanted.
    """
    every = plan.every
    assert every is not None
    start, end = bounds
    ends_from = events.micros + min(delay, LONGEST_MICROS)
    first = ends_from // every + 1
    if plan.closed == "both":
        first = -(-ends_from // every)
    if start is not None:
        first = np.maximum(first, ceil_divide(start, every))
    last = np.full(len(first), np.iinfo(np.int64).max)
    if over is not None:
        last = (ends_from + min(over, LONGEST_MICROS)) // every
    if end is not None:
        last = np.minimum(last, ceil_divide(end, every) - 1)
    # What an event before it gives already, it does not give again.
    is_same_entity = events.codes[1:] == events.codes[:-1]
    behind_earlier = np.maximum(first[1:], last[:-1] + 1)
    first[1:] = np.where(is_same_entity, behind_earlier, first[1:])
    counts = np.maximum(last - first + 1, 0)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    multiples = np.repeat(first, counts) + offsets
    return Instants(np.repeat(events.codes, counts), multiples * every)
