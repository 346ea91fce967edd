"""How a client reaches a server: the URL, the token and the connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from spark_fs.client.exchanges import ServerAccess
from spark_fs.client.wire import choose_content_type
from spark_fs.errors import SettingsError
from spark_fs.redact import find_secrets, register_secrets

if TYPE_CHECKING:
    from ssl import SSLContext

# Shorter than for what a server keeps an idle connection, so that few are asked as they end.
_IDLE_SECONDS = 3.0


def make_access(url: str, timeout: float, encoding: str | None) -> ServerAccess:
    """How a server is asked.

    Args:
        url: Of the server.
        timeout: The seconds of a call.
        encoding: Of bodies, "msgpack" or "json"; None: msgpack where it is installed.

    Raises:
        SettingsError: The URL is not one of http or https, or has a password; or the timeout is
            not above 0.
    """
    register_secrets(*find_secrets("url", url))  # of one that is refused too
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"url {url!r} is not valid ({error}): {_HOW_TO_WRITE}.") from None
    if parts.scheme not in ("http", "https") or not parts.host:
        raise SettingsError(f"url {url!r} is not one of http or https: {_HOW_TO_WRITE}.")
    if parts.userinfo:
        raise SettingsError("The url has a login in it: give the server's token as token=....")
    if not timeout > 0:
        raise SettingsError(f"timeout={timeout!r} is not above 0: give a number of seconds.")
    return ServerAccess(url.rstrip("/"), choose_content_type(encoding), float(timeout))


def make_http_options(
    server: ServerAccess, token: str | None, ssl_context: SSLContext | None, max_connections: int
) -> dict[str, Any]:
    """The options of the clients of httpx.

    Args:
        server: How the server is asked.
        token: What it asks of callers.
        ssl_context: For https; None: the usual one.
        max_connections: At once.

    Raises:
        SettingsError: max_connections is not above 0, or no header can hold the token.
    """
    if max_connections < 1:
        raise SettingsError(
            f"max_connections={max_connections} is not above 0: give how many may be open at once."
        )
    headers = {}
    if token:
        register_secrets(token)
        if not (token.isascii() and token.isprintable()) or token != token.strip():
            raise SettingsError(
                "The token has a space or the end of a line around it, or a character that is not"
                " ASCII (it is not shown): give it as the server has it."
            )
        headers["Authorization"] = f"Bearer {token}"
    return {
        "base_url": server.url,
        "headers": headers,
        "verify": True if ssl_context is None else ssl_context,
        "limits": httpx.Limits(
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_IDLE_SECONDS,
        ),
    }


_HOW_TO_WRITE = "write it as http://127.0.0.1:8080"
