"""Tell a caller how far the tasks have come that run now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from spark_fs.engine.local_progress import ProgressBar
from spark_fs.engine.local_runner import LocalRunner
from spark_fs.engine.runner import ProgressCallback, Runner


@contextmanager
def report_progress(runner: Runner, progress: ProgressCallback | None) -> Iterator[Runner]:
    """What runs tasks, which calls ``progress`` while the block runs; None: nothing is called."""
    if progress is None:
        yield runner
    elif isinstance(runner, LocalRunner):
        yield replace(runner, progress=_CallbackBar(progress))
    else:
        from spark_fs.flows.spark_progress import watch_jobs

        with watch_jobs(runner, progress):
            yield runner


class _CallbackBar(ProgressBar):
    """Tells a function instead of showing a bar."""

    def __init__(self, progress: ProgressCallback) -> None:
        super().__init__(is_wanted=False)
        self._progress = progress

    def update(self, done: int, known: int) -> None:
        """Tell that so many tasks of so many are done."""
        self._progress(done, known)
