"""Vectors as Arrow's tables, with the types of training data; pandas is not loaded for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from spark_fs.base import arrow_types
from spark_fs.errors import SparkFSError


def as_arrow(columns: Mapping[str, str], vectors: Sequence[Sequence[Any]]) -> pa.Table:
    """A row for each vector, as ``as_pandas`` has them.

    Args:
        columns: The feature types of a vector's values, by name.
        vectors: The vectors.

    Returns:
        A table with these columns.

    Raises:
        SparkFSError: A transformation gave a value of another type.
    """
    schema = arrow_types.to_arrow_schema(columns)
    cells = zip(*vectors, strict=True) if vectors else ([] for _ in columns)
    arrays = [
        _build_array(name, columns[name], list(values), schema)
        for name, values in zip(columns, cells, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _build_array(name: str, type_: str, values: list[Any], schema: pa.Schema) -> pa.Array:
    try:
        return pa.array(values, schema.field(name).type)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise SparkFSError(
            f"Feature {name!r} has a value that is not a {type_}: {error}. Change what its"
            " transformation gives."
        ) from error
