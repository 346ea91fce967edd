"""Conditions and literals as Spark expressions."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from functools import reduce
from math import isinf
from operator import and_, or_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_fs.base.times import EPOCH, to_micros
from spark_fs.spec.predicates import Comparison, Condition, Logic, fold_condition


def to_spark_condition(condition: Condition, find_column: Callable[[Comparison], Column]) -> Column:
    """A condition as a Spark expression over the columns that ``find_column`` finds."""

    def compare(comparison: Comparison) -> Column:
        return _COMPARE[comparison.operator](find_column(comparison), comparison.value)

    return fold_condition(condition, compare, _COMBINE)


def drop_nulls(frame: DataFrame, names: Iterable[str]) -> DataFrame:
    """The rows* without a null in these columns; Spark's own ``dropna`` drops NaN too."""
    for name in names:
        frame = frame.filter(F.col(f"`{name}`").isNotNull())
    return frame


def to_spark_literal(value: Any) -> Column:
    """A value as Spark's literal.

    PySpark takes no infinity, and loses days of times before 1582 in the Julian calendar.
    """
    if isinstance(value, datetime):
        return F.timestamp_micros(F.lit(to_micros(value)))
    if isinstance(value, date):
        return F.date_from_unix_date(F.lit((value - EPOCH.date()).days))
    if isinstance(value, float) and isinf(value):
        return F.lit("Infinity" if value > 0 else "-Infinity").cast("double")
    return F.lit(value)


def _is_in(column: Column, values: tuple[Any, ...]) -> Column:
    if not values:
        return F.lit(False)
    return column.isin(*map(to_spark_literal, values))


_COMPARE: Mapping[str, Callable[[Column, Any], Column]] = {
    "==": lambda column, value: column == to_spark_literal(value),
    "!=": lambda column, value: column != to_spark_literal(value),
    "<": lambda column, value: column < to_spark_literal(value),
    "<=": lambda column, value: column <= to_spark_literal(value),
    ">": lambda column, value: column > to_spark_literal(value),
    ">=": lambda column, value: column >= to_spark_literal(value),
    "in": _is_in,
    "like": lambda column, value: column.like(str(value)),
    "is_null": lambda column, _: column.isNull(),
}
_COMBINE: Mapping[Logic, Callable[[list[Column]], Column]] = {
    "and": lambda parts: reduce(and_, parts),
    "or": lambda parts: reduce(or_, parts),
    "not": lambda parts: ~parts[0],
}
