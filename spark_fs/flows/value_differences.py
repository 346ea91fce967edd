"""Which of two columns' values differ, whatever their type."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arithmetic import is_nan


def find_differing(served: pa.ChunkedArray, expected: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Which values are not the same; NaN is NaN, null is null, and -0.0 is 0.0.

    Args:
        served: Values.
        expected: As many, of the same feature type.
    """
    left = _combine(served)
    right = _combine(expected)
    if pa.types.is_nested(left.type):
        pairs = zip(left.to_pylist(), right.to_pylist(), strict=True)
        return np.array([not _is_same(*pair) for pair in pairs], bool)
    right = right.cast(left.type)
    is_equal = pc.equal(left, right)
    if pa.types.is_floating(left.type):
        are_nan = pc.and_(pc.is_nan(left), pc.is_nan(right))
        is_equal = pc.or_(is_equal, are_nan)
    both_null = pc.and_(pc.is_null(left), pc.is_null(right))
    is_same = pc.or_(pc.fill_null(is_equal, False), both_null)
    same: npt.NDArray[np.bool_] = np.asarray(is_same.to_numpy(zero_copy_only=False), bool)
    return ~same


def _combine(values: pa.ChunkedArray) -> pa.Array:
    combined = values.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def _is_same(left: Any, right: Any) -> bool:
    """Whether two values are the same, within lists, structs and maps too."""
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_is_same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_is_same(left[k], right[k]) for k in left)
    return bool(left == right) or (is_nan(left) and is_nan(right))
