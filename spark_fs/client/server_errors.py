"""The errors of a server, raised again as those of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from spark_fs import errors
from spark_fs.client.wire import decode_body
from spark_fs.errors import OnlineRefusedError, OnlineStoreError, SettingsError, SparkFSError

if TYPE_CHECKING:
    from spark_fs.client.exchanges import ServerAccess

# What an answer means whose error is none of ours, by its status.
_BY_STATUS: dict[int, type[SparkFSError]] = {
    400: SettingsError,
    401: OnlineRefusedError,
    403: OnlineRefusedError,
    404: SettingsError,
    405: SettingsError,
    406: SettingsError,
    408: OnlineStoreError,
    413: SettingsError,
    415: SettingsError,
    422: SettingsError,
    429: OnlineStoreError,
    502: OnlineStoreError,
    503: OnlineStoreError,
    504: OnlineStoreError,
}


def make_server_error(response: httpx.Response) -> SparkFSError:
    """The error that an answer tells of: of the type that the server names, with its message."""
    kind, message = _read_error(response)
    error_type = getattr(errors, kind, None)
    if not (isinstance(error_type, type) and issubclass(error_type, SparkFSError)):
        error_type = _BY_STATUS.get(response.status_code, SparkFSError)
    return error_type(message)


def make_connection_error(server: ServerAccess, failure: httpx.TransportError) -> SparkFSError:
    """The error for a server that gave no answer.

    Args:
        server: Which was asked.
        failure: What httpx says.
    """
    if isinstance(failure, httpx.TimeoutException):
        return OnlineStoreError(
            f"The server {server.url} gave no answer within {server.timeout:g} s: ask again, or"
            " give Client(timeout=...) more."
        )
    if isinstance(failure, httpx.ConnectError):
        return OnlineStoreError(
            f"The server {server.url} cannot be reached ({failure}): start it with spark-fs serve,"
            " or correct the URL."
        )
    reason = str(failure) or type(failure).__name__
    return OnlineStoreError(
        f"The server {server.url} ended the connection before it answered ({reason}): ask again."
    )


def _read_error(response: httpx.Response) -> tuple[str, str]:
    """The type and the message of the error in an answer; what came where there is none."""
    try:
        content = decode_body(response.headers.get("content-type", ""), response.content)
        return str(content["error"]["type"]), str(content["error"]["message"])
    except (OnlineStoreError, KeyError, TypeError):
        start = response.text[:200]
        return "", (
            f"{response.url} answered {response.status_code} {response.reason_phrase}"
            f" ({start!r}): see that the URL is that of spark-fs serve."
        )
