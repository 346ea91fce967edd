"""What a flow returns: a job that ran, or one that runs beside its caller."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, Self


@dataclass(frozen=True)
class Job:
    """A finished run: its name and what it did, in rows.

    ``state`` is "finished" and ``error`` None.
    """

    name: str
    summary: dict[str, Any] = field(default_factory=dict)
    state = "finished"
    error: BaseException | None = field(default=None, init=False)

    def wait(self, timeout: float | None = None) -> Self:  # noqa: ARG002 # as the job that runs has it
        """The job itself, which is done."""
        return self

    def __str__(self) -> str:
        counts = [f"{key.replace('_', ' ')} {value}" for key, value in self.summary.items()]
        return f"{self.name}: {', '.join(counts)}"


class RunningJob:
    """A run in a thread of its own, begun at once.

    ``state`` is "running", "finished" or "failed"; ``error`` is what a failed run raised;
    ``summary`` counts what a finished one did. A process that ends waits for it.
    """

    def __init__(self, name: str, run: Callable[[], Job]) -> None:
        self.name = name
        self.summary: dict[str, Any] = {}
        self.error: BaseException | None = None
        self._function = run
        self._thread = Thread(target=self._run_and_record, name=name)
        self._thread.start()

    def __repr__(self) -> str:
        return f"RunningJob({self.name!r}, {self.state})"

    @property
    def state(self) -> str:
        """Where the run is."""
        if self._thread.is_alive():
            return "running"
        return "failed" if self.error else "finished"

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the run is over, or for so many seconds.

        Returns the job, whose ``state`` and ``error`` say how it went.
        """
        self._thread.join(timeout)
        return self

    def _run_and_record(self) -> None:
        try:
            self.summary = self._function().summary
        except BaseException as error:  # the caller learns of it by ``error``
            self.error = error


def sum_jobs(name: str, jobs: Sequence[Job]) -> Job:
    """One job that counts what several did."""
    summary = Counter[str]()
    for job in jobs:
        summary.update(job.summary)
    return Job(name, dict(summary) | {"chunks": len(jobs)})
