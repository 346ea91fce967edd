"""Event times in microseconds since the epoch, as columns of Arrow."""

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.times import DAY_MICROS, FIRST_SECOND, LAST_SECOND, MILLISECONDS_FROM
from spark_fs.errors import SchemaError


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


def check_epochs(column: pa.ChunkedArray, spark_type: str, name: str) -> None:
    """SchemaError for an epoch in a unit that it cannot have."""
    if spark_type != "bigint":
        return
    for epoch in column.drop_null().unique().to_numpy():
        seconds = epoch if abs(epoch) < MILLISECONDS_FROM else epoch // 1_000
        if not FIRST_SECOND <= seconds < LAST_SECOND:
            raise SchemaError(
                f"Event time {name!r} holds {epoch}, which is not an epoch in seconds or"
                " milliseconds: divide microseconds by 1,000, nanoseconds by 1,000,000, or give a"
                " timestamp."
            )
