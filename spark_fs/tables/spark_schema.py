"""Schemas as Spark writes them into files, in JSON, as feature types."""

from collections.abc import Mapping
from typing import Any

_NAMES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}


def parse_columns(schema: Mapping[str, Any]) -> dict[str, str]:
    """The name and type of each column, as ``DataType.simpleString`` of Spark has them."""
    return {field["name"]: parse_type(field["type"]) for field in schema.get("fields", ())}


def parse_type(type_: Any) -> str:
    """One type; what Spark calls a type of a user is one of its kind that no feature has."""
    if isinstance(type_, str):
        return _NAMES.get(type_, type_)
    kind = str(type_["type"])
    if kind == "array":
        return f"array<{parse_type(type_['elementType'])}>"
    if kind == "map":
        return f"map<{parse_type(type_['keyType'])},{parse_type(type_['valueType'])}>"
    if kind == "struct":
        fields = [f"{name}:{inner}" for name, inner in parse_columns(type_).items()]
        return f"struct<{','.join(fields)}>"
    return kind
