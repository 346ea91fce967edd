"""Arrow tables as the frames that users ask for: pandas, polars, Arrow, NumPy, lists of Python.

One rule for rows that are read, joined, trained on or scored, by whatever engine. A library is
loaded when its frames are asked for: pandas alone takes half a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import pyarrow as pa

from spark_fs.base.arrow_types import to_plain_type
from spark_fs.errors import SettingsError, SetupError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def _keep_arrow(table: pa.Table) -> pa.Table:
    return table


def _to_pandas(table: pa.Table) -> Any:
    from spark_fs.base.pandas_frames import to_pandas

    return to_pandas(table)


def _to_numpy(table: pa.Table) -> Any:
    from spark_fs.base.numpy_arrays import to_numpy

    return to_numpy(table)


def _to_polars(table: pa.Table) -> Any:
    try:
        import polars
    except ImportError:
        raise SetupError(
            "dataframe_type='polars' needs polars, which is not installed: pip install"
            " 'spark_fs[polars]'."
        ) from None
    return polars.from_arrow(table)


def _to_lists(table: pa.Table) -> list[list[Any]]:
    columns = [column.to_pylist() for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


_CONVERTERS: Mapping[str, Callable[[pa.Table], Any]] = {
    "pandas": _to_pandas,
    "polars": _to_polars,
    "arrow": _keep_arrow,
    "numpy": _to_numpy,
    "python": _to_lists,
}
DATAFRAME_TYPES = ("default", "spark", *_CONVERTERS)


def check_dataframe_type(dataframe_type: str) -> None:
    """Raise SettingsError unless it is one of ``DATAFRAME_TYPES``."""
    if dataframe_type not in DATAFRAME_TYPES:
        listed = ", ".join(map(repr, DATAFRAME_TYPES))
        raise SettingsError(f"dataframe_type {dataframe_type!r} is not known: use one of {listed}.")


def convert_table(table: pa.Table, dataframe_type: str) -> Any:
    """A table as a frame of this type; neither "spark" nor "default".

    Args:
        table: The rows, as any engine gives them.
        dataframe_type: "pandas", "polars", "arrow", "numpy" or "python", a list of each row's
            values.

    Returns:
        The frame, whose types follow from the feature types alone and, in pandas and NumPy, from
        whether there are nulls: docs/types.md.

    Raises:
        SetupError: polars is asked for and not installed.
        SparkFSError: A map that is to be a dict has a key twice.
    """
    schema = pa.schema([(field.name, to_plain_type(field.type)) for field in table.schema])
    if not table.schema.equals(schema, check_metadata=True):
        columns = zip(table.columns, schema.types, strict=True)
        table = pa.table([column.cast(type_) for column, type_ in columns], schema)
    return _CONVERTERS[dataframe_type](table)


def is_spark_frame(data: Any) -> TypeGuard[DataFrame]:
    """Whether it is a DataFrame of Spark; nobody has one who has not loaded Spark."""
    sql = sys.modules.get("pyspark.sql")
    return sql is not None and isinstance(data, sql.DataFrame)
