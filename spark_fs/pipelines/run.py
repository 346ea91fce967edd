"""Run what is due of a pipeline: its steps in order, under its lock, each remembered as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any, Protocol
from uuid import uuid4

from spark_fs.api.project import FeatureStore
from spark_fs.catalog.runs import Runs
from spark_fs.errors import ConflictError, SettingsError, SparkFSError
from spark_fs.given import looking
from spark_fs.pipelines.declared import Pipeline, Step
from spark_fs.pipelines.lock import held
from spark_fs.pipelines.steps import STEPS, Work
from spark_fs.redact import redacted
from spark_fs.spec.runs import Run, StepRecord
from spark_fs.times import Instant, to_utc


class Listener(Protocol):
    """Somebody who is told of a run as it goes: a log, a lineage server."""

    def began(self, run: Run, work: Work) -> None:
        """A run began."""

    def told(self, run: Run, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """A step said something of a feature group."""

    def stepped(self, run: Run, record: StepRecord, work: Work) -> None:
        """A step ended."""

    def ended(self, run: Run, work: Work | None) -> None:
        """The run ended; without its work where its groups could not be declared."""


Listeners = Sequence[Listener]


@looking
def run(
    fs: FeatureStore, pipeline: Pipeline, until: Instant | None = None, only: Sequence[str] = (), listeners: Listeners = ()
) -> Run:
    """Run the due steps of a pipeline, eagerly, up to ``until`` (UTC, excluded); returns what each did.

    until: None is the end of the last interval that is complete by the pipeline's ``every`` and ``delay``. Intervals that earlier runs
    missed are built too. only: these steps alone, due or not. A step that fails ends the run; steps that find differences do not. The run
    is kept in the metadata database, and can be asked for by ``fs.get_runs``. Raises SettingsError for a step that the pipeline has not, a
    group that cannot be declared, or an ``until`` in the future; LockedError while another run of this pipeline goes on.
    """
    now = datetime.now(UTC)
    end = pipeline.until(now) if until is None else to_utc(until)
    if end > now:
        raise SettingsError(f"until={end.isoformat()} lies in the future: what is to come cannot be built. Give an instant up to now.")
    for name in only:
        if name not in (step.name for step in pipeline.steps):
            raise SettingsError(f"Pipeline {pipeline.name!r} has no step {name!r}: it has {', '.join(s.name for s in pipeline.steps)}.")
    catalog = fs._stores.catalog
    began = Run(uuid4().hex, pipeline.name, end, now)
    with held(catalog, began) as lost:
        return _Running(catalog, pipeline, began, listeners, lost).through(fs, until is not None, only)


class _Running:
    """A run that is going on."""

    def __init__(self, catalog: Runs, pipeline: Pipeline, run: Run, listeners: Sequence[Listener], lost: Event) -> None:
        self.catalog, self.pipeline, self.run, self.listeners, self.lost = catalog, pipeline, run, listeners, lost

    def through(self, fs: FeatureStore, replayed: bool, only: Sequence[str]) -> Run:
        """Every step; whatever ends the run, it is noted."""
        last = {} if only else self.catalog.last_done(self.pipeline.name, {step.name for step in self.pipeline.steps if step.every})
        self.catalog.save_run(self.run)
        work = None
        try:
            work = Work(fs, self.pipeline, self.run.until, replayed)
            self._tell(lambda each: each.began(self.run, work))
            for step in self.pipeline.steps:
                self._step(step, work, (step.name in only) if only else self._is_due(step, last.get(step.name)))
        except BaseException as error:
            told = isinstance(error, SystemExit | KeyboardInterrupt)
            self._end("failed", "The process was told to end." if told else redacted(str(error)) or type(error).__name__, work)
            raise
        failed = next((each for each in self.run.steps if each.state == "failed"), None)
        differs = any(each.state == "differs" for each in self.run.steps)
        self._end("failed" if failed else "differs" if differs else "finished", failed.error if failed else None, work)
        return self.run

    def _is_due(self, step: Step, last: datetime | None) -> bool:
        return step.every is None or last is None or self.run.until - last >= step.every

    def _step(self, step: Step, work: Work, due: bool) -> None:
        if not due or any(each.state == "failed" for each in self.run.steps):
            self._note(StepRecord(step.name, "skipped"), work)
            return
        began, clock = datetime.now(UTC), time.monotonic()
        work.counts, work.lines, work.ok, failed = type(work.counts)(), [], True, None
        work.tell = lambda line, facts: self._tell(lambda each: each.told(self.run, step.name, line, facts))
        try:
            self._tried(step, work)
        except SparkFSError as error:
            failed = error
        record = StepRecord(
            step.name, "failed" if failed else "finished" if work.ok else "differs", began, round(time.monotonic() - clock, 2),
            dict(work.counts), tuple(work.lines), f"{type(failed).__name__}: {failed}" if failed else None,
            failed is not None and failed.retryable,
        )
        self._note(record, work)

    def _tried(self, step: Step, work: Work) -> None:
        """Do a step, again where it failed in a way that may pass."""
        for attempt in range(self.pipeline.retries + 1):
            if self.lost.is_set():
                raise ConflictError(f"The {self.run} lost its lock to another run, and does no more.")
            try:
                STEPS[step.name](work, step.options)
                return
            except SparkFSError as error:
                if not error.retryable or attempt == self.pipeline.retries:
                    raise
                work.tell(f"tried again, since {error}", {"attempt": attempt + 1})
                time.sleep(self.pipeline.pause)

    def _note(self, record: StepRecord, work: Work) -> None:
        self.run = replace(self.run, steps=(*self.run.steps, record))
        self.catalog.save_run(self.run)
        self._tell(lambda each: each.stepped(self.run, record, work))

    def _end(self, state: Any, error: str | None, work: Work | None) -> None:
        self.run = replace(self.run, state=state, error=error, ended_at=datetime.now(UTC))
        self.catalog.save_run(self.run)
        self._tell(lambda each: each.ended(self.run, work))

    def _tell(self, say: Callable[[Listener], None]) -> None:
        for each in self.listeners:
            say(each)
