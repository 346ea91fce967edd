"""Names for what a program of ASGI takes and gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


def find_header(scope: Message, header: bytes) -> bytes | None:
    """The value of the first header of a name.

    Args:
        scope: of the request.
        header: the name, in lower case.
    """
    for name, value in scope["headers"]:
        if name == header:
            first: bytes = value
            return first
    return None


async def send_answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer.

    Args:
        send: of the request.
        status: of HTTP.
        headers: of the answer, with its content type.
        body: of the answer.
    """
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
