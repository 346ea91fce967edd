"""Transformations applied to Arrow columns, with the same bits as for one entry."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from spark_fs.transform.array_values import to_masked_column, to_zero_filled_doubles
from spark_fs.transform.binding import Source, Transformation
from spark_fs.transform.builtin import Builtin
from spark_fs.transform.transformer import Transformer
from spark_fs.transform.user_columns import apply_in_pandas, apply_row_by_row


def transform_table(transformer: Transformer, table: pa.Table) -> pa.Table:
    """The columns that come out, in their order, of a table that holds at least the inputs."""
    computed = compute_columns(transformer, table, transformer.output_sources.values())
    return pa.table({name: computed[source] for name, source in transformer.output_sources.items()})


def compute_columns(
    transformer: Transformer, table: pa.Table, wanted: Iterable[Source]
) -> dict[Source, pa.ChunkedArray]:
    """Columns that go in or come out of transformations, and those that they are computed of.

    Args:
        transformer: the transformations; those that are needed have learned.
        table: a table that holds at least the inputs that are needed.
        wanted: the columns to compute.
    """
    computed: dict[Source, pa.ChunkedArray] = {}
    for source in wanted:
        _compute_column(transformer, table, source, computed)
    return computed


def _compute_column(
    transformer: Transformer,
    table: pa.Table,
    source: Source,
    computed: dict[Source, pa.ChunkedArray],
) -> pa.ChunkedArray:
    if source in computed:
        return computed[source]
    if source.producer is None:
        computed[source] = table.column(source.name)
        return computed[source]
    transformation = transformer.transformations[source.producer]
    features = [
        _compute_column(transformer, table, feature, computed) for feature in transformation.sources
    ]
    columns = _compute_outputs(transformation, features)
    for (name, _), column in zip(transformation.outputs, columns, strict=True):
        computed[Source(source.producer, name)] = column
    return computed[source]


def _compute_outputs(
    transformation: Transformation, columns: list[pa.ChunkedArray]
) -> list[pa.ChunkedArray]:
    row = transformation.builtin
    if row is not None:
        return _apply_builtin(row, transformation, columns[0])
    if transformation.function.takes_series:
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
