"""Runs of pipelines, as values: what each of their steps did, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Self

from spark_fs.spec.record_format import select_known_fields, with_format_version

RunState = Literal["running", "finished", "differs", "failed", "killed"]


@dataclass(frozen=True)
class StepRecord:
    """One step of a run.

    state: "finished"; "differs" where what it compares is not as it should be; "failed"; or
    "skipped" because it was not due yet, or because a step before it failed. counts: rows and the
    like, added up over feature groups. started_at: in UTC. seconds: how long it took. lines: what
    it did, a line each. error: what went wrong. retryable: whether the error may pass, so that the
    same call may succeed later.
    """

    name: str
    state: str
    started_at: datetime | None = None
    seconds: float = 0.0
    counts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    error: str | None = None
    retryable: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        data = {
            **vars(self),
            "started_at": self.started_at and self.started_at.isoformat(),
            "counts": dict(self.counts),
            "lines": list(self.lines),
        }
        return with_format_version(type(self), data)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The step that ``to_json`` wrote; UpgradeError where only a newer release can read it."""
        started_at = data["started_at"]
        values = select_known_fields(cls, f"Step {data.get('name')!r} of a run", data)
        values["started_at"] = started_at and datetime.fromisoformat(started_at)
        values["lines"] = tuple(data["lines"])
        return cls(**values)


@dataclass(frozen=True)
class PipelineRun:
    """One run of a pipeline.

    until: up to which instant it built. started_at, ended_at: in UTC. state: "running";
    "finished"; "differs" where a step found that something is not as it should be; "failed" with
    the ``error``; or "killed", which the run after it found out.
    """

    id: str
    pipeline: str
    until: datetime
    started_at: datetime
    ended_at: datetime | None = None
    state: RunState = "running"
    steps: tuple[StepRecord, ...] = ()
    error: str | None = None

    @property
    def took(self) -> timedelta | None:
        """How long it took; None while it runs."""
        return self.ended_at - self.started_at if self.ended_at else None

    @property
    def retryable(self) -> bool:
        """Whether the same run may succeed later: the step that failed met what may pass."""
        return any(step.retryable for step in self.steps)

    def __str__(self) -> str:
        return f"run {self.id} of pipeline {self.pipeline!r}"
