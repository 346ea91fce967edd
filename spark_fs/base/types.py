"""The type table: one row per feature type.

A feature type is written as Spark writes it: ``bigint``, ``decimal(10,2)``, ``timestamp``. Adding a
type is adding a row here, and one in the table of each online store, ``online/<store>/types.py``.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
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


@dataclass(frozen=True)
class TypeRow:
    """One feature type: the Arrow types it is read from, the Python types of its values, and what it safely widens to."""

    spark_type: str
    arrow_types: tuple[str, ...]
    python_types: tuple[type, ...]
    widens_to: tuple[str, ...] = ()


TYPES: tuple[TypeRow, ...] = (
    TypeRow("boolean", ("bool",), (bool,)),
    TypeRow("tinyint", ("int8",), (int,), ("smallint", "int", "bigint")),
    TypeRow("smallint", ("int16", "uint8"), (int,), ("int", "bigint")),
    TypeRow("int", ("int32", "uint16"), (int,), ("bigint", "double")),
    TypeRow("bigint", ("int64", "uint32"), (int,)),
    TypeRow("float", ("halffloat", "float"), (float, int), ("double",)),
    TypeRow("double", ("double",), (float, int)),
    TypeRow("decimal", ("uint64", "decimal128"), (Decimal, int)),
    TypeRow("timestamp", ("timestamp",), (datetime,)),
    TypeRow("date", ("date32", "date64"), (date,)),
    TypeRow("string", ("string", "large_string", "dictionary"), (str,)),
    TypeRow("binary", ("binary", "large_binary"), (bytes,)),
)

TYPES_BY_NAME = {row.spark_type: row for row in TYPES}
_BY_ARROW = {name: row.spark_type for row in TYPES for name in row.arrow_types}
# Arrow types that have no Spark type of their own: the one they are cast to, which holds every
# value.
ARROW_CASTS = {
    "uint8": "int16",
    "uint16": "int32",
    "uint32": "int64",
    "halffloat": "float",
    "date64": "date32",
    "string_view": "string",
    "binary_view": "binary",
}
# Other names that callers use for a type.
ALIASES = {
    "bool": "boolean",
    "byte": "tinyint",
    "short": "smallint",
    "integer": "int",
    "long": "bigint",
    "real": "float",
    "str": "string",
}


def parse_type(text: str) -> str:
    """The feature type that a text names, as Spark writes it; SchemaError when it names none."""
    found, rest = _parse_prefix(re.sub(r"\s+", "", text) if isinstance(text, str) else "", text)
    if rest:
        raise _make_unknown_error(text)
    return found


def _parse_prefix(text: str, whole: str) -> tuple[str, str]:
    """The type at the beginning of what is written, and what follows it."""
    head = re.match(r"\w*", text)[0]  # type: ignore[index] # it matches the empty text at least
    name, rest = head.lower(), text[len(head) :]
    name = ALIASES.get(name, name)
    if name == "decimal" and (sizes := re.match(r"\((\d+),(\d+)\)", rest)):
        if not (0 < int(sizes[1]) <= 38 and int(sizes[2]) <= int(sizes[1])):
            raise _make_unknown_error(whole)
        return name + sizes[0], rest[len(sizes[0]) :]
    if name in NESTED and rest.startswith("<"):
        return _parse_nested(name, rest[1:], whole)
    if name not in TYPES_BY_NAME or name == "decimal":
        raise _make_unknown_error(whole)
    return name, rest


def _parse_nested(name: str, rest: str, whole: str) -> tuple[str, str]:
    """A type of other types, from behind its opening bracket on."""
    inside: list[str] = []
    mark = ","
    while mark == ",":
        label = re.match(r"\w+:" if name == "struct" else "", rest)
        if label is None:
            raise _make_unknown_error(whole)
        inner, rest = _parse_prefix(rest[label.end() :], whole)
        inside.append(label[0] + inner)
        mark, rest = rest[:1], rest[1:]
    if mark != ">" or len(inside) != {"array": 1, "map": 2}.get(name, len(inside)):
        raise _make_unknown_error(whole)
    return f"{name}<{','.join(inside)}>", rest


def _make_unknown_error(text: object) -> SchemaError:
    return SchemaError(
        f"{text!r} is not a feature type: use"
        f" {', '.join(name for name in TYPES_BY_NAME if name != 'decimal')},"
        " decimal(precision,scale) with a precision of at most 38, array<type>, map<type,type> or"
        " struct<name:type,...>."
    )


def split_types(text: str) -> list[str]:
    """What commas part, those within brackets aside: the inner types of a nested one."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found


def to_ddl(spark_type: str) -> str:
    """The type as SQL reads it, whatever letters the fields of a struct are named with."""
    return re.sub(r"(\w+):", r"`\1`:", spark_type)


def get_inner_types(spark_type: str) -> list[tuple[str, str]]:
    """The types that a nested one is made of, each with its name: an array's element, a map's key and value, a struct's fields."""
    kind = get_base_type(spark_type)
    found = split_types(spark_type[len(kind) + 1 : -1])
    if kind == "struct":
        return [(name, type_) for name, _, type_ in (part.partition(":") for part in found)]
    return list(zip(("element",) if kind == "array" else ("key", "value"), found, strict=True))


@lru_cache(maxsize=4096)
def get_base_type(spark_type: str) -> str:
    """The type without its parameters: ``decimal(10,2)`` is ``decimal``, ``array<int>`` is ``array``."""
    return re.split(r"[(<\[]", spark_type, maxsplit=1)[0]


def can_widen(source: str, target: str) -> bool:
    """Whether every value of the type ``found`` is one of the type ``wanted``."""
    if source == target or source == "void":
        return True
    if get_base_type(source) == get_base_type(target) == "decimal":
        (p, s), (wide_p, wide_s) = parse_decimal_sizes(source), parse_decimal_sizes(target)
        return wide_s >= s and wide_p - wide_s >= p - s
    return source in TYPES_BY_NAME and target in TYPES_BY_NAME[source].widens_to


def from_arrow(arrow_type: str) -> str | None:
    """The base feature type of an Arrow type given as text; None for nested ones and those without a row."""
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


def to_literal(value: object) -> object:
    """The value of a condition as JSON, what JSON has no word for marked so that ``from_literal`` restores it."""
    if isinstance(value, list | tuple):
        return list(map(to_literal, value))
    for mark, holds, write, _ in _LITERAL_CODECS:
        if holds(value):
            return {mark: write(value)}
    return value


def from_literal(value: object) -> object:
    """The value that ``literal`` wrote."""
    if isinstance(value, dict):
        ((mark, text),) = value.items()
        return next(read(text) for name, _, _, read in _LITERAL_CODECS if name == mark)
    return tuple(map(from_literal, value)) if isinstance(value, list) else value


_LITERAL_CODECS: tuple[tuple[str, Callable[[Any], bool], Codec, Codec], ...] = (
    ("$timestamp", lambda v: isinstance(v, datetime), datetime.isoformat, datetime.fromisoformat),
    ("$date", lambda v: isinstance(v, date), date.isoformat, date.fromisoformat),
    ("$decimal", lambda v: isinstance(v, Decimal), str, Decimal),
    ("$double", lambda v: isinstance(v, float) and v - v != 0, repr, float),
    (
        "$integer",
        lambda v: isinstance(v, int) and not -(2**63) <= v < 2**64,
        hex,
        lambda text: int(text, 16),
    ),
    ("$binary", lambda v: isinstance(v, bytes), bytes.hex, bytes.fromhex),
)
