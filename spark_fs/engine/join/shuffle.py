"""Send Arrow rows to buckets of keys as a few large binary values, which Spark moves and spills.

A row becomes ``(bucket, side, rows)``, where rows is an Arrow IPC stream of all the rows of one
task for one bucket. Equal keys have equal buckets on every worker, whatever the width of their
integers.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import decode_dictionaries
from spark_fs.base.hashing import Hashes, hash_bytes
from spark_fs.base.types import FLOATS, INTEGERS

BucketNumbers = npt.NDArray[Any]
PACKED_SCHEMA = pa.schema([("bucket", pa.int32()), ("side", pa.int32()), ("rows", pa.binary())])
PACKED_TYPES = {"bucket": "int", "side": "int", "rows": "binary"}
_BLOCK_ROWS = 1 << 15
_HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_HALF_BITS = np.uint64(32)
_INTEGER_LIKE = ("boolean", *INTEGERS, "date", "timestamp")
_KEY_KINDS = {
    **dict.fromkeys(INTEGERS, "integer"),
    **dict.fromkeys(FLOATS, "fraction"),
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamp",
    "string": "string",
    "binary": "binary",
}


def get_key_kind(spark_type: str) -> str | None:
    """The kind of a key's type; None: only Spark compares it.

    Types of one kind have equal values where ``to_canonical_key`` gives equal bits.
    """
    if spark_type.startswith("decimal"):
        return "decimal of scale " + spark_type.rstrip(")").rpartition(",")[2]
    return _KEY_KINDS.get(spark_type)


def to_canonical_key(column: pa.ChunkedArray, spark_type: str) -> pa.ChunkedArray:
    """A key column in the form in which equal keys are equal bits.

    It is an integer of 64 bits, a string, or bytes.
    """
    if spark_type in ("date", "boolean"):
        column = column.cast(pa.int32())
    if spark_type in _INTEGER_LIKE:
        return column.cast(pa.int64())
    if spark_type in FLOATS:  # as in Spark, -0.0 equals 0.0 and NaN equals NaN
        positive = pc.add(column.cast(pa.float64()), 0.0)
        unified = pc.if_else(pc.is_nan(positive), pa.scalar(float("nan")), positive)
        return pa.chunked_array([chunk.view(pa.int64()) for chunk in unified.chunks], pa.int64())
    if spark_type.startswith("decimal"):
        return column.cast(pa.string())
    return column


def assign_buckets(
    keys: Sequence[pa.ChunkedArray], hashes: Hashes, bucket_count: int
) -> BucketNumbers:
    """The bucket of each row by the hash of its key; rows with a null key are spread evenly."""
    dtype = np.uint16 if bucket_count < 1 << 16 else np.int32
    buckets = np.empty(len(hashes), dtype)
    multiplier = np.uint64(bucket_count)
    for start in range(0, len(hashes), _BLOCK_ROWS):
        end = start + _BLOCK_ROWS
        upper_bits = hashes[start:end] >> _HALF_BITS
        buckets[start:end] = (upper_bits * multiplier) >> _HALF_BITS
    for key in keys:
        if key.null_count:
            is_null = key.is_null().to_numpy()
            buckets[is_null] = np.arange(is_null.sum()) % bucket_count
    return buckets


def hash_keys(keys: Sequence[pa.ChunkedArray]) -> Hashes:
    """A hash of each row's key, equal for equal keys; that of a key with a null says nothing."""
    columns = [_to_numbers(key) for key in keys]
    hashes = np.empty(len(keys[0]), np.uint64)
    with np.errstate(over="ignore"):
        # A block stays in the processor's cache, which is three times faster.
        for start in range(0, len(hashes), _BLOCK_ROWS):
            end = start + _BLOCK_ROWS
            block = np.zeros(len(hashes[start:end]), np.uint64)
            for column in columns:
                block = (block ^ column[start:end]) * _HASH_MULTIPLIER
                block ^= block >> _HALF_BITS
            hashes[start:end] = block * _HASH_MULTIPLIER
    return hashes


def contain_hashes(sorted_hashes: Hashes, hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Whether each of the hashes is among some that are in order."""
    if not len(sorted_hashes):
        return np.zeros(len(hashes), bool)
    positions = np.searchsorted(sorted_hashes, hashes)
    nearest = sorted_hashes[np.minimum(positions, len(sorted_hashes) - 1)]
    is_contained: npt.NDArray[np.bool_] = nearest == hashes
    return is_contained


class BucketAssignment(NamedTuple):
    """Which rows of a table (None: each, in order) go to which buckets, and of which side."""

    side: int
    table: pa.Table
    row_indices: npt.NDArray[np.int64] | None
    buckets: BucketNumbers


def pack_tables(
    assignments: Iterable[BucketAssignment], folder: str | None = None, max_bytes: int = 32 << 20
) -> Iterator[pa.RecordBatch]:
    """Of each table one packed row for each bucket.

    Args:
        assignments: Tables, and where their rows go.
        folder: Where the rows are kept instead, in one file; what is packed then is their location
            in it. For processes that share a disk this spares four copies of every row.
        max_bytes: A batch has little more than so many bytes.
    """
    batch: _BatchBuilder | None = None
    for side, table, row_indices, buckets in assignments:
        if not len(buckets):
            continue
        # A radix sort, of 16 bits where there are no skewed keys.
        order = np.argsort(buckets, kind="stable")
        ordered_indices = order if row_indices is None else row_indices[order]
        # Strings move as indices: plain ones take ten times as long.
        ordered = table.take(pa.array(ordered_indices)).combine_chunks()
        ordered = decode_dictionaries(ordered)
        distinct, starts = np.unique(buckets[order], return_index=True)
        ends = [*starts[1:], len(order)]
        for bucket, start, end in zip(distinct, starts, ends, strict=True):
            batch = batch or _BatchBuilder(folder)
            rows = ordered.slice(start, end - start)
            batch.add_rows(int(bucket), side, rows)
            if folder is None and batch.byte_count > max_bytes:
                yield batch.to_record_batch()
                batch = None
    if batch:
        yield batch.to_record_batch()


class _BatchBuilder:
    """Packed rows, written one behind the other into one buffer, or into one file."""

    def __init__(self, folder: str | None) -> None:
        self._path = f"{folder}/{uuid4().hex}.arrow" if folder else None
        self._sink = pa.OSFile(self._path, "wb") if self._path else pa.BufferOutputStream()
        self._bucket_sides: list[tuple[int, int]] = []
        self._offsets = [0]

    @property
    def byte_count(self) -> int:
        return self._offsets[-1]

    def add_rows(self, bucket: int, side: int, table: pa.Table) -> None:
        with pa.ipc.new_stream(self._sink, table.schema) as stream:
            stream.write_table(table)
        self._bucket_sides.append((bucket, side))
        self._offsets.append(self._sink.tell())

    def to_record_batch(self) -> pa.RecordBatch:
        buckets, sides = zip(*self._bucket_sides, strict=True)
        rows = self._to_locations() if self._path else self._to_bytes()
        columns = [pa.array(buckets, pa.int32()), pa.array(sides, pa.int32()), rows]
        return pa.record_batch(columns, schema=PACKED_SCHEMA)

    def _to_locations(self) -> pa.Array:
        self._sink.close()
        locations = []
        for start, end in pairwise(self._offsets):
            location = json.dumps([self._path, start, end])
            locations.append(location.encode())
        return pa.array(locations, pa.binary())

    def _to_bytes(self) -> pa.Array:
        offsets = pa.array(self._offsets, pa.int32()).buffers()[1]
        buffers = [None, offsets, self._sink.getvalue()]
        return pa.Array.from_buffers(pa.binary(), len(self._bucket_sides), buffers)


def unpack_batches(
    batches: Iterable[pa.RecordBatch], schemas: Mapping[int, pa.Schema], in_files: bool = False
) -> Iterator[dict[int, pa.Table]]:
    """The rows of every side, bucket by bucket; a side without rows is an empty table.

    Args:
        batches: Packed rows.
        schemas: Of each side.
        in_files: Whether ``pack_tables`` had a folder.
    """
    for _, tables in unpack_buckets(batches, schemas, in_files):
        yield tables


def unpack_buckets(
    batches: Iterable[pa.RecordBatch], schemas: Mapping[int, pa.Schema], in_files: bool = False
) -> Iterator[tuple[int, dict[int, pa.Table]]]:
    """As ``unpack_batches``, each with the number of its bucket.

    Args:
        batches: Packed rows.
        schemas: Of each side.
        in_files: Whether ``pack_tables`` had a folder.
    """
    packed = _group_by_bucket(batches)
    for bucket in sorted(packed):
        packed_sides = packed.pop(bucket)
        tables = {}
        for side, schema in schemas.items():
            tables[side] = _read_table(packed_sides.get(side, ()), schema, in_files)
        yield bucket, tables


def _group_by_bucket(
    batches: Iterable[pa.RecordBatch],
) -> dict[int, dict[int, list[pa.Buffer]]]:
    """The packed rows of each side of each bucket."""
    packed: dict[int, dict[int, list[pa.Buffer]]] = {}
    for batch in batches:
        buckets = batch.column(0).to_pylist()
        sides = batch.column(1).to_pylist()
        for bucket, side, rows in zip(buckets, sides, batch.column(2), strict=True):
            packed_sides = packed.setdefault(bucket, {})
            packed_sides.setdefault(side, []).append(rows.as_buffer())
    return packed


def _read_table(packed: Iterable[pa.Buffer], schema: pa.Schema, in_files: bool) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    for rows in packed:
        with pa.ipc.open_stream(_map_file_slice(rows) if in_files else rows) as stream:
            batches.extend(stream)
    return pa.Table.from_batches(batches, schema)


def _map_file_slice(location: pa.Buffer) -> pa.Buffer:
    path, start, end = json.loads(location.to_pybytes())
    with pa.memory_map(path) as file:
        return file.read_buffer(end)[start:]


def _to_numbers(column: pa.ChunkedArray) -> Hashes:
    """A number for each value, equal for equal values; that of a null says nothing."""
    if pa.types.is_integer(column.type):
        integers: Hashes = pc.fill_null(column, 0).to_numpy().view(np.uint64)
        return integers
    encoded = column.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        return np.empty(0, np.uint64)
    if not len(encoded.dictionary):
        return np.zeros(len(encoded), np.uint64)
    value_hashes = hash_bytes(encoded.dictionary)
    hashes: Hashes = value_hashes[pc.fill_null(encoded.indices, 0).to_numpy()]
    return hashes
