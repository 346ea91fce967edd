"""Read and keep definitions and records that another release of spark_fs wrote.

Each kind of definition has a number, ``FORMAT``, 1 unless the class says otherwise, which goes up
when a release that does not know of a change would misread what is written. It stands beside the
fields under ``format_version`` from 2 on. A field that may be ignored needs no new number: an older
release reads the others, and keeps what it does not know when it saves.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from spark_fs.errors import UpgradeError

FORMAT_KEY = "format_version"
Stored = TypeVar("Stored")
Loaded = TypeVar("Loaded")


def select_known_fields(cls: type, subject: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in ``data`` that a dataclass has.

    Args:
        cls: the dataclass.
        subject: what is read, as the error says it.
        data: its fields and its format, as JSON.

    Raises:
        UpgradeError: only a newer release knows the format.
    """
    check_format(subject, data, get_format(cls))
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in data.items() if name in names}


def check_format(subject: str, data: Mapping[str, Any], newest: int = 1) -> None:
    """Raise UpgradeError unless this release knows the format.

    Args:
        subject: what is read, as the error says it.
        data: its fields and its format, as JSON.
        newest: the newest format that this release knows.
    """
    number = data.get(FORMAT_KEY, 1)
    if not isinstance(number, int) or number > newest:
        raise UpgradeError(
            f"{subject} is kept in format {number}, which a newer spark_fs wrote; this one knows"
            f" {newest}. Upgrade spark_fs."
        )


def with_format_version(cls: type, data: dict[str, Any]) -> dict[str, Any]:
    """What is to be written of an object, with the newest format of its class.

    Format 1 has no number, so that the first release reads it too.
    """
    number = get_format(cls)
    return data if number == 1 else {**data, FORMAT_KEY: number}


def get_format(cls: type) -> int:
    """The newest format of a class that this release knows."""
    number: int = getattr(cls, "FORMAT", 1)
    return number


def iter_readable(read: Callable[[Stored], Loaded], records: Iterable[Stored]) -> Iterator[Loaded]:
    """Each record as an object; those of a newer release are left out, with a warning each."""
    for record in records:
        try:
            yield read(record)
        except UpgradeError as error:
            warnings.warn(f"Left out: {error}", stacklevel=2)


def merge_definition(
    stored: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """What is to be stored of a definition that was changed.

    What did not change stays as it is stored. A field that is a list keeps what is not known of
    each element that has still its name; a field that is a mapping is replaced whole.

    Args:
        stored: the definition as it is stored, perhaps by a newer release.
        before: what this release read of it.
        after: that, changed.
    """
    merged = {name: _merge_field(name, stored, before, value) for name, value in after.items()}
    for name, value in stored.items():
        if name not in before:
            merged[name] = value
    return merged


def _merge_field(
    name: str, stored: Mapping[str, Any], before: Mapping[str, Any], value: Any
) -> Any:
    if name not in stored or name == FORMAT_KEY:
        return value
    old_value = before[name]
    stored_value = stored[name]
    if to_json_string(old_value) == to_json_string(value):
        return stored_value
    if not isinstance(value, list | tuple) or not isinstance(stored_value, list):
        return value
    if len(stored_value) != len(old_value):
        return value
    elements = zip(stored_value, old_value, value, strict=False)
    merged = [_merge_element(*element) for element in elements]
    return merged + list(value[len(stored_value) :])


def _merge_element(stored: Any, before: Any, after: Any) -> Any:
    if not all(isinstance(element, Mapping) for element in (stored, before, after)):
        return after
    if "name" not in after or before.get("name") != after["name"]:
        return after
    return merge_definition(stored, before, after)


def to_json_string(value: Any) -> str:
    """A value as JSON: unlike Python's ``==`` it tells True, 1 and 1.0 apart."""
    return json.dumps(value)
