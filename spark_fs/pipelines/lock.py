"""One run of a pipeline at a time: a row in the metadata database, which a living run updates.

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
    """Hold the lock of the run's pipeline.

    Args:
        catalog: where the lock is.
        run: who takes it.
        heartbeat: seconds between two beats.
        lease: seconds without a beat, after which another run whose process cannot be looked for
            is taken for dead.

    Yields:
        An event, which is set where the lock is lost.

    Raises:
        LockedError: another run is alive.
    """
    host = get_host_id()
    pid = os.getpid()
    if not catalog.take_lock(run, host, pid):
        _take_over_stale_lock(catalog, run.pipeline, lease)
        if not catalog.take_lock(run, host, pid):
            raise _make_locked_error(catalog, run.pipeline)
    stop = threading.Event()
    lost = threading.Event()
    arguments = (catalog, run.id, heartbeat, stop, lost)
    thread = threading.Thread(
        target=_send_heartbeats, args=arguments, daemon=True, name="pipeline lock"
    )
    thread.start()
    try:
        yield lost
    finally:
        stop.set()
        thread.join()
        with suppress(CatalogError):  # the next run finds out that this process is gone
            catalog.drop_lock(run.id)


def _send_heartbeats(
    catalog: RunCatalog, run_id: str, interval: float, stop: threading.Event, lost: threading.Event
) -> None:
    while not stop.wait(interval):
        # A database that is gone for a while takes no lock from anybody.
        with suppress(CatalogError):
            if not catalog.send_heartbeat(run_id):
                lost.set()
                return


def _take_over_stale_lock(catalog: RunCatalog, pipeline: str, lease: float) -> None:
    """Take the lock from a run that is dead, and note that it was killed.

    Raises LockedError where the run lives.
    """
    holder = catalog.get_lock_holder(pipeline)
    if holder is None:
        return
    if holder.host == get_host_id() and not _is_alive(holder.pid):
        lease = 0.0
    began = time.monotonic()
    while (left := lease - (time.monotonic() - began)) > 0:
        time.sleep(min(1.0, left))
        current = catalog.get_lock_holder(pipeline)
        if current is None:
            return
        if current.run_id != holder.run_id or current.beats != holder.beats:
            raise _make_locked_error(catalog, pipeline)
    if catalog.drop_lock(holder.run_id, holder.beats):
        with suppress(NotFoundError):  # it was killed before it was noted
            run = catalog.get_run(holder.run_id)
            error = "The process ended without a word."
            killed = replace(run, state="killed", ended_at=datetime.now(UTC), error=error)
            catalog.save_run(killed)


def get_host_id() -> str:
    """Where a number is one process: the host's name, its boot, the namespace of processes.

    It is unlike any other where the system does not tell them.
    """
    host = socket.gethostname()[:200]
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return f"{host}{_BOOT_SEPARATOR}{uuid4().hex}"
    return f"{host}{_BOOT_SEPARATOR}{boot}{_BOOT_SEPARATOR}{namespace}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _make_locked_error(catalog: RunCatalog, pipeline: str) -> LockedError:
    holder = catalog.get_lock_holder(pipeline)
    who = "another run"
    if holder:
        host = holder.host.partition(_BOOT_SEPARATOR)[0]
        who = f"run {holder.run_id}, process {holder.pid} on {host}"
    return LockedError(
        f"Pipeline {pipeline!r} is running already: {who}. Nothing was done. Let it end, then run"
        " again."
    )
