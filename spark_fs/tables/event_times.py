"""Event times in microseconds since the epoch, as columns of Arrow."""

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.times import DAY_MICROS, MILLISECONDS_FROM


def to_event_micros(column: pa.ChunkedArray, spark_type: str) -> pa.ChunkedArray:
    """An event time as microseconds since the epoch, in Arrow.

    It is a timestamp, a date (its midnight, UTC), or epoch seconds or milliseconds.
    """
    if spark_type == "timestamp":
        return column.cast(pa.int64())
    if spark_type == "date":
        return pc.multiply(column.cast(pa.int32()).cast(pa.int64()), DAY_MICROS)
    return _epoch_to_micros(column.cast(pa.int64()))


def _epoch_to_micros(epoch: pa.ChunkedArray) -> pa.ChunkedArray:
    """Epochs in seconds, from ``MILLISECONDS_FROM`` on in milliseconds, as microseconds."""
    is_seconds = pc.less(pc.abs(epoch), MILLISECONDS_FROM)
    return pc.multiply_checked(epoch, pc.if_else(is_seconds, 1_000_000, 1_000))
