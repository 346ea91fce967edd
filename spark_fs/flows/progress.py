"""Tell a caller how far the tasks have come that run now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from spark_fs.engine.runner import Runner

ProgressCallback = Callable[[int, int], None]  # tasks done, tasks known so far


@contextmanager
def report_progress(runner: Runner, progress: ProgressCallback | None) -> Iterator[None]:
    """Call ``progress`` while the block runs tasks; None: nothing is called."""
    if progress is None:
        yield
    elif runner.name == "spark":
        from spark_fs.flows.spark_progress import watch_jobs

        with watch_jobs(runner, progress):
            yield
    else:
        progress(0, 1)
        yield
        progress(1, 1)
