"""Connections that no caller can hold for ever, nor fill with a request that has no end."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from spark_fs.server.guard import Limits

# For each request that may be open: most connections that are kept are idle.
_CONNECTIONS_PER_REQUEST = 4
_MAX_HEAD_BYTES = 65_536  # of a request before its body: its line and its headers
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length:"
    b" 0\r\n\r\n"
)


class TimedConnection(HttpToolsProtocol):
    """One connection.

    It ends where a request does not come, or its answer is not taken, in time, and where what comes
    before the body of a request is too long.
    """

    limits: ClassVar[Limits]
    _timer: asyncio.TimerHandle | None = None
    _progress = 0  # heads, bodies and ends that came
    _stuck_bytes = 0  # that came since then: what the parser keeps has no other bound

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to watch the time."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if len(self.connections) > self.limits.max_open * _CONNECTIONS_PER_REQUEST:
            transport.write(_BUSY)
            transport.close()
        self._check_deadline()

    def _check_deadline(self) -> None:
        """End the connection where its time is over, else look again when it may be."""
        limits = self.limits
        idle_timeout = limits.ask_seconds + limits.idle_seconds
        timeout = idle_timeout
        if self.is_answering:
            timeout += limits.answer_seconds + limits.idle_seconds
        left = self._since + timeout - self.loop.time()
        if left <= 0:
            self.transport.abort()
        else:
            delay = min(left, idle_timeout)
            self._timer = self.loop.call_later(delay, self._check_deadline)

    @property
    def is_answering(self) -> bool:
        """Whether a request has begun whose answer is not complete."""
        return self.cycle is not None and not self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self.transport.is_closing():
            return
        before = self._progress
        super().data_received(data)
        if self._progress != before:
            self._stuck_bytes = 0
            return
        self._stuck_bytes += len(data)
        if self._stuck_bytes > _MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        """Note that a request has its head."""
        self._progress += 1
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Note that a part of a body came."""
        self._progress += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that a request is whole."""
        self._progress += 1
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the time for the next request."""
        self._since = self.loop.time()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch the time no longer."""
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)


def make_connection_class(limits: Limits) -> type[TimedConnection]:
    """Connections that hold to these limits."""

    class LimitedConnection(TimedConnection):
        """One connection."""

    LimitedConnection.limits = limits
    return LimitedConnection
