"""Arrow tables as pandas frames.

One rule for rows that are read, joined, trained on or scored, so that all paths agree.
"""

from typing import Any

import pandas as pd
import pyarrow as pa

from spark_fs.errors import SparkFSError


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """As pandas, with every value as it is in the table.

    Times are UTC instants, in nanoseconds where these reach; a bigint with nulls is Int64, since a
    float would round; dates, decimals and bytes are Python's. A nested value is a Python object (a
    list, a dict for a struct or a map), in which a null is None and NaN is NaN.
    """
    nested = [field.name for field in table.schema if pa.types.is_nested(field.type)]
    exact = [
        field.name
        for field in table.schema
        if pa.types.is_int64(field.type) and table.column(field.name).null_count
    ]
    # Arrow would make arrays of nested columns, in which integers beside a null are floats.
    flat = table
    for name in nested:
        index = flat.schema.get_field_index(name)
        flat = flat.set_column(index, name, pa.nulls(table.num_rows))
    frame = _to_flat_pandas(flat)
    for name in exact:
        frame[name] = table.column(name).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    for name in nested:
        frame[name] = pd.Series(to_objects(name, table.column(name)), dtype=object)
    return frame


def to_objects(name: str, column: pa.ChunkedArray) -> list[Any]:
    """The values of a nested column as Python objects.

    Args:
        name: of the column, for the error.
        column: its values.

    Raises:
        SparkFSError: a map has a key twice, which no dict can have.
    """
    try:
        objects: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except KeyError as error:
        raise SparkFSError(
            f"Column {name!r} holds a map with a key twice ({error.args[0]}), which pandas cannot"
            " show: read it as a Spark frame, or correct the row."
        ) from None
    return objects


def _to_flat_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame
    try:
        frame = table.to_pandas(coerce_temporal_nanoseconds=True, date_as_object=True)
    except pa.ArrowInvalid:  # a time before 1677 or after 2262
        frame = table.to_pandas(date_as_object=True)
    return frame
