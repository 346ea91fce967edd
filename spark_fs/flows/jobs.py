"""What a flow that ran gives back."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """A finished run: its name and what it did, in rows."""

    name: str
    summary: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in self.summary.items())
