"""Requests for feature vectors and their answers, as JSON over HTTP has them.

A request is read by msgspec where it is of its form to the letter, in a sixth of the time of json
and pydantic; any other is read by these, which take what else may stand for it (NaN, infinities,
"1" for 1), and say of what cannot what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, Field, ValidationError

from spark_fs.base import json_values
from spark_fs.base.times import parse_instant
from spark_fs.errors import SettingsError
from spark_fs.server.wire_formats import MSGPACK

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
    transform: bool = Field(
        default=True,
        description="Whether the view's transformations are applied; else values are as stored.",
    )
    now: str | None = Field(
        default=None,
        description=(
            "The instant (ISO 8601, in UTC where no zone is named) of the call, for replays; by it"
            " rows are past their ttl."
        ),
    )


class ParsedRequest(msgspec.Struct, gc=False):
    """A request that is of its form."""

    view: str
    entries: list[dict[str, Any]]
    version: int = 1
    training_dataset_version: int | None = None
    passed_features: list[dict[str, Any]] | None = None
    allow_missing: bool = False
    transform: bool = True
    now: str | None = None

    @property
    def instant(self) -> datetime | None:
        """The instant (UTC) of the call; SettingsError for what spells none."""
        if self.now is None:
            return None
        try:
            return parse_instant(self.now)
        except (ValueError, ArithmeticError):
            raise SettingsError(
                f"now {self.now[:100]!r} does not spell an instant: write it in ISO 8601, as"
                " 2024-01-31T12:00:00Z."
            ) from None


class VectorResponse(BaseModel):
    """Feature vectors, as many as entries, in their order."""

    features: list[str] = Field(
        description="The names of the values of each vector, in their order."
    )
    vectors: list[list[Any]]


class ViewResponse(BaseModel):
    """A feature view as it is served; names with their types, in order."""

    name: str
    version: int
    training_dataset_version: int | None = Field(
        description="By which its transformations learned; null where none did."
    )
    keys: dict[str, str] = Field(description="What an entry may hold.")
    passable: dict[str, str] = Field(description="What may be passed.")
    columns: dict[str, str] = Field(description="The values of a vector.")
    features: dict[str, str] = Field(description="Those of a vector before transformations.")


class ErrorDetail(BaseModel):
    """What went wrong, and what to do."""

    type: str = Field(description="The kind of error.", examples=["NotFoundError"])
    message: str


class ErrorResponse(BaseModel):
    """The answer of a request that failed."""

    error: ErrorDetail


class InvalidRequestError(Exception):
    """A request that is not of its form."""


_JSON_DECODER = msgspec.json.Decoder(ParsedRequest)
_MSGPACK_DECODER = msgspec.msgpack.Decoder(ParsedRequest)
_MISTAKES = (msgspec.MsgspecError, ValueError, RecursionError)


def parse_request(body: bytes, max_entries: int, content_type: str = "") -> ParsedRequest:
    """The request in a body.

    It is refused by its size before anything else is looked at.

    Args:
        body: JSON in UTF-8, or msgpack.
        max_entries: how many entries a request may have.
        content_type: of the body; what is not msgpack is read as JSON.

    Raises:
        InvalidRequestError: it is not of its form.
        SettingsError: it has too many entries.
    """
    is_msgpack = content_type == MSGPACK
    try:
        request = (_MSGPACK_DECODER if is_msgpack else _JSON_DECODER).decode(body)
    except _MISTAKES:
        content = _parse_msgpack(body) if is_msgpack else _parse_json(body)
        return _validate_content(content, max_entries)
    _check_size("entries", request.entries, max_entries)
    _check_size("passed_features", request.passed_features, max_entries)
    if not request.entries:
        return _validate_content({"view": request.view, "entries": []}, max_entries)
    return request


def _validate_content(content: Any, max_entries: int) -> ParsedRequest:
    """The request that a body holds in other words; InvalidRequestError for what is none."""
    if isinstance(content, dict):
        for name in ("entries", "passed_features"):
            _check_size(name, content.get(name), max_entries)
    if _has_surrogate(content):
        raise InvalidRequestError(
            "a string in it holds half of a surrogate pair, which stands for no character"
        )
    try:
        request = VectorRequest.model_validate(content)
    except ValidationError as error:
        raise InvalidRequestError(_describe_mistakes(error)) from None
    return ParsedRequest(**dict(request))


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


def _parse_msgpack(body: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(body)
    except RecursionError:
        raise InvalidRequestError("it is nested too deeply") from None
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise InvalidRequestError(f"it is not msgpack: {error}") from None


def _check_size(name: str, values: Any, max_entries: int) -> None:
    if isinstance(values, list) and len(values) > max_entries:
        raise SettingsError(
            f"{len(values):,} {name} are more than the {max_entries:,} of a request: ask in parts."
        )


def _has_surrogate(content: Any) -> bool:
    """Whether a string in it cannot be written as UTF-8."""
    try:
        json.dumps(content, ensure_ascii=False, default=repr).encode()
    except UnicodeEncodeError:
        return True
    except TypeError:  # msgpack's keys may be of any type; its strings are UTF-8
        return False
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
