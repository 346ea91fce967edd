"""The Arrow types of feature types, as Spark takes and gives them, made without a JVM; and hashes of Arrow's texts."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs.base import types
from spark_fs.errors import SchemaError

_BLOCK_BYTES = 1 << 20  # bytes that are hashed together
_PRIME = np.uint64(1_099_511_628_211)
_SCALAR_TYPES: Mapping[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def to_arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The schema of columns of these feature types."""
    return pa.schema([(name, to_arrow_type(text)) for name, text in columns.items()])


def to_arrow_type(spark_type: str) -> pa.DataType:
    """The Arrow type of one feature type; SchemaError where Arrow has none."""
    name, _, inside = (
        spark_type.rstrip(")").partition("(")
        if spark_type.startswith("decimal")
        else spark_type.partition("<")
    )
    if spark_type in _SCALAR_TYPES:
        return _SCALAR_TYPES[spark_type]
    if name == "decimal":
        precision, scale = inside.split(",")
        return pa.decimal128(int(precision), int(scale))
    parts = types.split_types(inside.removesuffix(">"))
    if name == "array":
        return pa.list_(pa.field("element", to_arrow_type(parts[0])))
    if name == "map":
        return pa.map_(to_arrow_type(parts[0]), to_arrow_type(parts[1]))
    if name == "struct":
        named = (part.partition(":") for part in parts)
        return pa.struct([(field, to_arrow_type(inner)) for field, _, inner in named])
    raise SchemaError(
        f"A column of the type {spark_type} cannot be joined: leave it out, or cast it to one of"
        f" {', '.join(_SCALAR_TYPES)}."
    )


def hash_bytes(values: pa.Array) -> npt.NDArray[np.uint64]:
    """The polynomial of each text's or value's bytes, the same on every machine."""
    values = values.cast(pa.large_binary())
    offsets = np.frombuffer(values.buffers()[1], np.int64)[
        values.offset : values.offset + len(values) + 1
    ]
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    bounds = np.searchsorted(
        offsets, np.arange(offsets[0] + _BLOCK_BYTES, offsets[-1], _BLOCK_BYTES)
    ).tolist()  # there are numbers for each byte
    cuts = sorted({0, *bounds, len(values)})
    blocks = [_compute_polynomials(data, offsets[start : end + 1]) for start, end in pairwise(cuts)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.uint64)


def _compute_polynomials(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    data = data[offsets[0] : offsets[-1]]
    lengths, starts = np.diff(offsets), offsets[:-1] - offsets[0]
    powers = np.cumprod(np.full(int(lengths.max(initial=0)) + 1, _PRIME, np.uint64))
    places = np.arange(len(data)) - np.repeat(starts, lengths)
    terms = np.append((data.astype(np.uint64) + np.uint64(1)) * powers[places], np.uint64(0))
    sums = np.add.reduceat(terms, starts)
    return np.where(lengths == 0, np.uint64(0), sums)
