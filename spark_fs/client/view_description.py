"""What a server says of a feature view: the names and types by which a client asks and reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from spark_fs.base import json_values
from spark_fs.base.given_values import make_feature_error, make_key_error
from spark_fs.base.python_values import UnfitError, to_python
from spark_fs.base.types import INTEGERS
from spark_fs.base.values import Convert, get_converter, get_key_converter
from spark_fs.errors import OnlineStoreError, SparkFSError

Entry = Mapping[str, Any]
MakeError = Callable[[str, Any, str, UnfitError], SparkFSError]
# Their values are the same in JSON, in msgpack and in Python.
_PLAIN_TYPES = frozenset(("boolean", "string", *INTEGERS))


@dataclass(frozen=True)
class ViewDescription:
    """A feature view as a server hands it out.

    keys: the names and types of what an entry may hold. passable: of what may be passed. columns:
    of a vector's values, in their order. features: of those of a vector before transformations.
    """

    name: str
    version: int
    training_dataset_version: int | None
    keys: Mapping[str, str]
    passable: Mapping[str, str]
    columns: Mapping[str, str]
    features: Mapping[str, str]

    @classmethod
    def from_content(cls, content: Any) -> ViewDescription:
        """The description in an answer; OnlineStoreError where it is none."""
        try:
            return cls(
                content["name"],
                content["version"],
                content["training_dataset_version"],
                dict(content["keys"]),
                dict(content["passable"]),
                dict(content["columns"]),
                dict(content["features"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise OnlineStoreError(
                f"The server does not describe the view as this client understands it"
                f" ({type(error).__name__}: {error}): run the same release of spark_fs on both"
                " sides."
            ) from None

    def get_columns(self, is_transformed: bool) -> Mapping[str, str]:
        """The names and types of a vector's values, after the transformations or before them."""
        return self.columns if is_transformed else self.features

    def encode_entry(self, entry: Entry) -> dict[str, Any]:
        """The keys of an entry as a request has them.

        Raises KeyValueError for one that equals no value of its type. A name that is not known is
        left to the server, which may know more by now.
        """
        return _encode_values(entry, self.keys, get_key_converter, make_key_error)

    def encode_passed(self, passed: Entry) -> dict[str, Any]:
        """Passed features as a request has them; SchemaError for one of another type."""
        return _encode_values(passed, self.passable, get_converter, make_feature_error)

    def decode_vectors(
        self, vectors: Sequence[list[Any]], is_transformed: bool
    ) -> Sequence[list[Any]]:
        """The values of an answer in place, each as the type of its column has it.

        Args:
            vectors: As an answer has them.
            is_transformed: Whether the transformations were applied.
        """
        decoders = self._column_decoders if is_transformed else self._feature_decoders
        for position, decode in decoders:
            for vector in vectors:
                value = vector[position]
                if value is not None:
                    vector[position] = decode(value)
        return vectors

    @cached_property
    def _column_decoders(self) -> list[tuple[int, Convert]]:
        return _list_decoders(self.columns)

    @cached_property
    def _feature_decoders(self) -> list[tuple[int, Convert]]:
        return _list_decoders(self.features)


def _encode_values(
    values: Entry,
    types: Mapping[str, str],
    find_converter: Callable[[str], Convert],
    make_error: MakeError,
) -> dict[str, Any]:
    encoded = {}
    for name, given_value in values.items():
        value = given_value
        type_ = types.get(name)
        try:
            value = to_python(given_value)
            if type_ is not None and value is not None:
                value = find_converter(type_)(value)
        except UnfitError as error:
            raise make_error(name, value, type_ or "unknown", error) from None
        encoded[name] = json_values.to_json(value)
    return encoded


def _list_decoders(columns: Mapping[str, str]) -> list[tuple[int, Convert]]:
    """The positions of those values that need decoding, and how each is decoded."""
    return [
        (position, partial(json_values.from_json, type_))
        for position, type_ in enumerate(columns.values())
        if type_ not in _PLAIN_TYPES
    ]
