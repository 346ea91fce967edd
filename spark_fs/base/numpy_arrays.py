"""Arrow tables as NumPy's arrays of two dimensions."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.pandas_frames import to_objects

_EXACT_INTEGERS = 1 << 53  # a double holds each integer up to this one


def to_numpy(table: pa.Table) -> npt.NDArray[Any]:
    """As an array of bool, int64 or float64, the first that holds every value, else of objects.

    In one of float64 a null is NaN; bigints that a double would round make it one of objects. These
    are Python's values, as a vector has them, and a null is None.
    """
    dtype = _choose_dtype(table)
    array = np.empty((table.num_rows, table.num_columns), dtype)
    for index, (name, column) in enumerate(zip(table.column_names, table.columns, strict=True)):
        if dtype is object:
            # NumPy would look into lists where it is given a list of them
            array[:, index] = np.fromiter(to_objects(name, column), object, len(column))
        elif dtype is float:
            array[:, index] = column.cast(pa.float64()).to_numpy()
        else:
            array[:, index] = column.to_numpy()
    return array


def _choose_dtype(table: pa.Table) -> type:
    types = table.schema.types
    if all(map(pa.types.is_boolean, types)) and not _has_nulls(table):
        return bool
    if all(map(_is_integer, types)) and not _has_nulls(table):
        return int
    if all(map(_fits_double, table.columns)):
        return float
    return object


def _has_nulls(table: pa.Table) -> bool:
    return any(column.null_count for column in table.columns)


def _is_integer(type_: pa.DataType) -> bool:
    return bool(pa.types.is_boolean(type_) or pa.types.is_integer(type_))


def _fits_double(column: pa.ChunkedArray) -> bool:
    """Whether a double holds each of its values."""
    if not pa.types.is_int64(column.type):
        return _is_integer(column.type) or bool(pa.types.is_floating(column.type))
    bounds = pc.min_max(column)
    least, greatest = bounds["min"].as_py(), bounds["max"].as_py()
    return least is None or (least >= -_EXACT_INTEGERS and greatest <= _EXACT_INTEGERS)
