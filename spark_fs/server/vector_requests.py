"""Requests for feature vectors and their answers, as JSON over HTTP has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from spark_fs.base import json_values
from spark_fs.errors import SettingsError

_LISTED_MISTAKES = 5  # of a request, in the answer


class VectorRequest(BaseModel):
    """A request for feature vectors."""

    view: str = Field(description="The name of a feature view.", examples=["late_arrivals"])
    version: int = Field(default=1, description="Its version.")
    training_dataset_version: int | None = Field(
        default=None,
        description=(
            "By which training dataset its transformations learned; may be left out where there is"
            " only one."
        ),
    )
    entries: list[dict[str, Any]] = Field(
        description="The keys of each vector, by name.", min_length=1, examples=[[{"id": 1}]]
    )
    passed_features: list[dict[str, Any]] | None = Field(
        default=None,
        description=(
            "For each entry the features that win over stored ones, before they are transformed."
        ),
    )
    allow_missing: bool = Field(
        default=False,
        description="Whether a key without an online row gives nulls instead of an error.",
    )


class VectorResponse(BaseModel):
    """Feature vectors, as many as entries, in their order."""

    features: list[str] = Field(
        description="The names of the values of each vector, in their order."
    )
    vectors: list[list[Any]]


class ViewResponse(BaseModel):
    """The names and feature types by which a view is asked and answers, each in its order."""

    name: str
    version: int
    training_dataset_version: int | None = Field(
        description="The training dataset that its transformations learned of; null: of none."
    )
    keys: dict[str, str] = Field(description="What an entry may hold.")
    passable: dict[str, str] = Field(description="What may be passed.")
    columns: dict[str, str] = Field(description="The values of a vector.")
    features: dict[str, str] = Field(
        description="The values of a vector before the transformations."
    )


class ErrorDetail(BaseModel):
    """What went wrong, and what to do."""

    type: str = Field(description="The kind of error.", examples=["NotFoundError"])
    message: str


class ErrorResponse(BaseModel):
    """The answer of a request that failed."""

    error: ErrorDetail


class InvalidRequestError(Exception):
    """A request that is not of its form."""


def parse_request(body: bytes, max_entries: int) -> VectorRequest:
    """The request in a body.

    It is refused by its size before anything else is looked at.

    Args:
        body: JSON in UTF-8.
        max_entries: how many entries a request may have.

    Raises:
        InvalidRequestError: it is not of its form.
        SettingsError: it has too many entries.
    """
    content = _parse_json(body)
    if isinstance(content, dict):
        _check_size(content, max_entries)
    if b"\\u" in body and _has_surrogate(content):
        raise InvalidRequestError(
            "a string in it holds half of a surrogate pair, which stands for no character"
        )
    try:
        return VectorRequest.model_validate(content)
    except ValidationError as error:
        raise InvalidRequestError(_describe_mistakes(error)) from None


def parse_values(value_types: Mapping[str, str], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an entry, each as its type has it.

    Args:
        value_types: the feature type of each known name.
        values: the values by name, as JSON.
    """
    return {
        name: json_values.from_json(value_types[name], value) if name in value_types else value
        for name, value in values.items()
    }


def _parse_json(body: bytes) -> Any:
    try:
        # loads itself would let halves of surrogate pairs through
        return json.loads(body.decode())
    except RecursionError:
        raise InvalidRequestError("it is nested too deeply") from None
    except ValueError as error:  # what is not JSON, not UTF-8, or a number of thousands of digits
        raise InvalidRequestError(f"it is not JSON: {error}") from None


def _check_size(content: Mapping[str, Any], max_entries: int) -> None:
    for name in ("entries", "passed_features"):
        value = content.get(name)
        if isinstance(value, list) and len(value) > max_entries:
            raise SettingsError(
                f"{len(value):,} {name} are more than the {max_entries:,} of a request: ask in"
                " parts."
            )


def _has_surrogate(content: Any) -> bool:
    """Whether a string in it cannot be written as UTF-8."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _describe_mistakes(error: ValidationError) -> str:
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    described = []
    for mistake in mistakes[:_LISTED_MISTAKES]:
        location = ".".join(map(str, ("body", *mistake["loc"])))
        described.append(f"{location}: {mistake['msg']}")
    if len(mistakes) > _LISTED_MISTAKES:
        described.append(f"and {len(mistakes) - _LISTED_MISTAKES:,} more")
    return "; ".join(described)
