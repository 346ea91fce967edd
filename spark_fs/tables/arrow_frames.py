"""Frames that a caller hands in, as Arrow tables with types that Spark takes; no JVM is needed."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base import arrow_types, times, types
from spark_fs.errors import InvalidNameError, SchemaError
from spark_fs.spec.names import normalize_names
from spark_fs.tables import object_columns, polars_frames

_FRAME_KINDS = "a Spark, pandas or polars DataFrame, an Arrow table, or a list of dicts"
# A string of Arrow's lies in a chunk of two gigabytes at most, which casts do not divide.
_MAX_CHUNK_BYTES = 1 << 31
_CHUNK_ROWS = 1 << 16


def to_arrow(data: Any, declared_types: Mapping[str, str]) -> pa.Table:
    """An Arrow table of a frame, with types that Spark takes and every value as it was.

    A frame is a pandas or polars DataFrame (a LazyFrame is collected), an Arrow table, batch or
    reader, whatever else gives its rows as an Arrow stream, or a list of dicts, in which a key that
    a row lacks is null. Times without a zone are UTC. NaN and NaT stand for null in a pandas frame,
    as pandas means them, but not within its lists and dicts; elsewhere NaN stays NaN.

    Args:
        data: The frame.
        declared_types: The feature types of columns that have one; of those that hold nothing but
            nulls, and of dicts that are maps, nothing else tells.

    Raises:
        SchemaError: What is given is no frame, names a column twice, or has a column of two types
            or of one that is no feature type, or a value that does not fit.
        InvalidNameError: A column's name is in no string of UTF-8.
    """
    return _cast_table(read_table(data, declared_types), declared_types)


def is_frame(data: Any) -> bool:
    """Whether ``to_arrow`` takes it for rows; a list without rows is none."""
    if isinstance(data, list | tuple):
        return bool(data) and all(isinstance(row, Mapping) for row in data)
    if isinstance(data, pd.DataFrame) or polars_frames.is_polars(data):
        return True
    return hasattr(data, "__arrow_c_stream__")


def read_table(data: Any, declared_types: Mapping[str, str]) -> pa.Table:
    """The frame as an Arrow table with the types that it has there: the first step of ``to_arrow``.

    Columns of Python objects are looked at value by value.
    """
    if isinstance(data, np.ndarray) and data.ndim == 2:
        data = pd.DataFrame(data, columns=[f"col_{i}" for i in range(data.shape[1])])
    if _is_list_of_lists(data):
        data = [{f"col_{i}": value for i, value in enumerate(row)} for row in data]
    if isinstance(data, pd.DataFrame):
        return _from_pandas(data, declared_types)
    if isinstance(data, list | tuple):
        return _from_rows(data, declared_types)
    table = _read_stream(data)
    return table.rename_columns(normalize_column_names(table.column_names))


def _is_list_of_lists(data: Any) -> bool:
    if not isinstance(data, list | tuple) or not data:
        return False
    return all(isinstance(row, list | tuple) for row in data)


def _read_stream(data: Any) -> pa.Table:
    """The rows of what gives them as an Arrow stream, under the names that it has for them."""
    if polars_frames.is_polars(data):
        return polars_frames.to_arrow(data)
    if isinstance(data, pa.Table):
        return data
    if hasattr(data, "__arrow_c_stream__"):
        try:
            return pa.RecordBatchReader.from_stream(data).read_all()
        except pa.ArrowInvalid:  # a stream of values, such as a Series gives
            pass
    raise SchemaError(
        f"A {type(data).__module__}.{type(data).__qualname__} holds no rows: give {_FRAME_KINDS}."
    )


def normalize_column_names(names: Collection[Any]) -> list[str]:
    """The names of a frame's columns, in lower snake case, with a warning where any was not.

    Raises:
        SchemaError: A name is there twice, or two become one.
        InvalidNameError: A name has half a character, a surrogate, which is in no string of UTF-8.
    """
    _check_column_names(names)
    return normalize_names("The frame", map(str, names))


def _check_column_names(names: Collection[Any]) -> None:
    for name in names:
        if isinstance(name, str) and not name.isascii() and re.search("[\ud800-\udfff]", name):
            raise InvalidNameError.for_name("Column", name)
    twice = [str(name) for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SchemaError(
            f"The frame names a column twice: {', '.join(twice)}. Give each column a name of its"
            " own."
        )


def check_fields(location: str, names: Sequence[str]) -> None:
    """SchemaError, saying where, for a struct without fields or with names that no table keeps."""
    if not names:
        raise SchemaError(
            f"{location} is a struct without fields, as of empty dicts, and no table keeps one:"
            " give null in its place."
        )
    for name in names:
        if not re.fullmatch(r"\w+", name):
            plain = re.sub(r"[^0-9A-Za-z_]+", "_", name).strip("_").lower()
            raise SchemaError(
                f"{location} is a struct with a field {name!r}: a field's name is made of letters,"
                f" digits and underscores. Rename it, as to {plain or 'field'!r}, or give"
                " the column as a map."
            )
    counts = Counter(map(str.lower, names))
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise SchemaError(
            f"{location} is a struct with two fields {twice[0]!r}, upper and lower case aside:"
            " rename one, or give a map."
        )


def _from_pandas(data: pd.DataFrame, declared_types: Mapping[str, str]) -> pa.Table:
    """The frame as Arrow; columns of Python objects are looked at value by value."""
    names = normalize_column_names(data.columns)
    columns = []
    for index, name in enumerate(names):
        columns.append(_convert_column(name, data.iloc[:, index], declared_types.get(name)))
    return pa.table(columns, names)


def _convert_column(
    name: str, column: pd.Series, declared_type: str | None
) -> pa.Array | pa.ChunkedArray:
    type_ = column.dtype
    if pd.api.types.is_object_dtype(type_):
        return object_columns.to_arrow(name, _list_objects(column), _to_arrow_type(declared_type))
    if isinstance(type_, pd.CategoricalDtype):
        categories = _convert_column(name, type_.categories.to_series(), declared_type)
        codes = column.cat.codes.to_numpy()
        return categories.take(pa.array(codes, mask=codes < 0))
    try:
        return pa.array(column, from_pandas=True)
    # whatever a column's type makes of it
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        raise SchemaError(
            f"Column {name!r} is of the pandas type {type_}, which has no feature type: {error}."
            " Cast it first."
        ) from None


def _list_objects(column: pd.Series) -> list[Any]:
    """The objects of a column; what pandas takes for missing is None."""
    values: list[Any] = column.to_numpy(object).tolist()
    missing = column.isna().to_numpy()
    if not missing.any():
        return values
    pairs = zip(values, missing.tolist(), strict=True)
    return [None if is_missing else value for value, is_missing in pairs]


def _from_rows(rows: Sequence[Any], declared_types: Mapping[str, str]) -> pa.Table:
    """A list of dicts as Arrow: the columns in the order in which the rows name them first."""
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise SchemaError(
                f"Row {number} of the list is a {type(row).__qualname__}, not a dict of the values"
                f" by their columns' names: give {_FRAME_KINDS}."
            )
    names = list(dict.fromkeys(chain.from_iterable(rows))) if rows else list(declared_types)
    if not names:
        raise SchemaError(
            "The list holds no row that names a column, so there is nothing to know their types"
            " from: give at least one row, or an Arrow table with a schema."
        )
    for name in names:
        if not isinstance(name, str):
            raise SchemaError(
                f"A row of the list has the key {name!r}, and a column's name is a string: rename"
                " it."
            )
    column_names = normalize_column_names(names)
    columns = []
    for name, column_name in zip(names, column_names, strict=True):
        values = [row.get(name) for row in rows]
        declared_type = _to_arrow_type(declared_types.get(column_name))
        columns.append(object_columns.to_arrow(column_name, values, declared_type))
    return pa.table(columns, column_names)


def _to_arrow_type(declared_type: str | None) -> pa.DataType | None:
    return arrow_types.to_arrow_type(declared_type) if declared_type else None


def _cast_table(table: pa.Table, declared_types: Mapping[str, str]) -> pa.Table:
    columns = []
    if table.nbytes > _MAX_CHUNK_BYTES:
        table = _divide_chunks(table)
    for field, column in zip(table.schema, table.columns, strict=True):
        declared_type = _to_arrow_type(declared_types.get(field.name))
        target = resolve_arrow_type(f"Column {field.name!r}", field.type, declared_type)
        try:
            columns.append(column if target == field.type else column.cast(target))
        except pa.ArrowInvalid as error:
            raise SchemaError(
                f"A value does not fit its column {field.name!r}: {error}. Times are kept in whole"
                " microseconds."
            ) from None
    for name, column in zip(table.column_names, columns, strict=True):
        _check_years(name, column)
    return pa.table(columns, table.column_names)


def _divide_chunks(table: pa.Table) -> pa.Table:
    """The same rows in chunks with bytes of their own; a slice is as large as what it is cut of."""
    batches = table.to_batches(max_chunksize=_CHUNK_ROWS)
    copies = [batch.take(pa.array(range(batch.num_rows))) for batch in batches]
    return pa.Table.from_batches(copies, table.schema)


def _check_years(name: str, column: pa.ChunkedArray) -> None:
    """SchemaError for an instant outside the years 1 to 9999, which no Python datetime holds."""
    if not pa.types.is_timestamp(column.type) or not len(column):
        return
    bounds = pc.min_max(column.cast(pa.int64()))
    for micros in (bounds["min"].as_py(), bounds["max"].as_py()):
        if micros is not None and not times.FIRST_MICROS <= micros <= times.LAST_MICROS:
            raise SchemaError(
                f"Column {name!r} holds an instant outside the years 1 to 9999, {micros}"
                " microseconds from 1970: correct it."
            )


def resolve_arrow_type(
    location: str, type_: pa.DataType, declared_type: pa.DataType | None
) -> pa.DataType:
    """The Arrow type that a column is cast to, so that Spark takes it with every value."""
    if pa.types.is_null(type_):
        if declared_type is None:
            raise SchemaError(
                f"{location} holds only nulls, so its type is unknown: give it a type."
            )
        return declared_type
    if pa.types.is_dictionary(type_):
        return resolve_arrow_type(location, type_.value_type, declared_type)
    if arrow_types.is_any_list(type_):
        return _resolve_list_type(location, type_, declared_type)
    if pa.types.is_map(type_):
        return _resolve_map_type(location, type_, declared_type)
    if pa.types.is_struct(type_):
        return _resolve_struct_type(location, type_, declared_type)
    return _resolve_scalar_type(location, type_)


def _resolve_list_type(
    location: str, type_: pa.DataType, declared_type: pa.DataType | None
) -> pa.DataType:
    inner = None
    if declared_type is not None and pa.types.is_list(declared_type):
        inner = declared_type.value_type
    return pa.list_(resolve_arrow_type(f"{location} within its lists", type_.value_type, inner))


def _resolve_map_type(
    location: str, type_: pa.DataType, declared_type: pa.DataType | None
) -> pa.DataType:
    key = None
    item = None
    if declared_type is not None and pa.types.is_map(declared_type):
        key = declared_type.key_type
        item = declared_type.item_type
    keys = resolve_arrow_type(f"{location} in the keys of its maps", type_.key_type, key)
    items = resolve_arrow_type(f"{location} in its maps", type_.item_type, item)
    return pa.map_(keys, items)


def _resolve_struct_type(
    location: str, type_: pa.DataType, declared_type: pa.DataType | None
) -> pa.DataType:
    declared_fields = {}
    if declared_type is not None and pa.types.is_struct(declared_type):
        declared_fields = {field.name: field.type for field in declared_type}
    check_fields(location, [field.name for field in type_])
    fields = []
    for field in type_:
        field_location = f"{location} in its field {field.name!r}"
        declared = declared_fields.get(field.name)
        fields.append((field.name, resolve_arrow_type(field_location, field.type, declared)))
    return pa.struct(fields)


def _resolve_scalar_type(location: str, type_: pa.DataType) -> pa.DataType:
    name = str(type_)
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", tz="UTC")
    if name == "uint64":
        return pa.decimal128(20, 0)
    if pa.types.is_decimal(type_) and type_.precision <= 38 and type_.scale >= 0:
        return pa.decimal128(type_.precision, type_.scale)
    if pa.types.is_fixed_size_binary(type_):
        return pa.binary()
    cast = types.ARROW_CASTS.get(types.get_base_type(name), name)
    if types.from_arrow(cast) is None or pa.types.is_decimal(type_):
        raise SchemaError(
            f"{location} is of the Arrow type {name}, which has no feature type: cast it first."
        )
    return type_ if cast == name else pa.type_for_alias(cast)
