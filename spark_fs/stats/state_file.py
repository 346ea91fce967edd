"""States of columns as an Arrow table, a row for each: how workers hand them over, and how they are kept.

Reading one runs no code, as a pickle would.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from spark_fs.base import json_values, types
from spark_fs.stats.column_state import ColumnState
from spark_fs.stats.sketches.distinct import DistinctSketch, FrequentStrings
from spark_fs.stats.sketches.quantiles import QuantileSketch

_ARRAY_COLUMNS = ("levels", "values", "whole", "fractions", "counts")
_SCALAR_FIELDS = ("type", "rows", "nulls", "nans", "above", "below")


def pack_states(states: Mapping[str, ColumnState]) -> pa.Table:
    """The states, by the names of their columns."""
    held = list(states.values())
    distinct = [column.distinct for column in held]
    texts = [each.values.tolist() if each.values.dtype == object else [] for each in distinct]
    found: dict[str, Any] = {"name": pa.array(list(states), pa.string())}
    found |= {name: pa.array([getattr(column, name) for column in held]) for name in _SCALAR_FIELDS}
    found |= {
        name: pa.array([_format_value(getattr(column, name)) for column in held], pa.string())
        for name in ("low", "high")
    }
    found |= {
        name: pa.array([f"{getattr(column, name):x}" for column in held])
        for name in ("total", "squares")
    }
    found |= {
        "levels": _to_list_array(
            [
                np.array([len(level) for level in column.quantiles.levels], np.int64)
                for column in held
            ]
        ),
        "values": _to_list_array(
            [np.concatenate([np.empty(0), *column.quantiles.levels]) for column in held]
        ),
        "whole": _to_list_array([_keep_dtype(each.values, np.int64) for each in distinct]),
        "fractions": _to_list_array([_keep_dtype(each.values, np.float64) for each in distinct]),
        "texts": pa.array(texts, pa.list_(pa.string())),
        "counts": _to_list_array([each.counts for each in distinct]),
        "distinct_rows": pa.array([each.rows for each in distinct], pa.int64()),
        "frequent": pa.array(
            [list(column.frequent.row_counts) for column in held], pa.list_(pa.string())
        ),
        "frequent_rows": pa.array(
            [list(column.frequent.row_counts.values()) for column in held], pa.list_(pa.int64())
        ),
        "slack": pa.array([column.frequent.error_bound for column in held], pa.int64()),
        "days": pa.array([list(column.days) for column in held], pa.list_(pa.int64())),
        "day_rows": pa.array([list(column.days.values()) for column in held], pa.list_(pa.int64())),
    }
    return pa.table(found)


def unpack_states(table: pa.Table) -> dict[str, ColumnState]:
    """The states that ``packed`` gave."""
    plain = {
        name: table.column(name).to_pylist()
        for name in table.column_names
        if name not in _ARRAY_COLUMNS
    }
    numbers = {name: _split_list_array(table.column(name)) for name in _ARRAY_COLUMNS}
    found = {}
    for row, name in enumerate(plain["name"]):
        type_ = plain["type"][row]
        held: Any = np.array(plain["texts"][row], object) if plain["texts"][row] else None
        if held is None:
            held = next(
                (numbers[kind][row] for kind in ("fractions", "whole") if len(numbers[kind][row])),
                np.empty(0, np.int64),
            )
        found[name] = ColumnState(
            **{each: plain[each][row] for each in _SCALAR_FIELDS},
            low=_parse_value(type_, plain["low"][row]),
            high=_parse_value(type_, plain["high"][row]),
            total=int(plain["total"][row], 16),
            squares=int(plain["squares"][row], 16),
            quantiles=QuantileSketch(_split_levels(numbers["values"][row], numbers["levels"][row])),
            distinct=DistinctSketch(held, numbers["counts"][row], plain["distinct_rows"][row]),
            frequent=FrequentStrings(
                dict(zip(plain["frequent"][row], plain["frequent_rows"][row], strict=True)),
                plain["slack"][row],
            ),
            days=dict(zip(plain["days"][row], plain["day_rows"][row], strict=True)),
        )
    return found


def to_bytes(table: pa.Table) -> bytes:
    """An Arrow table as a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def from_bytes(data: bytes | pa.Buffer) -> pa.Table:
    """The table of a stream."""
    with pa.ipc.open_stream(data) as stream:
        return stream.read_all()


def _keep_dtype(values: Any, dtype: Any) -> Any:
    return values if values.dtype == dtype else np.empty(0, dtype)


def _to_list_array(arrays: Sequence[Any]) -> pa.ListArray:
    offsets = np.cumsum([0, *map(len, arrays)])
    flat = np.concatenate(arrays) if arrays else np.empty(0)
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat))


def _split_list_array(column: pa.ChunkedArray) -> list[Any]:
    whole = column.combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    flat, offsets = whole.values.to_numpy(), whole.offsets.to_numpy()
    return [flat[start:end] for start, end in pairwise(offsets)]


def _split_levels(values: Any, lengths: Any) -> tuple[Any, ...]:
    return tuple(np.split(values, np.cumsum(lengths)[:-1])) if len(lengths) else ()


def _format_value(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float | int) else str(json_values.to_json(value))


def _parse_value(type_: str, text: str | None) -> Any:
    if text is None or type_ == "string":
        return text
    if type_ == "boolean":
        return text == "True"
    return (
        int(text)
        if types.get_base_type(type_) in types.INTEGERS
        else json_values.from_json(type_, text)
    )
