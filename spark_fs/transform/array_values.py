"""Arrow columns as arrays of doubles, and arrays as columns that keep the nulls of another.

NumPy and pyarrow are imported when they are needed: an entry is served without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


def to_zero_filled_doubles(column: pa.ChunkedArray, type_: str) -> npt.NDArray[np.float64]:
    """The values of a feature type as doubles, 0 for a null.

    A decimal goes through Python, which rounds it once; Arrow may round it twice.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if type_.startswith("decimal"):
        values = [0.0 if value is None else float(value) for value in column.to_pylist()]
        return np.array(values, np.float64)
    column = column.cast(pa.float64(), safe=False)
    if column.null_count:
        column = pc.fill_null(column, 0.0)
    doubles: npt.NDArray[np.float64] = column.to_numpy()
    return doubles


def to_masked_column(
    values: npt.NDArray[Any], column: pa.ChunkedArray, type_: pa.DataType
) -> pa.ChunkedArray:
    """The values as a column of this type that is null where another column is."""
    import pyarrow as pa

    mask = column.is_null().to_numpy() if column.null_count else None
    return pa.chunked_array([pa.array(values, type_, mask=mask)], type_)
