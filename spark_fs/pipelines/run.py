"""Run what is due of a pipeline: its steps in order, under its lock, each saved as it ends."""

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
from spark_fs.pipelines.alerts import AlertSender
from spark_fs.pipelines.declaration import Pipeline, Step
from spark_fs.pipelines.lock import pipeline_lock
from spark_fs.pipelines.step_functions import STEPS, RunContext
from spark_fs.redact import redact_secrets
from spark_fs.spec.pipeline_run import PipelineRun, RunState, StepRecord


class Listener(Protocol):
    """Who is notified of a run as it goes: a log, a lineage server."""

    def on_start(self, run: PipelineRun, context: RunContext) -> None:
        """A run began."""

    def on_progress(self, run: PipelineRun, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """A step reported a line about a feature group."""

    def on_step_end(self, run: PipelineRun, record: StepRecord, context: RunContext) -> None:
        """A step ended."""

    def on_end(self, run: PipelineRun, context: RunContext | None) -> None:
        """The run ended; without a context where its groups could not be declared."""


Listeners = Sequence[Listener]


@validate_call
def run(
    fs: FeatureStore,
    pipeline: Pipeline,
    until: Instant | None = None,
    only: Sequence[str] = (),
    listeners: Listeners = (),
) -> PipelineRun:
    """Run the due steps of a pipeline, eagerly, and return what each did.

    Intervals that earlier runs missed are built too. A step that fails ends the run; steps that
    find differences do not. The run is kept in the metadata database, see ``fs.get_runs``. The
    pipeline's alerts are sent.

    Args:
        fs: the feature store.
        pipeline: what is run.
        until: up to which instant (UTC, excluded) it builds; None is the end of the last interval
            that is complete by the pipeline's ``every`` and ``delay``.
        only: these steps alone, due or not.
        listeners: who is notified of the run as it goes.

    Raises:
        SettingsError: the pipeline has no such step, a group cannot be declared, ``until`` lies in
            the future, or an alert names a variable that is not set.
        LockedError: another run of this pipeline goes on.
    """
    now = datetime.now(UTC)
    end = pipeline.until(now) if until is None else to_utc(until)
    if end > now:
        raise SettingsError(
            f"until={end.isoformat()} lies in the future: what is to come cannot be built. Give an"
            " instant up to now."
        )
    step_names = [step.name for step in pipeline.steps]
    for name in only:
        if name not in step_names:
            raise SettingsError(
                f"Pipeline {pipeline.name!r} has no step {name!r}: it has {', '.join(step_names)}."
            )
    catalog = fs._stores.catalog
    alerts = AlertSender(catalog, pipeline.alerts)
    started = PipelineRun(uuid4().hex, pipeline.name, end, now)
    with pipeline_lock(catalog, started) as lock_lost:
        executor = _RunExecutor(catalog, pipeline, started, listeners, alerts, lock_lost)
        return executor.execute(fs, is_replay=until is not None, only=only)


class _RunExecutor:
    """A run that is going on."""

    def __init__(
        self,
        catalog: RunCatalog,
        pipeline: Pipeline,
        run: PipelineRun,
        listeners: Sequence[Listener],
        alerts: AlertSender,
        lock_lost: Event,
    ) -> None:
        self.catalog = catalog
        self.pipeline = pipeline
        self.run = run
        self.listeners = listeners
        self.alerts = alerts
        self.lock_lost = lock_lost

    def execute(self, fs: FeatureStore, is_replay: bool, only: Sequence[str]) -> PipelineRun:
        """Run every step; whatever ends the run, it is saved."""
        last_done = {} if only else self._find_last_done()
        self._report_killed_run()
        self.catalog.save_run(self.run)
        context = None
        try:
            context = RunContext(fs, self.pipeline, self.run.until, is_replay)
            self._notify_listeners(lambda listener: listener.on_start(self.run, context))
            for step in self.pipeline.steps:
                is_due = self._is_due(step, only, last_done.get(step.name))
                self._run_step(step, context, is_due)
        except BaseException as error:
            self._finish_run("failed", _describe_end(error), context)
            if not isinstance(error, KeyboardInterrupt):
                self.alerts.report_run(self.run, self.run.error, isinstance(error, SystemExit))
            raise
        self.alerts.report_run(self.run, None)
        state, failure = _find_outcome(self.run.steps)
        self._finish_run(state, failure, context)
        return self.run

    def _report_killed_run(self) -> None:
        """Tell of the run before this one, where it was killed and could not tell itself."""
        if not self.pipeline.alerts:
            return
        for last in self.catalog.list_runs(self.pipeline.name, 1):
            if last.state == "killed":
                self.alerts.report_run(last, f"The run was killed. {last.error}")

    def _find_last_done(self) -> dict[str, datetime]:
        """Up to which instant each step that has a pace of its own was done last."""
        paced = {step.name for step in self.pipeline.steps if step.every}
        return self.catalog.find_last_done(self.pipeline.name, paced)

    def _is_due(self, step: Step, only: Sequence[str], last: datetime | None) -> bool:
        if only:
            return step.name in only
        return step.every is None or last is None or self.run.until - last >= step.every

    def _run_step(self, step: Step, context: RunContext, due: bool) -> None:
        if not due or any(record.state == "failed" for record in self.run.steps):
            self._save_step(StepRecord(step.name, "skipped"), context)
            return
        started_at = datetime.now(UTC)
        clock = time.monotonic()
        context.begin_step(
            lambda line, facts: self._notify_listeners(
                lambda listener: listener.on_progress(self.run, step.name, line, facts)
            )
        )
        failure: SparkFSError | None = None
        try:
            self._run_with_retries(step, context)
        except SparkFSError as error:
            failure = error
        state = "finished" if context.ok else "differs"
        record = StepRecord(
            name=step.name,
            state="failed" if failure else state,
            started_at=started_at,
            seconds=round(time.monotonic() - clock, 2),
            counts=dict(context.counts),
            lines=tuple(context.lines),
            error=f"{type(failure).__name__}: {failure}" if failure else None,
            retryable=failure is not None and failure.retryable,
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
                context.problems = []  # the next attempt looks at every group again
                context.ok = True
                time.sleep(self.pipeline.pause)

    def _save_step(self, record: StepRecord, context: RunContext) -> None:
        self.run = replace(self.run, steps=(*self.run.steps, record))
        self.catalog.save_run(self.run)
        told = self.alerts.report_step(self.run, record, context.problems)
        if told:
            record = replace(record, counts={**record.counts, **told})
            self.run = replace(self.run, steps=(*self.run.steps[:-1], record))
            self.catalog.save_run(self.run)
        self._notify_listeners(lambda listener: listener.on_step_end(self.run, record, context))

    def _finish_run(self, state: RunState, error: str | None, context: RunContext | None) -> None:
        self.run = replace(self.run, state=state, error=error, ended_at=datetime.now(UTC))
        self.catalog.save_run(self.run)
        self._notify_listeners(lambda listener: listener.on_end(self.run, context))

    def _notify_listeners(self, notify: Callable[[Listener], None]) -> None:
        for listener in self.listeners:
            notify(listener)


def _find_outcome(records: Sequence[StepRecord]) -> tuple[RunState, str | None]:
    """What became of a run, and the error of the step that failed."""
    for record in records:
        if record.state == "failed":
            return "failed", record.error
    if any(record.state == "differs" for record in records):
        return "differs", None
    return "finished", None


def _describe_end(error: BaseException) -> str:
    """Why a run ended early, without secrets."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return "The process was told to end."
    return redact_secrets(str(error)) or type(error).__name__
