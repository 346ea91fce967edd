"""What a comparison of online with offline rows found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True)
class Difference:
    """One key whose row online is not the offline latest.

    kind: "missing" online, "extra" online, or "changed". columns: of a changed row the columns that
    differ, each with its value offline and online.
    """

    key: Mapping[str, Any]
    kind: str
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.kind != "changed":
            return f"{dict(self.key)}: {self.kind} online"
        changes = []
        for name, (offline, online) in self.columns.items():
            online_text = _format_value(online)
            offline_text = _format_value(offline)
            changes.append(f"{name} is {online_text} online and {offline_text} offline")
        return f"{dict(self.key)}: {', '.join(changes)}"


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    version: the Delta version that was compared, of ``newest_version``; synced_version: what the
    last sync brought online (None: never). rows_offline, rows_online: latest rows within their ttl.
    differences: at most as many as were asked for; ``complete`` tells whether they are all.
    newest_offline, newest_online: the greatest event time on each side, in the column's own type;
    None without one.
    """

    table: str
    version: int
    newest_version: int
    synced_version: int | None
    rows_offline: int
    rows_online: int
    differences: tuple[Difference, ...]
    complete: bool
    newest_offline: Any = None
    newest_online: Any = None

    @property
    def ok(self) -> bool:
        """Whether online equals offline."""
        return not self.differences and self.complete

    def __str__(self) -> str:
        behind = ""
        if self.synced_version != self.newest_version:
            behind = f" (online is at {self.synced_version}: a sync is due)"
        differences = self._describe_differences()
        rows = f"{self.rows_online:,} rows online, {self.rows_offline:,} offline"
        times = self._describe_times()
        return (
            f"verify {self.table}: {differences}; {rows} at version {self.version}{behind}{times}"
        )

    def _describe_differences(self) -> str:
        if self.ok:
            return "no difference"
        more_than = "" if self.complete else "more than "
        return f"{more_than}{len(self.differences):,} keys differ"

    def _describe_times(self) -> str:
        online, offline = self.newest_online, self.newest_offline
        if offline is None:
            return ""
        if online == offline:
            return f"; newest event time {online} online and offline"
        return f"; newest event time {online} online, {offline} offline"


def _format_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else repr(value)
