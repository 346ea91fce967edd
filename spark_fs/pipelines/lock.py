"""One run of a pipeline at a time: a row in the metadata database, which a living run keeps beating.

A run that was killed leaves its row. Where its process can be looked for (the same boot of one
machine, the same namespace of processes) it is known by that; anywhere else, another container of
this host among it, by its beats, which are watched for a while by this process's own clock that
only goes forward, so a clock that jumps neither ends a run nor lets two run.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from spark_fs.catalog.runs import RunCatalog
from spark_fs.errors import CatalogError, LockedError, NotFoundError
from spark_fs.spec.pipeline_run import PipelineRun

HEARTBEAT_SECONDS = 5.0  # seconds between two beats
# seconds without a beat, after which a run whose process cannot be looked for is taken for dead
LEASE_SECONDS = 30.0
_BOOT_SEPARATOR = " boot "


@contextmanager
def pipeline_lock(
    catalog: RunCatalog,
    run: PipelineRun,
    heartbeat: float = HEARTBEAT_SECONDS,
    lease: float = LEASE_SECONDS,
) -> Iterator[threading.Event]:
    """Hold the lock of the run's pipeline; LockedError where another run is alive. The event is set where the lock was lost."""
    host, pid = get_host_id(), os.getpid()
    if not catalog.take_lock(run, host, pid):
        _take_over_stale_lock(catalog, run.pipeline, lease)
        if not catalog.take_lock(run, host, pid):
            raise _make_locked_error(catalog, run.pipeline)
    over, lost = threading.Event(), threading.Event()
    beating = threading.Thread(
        target=_send_heartbeats,
        args=(catalog, run.id, heartbeat, over, lost),
        daemon=True,
        name="pipeline lock",
    )
    beating.start()
    try:
        yield lost
    finally:
        over.set()
        beating.join()
        with suppress(CatalogError):  # the next run finds out that this process is gone
            catalog.drop_lock(run.id)


def _send_heartbeats(
    catalog: RunCatalog, run_id: str, interval: float, stop: threading.Event, lost: threading.Event
) -> None:
    while not stop.wait(interval):
        with suppress(
            CatalogError
        ):  # a database that is gone for a while takes no lock from anybody
            if not catalog.send_heartbeat(run_id):
                lost.set()
                return


def _take_over_stale_lock(catalog: RunCatalog, pipeline: str, lease: float) -> None:
    """Take the lock from a run that is dead, and note that it was killed; LockedError where it lives."""
    found = catalog.get_lock_holder(pipeline)
    if found is None:
        return
    run_id, host, pid, beats = found
    if host == get_host_id() and not _is_alive(pid):
        lease = 0.0
    began = time.monotonic()
    while (left := lease - (time.monotonic() - began)) > 0:
        time.sleep(min(1.0, left))
        now = catalog.get_lock_holder(pipeline)
        if now is None:
            return
        if now[0] != run_id or now[3] != beats:
            raise _make_locked_error(catalog, pipeline)
    if catalog.drop_lock(run_id, beats):
        with suppress(NotFoundError):  # it was killed before it was noted
            killed = catalog.get_run(run_id)
            catalog.save_run(
                replace(
                    killed,
                    state="killed",
                    ended_at=datetime.now(UTC),
                    error="The process ended without a word.",
                )
            )


def get_host_id() -> str:
    """Where a number is one process: the host's name, its boot, the namespace of processes; unlike any other where none is told."""
    told: tuple[str, ...]
    try:
        told = (
            Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            str(Path("/proc/self/ns/pid").stat().st_ino),
        )
    except OSError:
        told = (uuid4().hex,)
    return _BOOT_SEPARATOR.join((socket.gethostname()[:200], *told))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _make_locked_error(catalog: RunCatalog, pipeline: str) -> LockedError:
    found = catalog.get_lock_holder(pipeline)
    who = (
        f"run {found[0]}, process {found[2]} on {found[1].partition(_BOOT_SEPARATOR)[0]}"
        if found
        else "another run"
    )
    return LockedError(
        f"Pipeline {pipeline!r} is running already: {who}. Nothing was done. Let it end, then run"
        " again."
    )
