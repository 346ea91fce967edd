"""What a definition or record holds that another release of spark_fs wrote: its format, and fields that are not known here.

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
    """The fields in ``data`` that a dataclass has; UpgradeError where the format is one that only a newer release knows."""
    check_format(subject, data, get_format(cls))
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in data.items() if name in names}


def check_format(subject: str, data: Mapping[str, Any], newest: int = 1) -> None:
    """UpgradeError unless the format is one that this release knows."""
    found = data.get(FORMAT_KEY, 1)
    if not isinstance(found, int) or found > newest:
        raise UpgradeError(
            f"{subject} is kept in format {found}, which a newer spark_fs wrote; this one knows"
            f" {newest}. Upgrade spark_fs."
        )


def with_format_version(cls: type, data: dict[str, Any]) -> dict[str, Any]:
    """What is to be written of an object of a class, with its format; the first has no number, so that the first release reads it too."""
    number = get_format(cls)
    return data if number == 1 else {**data, FORMAT_KEY: number}


def get_format(cls: type) -> int:
    """The newest format of a class that this release knows."""
    number: int = getattr(cls, "FORMAT", 1)
    return number


def iter_readable(read: Callable[[Stored], Loaded], records: Iterable[Stored]) -> Iterator[Loaded]:
    """Each of them as an object; those of a newer release are left out, with a warning each."""
    for each in records:
        try:
            yield read(each)
        except UpgradeError as error:
            warnings.warn(f"Left out: {error}", stacklevel=2)


def merge_definition(
    stored: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """What is to be stored of a definition that was changed: ``after``, and what is stored beyond ``before``, which was read of it.

    What did not change stays as it is stored. A field that is a list keeps what is not known of
    each element that has still its name; a field that is a mapping is replaced whole.
    """
    found = {name: _merge_field(name, stored, before, value) for name, value in after.items()}
    return found | {name: value for name, value in stored.items() if name not in before}


def _merge_field(
    name: str, stored: Mapping[str, Any], before: Mapping[str, Any], value: Any
) -> Any:
    if name not in stored:
        return value
    was, kept = before[name], stored[name]
    if to_json_string(was) == to_json_string(value):
        return kept
    if not isinstance(value, list | tuple) or not isinstance(kept, list) or len(kept) != len(was):
        return value
    pairs = zip(kept, was, strict=True)
    return [_merge_element(pair, each) for pair, each in zip(pairs, value, strict=False)] + list(
        value[len(kept) :]
    )


def _merge_element(pair: tuple[Any, Any], value: Any) -> Any:
    stored, before = pair
    same = (
        all(isinstance(each, Mapping) for each in (stored, before, value))
        and "name" in value
        and before.get("name") == value["name"]
    )
    return merge_definition(stored, before, value) if same else value


def to_json_string(value: Any) -> str:
    """A value as JSON: unlike Python's ``==`` it tells True, 1 and 1.0 apart."""
    return json.dumps(value)
