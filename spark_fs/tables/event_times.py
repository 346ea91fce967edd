"""Event times as columns of Spark's: in microseconds since the epoch, and epochs in a unit that they cannot have."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_fs.base.times import FIRST_SECOND, LAST_SECOND, MILLISECONDS_FROM


def convert_to_micros(column: Column, type_: str) -> Column:
    """An event time as microseconds since the epoch: a timestamp, a date (its midnight, UTC), or epoch seconds or milliseconds."""
    if type_ == "timestamp":
        return F.unix_micros(column)
    if type_ == "date":
        return F.unix_micros(column.cast("timestamp"))
    number = column.cast("bigint")
    return number * F.when(F.abs(number) < MILLISECONDS_FROM, 1_000_000).otherwise(1_000)


def check_epochs(column: Column, type_: str, name: str) -> Column:
    """An event time as it is*, where it is an epoch a failure for one in a unit that it cannot have."""
    if type_ != "bigint":
        return column
    seconds = F.when(F.abs(column) < MILLISECONDS_FROM, column).otherwise(F.floor(column / 1_000))
    said = F.concat(
        F.lit(f"Event time {name!r} holds "),
        column.cast("string"),
        F.lit(
            ", no epoch in seconds or milliseconds: divide microseconds by 1,000, nanoseconds by"
            " 1,000,000, or give a timestamp."
        ),
    )
    return F.when(
        seconds.between(FIRST_SECOND, LAST_SECOND - 1) | column.isNull(), column
    ).otherwise(F.raise_error(said).cast("bigint"))
