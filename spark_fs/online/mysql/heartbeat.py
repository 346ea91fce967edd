"""Keep a silent connection alive while Spark works.

Neither its server nor what lies between is to give it up.
"""

import socket
import threading
from collections.abc import Callable

_KEEPALIVE_IDLE = 30  # seconds until the kernel asks whether the other side is there
_KEEPALIVE_INTERVAL = 10  # seconds between its questions
_KEEPALIVE_COUNT = 3  # questions without an answer until it gives the connection up


class Heartbeat:
    """Calls ``ping`` every so many seconds, in a thread of its own, from ``start`` to ``stop``.

    One of ``failures`` that it raises ends the thread.
    """

    def __init__(
        self,
        ping: Callable[[], object],
        interval_seconds: float,
        failures: tuple[type[Exception], ...],
    ) -> None:
        self._ping = ping
        self._interval_seconds = interval_seconds
        self._failures = failures
        self._stop_requested = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a heartbeat that goes on is ended first."""
        self.stop()
        self._stop_requested.clear()
        self._thread = threading.Thread(
            target=self._ping_until_stopped, name="spark_fs heartbeat", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End, after the ping that is under way."""
        if self._thread is not None:
            self._stop_requested.set()
            self._thread.join()
            self._thread = None

    def _ping_until_stopped(self) -> None:
        while not self._stop_requested.wait(self._interval_seconds):
            try:
                self._ping()
            except self._failures:
                return  # whoever uses the connection next is told


def set_keepalive(connection_socket: socket.socket) -> None:
    """Let the kernel ask a silent other side whether it is there.

    One that is gone is known within a minute.
    """
    connection_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", _KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", _KEEPALIVE_COUNT),
    ):
        if hasattr(socket, name):  # as on Linux
            connection_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
