"""The Arrow types of feature types, as Spark takes and gives them, made without a JVM; and hashes of Arrow's texts."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from spark_fs import types
from spark_fs.errors import SchemaError

_BLOCK = 1 << 20  # bytes that are hashed together
_PRIME = np.uint64(1_099_511_628_211)
_PLAIN: Mapping[str, pa.DataType] = {
    "boolean": pa.bool_(), "tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64(),
    "float": pa.float32(), "double": pa.float64(), "string": pa.string(), "binary": pa.binary(), "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def schema_of(columns: Mapping[str, str]) -> pa.Schema:
    """The schema of columns of these feature types."""
    return pa.schema([(name, type_of(text)) for name, text in columns.items()])


def type_of(text: str) -> pa.DataType:
    """The Arrow type of one feature type; SchemaError where Arrow has none."""
    name, _, inside = text.rstrip(")").partition("(") if text.startswith("decimal") else text.partition("<")
    if text in _PLAIN:
        return _PLAIN[text]
    if name == "decimal":
        precision, scale = inside.split(",")
        return pa.decimal128(int(precision), int(scale))
    parts = types.parts(inside.removesuffix(">"))
    if name == "array":
        return pa.list_(pa.field("element", type_of(parts[0])))
    if name == "map":
        return pa.map_(type_of(parts[0]), type_of(parts[1]))
    if name == "struct":
        named = (part.partition(":") for part in parts)
        return pa.struct([(field, type_of(inner)) for field, _, inner in named])
    raise SchemaError(f"A column of the type {text} cannot be joined: leave it out, or cast it to one of {', '.join(_PLAIN)}.")


def hashes_of_bytes(values: pa.Array) -> npt.NDArray[np.uint64]:
    """The polynomial of each text's or value's bytes, the same on every machine."""
    values = values.cast(pa.large_binary())
    offsets = np.frombuffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    bounds = np.searchsorted(offsets, np.arange(offsets[0] + _BLOCK, offsets[-1], _BLOCK)).tolist()  # there are numbers for each byte
    cuts = sorted({0, *bounds, len(values)})
    blocks = [_polynomials(data, offsets[start : end + 1]) for start, end in pairwise(cuts)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.uint64)


def _polynomials(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    data = data[offsets[0] : offsets[-1]]
    lengths, starts = np.diff(offsets), offsets[:-1] - offsets[0]
    powers = np.cumprod(np.full(int(lengths.max(initial=0)) + 1, _PRIME, np.uint64))
    places = np.arange(len(data)) - np.repeat(starts, lengths)
    terms = np.append((data.astype(np.uint64) + np.uint64(1)) * powers[places], np.uint64(0))
    sums = np.add.reduceat(terms, starts)
    return np.where(lengths == 0, np.uint64(0), sums)
