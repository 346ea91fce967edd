"""The schema of a model, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spark_fs.errors import SchemaError


class Schema:
    """The columns of a frame, an array or a mapping, by name and type.

    Of a pandas or Spark DataFrame, an Arrow table, a Series, a NumPy array, a mapping, or a list of
    dicts with the keys "name" and "type".
    """

    def __init__(self, object: Any) -> None:  # the name that Hopsworks gives it
        self.columns: dict[str, str] = _get_columns(object)

    def to_dict(self) -> dict[str, Any]:
        """As Hopsworks writes it: a list of columns, each with its name and type."""
        columns = [{"name": name, "type": type_} for name, type_ in self.columns.items()]
        return {"columnar_schema": columns}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.columns == other.columns

    __hash__ = None  # type: ignore[assignment] # it holds a dict

    def __repr__(self) -> str:
        return f"Schema({self.columns})"


@dataclass(frozen=True)
class ModelSchema:
    """What a model takes and what it gives."""

    input_schema: Schema | None = None
    output_schema: Schema | None = None

    def __post_init__(self) -> None:
        for schema in (self.input_schema, self.output_schema):
            if schema is not None and not isinstance(schema, Schema):
                raise SchemaError(
                    f"A ModelSchema takes Schema objects, not a {type(schema).__name__}: give"
                    " spark_fs.Schema(frame)."
                )

    def to_dict(self) -> dict[str, Any]:
        """As Hopsworks writes it; a schema that was not given is left out."""
        schemas = {"input_schema": self.input_schema, "output_schema": self.output_schema}
        return {name: schema.to_dict() for name, schema in schemas.items() if schema}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "input_schema": self.input_schema and self.input_schema.columns,
            "output_schema": self.output_schema and self.output_schema.columns,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ModelSchema":
        """From what ``to_json`` gave."""
        inputs = data["input_schema"]
        outputs = data["output_schema"]
        return cls(inputs and Schema(inputs), outputs and Schema(outputs))


def _get_columns(df: Any) -> dict[str, str]:
    if isinstance(df, Mapping):
        return _to_strings(df)
    if isinstance(df, list) and all(_is_column(item) for item in df):
        return _to_strings({_get_name(column): column["type"] for column in df})
    schema = getattr(df, "schema", None)
    dtypes = getattr(df, "dtypes", None)
    if isinstance(dtypes, list):  # Spark's
        return dict(dtypes)
    if dtypes is not None and hasattr(dtypes, "items"):  # pandas'
        return _to_strings(dtypes)
    if schema is not None and hasattr(schema, "names"):  # Arrow's
        return {field.name: str(field.type) for field in schema}
    if hasattr(df, "dtype"):  # a Series, or NumPy's
        name = getattr(df, "name", None) or "value"
        return {str(name): str(df.dtype)}
    raise SchemaError(
        f"A {type(df).__name__} has no columns: give a pandas or Spark DataFrame, an Arrow table, a"
        " NumPy array, a mapping, or a list of dicts with name and type."
    )


def _is_column(item: Any) -> bool:
    return isinstance(item, Mapping) and "type" in item


def _get_name(column: Mapping[str, Any]) -> Any:
    """The name of a column in a list; that of a tensor may be left out."""
    return column.get("name", "value")


def _to_strings(types: Any) -> dict[str, str]:
    return {str(name): str(type_) for name, type_ in types.items()}
