"""What one server of the online store says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class OnlineServer:
    """One server of the online store, as it was when it was asked.

    address: where it is, without user and password. role: "primary" or "replica". shard: its shard,
    from 1, of ``shard_count``. error: why it does not answer; empty where it does. age_seconds: how
    long ago a sync may have ended that it does not show, 0 for a primary; None: not known.
    last_sync: the end of the newest sync that it shows, in UTC; None: none. versions: by the name
    of a table the version of the group's table that it shows.
    """

    address: str
    role: str
    shard: int
    shard_count: int
    error: str = ""
    age_seconds: float | None = None
    last_sync: datetime | None = None
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def reachable(self) -> bool:
        """Whether it answered."""
        return not self.error

    def __str__(self) -> str:
        shard = f" of shard {self.shard} of {self.shard_count}" if self.shard_count > 1 else ""
        if self.error:
            return f"{self.role}{shard} at {self.address}: {self.error}"
        age = "of unknown age"
        if self.age_seconds is not None:
            age = f"at most {self.age_seconds:,.1f} s old"
        return f"{self.role}{shard} at {self.address}: {age}, {len(self.versions)} tables"
