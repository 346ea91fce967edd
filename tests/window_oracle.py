"""Window features in plain Python, one window at a time: what the engine is held to."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

WIDE = Context(prec=80)


def order_of(value: Any) -> Any:
    """What sorts as the engine orders values: -0.0 before 0.0, NaN above every number."""
    if isinstance(value, float):
        if math.isnan(value):
            return (1, 0.0, 0)
        return (0, value, 0 if math.copysign(1.0, value) < 0 else 1)
    if isinstance(value, str):
        return value.encode()
    return value


def to_equal(value: Any) -> Any:
    """What is equal where the engine takes values for one: 0.0 for -0.0, one NaN."""
    if isinstance(value, float):
        return math.nan if math.isnan(value) else value + 0.0
    return value


def to_key(value: Any) -> Any:
    return "NaN" if isinstance(value, float) and math.isnan(value) else to_equal(value)


def is_in_window(known: int, at: int, over: int | None, delay: int, closed: str) -> bool:
    end = at - delay
    before = known <= end if closed == "both" else known < end
    return before and (over is None or known >= end - over)


def evaluate(
    function: str,
    events: Iterable[tuple[int, Any]],
    at: int,
    over: int | None,
    delay: int = 0,
    closed: str = "left",
    argument: float | int | None = None,
) -> Any:
    """A function of the events of one entity, given as (known_at in microseconds, value).

    Events whose condition does not hold are left out by the caller, and those whose value is null
    where the feature has a column.
    """
    inside = [event for event in events if is_in_window(event[0], at, over, delay, closed)]
    inside.sort(key=lambda event: (event[0], order_of(event[1])))
    values = [value for _, value in inside]
    if function == "count":
        return len(values)
    if function in ("distinct_count", "approx_distinct_count"):
        return len({to_key(value) for value in values})
    if not values:
        return None
    if function == "time_since_last":
        return (at - inside[-1][0]) / 1e6
    return FUNCTIONS[function](values, argument)


def compute_sum(values: Sequence[Any], _: Any = None) -> Any:
    special = find_non_finite(values)
    if special is not None:
        return special
    if isinstance(values[0], float):
        return round_fraction(sum(map(Fraction, values), Fraction()))
    if isinstance(values[0], Decimal):
        total = Decimal(0)
        for value in values:
            total = WIDE.add(total, value)
        return total
    return sum(values)


def round_fraction(total: Fraction) -> float:
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


def find_non_finite(values: Sequence[Any]) -> float | None:
    """What a sum with NaN or infinities in it is; None where there are none."""
    if not isinstance(values[0], float):
        return None
    special = {repr(value) for value in values if not math.isfinite(value)}
    if not special:
        return None
    return float(special.pop()) if len(special) == 1 else math.nan


def compute_mean(values: Sequence[Any], _: Any = None) -> float:
    return float(compute_sum(values)) / len(values)


def compute_variance(values: Sequence[Any], _: Any = None) -> float:
    if find_non_finite(values) is not None:
        return math.nan
    exact = [Fraction(value) for value in values]
    total = sum(exact, Fraction())
    squares = sum((value * value for value in exact), Fraction())
    return round_fraction((squares - total * total / len(exact)) / len(exact))


def compute_stddev(values: Sequence[Any], _: Any = None) -> float:
    return math.sqrt(compute_variance(values))


def compute_percentile(values: Sequence[Any], share: Any) -> float:
    ordered = sorted(values, key=order_of)
    position = (len(ordered) - 1) * share
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    low, high = float(ordered[below]), float(ordered[above])
    fraction = position - below
    if fraction == 0 or low == high:
        return low
    distance = high - low
    if not math.isfinite(distance):
        return low * (1 - fraction) + high * fraction
    return high - distance * (1 - fraction) if fraction >= 0.5 else low + distance * fraction


def find_approx_rank(values: Sequence[Any], share: Any) -> float:
    """The value that approx_percentile comes near to."""
    ordered = sorted((float(value) for value in values), key=order_of)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]


def list_most_frequent(values: Sequence[Any], k: Any) -> list[Any]:
    counts = Counter(map(to_key, values))
    by_key = {to_key(value): to_equal(value) for value in values}
    keys = sorted(counts, key=lambda key: (-counts[key], order_of(by_key[key])))
    return [by_key[key] for key in keys[:k]]


def list_last(values: Sequence[Any], n: Any) -> list[Any]:
    return list(reversed(values))[:n]


def list_last_distinct(values: Sequence[Any], n: Any) -> list[Any]:
    distinct: dict[Any, Any] = {}
    for value in reversed(values):
        distinct.setdefault(to_key(value), to_equal(value))
    return list(distinct.values())[:n]


FUNCTIONS: Mapping[str, Any] = {
    "sum": compute_sum,
    "mean": compute_mean,
    "variance": compute_variance,
    "stddev": compute_stddev,
    "min": lambda values, _: min(values, key=order_of),
    "max": lambda values, _: max(values, key=order_of),
    "first": lambda values, _: values[0],
    "last": lambda values, _: values[-1],
    "percentile": compute_percentile,
    "approx_percentile": find_approx_rank,
    "top_k": list_most_frequent,
    "last_n": list_last,
    "last_distinct_n": list_last_distinct,
}
