"""Transformations applied to Arrow columns: the formulas of ``builtin`` over whole arrays, users' functions over values or Series."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import to_arrow_type as arrow_type
from spark_fs.base.times import from_micros
from spark_fs.errors import SparkFSError
from spark_fs.spec.transformation import FunctionSpec
from spark_fs.transform.builtin import State, get_categories
from spark_fs.transform.functions import load_function, make_value_function
from spark_fs.transform.transformer import Transformation, Transformer

_SERIES_DTYPES: Mapping[
    pa.DataType, str
] = {  # so that the type of a Series does not depend on whether a null is in it
    pa.int8(): "Int8",
    pa.int16(): "Int16",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.bool_(): "boolean",
}


def transform_table(transformer: Transformer, table: pa.Table) -> pa.Table:
    """The columns that come out, in their order, of a table that holds at least the inputs."""
    found = {name: table.column(name) for name in transformer.inputs}
    made: dict[str, pa.ChunkedArray] = {}
    for each in transformer.transformations:
        outputs = _compute_outputs(each, [found[feature] for feature in each.spec.features])
        made |= {name: column for (name, _), column in zip(each.outputs, outputs, strict=True)}
    return pa.table(
        {name: made[name] if name in made else found[name] for name in transformer.columns}
    )


def to_zero_filled_doubles(column: pa.ChunkedArray, type_: str) -> npt.NDArray[np.float64]:
    """The values as doubles, 0 for a null. A decimal goes through Python, which rounds it once; Arrow may round it twice."""
    if type_.startswith("decimal"):
        return np.array(
            [0.0 if value is None else float(value) for value in column.to_pylist()], np.float64
        )
    column = column.cast(pa.float64(), safe=False)
    doubles: npt.NDArray[np.float64] = (
        pc.fill_null(column, 0.0) if column.null_count else column
    ).to_numpy()
    return doubles


def _compute_outputs(
    transformation: Transformation, columns: list[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    row = transformation.builtin
    if row is None:
        run = _apply_in_pandas if transformation.function.mode == "pandas" else _apply_row_by_row
        return run(transformation, columns)
    column, state = columns[0], transformation.state or {}
    if row.multi_output:
        return _encode_one_hot(column, state)
    if row.name in ARRAY_FORMULAS:
        return [ARRAY_FORMULAS[row.name](column, transformation.types[0], state)]
    with np.errstate(all="ignore"):
        values = row.formula(state)(to_zero_filled_doubles(column, transformation.types[0]))
    return [_to_masked_column(values, column, pa.float64())]


def _to_masked_column(
    values: npt.NDArray[Any], column: pa.ChunkedArray, type_: pa.DataType
) -> pa.ChunkedArray:
    """The values as a column that is null where another is."""
    mask = column.is_null().to_numpy() if column.null_count else None
    return pa.chunked_array([pa.array(values, type_, mask=mask)], type_)


def _compute_logarithm(column: pa.ChunkedArray, type_: str, _: State) -> pa.ChunkedArray:
    """By the machine's own logarithm, as ``math.log``; NumPy's differs from it in the last bit on some processors."""
    values = to_zero_filled_doubles(column, type_)
    return _to_masked_column(
        pc.ln(pa.array(np.where(values > 0, values, np.nan))).to_numpy(), column, pa.float64()
    )


def _compute_bins(column: pa.ChunkedArray, type_: str, state: State) -> pa.ChunkedArray:
    values = to_zero_filled_doubles(column, type_)
    bins = np.searchsorted(np.array(state["cuts"], np.float64), values, side="left")
    mask = np.isnan(values) | column.is_null().to_numpy()
    return pa.chunked_array([pa.array(bins, pa.int64(), mask=mask)], pa.int64())


def _find_category_codes(column: pa.ChunkedArray, state: State) -> npt.NDArray[np.int64]:
    """The place of each value among the categories; -1 of one that is none of them."""
    known = pa.array(get_categories(state), column.type)
    codes: npt.NDArray[np.int64] = (
        pc.fill_null(pc.index_in(column, known), -1).to_numpy().astype(np.int64)
    )
    return codes


def _encode_labels(column: pa.ChunkedArray, _: str, state: State) -> pa.ChunkedArray:
    return _to_masked_column(_find_category_codes(column, state), column, pa.int64())


def _encode_one_hot(column: pa.ChunkedArray, state: State) -> list[pa.ChunkedArray]:
    codes = np.where(column.is_null().to_numpy(), -1, _find_category_codes(column, state))
    return [
        pa.chunked_array([pa.array(codes == place)]) for place in range(len(state["categories"]))
    ]


ARRAY_FORMULAS: Mapping[str, Callable[[pa.ChunkedArray, str, State], pa.ChunkedArray]] = {
    "log_transform": _compute_logarithm,
    "equal_width_binner": _compute_bins,
    "quantile_binner": _compute_bins,
    "label_encoder": _encode_labels,
}


# -- users' functions


def _to_python_values(column: pa.ChunkedArray) -> list[Any]:
    """The values as one entry has them: a time is an instant in UTC."""
    if not pa.types.is_timestamp(column.type):
        listed: list[Any] = column.to_pylist(maps_as_pydicts="strict")
        return listed
    return [
        None if value is None else from_micros(value)
        for value in column.cast(pa.int64()).to_pylist()
    ]


def _apply_row_by_row(
    transformation: Transformation, columns: list[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    run = make_value_function(transformation.function)
    rows = [run(*values) for values in zip(*map(_to_python_values, columns), strict=True)]
    types = [arrow_type(type_) for _, type_ in transformation.outputs]
    outputs = zip(*rows, strict=True) if rows else ([] for _ in types)
    return [
        pa.chunked_array([_build_array(list(values), type_, transformation.function)])
        for values, type_ in zip(outputs, types, strict=True)
    ]


def _apply_in_pandas(
    transformation: Transformation, columns: list[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    import pandas as pd

    dtypes = {arrow: pd.api.types.pandas_dtype(name) for arrow, name in _SERIES_DTYPES.items()}
    given = [
        (
            pd.Series(_to_python_values(column), dtype=object, name=feature)
            if pa.types.is_nested(column.type)
            else column.to_pandas(types_mapper=dtypes.get).rename(feature)
        )
        for column, feature in zip(columns, transformation.spec.features, strict=True)
    ]
    try:
        found = load_function(transformation.function)(*given)
    except Exception as error:
        raise SparkFSError(
            f"Transformation {transformation.function} failed: {type(error).__name__}: {error}. It"
            " takes and gives pandas Series."
        ) from error
    several = [found[name] for name in found] if isinstance(found, pd.DataFrame) else [found]
    if isinstance(found, tuple | list) and len(transformation.outputs) > 1:
        several = list(found)
    rows = len(columns[0])
    if len(several) != len(transformation.outputs) or any(
        not hasattr(one, "__len__") or len(one) != rows for one in several
    ):
        raise SparkFSError(
            f"Transformation {transformation.function} of {rows} rows must give"
            f" {len(transformation.outputs)} Series of as many rows, not"
            f" {[len(one) if hasattr(one, '__len__') else one for one in several]}."
        )
    types = [arrow_type(type_) for _, type_ in transformation.outputs]
    return [
        pa.chunked_array([_build_array(one, type_, transformation.function)])
        for one, type_ in zip(several, types, strict=True)
    ]


def _build_array(values: Any, type_: pa.DataType, function: FunctionSpec) -> pa.Array:
    if pa.types.is_nested(type_) and not isinstance(values, list):  # within which NaN is no null
        values = [
            None if absent else value for value, absent in zip(values, values.isna(), strict=True)
        ]
    try:
        return pa.array(values, type_, from_pandas=None if isinstance(values, list) else True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SparkFSError(
            f"Transformation {function} gave a value that is no {type_}: {error}. Change its return"
            " type."
        ) from error


def make_pandas_row_function(transformation: Transformation) -> Callable[..., list[Any]]:
    """A function in mode "pandas" for one entry: its values as Series of one row."""
    types = [arrow_type(type_) for type_ in transformation.types]

    def run_row(*values: Any) -> list[Any]:
        columns = [
            pa.chunked_array([pa.array([value], type_)])
            for value, type_ in zip(values, types, strict=True)
        ]
        return [
            _to_python_values(column)[0] for column in _apply_in_pandas(transformation, columns)
        ]

    return run_row
