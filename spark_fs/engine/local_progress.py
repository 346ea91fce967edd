"""A bar on stderr, where a person looks at it, for local runs that take their time."""

import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_QUIET_SECONDS = 2  # before it shows


class ProgressBar:
    """How many tasks of a run are done.

    It shows after two seconds, on a terminal or in a notebook, and goes when it is closed.
    """

    def __init__(self, is_wanted: bool = True) -> None:
        self._is_wanted = is_wanted
        self._started_at = time.monotonic()
        self._bar: Progress | None = None

    def update(self, done: int, known: int) -> None:
        """Show that so many tasks of so many are done."""
        if not self._is_wanted or time.monotonic() < self._started_at + _QUIET_SECONDS:
            return
        if self._bar is None:
            self._bar = _open_bar()
            if self._bar is None:
                self._is_wanted = False
                return
        self._bar.update(self._bar.task_ids[0], completed=done, total=known)
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _open_bar() -> "Progress | None":
    """A bar; None where nobody would see it."""
    is_notebook = _runs_in_notebook()
    if not is_notebook and not sys.stderr.isatty():
        return None
    if is_notebook and not find_spec("ipywidgets"):
        return None
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("local engine"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tasks"),
        TimeElapsedColumn(),
    )
    # Without a thread of its own: who waits for the tasks calls it often enough.
    bar = Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
    bar.add_task("")
    bar.start()
    return bar


def _runs_in_notebook() -> bool:
    """Whether a notebook runs this process, and not only has loaded what notebooks need."""
    ipython = sys.modules.get("IPython")
    if ipython is None:
        return False
    return type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"
