"""The bodies of requests and answers: msgpack where it is installed, else JSON."""

from __future__ import annotations

import json
from typing import Any

from spark_fs.errors import OnlineStoreError, SettingsError, SetupError

try:
    import msgpack
except ImportError:
    msgpack = None

JSON = "application/json"
MSGPACK = "application/msgpack"
_TYPES = {"json": JSON, "msgpack": MSGPACK}


def choose_content_type(encoding: str | None) -> str:
    """The content type of bodies.

    Args:
        encoding: "json" or "msgpack"; None: msgpack where it is installed.

    Raises:
        SettingsError: It is another.
        SetupError: msgpack is asked for and not installed.
    """
    is_installed = msgpack is not None
    if encoding is None:
        return MSGPACK if is_installed else JSON
    if encoding not in _TYPES:
        raise SettingsError(f"encoding {encoding!r} is not known: use 'msgpack' or 'json'.")
    if encoding == "msgpack" and not is_installed:
        raise SetupError(
            "encoding='msgpack' needs msgpack, which is not installed: pip install"
            " 'spark_fs[client]'."
        )
    return _TYPES[encoding]


def encode_body(content_type: str, content: Any) -> bytes:
    """A body of plain values: no dates, decimals or bytes.

    Args:
        content_type: As ``choose_content_type`` gives it.
        content: The values.
    """
    if content_type == MSGPACK:
        packed: bytes = msgpack.packb(content)
        return packed
    return json.dumps(content).encode()


def decode_body(content_type: str, body: bytes) -> Any:
    """What a server answered.

    Args:
        content_type: As the answer's header has it.
        body: The answer.

    Raises:
        OnlineStoreError: The body is not of this type.
    """
    try:
        if content_type.startswith(MSGPACK):
            return msgpack.unpackb(body, strict_map_key=False)
        return json.loads(body)
    except ValueError as error:
        start = body[:100].decode("utf-8", "replace")
        raise OnlineStoreError(
            f"The answer cannot be read as {content_type or 'JSON'} ({error}), it begins"
            f" {start!r}: see that the URL is that of spark-fs serve."
        ) from None
