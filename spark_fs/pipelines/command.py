"""Run a pipeline as a scheduler does: a file in, an exit code out."""

import logging
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from spark_fs.api.project import login
from spark_fs.errors import LockedError, SettingsError, SetupError, SparkFSError
from spark_fs.pipelines.declaration import load
from spark_fs.pipelines.logs import LOGGER, JsonFormatter, LogListener, TextFormatter
from spark_fs.pipelines.run import Listener, run

FINISHED, FAILED, INVALID, LOCKED, DIFFERS, RETRY = 0, 1, 2, 3, 4, 75
CODES = {
    FINISHED: "every due step was done",
    FAILED: "a step failed; the next run goes on where this one stopped",
    INVALID: "the pipeline file, a setting or an argument is wrong; nothing was done",
    LOCKED: "another run of the pipeline goes on; nothing was done",
    DIFFERS: "all was done, and a verification or validation found what is not as it should be",
    RETRY: "a database or another writer was in the way; the same call may succeed later",
}


def execute(
    file: str | Path,
    until: str | None = None,
    only: Sequence[str] = (),
    log_format: str = "text",
    metrics: str | Path | None = None,
    lineage: str | None = None,
    config: str | Path | None = None,
) -> int:
    """Run a pipeline file and tell of it on stdout; returns the exit code, one of ``CODES``. It answers SIGTERM by ending the run in order.

    log_format: "text" or "json". metrics: a file for Prometheus, in its text form. lineage: an
    OpenLineage server's URL, or a file.
    """
    _configure_logging(log_format)
    signal.signal(signal.SIGTERM, _handle_signal)
    try:
        pipeline = load(file)
        found = run(
            login(config).get_feature_store(),
            pipeline,
            until,
            only,
            _make_listeners(metrics, lineage),
        )
    except (SettingsError, SetupError) as error:
        return _log_refusal(error, INVALID)
    except LockedError as error:
        return _log_refusal(error, LOCKED)
    except SparkFSError as error:
        return _log_refusal(error, RETRY if error.retryable else FAILED)
    if found.state == "failed":
        return RETRY if found.retryable else FAILED
    return DIFFERS if found.state == "differs" else FINISHED


def _make_listeners(metrics: str | Path | None, lineage: str | None) -> list[Listener]:
    listeners: list[Listener] = [LogListener()]
    try:
        if metrics:
            from spark_fs.pipelines.metrics import MetricsListener  # an extra

            listeners.append(MetricsListener(Path(metrics)))
        if lineage:
            from spark_fs.pipelines.openlineage import LineageListener  # an extra

            listeners.append(LineageListener(lineage))
    except ModuleNotFoundError as error:
        extra = "serve" if "prometheus" in str(error) else "lineage"
        raise SetupError(
            f"{error.name} is not installed, and the run is to be told to it: pip install"
            f" 'spark_fs[{extra}]'."
        ) from None
    return listeners


def _configure_logging(log_format: str) -> None:
    """Let the pipelines' own logger write to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter("%(message)s"))
    LOGGER.handlers, LOGGER.propagate = [handler], False
    LOGGER.setLevel(logging.INFO)


def _log_refusal(error: SparkFSError, code: int) -> int:
    facts = {
        "event": "refused",
        "error": type(error).__name__,
        "time": datetime.now(UTC).isoformat(),
    }
    LOGGER.error("error: %s", error, extra={"facts": facts})
    return code


def _handle_signal(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
