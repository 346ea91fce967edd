"""Arrays, maps and structs as the JSON text that the online stores hold.

JSON alone would lose types, so the type of the feature says what a text means: a timestamp is its
microseconds, a date ISO 8601, a decimal its digits, bytes hexadecimal, a map the list of its pairs.
NaN and infinities are the words that Python's json writes for them.
"""

import json
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from spark_fs.base import times, types
from spark_fs.base.types import Codec


def _instant_to_json(value: datetime) -> int:
    return times.to_micros(times.as_utc(value))


_SCALAR_CODECS: Mapping[str, tuple[Codec, Codec]] = {
    "timestamp": (_instant_to_json, times.from_micros),
    "date": (date.isoformat, date.fromisoformat),
    "decimal": (str, Decimal),
    "binary": (bytes.hex, bytes.fromhex),
}


def build_codec(spark_type: str) -> tuple[Codec, Codec]:
    """The two directions between a nested value and the bytes of its JSON."""
    to_json, from_json = _build_json_codec(spark_type)

    def encode(value: Any) -> bytes:
        text = json.dumps(to_json(value), ensure_ascii=False, separators=(",", ":"))
        return text.encode()

    def decode(encoded: Any) -> Any:
        return from_json(json.loads(encoded))

    return encode, decode


def _build_json_codec(spark_type: str) -> tuple[Codec, Codec]:
    """From a Python value to what JSON can say, and back."""
    kind = types.get_base_type(spark_type)
    if kind not in types.NESTED:
        return _SCALAR_CODECS.get(kind, (_keep_value, _keep_value))
    inner_codecs = [
        (name, *_build_json_codec(inner_type))
        for name, inner_type in types.get_inner_types(spark_type)
    ]
    if kind == "struct":
        return _build_struct_codec(inner_codecs)
    if kind == "array":
        _, to_json, from_json = inner_codecs[0]
        return _apply_to_elements(to_json), _apply_to_elements(from_json)
    return _build_map_codec(inner_codecs)


def _build_struct_codec(field_codecs: list[tuple[str, Codec, Codec]]) -> tuple[Codec, Codec]:
    writers = {name: _convert_unless_none(to_json) for name, to_json, _ in field_codecs}
    readers = {name: _convert_unless_none(from_json) for name, _, from_json in field_codecs}
    return _apply_to_fields(writers), _apply_to_fields(readers)


def _apply_to_fields(converters: Mapping[str, Codec]) -> Codec:
    return lambda struct: {name: convert(struct[name]) for name, convert in converters.items()}


def _apply_to_elements(convert: Codec) -> Codec:
    convert_element = _convert_unless_none(convert)
    return lambda elements: list(map(convert_element, elements))


def _build_map_codec(inner_codecs: list[tuple[str, Codec, Codec]]) -> tuple[Codec, Codec]:
    """A map's keys are never null; it comes as a mapping, or as Arrow's list of its pairs."""
    (_, key_to_json, key_from_json), (_, value_to_json, value_from_json) = inner_codecs
    write_value = _convert_unless_none(value_to_json)
    read_value = _convert_unless_none(value_from_json)

    def write_map(value: Any) -> list[list[Any]]:
        pairs = value.items() if isinstance(value, Mapping) else value
        return [[key_to_json(key), write_value(item)] for key, item in pairs]

    def read_map(pairs: Any) -> dict[Any, Any]:
        return {key_from_json(key): read_value(item) for key, item in pairs}

    return write_map, read_map


def _keep_value(value: Any) -> Any:
    return value


def _convert_unless_none(convert: Callable[[Any], Any]) -> Codec:
    return lambda value: None if value is None else convert(value)
