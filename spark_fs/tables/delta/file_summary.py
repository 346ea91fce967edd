"""What Delta's log says of a data file: its rows, their nulls, and the bounds of their values.

In the JSON that Delta's own writer makes, so that files are skipped by it as by Delta's. A column
without bounds is never skipped by, so a bound that cannot be written is left out.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PREFIX_LENGTH = 32  # characters of a string
_ASCII_MAX = "\x7f"
_UNICODE_MAX = "\U0010ffff"
_FIRST_LONG_CHARACTER = 0x10000  # from here on Java counts two


class FileSummary:
    """The statistics of one data file, of whose rows it is told as they are written."""

    def __init__(self, schema: pa.Schema, indexed_columns: int) -> None:
        self.row_count = 0
        self._fields = [schema.field(i) for i in range(min(indexed_columns, len(schema)))]
        self._null_counts = {field.name: 0 for field in self._fields}
        self._bounds: dict[str, list[pa.Array]] = {}

    def add_rows(self, table: pa.Table) -> None:
        """Note more rows of the file."""
        self.row_count += table.num_rows
        for field in self._fields:
            column = table.column(field.name)
            self._null_counts[field.name] += column.null_count
            if _find_formatter(field.type) and column.null_count < len(column):
                least, greatest = _find_bounds(column)
                bounds = pa.array([least, greatest], field.type)
                self._bounds.setdefault(field.name, []).append(bounds)

    def to_json(self) -> str:
        """As the log has it."""
        least_values = {}
        greatest_values = {}
        for field in self._fields:
            formatter = _find_formatter(field.type)
            if formatter is None or field.name not in self._bounds:
                continue
            bounds = _find_bounds(pa.chunked_array(self._bounds[field.name]))
            least, greatest = _format_bounds(bounds, formatter)
            if least is not None and greatest is not None:
                least_values[field.name] = least
                greatest_values[field.name] = greatest
        null_counts = {name: str(count) for name, count in self._null_counts.items()}
        return _join_members(
            {
                "numRecords": str(self.row_count),
                "minValues": _join_members(least_values),
                "maxValues": _join_members(greatest_values),
                "nullCount": _join_members(null_counts),
            }
        )


def _join_members(members: Mapping[str, str]) -> str:
    """A JSON object whose values are JSON already, so that decimals keep their digits."""
    listed = ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items())
    return f"{{{listed}}}"


def _find_bounds(column: pa.ChunkedArray) -> tuple[pa.Scalar, pa.Scalar]:
    """The least and the greatest value that is not null; NaN is the greatest, as in Spark."""
    if not pa.types.is_floating(column.type):
        bounds = pc.min_max(column)
        return bounds["min"], bounds["max"]
    least, greatest = _find_number_bounds(column)
    if not math.isnan(greatest):
        return pa.scalar(least, column.type), pa.scalar(greatest, column.type)
    is_nan = pc.is_nan(column)
    nan = pa.scalar(math.nan, column.type)
    least = pc.min(column.filter(pc.invert(is_nan)))
    return (least if least.is_valid else nan), nan


def _find_number_bounds(column: pa.ChunkedArray) -> tuple[float, float]:
    """The least and the greatest fraction, NaN where there is one.

    By NumPy, which takes a quarter of Arrow's time for them, and half where there are nulls.
    """
    bounds = []
    for chunk in column.chunks:
        if chunk.null_count < len(chunk):
            values = chunk.fill_null(pc.first(chunk)).to_numpy(zero_copy_only=False)
            bounds += [values.min(), values.max()]
    return np.min(bounds), np.max(bounds)


def _format_bounds(
    bounds: tuple[pa.Scalar, pa.Scalar], formatter: Callable[[Any, bool], str]
) -> tuple[str | None, str | None]:
    try:
        least = formatter(bounds[0].as_py(), False)
        greatest = formatter(bounds[1].as_py(), True)
    except (OverflowError, ValueError):  # an instant of a year that Python cannot name
        return None, None
    return least, greatest


def _find_formatter(type_: pa.DataType) -> Callable[[Any, bool], str] | None:
    """What makes JSON of a bound, told whether it is the greatest; None for other types."""
    for is_type, formatter in _FORMATTERS:
        if is_type(type_):
            return formatter
    return None


def _format_integer(value: int, _: bool) -> str:
    return str(value)


def _format_double(value: float, _: bool) -> str:
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    return repr(value)


def _format_float(value: float, is_greatest: bool) -> str:
    if not math.isfinite(value):
        return _format_double(value, is_greatest)
    return str(np.float32(value))


def _format_decimal(value: Any, _: bool) -> str:
    return f"{value:f}"


def _format_date(value: Any, _: bool) -> str:
    return f'"{value.isoformat()}"'


def _format_timestamp(value: Any, _: bool) -> str:
    """In whole milliseconds, rounded down, the greatest too, as Delta does and expects."""
    text = value.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return f'"{text}Z"'


def _format_string(value: str, is_greatest: bool) -> str:
    text = truncate_greatest(value) if is_greatest else value[:_PREFIX_LENGTH]
    return json.dumps(text, ensure_ascii=False)


_FORMATTERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, bool], str]], ...] = (
    (pa.types.is_integer, _format_integer),
    (pa.types.is_float64, _format_double),
    (pa.types.is_float32, _format_float),
    (pa.types.is_decimal, _format_decimal),
    (pa.types.is_date, _format_date),
    (pa.types.is_timestamp, _format_timestamp),
    (pa.types.is_string, _format_string),
)


def truncate_greatest(text: str) -> str:
    """A string's beginning and one character more, which together are not below it."""
    for position in range(_find_prefix_end(text), len(text)):
        if text[position] < _ASCII_MAX:
            return text[:position] + _ASCII_MAX
        if text[position] < _UNICODE_MAX:
            return text[:position] + _UNICODE_MAX
    return text


def _find_prefix_end(text: str) -> int:
    """Where the beginning of a string ends by Java's count, in which some characters are two."""
    length = 0
    for position, character in enumerate(text):
        if length >= _PREFIX_LENGTH:
            return position
        length += 2 if ord(character) >= _FIRST_LONG_CHARACTER else 1
    return len(text)


class FileStatistics(NamedTuple):
    """What the statistics of several files say of all of them together; see ``StagedFiles``."""

    row_count: int
    null_counts: dict[str, int]
    bounds: dict[str, tuple[Any, Any]]
    partitions: dict[str, set[str | None]]


def sum_statistics(add_actions: Sequence[Mapping[str, Any]]) -> FileStatistics:
    """What the ``add`` actions of files say of all of them."""
    row_count = 0
    null_counts = Counter[str]()
    lows = defaultdict[str, list[Any]](list)
    highs = defaultdict[str, list[Any]](list)
    partitions = defaultdict[str, set[str | None]](set)
    for add in add_actions:
        stats = json.loads(add["stats"])
        row_count += stats["numRecords"]
        for name, count in stats.get("nullCount", {}).items():
            if isinstance(count, int):  # of a struct it is a mapping
                null_counts[name] += count
        for name, value in stats.get("minValues", {}).items():
            lows[name].append(value)
        for name, value in stats.get("maxValues", {}).items():
            highs[name].append(value)
        for name, value in add["partitionValues"].items():
            partitions[name].add(value)
            if value is None:
                null_counts[name] += stats["numRecords"]
    return FileStatistics(
        row_count, dict(null_counts), _merge_bounds(lows, highs), dict(partitions)
    )


def _merge_bounds(
    lows: Mapping[str, list[Any]], highs: Mapping[str, list[Any]]
) -> dict[str, tuple[Any, Any]]:
    bounds = {}
    for name, low in lows.items():
        high = highs[name]
        # a file without the one has a value that no bound of the others holds for
        if len(low) == len(high) and _is_comparable(low + high):
            bounds[name] = (min(low), max(high))
    return bounds


def _is_comparable(values: Sequence[Any]) -> bool:
    """Whether the values are all strings or all numbers.

    Those of a struct are a mapping, and an infinity is a string among numbers.
    """
    if isinstance(values[0], dict):
        return False
    return len({isinstance(value, str) for value in values}) == 1
