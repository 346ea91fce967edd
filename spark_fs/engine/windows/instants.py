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
        codes: The entity of each event.
        micros: When each event becomes known, in microseconds since 1970.
        plan: The aggregation.
        bounds: Which instants are wanted.

    Raises:
        SettingsError: There is no end to the rows.
    """
    if plan.every is not None:
        return _list_grid_instants(codes, micros, plan, bounds)
    start, end = bounds
    is_wanted = np.ones(len(micros), bool)
    if start is not None:
        is_wanted &= micros >= start
    if end is not None:
        is_wanted &= micros < end
    return list_distinct(codes[is_wanted], micros[is_wanted])


def list_distinct(codes: Ints, micros: Ints) -> Instants:
    """The distinct pairs of an entity and an instant, in their order."""
    if not len(codes):
        return Instants(codes, micros)
    least = micros.min()
    ticks = micros - least
    tick = 1
    if not (ticks % _SECOND).any():
        tick = _SECOND
        ticks //= _SECOND
    bits = int(ticks.max()).bit_length()
    if bits + int(codes.max()).bit_length() > _NUMBER_BITS:
        order = np.lexsort((micros, codes))
        is_new = find_changes(codes[order]) | find_changes(micros[order])
        first_of_pair = order[is_new]
        return Instants(codes[first_of_pair], micros[first_of_pair])
    numbers = np.sort((codes << bits) | ticks)
    numbers = numbers[find_changes(numbers)]
    distinct_ticks = numbers & ((1 << bits) - 1)
    return Instants(numbers >> bits, distinct_ticks * tick + least)


def find_changes(values: Ints) -> npt.NDArray[np.bool_]:
    """Where a value differs from the one before it; the first does."""
    is_new = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    return is_new


def _list_grid_instants(
    codes: Ints, micros: Ints, plan: WindowPlan, bounds: TimeBounds
) -> Instants:
    """The multiples of ``every`` at which a window of the entity holds an event."""
    if bounds[1] is None and any(feature.over is None for feature in plan.features):
        raise SettingsError(
            "Rows on a grid with a window over all history (over=None) have no end: give the"
            " instant before which they end."
        )
    events = list_distinct(codes, micros)
    parts = []
    for delay, over in _iter_widest_windows(plan):
        parts.append(_list_multiples(events, plan, delay, over, bounds))
    if len(parts) == 1:
        return parts[0]
    all_codes = np.concatenate([part.codes for part in parts])
    all_micros = np.concatenate([part.micros for part in parts])
    return list_distinct(all_codes, all_micros)


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
