"""What a run logs while it goes, by the logger ``spark_fs.pipelines``.

Lines for people, or JSON objects for machines.
"""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.pipelines.step_functions import RunContext
from spark_fs.spec.pipeline_run import PipelineRun, StepRecord

LOGGER = logging.getLogger("spark_fs.pipelines")
_LEVELS = {"failed": logging.ERROR, "differs": logging.WARNING}


class LogListener:
    """Logs a run; a record's ``facts`` hold the event, the ids, the rows and the seconds."""

    def on_start(self, run: PipelineRun, context: RunContext) -> None:
        """A run began."""
        groups = [f"{group.name}_{group.version}" for group in context.groups]
        message = f"Pipeline {run.pipeline} up to {run.until:%Y-%m-%d %H:%M} UTC, run {run.id}"
        _log_event(logging.INFO, message, run, "run_started", groups=groups)

    def on_progress(self, run: PipelineRun, step: str, line: str, facts: Mapping[str, Any]) -> None:
        """A step reported a line about a group."""
        _log_event(logging.INFO, line, run, "progress", step=step, **facts)

    def on_step_end(self, run: PipelineRun, record: StepRecord, context: RunContext) -> None:  # noqa: ARG002 # the protocol of listeners
        """A step ended."""
        detail = f": {record.error}" if record.error else f" ({record.seconds:.1f} s)"
        message = f"{record.name} {record.state}{detail}"
        level = _LEVELS.get(record.state, logging.INFO)
        facts = {
            "step": record.name,
            "state": record.state,
            "seconds": record.seconds,
            "rows": dict(record.counts),
        }
        _log_event(level, message, run, "step_ended", **facts, error=record.error)

    def on_end(self, run: PipelineRun, context: RunContext | None) -> None:  # noqa: ARG002 # the protocol of listeners
        """The run ended."""
        seconds = round(run.took.total_seconds(), 2) if run.took else None
        level = _LEVELS.get(run.state, logging.INFO)
        error = f": {run.error}" if run.error else ""
        message = f"Pipeline {run.pipeline} {run.state}{error}"
        facts = {"state": run.state, "seconds": seconds, "error": run.error}
        _log_event(level, message, run, "run_ended", **facts)


class TextFormatter(logging.Formatter):
    """A record's message, as a terminal may show it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return escape_for_terminal(super().format(record))


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON.

    It has ``time`` (UTC), ``level``, ``message``, and the record's facts.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        created = datetime.fromtimestamp(record.created, UTC)
        data = {
            "time": created.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        return json.dumps(data, default=str)


def _log_event(level: int, message: str, run: PipelineRun, event: str, **facts: Any) -> None:
    all_facts = {
        "event": event,
        "run_id": run.id,
        "pipeline": run.pipeline,
        "until": run.until.isoformat(),
        **facts,
    }
    LOGGER.log(level, "%s", message, extra={"facts": all_facts})
