"""The point-in-time match as one union and one window of plain Spark SQL: the reference for the other ways.

It needs no Python on the executors and spills like any sort. For each left row the window holds
every candidate of its key up to its own instant, and takes the last one of each right side: the
greatest event time not after the left row's, and of equal ones the last ingested. So each left row
comes out exactly once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F


@dataclass(frozen=True)
class JoinSide:
    """A frame with its key columns and, where it has one, the name of its event time in microseconds.

    Of a right side: what decides between rows of one key and time, the instant in microseconds from
    which a row was known (None: always), and the greatest age of a match in microseconds.
    """

    frame: DataFrame
    keys: Sequence[str]
    time: str | None = None
    tie_breakers: Sequence[str] = ()
    known_from: str | None = None
    ttl: int | None = None

    def drop_unmatchable(self) -> DataFrame:
        """The rows* that can match at all: a null key or event time equals nothing."""
        return self.frame.dropna(subset=[*self.keys, *([self.time] if self.time else [])])

    @property
    def sort_key(self) -> Column:
        """What is greatest in the match among several."""
        return F.struct(
            *map(F.col, [*([self.time] if self.time else []), *self.tie_breakers]), F.lit(0)
        )


def join_point_in_time(left: JoinSide, rights: Sequence[JoinSide]) -> DataFrame:
    """The left rows*, each with the columns of its match on every right side, null where there is none, or none young enough."""
    both = left.frame.select(
        *_select_keys(left),
        F.col(left.time or "").alias("__at"),
        F.lit(1).alias("__side"),
        F.struct("*").alias("__left"),
    )
    for number, right in enumerate(rights):
        event = F.struct(right.sort_key.alias("order"), F.struct("*").alias("row")).alias(
            f"__right{number}"
        )
        at = (
            F.greatest(right.known_from, right.time)
            if right.known_from and right.time
            else F.col(right.known_from or right.time or "")
        )
        rows = right.drop_unmatchable().select(
            *_select_keys(right), at.alias("__at"), F.lit(0).alias("__side"), event
        )
        both = both.unionByName(rows, allowMissingColumns=True)
    ties = [F.col(f"__right{n}.order") for n, right in enumerate(rights) if right.tie_breakers]
    keys = [f"__k{i}" for i in range(len(left.keys))]
    seen = (
        Window.partitionBy(*keys)
        .orderBy("__at", "__side", *ties)
        .rowsBetween(Window.unboundedPreceding, Window.currentRow)
    )
    found = {
        f"__right{n}": _find_match_event(right, F.col(f"__right{n}")).over(seen)
        for n, right in enumerate(rights)
    }
    matched = both.withColumns(found).filter(F.col("__side") == 1)
    return matched.select(
        "__left.*",
        *(c for n, right in enumerate(rights) for c in _select_match_columns(right, f"__right{n}")),
    )


def _select_match_columns(right: JoinSide, name: str) -> list[Column]:
    """The columns of a match, null where it is too old."""
    row = F.col(f"{name}.row")
    if right.ttl is not None:
        row = F.when(F.col("__at") - row[right.time or ""] <= right.ttl, row)
    return [row[column].alias(column) for column in right.frame.columns]


def _find_match_event(right: JoinSide, event: Column) -> Column:
    """The last event, or of events that became known in another order than they happened the greatest."""
    return (
        F.max_by(event, event["order"])
        if right.known_from and right.time
        else F.last(event, ignorenulls=True)
    )


def join_latest_by_key(left: JoinSide, right: JoinSide) -> DataFrame:
    """The left rows*, each with the one right row of its key: the greatest event time, of equal ones the last ingested."""
    newest = F.max_by(F.struct("*"), right.sort_key).alias("__right")
    candidates = right.drop_unmatchable().groupBy(*_select_keys(right)).agg(newest)
    on = [left.frame[mine] == candidates[f"__k{i}"] for i, mine in enumerate(left.keys)]
    return left.frame.join(candidates, on=on, how="left").select(*left.frame.columns, "__right.*")


def _select_keys(side: JoinSide) -> list[Column]:
    return [F.col(key).alias(f"__k{i}") for i, key in enumerate(side.keys)]
