"""Tell a caller how far Spark has come with what runs now."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from pyspark import SparkStageInfo, StatusTracker
from pyspark.sql import SparkSession

from spark_fs.engine.runner import ProgressCallback, Runner
from spark_fs.engine.spark_runner import SparkRunner

_POLL_SECONDS = 0.2  # seconds


@contextmanager
def watch_jobs(runner: Runner, progress: ProgressCallback) -> Iterator[None]:
    """Call ``progress`` while the block runs, from a thread of its own."""
    assert isinstance(runner, SparkRunner)
    spark = runner.session
    context = spark.sparkContext
    tag = f"spark_fs-{uuid4().hex}"
    stopped = threading.Event()
    context.addJobTag(tag)
    arguments = (spark, tag, progress, stopped)
    watcher = threading.Thread(target=_watch_jobs, args=arguments, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join()
        context.removeJobTag(tag)


def _watch_jobs(
    spark: SparkSession, tag: str, progress: ProgressCallback, stopped: threading.Event
) -> None:
    tracker = spark.sparkContext.statusTracker()
    java_tracker: Any = spark.sparkContext._jsc.sc().statusTracker()  # Python's knows no tags
    while not stopped.wait(_POLL_SECONDS):
        done_tasks = 0
        known_tasks = 0
        for job_id in java_tracker.getJobIdsForTag(tag):
            for stage in _iter_stages(tracker, job_id):
                done_tasks += stage.numCompletedTasks
                known_tasks += stage.numTasks
        if known_tasks:
            progress(done_tasks, known_tasks)


def _iter_stages(tracker: StatusTracker, job_id: int) -> Iterator[SparkStageInfo]:
    """The stages of a job that Spark has not forgotten."""
    job = tracker.getJobInfo(job_id)
    for stage_id in job.stageIds if job else ():
        stage = tracker.getStageInfo(stage_id)
        if stage:
            yield stage
