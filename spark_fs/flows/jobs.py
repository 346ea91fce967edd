"""What a flow that ran gives back."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """A finished run: its name and what it did, in rows."""

    name: str
    summary: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}: " + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in self.summary.items())


def total(name: str, jobs: Sequence[Job]) -> Job:
    """One job that counts what several did."""
    summed = Counter[str]()
    for job in jobs:
        summed.update(job.summary)
    return Job(name, dict(summed) | {"chunks": len(jobs)})
