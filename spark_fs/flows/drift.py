"""Compare rows with reference rows, feature by feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.base.dataframes import is_spark_frame
from spark_fs.base.times import Interval, is_epoch, to_micros
from spark_fs.engine.engines import Engines
from spark_fs.engine.profile.column_states import ColumnStates
from spark_fs.engine.scan.file_times import may_contain_event_time
from spark_fs.errors import NotFoundError, SchemaError, SettingsError
from spark_fs.flows.profile_rows import RowSource
from spark_fs.spec.comparison import DriftReport, FeatureDrift
from spark_fs.stats.column_values import get_column_kind
from spark_fs.stats.distances import measure_drift
from spark_fs.tables import arrow_frames
from spark_fs.tables.commits import NO_TABLE
from spark_fs.tables.table import GroupTable


@dataclass(frozen=True)
class DriftSample:
    """One side of a comparison: the states of its columns, and its name in words."""

    states: ColumnStates
    label: str

    @property
    def row_count(self) -> int:
        """How many rows it has."""
        return max((column.rows for column in self.states.values()), default=0)


def resolve_sample(
    engines: Engines, table: GroupTable, window_or_frame: Any, types: Mapping[str, str]
) -> DriftSample:
    """The rows that a user means, eagerly: two times, the numbers of two commits, or a frame.

    Args:
        engines: What may read the rows.
        table: The group's table.
        window_or_frame: Times (start, end) for rows of start <= event time < end, numbers of
            commits (first, last) for what was written after the first, up to the last, or a frame.
        types: The columns that are compared, with their types.

    Raises:
        SettingsError: It is none of these, or there are no such rows.
        NotFoundError: A frame lacks a column.
        SchemaError: A column of a frame is of another type.
    """
    if is_frame(window_or_frame):
        return profile_frame(engines, window_or_frame, types, "a batch")
    if isinstance(window_or_frame, tuple | list) and len(window_or_frame) == 2:
        start, end = window_or_frame
        if _is_commit(start) and _is_commit(end):
            return _profile_commits(engines, table, (start, end), types)
        interval = Interval.from_bounds(start, end)
        return _profile_window(engines, table, interval, types)
    raise SettingsError(
        f"{window_or_frame!r} names no rows to compare: give (start, end) as times for rows of"
        " start <= event time < end, (first, last) as numbers of commits for what was written"
        " after the first, up to the last, or a DataFrame."
    )


def _is_commit(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and not is_epoch(value)


def compare_samples(
    reference: DriftSample, current: DriftSample, thresholds: Mapping[str, float]
) -> DriftReport:
    """How far the features of one sample have moved from those of another.

    Args:
        reference: The rows that are compared with.
        current: The rows that may have moved.
        thresholds: By the name of a measure, above which value a feature has drifted.

    Raises:
        SettingsError: A sample has no rows.
    """
    for sample in (reference, current):
        if not sample.row_count:
            raise SettingsError(
                f"There are no rows in {sample.label}, so nothing can be compared: choose another"
                " window."
            )
    features = []
    for name, column in reference.states.items():
        if name in current.states and get_column_kind(column.type) != "nested":
            measures = measure_drift(column, current.states[name])
            features.append(FeatureDrift.from_measures(name, measures, thresholds))
    row_counts = (reference.row_count, current.row_count)
    return DriftReport(
        reference.label, current.label, row_counts, dict(thresholds), tuple(features)
    )


def is_frame(value: Any) -> bool:
    """Whether it is a frame whose rows can be compared."""
    return is_spark_frame(value) or arrow_frames.is_frame(value)


def read_frame(value: Any, types: Mapping[str, str]) -> Any:
    """A frame of polars, Arrow or a list of dicts as an Arrow table; what is no frame as it is.

    A reader gives its rows once, and these are looked at more than once. Names of columns are
    brought to lower snake case.
    """
    if not is_frame(value):
        return value
    if is_spark_frame(value):
        return value.toDF(*arrow_frames.normalize_column_names(value.columns))
    if isinstance(value, pd.DataFrame):
        return value.set_axis(arrow_frames.normalize_column_names(value.columns), axis=1)
    return arrow_frames.read_table(value, types)


def list_columns(data: Any) -> list[str]:
    """The names of a frame's columns."""
    return list(data.column_names if isinstance(data, pa.Table) else data.columns)


def profile_frame(engines: Engines, data: Any, types: Mapping[str, str], label: str) -> DriftSample:
    """The rows of a frame, eagerly.

    Args:
        engines: What may read the rows.
        data: A pandas or Spark DataFrame, or an Arrow table.
        types: The columns that are compared, with their types.
        label: What the rows are, in words.

    Raises:
        NotFoundError: The frame lacks a column.
        SchemaError: A column is of another type.
    """
    frame_columns = list_columns(data)
    for name in types:
        if name not in frame_columns:
            advice = "Add it, or compare other features."
            raise NotFoundError.for_name("Column of the frame", name, frame_columns, advice)
    if is_spark_frame(data):
        from spark_fs.flows.spark_profile import cast_columns

        frame = cast_columns(data, types)
        source = RowSource(engines, types, get_frame=lambda: frame)
    else:
        source = RowSource(engines, types, table=_cast_columns(data, types))
    return DriftSample(source.compute_states(), label)


def _cast_columns(data: Any, types: Mapping[str, str]) -> pa.Table:
    """The columns of a pandas DataFrame or an Arrow table, in these types."""
    table = arrow_frames.to_arrow(data, types).select(list(types))
    try:
        return table.cast(arrow_types.to_arrow_schema(types))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(
            f"The frame's columns are not of the types {dict(types)}: {error}. Cast them first."
        ) from None


def _profile_window(
    engines: Engines, table: GroupTable, interval: Interval, types: Mapping[str, str]
) -> DriftSample:
    group = table.group
    event_time = group.event_time
    if event_time is None:
        raise SettingsError(
            f"Feature group {group} has no event time, so {interval} names no rows of it: compare"
            " commits or frames."
        )
    source = None
    if not group.keep_corrections:
        source = _scan_window(engines, table, interval, event_time, types)
    if source is None:
        from spark_fs.flows.spark_profile import read_window

        source = RowSource(
            engines, types, get_frame=lambda: read_window(table, interval, event_time, types)
        )
    return DriftSample(source.compute_states(), f"rows of {interval}")


def _scan_window(
    engines: Engines,
    table: GroupTable,
    interval: Interval,
    event_time: str,
    types: Mapping[str, str],
) -> RowSource | None:
    """The rows of an interval, in files that workers read; None where only Spark reads them."""
    start = None if interval.start is None else to_micros(interval.start)
    end = None if interval.end is None else to_micros(interval.end)
    bounds = (start, end)
    group = table.group
    files = [file for file in table.list_files() if may_contain_event_time(file, group, bounds)]
    scanned_types = {**types, event_time: group.get_column_type(event_time)}
    source = RowSource.from_files(engines, table, files, scanned_types)
    if source is None or source.scan is None:
        return None
    scan = replace(source.scan, event_time=event_time, event_time_bounds=bounds)
    return RowSource(engines, types, scan)


def _profile_commits(
    engines: Engines, table: GroupTable, commit_range: tuple[int, int], types: Mapping[str, str]
) -> DriftSample:
    """The rows that were written after the first commit, up to the last, eagerly."""
    start, end = commit_range
    first = _resolve_commit(table, start)
    last = _resolve_commit(table, end)
    if last <= first:
        raise SettingsError(
            f"There are no commits after {first} up to {last}: the last must be greater than the"
            " first."
        )
    source = open_written_rows(engines, table, (first, last), types)
    return DriftSample(source.compute_states(), f"commits {first + 1} to {last}")


def open_written_rows(
    engines: Engines, table: GroupTable, commit_range: tuple[int, int], types: Mapping[str, str]
) -> RowSource:
    """The rows that were written after the first commit of a range, up to its last.

    Args:
        engines: What may read the rows.
        table: The group's table.
        commit_range: The two commits; the first may be that before all others.
        types: The columns that are read, with their types.
    """
    first, last = commit_range
    files = table.list_added_files(first + 1, last)
    source = None
    if files is not None:
        source = RowSource.from_files(engines, table, files, types)
    if source is not None:
        return source
    from spark_fs.flows.spark_profile import read_written

    before = None if first == NO_TABLE else first
    return RowSource(engines, types, get_frame=lambda: read_written(table, before, last, types))


def _resolve_commit(table: GroupTable, commit: int) -> int:
    """A commit that the log has; that before the first is one too."""
    if commit == NO_TABLE:
        return commit
    return table.resolve_version(commit)
