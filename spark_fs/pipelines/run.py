"""Run what is due of a pipeline: its steps in order, under its lock, each remembered as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Any, Protocol
from uuid import uuid4

from spark_fs.api.feature_store import FeatureStore
from spark_fs.base.arguments import validate_call
from spark_fs.base.times import Instant, to_utc
from spark_fs.catalog.runs import RunCatalog
from spark_fs.errors import ConflictError, SettingsError, SparkFSError
from spark_fs.pipelines.declaration import Pipeline, Step
from spark_fs.pipelines.lock import pipeline_lock
from spark_fs.pipelines.steps import STEPS, RunContext
from spark_fs.redact import redact_secrets
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord


class Listener(Protocol):
    """Somebody who is told of a run as it goes: a log, a lineage server."""

    def on_start(self, run: PipelineRun, context: RunContext) -> None:
        """A run began."""

    def on_progress(self, run: PipelineRun, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """A step said something of a feature group."""

    def on_step_end(self, run: PipelineRun, record: StepRecord, context: RunContext) -> None:
        """A step ended."""

    def on_end(self, run: PipelineRun, context: RunContext | None) -> None:
        """The run ended; without its work where its groups could not be declared."""


Listeners = Sequence[Listener]


@validate_call
def run(
    fs: FeatureStore,
    pipeline: Pipeline,
    until: Instant | None = None,
    only: Sequence[str] = (),
    listeners: Listeners = (),
) -> PipelineRun:
    """Run the due steps of a pipeline, eagerly, up to ``until`` (UTC, excluded); returns what each did.

    until: None is the end of the last interval that is complete by the pipeline's ``every`` and
    ``delay``. Intervals that earlier runs missed are built too. only: these steps alone, due or
    not. A step that fails ends the run; steps that find differences do not. The run is kept in the
    metadata database, and can be asked for by ``fs.get_runs``. Raises SettingsError for a step that
    the pipeline has not, a group that cannot be declared, or an ``until`` in the future;
    LockedError while another run of this pipeline goes on.
    """
    now = datetime.now(UTC)
    end = pipeline.until(now) if until is None else to_utc(until)
    if end > now:
        raise SettingsError(
            f"until={end.isoformat()} lies in the future: what is to come cannot be built. Give an"
            " instant up to now."
        )
    for name in only:
        if name not in (step.name for step in pipeline.steps):
            raise SettingsError(
                f"Pipeline {pipeline.name!r} has no step {name!r}: it has"
                f" {', '.join(s.name for s in pipeline.steps)}."
            )
    catalog = fs._stores.catalog
    began = PipelineRun(uuid4().hex, pipeline.name, end, now)
    with pipeline_lock(catalog, began) as lost:
        return _RunExecutor(catalog, pipeline, began, listeners, lost).execute(
            fs, until is not None, only
        )


class _RunExecutor:
    """A run that is going on."""

    def __init__(
        self,
        catalog: RunCatalog,
        pipeline: Pipeline,
        run: PipelineRun,
        listeners: Sequence[Listener],
        lock_lost: Event,
    ) -> None:
        self.catalog, self.pipeline, self.run, self.listeners, self.lock_lost = (
            catalog,
            pipeline,
            run,
            listeners,
            lock_lost,
        )

    def execute(self, fs: FeatureStore, is_replay: bool, only: Sequence[str]) -> PipelineRun:
        """Every step; whatever ends the run, it is noted."""
        last = (
            {}
            if only
            else self.catalog.find_last_done(
                self.pipeline.name, {step.name for step in self.pipeline.steps if step.every}
            )
        )
        self.catalog.save_run(self.run)
        work = None
        try:
            work = RunContext(fs, self.pipeline, self.run.until, is_replay)
            self._notify_listeners(lambda each: each.on_start(self.run, work))
            for step in self.pipeline.steps:
                self._run_step(
                    step,
                    work,
                    (step.name in only) if only else self._is_due(step, last.get(step.name)),
                )
        except BaseException as error:
            told = isinstance(error, SystemExit | KeyboardInterrupt)
            self._finish_run(
                "failed",
                (
                    "The process was told to end."
                    if told
                    else redact_secrets(str(error)) or type(error).__name__
                ),
                work,
            )
            raise
        failed = next((each for each in self.run.steps if each.state == "failed"), None)
        differs = any(each.state == "differs" for each in self.run.steps)
        self._finish_run(
            "failed" if failed else "differs" if differs else "finished",
            failed.error if failed else None,
            work,
        )
        return self.run

    def _is_due(self, step: Step, last: datetime | None) -> bool:
        return step.every is None or last is None or self.run.until - last >= step.every

    def _run_step(self, step: Step, context: RunContext, due: bool) -> None:
        if not due or any(each.state == "failed" for each in self.run.steps):
            self._save_step(StepRecord(step.name, "skipped"), context)
            return
        began, clock = datetime.now(UTC), time.monotonic()
        context.counts, context.lines, context.ok, failed = type(context.counts)(), [], True, None
        context.notify = lambda line, facts: self._notify_listeners(
            lambda each: each.on_progress(self.run, step.name, line, facts)
        )
        try:
            self._run_with_retries(step, context)
        except SparkFSError as error:
            failed = error
        record = StepRecord(
            step.name,
            "failed" if failed else "finished" if context.ok else "differs",
            began,
            round(time.monotonic() - clock, 2),
            dict(context.counts),
            tuple(context.lines),
            f"{type(failed).__name__}: {failed}" if failed else None,
            failed is not None and failed.retryable,
        )
        self._save_step(record, context)

    def _run_with_retries(self, step: Step, context: RunContext) -> None:
        """Do a step, again where it failed in a way that may pass."""
        for attempt in range(self.pipeline.retries + 1):
            if self.lock_lost.is_set():
                raise ConflictError(
                    f"The {self.run} lost its lock to another run, and does no more."
                )
            try:
                STEPS[step.name](context, step.options)
                return
            except SparkFSError as error:
                if not error.retryable or attempt == self.pipeline.retries:
                    raise
                context.notify(f"tried again, since {error}", {"attempt": attempt + 1})
                time.sleep(self.pipeline.pause)

    def _save_step(self, record: StepRecord, context: RunContext) -> None:
        self.run = replace(self.run, steps=(*self.run.steps, record))
        self.catalog.save_run(self.run)
        self._notify_listeners(lambda each: each.on_step_end(self.run, record, context))

    def _finish_run(self, state: Any, error: str | None, context: RunContext | None) -> None:
        self.run = replace(self.run, state=state, error=error, ended_at=datetime.now(UTC))
        self.catalog.save_run(self.run)
        self._notify_listeners(lambda each: each.on_end(self.run, context))

    def _notify_listeners(self, notify: Callable[[Listener], None]) -> None:
        for each in self.listeners:
            notify(each)
