"""Columns in a form that has an equality."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from spark_fs.base import types


def to_comparable(column: Column, type_: str) -> Column:
    """The column in a form that has an equality and a hash.

    A map, which has neither, is its entries in the order of their keys.
    """
    if "map<" not in type_:
        return column
    kind = types.get_base_type(type_)
    inner_types = types.split_types(type_.partition("<")[2].removesuffix(">"))
    if kind == "array":
        return F.transform(column, lambda value: to_comparable(value, inner_types[0]))
    if kind == "map":
        return _to_comparable_entries(column, inner_types[1])
    fields = []
    for field in inner_types:
        name, _, field_type = field.partition(":")
        fields.append(to_comparable(column[name], field_type).alias(name))
    return F.when(column.isNotNull(), F.struct(*fields))


def _to_comparable_entries(column: Column, value_type: str) -> Column:
    def order(one: Column, other: Column) -> Column:
        return F.when(one["key"] < other["key"], -1).otherwise(1)

    def to_struct(entry: Column) -> Column:
        value = to_comparable(entry["value"], value_type).alias("value")
        return F.struct(entry["key"], value)

    return F.transform(F.array_sort(F.map_entries(column), order), to_struct)
