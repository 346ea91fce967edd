"""The door of a server: what is asked of a request before the program behind it sees it.

By which name this server was asked, who asks, how many ask at once, how large the request is, and
how long it and its answer take. It is plain ASGI, so it needs no library, and what it does in the
event loop does not grow with what a caller sends.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

from spark_fs.server.asgi import AsgiApp, Headers, Message, Receive, Send, find_header, send_answer
from spark_fs.server.authentication import hash_token, is_allowed_host, parse_token
from spark_fs.server.request_facts import RequestFacts, read_request_facts
from spark_fs.server.watchers import RequestEnd, RequestWatcher

_CHALLENGES = (
    (b"www-authenticate", b'Bearer realm="spark_fs"'),
    (b"www-authenticate", b'Basic realm="spark_fs", charset="UTF-8"'),
)
_RETRY_AFTER = ((b"retry-after", b"1"),)
_CLOSE = (b"connection", b"close")
TIMEOUT_HEADER = b"x-request-timeout"


@dataclass(frozen=True)
class Limits:
    """What a server takes upon itself; what is beyond it is refused.

    max_bytes: of the body of a request. max_open: requests at once. ask_seconds: until a request
    has come whole. answer_seconds: until its answer is there. idle_seconds: for which a connection
    is kept for the next request. max_open_per_caller: requests at once from one address; 0: as many
    as of all. drain_seconds: for which it still lets in after it was told to end, while it says
    that it is not ready.
    """

    max_bytes: int = 1_000_000
    max_open: int = 256
    ask_seconds: float = 10.0
    answer_seconds: float = 30.0
    idle_seconds: int = 5
    max_open_per_caller: int = 0
    drain_seconds: float = 0.0


@dataclass(frozen=True)
class Refusal:
    """Why a request is not let in."""

    status: int
    kind: str
    text: str
    headers: Headers = ()


def format_json_refusal(refusal: Refusal) -> tuple[bytes, bytes]:
    """The type and the body of the answer that says why, as the errors of a program are."""
    content = {"error": {"type": refusal.kind, "message": refusal.text}}
    return b"application/json", json.dumps(content).encode()


class RequestGuard:
    """Lets in what may come in, one program behind it.

    Args:
        app: the program.
        limits: what the server takes upon itself.
        names: the names that the server answers to, besides addresses; None: any.
        token: who does not bring it is refused; empty: nobody is asked for one.
        public_paths: the paths for which nobody is asked.
        unlimited_paths: the paths that are answered however many requests are open.
        headers: of every answer.
        format_refusal: gives the type and the body of the answer for a refusal.
        watchers: who is told of every request.
    """

    def __init__(
        self,
        app: AsgiApp,
        limits: Limits = Limits(),  # it cannot be changed
        names: Collection[str] | None = None,
        token: str = "",
        public_paths: Collection[str] = (),
        unlimited_paths: Collection[str] = (),
        headers: Headers = (),
        format_refusal: Callable[[Refusal], tuple[bytes, bytes]] = format_json_refusal,
        watchers: Sequence[RequestWatcher] = (),
    ) -> None:
        self._app = app
        self._limits = limits
        self._names = names
        self._token = hash_token(token.encode()) if token else b""
        self._public_paths = public_paths
        self._unlimited_paths = unlimited_paths
        self._headers = list(headers)
        self._format_refusal = format_refusal
        self._watchers = watchers
        self._open_requests = 0
        self._open_by_caller: Counter[str] = Counter()
        self.is_draining = False

    def begin_drain(self) -> None:
        """Let each connection end with its next answer, and say that the server is not ready."""
        self.is_draining = True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        facts = read_request_facts(scope)
        request = _OpenRequest(facts, send, self._list_headers(facts))
        for watcher in self._watchers:
            watcher.begin_request()
        caller = scope["client"][0] if scope.get("client") else ""
        refusal = self._check_request(scope, caller)
        try:
            if refusal:
                await self._refuse(request, refusal)
            else:
                await self._let_in(scope, receive, request, caller)
        finally:
            end = request.describe_end(scope)
            for watcher in self._watchers:
                watcher.end_request(end)

    async def _let_in(
        self, scope: Message, receive: Receive, request: _OpenRequest, caller: str
    ) -> None:
        self._open_requests += 1
        self._open_by_caller[caller] += 1
        try:
            await self._handle_request(scope, receive, request)
        finally:
            self._open_requests -= 1
            self._open_by_caller[caller] -= 1
            if not self._open_by_caller[caller]:
                del self._open_by_caller[caller]

    def _list_headers(self, facts: RequestFacts) -> Headers:
        """The headers that every answer has."""
        headers = [*self._headers, (b"x-request-id", facts.request_id.encode())]
        if self.is_draining:
            headers.append(_CLOSE)
        return headers

    def _check_request(self, scope: Message, caller: str) -> Refusal | None:
        refusal = self._check_host(scope) or self._check_token(scope)
        if refusal or scope["path"] in self._unlimited_paths:
            return refusal
        return self._check_capacity(caller)

    def _check_host(self, scope: Message) -> Refusal | None:
        """What is wrong with the name by which the server was asked."""
        if self._names is None:
            return None
        for name, value in scope["headers"]:
            if name == b"host" and not is_allowed_host(value, self._names):
                host = value[:100].decode("ascii", "replace")
                text = (
                    f"This server does not answer to the name {host!r}: start it with --allow-host"
                    " for it."
                )
                return Refusal(400, "HostRefused", text)
        return None

    def _check_token(self, scope: Message) -> Refusal | None:
        """What is wrong with the token that the caller brings."""
        if not self._token or scope["path"] in self._public_paths:
            return None
        authorization = find_header(scope, b"authorization") or b""
        if hmac.compare_digest(hash_token(parse_token(authorization)), self._token):
            return None
        text = (
            "This server asks for a token: send it as Authorization: Bearer, or as the password of"
            " any user."
        )
        return Refusal(401, "TokenRefused", text, _CHALLENGES)

    def _check_capacity(self, caller: str) -> Refusal | None:
        most = self._limits.max_open_per_caller
        if most and self._open_by_caller[caller] >= most:
            text = f"{most:,} requests of this address are open already: ask again in a second."
            return Refusal(429, "TooManyOfCaller", text, _RETRY_AFTER)
        if self._open_requests < self._limits.max_open:
            return None
        text = f"{self._open_requests:,} requests are open already: ask again in a second."
        return Refusal(503, "TooManyRequests", text, _RETRY_AFTER)

    async def _handle_request(
        self, scope: Message, receive: Receive, request: _OpenRequest
    ) -> None:
        seconds = self._limits.answer_seconds
        wanted = find_header(scope, TIMEOUT_HEADER)
        if wanted is not None:
            shorter = _parse_seconds(wanted)
            if shorter is None:
                await self._refuse(request, _make_bad_timeout(wanted))
                return
            seconds = min(seconds, shorter)
        body = await self._read_body(scope, receive)
        if isinstance(body, Refusal):
            await self._refuse(request, body)
            return
        if body is None:  # the caller is gone
            return
        request.bytes_in = len(body)
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay_body() -> Message:
            return pending.pop() if pending else await receive()

        try:
            async with asyncio.timeout(seconds) as limit:
                await self._app(scope, replay_body, request.send)
        except TimeoutError:
            if request.status or not limit.expired():
                raise
            text = (
                f"No answer was found within {seconds:g} seconds: ask again, for fewer entries at"
                " once."
            )
            await self._refuse(request, Refusal(503, "AnswerTooSlow", text, _RETRY_AFTER))

    async def _read_body(self, scope: Message, receive: Receive) -> bytes | Refusal | None:
        """The body of a request; None where it never came whole."""
        max_bytes = self._limits.max_bytes
        seconds = self._limits.ask_seconds
        text = f"The request is larger than {max_bytes:,} bytes: ask for fewer entries at once."
        too_large = Refusal(413, "RequestTooLarge", text)
        declared = find_header(scope, b"content-length") or b"0"
        if declared.isdigit() and int(declared[:19]) > max_bytes:
            return too_large
        body = bytearray()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    body += message.get("body", b"")
                    if len(body) > max_bytes:
                        return too_large
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            text = f"The request did not come whole within {seconds:g} seconds: send it again."
            return Refusal(408, "RequestTooSlow", text, (_CLOSE,))

    async def _refuse(self, request: _OpenRequest, refusal: Refusal) -> None:
        request.refusal = refusal.kind
        content_type, body = self._format_refusal(refusal)
        headers = [(b"content-type", content_type), *refusal.headers]
        await send_answer(request.send, refusal.status, headers, body)


class _OpenRequest:
    """A request that is being answered, and what is known of its answer."""

    def __init__(self, facts: RequestFacts, send: Send, headers: Headers) -> None:
        self._facts = facts
        self._send = send
        self._headers = headers
        self._began = time.perf_counter()
        self.status = 0
        self.refusal = ""
        self.bytes_in = 0
        self._bytes_out = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._headers]
        else:
            self._bytes_out += len(message.get("body", b""))
        await self._send(message)

    def describe_end(self, scope: Message) -> RequestEnd:
        """How it ended."""
        seconds = time.perf_counter() - self._began
        return RequestEnd(
            scope,
            self._facts,
            self.status,
            seconds,
            self.bytes_in,
            self._bytes_out,
            self.refusal,
        )


def _parse_seconds(header: bytes) -> float | None:
    """The seconds that a caller is willing to wait; None for what spells none."""
    with suppress(ValueError):
        seconds = float(header)
        if 0 < seconds < float("inf"):
            return seconds
    return None


def _make_bad_timeout(header: bytes) -> Refusal:
    shown = header[:40].decode("ascii", "replace")
    text = f"X-Request-Timeout is {shown!r}: give the seconds to wait, as 0.25."
    return Refusal(400, "TimeoutRefused", text)
