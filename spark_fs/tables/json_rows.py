"""Rows as lines of JSON, in the form that Spark gives them: without their nulls."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_fs.base.arrow_types import to_arrow_schema
from spark_fs.tables.value_texts import join_lines, join_texts, to_texts

Decoder = Callable[[Any], Any]
_SPECIAL_DOUBLES = r"^(NaN|-?Infinity)$"  # JSON has no numbers for these


def format_rows(table: pa.Table) -> bytes:
    """The lines of a table."""
    fields = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        texts = join_texts(f",{json.dumps(name)}:", _to_json_texts(column))
        fields.append(pc.fill_null(texts, ""))
    lines = pc.utf8_slice_codeunits(join_texts(*fields), 1)
    return join_lines(join_texts("{", lines, "}"))


def _to_json_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The JSON of each value, null for a null."""
    type_ = column.type
    if pa.types.is_nested(type_) or pa.types.is_binary(type_):
        texts = [None if value is None else _encode(value, type_) for value in column.to_pylist()]
        return pa.chunked_array([texts], pa.string())
    if pa.types.is_string(type_):
        return _quote_strings(column)
    texts = to_texts(column)
    if pa.types.is_floating(type_):
        is_special = pc.match_substring_regex(texts, _SPECIAL_DOUBLES)
        return pc.if_else(is_special, join_texts('"', texts, '"'), texts)
    if pa.types.is_temporal(type_):
        return join_texts('"', texts, '"')
    return texts


def _quote_strings(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pc.any(pc.match_substring_regex(column, r'["\\\x00-\x1f]')).as_py():
        return join_texts('"', column, '"')
    texts = [None if value is None else _quote(value) for value in column.to_pylist()]
    return pa.chunked_array([texts], pa.string())


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _encode(value: Any, type_: pa.DataType) -> str:
    """The JSON of one value; fields of a struct that are null are left out."""
    if value is None:
        return "null"
    if pa.types.is_list(type_):
        return f"[{','.join(_encode(item, type_.value_type) for item in value)}]"
    if pa.types.is_map(type_):
        items = [f"{_quote(key)}:{_encode(item, type_.item_type)}" for key, item in value]
        return f"{{{','.join(items)}}}"
    if pa.types.is_struct(type_):
        fields = []
        for field in type_:
            if value[field.name] is not None:
                fields.append(f"{_quote(field.name)}:{_encode(value[field.name], field.type)}")
        return f"{{{','.join(fields)}}}"
    if pa.types.is_binary(type_):
        return _quote(base64.b64encode(value).decode())
    text: str = _to_json_texts(pa.chunked_array([[value]], type_))[0].as_py()
    return text


# -- read again


def parse_rows(lines: Iterable[bytes], types: Mapping[str, str]) -> pa.Table:
    """The rows of lines, with these columns and types."""
    schema = to_arrow_schema(types)
    # of a decimal every digit counts, of another number those that a double has
    has_decimals = any("decimal" in type_ for type_ in types.values())
    decoder = json.JSONDecoder(parse_float=Decimal if has_decimals else None)
    rows = [decoder.decode(line.decode()) for line in lines]
    columns = []
    for field in schema:
        columns.append(_build_column([row.get(field.name) for row in rows], field.type))
    return pa.table(columns, schema=schema)


def _build_column(values: list[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_temporal(type_):
        return pa.array(values, pa.string()).cast(type_)
    decode = _choose_decoder(type_)
    return pa.array([None if value is None else decode(value) for value in values], type_)


def _choose_decoder(type_: pa.DataType) -> Decoder:
    """What makes a value of a type of what JSON has of it."""
    if pa.types.is_floating(type_):
        return float
    if pa.types.is_decimal(type_):
        return lambda number: Decimal(number)
    if pa.types.is_binary(type_):
        return base64.b64decode
    if pa.types.is_temporal(type_):
        return lambda text: pa.scalar(text).cast(type_).as_py()
    if pa.types.is_list(type_):
        return _make_list_decoder(_choose_decoder(type_.value_type))
    if pa.types.is_map(type_):
        return _make_map_decoder(_choose_decoder(type_.item_type))
    if pa.types.is_struct(type_):
        return _make_struct_decoder({field.name: _choose_decoder(field.type) for field in type_})
    return lambda value: value


def _decode(decoder: Decoder, value: Any) -> Any:
    return None if value is None else decoder(value)


def _make_list_decoder(decoder: Decoder) -> Decoder:
    return lambda values: [_decode(decoder, value) for value in values]


def _make_map_decoder(decoder: Decoder) -> Decoder:
    return lambda items: [(key, _decode(decoder, value)) for key, value in items.items()]


def _make_struct_decoder(decoders: Mapping[str, Decoder]) -> Decoder:
    return lambda fields: {
        name: _decode(decoder, fields.get(name)) for name, decoder in decoders.items()
    }
