"""Start the JVM, with settings that no process list shows.

It is not left behind when this process is told to end meanwhile.
"""

import argparse
import os
import re
import shlex
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark import SparkContext

from spark_fs.errors import SettingsError
from spark_fs.redact import find_secrets

_END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_SUBMIT_ARGS = "PYSPARK_SUBMIT_ARGS"
_JAVA_OPTIONS = re.compile(r"spark\.(driver|executor)\.(extra|default)JavaOptions")


@contextmanager
def defer_signals() -> Iterator[None]:
    """Let signals that end this process wait until the block is over.

    PySpark waits for the JVM to say where it listens. A process that ends before leaves a JVM that
    belongs to nobody and, as it never learns of that end, stays. Only the main thread is ever
    interrupted by a signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    handlers = {}
    for number in _END_SIGNALS:
        handler = signal.getsignal(number)
        if handler not in (None, signal.SIG_IGN):
            handlers[number] = handler
    for number in handlers:
        signal.signal(number, lambda arrived, _frame: received.append(arrived))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for arrived in dict.fromkeys(received):
            signal.raise_signal(arrived)


def start_jvm(settings: Mapping[str, str]) -> None:
    """Start the JVM, where there is none, with these settings.

    They are in a file that is this user's alone and is gone when it has been read.
    """
    for name, value in settings.items():
        if _JAVA_OPTIONS.fullmatch(name) and any(find_secrets(name, value)):
            raise SettingsError(
                f"Setting {name} holds a password or key, which every process list would show: give"
                " it by a file."
            )
    before = os.environ.get(_SUBMIT_ARGS)
    others, lines = parse_submit_args(before or "pyspark-shell")
    for name, value in settings.items():
        lines.append(f"{_escape_property(name)}={_escape_property(value)}")
    with tempfile.NamedTemporaryFile(  # of mode 600
        "w", encoding="utf-8", prefix="spark_fs-", suffix=".conf"
    ) as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        arguments = ["--properties-file", file.name, "--load-spark-defaults", *others]
        os.environ[_SUBMIT_ARGS] = shlex.join(arguments)
        try:
            SparkContext._ensure_initialized()
        finally:
            os.environ.pop(_SUBMIT_ARGS)
            if before is not None:
                os.environ[_SUBMIT_ARGS] = before


def parse_submit_args(arguments: str) -> tuple[list[str], list[str]]:
    """The arguments for spark-submit without a file of settings, and what such a file holds.

    Spark reads one file alone, and that is ours.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--properties-file")
    own, others = parser.parse_known_args(shlex.split(arguments))
    if not own.properties_file:
        return others, []
    try:
        return others, [Path(own.properties_file).read_text(encoding="utf-8")]
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{_SUBMIT_ARGS} names the file {own.properties_file}, which cannot be read: {error}."
            " Name another."
        ) from None


def _escape_property(text: str) -> str:
    """A string as Java's properties hold it: whatever could mean something there by its number."""
    return re.sub(r"[^\w.-]", lambda match: _escape_character(match[0]), text, flags=re.ASCII)


def _escape_character(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
