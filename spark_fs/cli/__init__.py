"""The command line: look at a store, bring it online, run pipelines, begin a project."""

import io
import sys
import warnings
from collections.abc import Callable

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.cli import doctor, look, online, pipelines, projects, servers, show_values, upkeep
from spark_fs.cli.shared import app
from spark_fs.errors import SparkFSError

__all__ = ["app", "main"]

COMMANDS = (
    look,
    show_values,
    online,
    servers,
    projects,
    pipelines,
    upkeep,
    doctor,
)  # whose import adds them


def main() -> None:
    """Run the command; an error of ours is one line on stderr and exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a letter shows its number.
        sys.stdout.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning
    run: Callable[[], None] = app
    try:
        run()
    except SparkFSError as error:
        sys.exit(f"error: {escape_for_terminal(error)}")


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {escape_for_terminal(message)}", file=sys.stderr)
