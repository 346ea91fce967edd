"""Compare rows with reference rows, feature by feature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_fs.base import arrow_types
from spark_fs.base.times import Interval, to_micros
from spark_fs.base.types import to_ddl
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.engine.scan.pruning import may_contain_event_time
from spark_fs.errors import NotFoundError, SchemaError, SettingsError
from spark_fs.flows import group_rows
from spark_fs.flows.statistics import RowSource
from spark_fs.spec.comparison import DriftReport, FeatureDrift
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.stats.column_state import get_column_kind
from spark_fs.stats.distances import measure_drift
from spark_fs.tables import frames
from spark_fs.tables.delta import history
from spark_fs.tables.delta.history import NO_TABLE

SparkProvider = Callable[[], SparkSession]


@dataclass(frozen=True)
class DriftSample:
    """One side of a comparison: the states of its columns, and what it is in words."""

    states: ColumnStates
    label: str

    @property
    def row_count(self) -> int:
        """How many rows it has."""
        return max((column.rows for column in self.states.values()), default=0)


def resolve_sample(
    get_spark: SparkProvider,
    group: GroupSpec,
    path: str,
    window_or_frame: Any,
    types: Mapping[str, str],
) -> DriftSample:
    """The rows that a user means, eagerly: two times, the numbers of two commits, or a frame."""
    if is_frame(window_or_frame):
        return profile_frame(get_spark, window_or_frame, types, "a batch")
    if isinstance(window_or_frame, tuple | list) and len(window_or_frame) == 2:
        if all(isinstance(each, int) and not isinstance(each, bool) for each in window_or_frame):
            return _profile_commits(
                get_spark, group, path, (window_or_frame[0], window_or_frame[1]), types
            )
        return _profile_window(
            get_spark, group, path, Interval.from_bounds(*window_or_frame), types
        )
    raise SettingsError(
        f"{window_or_frame!r} names no rows to compare: give (start, end) as times for rows of"
        " start <= event time < end, (first, last) as numbers of commits for what was written"
        " after the first, up to the last, or a DataFrame."
    )


def compare_samples(
    reference: DriftSample, current: DriftSample, thresholds: Mapping[str, float]
) -> DriftReport:
    """How far the features of one side have moved from those of the other. Raises SettingsError for a side without rows."""
    for each in (reference, current):
        if not each.row_count:
            raise SettingsError(
                f"There are no rows in {each.label}, so nothing can be compared: choose another"
                " window."
            )
    features = [
        FeatureDrift.from_measures(name, measure_drift(column, current.states[name]), thresholds)
        for name, column in reference.states.items()
        if name in current.states and get_column_kind(column.type) != "nested"
    ]
    return DriftReport(
        reference.label,
        current.label,
        (reference.row_count, current.row_count),
        dict(thresholds),
        tuple(features),
    )


def is_frame(value: Any) -> bool:
    """Whether it is a frame whose rows can be compared."""
    return isinstance(value, pd.DataFrame | pa.Table | DataFrame)


def list_columns(data: Any) -> list[str]:
    """The names of a frame's columns."""
    return list(data.column_names if isinstance(data, pa.Table) else data.columns)


def profile_frame(
    get_spark: SparkProvider, data: Any, types: Mapping[str, str], label: str
) -> DriftSample:
    """The rows of a frame; NotFoundError where it lacks a column, SchemaError where one is of another type."""
    for name in types:
        if name not in list_columns(data):
            raise NotFoundError.for_name(
                "Column of the frame",
                name,
                list_columns(data),
                "Add it, or compare other features.",
            )
    if isinstance(data, DataFrame):
        frame = data.select(
            *(F.col(f"`{name}`").cast(to_ddl(type_)) for name, type_ in types.items())
        )
        return DriftSample(
            RowSource(get_spark, types, get_frame=lambda: frame).compute_states(), label
        )
    table = frames.to_arrow(data, types)
    try:
        cast = table.select(list(types)).cast(arrow_types.to_arrow_schema(types))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"The frame's columns are not of the types {dict(types)}: {error}. Cast them first."
        ) from None
    return DriftSample(RowSource(get_spark, types, table=cast).compute_states(), label)


def _profile_window(
    get_spark: SparkProvider,
    group: GroupSpec,
    path: str,
    interval: Interval,
    types: Mapping[str, str],
) -> DriftSample:
    time, words = group.event_time, f"rows of {interval}"
    if time is None:
        raise SettingsError(
            f"Feature group {group} has no event time, so {interval} names no rows of it: compare"
            " commits or frames."
        )
    log = history.open_log(path)
    within = tuple(
        None if when is None else to_micros(when) for when in (interval.start, interval.end)
    )
    bounds = (within[0], within[1])
    asked = {**types, time: group.get_column_type(time)}
    files = [
        file for file in history.list_data_files(log) if may_contain_event_time(file, group, bounds)
    ]
    found = None if group.keep_corrections else RowSource.from_files(get_spark, group, files, asked)
    if found is None or found.scan is None:
        frame = group_rows.read_group(
            get_spark(), group, path, log.version, with_duplicates=not group.keep_corrections
        )
        inside = [F.col(f"`{time}`") >= F.lit(interval.start)] if interval.start else []
        inside += [F.col(f"`{time}`") < F.lit(interval.end)] if interval.end else []
        for condition in inside:
            frame = frame.filter(condition)
        return DriftSample(
            RowSource(get_spark, types, get_frame=lambda: frame.select(*types)).compute_states(),
            words,
        )
    read = replace(found.scan, event_time=time, event_time_bounds=bounds)
    return DriftSample(RowSource(get_spark, types, read).compute_states(), words)


def _profile_commits(
    get_spark: SparkProvider,
    group: GroupSpec,
    path: str,
    commit_range: tuple[int, int],
    types: Mapping[str, str],
) -> DriftSample:
    log = history.open_log(path)
    first, last = (
        history.resolve_table_version(log, each) if each != NO_TABLE else each
        for each in commit_range
    )
    words = f"commits {first + 1} to {last}"
    if last <= first:
        raise SettingsError(
            f"The commits after {first} up to {last} are none: the last must be greater than the"
            " first."
        )
    files = history.list_added_files(log, first + 1, last)
    found = None if files is None else RowSource.from_files(get_spark, group, files, types)
    if found is None:
        changed = group_rows.read_changes(
            get_spark(), group, log, first if first != NO_TABLE else None, last
        )
        frame = changed.filter(F.col("_change_type").isin("insert", "update_postimage")).select(
            *types
        )
        found = RowSource(get_spark, types, get_frame=lambda: frame)
    return DriftSample(found.compute_states(), words)
