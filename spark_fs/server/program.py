"""Run a program until the process ends, on connections that no caller can hold for ever."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TextIO, TypeVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from spark_fs.server.guard import Limits
from spark_fs.server.sockets import open_socket

T = TypeVar("T")
# For each request that may be open: most connections that are kept are idle.
_CONNECTIONS_PER_REQUEST = 4
_THREADS = 40
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length:"
    b" 0\r\n\r\n"
)


class WorkerThreads:
    """Threads in which a program does what takes time, so that its event loop answers on.

    One that is no longer waited for keeps its thread until it ends, and what has not begun by then
    does not begin.
    """

    def __init__(self, threads: int = _THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="spark_fs-serve")

    async def run_in_thread(self, call: Callable[..., T], *args: Any) -> T:
        """What a call returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)


def make_connection_class(limits: Limits) -> type[H11Protocol]:
    """Connections that end in time, and of which there are so many at most.

    One ends where a request does not come, or its answer is not taken, in time.
    """
    max_connections = limits.max_open * _CONNECTIONS_PER_REQUEST
    idle_timeout = limits.ask_seconds + limits.idle_seconds
    request_timeout = limits.ask_seconds + limits.answer_seconds + 2 * limits.idle_seconds

    class TimedConnection(H11Protocol):
        """One connection."""

        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
            super().connection_made(transport)
            self._since = self.loop.time()
            if len(self.connections) > max_connections:
                transport.write(_BUSY)
                transport.close()
            self._check_deadline()

        def _check_deadline(self) -> None:
            """End the connection where its time is over, else look again when it may be."""
            is_answering = self.cycle is not None and not self.cycle.response_complete
            timeout = request_timeout if is_answering else idle_timeout
            left = self._since + timeout - self.loop.time()
            if left <= 0:
                self.transport.abort()
            else:
                delay = min(left, idle_timeout)
                self._timer = self.loop.call_later(delay, self._check_deadline)

        def on_response_complete(self) -> None:
            self._since = self.loop.time()
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer:
                self._timer.cancel()
            super().connection_lost(exc)

    return TimedConnection


def make_server(program: Any, limits: Limits, log_level: str = "info") -> uvicorn.Server:
    """The server of a program, for a socket that listens already."""
    config = uvicorn.Config(
        program,
        http=make_connection_class(limits),
        ws="none",
        log_level=log_level,
        access_log=False,
        server_header=False,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=math.ceil(limits.answer_seconds),
    )
    return uvicorn.Server(config)


def run_program(
    program: Any,
    host: str,
    port: int,
    limits: Limits,
    announcement: str,
    log_level: str = "info",
    out: TextIO | None = None,
) -> None:
    """Serve until the process is ended.

    Args:
        program: of ASGI.
        host: the address to listen on.
        port: the port to listen on; 0 is any that is free.
        limits: what the server takes upon itself.
        announcement: what is printed first; ``{url}`` in it is the URL of the server.
        log_level: of the server's log.
        out: where the announcement is printed; None is stderr.

    Raises:
        SettingsError: the port is taken.
    """
    listener, url = open_socket(host, port)
    print(announcement.format(url=url), file=out or sys.stderr, flush=True)
    make_server(program, limits, log_level).run([listener])
