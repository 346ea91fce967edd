"""When a schedule is due, from a cron expression as Quartz and Hopsworks write it, in UTC.

It has six fields, or seven: second, minute, hour, day of the month, month, day of the week (1 is
Sunday), and perhaps the year.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from spark_fs.base.times import as_utc
from spark_fs.errors import SettingsError

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MAX_YEAR = 2199
_MAX_DAYS = 366 * 8  # in which every date comes once, a leap day too


@dataclass(frozen=True)
class _Field:
    """A field of an expression: what its numbers are called, and their range."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def numbers(self) -> Mapping[str, int]:
        return {name: self.low + place for place, name in enumerate(self.names)}


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 1, 7, _DAYS),
    _Field("year", 1970, _MAX_YEAR),
)


@dataclass(frozen=True)
class CronSchedule:
    """A schedule: the seconds, minutes, hours, days, months and years at which it is due."""

    text: str
    fields: tuple[Collection[int], ...]

    @classmethod
    def parse(cls, text: str) -> CronSchedule:
        """The schedule that an expression writes; SettingsError says what in it is not valid."""
        parts = text.split()
        if len(parts) not in (6, 7):
            raise SettingsError(
                f"Cron expression {text!r} has {len(parts)} fields: write six or seven, second,"
                " minute, hour, day of the month, month, day of the week and perhaps the year, as"
                " in '0 0 12 ? * * *' for each noon (UTC)."
            )
        parts += ["*"] * (7 - len(parts))
        fields = []
        for field, part in zip(_FIELDS, parts, strict=True):
            fields.append(_parse_field(text, field, part))
        return cls(text, tuple(fields))

    def find_next(self, after: datetime) -> datetime | None:
        """The first instant behind one at which it is due, in UTC; None: never again."""
        moment = as_utc(after).replace(microsecond=0) + timedelta(seconds=1)
        day = moment.date()
        for offset in range(_MAX_DAYS):
            candidate = day + timedelta(days=offset)
            if candidate.year > _MAX_YEAR:
                return None
            if self._is_on(candidate):
                earliest = moment.time() if offset == 0 else time(0)
                for clock in self._iter_times(earliest):
                    return datetime.combine(candidate, clock, UTC)
        return None

    def _is_on(self, day: date) -> bool:
        days, months, weekdays, years = self.fields[3:]
        weekday = day.isoweekday() % 7 + 1
        return day.day in days and day.month in months and weekday in weekdays and day.year in years

    def _iter_times(self, earliest: time) -> Iterator[time]:
        seconds, minutes, hours = map(sorted, self.fields[:3])
        for hour in hours:
            if hour < earliest.hour:
                continue
            for minute in minutes:
                if (hour, minute) < (earliest.hour, earliest.minute):
                    continue
                for second in seconds:
                    clock = time(hour, minute, second)
                    if clock >= earliest:
                        yield clock


def _parse_field(text: str, field: _Field, part: str) -> Collection[int]:
    """The numbers of a field: a list of numbers, ranges and steps."""
    numbers: set[int] = set()
    for element in part.upper().split(","):
        match = re.fullmatch(r"(\*|\?|[A-Z]{3}|\d+)(?:-([A-Z]{3}|\d+))?(?:/(\d+))?", element)
        if match is None:
            raise _make_error(text, field, part)
        first, last, step = match.groups()
        is_any = first in ("*", "?")
        low = field.low if is_any else _parse_number(text, field, part, first)
        if last is not None:
            high = _parse_number(text, field, part, last)
        else:
            high = field.high if is_any or step else low
        if step == "0" or (last is not None and (is_any or high < low)):
            raise _make_error(text, field, part)
        numbers.update(range(low, high + 1, int(step or 1)))
    return frozenset(numbers)


def _parse_number(text: str, field: _Field, part: str, word: str) -> int:
    number = field.numbers.get(word, int(word) if word.isdigit() else -1)
    if not field.low <= number <= field.high:
        raise _make_error(text, field, part)
    return number


def _make_error(text: str, field: _Field, part: str) -> SettingsError:
    names = f" or {field.names[0]} to {field.names[-1]}" if field.names else ""
    return SettingsError(
        f"Cron expression {text!r}: its {field.name} is {part!r}: write numbers from {field.low} to"
        f" {field.high}{names}, lists (1,15), ranges (1-5), steps (0/20), or * for every one."
    )
