"""Tell a caller how far Spark has come with what runs now."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from pyspark.sql import SparkSession

ProgressCallback = Callable[[int, int], None]  # tasks done, tasks known so far
_POLL_SECONDS = 0.2  # seconds


@contextmanager
def report_progress(spark: SparkSession, progress: ProgressCallback | None) -> Iterator[None]:
    """Call ``progress`` while the block runs, from a thread of its own; None: nothing is told."""
    if progress is None:
        yield
        return
    context, tag, over = spark.sparkContext, f"spark_fs-{uuid4().hex}", threading.Event()
    context.addJobTag(tag)
    watcher = threading.Thread(target=_watch_jobs, args=(spark, tag, progress, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        context.removeJobTag(tag)


def _watch_jobs(
    spark: SparkSession, tag: str, progress: ProgressCallback, stopped: threading.Event
) -> None:
    tracker = spark.sparkContext.statusTracker()
    tagged: Any = spark.sparkContext._jsc.sc().statusTracker()  # Python's own knows no tags
    while not stopped.wait(_POLL_SECONDS):
        done = known = 0
        for job in tagged.getJobIdsForTag(tag):
            info = tracker.getJobInfo(job)
            for stage in (
                tracker.getStageInfo(number) for number in (info.stageIds if info else ())
            ):
                done += stage.numCompletedTasks if stage else 0
                known += stage.numTasks if stage else 0
        if known:
            progress(done, known)
