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


_INTEGER = Storage("INTEGER")
_REAL = Storage("REAL", lambda v: "NaN" if v != v else v, float)  # SQLite turns a bare NaN into null
_BLOB = Storage("BLOB", bytes, bytes)
_BYTES = Storage("VARBINARY", bytes, bytes)
_SQLITE_TIME = Storage("INTEGER", lambda v: to_micros(v.astimezone(UTC)), from_micros)
_MYSQL_TIME = Storage(
    "DATETIME(6)", lambda v: v.astimezone(UTC).replace(tzinfo=None), lambda v: v.replace(tzinfo=UTC)
)

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


@lru_cache(maxsize=4096)
def base(spark_type: str) -> str:
    """The type without its parameters: ``decimal(10,2)`` is ``decimal``, ``array<int>`` is ``array``."""
    return re.split(r"[(<\[]", spark_type, maxsplit=1)[0]


def widens(found: str, wanted: str) -> bool:
    """Whether every value of the type ``found`` is one of the type ``wanted``."""
    if found == wanted or found == "void":
        return True
    if base(found) == base(wanted) == "decimal":
        (p, s), (wide_p, wide_s) = _decimal(found), _decimal(wanted)
        return wide_s >= s and wide_p - wide_s >= p - s
    return found in BY_NAME and wanted in BY_NAME[found].widens


def from_arrow(arrow_type: str) -> str | None:
    """The base feature type of an Arrow type given as text; None for nested ones and those without a row."""
    return _BY_ARROW.get(base(arrow_type))


def plain(value: Any) -> Any:
    """The Python value of a NumPy scalar; any other value as it is."""
    return value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value


def holds(spark_type: str, value: object) -> bool:
    """Whether a Python value is one of the type."""
    if isinstance(value, bool):
        return spark_type == "boolean"
    return isinstance(value, BY_NAME[base(spark_type)].python)


_FROM_JSON: dict[str, Codec] = {
    "timestamp": lambda text: aware(datetime.fromisoformat(text)), "date": date.fromisoformat, "decimal": Decimal,
    "binary": bytes.fromhex, "float": float, "double": float,
}


def aware(when: datetime) -> datetime:
    """The instant in UTC; one without a zone is UTC."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def from_json(spark_type: str, value: Any) -> Any:
    """The value that ``to_json`` wrote as a text, JSON having no word for it; any other as it is. SchemaError for no such text."""
    convert = _FROM_JSON.get(base(spark_type))
    if convert is None or not isinstance(value, str):
        return value
    try:
        return convert(value)
    except (ValueError, ArithmeticError):
        raise SchemaError(
            f"{value!r} is not the text of a {spark_type}: write times in ISO 8601, decimals as digits, bytes hexadecimal."
        ) from None


def to_json(value: Any) -> Any:
    """A value as JSON: times in ISO 8601, decimals and what is no number as texts, bytes hexadecimal, within lists and mappings too."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(to_json(key)): to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(each) for each in value]
    if isinstance(value, date):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value) if isinstance(value, Decimal) else value


def comparable(left: str, right: str) -> bool:
    """Whether keys of the two types can be equal: the same type, or both whole numbers."""
    whole = {"tinyint", "smallint", "int", "bigint"}
    return left == right or {left, right} <= whole or base(left) == base(right) == "decimal"


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
        return Storage("DECIMAL({},{})".format(*_decimal(spark_type)), held.encode, held.decode)
    return held


def _decimal(spark_type: str) -> tuple[int, int]:
    precision, scale = re.findall(r"\d+", spark_type)
    return int(precision), int(scale)


def literal(value: object) -> object:
    """The value of a condition as JSON, times and decimals marked so that ``from_literal`` restores them."""
    if isinstance(value, datetime):
        return {"$timestamp": value.isoformat()}
    if isinstance(value, date):
        return {"$date": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    return list(map(literal, value)) if isinstance(value, list | tuple) else value


def from_literal(value: object) -> object:
    """The value that ``literal`` wrote."""
    restore: dict[str, Codec] = {
        "$timestamp": datetime.fromisoformat,
        "$date": date.fromisoformat,
        "$decimal": Decimal,
    }
    if isinstance(value, dict):
        ((mark, text),) = value.items()
        return restore[mark](text)
    return tuple(map(from_literal, value)) if isinstance(value, list) else value
