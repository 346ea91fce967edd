"""The door of a server: what is asked of a request before the program behind it sees it.

By which name this server was asked, who asks, how many ask at once, how large the request is, and
how long it and its answer take. It is plain ASGI, so it needs no library, and what it does in the
event loop does not grow with what a caller sends.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from spark_fs.errors import SettingsError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

_CHALLENGES = (
    (b"www-authenticate", b'Bearer realm="spark_fs"'),
    (b"www-authenticate", b'Basic realm="spark_fs", charset="UTF-8"'),
)
_RETRY_AFTER = ((b"retry-after", b"1"),)
ANY_NAME = "*"
_MIN_TOKEN_LENGTH = 16  # characters: nobody tries out as many
_HOW_TO_MAKE_ONE = "make one by: python -c 'import secrets; print(secrets.token_urlsafe(32))'"


@dataclass(frozen=True)
class Limits:
    """What a server takes upon itself; what is beyond it is refused.

    max_bytes: of the body of a request. max_open: requests at once. ask_seconds: until a request
    has come whole. answer_seconds: until its answer is there. idle_seconds: for which a connection
    is kept for the next request.
    """

    max_bytes: int = 1_000_000
    max_open: int = 256
    ask_seconds: float = 10.0
    answer_seconds: float = 30.0
    idle_seconds: int = 5


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
        headers: of every answer.
        format_refusal: gives the type and the body of the answer for a refusal.
    """

    def __init__(
        self,
        app: AsgiApp,
        limits: Limits = Limits(),  # it cannot be changed
        names: Collection[str] | None = None,
        token: str = "",
        public_paths: Collection[str] = (),
        headers: Headers = (),
        format_refusal: Callable[[Refusal], tuple[bytes, bytes]] = format_json_refusal,
    ) -> None:
        self._app = app
        self._limits = limits
        self._names = names
        self._token = _hash_token(token.encode()) if token else b""
        self._public_paths = public_paths
        self._headers = list(headers)
        self._format_refusal = format_refusal
        self._open_requests = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._check_host(scope) or self._check_token(scope) or self._check_capacity()
        if refusal:
            await self._send_refusal(send, refusal)
            return
        self._open_requests += 1
        try:
            await self._handle_request(scope, receive, send)
        finally:
            self._open_requests -= 1

    def _check_host(self, scope: Message) -> Refusal | None:
        """What is wrong with the name by which the server was asked."""
        if self._names is None:
            return None
        for name, value in scope["headers"]:
            if name == b"host" and not _is_allowed_host(value, self._names):
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
        authorization = _find_header(scope, b"authorization") or b""
        if hmac.compare_digest(_hash_token(_parse_token(authorization)), self._token):
            return None
        text = (
            "This server asks for a token: send it as Authorization: Bearer, or as the password of"
            " any user."
        )
        return Refusal(401, "TokenRefused", text, _CHALLENGES)

    def _check_capacity(self) -> Refusal | None:
        if self._open_requests < self._limits.max_open:
            return None
        text = f"{self._open_requests:,} requests are open already: ask again in a second."
        return Refusal(503, "TooManyRequests", text, _RETRY_AFTER)

    async def _handle_request(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await self._read_body(scope, receive)
        if isinstance(body, Refusal):
            await self._send_refusal(send, body)
            return
        if body is None:  # the caller is gone
            return
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        answered = False

        async def replay_body() -> Message:
            return pending.pop() if pending else await receive()

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        seconds = self._limits.answer_seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._app(scope, replay_body, send_with_headers)
        except TimeoutError:
            if answered or not limit.expired():
                raise
            text = (
                f"No answer was found within {seconds:g} seconds: ask again, for fewer entries at"
                " once."
            )
            await self._send_refusal(send, Refusal(503, "AnswerTooSlow", text, _RETRY_AFTER))

    async def _read_body(self, scope: Message, receive: Receive) -> bytes | Refusal | None:
        """The body of a request; None where it never came whole."""
        max_bytes = self._limits.max_bytes
        seconds = self._limits.ask_seconds
        text = f"The request is larger than {max_bytes:,} bytes: ask for fewer entries at once."
        too_large = Refusal(413, "RequestTooLarge", text)
        declared = _find_header(scope, b"content-length") or b"0"
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
            return Refusal(408, "RequestTooSlow", text, ((b"connection", b"close"),))

    async def _send_refusal(self, send: Send, refusal: Refusal) -> None:
        content_type, body = self._format_refusal(refusal)
        headers = [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            *refusal.headers,
            *self._headers,
        ]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _find_header(scope: Message, header: bytes) -> bytes | None:
    """The value of the first header of a name."""
    for name, value in scope["headers"]:
        if name == header:
            first: bytes = value
            return first
    return None


def _hash_token(token: bytes) -> bytes:
    """Tokens are compared by their digests, which all are of one length."""
    return hashlib.sha256(token).digest()


def _parse_token(header: bytes) -> bytes:
    """The token of an Authorization header: a bearer's, or the password of any user."""
    scheme, _, rest = header.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


# -- names


def get_host_names(host: str, allowed: Iterable[str] = ()) -> frozenset[str] | None:
    """The names that a server on an address answers to, besides addresses.

    A page from elsewhere can let a name of its own stand for this machine, and then read what a
    browser here may read; it cannot do so with an address, nor with a name that is not its own.

    Args:
        host: the address that the server listens on.
        allowed: further names; ``*`` allows any.

    Returns:
        The names; None where any is allowed.
    """
    names = {_parse_host_name(name) for name in allowed}
    if ANY_NAME in names:
        return None
    names.add("localhost")
    if not is_loopback(host):
        names |= {host.lower(), socket.gethostname().lower()}
    return frozenset(names - {""})


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone.

    A name other than localhost counts as one that is not.
    """
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_allowed_host(header: bytes, names: Collection[str]) -> bool:
    """Whether a Host header names an address, or one of the names."""
    name = _parse_host_name(header.decode("latin-1"))
    return name in names or _is_address(name)


def _parse_host_name(text: str) -> str:
    """A name without the port behind it."""
    text = text.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") < 2 else text


# -- tokens


def read_token(setting: str, file: Path | None) -> str:
    """The token that callers must bring.

    Args:
        setting: the setting ``token``.
        file: a file that wins over it.

    Returns:
        The token; empty where there is neither.

    Raises:
        SettingsError: the file cannot be read, or the token is short or of other characters.
    """
    if file is None and not setting:
        return ""
    token = setting
    source = "SPARK_FS_TOKEN, or the setting token,"
    if file is not None:
        token = _read_token_file(file)
        source = f"Token file {file}"
    if len(token) < _MIN_TOKEN_LENGTH or not all(map(_is_token_character, token)):
        raise SettingsError(
            f"{source} is not a token of {_MIN_TOKEN_LENGTH} ASCII characters or more without"
            f" spaces: {_HOW_TO_MAKE_ONE}."
        )
    return token


def _read_token_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"Token file {file} cannot be read: {reason}. Name a file that holds the token alone."
        ) from None


def _is_token_character(letter: str) -> bool:
    return letter.isascii() and letter.isprintable() and letter != " "


def check_exposed(host: str, token: str, insecure: bool) -> None:
    """Refuse to listen to other machines without asking for a token.

    Args:
        host: the address to listen on.
        token: what callers must bring; empty: nothing.
        insecure: whether that is wanted all the same.

    Raises:
        SettingsError: the address is reached from elsewhere, and nobody is asked for a token.
    """
    if not token and not insecure and not is_loopback(host):
        raise SettingsError(
            f"--host {host} lets other machines in, and nobody would be asked for a token. Set"
            f" SPARK_FS_TOKEN or --token-file ({_HOW_TO_MAKE_ONE}), listen on 127.0.0.1, or say"
            " --insecure where whoever reaches it may read all that it hands out."
        )
