"""What is sent to a server and what is made of its answers, apart from how it is sent.

An exchange is a generator: it yields requests and pauses, is given answers or the errors of httpx,
and returns a result. A client runs it, one with threads or one with an event loop, so that both do
the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from spark_fs.client.server_errors import make_connection_error, make_server_error
from spark_fs.client.wire import decode_body, encode_body

T = TypeVar("T")
_MAX_LOST = 3  # connections that may end under one call, as those of a server that restarts do
_MAX_JITTER = 0.25  # of a pause, so that those who were told to wait do not come back all at once


@dataclass(frozen=True)
class HttpRequest:
    """One request; a client sends it.

    timeout: the seconds that are left for it.
    """

    method: str
    path: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 0.0


@dataclass(frozen=True)
class Pause:
    """A wait of so many seconds before the next request."""

    seconds: float


Exchange = Generator[HttpRequest | Pause, httpx.Response | None, T]


@dataclass(frozen=True)
class ServerAccess:
    """How a server is asked.

    content_type: of bodies, both ways. timeout: the seconds of a call, with all that is tried
    again.
    """

    url: str
    content_type: str
    timeout: float

    def ask_server(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        content: Any = None,
    ) -> Exchange[Any]:
        """Ask for one thing until there is an answer, the time is over, or an error is final.

        A server that is busy or drains (429, 503) is asked again when it says; a connection that
        ended is replaced, since nothing that is asked changes anything.

        Args:
            method: Of HTTP.
            path: Behind the URL of the server.
            parameters: Of the query.
            content: Plain values for the body; None: no body.

        Returns:
            The content of the answer.

        Raises:
            SparkFSError: The error that the server gave, as the same one of ``spark_fs.errors``.
            OnlineStoreError: It cannot be reached, or gave no answer in time.
        """
        due = time.monotonic() + self.timeout
        request = self._make_request(method, path, parameters or {}, content)
        lost_connections = 0
        while True:
            left = max(due - time.monotonic(), 0.001)
            try:
                response = yield replace(request, timeout=left)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as failure:
                lost_connections += 1
                if lost_connections < _MAX_LOST and time.monotonic() < due:
                    continue
                raise self._annotate(make_connection_error(self, failure), request) from None
            except httpx.TransportError as failure:
                raise self._annotate(make_connection_error(self, failure), request) from None
            assert response is not None
            if response.status_code == 200:
                return decode_body(response.headers.get("content-type", ""), response.content)
            pause = _find_pause(response)
            error = make_server_error(response)
            if pause is None or not error.retryable or time.monotonic() + pause >= due:
                raise self._annotate(error, request)
            yield Pause(pause)

    def _make_request(
        self, method: str, path: str, parameters: Mapping[str, Any], content: Any
    ) -> HttpRequest:
        headers = {"Accept": self.content_type, "X-Request-ID": uuid4().hex}
        body = None
        if content is not None:
            body = encode_body(self.content_type, content)
            headers["Content-Type"] = self.content_type
        return HttpRequest(method, path, parameters, body, headers)

    def _annotate(self, error: Exception, request: HttpRequest) -> Exception:
        """The error, whose traceback names the request as the server's log does."""
        error.add_note(f"Request {request.headers['X-Request-ID']} to {self.url}{request.path}.")
        return error


def _find_pause(response: httpx.Response) -> float | None:
    """The seconds after which to ask again; None where that is of no use."""
    if response.status_code not in (429, 503):
        return None
    try:
        seconds = float(response.headers.get("retry-after", "1"))
    except ValueError:  # a date, which none of our servers sends
        seconds = 1.0
    return max(seconds, 0.0) * random.uniform(1.0, 1.0 + _MAX_JITTER)  # noqa: S311 # no secret
