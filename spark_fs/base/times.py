"""Instants and intervals: UTC, microseconds, half-open.

An instant may be given as a datetime (without a zone it is UTC), a date (its midnight, UTC), or an
ISO 8601 text. Whatever comes in, an aware UTC datetime comes out.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from spark_fs.base.types import MILLISECONDS_FROM
from spark_fs.base.values import format_value, parse_instant, to_canonical
from spark_fs.errors import SettingsError

Instant = datetime | date | str
FIRST_SECOND, LAST_SECOND = (
    -62_135_596_800,
    253_402_300_800,
)  # of the years 1 to 9999; the last is excluded


def to_utc(when: Instant) -> datetime:
    """The instant as an aware UTC datetime; raises SettingsError for what is not one."""
    try:
        found: datetime | None = (
            parse_instant(when) if isinstance(when, str) else to_canonical("timestamp", when)
        )
    except ValueError:
        found = None
    if found is None:
        raise SettingsError(
            f"{format_value(when)} is not a time: give a datetime, a date or an ISO 8601 text such"
            " as '2013-12-01T00:00:00Z', of whole microseconds."
        )
    return found


def describe_bad_epoch(value: int) -> str | None:
    """Why a number is no epoch in seconds or milliseconds within the years 1 to 9999, and what it likely is; None where it is one."""
    seconds = value if abs(value) < MILLISECONDS_FROM else value / 1_000
    if FIRST_SECOND <= seconds < LAST_SECOND:
        return None
    likely = "nanoseconds" if abs(value) >= 10**17 else "microseconds"
    return (
        "it is no epoch in seconds or milliseconds, which would lie outside the years 1 to 9999,"
        f" and looks like {likely}: divide it by"
        f" {1_000_000 if likely == 'nanoseconds' else 1_000:,}, or give a timestamp."
    )


def format_seconds(count: float) -> str:
    """A length in seconds as text, in full: ``1.5``, ``86,400``."""
    return f"{count:,.6f}".rstrip("0").rstrip(".")


def parse_duration(text: str) -> timedelta:
    """A length of time such as "90m", "4h", "7d"; SettingsError for anything else."""
    match = re.fullmatch(r"(\d+)([mhd])", text.strip())
    if match is None:
        raise SettingsError(
            f"{text!r} is not a length of time: give minutes, hours or days, such as 90m, 4h or 7d."
        )
    try:
        return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[match[2]]: int(match[1])})
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
        """The interval of two instants in any form; raises SettingsError when it is empty."""
        low = None if start is None else to_utc(start)
        high = None if end is None else to_utc(end)
        if low is not None and high is not None and low >= high:
            raise SettingsError(
                f"The interval from {start} to {end} is empty: its start must lie before its end."
            )
        return cls(low, high)

    def overlaps(self, other: "Interval") -> bool:
        """Whether an instant lies in both."""
        return _is_before(self.start, other.end) and _is_before(other.start, self.end)

    def to_json(self) -> list[str | None]:
        """``[start, end]`` as ISO 8601 texts."""
        return [None if t is None else t.isoformat() for t in (self.start, self.end)]

    def __str__(self) -> str:
        low, high = ("..." if t is None else t.isoformat() for t in (self.start, self.end))
        return f"[{low}, {high})"


def _is_before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end
