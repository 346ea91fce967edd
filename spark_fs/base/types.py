"""The type table: one row per feature type.

A feature type is written as Spark writes it: ``bigint``, ``decimal(10,2)``, ``timestamp``. Adding a
type is adding a row here, and one in the table of each online store, ``online/<store>/types.py``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from spark_fs.errors import SchemaError

Codec = Callable[[Any], Any]
# Families of types.
INTEGER_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
INTEGERS = tuple(INTEGER_BITS)
FLOATS = ("float", "double")
NUMERIC = (*INTEGERS, *FLOATS, "decimal")
NESTED = ("array", "map", "struct")
EVENT_TIME_TYPES = ("timestamp", "date", "bigint", "int")
_MAX_PRECISION = 38  # of a decimal
_INNER_COUNTS = {"array": 1, "map": 2}  # how many types a nested one is made of; a struct of any


@dataclass(frozen=True)
class TypeRow:
    """One feature type.

    arrow_types: those that it is read from. widens_to: the types that hold all of its values.
    """

    spark_type: str
    arrow_types: tuple[str, ...]
    widens_to: tuple[str, ...] = ()


TYPES: tuple[TypeRow, ...] = (
    TypeRow("boolean", ("bool",)),
    TypeRow("tinyint", ("int8",), ("smallint", "int", "bigint")),
    TypeRow("smallint", ("int16", "uint8"), ("int", "bigint")),
    TypeRow("int", ("int32", "uint16"), ("bigint", "double")),
    TypeRow("bigint", ("int64", "uint32")),
    TypeRow("float", ("halffloat", "float"), ("double",)),
    TypeRow("double", ("double",)),
    TypeRow("decimal", ("uint64", "decimal128")),
    TypeRow("timestamp", ("timestamp",)),
    TypeRow("date", ("date32", "date64")),
    TypeRow("string", ("string", "large_string", "dictionary")),
    TypeRow("binary", ("binary", "large_binary")),
)

TYPES_BY_NAME = {row.spark_type: row for row in TYPES}
_BY_ARROW = {name: row.spark_type for row in TYPES for name in row.arrow_types}
# The Arrow types that others are cast to: that of a feature type, which holds every value.
ARROW_CASTS = {
    "uint8": "int16",
    "uint16": "int32",
    "uint32": "int64",
    "halffloat": "float",
    "date64": "date32",
    "large_string": "string",
    "large_binary": "binary",
    "string_view": "string",
    "binary_view": "binary",
}
# Other names that callers use for a type.
_ALIASES = {
    "bool": "boolean",
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "str": "string",
}


def parse_type(text: str) -> str:
    """The feature type that a string names, as Spark writes it; SchemaError when it names none."""
    if not isinstance(text, str):
        raise _make_unknown_error(text)
    spark_type, rest = _parse_prefix(re.sub(r"\s+", "", text), text)
    if rest:
        raise _make_unknown_error(text)
    return spark_type


def _parse_prefix(text: str, whole: str) -> tuple[str, str]:
    """The type at the beginning of ``text``, and what follows it; ``whole`` is for the error."""
    head = re.match(r"\w*", text)[0]  # type: ignore[index] # it matches the empty string at least
    name = _ALIASES.get(head.lower(), head.lower())
    rest = text[len(head) :]
    sizes = re.match(r"\((\d+),(\d+)\)", rest)
    if name == "decimal" and sizes:
        precision = int(sizes[1])
        scale = int(sizes[2])
        if not (0 < precision <= _MAX_PRECISION and scale <= precision):
            raise _make_unknown_error(whole)
        return name + sizes[0], rest[len(sizes[0]) :]
    if name in NESTED and rest.startswith("<"):
        return _parse_nested(name, rest[1:], whole)
    if name not in TYPES_BY_NAME or name == "decimal":
        raise _make_unknown_error(whole)
    return name, rest


def _parse_nested(name: str, rest: str, whole: str) -> tuple[str, str]:
    """A type of other types, from behind its opening bracket on."""
    inner_types: list[str] = []
    separator = ","
    while separator == ",":
        label = re.match(r"\w+:" if name == "struct" else "", rest)
        if label is None:
            raise _make_unknown_error(whole)
        inner_type, rest = _parse_prefix(rest[label.end() :], whole)
        inner_types.append(label[0] + inner_type)
        separator = rest[:1]
        rest = rest[1:]
    expected = _INNER_COUNTS.get(name, len(inner_types))
    if separator != ">" or len(inner_types) != expected:
        raise _make_unknown_error(whole)
    return f"{name}<{','.join(inner_types)}>", rest


def _make_unknown_error(text: object) -> SchemaError:
    scalars = ", ".join(name for name in TYPES_BY_NAME if name != "decimal")
    return SchemaError(
        f"{text!r} is not a feature type: use {scalars},"
        " decimal(precision,scale) with a precision of at most 38, array<type>, map<type,type> or"
        " struct<name:type,...>."
    )


def split_types(text: str) -> list[str]:
    """The parts between commas, those within brackets aside: the inner types of a nested one."""
    parts = [""]
    depth = 0
    for letter in text:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def to_ddl(spark_type: str) -> str:
    """The type as SQL reads it, whatever letters the fields of a struct are named with."""
    return re.sub(r"(\w+):", r"`\1`:", spark_type)


def get_inner_types(spark_type: str) -> list[tuple[str, str]]:
    """The types that a nested one is made of, each with its name.

    An array's element, a map's key and value, a struct's fields.
    """
    kind = get_base_type(spark_type)
    parts = split_types(spark_type[len(kind) + 1 : -1])
    if kind == "struct":
        fields = [part.partition(":") for part in parts]
        return [(name, type_) for name, _, type_ in fields]
    names = ("element",) if kind == "array" else ("key", "value")
    return list(zip(names, parts, strict=True))


@lru_cache(maxsize=4096)
def get_base_type(spark_type: str) -> str:
    """The type without its parameters: ``decimal(10,2)`` is ``decimal``."""
    return re.split(r"[(<\[]", spark_type, maxsplit=1)[0]


def can_widen(source: str, target: str) -> bool:
    """Whether every value of the type ``source`` is one of the type ``target``."""
    if source == target or source == "void":
        return True
    if get_base_type(source) == get_base_type(target) == "decimal":
        precision, scale = parse_decimal_sizes(source)
        wide_precision, wide_scale = parse_decimal_sizes(target)
        return wide_scale >= scale and wide_precision - wide_scale >= precision - scale
    return source in TYPES_BY_NAME and target in TYPES_BY_NAME[source].widens_to


def from_arrow(arrow_type: str) -> str | None:
    """The base feature type of an Arrow type, by its name; None for nested and unknown ones."""
    return _BY_ARROW.get(get_base_type(arrow_type))


def is_comparable(left: str, right: str) -> bool:
    """Whether keys of the two types can be equal: the same type, or both integers or decimals."""
    if left == right or (left in INTEGERS and right in INTEGERS):
        return True
    return get_base_type(left) == get_base_type(right) == "decimal"


def is_number_type(spark_type: str) -> bool:
    """Whether the values of a type are numbers."""
    return get_base_type(spark_type) in NUMERIC


def parse_decimal_sizes(spark_type: str) -> tuple[int, int]:
    """The precision and the scale of a decimal type."""
    precision, scale = re.findall(r"\d+", spark_type)
    return int(precision), int(scale)
