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
from spark_fs.errors import (
    InvalidNameError,
    LockedError,
    SettingsError,
    SetupError,
    SparkFSError,
)
from spark_fs.pipelines.declaration import load
from spark_fs.pipelines.logs import LOGGER, JsonFormatter, LogListener, TextFormatter
from spark_fs.pipelines.run import Listener, run

FINISHED = 0
FAILED = 1
INVALID = 2
LOCKED = 3
DIFFERS = 4
RETRY = 75
CODES = {
    FINISHED: "every due step was done",
    FAILED: "a step failed; the next run goes on where this one stopped",
    INVALID: "the pipeline file, a setting or an argument is wrong; nothing was done",
    LOCKED: "another run of the pipeline goes on; nothing was done",
    DIFFERS: (
        "all was done, and a verification, validation or monitor found what is not as it should be"
    ),
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
    """Run a pipeline file and log it on stdout. It answers SIGTERM by ending the run in order.

    Args:
        file: the pipeline, in YAML.
        until: up to which instant (UTC, excluded) it builds; None is the end of the last interval
            that is complete.
        only: these steps alone, due or not.
        log_format: "text" or "json".
        metrics: a file for Prometheus, in its text form.
        lineage: an OpenLineage server's URL, or a file.
        config: a configuration file.

    Returns:
        The exit code, one of ``CODES``.
    """
    _configure_logging(log_format)
    signal.signal(signal.SIGTERM, _handle_signal)
    try:
        pipeline = load(file)
        fs = login(config).get_feature_store()
        listeners = _make_listeners(metrics, lineage)
        result = run(fs, pipeline, until, only, listeners)
    except SparkFSError as error:
        return _log_refusal(error, choose_exit_code(error))
    if result.state == "failed":
        return RETRY if result.retryable else FAILED
    return DIFFERS if result.state == "differs" else FINISHED


def choose_exit_code(error: SparkFSError) -> int:
    """The exit code of a command that an error ends, one of ``CODES``."""
    if isinstance(error, (SettingsError, SetupError, InvalidNameError)):
        return INVALID
    if isinstance(error, LockedError):
        return LOCKED
    return RETRY if error.retryable else FAILED


def _make_listeners(metrics: str | Path | None, lineage: str | None) -> list[Listener]:
    listeners: list[Listener] = [LogListener()]
    if metrics:
        try:
            from spark_fs.pipelines.metrics import MetricsListener
        except ModuleNotFoundError as error:
            raise _make_missing_error(error, "--metrics", "serve") from None
        listeners.append(MetricsListener(Path(metrics)))
    if lineage:
        try:
            from spark_fs.pipelines.openlineage import LineageListener
        except ModuleNotFoundError as error:
            raise _make_missing_error(error, "--lineage", "lineage") from None
        listeners.append(LineageListener(lineage))
    return listeners


def _make_missing_error(error: ModuleNotFoundError, option: str, extra: str) -> SetupError:
    return SetupError(
        f"{error.name} is not installed, and {option} needs it: pip install 'spark_fs[{extra}]'."
    )


def _configure_logging(log_format: str) -> None:
    """Let the pipelines' own logger write to stdout."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter("%(message)s"))
    LOGGER.handlers = [handler]
    LOGGER.propagate = False
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
