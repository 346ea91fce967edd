"""Vectors in the type that a caller asks for."""

from collections.abc import Mapping, Sequence
from typing import Any

from spark_fs.base.dataframes import convert_table
from spark_fs.errors import SettingsError
from spark_fs.online import vector_frames, vector_tables

_RETURN_TYPES = "'list', 'numpy', 'pandas' or 'polars'"


def convert_vectors(
    columns: Mapping[str, str], vectors: Sequence[Sequence[Any]], return_type: str
) -> Any:
    """Vectors as a frame or an array, a row for each.

    Args:
        columns: The feature types of a vector's values, by name.
        vectors: The vectors.
        return_type: "numpy", "pandas" or "polars".

    Raises:
        SettingsError: The type is another.
        SetupError: polars is asked for and not installed.
    """
    if return_type == "numpy":
        return vector_frames.as_numpy(columns, vectors)
    if return_type == "pandas":
        return vector_frames.as_pandas(columns, vectors)
    if return_type == "polars":
        return convert_table(vector_tables.as_arrow(columns, vectors), "polars")
    raise SettingsError(f"return_type {return_type!r} is not known: use {_RETURN_TYPES}.")
