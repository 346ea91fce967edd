"""Instants and intervals: UTC, microseconds, half-open.

An instant may be given as a datetime (without a zone it is UTC), a date (its midnight, UTC), an ISO
8601 string or one of Hopsworks' forms ("2022/01/31", "20220131", "20220131123000"), or an epoch.
Whatever comes in, an aware UTC datetime comes out. An integer column may hold epochs, in seconds or
in milliseconds; their size says which.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from spark_fs.base.python_values import UnfitError, format_value, to_python
from spark_fs.errors import SettingsError

Instant = datetime | date | str | int
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY_MICROS = 86_400_000_000
# An epoch from here up is in milliseconds: as seconds it would be the year 5138, as milliseconds
# it is 1973.
MILLISECONDS_FROM = 100_000_000_000
# Of the years 1 to 9999; the last is excluded.
FIRST_SECOND = -62_135_596_800
LAST_SECOND = 253_402_300_800
_NANOSECONDS_FROM = 10**17  # a number that is not an epoch; below, it is likely microseconds
# ``fromisoformat`` cuts what is finer than microseconds without a word.
_SUB_MICROSECOND = re.compile(r"[.,]\d{6}\d*[1-9]")
# A day and a time of it in digits, with or without what parts them, down to milliseconds.
_DIGITS = re.compile(
    r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})"
    r"(?:[ T]?(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.:]?(\d{3}))?)?)?)?"
)
# An epoch in seconds as a string, up to the year 2030; as a day and an hour it is before 1900.
_EPOCH_TEXT = re.compile(r"1[0-8]\d{8}")
# A number of a caller's from here up is an instant, as an epoch in seconds of 1973; below, it may
# be the version of a table, or a slip.
EPOCHS_FROM = 100_000_000
_DURATION_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
# What lengths are spelled in, the longest first, in microseconds.
_UNIT_MICROS = {
    "d": DAY_MICROS,
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
# What ages are told in: the name, its seconds, and up to how many seconds.
_AGE_UNITS = (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800))


def to_micros(when: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z, exactly."""
    return (when - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant so many microseconds after 1970-01-01T00:00:00Z."""
    return EPOCH + timedelta(microseconds=micros)


# The least and the greatest instant that a Python datetime holds, in microseconds.
FIRST_MICROS = to_micros(datetime.min.replace(tzinfo=UTC))
LAST_MICROS = to_micros(datetime.max.replace(tzinfo=UTC))


def epoch_to_micros(epoch: int) -> int:
    """The microseconds of an epoch in seconds or, from ``MILLISECONDS_FROM`` up, milliseconds."""
    return epoch * (1_000_000 if abs(epoch) < MILLISECONDS_FROM else 1_000)


def as_utc(when: datetime) -> datetime:
    """The instant in UTC; one without a zone is UTC."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def to_utc(when: Instant) -> datetime:
    """The instant as an aware UTC datetime; SettingsError for what is not one."""
    try:
        return parse_time(when)
    except ValueError:
        pass
    raise SettingsError(
        f"{format_value(when)} is not a time: give a datetime, a date, an ISO 8601 string such as"
        " '2013-12-01T00:00:00Z', of whole microseconds, or an epoch in seconds or milliseconds."
    )


def is_given(when: Instant | None) -> bool:
    """Whether a time was given: None and the empty string leave it out, as in Hopsworks."""
    return not (when is None or (isinstance(when, str) and not when))


def is_epoch(number: int) -> bool:
    """Whether an integer that a caller gives is an instant, and not the version of a table."""
    return number >= EPOCHS_FROM


def to_timestamp(value: Any) -> datetime:
    """The instant of a datetime or a date in UTC; UnfitError for any other value."""
    if not isinstance(value, date) or getattr(value, "nanosecond", None):
        raise UnfitError("a datetime, without a zone in UTC, of whole microseconds")
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        return as_utc(value)
    except OverflowError:
        raise UnfitError("an instant of the years 1 to 9999 in UTC") from None


def parse_time(value: Any) -> datetime:
    """The instant of a time in any form; ValueError for what is none."""
    if isinstance(value, str):
        return parse_instant(value)
    plain = to_python(value)
    if isinstance(plain, int) and not isinstance(plain, bool):
        if not is_epoch(plain) or describe_bad_epoch(plain):
            raise ValueError(f"{plain} is not an epoch")
        return from_micros(epoch_to_micros(plain))
    return to_timestamp(plain)


def parse_instant(text: str) -> datetime:
    """The instant of an ISO 8601 string, or of digits as in "2022/01/31" and "20220131123000".

    It is in UTC where it names no zone. Raises ValueError for any other string, and for an instant
    finer than microseconds.
    """
    digits = _DIGITS.fullmatch(text)
    if digits and not _EPOCH_TEXT.fullmatch(text):
        year, month, day, hour, minute, second, millis = map(int, digits.groups("0"))
        return datetime(year, month, day, hour, minute, second, millis * 1_000, UTC)
    if _SUB_MICROSECOND.search(text):
        raise ValueError(f"{text!r} is finer than microseconds")
    try:
        return as_utc(datetime.fromisoformat(text))
    except OverflowError:
        raise ValueError(f"{text!r} is not within the years 1 to 9999 in UTC") from None


def describe_bad_epoch(value: int) -> str | None:
    """Why a number is not an epoch in seconds or milliseconds within the years 1 to 9999.

    Says what the number likely is; None where it is an epoch.
    """
    seconds = value if abs(value) < MILLISECONDS_FROM else value / 1_000
    if FIRST_SECOND <= seconds < LAST_SECOND:
        return None
    if abs(value) >= _NANOSECONDS_FROM:
        unit, divisor = "nanoseconds", 1_000_000
    else:
        unit, divisor = "microseconds", 1_000
    return (
        "it is not an epoch in seconds or milliseconds, which would lie outside the years 1 to"
        f" 9999, and looks like {unit}: divide it by {divisor:,}, or give a timestamp."
    )


def format_seconds(count: float) -> str:
    """A length in seconds as text, in full: ``1.5``, ``86,400``."""
    return f"{count:,.6f}".rstrip("0").rstrip(".")


def spell_micros(micros: int) -> str:
    """A length in whole numbers of the longest unit that it is whole in: ``90m``, ``7d``."""
    unit = next(unit for unit, size in _UNIT_MICROS.items() if micros % size == 0)
    return f"{micros // _UNIT_MICROS[unit]}{unit}"


def spell_duration(length: timedelta) -> str:
    """A length as ``parse_duration`` reads it."""
    return spell_micros(length // MICROSECOND)


def format_age(age: timedelta) -> str:
    """A length of time as people say it: ``12.3 s``, ``4 min``, ``2.5 h``, ``3.1 days``."""
    seconds = age.total_seconds()
    for name, size, until in _AGE_UNITS:
        if abs(seconds) < until:
            return f"{seconds / size:.{0 if name == 'min' else 1}f} {name}"
    return f"{seconds / 86_400:,.1f} days"


def parse_duration(text: str) -> timedelta:
    """A length of time such as "90m", "4h", "7d"; SettingsError for anything else."""
    match = re.fullmatch(r"(\d+)([mhd])", text.strip())
    if match is None:
        raise SettingsError(
            f"{text!r} is not a length of time: give minutes, hours or days, such as 90m, 4h or 7d."
        )
    count = int(match[1])
    unit = _DURATION_UNITS[match[2]]
    try:
        return timedelta(**{unit: count})
    except OverflowError:
        raise SettingsError(
            f"{text!r} is longer than time is counted: give a length of up to 999999999d."
        ) from None


@dataclass(frozen=True)
class Interval:
    """``start <= t < end``; None leaves a side open."""

    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def from_bounds(cls, start: Instant | None, end: Instant | None) -> "Interval":
        """The interval of two instants in any form; SettingsError when it is empty.

        Args:
            start: the first instant in it; None or "" leaves it open.
            end: the first instant behind it; None or "" leaves it open.
        """
        low = to_utc(start) if start is not None and is_given(start) else None
        high = to_utc(end) if end is not None and is_given(end) else None
        if low is not None and high is not None and low >= high:
            raise SettingsError(
                f"The interval from {start} to {end} is empty: its start must lie before its end."
            )
        return cls(low, high)

    def overlaps(self, other: "Interval") -> bool:
        """Whether an instant lies in both."""
        return _is_before(self.start, other.end) and _is_before(other.start, self.end)

    def to_json(self) -> list[str | None]:
        """``[start, end]`` as ISO 8601 strings."""
        return [
            None if instant is None else instant.isoformat() for instant in (self.start, self.end)
        ]

    def __str__(self) -> str:
        start, end = self.to_json()
        return f"[{start or '...'}, {end or '...'})"


def _is_before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end
