"""What a run says while it goes: lines for people, or JSON objects for machines, by the logger ``spark_fs.pipelines``."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.pipelines.steps import RunContext
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

LOGGER = logging.getLogger("spark_fs.pipelines")
_LEVELS = {"failed": logging.ERROR, "differs": logging.WARNING}


class LogListener:
    """Tells a run to the logger; a record's ``facts`` hold the event, the ids, the rows and the seconds."""

    def on_start(self, run: PipelineRun, context: RunContext) -> None:
        """A run began."""
        groups = [f"{group.name}_{group.version}" for group in context.groups]
        _log_event(
            logging.INFO,
            f"Pipeline {run.pipeline} up to {run.until:%Y-%m-%d %H:%M} UTC, run {run.id}",
            run,
            "run_started",
            groups=groups,
        )

    def on_progress(self, run: PipelineRun, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """A step said something of a group."""
        _log_event(logging.INFO, line, run, "progress", step=step, **facts)

    def on_step_end(self, run: PipelineRun, record: StepRecord, context: RunContext) -> None:  # noqa: ARG002 # as every listener is told
        """A step ended."""
        said = f"{record.name} {record.state}" + (
            f": {record.error}" if record.error else f" ({record.seconds:.1f} s)"
        )
        level = _LEVELS.get(record.state, logging.INFO)
        facts = {
            "step": record.name,
            "state": record.state,
            "seconds": record.seconds,
            "rows": dict(record.counts),
        }
        _log_event(level, said, run, "step_ended", **facts, error=record.error)

    def on_end(self, run: PipelineRun, context: RunContext | None) -> None:  # noqa: ARG002 # as every listener is told
        """The run ended."""
        seconds = round(run.took.total_seconds(), 2) if run.took else None
        level = _LEVELS.get(run.state, logging.INFO)
        said = f"Pipeline {run.pipeline} {run.state}" + (f": {run.error}" if run.error else "")
        _log_event(level, said, run, "run_ended", state=run.state, seconds=seconds, error=run.error)


class TextFormatter(logging.Formatter):
    """A record's message, as a terminal may show it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return escape_for_terminal(super().format(record))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: ``time`` (UTC), ``level``, ``message``, and the record's facts."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = getattr(record, "facts", {})
        return json.dumps(
            {"time": at, "level": record.levelname, "message": record.getMessage(), **facts},
            default=str,
        )


def _log_event(level: int, message: str, run: PipelineRun, event: str, **facts: Any) -> None:
    told = {
        "event": event,
        "run_id": run.id,
        "pipeline": run.pipeline,
        "until": run.until.isoformat(),
        **facts,
    }
    LOGGER.log(level, "%s", message, extra={"facts": told})
