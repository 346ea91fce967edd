"""Arrays, maps and structs as the JSON text that the online stores hold.

JSON alone would lose types, so the type of the feature says what a text means: a timestamp is its
microseconds, a date ISO 8601, a decimal its digits, bytes hexadecimal, a map the list of its pairs.
NaN and infinities are the words that Python's json writes for them.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from spark_fs.base import types
from spark_fs.base.times import as_utc, from_micros, to_micros
from spark_fs.base.types import Codec, ColumnStorage

_SCALARS: Mapping[str, tuple[Codec, Codec]] = {
    "timestamp": (lambda v: to_micros(as_utc(v)), from_micros),
    "date": (date.isoformat, date.fromisoformat),
    "decimal": (str, Decimal),
    "binary": (bytes.hex, bytes.fromhex),
}


def build_storage(spark_type: str, column: str) -> ColumnStorage:
    """How a nested type is held in a column of bytes."""
    write, read = _build_codec(spark_type)

    def encode(value: Any) -> bytes:
        return json.dumps(write(value), ensure_ascii=False, separators=(",", ":")).encode()

    return ColumnStorage(column, encode, lambda text: read(json.loads(text)))


def _build_codec(spark_type: str) -> tuple[Codec, Codec]:
    """From a Python value to what JSON can say, and back."""
    kind = types.get_base_type(spark_type)
    if kind not in types.NESTED:
        return _SCALARS.get(kind, (_keep_value, _keep_value))
    inner = types.get_inner_types(spark_type)
    if kind == "struct":
        fields = {name: _build_codec(type_) for name, type_ in inner}
        return (
            lambda v: {
                name: _convert_unless_none(write)(v[name]) for name, (write, _) in fields.items()
            },
            lambda v: {
                name: _convert_unless_none(read)(v[name]) for name, (_, read) in fields.items()
            },
        )
    codecs = [_build_codec(type_) for _, type_ in inner]
    (write, read), (write_value, read_value) = codecs[0], codecs[-1]
    if kind == "array":
        return lambda v: list(map(_convert_unless_none(write), v)), lambda v: list(
            map(_convert_unless_none(read), v)
        )
    return (
        lambda v: [
            [write(k), _convert_unless_none(write_value)(x)]
            for k, x in (v.items() if isinstance(v, Mapping) else v)
        ],
        lambda v: {read(k): _convert_unless_none(read_value)(x) for k, x in v},
    )


def _keep_value(value: Any) -> Any:
    return value


def _convert_unless_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)
