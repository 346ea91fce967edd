"""Vectors as bytes, in the format that a caller accepts: JSON, msgpack or Arrow.

JSON's rules are those of ``base/json_values``. msgpack has NaN, infinities and bytes of its own;
all else is as in JSON. Arrow has the types of training data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from spark_fs.base import json_values
from spark_fs.server.asgi import Message, find_header

Vectors = Sequence[Sequence[Any]]
EncodeVectors = Callable[[Mapping[str, str], Vectors], bytes]

JSON = "application/json"
MSGPACK = "application/msgpack"
ARROW = "application/vnd.apache.arrow.stream"
# What both formats have as Python does. Exact types: what is derived of them is encoded by rules.
_PLAIN_TYPES = frozenset((int, str, bool, type(None)))


def choose_format(scope: Message) -> str:
    """The content type of the answer to a request: the first in its Accept header that is known.

    None that is known stands for JSON, so that a caller who accepts anything is answered.
    """
    accepted = find_header(scope, b"accept")
    if accepted is None or accepted == b"*/*":
        return JSON
    for part in accepted.decode("latin-1").split(","):
        content_type = part.partition(";")[0].strip().lower()
        if content_type in ENCODERS:
            return content_type
    return JSON


def encode_json(columns: Mapping[str, str], vectors: Vectors) -> bytes:
    """The names of the features, and the vectors, as JSON.

    Args:
        columns: the types of a vector's values, by name.
        vectors: the values.
    """
    rows = [[_to_json_value(value) for value in vector] for vector in vectors]
    return msgspec.json.encode({"features": list(columns), "vectors": rows})


def _to_json_value(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return value if isfinite(value) else json_values.to_json(value)
    return value if kind in _PLAIN_TYPES else json_values.to_json(value)


def encode_msgpack(columns: Mapping[str, str], vectors: Vectors) -> bytes:
    """The same object as msgpack.

    Args:
        columns: the types of a vector's values, by name.
        vectors: the values.
    """
    rows = [[_to_msgpack_value(value) for value in vector] for vector in vectors]
    return msgspec.msgpack.encode({"features": list(columns), "vectors": rows})


def _to_msgpack_value(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN_TYPES or isinstance(value, float | bytes):
        return value
    if isinstance(value, dict):
        return {
            str(json_values.to_json(key)): _to_msgpack_value(entry) for key, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [_to_msgpack_value(element) for element in value]
    return json_values.to_json(value)


def encode_arrow(columns: Mapping[str, str], vectors: Vectors) -> bytes:
    """A stream of one record batch, a column for each feature.

    Args:
        columns: the types of a vector's values, by name.
        vectors: the values.

    Raises:
        SparkFSError: a transformation gave a value of another type.
    """
    # Loaded where it is first asked for: a process that serves JSON alone does without.
    import pyarrow as pa

    from spark_fs.online.vector_tables import as_arrow

    table = as_arrow(columns, vectors)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table.combine_chunks().to_batches()[0])
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


ENCODERS: Mapping[str, EncodeVectors] = {
    JSON: encode_json,
    MSGPACK: encode_msgpack,
    ARROW: encode_arrow,
}
