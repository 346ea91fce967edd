"""Transformations applied to Arrow columns, with the same bits as for one entry."""

import numpy as np
import pyarrow as pa

from spark_fs.transform.array_values import to_masked_column, to_zero_filled_doubles
from spark_fs.transform.binding import Transformation
from spark_fs.transform.builtin import Builtin
from spark_fs.transform.transformer import Transformer
from spark_fs.transform.user_columns import apply_in_pandas, apply_row_by_row


def transform_table(transformer: Transformer, table: pa.Table) -> pa.Table:
    """The columns that come out, in their order, of a table that holds at least the inputs."""
    inputs = {name: table.column(name) for name in transformer.inputs}
    outputs: dict[str, pa.ChunkedArray] = {}
    for transformation in transformer.transformations:
        features = [inputs[feature] for feature in transformation.spec.features]
        columns = _compute_outputs(transformation, features)
        for (name, _), column in zip(transformation.outputs, columns, strict=True):
            outputs[name] = column
    transformed: dict[str, pa.ChunkedArray] = {}
    for name in transformer.columns:
        transformed[name] = outputs[name] if name in outputs else inputs[name]
    return pa.table(transformed)


def _compute_outputs(
    transformation: Transformation, columns: list[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    row = transformation.builtin
    if row is not None:
        return _apply_builtin(row, transformation, columns[0])
    if transformation.function.mode == "pandas":
        return apply_in_pandas(transformation, columns)
    return apply_row_by_row(transformation, columns)


def _apply_builtin(
    row: Builtin, transformation: Transformation, column: pa.ChunkedArray
) -> list[pa.ChunkedArray]:
    type_ = transformation.types[0]
    state = transformation.state or {}
    if row.array_formula is not None:
        return row.array_formula(column, type_, state)
    with np.errstate(all="ignore"):
        values = row.formula(state)(to_zero_filled_doubles(column, type_))
    return [to_masked_column(values, column, pa.float64())]
