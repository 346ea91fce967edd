"""Several processes that serve on one port: begun, watched, begun anew, and ended.

Each has a listening socket of its own for the port (SO_REUSEPORT), among which the kernel deals out
connections evenly; a shared one lets whoever wakes up first take all that wait. This process holds
the sockets too, so what waits at the socket of a worker that died is answered by the next one; that
of one which dies time and again is closed until it is begun anew. One whose event loop hangs is
ended, and then it is one that died.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from threading import Thread
from types import FrameType
from typing import Any

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import SetupError, SparkFSError
from spark_fs.server.program import make_server
from spark_fs.server.served_app import ServeOptions, build_served_app
from spark_fs.server.sockets import (
    admit_new_connections,
    open_shared_socket,
    open_sockets,
)
from spark_fs.server.worker_pulse import WorkerPulse

LOGGER = logging.getLogger("spark_fs.serve")
_READY = "ready"
_FIRST_PAUSE = 0.5  # seconds before a worker that died at once is begun anew; doubled each time
_LAST_PAUSE = 30.0
_LONG_PAUSE = 2.0  # from which on no connection is let wait for a worker
_STABLE_SECONDS = 30.0  # after which a worker that dies has not died at once
_TICK = 0.2
_FORCE_SECONDS = 10.0  # beyond what a worker takes to drain
# Without a sign of life after which a worker hangs, at least; where an answer may take longer, so
# may this.
_LEAST_SILENCE = 10.0


@dataclass
class _Worker:
    """A process that serves.

    life: ends, there, when this process does. pulse: of its event loop.
    """

    process: SpawnProcess
    life: Connection
    pulse: WorkerPulse
    began: float
    is_ready: bool = False


class WorkerSupervisor:
    """Keeps so many processes serving until it is told to end."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._context = get_context("spawn")  # nothing of this process goes over but the options
        self._signal = 0
        self._workers: dict[int, _Worker] = {}
        self._deaths: dict[int, tuple[int, float]] = {}  # how often at once, and when it may begin

    def run(self, announcement: str) -> None:
        """Serve until SIGTERM or Ctrl-C.

        Args:
            announcement: what is printed when all workers are ready; ``{url}`` in it is the URL.

        Raises:
            SettingsError: the port is taken.
            SetupError: a worker ended before it was ready.
        """
        options = self._options
        listeners, url = open_sockets(options.host, options.port, options.workers)
        if options.tls:
            url = url.replace("http://", "https://", 1)
        before = {each: signal.signal(each, self._note) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            with tempfile.TemporaryDirectory(prefix="spark_fs-metrics-") as folder:
                try:
                    self._start_all(listeners, folder)
                    if not self._signal:
                        print(announcement.format(url=url), file=sys.stderr, flush=True)
                    self._watch(listeners, folder)
                finally:
                    # What comes while the last worker ends must not wait at a socket held here.
                    for listener in listeners:
                        listener.close()
                    self._end_all()
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)
            for listener in listeners:
                listener.close()

    def _note(self, signal_number: int, _: FrameType | None) -> None:
        self._signal = signal_number

    def _start_all(self, listeners: list[socket.socket], folder: str) -> None:
        for number, listener in enumerate(listeners):
            self._start_worker(number, listener, folder)
        while not self._signal and not all(each.is_ready for each in self._workers.values()):
            self._read_news(_TICK)
            for worker in self._workers.values():
                if worker.process.exitcode is not None and not worker.is_ready:
                    code = worker.process.exitcode
                    raise SetupError(
                        f"A worker ended with code {code} before it was ready: its messages are"
                        " above."
                    )

    def _start_worker(self, number: int, listener: socket.socket, folder: str) -> None:
        own_life, its_life = self._context.Pipe()
        beats = self._context.RawValue("Q", 0)
        process = self._context.Process(
            target=_serve_as_worker,
            args=(self._options, listener, its_life, beats, folder),
            name=f"spark_fs-worker-{number}",
        )
        process.start()
        its_life.close()
        pulse = WorkerPulse(beats)
        self._workers[number] = _Worker(process, own_life, pulse, time.monotonic())

    def _read_news(self, seconds: float) -> None:
        """Wait for what workers say, or for one to end."""
        lives = {worker.life: worker for worker in self._workers.values() if not worker.is_ready}
        sentinels = [worker.process.sentinel for worker in self._workers.values()]
        for event in wait([*lives, *sentinels], seconds):
            worker = lives.get(event)  # type: ignore[call-overload] # a sentinel is in none
            if worker:
                try:
                    worker.is_ready = worker.life.recv() == _READY
                except EOFError:
                    continue

    def _watch(self, listeners: list[socket.socket], folder: str) -> None:
        """Begin workers anew that died, until this process is told to end."""
        from spark_fs.server.serving_metrics import forget_process

        port = listeners[0].getsockname()[1]
        while not self._signal:
            self._read_news(_TICK)
            now = time.monotonic()
            for number, worker in tuple(self._workers.items()):
                if worker.process.exitcode is None:
                    self._end_hanging(number, worker)
                    continue
                admit_new_connections(listeners[number])  # which one that was told to end refused
                process_id = worker.process.pid
                assert process_id
                forget_process(process_id, folder)
                worker.life.close()
                del self._workers[number]
                pause = self._plan_restart(number, worker, now)
                if pause >= _LONG_PAUSE:  # the others are dealt what would wait there
                    listeners[number].close()
            for number, (_, due) in tuple(self._deaths.items()):
                if number not in self._workers and now >= due:
                    if listeners[number].fileno() < 0:
                        listeners[number] = open_shared_socket(self._options.host, port)
                    self._start_worker(number, listeners[number], folder)

    def _end_hanging(self, number: int, worker: _Worker) -> None:
        """End a worker whose event loop has hung for too long; the next look finds it dead.

        None of its requests could be answered in time, and connections that are dealt to it would
        wait for ever.
        """
        silence = worker.pulse.measure_silence()
        if not worker.is_ready or silence < max(
            _LEAST_SILENCE, self._options.limits.answer_seconds
        ):
            return
        LOGGER.error(
            "Worker %d (process %d) hangs: its event loop gave no sign of life for %.0f s. It is"
            " ended",
            number,
            worker.process.pid,
            silence,
        )
        worker.process.kill()
        worker.process.join(_FORCE_SECONDS)

    def _plan_restart(self, number: int, worker: _Worker, now: float) -> float:
        """The seconds until a worker is begun anew; more where it dies time and again."""
        deaths = self._deaths.get(number, (0, 0.0))[0] + 1
        if now - worker.began >= _STABLE_SECONDS:
            deaths = 1
        pause = 0.0
        if deaths > 1:
            pause = min(_LAST_PAUSE, _FIRST_PAUSE * 2 ** (deaths - 2))
        self._deaths[number] = (deaths, now + pause)
        LOGGER.error(
            "Worker %d (process %d) ended with code %s: it is started again in %g s",
            number,
            worker.process.pid,
            worker.process.exitcode,
            pause,
        )
        return pause

    def _end_all(self) -> None:
        """Let workers drain, and end those that do not."""
        limits = self._options.limits
        for worker in self._workers.values():
            if worker.process.exitcode is None:
                worker.process.terminate()  # a second Ctrl-C would hurry it
        due = time.monotonic() + limits.drain_seconds + limits.answer_seconds + _FORCE_SECONDS
        for worker in self._workers.values():
            worker.process.join(max(0.0, due - time.monotonic()))
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()
            worker.life.close()


def _serve_as_worker(
    options: ServeOptions, listener: socket.socket, life: Connection, beats: Any, folder: str
) -> None:
    """What a worker does.

    Args:
        options: what ``spark-fs serve`` was told.
        listener: the socket of its own.
        life: tells that it is ready; ends with the process that began it.
        beats: counts, in its ``value``, the signs of life of its event loop.
        folder: where its figures are.
    """
    # Before prometheus_client is loaded, which reads it then.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    from spark_fs.api.project import login

    Thread(target=_end_with_parent, args=(life,), name="spark_fs-life", daemon=True).start()
    try:
        app = build_served_app(login(options.config).get_feature_store(), options)
    except SparkFSError as error:
        sys.exit(f"error: {escape_for_terminal(error)}")
    life.send(_READY)

    def count_beat() -> None:
        beats.value += 1

    make_server(app, options.limits, tls=options.tls, on_beat=count_beat).run([listener])


def _end_with_parent(life: Connection) -> None:
    """Begin to end where the process that began this one has."""
    with suppress(EOFError, OSError):
        life.recv()
    os.kill(os.getpid(), signal.SIGTERM)
