"""Vectors as a caller wants them, as NumPy's arrays or as pandas.

They have the types of training data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spark_fs.base import pandas_frames
from spark_fs.base.types import INTEGERS
from spark_fs.online.vector_tables import as_arrow

_EXACT_AS_INTEGER = ("boolean", *INTEGERS)
_EXACT_AS_DOUBLE = ("boolean", "tinyint", "smallint", "int", "float", "double")


def as_numpy(columns: Mapping[str, str], vectors: Sequence[Sequence[Any]]) -> npt.NDArray[Any]:
    """A row for each vector, as bool, int64, float64 or objects.

    It is the first of these that holds all values of the feature types exactly.

    So bigints beside doubles, strings, and vectors with a null are objects: no value is rounded,
    and none becomes a string.

    Args:
        columns: The feature types of a vector's values, by name.
        vectors: The vectors.

    Returns:
        An array of two dimensions.
    """
    dtype = _choose_dtype(set(columns.values()))
    if dtype is not object and not any(value is None for vector in vectors for value in vector):
        return np.array(vectors, dtype).reshape(len(vectors), len(columns))
    array = np.empty((len(vectors), len(columns)), object)
    for row, vector in enumerate(vectors):
        for column, value in enumerate(vector):
            array[row, column] = value  # one by one: NumPy would look into lists
    return array


def _choose_dtype(feature_types: set[str]) -> type:
    if feature_types <= {"boolean"}:
        return bool
    if feature_types <= set(_EXACT_AS_INTEGER):
        return int
    return float if feature_types <= set(_EXACT_AS_DOUBLE) else object


def as_pandas(columns: Mapping[str, str], vectors: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """A row for each vector, with the types that training data has.

    Args:
        columns: The feature types of a vector's values, by name.
        vectors: The vectors.

    Returns:
        A frame with these columns.

    Raises:
        SparkFSError: A transformation gave a value of another type.
    """
    return pandas_frames.to_pandas(as_arrow(columns, vectors))
