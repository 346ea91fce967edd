"""Users' functions applied to Arrow columns: a value at a time, or as Series of pandas."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pyarrow as pa

from spark_fs.base.arrow_types import to_arrow_type
from spark_fs.base.times import from_micros
from spark_fs.errors import SparkFSError
from spark_fs.spec.transformation import FunctionSpec
from spark_fs.transform.binding import Transformation
from spark_fs.transform.functions import load_function, make_value_function

# so that the type of a Series does not depend on whether a null is in it
_SERIES_DTYPES: Mapping[pa.DataType, str] = {
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.bool_(): "boolean",
}


def apply_row_by_row(
    transformation: Transformation, columns: Sequence[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    """The outputs of a function in mode "python", of the columns of its features."""
    run = make_value_function(transformation.function, transformation.state)
    rows = [run(*values) for values in zip(*map(_to_python_values, columns), strict=True)]
    outputs: list[Sequence[Any]] = list(zip(*rows, strict=True))
    if not rows:
        outputs = [()] * len(transformation.outputs)
    return _build_columns(transformation, [list(values) for values in outputs])


def apply_in_pandas(
    transformation: Transformation, columns: Sequence[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    """The outputs of a function in mode "pandas" or "default", of the columns of its features.

    Raises:
        SparkFSError: where it fails, or gives other than a Series of as many rows for each output.
    """
    features = transformation.spec.features
    series = [
        _to_series(column, feature) for column, feature in zip(columns, features, strict=True)
    ]
    return _call_with_series(
        transformation, load_function(transformation.function, transformation.state), series
    )


def _call_with_series(
    transformation: Transformation, call: Callable[..., Any], series: Sequence[Any]
) -> list[pa.ChunkedArray]:
    try:
        result = call(*series)
    except Exception as error:
        raise SparkFSError(
            f"Transformation {transformation.function} failed: {type(error).__name__}: {error}. It"
            " takes and gives pandas Series; one of single values is declared with mode='python'."
        ) from error
    outputs = _list_outputs(result, len(transformation.outputs))
    _check_outputs(transformation, outputs, len(series[0]))
    return _build_columns(transformation, outputs)


def make_pandas_row_function(transformation: Transformation) -> Callable[..., list[Any]]:
    """A function of Series for one entry: its values as Series of one row."""
    features = transformation.spec.features
    types = [to_arrow_type(type_) for type_ in transformation.types]
    call = load_function(transformation.function, transformation.state)

    def run_row(*values: Any) -> list[Any]:
        series = []
        for value, type_, feature in zip(values, types, features, strict=True):
            column = pa.chunked_array([pa.array([value], type_)])
            series.append(_to_series(column, feature))
        outputs = _call_with_series(transformation, call, series)
        return [_to_python_values(output)[0] for output in outputs]

    return run_row


def _to_python_values(column: pa.ChunkedArray) -> list[Any]:
    """The values as one entry has them: a time is an instant in UTC."""
    if not pa.types.is_timestamp(column.type):
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
        return values
    micros = column.cast(pa.int64()).to_pylist()
    return [None if value is None else from_micros(value) for value in micros]


def _to_series(column: pa.ChunkedArray, feature: str) -> Any:
    import pandas as pd

    if pa.types.is_nested(column.type):
        return pd.Series(_to_python_values(column), dtype=object, name=feature)
    series = column.to_pandas(types_mapper=_list_dtypes().get)
    series.name = feature
    return series


@cache
def _list_dtypes() -> dict[pa.DataType, Any]:
    """The nullable types of pandas by those of Arrow."""
    import pandas as pd

    return {type_: pd.api.types.pandas_dtype(name) for type_, name in _SERIES_DTYPES.items()}


def _list_outputs(result: Any, output_count: int) -> list[Any]:
    """What a function of Series gave, as one value for each output that it meant."""
    import pandas as pd

    if isinstance(result, pd.DataFrame):
        return [result[name] for name in result]
    if isinstance(result, tuple | list) and output_count > 1:
        return list(result)
    return [result]


def _check_outputs(transformation: Transformation, outputs: Sequence[Any], rows: int) -> None:
    output_count = len(transformation.outputs)
    are_right = len(outputs) == output_count
    described: list[Any] = []
    for output in outputs:
        if hasattr(output, "__len__"):
            described.append(len(output))
            are_right = are_right and len(output) == rows
        else:
            described.append(output)
            are_right = False
    if not are_right:
        raise SparkFSError(
            f"Transformation {transformation.function} of {rows} rows must give {output_count}"
            f" Series of as many rows, not {described}."
        )


def _build_columns(transformation: Transformation, outputs: Sequence[Any]) -> list[pa.ChunkedArray]:
    columns = []
    for values, (_, type_) in zip(outputs, transformation.outputs, strict=True):
        array = _build_array(values, to_arrow_type(type_), transformation.function)
        columns.append(pa.chunked_array([array]))
    return columns


def _build_array(values: Any, type_: pa.DataType, function: FunctionSpec) -> pa.Array:
    """The values of an output: a list, or a Series, in which NaN is a null."""
    if isinstance(values, list):
        from_pandas = None
    else:
        from_pandas = True
        if pa.types.is_nested(type_):  # within which NaN is not a null
            values = _to_list_with_nulls(values)
            from_pandas = None
    try:
        return pa.array(values, type_, from_pandas=from_pandas)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SparkFSError(
            f"Transformation {function} gave a value that is not a {type_}: {error}. Change its"
            " return type."
        ) from error


def _to_list_with_nulls(series: Any) -> list[Any]:
    values = []
    for value, is_missing in zip(series, series.isna(), strict=True):
        values.append(None if is_missing else value)
    return values
