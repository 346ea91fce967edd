"""States of columns as an Arrow table, a row for each: how workers hand them over, and how they are kept.

Reading one runs no code, as a pickle would.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from spark_fs import json_values, types
from spark_fs.stats.column import Column
from spark_fs.stats.distinct import Distinct, Frequent
from spark_fs.stats.quantiles import Quantiles

_ARRAYS = ("levels", "values", "whole", "fractions", "counts")
_PLAIN = ("type", "rows", "nulls", "nans", "above", "below")


def packed(columns: Mapping[str, Column]) -> pa.Table:
    """The states, by the names of their columns."""
    held = list(columns.values())
    distinct = [column.distinct for column in held]
    texts = [each.values.tolist() if each.values.dtype == object else [] for each in distinct]
    found: dict[str, Any] = {"name": pa.array(list(columns), pa.string())}
    found |= {name: pa.array([getattr(column, name) for column in held]) for name in _PLAIN}
    found |= {name: pa.array([_text(getattr(column, name)) for column in held], pa.string()) for name in ("low", "high")}
    found |= {name: pa.array([f"{getattr(column, name):x}" for column in held]) for name in ("total", "squares")}
    found |= {
        "levels": _lists([np.array([len(level) for level in column.quantiles.levels], np.int64) for column in held]),
        "values": _lists([np.concatenate([np.empty(0), *column.quantiles.levels]) for column in held]),
        "whole": _lists([_of(each.values, np.int64) for each in distinct]),
        "fractions": _lists([_of(each.values, np.float64) for each in distinct]),
        "texts": pa.array(texts, pa.list_(pa.string())),
        "counts": _lists([each.counts for each in distinct]),
        "distinct_rows": pa.array([each.rows for each in distinct], pa.int64()),
        "frequent": pa.array([list(column.frequent.rows) for column in held], pa.list_(pa.string())),
        "frequent_rows": pa.array([list(column.frequent.rows.values()) for column in held], pa.list_(pa.int64())),
        "slack": pa.array([column.frequent.slack for column in held], pa.int64()),
        "days": pa.array([list(column.days) for column in held], pa.list_(pa.int64())),
        "day_rows": pa.array([list(column.days.values()) for column in held], pa.list_(pa.int64())),
    }
    return pa.table(found)


def unpacked(table: pa.Table) -> dict[str, Column]:
    """The states that ``packed`` gave."""
    plain = {name: table.column(name).to_pylist() for name in table.column_names if name not in _ARRAYS}
    numbers = {name: _arrays(table.column(name)) for name in _ARRAYS}
    found = {}
    for row, name in enumerate(plain["name"]):
        type_ = plain["type"][row]
        held: Any = np.array(plain["texts"][row], object) if plain["texts"][row] else None
        if held is None:
            held = next((numbers[kind][row] for kind in ("fractions", "whole") if len(numbers[kind][row])), np.empty(0, np.int64))
        found[name] = Column(
            **{each: plain[each][row] for each in _PLAIN}, low=_value(type_, plain["low"][row]), high=_value(type_, plain["high"][row]),
            total=int(plain["total"][row], 16), squares=int(plain["squares"][row], 16),
            quantiles=Quantiles(_split(numbers["values"][row], numbers["levels"][row])),
            distinct=Distinct(held, numbers["counts"][row], plain["distinct_rows"][row]),
            frequent=Frequent(dict(zip(plain["frequent"][row], plain["frequent_rows"][row], strict=True)), plain["slack"][row]),
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


def _of(values: Any, dtype: Any) -> Any:
    return values if values.dtype == dtype else np.empty(0, dtype)


def _lists(arrays: Sequence[Any]) -> pa.ListArray:
    offsets = np.cumsum([0, *map(len, arrays)])
    flat = np.concatenate(arrays) if arrays else np.empty(0)
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat))


def _arrays(column: pa.ChunkedArray) -> list[Any]:
    whole = column.combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    flat, offsets = whole.values.to_numpy(), whole.offsets.to_numpy()
    return [flat[start:end] for start, end in pairwise(offsets)]


def _split(values: Any, lengths: Any) -> tuple[Any, ...]:
    return tuple(np.split(values, np.cumsum(lengths)[:-1])) if len(lengths) else ()


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float | int) else str(json_values.to_json(value))


def _value(type_: str, text: str | None) -> Any:
    if text is None or type_ == "string":
        return text
    if type_ == "boolean":
        return text == "True"
    return int(text) if types.base(type_) in ("tinyint", "smallint", "int", "bigint") else json_values.from_json(type_, text)
