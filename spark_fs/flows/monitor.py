"""Compare rows with reference rows, feature by feature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs import arrow
from spark_fs.engine.profile import States
from spark_fs.engine.reads import may_hold
from spark_fs.errors import NotFoundError, SchemaError, SettingsError
from spark_fs.flows import rows
from spark_fs.flows.statistics import Rows
from spark_fs.offline import history, sources
from spark_fs.offline.history import NO_TABLE
from spark_fs.spec.definitions import GroupSpec
from spark_fs.spec.drift import DriftReport, FeatureDrift
from spark_fs.stats.column import kind
from spark_fs.stats.drift import measured
from spark_fs.times import Interval
from spark_fs.types import ddl, to_micros

Spark = Callable[[], SparkSession]


@dataclass(frozen=True)
class Side:
    """One side of a comparison: the states of its columns, and what it is in words."""

    states: States
    words: str

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return max((column.rows for column in self.states.values()), default=0)


def side(spark: Spark, group: GroupSpec, path: str, given: Any, types: Mapping[str, str]) -> Side:
    """The rows that a user means, eagerly: two times, the numbers of two commits, or a frame."""
    if is_frame(given):
        return of_frame(spark, given, types, "a batch")
    if isinstance(given, tuple | list) and len(given) == 2:
        if all(isinstance(each, int) and not isinstance(each, bool) for each in given):
            return _commits(spark, group, path, (given[0], given[1]), types)
        return _window(spark, group, path, Interval.of(*given), types)
    raise SettingsError(
        f"{given!r} names no rows to compare: give (start, end) as times for rows of start <= event time < end, (first, last) as numbers "
        "of commits for what was written after the first, up to the last, or a DataFrame."
    )


def compared(reference: Side, current: Side, thresholds: Mapping[str, float]) -> DriftReport:
    """How far the features of one side have moved from those of the other. Raises SettingsError for a side without rows."""
    for each in (reference, current):
        if not each.rows:
            raise SettingsError(f"There are no rows in {each.words}, so nothing can be compared: choose another window.")
    features = [
        FeatureDrift.of(name, measured(column, current.states[name]), thresholds)
        for name, column in reference.states.items() if name in current.states and kind(column.type) != "nested"
    ]
    return DriftReport(reference.words, current.words, (reference.rows, current.rows), dict(thresholds), tuple(features))


def is_frame(given: Any) -> bool:
    """Whether it is a frame whose rows can be compared."""
    return isinstance(given, pd.DataFrame | pa.Table | DataFrame)


def columns_of(given: Any) -> list[str]:
    """The names of a frame's columns."""
    return list(given.column_names if isinstance(given, pa.Table) else given.columns)


def of_frame(spark: Spark, given: Any, types: Mapping[str, str], words: str) -> Side:
    """The rows of a frame; NotFoundError where it lacks a column, SchemaError where one is of another type."""
    for name in types:
        if name not in columns_of(given):
            raise NotFoundError.named("Column of the frame", name, columns_of(given), "Add it, or compare other features.")
    if isinstance(given, DataFrame):
        frame = given.select(*(F.col(f"`{name}`").cast(ddl(type_)) for name, type_ in types.items()))
        return Side(Rows(spark, types, frame=lambda: frame).states(), words)
    table = sources.to_arrow(given, types)
    try:
        cast = table.select(list(types)).cast(arrow.schema_of(types))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(f"The frame's columns are not of the types {dict(types)}: {error}. Cast them first.") from None
    return Side(Rows(spark, types, table=cast).states(), words)


def _window(spark: Spark, group: GroupSpec, path: str, interval: Interval, types: Mapping[str, str]) -> Side:
    time, words = group.event_time, f"rows of {interval}"
    if time is None:
        raise SettingsError(f"Feature group {group} has no event time, so {interval} names no rows of it: compare commits or frames.")
    log = history.look(path)
    within = tuple(None if when is None else to_micros(when) for when in (interval.start, interval.end))
    bounds = (within[0], within[1])
    asked = {**types, time: group.type_of(time)}
    files = [file for file in history.data_files(log) if may_hold(file, group, bounds)]
    found = None if group.keep_corrections else Rows.of_files(spark, group, files, asked)
    if found is None or found.scan is None:
        frame = rows.opened(spark(), group, path, log.newest, every=not group.keep_corrections)
        inside = [F.col(f"`{time}`") >= F.lit(interval.start)] if interval.start else []
        inside += [F.col(f"`{time}`") < F.lit(interval.end)] if interval.end else []
        for condition in inside:
            frame = frame.filter(condition)
        return Side(Rows(spark, types, frame=lambda: frame.select(*types)).states(), words)
    read = replace(found.scan, time=time, within=bounds)
    return Side(Rows(spark, types, read).states(), words)


def _commits(spark: Spark, group: GroupSpec, path: str, between: tuple[int, int], types: Mapping[str, str]) -> Side:
    log = history.look(path)
    first, last = (history.version_of(log, each) if each != NO_TABLE else each for each in between)
    words = f"commits {first + 1} to {last}"
    if last <= first:
        raise SettingsError(f"The commits after {first} up to {last} are none: the last must be greater than the first.")
    files = history.added_files(log, first + 1, last)
    found = None if files is None else Rows.of_files(spark, group, files, types)
    if found is None:
        changed = rows.changes(spark(), group, log, first if first != NO_TABLE else None, last)
        frame = changed.filter(F.col("_change_type").isin("insert", "update_postimage")).select(*types)
        found = Rows(spark, types, frame=lambda: frame)
    return Side(found.states(), words)
