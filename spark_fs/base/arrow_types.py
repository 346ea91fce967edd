"""The Arrow types of feature types, as Spark takes and gives them, made without a JVM.

And hashes of the bytes of Arrow's strings.
"""

from collections.abc import Mapping, Sequence
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
    return pa.schema([(name, to_arrow_type(type_)) for name, type_ in columns.items()])


def to_arrow_type(spark_type: str) -> pa.DataType:
    """The Arrow type of one feature type; SchemaError where Arrow has none."""
    if spark_type in _SCALAR_TYPES:
        return _SCALAR_TYPES[spark_type]
    kind = types.get_base_type(spark_type)
    if kind == "decimal":
        return pa.decimal128(*types.parse_decimal_sizes(spark_type))
    if kind in types.NESTED:
        return _to_nested_type(kind, types.get_inner_types(spark_type))
    raise SchemaError(
        f"A column of the type {spark_type} cannot be joined: leave it out, or cast it to one of"
        f" {', '.join(_SCALAR_TYPES)}."
    )


def _to_nested_type(kind: str, inner: Sequence[tuple[str, str]]) -> pa.DataType:
    fields = [pa.field(name, to_arrow_type(spark_type)) for name, spark_type in inner]
    if kind == "array":
        return pa.list_(fields[0])
    if kind == "map":
        return pa.map_(fields[0].type, fields[1].type)
    return pa.struct(fields)


def hash_bytes(values: pa.Array) -> npt.NDArray[np.uint64]:
    """The polynomial of the bytes of each string or binary value, the same on every machine."""
    values = values.cast(pa.large_binary())
    _, offset_buffer, data_buffer = values.buffers()
    all_offsets = np.frombuffer(offset_buffer, np.int64)
    offsets = all_offsets[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(data_buffer or b"", np.uint8)
    # In blocks: each byte takes a power, an index and a term beside it.
    block_starts = np.arange(offsets[0] + _BLOCK_BYTES, offsets[-1], _BLOCK_BYTES)
    cuts = sorted({0, *np.searchsorted(offsets, block_starts).tolist(), len(values)})
    blocks = [_compute_polynomials(data, offsets[start : end + 1]) for start, end in pairwise(cuts)]
    return np.concatenate(blocks) if blocks else np.empty(0, np.uint64)


def _compute_polynomials(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    data = data[offsets[0] : offsets[-1]]
    lengths = np.diff(offsets)
    starts = offsets[:-1] - offsets[0]
    powers = np.cumprod(np.full(int(lengths.max(initial=0)) + 1, _PRIME, np.uint64))
    exponents = np.arange(len(data)) - np.repeat(starts, lengths)
    terms = (data.astype(np.uint64) + np.uint64(1)) * powers[exponents]
    terms = np.append(terms, np.uint64(0))
    sums = np.add.reduceat(terms, starts)
    return np.where(lengths == 0, np.uint64(0), sums)
