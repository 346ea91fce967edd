"""What a server answers where a request failed.

What the caller did wrong is told in full. What happened here is told in general, for it may name a
host, a user or a row; the log has the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from fastapi.responses import Response

from spark_fs.base.terminal import escape_for_terminal
from spark_fs.errors import (
    CatalogError,
    ConflictError,
    InvalidNameError,
    KeyValueError,
    NotFoundError,
    OnlineStoreError,
    QueryError,
    SchemaError,
    SettingsError,
    SparkFSError,
)
from spark_fs.server.vector_requests import ErrorResponse, InvalidRequestError

LOGGER = logging.getLogger("spark_fs.serve")
_MAX_MESSAGE_LENGTH = 2_000
# The status of what a caller did wrong. Any other error is ours.
_CALLER_ERRORS: Mapping[type[SparkFSError], int] = {
    NotFoundError: 404,
    KeyValueError: 400,
    SchemaError: 400,
    SettingsError: 400,
    QueryError: 400,
    InvalidNameError: 400,
}
_INTERNAL_ERRORS: Sequence[tuple[type[SparkFSError], int, str]] = (
    (ConflictError, 409, "Another writer was in the way: ask again."),
    (OnlineStoreError, 503, "The online store failed or gave no answer in time: ask again."),
    (CatalogError, 503, "The metadata database failed or gave no answer in time: ask again."),
    (SparkFSError, 500, "The features could not be made of what is stored."),
)
_DESCRIPTIONS = {
    400: (
        "A key or a passed feature is wrong, there are too many entries, or the server does not"
        " answer to that name"
    ),
    401: "The server asks for a token",
    404: "There is no such view, version, key or feature",
    408: "The request did not come whole in time",
    413: "The request is too large",
    422: "The request is not of the form above",
    429: "Too many requests of one address are open",
    503: "The online store failed, no answer was found in time, or too many requests are open",
}
# As the OpenAPI page lists them.
ERROR_RESPONSES: Mapping[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": description}
    for status, description in _DESCRIPTIONS.items()
}


class ErrorAnswer(NamedTuple):
    """The answer of a request that failed, as JSON."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def to_response(self) -> Response:
        """The same for FastAPI."""
        return Response(self.body, self.status, dict(self.headers), "application/json")


def translate_error(error: Exception) -> ErrorAnswer:
    """The answer for an error."""
    if isinstance(error, InvalidRequestError):
        message = f"The request is not valid: {error}. See /docs."
        return make_error_response(422, "RequestNotValid", message)
    for kind, status in _CALLER_ERRORS.items():
        if isinstance(error, kind):
            return make_error_response(status, type(error).__name__, str(error))
    for kind, status, text in _INTERNAL_ERRORS:
        if isinstance(error, kind):
            LOGGER.error("A request failed: %s", escape_for_terminal(error))
            message = f"{text} The log of the program has more."
            return make_error_response(status, type(error).__name__, message)
    return make_unexpected_response(error)


def make_unexpected_response(error: Exception) -> ErrorAnswer:
    """The answer for an error that is not one of ours."""
    message = f"Something failed inside ({type(error).__name__}); the log of the program has more."
    return make_error_response(500, "InternalError", message)


def make_error_response(
    status: int, kind: str, text: str, headers: Mapping[str, str] | None = None
) -> ErrorAnswer:
    """The answer of a request that failed.

    Args:
        status: of HTTP.
        kind: the kind of error.
        text: what went wrong; a long one is cut.
        headers: of the answer; a 503 has its own.
    """
    message = text
    if len(text) > _MAX_MESSAGE_LENGTH:
        message = f"{text[:_MAX_MESSAGE_LENGTH]}... ({len(text):,} letters)"
    message = message.encode("utf-8", "backslashreplace").decode()
    if status == 503:
        headers = {"Retry-After": "1"}
    body = msgspec.json.encode({"error": {"type": kind, "message": message}})
    return ErrorAnswer(status, body, headers or {})
