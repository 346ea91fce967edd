"""How old what is served of a feature group is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from spark_fs.base.times import format_age, spell_duration

OnlineState = Literal["nothing yet", "behind", "up to date"]


@dataclass(frozen=True)
class Freshness:
    """What of a feature group can be served at an instant, and how old it is; times are in UTC.

    group: its name and version, as in ``cards_1``. now: the instant that ages are counted to.
    event_time: the greatest event time online; None where nothing is, or the group has none.
    ingested_at: when the newest commit that is online was written; None before the first sync, and
    where the log has forgotten it. synced_at, version: when the last sync ended, and the version
    that it brought online. newest_version: that of the group. waiting_since: when the first commit
    was written whose rows are not online yet; None where all are.
    """

    group: str
    now: datetime
    event_time: datetime | None
    ingested_at: datetime | None
    synced_at: datetime | None
    version: int | None
    newest_version: int
    waiting_since: datetime | None

    @property
    def age(self) -> timedelta | None:
        """How long ago the newest event happened that is served.

        Of a group without event time, how long ago its newest rows were written. None where nothing
        is online.
        """
        newest = self.event_time or self.ingested_at
        return None if newest is None else self.now - newest

    @property
    def sync_lag(self) -> timedelta:
        """For how long rows have been waiting for a sync; zero where all are online."""
        return self.now - self.waiting_since if self.waiting_since else timedelta(0)

    @property
    def state(self) -> OnlineState:
        """Whether all rows are online."""
        if self.synced_at is None:
            return "nothing yet"
        return "behind" if self.waiting_since else "up to date"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON: times in ISO 8601, ages in seconds."""
        data = dict(vars(self))
        for name in ("now", "event_time", "ingested_at", "synced_at", "waiting_since"):
            data[name] = data[name] and data[name].isoformat()
        data["age_seconds"] = None if self.age is None else self.age.total_seconds()
        return {**data, "sync_lag_seconds": self.sync_lag.total_seconds()}

    def __str__(self) -> str:
        if self.synced_at is None:
            return f"freshness {self.group}: nothing is online yet"
        kind = "event" if self.event_time else "rows"
        age = "unknown" if self.age is None else format_age(self.age)
        waiting = "all commits are online"
        if self.waiting_since:
            waiting = f"rows have been waiting for a sync for {format_age(self.sync_lag)}"
        return f"freshness {self.group}: age of the newest {kind} {age}; {waiting}"


class Bounds(NamedTuple):
    """How old what is served may be, and for how long rows may wait for a sync; None: any."""

    max_age: timedelta | None = None
    max_lag: timedelta | None = None


def find_exceeded_bounds(found: Freshness, bounds: Bounds) -> list[str]:
    """Say which bounds are exceeded, a sentence each; none where all are kept.

    What is not online at all is older than any age.
    """
    exceeded = []
    if bounds.max_age is not None and (found.age is None or found.age > bounds.max_age):
        age = "nothing is online" if found.age is None else f"{format_age(found.age)} old"
        exceeded.append(f"{age}, and at most {spell_duration(bounds.max_age)} is allowed")
    if bounds.max_lag is not None and found.sync_lag > bounds.max_lag:
        lag = format_age(found.sync_lag)
        allowed = spell_duration(bounds.max_lag)
        exceeded.append(f"rows wait for a sync for {lag}, and at most {allowed} is allowed")
    return exceeded
