"""The command line: look at a feature store, bring it online, run its pipelines, begin a project."""

import io
import sys
import warnings
from collections.abc import Callable

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.cli import pipelines, projects
from spark_fs.cli.store import app
from spark_fs.errors import SparkFSError

__all__ = ["app", "main"]

projects.add_commands(app)
pipelines.add_commands(app)


def main() -> None:
    """Run the command; an error of ours is one line on stderr and exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a terminal that lacks a letter shows its number
    warnings.showwarning = lambda message, *_, **__: print(
        f"warning: {escape_for_terminal(message)}", file=sys.stderr
    )
    run: Callable[[], None] = app
    try:
        run()
    except SparkFSError as error:
        sys.exit(f"error: {escape_for_terminal(error)}")
