"""Event times in microseconds since the epoch, as columns of Spark and of Arrow."""

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_fs.base.times import DAY_MICROS, FIRST_SECOND, LAST_SECOND, MILLISECONDS_FROM


def convert_to_micros(column: Column, type_: str) -> Column:
    """An event time as microseconds since the epoch.

    It is a timestamp, a date (its midnight, UTC), or epoch seconds or milliseconds.
    """
    if type_ == "timestamp":
        return F.unix_micros(column)
    if type_ == "date":
        return F.unix_micros(column.cast("timestamp"))
    number = column.cast("bigint")
    return number * F.when(F.abs(number) < MILLISECONDS_FROM, 1_000_000).otherwise(1_000)


def check_epochs(column: Column, type_: str, name: str) -> Column:
    """An event time as it is*; an epoch in a unit that it cannot have becomes a failure."""
    if type_ != "bigint":
        return column
    is_seconds = F.abs(column) < MILLISECONDS_FROM
    seconds = F.when(is_seconds, column).otherwise(F.floor(column / 1_000))
    is_possible = seconds.between(FIRST_SECOND, LAST_SECOND - 1)
    message = F.concat(
        F.lit(f"Event time {name!r} holds "),
        column.cast("string"),
        F.lit(
            ", which is not an epoch in seconds or milliseconds: divide microseconds by 1,000,"
            " nanoseconds by 1,000,000, or give a timestamp."
        ),
    )
    failure = F.raise_error(message).cast("bigint")
    return F.when(is_possible | column.isNull(), column).otherwise(failure)


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
