"""One run of a pipeline at a time: a row in the metadata database, which a living run keeps beating.

A run that was killed leaves its row. On the same host it is known by its process; on another one by its beats, which are watched for a
while by this process's own clock that only goes forward, so a clock that jumps neither ends a run nor lets two run.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from spark_fs.catalog.runs import Runs
from spark_fs.errors import CatalogError, LockedError, NotFoundError
from spark_fs.spec.runs import Run

BEAT = 5.0  # seconds between two beats
LEASE = 30.0  # seconds without a beat, after which a run on another host is taken for dead


@contextmanager
def held(catalog: Runs, run: Run, beat: float = BEAT, lease: float = LEASE) -> Iterator[threading.Event]:
    """Hold the lock of the run's pipeline; LockedError where another run is alive. The event is set where the lock was lost."""
    host, pid = socket.gethostname(), os.getpid()
    if not catalog.take_lock(run, host, pid):
        _bury(catalog, run.pipeline, lease)
        if not catalog.take_lock(run, host, pid):
            raise _refused(catalog, run.pipeline)
    over, lost = threading.Event(), threading.Event()
    beating = threading.Thread(target=_beat, args=(catalog, run.id, beat, over, lost), daemon=True, name="pipeline lock")
    beating.start()
    try:
        yield lost
    finally:
        over.set()
        beating.join()
        with suppress(CatalogError):  # the next run finds out that this process is gone
            catalog.drop_lock(run.id)


def _beat(catalog: Runs, run_id: str, every: float, over: threading.Event, lost: threading.Event) -> None:
    while not over.wait(every):
        with suppress(CatalogError):  # a database that is gone for a while takes no lock from anybody
            if not catalog.beat(run_id):
                lost.set()
                return


def _bury(catalog: Runs, pipeline: str, lease: float) -> None:
    """Take the lock from a run that is dead, and note that it was killed; LockedError where it lives."""
    found = catalog.lock(pipeline)
    if found is None:
        return
    run_id, host, pid, beats = found
    if host == socket.gethostname() and not _is_alive(pid):
        lease = 0.0
    began = time.monotonic()
    while (left := lease - (time.monotonic() - began)) > 0:
        time.sleep(min(1.0, left))
        now = catalog.lock(pipeline)
        if now is None:
            return
        if now[0] != run_id or now[3] != beats:
            raise _refused(catalog, pipeline)
    if catalog.drop_lock(run_id, beats):
        with suppress(NotFoundError):  # it was killed before it was noted
            killed = catalog.run(run_id)
            catalog.save_run(replace(killed, state="killed", ended_at=datetime.now(UTC), error="The process ended without a word."))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _refused(catalog: Runs, pipeline: str) -> LockedError:
    found = catalog.lock(pipeline)
    who = f"run {found[0]}, process {found[2]} on {found[1]}" if found else "another run"
    return LockedError(f"Pipeline {pipeline!r} is running already: {who}. Nothing was done. Let it end, then run again.")
