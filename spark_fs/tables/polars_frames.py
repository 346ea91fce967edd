"""Frames of polars that a caller hands in, as Arrow tables; polars is not imported for it."""

import sys
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from spark_fs.errors import SchemaError

# Its types that are not Arrow's. Of objects Arrow would be given their addresses.
_TYPES_WITHOUT_ARROW = ("Object", "Int128", "UInt128")


def is_polars(data: Any) -> bool:
    """Whether it is a DataFrame or a LazyFrame of polars.

    Nobody has one who has not imported polars.
    """
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(data, (polars.DataFrame, polars.LazyFrame))


def to_arrow(data: Any) -> pa.Table:
    """The rows, with the types that polars gives Arrow; those of a LazyFrame are collected.

    SchemaError for a column of a type that is none of Arrow's.
    """
    frame = data.collect() if hasattr(data, "collect") else data
    for name, dtype in frame.schema.items():
        _check_dtype(name, dtype)
    return frame.to_arrow()


def _check_dtype(name: str, dtype: Any) -> None:
    base = dtype.base_type().__name__
    if base in _TYPES_WITHOUT_ARROW:
        raise SchemaError(
            f"Column {name!r} is of the polars type {base}, which has no feature type: cast it"
            " first, integers of 128 bits to Decimal."
        )
    for inner in _list_inner_dtypes(dtype):
        _check_dtype(name, inner)


def _list_inner_dtypes(dtype: Any) -> Iterable[Any]:
    """The types that a nested one is made of."""
    if hasattr(dtype, "fields"):
        return [field.dtype for field in dtype.fields]
    return [getattr(dtype, name) for name in ("inner", "key", "value") if hasattr(dtype, name)]
