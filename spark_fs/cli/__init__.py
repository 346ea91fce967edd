"""The command line: look at a store, bring it online, run pipelines, begin a project."""

import io
import sys
import warnings
from collections.abc import Callable

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.cli import (
    doctor,
    look,
    online,
    pipelines,
    projects,
    servers,
    show_drift,
    show_values,
    upkeep,
)
from spark_fs.cli.shared import app
from spark_fs.errors import SparkFSError
from spark_fs.pipelines.command import choose_exit_code

__all__ = ["app", "main"]

COMMANDS = (
    look,
    show_values,
    online,
    servers,
    projects,
    pipelines,
    show_drift,
    upkeep,
    doctor,
)  # whose import adds them


class ErrorExit(SystemExit):
    """The end of a command by an error of ours, with the exit code of its kind."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def main() -> None:
    """Run the command; an error of ours is one line on stderr, and the exit code of its kind."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a letter shows its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    run: Callable[[], None] = app
    try:
        run()
    except SparkFSError as error:
        text = f"error: {escape_for_terminal(error)}"
        print(text, file=sys.stderr)
        raise ErrorExit(text, choose_exit_code(error)) from None


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {escape_for_terminal(message)}", file=sys.stderr)
