"""The Arrow types of feature types, as Spark takes and gives them, made without a JVM."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from spark_fs.base import types
from spark_fs.errors import SchemaError

_SCALAR_TYPES: Mapping[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "tinyint": pa.int8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}

_FEATURE_TYPES = {arrow_type: name for name, arrow_type in _SCALAR_TYPES.items()}


def to_arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """The schema of columns of these feature types."""
    return pa.schema([(name, to_arrow_type(type_)) for name, type_ in columns.items()])


def to_arrow_type(spark_type: str) -> pa.DataType:
    """The Arrow type of one feature type; SchemaError where Arrow has none."""
    if spark_type in _SCALAR_TYPES:
        return _SCALAR_TYPES[spark_type]
    kind = types.get_base_type(spark_type)
    if kind == "decimal":
        return pa.decimal128(*types.parse_decimal_sizes(spark_type))
    if kind in types.NESTED:
        return _to_nested_type(kind, types.get_inner_types(spark_type))
    raise SchemaError(
        f"A column of the type {spark_type} cannot be joined: leave it out, or cast it to one of"
        f" {', '.join(_SCALAR_TYPES)}."
    )


def _to_nested_type(kind: str, inner: Sequence[tuple[str, str]]) -> pa.DataType:
    fields = [pa.field(name, to_arrow_type(spark_type)) for name, spark_type in inner]
    if kind == "array":
        return pa.list_(fields[0])
    if kind == "map":
        return pa.map_(fields[0].type, fields[1].type)
    return pa.struct(fields)


def is_any_list(type_: pa.DataType) -> bool:
    """Whether it is a list, of whatever width or size."""
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return True
    return bool(pa.types.is_fixed_size_list(type_))


def decode_dictionaries(table: pa.Table) -> pa.Table:
    """The table with plain values where columns hold indices into a dictionary."""
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            plain = table.column(index).cast(field.type.value_type)
            table = table.set_column(index, field.name, plain)
    return table


def to_plain_type(type_: pa.DataType) -> pa.DataType:
    """The type that a column of a feature type has, whatever a reader took for its values.

    Strings and lists have no widths, dictionaries are their values, and times are in microseconds
    of UTC. What is of no feature type stays as it is.
    """
    if pa.types.is_dictionary(type_):
        return to_plain_type(type_.value_type)
    if pa.types.is_timestamp(type_):
        return pa.timestamp("us", "UTC")
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return pa.list_(to_plain_type(type_.value_type))
    if pa.types.is_map(type_):
        return pa.map_(to_plain_type(type_.key_type), to_plain_type(type_.item_type))
    if pa.types.is_struct(type_):
        return pa.struct([(field.name, to_plain_type(field.type)) for field in type_])
    name = types.ARROW_CASTS.get(str(type_))
    return pa.type_for_alias(name) if name else type_


def to_feature_types(schema: pa.Schema) -> dict[str, str]:
    """The columns of a table with plain types, and their feature types."""
    return {field.name: to_feature_type(field.type) for field in schema}


def to_feature_type(type_: pa.DataType) -> str:
    """The feature type of a plain Arrow type: the other way round than ``to_arrow_type``."""
    if pa.types.is_list(type_):
        return f"array<{to_feature_type(type_.value_type)}>"
    if pa.types.is_map(type_):
        return f"map<{to_feature_type(type_.key_type)},{to_feature_type(type_.item_type)}>"
    if pa.types.is_struct(type_):
        fields = [f"{field.name}:{to_feature_type(field.type)}" for field in type_]
        return f"struct<{','.join(fields)}>"
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    return _FEATURE_TYPES[type_]
