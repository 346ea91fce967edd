"""The type table: one row per feature type, its name in each store and how its values travel.

A feature type is written as Spark writes it: ``bigint``, ``decimal(10,2)``, ``timestamp``. Adding a type is
adding a row.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import copysign
from typing import Any

from spark_fs.errors import OnlineStoreError, SchemaError

Codec = Callable[[Any], Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Above this an epoch is in milliseconds: as seconds it would be the year 5138, as milliseconds it is 1973.
MILLISECONDS_FROM = 100_000_000_000


def to_micros(when: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00:00Z, exactly."""
    return (when - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant so many microseconds after 1970-01-01T00:00:00Z."""
    return EPOCH + timedelta(microseconds=micros)


# The least and the greatest instant that a Python datetime holds, in microseconds.
FIRST, LAST = to_micros(datetime.min.replace(tzinfo=UTC)), to_micros(datetime.max.replace(tzinfo=UTC))


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    """A text that may come as its bytes."""
    return value if isinstance(value, str) else bytes(value).decode()


@dataclass(frozen=True)
class Storage:
    """How one online store holds a type: its column type, and the two directions of its values (never null)."""

    column: str
    encode: Codec = _same
    decode: Codec = _same


@dataclass(frozen=True)
class TypeRow:
    """One feature type: the Arrow types it is read from, the Python types of its values, and what it safely widens to."""

    spark: str
    arrow: tuple[str, ...]
    mysql: Storage
    sqlite: Storage
    python: tuple[type, ...]
    widens: tuple[str, ...] = ()


def _finite(value: float) -> float:
    if value != value or value in (float("inf"), float("-inf")):
        raise OnlineStoreError(
            f"MySQL cannot hold the value {value}: replace NaN and infinities by null before they are ingested, "
            "or serve this group from SQLite."
        )
    return value


def _real(value: float) -> float | str:
    """SQLite turns a bare NaN into null and drops the sign of zero; it leaves a text that it cannot read as a number."""
    if value != value:
        return "NaN"
    return "-0_0" if value == 0 and copysign(1, value) < 0 else value


_INTEGER = Storage("INTEGER")
_REAL = Storage("REAL", _real, float)
_BLOB = Storage("BLOB", bytes, bytes)
_BYTES = Storage("VARBINARY", bytes, bytes)
_SQLITE_TIME = Storage("INTEGER", lambda v: to_micros(aware(v)), from_micros)
_MYSQL_TIME = Storage("DATETIME(6)", lambda v: aware(v).replace(tzinfo=None), lambda v: v.replace(tzinfo=UTC))

_MOST_SCALE = 30  # of a DECIMAL of MySQL; MariaDB's has 38
_MYSQL_DIGITS = Storage("CHAR(42) CHARACTER SET ascii", lambda v: f"{v:f}", lambda v: v if isinstance(v, Decimal) else Decimal(_text(v)))

TYPES: tuple[TypeRow, ...] = (
    TypeRow("boolean", ("bool",), Storage("TINYINT(1)", int, bool), Storage("INTEGER", int, bool), (bool,)),
    TypeRow("tinyint", ("int8",), Storage("TINYINT"), _INTEGER, (int,), ("smallint", "int", "bigint")),
    TypeRow("smallint", ("int16", "uint8"), Storage("SMALLINT"), _INTEGER, (int,), ("int", "bigint")),
    TypeRow("int", ("int32", "uint16"), Storage("INT"), _INTEGER, (int,), ("bigint", "double")),
    TypeRow("bigint", ("int64", "uint32"), Storage("BIGINT"), _INTEGER, (int,)),
    TypeRow("float", ("halffloat", "float"), Storage("FLOAT", _finite), _REAL, (float, int), ("double",)),
    TypeRow("double", ("double",), Storage("DOUBLE", _finite), _REAL, (float, int)),
    TypeRow("decimal", ("uint64", "decimal128"), Storage("DECIMAL"), Storage("TEXT", str, Decimal), (Decimal, int)),
    TypeRow("timestamp", ("timestamp",), _MYSQL_TIME, _SQLITE_TIME, (datetime,)),
    TypeRow("date", ("date32", "date64"), Storage("DATE"), Storage("TEXT", date.isoformat, date.fromisoformat), (date,)),
    TypeRow("string", ("string", "large_string", "dictionary"), Storage("VARCHAR", decode=_text), Storage("TEXT"), (str,)),
    TypeRow("binary", ("binary", "large_binary"), _BYTES, _BLOB, (bytes,)),
)

BY_NAME = {row.spark: row for row in TYPES}
_BY_ARROW = {name: row.spark for row in TYPES for name in row.arrow}
NESTED = ("array", "map", "struct")
EVENT_TIME_TYPES = ("timestamp", "date", "bigint", "int")
# Arrow types that have no Spark type of their own: the one they are cast to, which holds every value.
ARROW_CASTS = {
    "uint8": "int16", "uint16": "int32", "uint32": "int64", "halffloat": "float", "date64": "date32", "string_view": "string",
    "binary_view": "binary",
}
# Other names that callers use for a type.
ALIASES = {"bool": "boolean", "byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "real": "float", "str": "string"}


def parse(text: str) -> str:
    """The feature type that a text names, as Spark writes it; SchemaError when it names none."""
    found, rest = _parsed(re.sub(r"\s+", "", text) if isinstance(text, str) else "", text)
    if rest:
        raise _unknown(text)
    return found


def _parsed(written: str, whole: str) -> tuple[str, str]:
    """The type at the beginning of what is written, and what follows it."""
    head = re.match(r"\w*", written)[0]  # type: ignore[index] # it matches the empty text at least
    name, rest = head.lower(), written[len(head):]
    name = ALIASES.get(name, name)
    if name == "decimal" and (sizes := re.match(r"\((\d+),(\d+)\)", rest)):
        if not (0 < int(sizes[1]) <= 38 and int(sizes[2]) <= int(sizes[1])):
            raise _unknown(whole)
        return name + sizes[0], rest[len(sizes[0]):]
    if name in NESTED and rest.startswith("<"):
        return _nested(name, rest[1:], whole)
    if name not in BY_NAME or name == "decimal":
        raise _unknown(whole)
    return name, rest


def _nested(name: str, rest: str, whole: str) -> tuple[str, str]:
    """A type of other types, from behind its opening bracket on."""
    inside: list[str] = []
    mark = ","
    while mark == ",":
        label = re.match(r"\w+:" if name == "struct" else "", rest)
        if label is None:
            raise _unknown(whole)
        inner, rest = _parsed(rest[label.end():], whole)
        inside.append(label[0] + inner)
        mark, rest = rest[:1], rest[1:]
    if mark != ">" or len(inside) != {"array": 1, "map": 2}.get(name, len(inside)):
        raise _unknown(whole)
    return f"{name}<{','.join(inside)}>", rest


def _unknown(text: object) -> SchemaError:
    return SchemaError(
        f"{text!r} is not a feature type: use {', '.join(name for name in BY_NAME if name != 'decimal')}, decimal(precision,scale) "
        "with a precision of at most 38, array<type>, map<type,type> or struct<name:type,...>."
    )


def parts(text: str) -> list[str]:
    """What commas part, those within brackets aside: the inner types of a nested one."""
    found, depth = [""], 0
    for letter in text:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found


def ddl(spark_type: str) -> str:
    """The type as SQL reads it, whatever letters the fields of a struct are named with."""
    return re.sub(r"(\w+):", r"`\1`:", spark_type)


def inner(spark_type: str) -> list[tuple[str, str]]:
    """The types that a nested one is made of, each with its name: an array's element, a map's key and value, a struct's fields."""
    kind = base(spark_type)
    found = parts(spark_type[len(kind) + 1 : -1])
    if kind == "struct":
        return [(name, type_) for name, _, type_ in (part.partition(":") for part in found)]
    return list(zip(("element",) if kind == "array" else ("key", "value"), found, strict=True))


@lru_cache(maxsize=4096)
def base(spark_type: str) -> str:
    """The type without its parameters: ``decimal(10,2)`` is ``decimal``, ``array<int>`` is ``array``."""
    return re.split(r"[(<\[]", spark_type, maxsplit=1)[0]


def widens(found: str, wanted: str) -> bool:
    """Whether every value of the type ``found`` is one of the type ``wanted``."""
    if found == wanted or found == "void":
        return True
    if base(found) == base(wanted) == "decimal":
        (p, s), (wide_p, wide_s) = sizes(found), sizes(wanted)
        return wide_s >= s and wide_p - wide_s >= p - s
    return found in BY_NAME and wanted in BY_NAME[found].widens


def from_arrow(arrow_type: str) -> str | None:
    """The base feature type of an Arrow type given as text; None for nested ones and those without a row."""
    return _BY_ARROW.get(base(arrow_type))


def aware(when: datetime) -> datetime:
    """The instant in UTC; one without a zone is UTC."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def comparable(left: str, right: str) -> bool:
    """Whether keys of the two types can be equal: the same type, or both whole numbers."""
    whole = {"tinyint", "smallint", "int", "bigint"}
    return left == right or {left, right} <= whole or base(left) == base(right) == "decimal"


def is_number(spark_type: str) -> bool:
    """Whether the values of a type are numbers."""
    return base(spark_type) in ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")


def storage(spark_type: str, store: str) -> Storage:
    """How ``store`` ("mysql" or "sqlite") holds the type; SchemaError where it cannot."""
    row = BY_NAME.get(base(spark_type))
    if row is None:
        raise SchemaError(
            f"Type {spark_type} cannot be served online from {store}: use one of {', '.join(BY_NAME)}, "
            "or leave the column out of the online group."
        )
    held: Storage = getattr(row, store)
    if row.spark == "decimal" and store == "mysql":
        if sizes(spark_type)[1] > _MOST_SCALE:
            return _MYSQL_DIGITS
        return Storage("DECIMAL({},{})".format(*sizes(spark_type)), held.encode, held.decode)
    return held


def sizes(spark_type: str) -> tuple[int, int]:
    """The precision and the scale of a decimal type."""
    precision, scale = re.findall(r"\d+", spark_type)
    return int(precision), int(scale)


def literal(value: object) -> object:
    """The value of a condition as JSON, what JSON has no word for marked so that ``from_literal`` restores it."""
    if isinstance(value, list | tuple):
        return list(map(literal, value))
    for mark, holds, write, _ in _MARKED:
        if holds(value):
            return {mark: write(value)}
    return value


def from_literal(value: object) -> object:
    """The value that ``literal`` wrote."""
    if isinstance(value, dict):
        ((mark, text),) = value.items()
        return next(read(text) for name, _, _, read in _MARKED if name == mark)
    return tuple(map(from_literal, value)) if isinstance(value, list) else value


_MARKED: tuple[tuple[str, Callable[[Any], bool], Codec, Codec], ...] = (
    ("$timestamp", lambda v: isinstance(v, datetime), datetime.isoformat, datetime.fromisoformat),
    ("$date", lambda v: isinstance(v, date), date.isoformat, date.fromisoformat),
    ("$decimal", lambda v: isinstance(v, Decimal), str, Decimal),
    ("$double", lambda v: isinstance(v, float) and v - v != 0, repr, float),
    ("$integer", lambda v: isinstance(v, int) and not -(2**63) <= v < 2**64, hex, lambda text: int(text, 16)),
    ("$binary", lambda v: isinstance(v, bytes), bytes.hex, bytes.fromhex),
)
