"""Calls of ``spark_fs.aggregate``: checked as they are made, not yet tied to a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from spark_fs.api.feature import Feature, Filter
from spark_fs.base.arguments import make_argument_error
from spark_fs.base.python_values import format_value, is_number, to_python
from spark_fs.base.times import MICROSECOND, parse_duration, spell_micros
from spark_fs.errors import InvalidNameError, QueryError, SettingsError
from spark_fs.spec.predicates import Condition
from spark_fs.spec.window_features import FUNCTIONS_OF_EVENTS, Function, WindowFeature

Length = str | timedelta
Over = Length | Sequence[Length | None] | None
MAX_VALUES = 1_000  # that a feature holds in a list
_LONGEST = timedelta(days=3_652_059)  # the years 1 to 9999, which hold every event


@dataclass(frozen=True, eq=False)
class WindowFunction:
    """A function over one or several windows, as a call of ``spark_fs.aggregate`` declares it.

    features: one for each window; conditions and columns are as they were named in the call.
    column: what it is taken of, where that was given as a column of a group. where: the condition
    on events.
    """

    features: tuple[WindowFeature, ...]
    column: Feature | None = None
    where: Filter | None = None

    def __repr__(self) -> str:
        names = ", ".join(feature.name for feature in self.features)
        return f"{self.features[0].function} as {names}"


class _Window(NamedTuple):
    """The length of a window in microseconds, and how names spell it."""

    micros: int | None
    spelling: str


def declare_windows(
    function: Function,
    column: str | Feature | None,
    over: Over,
    where: Filter | None,
    delay: Length | None,
    name: str | None,
    argument: float | int | None = None,
    label: str | None = None,
) -> WindowFunction:
    """Declare a function over windows.

    Args:
        function: The function.
        column: What it is taken of, a name or a column of the source; None: the events themselves.
        over: The length of the window; a list: a feature for each; None: all history.
        where: Which events count; None: all.
        delay: By how much both ends of each window lie further back; None: not at all.
        name: The name of the feature; with a list of lengths what each name begins with; None: the
            name by default.
        argument: The share of a percentile, or how many values are kept.
        label: What the function is called in the name by default; None: as it is called.

    Returns:
        The features.

    Raises:
        SettingsError: A length is not one, or a window is empty.
        QueryError: The condition is not one.
        InvalidNameError: The name is not valid.
    """
    column_name = _name_column(function, column)
    condition = _extract_condition(where)
    if name is not None and not isinstance(name, str):
        raise make_argument_error("name", name, "a string")
    stem = name
    if stem is None:
        stem = label or function
        if column_name:
            stem = f"{column_name}_{stem}"
    is_named = name is not None and not _is_list(over)
    features = []
    for window in _list_windows(over):
        feature_name = stem if is_named else f"{stem}_{window.spelling}"
        _check_length(feature_name)
        feature = WindowFeature(
            feature_name,
            function,
            column_name,
            window.micros,
            condition,
            _parse_delay(delay),
            argument,
        )
        features.append(feature)
    group_column = column if isinstance(column, Feature) else None
    return WindowFunction(tuple(features), group_column, where)


def _name_column(function: Function, column: str | Feature | None) -> str | None:
    if isinstance(column, Feature):
        return column.name
    is_missing = column is None and function not in FUNCTIONS_OF_EVENTS
    if is_missing or not isinstance(column, str | None):
        raise SettingsError(
            f"{function} of {column!r}: give the name of a column, or a column of the source, as"
            f" in agg.{function}(source['amount'], over='4h')."
        )
    return column


def _extract_condition(where: Filter | None) -> Condition | None:
    if where is None:
        return None
    if not isinstance(where, Filter):
        raise QueryError(
            f"where={where!r} is not a condition: compare a column of the source, as in"
            " where=source['category'] == 'food'."
        )
    return where.condition


def _check_length(name: str) -> None:
    """A name that a call was not given may be too long, which only name= mends."""
    if len(name) > 63:
        raise InvalidNameError(
            f"Window feature {name!r} has a name of more than 63 characters: give a shorter one by"
            " name='...'."
        )


# -- lengths of time


def parse_length(argument: str, length: object) -> timedelta:
    """The length of time that an argument gives.

    Args:
        argument: Its name, for the error.
        length: A string such as "4h", or a timedelta.

    Raises:
        SettingsError: It is neither, or too long to be counted.
    """
    if isinstance(length, str):
        parsed = parse_duration(length)
    elif isinstance(length, timedelta):
        parsed = length
    else:
        raise SettingsError(
            f"{argument}={length!r} is not a length of time: give a string such as '15m', '4h' or"
            " '7d', or a timedelta."
        )
    if parsed > _LONGEST:
        raise SettingsError(
            f"{argument}={length!r} is longer than the years 1 to 9999, which hold every event:"
            " give a shorter length, or over=None for all history."
        )
    return parsed


def _is_list(over: object) -> bool:
    return not isinstance(over, str | timedelta | None)


def _list_windows(over: Over) -> list[_Window]:
    if isinstance(over, str | timedelta | None):
        return [_parse_window(over)]
    if not isinstance(over, Sequence):
        return [_parse_window(over)]  # which raises
    if not over:
        raise SettingsError(
            "over=[] names no window: give a length such as '4h', several in a list, or None for"
            " all history."
        )
    return list(map(_parse_window, over))


def _parse_window(length: Length | None) -> _Window:
    if length is None:
        return _Window(None, "all")
    parsed = parse_length("over", length)
    if parsed <= timedelta(0):
        raise SettingsError(
            f"over={length!r} is an empty window: give a length above zero, such as '4h', or None"
            " for all history."
        )
    micros = parsed // MICROSECOND
    spelling = length.strip() if isinstance(length, str) else spell_micros(micros)
    return _Window(micros, spelling)


def _parse_delay(delay: Length | None) -> int:
    if delay is None:
        return 0
    parsed = parse_length("delay", delay)
    if parsed < timedelta(0):
        raise SettingsError(
            f"delay={delay!r} is below zero, so the window would look into the future: give a"
            " length from zero up, such as '7d'."
        )
    return parsed // MICROSECOND


# -- what functions take beside a column


def check_share(function: Function, share: object) -> float:
    """The share of a percentile as a double.

    Args:
        function: The function that takes it.
        share: What was given.

    Raises:
        SettingsError: It is not a number from 0 to 1.
    """
    number = to_python(share)
    if not is_number(number) or not 0 <= number <= 1:  # nor is NaN
        raise SettingsError(
            f"{function} takes a share from 0 to 1, not {format_value(share)}: the median is 0.5,"
            " the 95th of a hundred 0.95."
        )
    return float(number)


def check_number(function: Function, argument: str, number: object) -> int:
    """How many values a function keeps.

    Args:
        function: The function.
        argument: What it calls the number, for the error.
        number: What was given.

    Raises:
        SettingsError: It is not an integer from 1 to ``MAX_VALUES``.
    """
    value = to_python(number)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_VALUES:
        raise SettingsError(
            f"{function} keeps {argument}={format_value(number)} values: give an integer from 1 to"
            f" {MAX_VALUES:,}."
        )
    return value


def spell_share(share: float) -> str:
    """The share of a percentile in a name: 0.95 is ``p95``, 0.999 is ``p99_9``."""
    percent = Decimal(str(share)) * 100
    digits = f"{percent:f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return f"p{digits.replace('.', '_')}"
