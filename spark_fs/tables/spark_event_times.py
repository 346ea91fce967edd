"""Event times in microseconds since the epoch, as columns of Spark."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_fs.base.times import FIRST_SECOND, LAST_SECOND, MILLISECONDS_FROM


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
