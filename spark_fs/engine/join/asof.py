"""The point-in-time match as one union and one window of plain Spark SQL.

It is the reference for the other strategies. It needs no Python on the executors and spills like
any sort. For each left row the window holds every candidate of its key up to its own instant, and
takes the last one of each right side: the greatest event time not after the left row's, and of
equal ones the last ingested. So each left row comes out exactly once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_fs.engine.join.spark_filters import drop_nulls


@dataclass(frozen=True)
class JoinSide:
    """A frame with its key columns and the name of its event time in microseconds, if it has one.

    Of a right side: what decides between rows of one key and time, the instant in microseconds from
    which a row was known (None: always), and the greatest age of a match in microseconds.
    """

    frame: DataFrame
    keys: Sequence[str]
    time: str | None = None
    tie_breakers: Sequence[str] = ()
    known_from: str | None = None
    ttl: int | None = None

    @property
    def times(self) -> list[str]:
        """The name of the event time, where there is one."""
        return [self.time] if self.time else []

    @property
    def sort_key(self) -> Column:
        """What is greatest in the match among several."""
        columns = [F.col(name) for name in (*self.times, *self.tie_breakers)]
        return F.struct(*columns, F.lit(0))

    @property
    def eligible_from(self) -> Column:
        """The instant from which a row can match: its time, or when it became known if later."""
        if self.known_from and self.time:
            return F.greatest(self.known_from, self.time)
        return F.col(self.known_from or self.time or "")

    def drop_unmatchable(self) -> DataFrame:
        """The rows* that can match at all: a null key or event time equals nothing."""
        return drop_nulls(self.frame, [*self.keys, *self.times])


def join_point_in_time(left: JoinSide, rights: Sequence[JoinSide]) -> DataFrame:
    """The left rows*, each with the columns of its match on every right side.

    They are null where there is no match, or none young enough.
    """
    both = _union_sides(left, rights)
    tie_breakers = []
    for number, right in enumerate(rights):
        if right.tie_breakers:
            tie_breakers.append(F.col(f"{_name_right(number)}.order"))
    keys = [f"__k{i}" for i in range(len(left.keys))]
    rows_so_far = (
        Window.partitionBy(*keys)
        .orderBy("__at", "__side", *tie_breakers)
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    match_events = {}
    for number, right in enumerate(rights):
        name = _name_right(number)
        match_events[name] = _find_match_event(right, F.col(name)).over(rows_so_far)
    matched = both.withColumns(match_events).filter(F.col("__side") == 1)
    columns: list[Column] = []
    for number, right in enumerate(rights):
        columns += _select_match_columns(right, _name_right(number))
    return matched.select("__left.*", *columns)


def _union_sides(left: JoinSide, rights: Sequence[JoinSide]) -> DataFrame:
    """The rows* of all sides, each in a column of its side, with their keys and instants."""
    left_time = F.col(left.time or "").alias("__at")
    left_side = F.lit(1).alias("__side")
    left_row = F.struct("*").alias("__left")
    both = left.frame.select(*_select_keys(left), left_time, left_side, left_row)
    for number, right in enumerate(rights):
        order = right.sort_key.alias("order")
        event = F.struct(order, F.struct("*").alias("row"))
        rows = right.drop_unmatchable().select(
            *_select_keys(right),
            right.eligible_from.alias("__at"),
            F.lit(0).alias("__side"),
            event.alias(_name_right(number)),
        )
        both = both.unionByName(rows, allowMissingColumns=True)
    return both


def _name_right(number: int) -> str:
    """The column that holds the rows of one right side."""
    return f"__right{number}"


def _select_match_columns(right: JoinSide, name: str) -> list[Column]:
    """The columns of a match, null where it is too old."""
    row = F.col(f"{name}.row")
    if right.ttl is not None:
        age = F.col("__at") - row[right.time or ""]
        row = F.when(age <= right.ttl, row)
    return [row[column].alias(column) for column in right.frame.columns]


def _find_match_event(right: JoinSide, event: Column) -> Column:
    """The last event, or the greatest where events need not become known in their own order."""
    if right.known_from and right.time:
        return F.max_by(event, event["order"])
    return F.last(event, ignorenulls=True)


def join_latest_by_key(left: JoinSide, right: JoinSide) -> DataFrame:
    """The left rows*, each with the right row of its key that has the greatest event time.

    Of equal ones it is the last ingested.
    """
    newest = F.max_by(F.struct("*"), right.sort_key).alias("__right")
    candidates = right.drop_unmatchable().groupBy(*_select_keys(right)).agg(newest)
    conditions = []
    for number, key in enumerate(left.keys):
        left_key = left.frame[key]
        conditions.append(left_key == candidates[f"__k{number}"])
    joined = left.frame.join(candidates, on=conditions, how="left")
    return joined.select(*left.frame.columns, "__right.*")


def _select_keys(side: JoinSide) -> list[Column]:
    return [F.col(key).alias(f"__k{number}") for number, key in enumerate(side.keys)]
