"""Which event times a data file has, by what its table's log says."""

from datetime import date, datetime
from typing import Any

from spark_fs.base.times import MILLISECONDS_FROM, epoch_to_micros, to_micros, to_utc
from spark_fs.engine.scan.parquet import UNBOUNDED, TimeBounds
from spark_fs.spec.feature_group import GroupSpec
from spark_fs.tables.data_files import DataFile


def may_contain_event_time(file: DataFile, group: GroupSpec, event_time_bounds: TimeBounds) -> bool:
    """Whether a file may have an event time within these bounds, by what the log says of it."""
    return overlap_times(get_event_time_range(file, group, group.event_time), event_time_bounds)


def overlap_times(time_range: TimeBounds, event_time_bounds: TimeBounds) -> bool:
    """Whether an instant may lie in both; a bound that is not known leaves out none."""
    start, end = event_time_bounds
    first, behind = time_range
    if start is not None and behind is not None and behind <= start:
        return False
    return end is None or first is None or first < end


def get_event_time_range(file: DataFile, group: GroupSpec, event_time: str | None) -> TimeBounds:
    """The event times of a file, from the first up to and without the second, in microseconds.

    None: the log does not say.
    """
    if event_time is None:
        return UNBOUNDED
    type_ = group.get_column_type(event_time)
    least, greatest = _get_column_bounds(file, event_time, type_)
    if least is None or greatest is None:
        return UNBOUNDED
    if type_ in ("int", "bigint") and _mixes_units(int(least), int(greatest)):
        return UNBOUNDED
    # Of timestamps the log has milliseconds, rounded down.
    step = 1_000 if type_ == "timestamp" else 1
    first = _parse_event_time(least, type_)
    last = _parse_event_time(greatest, type_)
    return first, last + step


def _get_column_bounds(file: DataFile, column: str, type_: str) -> tuple[Any, Any]:
    """The least and the greatest value in a file, as the log writes them."""
    if column not in file.partition_values:
        return file.min_values.get(column), file.max_values.get(column)
    if type_ == "timestamp":
        return None, None
    value = file.partition_values[column]
    return value, value


def _mixes_units(least: int, greatest: int) -> bool:
    """Whether the least of these epochs is in seconds and the greatest in milliseconds."""
    return abs(least) < MILLISECONDS_FROM <= abs(greatest)


def _parse_event_time(value: Any, type_: str) -> int:
    """An event time as the log writes it, in microseconds."""
    if type_ == "timestamp":
        return to_micros(to_utc(datetime.fromisoformat(value)))
    if type_ == "date":
        return to_micros(to_utc(date.fromisoformat(value)))
    return epoch_to_micros(int(value))
