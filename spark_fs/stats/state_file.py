"""States of columns as an Arrow table, a row for each: how workers hand them over, and in files.

Reading one runs no code, as a pickle would. A file says in which format it is, and one of another
format is made again of the rows: see ``tables.statistics_files``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from spark_fs.base import json_values, types
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.sketches.distinct import DistinctSketch, FrequentStrings
from spark_fs.stats.sketches.quantiles import QuantileSketch


@dataclass(frozen=True)
class _StoredColumn:
    """A column of the table: its name, what it holds of a state, and its type.

    Numbers of a sketch are arrays, which need no way through Python objects: their type is None,
    and follows from the arrays.
    """

    name: str
    get: Callable[[ColumnState], Any]
    type: pa.DataType | None = None


_STORED_COLUMNS = (
    _StoredColumn("type", lambda state: state.type, pa.string()),
    _StoredColumn("rows", lambda state: state.rows, pa.int64()),
    _StoredColumn("nulls", lambda state: state.nulls, pa.int64()),
    _StoredColumn("nans", lambda state: state.nans, pa.int64()),
    _StoredColumn("above", lambda state: state.above, pa.int64()),
    _StoredColumn("below", lambda state: state.below, pa.int64()),
    _StoredColumn("low", lambda state: _format_value(state.low), pa.string()),
    _StoredColumn("high", lambda state: _format_value(state.high), pa.string()),
    _StoredColumn("total", lambda state: f"{state.total:x}", pa.string()),
    _StoredColumn("squares", lambda state: f"{state.squares:x}", pa.string()),
    _StoredColumn("levels", lambda state: _get_level_lengths(state.quantiles)),
    _StoredColumn("values", lambda state: _concatenate_levels(state.quantiles)),
    _StoredColumn("whole", lambda state: _select_dtype(state.distinct.values, np.int64)),
    _StoredColumn("fractions", lambda state: _select_dtype(state.distinct.values, np.float64)),
    _StoredColumn(
        "texts",
        lambda state: _select_dtype(state.distinct.values, object).tolist(),
        pa.list_(pa.string()),
    ),
    _StoredColumn("counts", lambda state: state.distinct.counts),
    _StoredColumn("distinct_rows", lambda state: state.distinct.rows, pa.int64()),
    _StoredColumn("frequent", lambda state: list(state.frequent.row_counts), pa.list_(pa.string())),
    _StoredColumn(
        "frequent_rows",
        lambda state: list(state.frequent.row_counts.values()),
        pa.list_(pa.int64()),
    ),
    _StoredColumn("slack", lambda state: state.frequent.error_bound, pa.int64()),
    _StoredColumn("days", lambda state: list(state.days), pa.list_(pa.int64())),
    _StoredColumn("day_rows", lambda state: list(state.days.values()), pa.list_(pa.int64())),
)


def pack_states(states: Mapping[str, ColumnState]) -> pa.Table:
    """The table of states by the names of their columns."""
    packed: dict[str, pa.Array] = {"name": pa.array(list(states), pa.string())}
    for column in _STORED_COLUMNS:
        values = [column.get(state) for state in states.values()]
        if column.type is None:
            packed[column.name] = _to_list_array(values)
        else:
            packed[column.name] = pa.array(values, column.type)
    return pa.table(packed)


def unpack_states(table: pa.Table) -> dict[str, ColumnState]:
    """The states of a table that ``pack_states`` made."""
    columns: dict[str, list[Any]] = {"name": table.column("name").to_pylist()}
    for column in _STORED_COLUMNS:
        stored = table.column(column.name)
        if column.type is None:
            columns[column.name] = _split_list_array(stored)
        else:
            columns[column.name] = stored.to_pylist()
    states: dict[str, ColumnState] = {}
    for row, name in enumerate(columns["name"]):
        states[name] = _build_state({key: values[row] for key, values in columns.items()})
    return states


def _build_state(stored: Mapping[str, Any]) -> ColumnState:
    """The state of one row of the table."""
    type_ = stored["type"]
    distinct_values = _choose_distinct_values(stored)
    frequent = dict(zip(stored["frequent"], stored["frequent_rows"], strict=True))
    return ColumnState(
        type=type_,
        rows=stored["rows"],
        nulls=stored["nulls"],
        nans=stored["nans"],
        above=stored["above"],
        below=stored["below"],
        low=_parse_value(type_, stored["low"]),
        high=_parse_value(type_, stored["high"]),
        total=int(stored["total"], 16),
        squares=int(stored["squares"], 16),
        quantiles=QuantileSketch(_split_levels(stored["values"], stored["levels"])),
        distinct=DistinctSketch(distinct_values, stored["counts"], stored["distinct_rows"]),
        frequent=FrequentStrings(frequent, stored["slack"]),
        days=dict(zip(stored["days"], stored["day_rows"], strict=True)),
    )


def _choose_distinct_values(stored: Mapping[str, Any]) -> Any:
    """The distinct values from the column of their type; integers where there are none."""
    if stored["texts"]:
        return np.array(stored["texts"], object)
    for name in ("fractions", "whole"):
        if len(stored[name]):
            return stored[name]
    return np.empty(0, np.int64)


def to_bytes(table: pa.Table) -> bytes:
    """An Arrow table as a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_bytes(data: bytes | pa.Buffer) -> pa.Table:
    """The table of a stream."""
    with pa.ipc.open_stream(data) as stream:
        return stream.read_all()


def _select_dtype(values: Any, dtype: Any) -> Any:
    """The values where they are of this type; none where they are of another."""
    return values if values.dtype == dtype else np.empty(0, dtype)


def _get_level_lengths(sketch: QuantileSketch) -> Any:
    return np.array([len(level) for level in sketch.levels], np.int64)


def _concatenate_levels(sketch: QuantileSketch) -> Any:
    return np.concatenate([np.empty(0), *sketch.levels])


def _split_levels(values: Any, lengths: Any) -> tuple[Any, ...]:
    return tuple(np.split(values, np.cumsum(lengths)[:-1])) if len(lengths) else ()


def _to_list_array(arrays: Sequence[Any]) -> pa.ListArray:
    offsets = np.cumsum([0, *map(len, arrays)])
    flat = np.concatenate(arrays) if arrays else np.empty(0)
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat))


def _split_list_array(column: pa.ChunkedArray) -> list[Any]:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    flat = array.values.to_numpy()
    offsets = array.offsets.to_numpy()
    return [flat[start:end] for start, end in pairwise(offsets)]


def _format_value(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float | int):
        return repr(value)
    return str(json_values.to_json(value))


def _parse_value(type_: str, text: str | None) -> Any:
    if text is None or type_ == "string":
        return text
    if type_ == "boolean":
        return text == "True"
    if types.get_base_type(type_) in types.INTEGERS:
        return int(text)
    return json_values.from_json(type_, text)
