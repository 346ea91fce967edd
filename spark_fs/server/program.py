"""Run a program until the process ends, and end it so that no request that was let in is lost."""

from __future__ import annotations

import asyncio
import logging
import math
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, TextIO, TypeVar

import uvicorn

from spark_fs.server.certificates import TlsFiles
from spark_fs.server.guard import Limits
from spark_fs.server.http_connections import make_connection_class
from spark_fs.server.sockets import ignore_new_connections, open_socket
from spark_fs.server.worker_pulse import BEAT_SECONDS

LOGGER = logging.getLogger("spark_fs.serve")
T = TypeVar("T")
_THREADS = 40
_HANDSHAKE_SECONDS = 2.0  # that a caller has to agree on TLS with a server that ends
_TICK = 0.05  # seconds between two looks at whether a drain is over


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


class DrainingServer(uvicorn.Server):
    """A server that is told to end while requests come.

    At first it says that it is not ready, and still takes requests for ``drain_seconds``, each
    connection ending with its answer; so whoever sends requests has time to send them elsewhere.
    Then it lets no connection begin any more, takes those that have come to its port already,
    listens no more, answers what is open, and ends. Ctrl-C leaves the first part out.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        program: Any,
        limits: Limits,
        on_beat: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._program = program
        self._drain_seconds = limits.drain_seconds
        self._handshake_seconds = None
        if config.is_ssl:
            self._handshake_seconds = min(limits.ask_seconds, _HANDSHAKE_SECONDS)
        self._on_beat = on_beat

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin, and give signs of life from then on until the event loop ends."""
        await super().startup(sockets)
        self._beat()

    def _beat(self) -> None:
        self._on_beat()
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; at once where a person says so."""
        if sig == signal.SIGINT:
            self._drain_seconds = 0.0
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then end."""
        begin_drain = getattr(self._program, "begin_drain", None)
        if begin_drain:
            begin_drain()
        loop = asyncio.get_running_loop()
        due = loop.time() + self._drain_seconds
        while loop.time() < due and not self.force_exit:
            await self.on_tick(0)
            await asyncio.sleep(_TICK)
        for listener in sockets or []:
            ignore_new_connections(listener)
        await asyncio.sleep(_TICK)  # for those to be taken that were about to begin
        await self._accept_waiting(sockets or [])
        await super().shutdown(sockets)

    async def _accept_waiting(self, sockets: list[socket.socket]) -> None:
        """Take the connections that wait at the port, and listen no more."""
        waiting = []
        for listener in sockets:
            listener.setblocking(False)
            try:
                while True:
                    waiting.append(listener.accept()[0])
            except OSError:  # none is left
                pass
        for server in self.servers:
            server.close()
        await asyncio.gather(*map(self._take_connection, waiting))
        if waiting:
            await asyncio.sleep(_TICK)  # for what they send to be read

    async def _take_connection(self, connection: socket.socket) -> None:
        """Have a connection served; with TLS its caller has so long to agree on that."""
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_connection,
                connection,
                ssl=self.config.ssl,
                ssl_handshake_timeout=self._handshake_seconds,
            )
        except OSError:  # its caller is gone, or says nothing
            connection.close()

    def _make_connection(self) -> asyncio.Protocol:
        connection: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg] # as uvicorn makes them
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        return connection


def make_server(
    program: Any,
    limits: Limits,
    log_level: str = "info",
    tls: TlsFiles | None = None,
    on_beat: Callable[[], None] = lambda: None,
) -> DrainingServer:
    """The server of a program, for a socket that listens already.

    Args:
        program: of ASGI.
        limits: what the server takes upon itself.
        log_level: of the server's log.
        tls: its certificate; None: it speaks plain HTTP.
        on_beat: called every second by its event loop, so that one that hangs calls it no more.
    """
    config = uvicorn.Config(
        program,
        http=make_connection_class(limits),
        ws="none",
        log_level=log_level,
        access_log=False,
        server_header=False,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=math.ceil(limits.answer_seconds),
        **(tls.list_options() if tls else {}),
    )
    return DrainingServer(config, program, limits, on_beat)


def run_program(
    program: Any,
    host: str,
    port: int,
    limits: Limits,
    announcement: str,
    log_level: str = "info",
    out: TextIO | None = None,
    tls: TlsFiles | None = None,
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
        tls: its certificate; None: it speaks plain HTTP.

    Raises:
        SettingsError: the port is taken.
    """
    listener, url = open_socket(host, port)
    if tls:
        url = url.replace("http://", "https://", 1)
    print(announcement.format(url=url), file=out or sys.stderr, flush=True)
    make_server(program, limits, log_level, tls).run([listener])
