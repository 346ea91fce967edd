"""A condition that every row of some time meets, whatever the type of its instant."""

from spark_fs.base.arithmetic import ceil_divide
from spark_fs.base.times import FIRST_MICROS, LAST_MICROS, from_micros
from spark_fs.spec.names import GroupRef
from spark_fs.spec.predicates import Combination, Comparison, Condition, Operator

# How many microseconds the units of an epoch have; which of them it is in, its size says.
_UNIT_MICROS = (1_000_000, 1_000)


def build_time_condition(
    group: GroupRef, column: str, type_: str, start: int | None, end: int | None
) -> Condition | None:
    """A condition that every row with an instant of an interval meets; None: there is none.

    Of epochs some others meet it too: an integer may be in seconds or in milliseconds.

    Args:
        group: Whose column it is.
        column: The column of the instant.
        type_: Its type: a timestamp, a date, or an integer.
        start: The first instant, in microseconds since 1970; None: any.
        end: Behind the last instant; None: any.
    """
    if type_ in ("timestamp", "date"):
        return _build_calendar_condition(group, column, start, end)
    ranges = []
    for unit in _UNIT_MICROS:
        first = None if start is None else ceil_divide(start, unit)
        behind = None if end is None else ceil_divide(end, unit)
        range_ = _build_range(group, column, first, behind)
        if range_ is None:
            return None
        ranges.append(range_)
    return Combination("or", tuple(ranges))


def _build_calendar_condition(
    group: GroupRef, column: str, start: int | None, end: int | None
) -> Condition | None:
    first = None
    if start is not None and start > FIRST_MICROS:
        first = from_micros(min(start, LAST_MICROS))
    behind = None
    if end is not None and end <= LAST_MICROS:
        behind = from_micros(max(end, FIRST_MICROS))
    return _build_range(group, column, first, behind)


def _build_range(
    group: GroupRef, column: str, first: object | None, behind: object | None
) -> Condition | None:
    bounds: list[tuple[Operator, object | None]] = [(">=", first), ("<", behind)]
    parts = []
    for operator, value in bounds:
        if value is not None:
            parts.append(Comparison(group, column, operator, value))
    if len(parts) < 2:
        return parts[0] if parts else None
    return Combination("and", tuple(parts))
