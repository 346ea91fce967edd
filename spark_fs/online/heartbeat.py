"""Keep a connection that nothing is said on: neither its server nor what lies between is to give it up while Spark works."""

import socket
import threading
from collections.abc import Callable

_SILENT, _EVERY, _TIMES = 30, 10, 3  # seconds until the kernel asks whether the other side is there, between questions, and how many


class Heartbeat:
    """Calls ``beat`` every so many seconds, in a thread of its own, from ``start`` to ``stop``; what it raises ends it."""

    def __init__(self, beat: Callable[[], object], seconds: float, failures: tuple[type[Exception], ...]) -> None:
        self._beat, self._seconds, self._failures = beat, seconds, failures
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a beat that goes on is ended first."""
        self.stop()
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="spark_fs heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, after the beat that is under way."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                self._beat()
            except self._failures:
                return  # whoever uses the connection next is told


def probe(link: socket.socket) -> None:
    """Let the kernel ask the other side whether it is there while it is silent, so that one that is gone is known within a minute."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _SILENT), ("TCP_KEEPINTVL", _EVERY), ("TCP_KEEPCNT", _TIMES)):
        if hasattr(socket, name):  # as on Linux
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
